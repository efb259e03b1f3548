//! The name of a table's file: `<group>-<version>.<generation>.latest`.

use std::fmt;

/// The parts of the name of a table's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFileName {
    /// The group.
    pub group: String,
    /// Its version.
    pub version: String,
    /// The generation.
    pub generation: u64,
}

impl TableFileName {
    /// The parts of a name; `None` if it is no name of a table's file.
    pub fn parse(name: &str) -> Option<Self> {
        let (rest, generation) = name.strip_suffix(".latest")?.rsplit_once('.')?;
        let (group, version) = rest.rsplit_once('-')?;
        let generation = generation.parse().ok()?;
        let parts = Self { group: group.to_owned(), version: version.to_owned(), generation };
        (parts.to_string() == name).then_some(parts)
    }
}

impl fmt::Display for TableFileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}.{}.latest", self.group, self.version, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written_and_no_other_is_taken_for_one() {
        let name = "alpha_158-0123456789abcdef.12.latest";
        let parts = TableFileName::parse(name).unwrap();
        assert_eq!((parts.group.as_str(), parts.generation), ("alpha_158", 12));
        assert_eq!(parts.version, "0123456789abcdef");
        assert_eq!(parts.to_string(), name);
        for other in [
            "alpha-01.1.latest.tmp",
            "alpha-01.+1.latest",
            "alpha-01.01.latest",
            "alpha-01.latest",
            "alpha.1.latest",
            "alpha-01.1",
            "",
        ] {
            assert_eq!(TableFileName::parse(other), None, "{other}");
        }
    }
}
