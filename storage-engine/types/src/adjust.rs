//! What prices are adjusted for.

/// What prices are adjusted for: by a question, by a group of features or by their source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Adjust {
    /// Nothing: as traded.
    #[default]
    None,
    /// Splits.
    Splits,
    /// Splits and dividends.
    All,
}

impl Adjust {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::None, Self::Splits, Self::All];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Splits => "splits",
            Self::All => "all",
        }
    }

    /// The way of that name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.name() == name)
    }
}
