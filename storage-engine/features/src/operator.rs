//! The operators that kernels compute. All others are expressions of these.

/// What a bar, or the calendar, says of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The first price.
    Open,
    /// The greatest price.
    High,
    /// The least price.
    Low,
    /// The last price.
    Close,
    /// How much was traded.
    Volume,
    /// The average price by volume.
    Vwap,
    /// How many trades.
    Trades,
    /// `vwap` times `volume`.
    Amount,
    /// The session's date, in days since 1970.
    Session,
    /// The slot's place in its session, from 0.
    Slot,
    /// How many slots the session has.
    Slots,
    /// Minutes from the session's open to the slot's start.
    Minute,
    /// Minutes from the slot's end to the session's close.
    ToClose,
    /// The date's day of the week: 1 Monday to 7 Sunday.
    Weekday,
    /// 1 if the session has another length than the usual one.
    HalfDay,
}

impl Field {
    /// Every field; a field's place here is its place in a row of inputs.
    pub const ALL: [Self; 15] = [
        Self::Open,
        Self::High,
        Self::Low,
        Self::Close,
        Self::Volume,
        Self::Vwap,
        Self::Trades,
        Self::Amount,
        Self::Session,
        Self::Slot,
        Self::Slots,
        Self::Minute,
        Self::ToClose,
        Self::Weekday,
        Self::HalfDay,
    ];

    /// Its place in a row of inputs.
    pub const fn place(self) -> usize {
        self as usize
    }

    /// The word for it, without `$`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::High => "high",
            Self::Low => "low",
            Self::Close => "close",
            Self::Volume => "volume",
            Self::Vwap => "vwap",
            Self::Trades => "trades",
            Self::Amount => "amount",
            Self::Session => "session",
            Self::Slot => "slot",
            Self::Slots => "slots",
            Self::Minute => "minute",
            Self::ToClose => "to_close",
            Self::Weekday => "weekday",
            Self::HalfDay => "half_day",
        }
    }
}

/// What a cell depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// On the same slot only.
    Elementwise,
    /// On the last slots, as many as its lookback says.
    Window,
    /// On all slots since the begin.
    Recursive,
}

/// What a node computes of its inputs. Inputs come in the order in which `docs/FEATURES.md` names
/// them, [`crate::Node::slots`] holds N or k, [`crate::Node::numbers`] the other numbers.
#[allow(missing_docs, reason = "docs/FEATURES.md says what each is")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// A field; no inputs.
    Field(Field),
    /// A constant: the only number; no inputs.
    Number,

    // Elementwise.
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Neg,
    Abs,
    Sign,
    Sqrt,
    Log,
    Log1p,
    Exp,
    Tanh,
    Sigmoid,
    Power,
    SignedPower,
    Greater,
    Less,
    Gt,
    Ge,
    Lt,
    Le,
    Eq,
    Ne,
    And,
    Or,
    Not,
    If,
    Coalesce,
    IsNull,
    IsValid,

    // Windows: one series.
    /// The cell `slots` ago.
    Ref,
    Sum,
    Mean,
    Count,
    CountIf,
    Frac,
    /// Numbers: ddof. Likewise `Std`.
    Var,
    Std,
    Sem,
    Cv,
    ZScore,
    Skew,
    Kurt,
    Mad,
    MedAd,
    Max,
    Min,
    IdxMax,
    IdxMin,
    /// Like `IdxMax`, but the newest of equals. Likewise `LastIdxMin`.
    LastIdxMax,
    LastIdxMin,
    /// Numbers: q.
    Quantile,
    Rank,
    Wma,
    /// Numbers: a.
    DecayExp,
    Slope,
    Rsquare,
    Resi,
    Fitted,
    Intercept,
    Prod,
    BarsSince,

    // Windows: two series.
    Beta,
    Alpha,
    ResiXy,
    RsqXy,
    /// Numbers: ddof.
    Cov,
    Corr,
    RankCorr,
    Vwap,
    ValueWhen,

    // Recursions.
    Ema,
    EwmVar,
    Emas,
    Wilder,
    /// Wilder's running sum as TA-Lib seeds it: the sum of the first `slots - 1` valid values, then
    /// s - s/N + x; first seen with value number `slots`.
    WilderSum,
    Kama,
    /// Over a session; the second input is `$session`. Likewise all that follow.
    CumSum,
    CumMax,
    CumMin,
    CumCount,
    /// The first valid value of the session.
    CumFirst,
    /// The last valid value before the session.
    PrevLast,

    // From other slots than its own.
    /// The input, of a coarser context: its last slot that has ended.
    At,
    /// The input, of another instrument's context: its slot of the same start.
    Of,
}
