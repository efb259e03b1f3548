//! Codes: errors, reasons to begin anew, why there is no row.

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident: $number:ty {
        $( $(#[$code_doc:meta])* $variant:ident = $code:literal $word:literal, )*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $( $(#[$code_doc])* $variant = $code, )*
        }

        impl $name {
            /// Each of them, in the order of their codes.
            pub const ALL: &[Self] = &[$( Self::$variant, )*];

            /// The code on the wire.
            pub const fn code(self) -> $number {
                match self {
                    $( Self::$variant => $code, )*
                }
            }

            /// That of a code.
            pub const fn of(code: $number) -> Option<Self> {
                match code {
                    $( $code => Some(Self::$variant), )*
                    _ => None,
                }
            }

            /// The word for it.
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$variant => $word, )*
                }
            }
        }
    };
}

codes! {
    /// Why something is not answered.
    ErrorCode: u16 {
        /// The bytes are no frame, or not one of a client; the connection ends.
        Malformed = 1 "malformed",
        /// The first frame is no hello, or a later one is; the connection ends.
        Hello = 2 "hello",
        /// The server does not speak this version; the connection ends.
        Version = 3 "version",
        /// No key, or one that is not known; the connection ends.
        Unauthorized = 4 "unauthorized",
        /// The key does not allow this; the connection ends.
        Forbidden = 5 "forbidden",
        /// There is no such group or version.
        NotFound = 6 "not_found",
        /// There is no group with this handle: resolve anew.
        UnknownHandle = 7 "unknown_handle",
        /// There is no symbol with this number: resolve anew.
        UnknownSymbol = 8 "unknown_symbol",
        /// The group is subscribed already, or is not.
        Subscription = 9 "subscription",
        /// A bound is reached: connections (the connection ends), subscriptions, threads.
        Busy = 10 "busy",
        /// The frame, or the answer, is longer than it may be; of a frame the connection ends.
        TooLarge = 11 "too_large",
        /// The frame says what it must not.
        Invalid = 12 "invalid",
        /// Stored bytes could not be read, or a fault of the server.
        Internal = 13 "internal",
        /// The client takes too long to say hello or to read; the connection ends.
        Timeout = 14 "timeout",
    }
}

codes! {
    /// Why updates were left out.
    ResyncReason: u32 {
        /// The client reads more slowly than rows come.
        Slow = 1 "slow",
        /// What came after the token is not kept any more, or came before the server's start.
        Old = 2 "old",
        /// The token is of another store, or of a later state of this one.
        Unknown = 3 "unknown",
        /// The rows of the group were made anew.
        Rebuilt = 4 "rebuilt",
    }
}

codes! {
    /// Why there is no row.
    Absence: u8 {
        /// There is no symbol with this number.
        Symbol = 1 "no such symbol",
        /// The symbol has no such row.
        Row = 2 "no such row",
        /// The row was being written all the while: ask again.
        Busy = 3 "busy",
    }
}
