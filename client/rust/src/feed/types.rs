//! What is asked of a feed and what it tells.

use std::time::Duration;

use barrow_protocol::frame::{
    GroupEntry, Limits, Resolved, ResyncReason, Subscribe, Symbols, Token, Welcome,
};
use barrow_protocol::{Row, RowLayout};

/// How to begin a conversation.
#[derive(Clone, Debug)]
pub struct FeedOptions {
    /// The secret of a key, where the server asks for one.
    pub key: String,
    /// What the server's log calls this client.
    pub name: String,
    /// How long to wait for the server's welcome.
    pub connect_timeout: Duration,
}

impl Default for FeedOptions {
    fn default() -> Self {
        Self {
            key: String::new(),
            name: concat!("barrow-client ", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(10),
        }
    }
}

impl FeedOptions {
    /// With the secret of a key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = key.into();
        self
    }
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// What it calls itself.
    pub name: String,
    /// The identity of its store, for ever.
    pub instance: [u8; 16],
    /// Counts its starts: handles and numbers of symbols hold within one.
    pub epoch: u64,
    /// What one connection may ask.
    pub limits: Limits,
    /// All before and including this was in the latest rows when it said welcome.
    pub newest: Token,
}

impl From<Welcome<'_>> for Server {
    fn from(welcome: Welcome<'_>) -> Self {
        let Welcome { version: _, limits, instance, epoch, newest, server } = welcome;
        Self { name: server.to_owned(), instance, epoch, limits, newest }
    }
}

/// A symbol of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its name.
    pub name: String,
    /// Its number in the group; `None` if the group has none of that name.
    pub index: Option<u32>,
}

/// A version of a group of features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its number until the server's end.
    pub handle: u32,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whether the bare name means this version.
    pub is_promoted: bool,
    /// The names of its features, in the order of rows.
    pub features: Vec<String>,
    /// The symbols that were asked for, in that order; of all in the order of their numbers.
    pub symbols: Vec<Symbol>,
}

impl Group {
    /// How long its rows are.
    pub fn layout(&self) -> RowLayout {
        RowLayout::new(self.features.len())
    }

    pub(super) fn all_of(resolved: &Resolved<'_>) -> Vec<Self> {
        resolved.groups().map(|group| Self::of(&group)).collect()
    }

    fn of(group: &GroupEntry<'_>) -> Self {
        let symbols = group.symbols();
        Self {
            handle: group.handle,
            name: group.name.to_owned(),
            version: group.version.to_owned(),
            is_promoted: group.is_promoted,
            features: group.features.iter().map(str::to_owned).collect(),
            symbols: symbols
                .map(|symbol| Symbol { name: symbol.name.to_owned(), index: symbol.index })
                .collect(),
        }
    }
}

/// Up to where a subscription was told; kept by a program, it is as good after it starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResumeToken {
    /// The store whose records it counts.
    pub instance: [u8; 16],
    /// All before and including this was told.
    pub token: Token,
}

/// What a subscription is told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    symbols: Option<Vec<u32>>,
    after: Option<ResumeToken>,
    corrections: bool,
    forming: bool,
}

impl Wanted {
    /// New rows of all symbols, also of those to come.
    pub fn all() -> Self {
        Self::default()
    }

    /// New rows of some symbols, by their numbers.
    pub fn of(symbols: &[u32]) -> Self {
        Self { symbols: Some(symbols.to_vec()), ..Self::default() }
    }

    /// From behind what was told before on.
    #[must_use]
    pub const fn after(mut self, token: ResumeToken) -> Self {
        self.after = Some(token);
        self
    }

    /// Also rows that take the place of others of the same slot.
    #[must_use]
    pub const fn corrections(mut self) -> Self {
        self.corrections = true;
        self
    }

    /// Also rows of slots that are not due.
    #[must_use]
    pub const fn forming(mut self) -> Self {
        self.forming = true;
        self
    }

    pub(super) fn subscribe(&self, group: u32) -> Subscribe<'_> {
        let symbols = self.symbols.as_deref();
        Subscribe {
            group,
            symbols: symbols.map_or(Symbols::All, |symbols| {
                Symbols::These(barrow_protocol::frame::Indexes::of(symbols))
            }),
            resume: self.after.map(|after| (after.instance, after.token)),
            corrections: self.corrections,
            forming: self.forming,
        }
    }
}

/// What a subscription is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'a> {
    /// A new row.
    Update {
        /// The number of its symbol.
        symbol: u32,
        /// Where it stands among all updates.
        token: Token,
        /// The row.
        row: Row<'a>,
    },
    /// Rows were left out: ask for the latest ones. What comes from now on is whole again.
    Resync {
        /// Why; `None` for a reason of a later version.
        reason: Option<ResyncReason>,
    },
}
