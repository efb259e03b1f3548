//! Questions about features, and how they are written in a URL.

use std::time::Duration;

use crate::when::When;

/// Texts of those that are there.
fn push(pairs: &mut Vec<(&'static str, String)>, all: &[(&'static str, &Option<String>)]) {
    for (name, value) in all {
        if let Some(value) = value {
            pairs.push((name, value.clone()));
        }
    }
}

fn names<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Vec<String> {
    names.into_iter().map(Into::into).collect()
}

fn word(flag: bool) -> Option<String> {
    flag.then(|| "true".to_owned())
}

/// The part of a query that all have.
macro_rules! clock_methods {
    () => {
        /// From what was known then.
        #[must_use]
        pub fn as_of(mut self, at: impl Into<When>) -> Self {
            self.as_of = Some(at.into().into());
            self
        }

        /// From what Barrow held then: a token of an earlier answer.
        #[must_use]
        pub fn at_sequence(mut self, token: impl Into<String>) -> Self {
            self.at_sequence = Some(token.into());
            self
        }
    };
}

/// The part of a query whose rows may each be of their own time.
macro_rules! vintage_method {
    () => {
        /// `live`: each row as it was known when it could first be had; `final`, also if left out:
        /// as it is known now.
        #[must_use]
        pub fn vintage(mut self, vintage: impl Into<String>) -> Self {
            self.vintage = Some(vintage.into());
            self
        }
    };
}

/// The part of a query whose answer is a table.
macro_rules! table_methods {
    () => {
        /// Beside each feature a column `feature__reason`: `ok`, or why the cell is null.
        #[must_use]
        pub const fn with_reasons(mut self) -> Self {
            self.reasons = true;
            self
        }

        /// CSV and JSON show times in this zone.
        #[must_use]
        pub fn tz(mut self, zone: impl Into<String>) -> Self {
            self.tz = Some(zone.into());
            self
        }
    };
}

/// The part of a query over slots.
macro_rules! range_methods {
    () => {
        /// Slots that start from `start` to before `end`.
        #[must_use]
        pub fn between(mut self, start: impl Into<When>, end: impl Into<When>) -> Self {
            self.start = Some(start.into().into());
            self.end = Some(end.into().into());
            self
        }

        /// Slots that start from this time on.
        #[must_use]
        pub fn start(mut self, start: impl Into<When>) -> Self {
            self.start = Some(start.into().into());
            self
        }

        /// Slots that start before this time.
        #[must_use]
        pub fn end(mut self, end: impl Into<When>) -> Self {
            self.end = Some(end.into().into());
            self
        }
    };
}

/// The cells of groups over a range of slots.
///
/// ```
/// use barrow_client::FeaturesQuery;
///
/// let query = FeaturesQuery::new(["core", "vol@6c1b1f0e22d0a9a4"], ["SPY", "IBM"])
///     .between("2013-10-07", "2013-10-08")
///     .with_reasons();
/// assert_eq!(query.groups.len(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeaturesQuery {
    /// Groups, `NAME` or `NAME@VERSION`, in the order of their columns; all with the same slots.
    pub groups: Vec<String>,
    /// Names, in the order the rows come.
    pub symbols: Vec<String>,
    /// First time: RFC 3339, `YYYY-MM-DD` (that session) or integer nanoseconds.
    pub start: Option<String>,
    /// End of the range, not in it.
    pub end: Option<String>,
    /// Whether the reason of each cell comes too.
    pub reasons: bool,
    /// Answer from what was known then.
    pub as_of: Option<String>,
    /// Answer from what Barrow held then.
    pub at_sequence: Option<String>,
    /// `live`: each row as it was known when it could first be had.
    pub vintage: Option<String>,
    /// Wait until the server holds this sequence.
    pub min_sequence: Option<String>,
    /// Columns wanted; all if empty.
    pub columns: Vec<String>,
    /// Most rows.
    pub limit: Option<u64>,
    /// Where an earlier answer stopped.
    pub cursor: Option<String>,
    /// The zone in which CSV and JSON show times.
    pub tz: Option<String>,
}

impl FeaturesQuery {
    /// Everything there is of these symbols.
    pub fn new<G: Into<String>, S: Into<String>>(
        groups: impl IntoIterator<Item = G>,
        symbols: impl IntoIterator<Item = S>,
    ) -> Self {
        Self { groups: names(groups), symbols: names(symbols), ..Self::default() }
    }

    range_methods!();
    clock_methods!();
    vintage_method!();
    table_methods!();

    /// From a state that holds at least this: the token that the answer to a batch gave, for
    /// reading what follows from what was just written.
    #[must_use]
    pub fn min_sequence(mut self, token: impl Into<String>) -> Self {
        self.min_sequence = Some(token.into());
        self
    }

    /// Only these columns, in this order.
    #[must_use]
    pub fn columns<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.columns = names.into_iter().map(Into::into).collect();
        self
    }

    /// At most so many rows; the answer's head then has a cursor if there are more.
    #[must_use]
    pub const fn limit(mut self, rows: u64) -> Self {
        self.limit = Some(rows);
        self
    }

    /// From where an earlier answer to the same query stopped, of the state that it was of.
    #[must_use]
    pub fn cursor(mut self, cursor: impl Into<String>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }

    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs =
            vec![("groups", self.groups.join(",")), ("symbols", self.symbols.join(","))];
        let columns = (!self.columns.is_empty()).then(|| self.columns.join(","));
        let all = [
            ("start", &self.start),
            ("end", &self.end),
            ("reasons", &word(self.reasons)),
            ("as_of", &self.as_of),
            ("at_sequence", &self.at_sequence),
            ("vintage", &self.vintage),
            ("min_sequence", &self.min_sequence),
            ("columns", &columns),
            ("limit", &self.limit.map(|limit| limit.to_string())),
            ("cursor", &self.cursor),
            ("tz", &self.tz),
        ];
        push(&mut pairs, &all);
        pairs
    }
}

/// The last slot of each symbol, or one that is named by its start.
///
/// ```
/// use std::time::Duration;
///
/// use barrow_client::LatestFeaturesQuery;
///
/// let query = LatestFeaturesQuery::new(["core"], ["SPY"]).max_age(Duration::from_secs(90));
/// assert_eq!(query.max_age.as_deref(), Some("90000ms"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LatestFeaturesQuery {
    /// Groups, `NAME` or `NAME@VERSION`, in the order of their columns; all with the same slots.
    pub groups: Vec<String>,
    /// Names, in the order the rows come.
    pub symbols: Vec<String>,
    /// How long ago a slot may have become available: `90s`, `5m`, `2h`, `1d`.
    pub max_age: Option<String>,
    /// Only the slot that starts then.
    pub slot: Option<String>,
    /// Whether a slot counts that has not ended.
    pub peek: bool,
    /// Whether the reason of each cell comes too.
    pub reasons: bool,
    /// Answer from what was known then.
    pub as_of: Option<String>,
    /// Answer from what Barrow held then.
    pub at_sequence: Option<String>,
    /// Whether rows that are kept ready are taken as they are, be they a commit behind.
    pub eventual: bool,
    /// Wait until the server holds this sequence.
    pub min_sequence: Option<String>,
    /// The zone in which CSV and JSON show times.
    pub tz: Option<String>,
}

impl LatestFeaturesQuery {
    /// The last slot of these symbols.
    pub fn new<G: Into<String>, S: Into<String>>(
        groups: impl IntoIterator<Item = G>,
        symbols: impl IntoIterator<Item = S>,
    ) -> Self {
        Self { groups: names(groups), symbols: names(symbols), ..Self::default() }
    }

    clock_methods!();
    table_methods!();

    /// Only slots that became available so long ago at most, to the millisecond.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(format!("{}ms", age.as_millis()));
        self
    }

    /// The slot that starts then, rather than the last.
    #[must_use]
    pub fn slot(mut self, start: impl Into<When>) -> Self {
        self.slot = Some(start.into().into());
        self
    }

    /// The rows that are kept ready, as they are: a commit of a moment ago may not be in them yet.
    #[must_use]
    pub const fn eventual(mut self) -> Self {
        self.eventual = true;
        self
    }

    /// From a state that holds at least this: the token that the answer to a batch gave, for
    /// reading what follows from what was just written.
    #[must_use]
    pub fn min_sequence(mut self, token: impl Into<String>) -> Self {
        self.min_sequence = Some(token.into());
        self
    }

    /// Also a slot that has not ended.
    #[must_use]
    pub const fn peek(mut self) -> Self {
        self.peek = true;
        self
    }

    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs =
            vec![("groups", self.groups.join(",")), ("symbols", self.symbols.join(","))];
        let all = [
            ("max_age", &self.max_age),
            ("slot", &self.slot),
            ("peek", &word(self.peek)),
            ("reasons", &word(self.reasons)),
            ("as_of", &self.as_of),
            ("at_sequence", &self.at_sequence),
            ("consistency", &self.eventual.then(|| "eventual".to_owned())),
            ("min_sequence", &self.min_sequence),
            ("tz", &self.tz),
        ];
        push(&mut pairs, &all);
        pairs
    }
}

/// One slot of each symbol, by an instant.
///
/// ```
/// use barrow_client::FeaturesAtQuery;
///
/// let query = FeaturesAtQuery::new(["core"], ["SPY"], "2013-10-07T14:00:00Z");
/// assert_eq!(query.mode, None, "the last slot that could be had then");
/// assert_eq!(query.exact().mode.as_deref(), Some("exact"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeaturesAtQuery {
    /// Groups, `NAME` or `NAME@VERSION`, in the order of their columns; all with the same slots.
    pub groups: Vec<String>,
    /// Names, in the order the rows come.
    pub symbols: Vec<String>,
    /// The instant: RFC 3339 or integer nanoseconds.
    pub ts: String,
    /// `latest` (also if left out): the last slot available at `ts`; `exact`: the one that starts
    /// then.
    pub mode: Option<String>,
    /// Whether the reason of each cell comes too.
    pub reasons: bool,
    /// Answer from what was known then.
    pub as_of: Option<String>,
    /// Answer from what Barrow held then.
    pub at_sequence: Option<String>,
    /// `live`: each row as it was known when it could first be had.
    pub vintage: Option<String>,
    /// The zone in which CSV and JSON show times.
    pub tz: Option<String>,
}

impl FeaturesAtQuery {
    /// The last slot of these symbols that could be had at `ts`.
    pub fn new<G: Into<String>, S: Into<String>>(
        groups: impl IntoIterator<Item = G>,
        symbols: impl IntoIterator<Item = S>,
        ts: impl Into<When>,
    ) -> Self {
        Self {
            groups: names(groups),
            symbols: names(symbols),
            ts: ts.into().into(),
            ..Self::default()
        }
    }

    clock_methods!();
    vintage_method!();
    table_methods!();

    /// The slot that starts at the instant.
    #[must_use]
    pub fn exact(mut self) -> Self {
        self.mode = Some("exact".to_owned());
        self
    }

    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("groups", self.groups.join(",")),
            ("symbols", self.symbols.join(",")),
            ("ts", self.ts.clone()),
        ];
        let all = [
            ("mode", &self.mode),
            ("reasons", &word(self.reasons)),
            ("as_of", &self.as_of),
            ("at_sequence", &self.at_sequence),
            ("vintage", &self.vintage),
            ("tz", &self.tz),
        ];
        push(&mut pairs, &all);
        pairs
    }
}

/// What is put beside rows of symbol and time.
///
/// ```
/// use barrow_client::FeaturesJoin;
///
/// let join = FeaturesJoin::new(["core"]).with_reasons();
/// assert_eq!(join.groups, ["core"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeaturesJoin {
    /// Groups, `NAME` or `NAME@VERSION`, in the order of their columns; all with the same slots.
    pub groups: Vec<String>,
    /// Whether the reason of each cell comes too.
    pub reasons: bool,
    /// Answer from what was known then.
    pub as_of: Option<String>,
    /// Answer from what Barrow held then.
    pub at_sequence: Option<String>,
    /// `live`: each row as it was known when it could first be had.
    pub vintage: Option<String>,
    /// The zone in which CSV and JSON show times.
    pub tz: Option<String>,
}

impl FeaturesJoin {
    /// These groups.
    pub fn new<G: Into<String>>(groups: impl IntoIterator<Item = G>) -> Self {
        Self { groups: names(groups), ..Self::default() }
    }

    clock_methods!();
    vintage_method!();
    table_methods!();

    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![("groups", self.groups.join(","))];
        let all = [
            ("reasons", &word(self.reasons)),
            ("as_of", &self.as_of),
            ("at_sequence", &self.at_sequence),
            ("vintage", &self.vintage),
            ("tz", &self.tz),
        ];
        push(&mut pairs, &all);
        pairs
    }
}

/// Which cells are checked.
///
/// ```
/// use barrow_client::FeaturesRange;
///
/// let range = FeaturesRange::new(["SPY"]).between("2013-10-07", "2013-10-08");
/// assert_eq!(range.symbols, ["SPY"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeaturesRange {
    /// Names.
    pub symbols: Vec<String>,
    /// First time: RFC 3339, `YYYY-MM-DD` (that session) or integer nanoseconds.
    pub start: Option<String>,
    /// End of the range, not in it.
    pub end: Option<String>,
    /// As it was known then.
    pub as_of: Option<String>,
    /// As Barrow held it then.
    pub at_sequence: Option<String>,
}

impl FeaturesRange {
    /// Everything there is of these symbols.
    pub fn new<S: Into<String>>(symbols: impl IntoIterator<Item = S>) -> Self {
        Self { symbols: names(symbols), ..Self::default() }
    }

    range_methods!();
    clock_methods!();

    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![("symbols", self.symbols.join(","))];
        let all = [
            ("start", &self.start),
            ("end", &self.end),
            ("as_of", &self.as_of),
            ("at_sequence", &self.at_sequence),
        ];
        push(&mut pairs, &all);
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pairs: Vec<(&str, String)>) -> String {
        let pairs = pairs.into_iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("&")
    }

    #[test]
    fn every_method_reaches_the_url_under_its_name() {
        let range = FeaturesQuery::new(["g", "h@1"], ["A", "B"]).between("0", "2").start("1");
        let range = range.with_reasons().as_of("3").at_sequence("4").min_sequence("5").limit(6);
        let range = range.columns(["ts", "x"]);
        let expected = "groups=g,h@1&symbols=A,B&start=1&end=2&reasons=true&as_of=3&at_sequence=4\
                        &min_sequence=5&columns=ts,x&limit=6&cursor=c&tz=UTC";
        assert_eq!(shown(range.end("2").cursor("c").tz("UTC").pairs()), expected);
        let latest = LatestFeaturesQuery::new(["g"], ["A"]).max_age(Duration::from_secs(2));
        let latest = latest.slot("1").peek().with_reasons().as_of("3").at_sequence("4").tz("UTC");
        let latest = latest.eventual().min_sequence("5");
        let expected = "groups=g&symbols=A&max_age=2000ms&slot=1&peek=true&reasons=true&as_of=3\
                        &at_sequence=4&consistency=eventual&min_sequence=5&tz=UTC";
        assert_eq!(shown(latest.pairs()), expected);
        let at = FeaturesAtQuery::new(["g"], ["A"], "1").exact().with_reasons();
        let expected = "groups=g&symbols=A&ts=1&mode=exact&reasons=true&as_of=3&at_sequence=4&tz=Z";
        assert_eq!(shown(at.clone().as_of("3").at_sequence("4").tz("Z").pairs()), expected);
        let live = shown(at.vintage("live").pairs());
        assert!(live.contains("&vintage=live"), "{live}");
        let join = FeaturesJoin::new(["g"]).with_reasons().as_of("3").at_sequence("4").tz("Z");
        let expected = "groups=g&reasons=true&as_of=3&at_sequence=4&tz=Z";
        assert_eq!(shown(join.pairs()), expected);
        let check = FeaturesRange::new(["A"]).between("1", "2").as_of("3").at_sequence("4");
        assert_eq!(shown(check.pairs()), "symbols=A&start=1&end=2&as_of=3&at_sequence=4");
    }

    #[test]
    fn a_query_names_only_what_was_asked_for() {
        assert_eq!(shown(FeaturesQuery::new(["g"], ["A"]).pairs()), "groups=g&symbols=A");
        assert_eq!(shown(LatestFeaturesQuery::new(["g"], ["A"]).pairs()), "groups=g&symbols=A");
        assert_eq!(shown(FeaturesJoin::new(["g"]).pairs()), "groups=g");
        assert_eq!(shown(FeaturesRange::new(["A"]).pairs()), "symbols=A");
    }
}
