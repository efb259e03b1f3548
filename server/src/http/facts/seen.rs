//! Facts as they are visible at some (T, N), to be listed.

use barrow_engine::rows::{Column, Rows, Values};
use barrow_engine::{Revisions, Scan, Snapshot};
use barrow_types::{DatasetId, Sequence, SeriesKey, Timestamp};

use super::super::error::Problem;
use super::super::params::Params;
use super::super::time::parse_parameter;
use super::stated::schema_of;

/// Facts in one answer.
const FACTS_MAX: usize = 100_000;

/// At which (T, N), and which facts.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// T.
    pub(crate) as_of: Option<Timestamp>,
    /// N.
    pub(crate) at_sequence: Option<Sequence>,
    /// Only about these.
    symbols: Option<Vec<String>>,
    /// Only of this source.
    source: Option<String>,
}

impl Wanted {
    /// What `as_of`, `at_sequence`, `symbols` and `source` say.
    pub(crate) fn read(params: &Params) -> Result<Self, Problem> {
        let symbols = match params.get("symbols") {
            Some(_) => Some(params.symbols()?),
            None => None,
        };
        let symbols = symbols.map(|all| all.iter().map(ToString::to_string).collect());
        Ok(Self {
            as_of: params.read("as_of", parse_parameter)?,
            at_sequence: params.integer("at_sequence")?.map(Sequence::new),
            symbols,
            source: params.source()?.map(|source| source.as_str().to_owned()),
        })
    }

    /// All facts of a series that are visible with `ts` before `end`.
    fn of_series<T>(
        &self,
        snapshot: &Snapshot,
        series: (barrow_types::SeriesId, &SeriesKey),
        seen: &mut Vec<T>,
        read: &mut impl FnMut(&Seen<'_>) -> Option<T>,
    ) -> Result<(), Problem> {
        let schema = schema_of(series.1.dataset);
        let scan = Scan {
            series: series.0,
            start: Timestamp::MIN,
            end: Timestamp::MAX,
            columns: schema.columns.iter().map(|column| column.id).collect(),
            as_of: self.as_of,
            at_sequence: self.at_sequence,
            revisions: Revisions::Visible,
        };
        let mut scanner = snapshot.scan(scan).map_err(|error| Problem::read(&error))?;
        while let Some(rows) = scanner.next().map_err(|error| Problem::read(&error))? {
            for at in 0..rows.len() {
                seen.extend(read(&Seen { key: series.1, rows: &rows, at }));
            }
            if seen.len() > FACTS_MAX {
                let fault = format!("more than {FACTS_MAX} facts: ask for fewer symbols at a time");
                return Err(Problem::parameter("symbols", fault));
            }
        }
        Ok(())
    }

    /// What `read` makes of the visible facts of `dataset`, series by series in order of subject.
    pub(crate) fn facts<T>(
        &self,
        snapshot: &Snapshot,
        dataset: DatasetId,
        mut read: impl FnMut(&Seen<'_>) -> Option<T>,
    ) -> Result<Vec<T>, Problem> {
        let mut all = match &self.symbols {
            None => snapshot.series(dataset, None),
            Some(symbols) => symbols
                .iter()
                .flat_map(|symbol| snapshot.series(dataset, Some(symbol.as_str())))
                .collect(),
        };
        let source = self.source.as_deref();
        all.retain(|(_, key)| source.is_none_or(|source| key.source.as_str() == source));
        all.sort_by(|(_, a), (_, b)| a.cmp(b));
        let mut seen = Vec::new();
        for (series, key) in &all {
            self.of_series(snapshot, (*series, key), &mut seen, &mut read)?;
        }
        Ok(seen)
    }
}

/// A visible fact.
pub(crate) struct Seen<'a> {
    /// Its series.
    pub(crate) key: &'a SeriesKey,
    rows: &'a Rows,
    at: usize,
}

impl Seen<'_> {
    /// Since when it holds.
    pub(crate) fn ts(&self) -> Timestamp {
        Timestamp::from_nanos(self.rows.ts[self.at])
    }

    /// Since when it is known.
    pub(crate) fn known_at(&self) -> Timestamp {
        Timestamp::from_nanos(self.rows.known_at[self.at])
    }

    /// The record that brought it.
    pub(crate) fn sequence(&self) -> u64 {
        self.rows.sequence[self.at]
    }

    fn column(&self, place: usize) -> Option<&Column> {
        Some(&self.rows.columns[place]).filter(|column| column.is_valid(self.at))
    }

    /// A text of it.
    pub(crate) fn text(&self, place: usize) -> Option<&str> {
        match &self.column(place)?.values {
            Values::Text(texts) => Some(texts.get(self.at)),
            _ => None,
        }
    }

    /// A whole number of it.
    pub(crate) fn long(&self, place: usize) -> Option<i64> {
        match &self.column(place)?.values {
            Values::I64(values) => Some(values[self.at]),
            _ => None,
        }
    }
}
