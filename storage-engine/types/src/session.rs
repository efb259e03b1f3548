//! Which hours of a trading day count, and where its bars begin.

/// The hours of a session that are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionSet {
    /// From the open to the close.
    #[default]
    Regular,
    /// From before the open to after the close, where the venue trades then.
    Extended,
    /// Whenever something trades: as extended, and every instant where there is no calendar.
    All,
}

impl SessionSet {
    /// Every set, fewest hours first.
    pub const ALL: [Self; 3] = [Self::Regular, Self::Extended, Self::All];

    /// The name users write.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::Extended => "extended",
            Self::All => "all",
        }
    }

    /// The set of that name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.name() == name)
    }
}

/// Where bars that are shorter than a day begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Align {
    /// At the start of the session, then a step apart: 09:30, 10:30.
    #[default]
    Session,
    /// At multiples of the step from 00:00 UTC: 09:00, 10:00.
    Clock,
}

impl Align {
    /// Every alignment.
    pub const ALL: [Self; 2] = [Self::Session, Self::Clock];

    /// The name users write.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Clock => "clock",
        }
    }

    /// The alignment of that name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|align| align.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_what_they_name() {
        for set in SessionSet::ALL {
            assert_eq!(SessionSet::parse(set.name()), Some(set));
        }
        for align in Align::ALL {
            assert_eq!(Align::parse(align.name()), Some(align));
        }
        assert_eq!(SessionSet::parse("night"), None);
        assert_eq!(Align::parse("Clock"), None);
    }
}
