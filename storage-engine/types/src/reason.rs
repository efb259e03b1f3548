//! Why a slot or cell is empty.

/// The reason of a slot or cell. The numbers are what files and users hold: frozen. Of those that
/// apply the lowest wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Reason {
    /// There is a value.
    Ok = 0,
    /// The calendar expects nothing.
    Closed = 1,
    /// The instrument was not listed.
    NotListed = 2,
    /// The slot has not ended, or its source has not had the time to publish it.
    NotDue = 3,
    /// The source says that this is all there is.
    NoTrade = 4,
    /// Trading was halted.
    Halted = 5,
    /// The source delivered nothing, whatever happened.
    Outage = 6,
    /// There is a row that must not be used.
    Quarantined = 7,
    /// Nobody knows.
    Missing = 8,
    /// A window has not begun long enough ago.
    WarmUp = 9,
    /// A window holds too few values.
    TooFew = 10,
    /// The result is not a finite number.
    NonFinite = 11,
    /// The instrument was not in the universe.
    NotInUniverse = 12,
    /// Something that the value depends on is absent.
    DependencyNull = 13,
}

impl Reason {
    /// Every reason, in order.
    pub const ALL: [Self; 14] = [
        Self::Ok,
        Self::Closed,
        Self::NotListed,
        Self::NotDue,
        Self::NoTrade,
        Self::Halted,
        Self::Outage,
        Self::Quarantined,
        Self::Missing,
        Self::WarmUp,
        Self::TooFew,
        Self::NonFinite,
        Self::NotInUniverse,
        Self::DependencyNull,
    ];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Closed => "closed",
            Self::NotListed => "not_listed",
            Self::NotDue => "not_due",
            Self::NoTrade => "no_trade",
            Self::Halted => "halted",
            Self::Outage => "outage",
            Self::Quarantined => "quarantined",
            Self::Missing => "missing",
            Self::WarmUp => "warm_up",
            Self::TooFew => "too_few",
            Self::NonFinite => "non_finite",
            Self::NotInUniverse => "not_in_universe",
            Self::DependencyNull => "dependency_null",
        }
    }

    /// Its number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}
