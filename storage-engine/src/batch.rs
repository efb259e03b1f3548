//! What comes in and what is answered.

use barrow_types::{DatasetId, Nanos, PriceSide, Sequence, Step, Timestamp};

use crate::quality::RuleId;
use crate::rows::Column;

/// Longest batch id, in bytes.
pub const BATCH_ID_LEN_MAX: usize = 128;

/// Longest raw text kept of one rejected row; what is longer is cut there, at a character.
pub const RAW_LEN_MAX: usize = 4_096;

/// How many rejected rows an answer lists; the rest are in the dead letters.
pub const ERRORS_MAX: usize = 100;

/// Since when the rows of a batch count as known, where a row does not state it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KnownAt {
    /// Since they came in.
    #[default]
    Ingest,
    /// A load of history: since this long after the bar's end, but never later than they came in.
    /// Dates only the first row of a key, and marks it as assumed. A tick ends at its `ts`.
    TsEnd(Nanos),
}

/// What a batch does to its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Brings rows.
    Insert,
    /// Takes away what is visible under (symbol, `ts`); its rows have no values. Events are taken
    /// away one by one: its rows repeat the values of those that go. Nothing is erased.
    Retract,
}

/// What a source delivers under one dataset and step, where the batch says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFacts {
    /// `regular`, `extended` or `all`.
    pub session: String,
    /// `session` or `clock`.
    pub align: String,
}

/// That what a source has delivered for a range of time is all there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Of which symbol; [`crate::dataset::facts::EVERY_SYMBOL`] for all.
    pub symbol: String,
    /// The first instant of the range.
    pub start: Timestamp,
    /// Its end, not in it; not in the future.
    pub end: Timestamp,
    /// Why it is said.
    pub origin: ClaimOrigin,
}

/// Why a claim is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimOrigin {
    /// The sender of a batch says that it covers the range.
    Covers,
    /// An import was said to be complete.
    Complete,
    /// The source's watermark has passed.
    Watermark,
    /// As [`Self::Covers`], and what stands there and is not in the batch is taken back by it.
    Replaces,
}

impl ClaimOrigin {
    /// Every origin.
    pub const ALL: [Self; 4] = [Self::Covers, Self::Complete, Self::Watermark, Self::Replaces];

    /// The origin of that name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|origin| origin.name() == name)
    }

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Covers => "covers",
            Self::Complete => "complete",
            Self::Watermark => "watermark",
            Self::Replaces => "replaces",
        }
    }
}

/// The symbol of every row: a place in `names`.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    /// Distinct names, as they came; not yet checked.
    pub names: Vec<String>,
    /// One place in `names` a row; [`Symbols::NONE`] where the row has no symbol.
    pub of_row: Vec<u32>,
}

impl Symbols {
    /// The place of a row without a symbol.
    pub const NONE: u32 = u32::MAX;

    /// `rows` rows of one symbol.
    pub fn one(name: &str, rows: usize) -> Self {
        Self { names: vec![name.to_owned()], of_row: vec![0; rows] }
    }
}

/// A row that could not even be read; it becomes a dead letter like any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its number in the batch, or its line in the file.
    pub row: u64,
    /// A word: `unreadable`, `too_few_fields`.
    pub reason: String,
    /// What was wrong, for a person.
    pub detail: String,
    /// The row as it came.
    pub raw: String,
    /// Its symbol and `ts`, where they could be read: the slot that it leaves empty is known then.
    /// The dead letter does not hold them.
    pub key: Option<(String, i64)>,
}

/// Rows on their way in: all of one dataset, step, side and source. One request, one batch, one
/// record of the log: it becomes durable and visible as a whole or not at all.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Chosen by the sender; the same id with the same content is answered again, not stored again.
    pub id: String,
    /// The table.
    pub dataset: DatasetId,
    /// Who delivers.
    pub source: String,
    /// How long the bars are.
    pub step: Step,
    /// Which price they are about.
    pub side: PriceSide,
    /// Since when rows that do not say so are known.
    pub known_at_policy: KnownAt,
    /// Facts about the source to be stored with the batch.
    pub facts: Option<SourceFacts>,
    /// What it claims to be all of, for its source, step and side; a retraction takes these claims
    /// back. Not taken if a row is rejected that does not tell its symbol and time, because it may
    /// lie in any gap; nothing is replaced then either.
    pub claims: Vec<Claim>,
    /// What to do.
    pub act: Act,
    /// Whether it is an import: rules that turn rows away only flag them then, because a file is
    /// kept as it is.
    pub is_import: bool,
    /// The rows' symbols.
    pub symbols: Symbols,
    /// The rows' event times, i64 nanoseconds; as long as `symbols.of_row`.
    pub ts: Column,
    /// The rows' own publication times, where they state one.
    pub known_at: Option<Column>,
    /// The user columns in the schema's order; empty for [`Act::Retract`] of what is not an event.
    pub columns: Vec<Column>,
    /// The number of each row as the sender counts, for errors; its place if left out.
    pub numbers: Option<Vec<u64>>,
    /// The text of each row as it came, for the dead letters; rendered from the columns if left
    /// out.
    pub raw: Option<Column>,
    /// Rows that could not be read.
    pub refused: Vec<Refused>,
}

impl Batch {
    /// The number of row `at` as the sender counts.
    pub(crate) fn number(&self, at: usize) -> u64 {
        self.numbers.as_ref().map_or(at as u64, |numbers| numbers[at])
    }

    /// How many rows it brings, readable or not.
    pub fn row_count(&self) -> u64 {
        self.symbols.of_row.len() as u64 + self.refused.len() as u64
    }
}

/// Why the door rejects a row: it cannot be stored truthfully, or a rule says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The symbol is missing or cannot be a name.
    BadSymbol,
    /// There is no `ts`.
    MissingTs,
    /// `ts` is so far from now that the bar's end could not be told.
    TsOutOfRange,
    /// `ts` lies in the future.
    FutureTs,
    /// A column that must have a value has none.
    MissingValue,
    /// A number is NaN or infinite.
    NonFinite,
    /// The stated `known_at` lies after the ingest.
    FutureKnownAt,
    /// A quote with neither bid nor ask.
    NoSide,
    /// A retraction of a key under which nothing is visible.
    NothingToRetract,
    /// A quality rule fires whose action is to reject.
    Rule(RuleId),
}

impl Reason {
    /// The word for it in answers and dead letters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadSymbol => "bad_symbol",
            Self::MissingTs => "missing_ts",
            Self::TsOutOfRange => "ts_out_of_range",
            Self::FutureTs => "future_ts",
            Self::MissingValue => "missing_value",
            Self::NonFinite => "non_finite",
            Self::FutureKnownAt => "future_known_at",
            Self::NoSide => "no_side",
            Self::NothingToRetract => "nothing_to_retract",
            Self::Rule(rule) => rule.name(),
        }
    }
}

/// A rejected row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// Its number in the batch, or its line in the file.
    pub row: u64,
    /// [`Reason::name`], or the word of whoever could not read it.
    pub reason: String,
    /// What was wrong and with which field.
    pub detail: String,
}

/// What became of a batch's rows; together they are all its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// First rows of their key, or the first after a retraction; retractions that took one away.
    pub accepted: u64,
    /// Equal to what was visible; ignored.
    pub duplicates: u64,
    /// Another value for a known key.
    pub corrected: u64,
    /// Stored, but something later-known stands above them.
    pub superseded: u64,
    /// Not stored as rows but as dead letters, with a reason.
    pub rejected: u64,
}

impl Counts {
    /// All rows of the batch.
    pub const fn total(&self) -> u64 {
        self.accepted + self.duplicates + self.corrected + self.superseded + self.rejected
    }
}

/// The answer to a batch that is durable and visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The batch.
    pub batch_id: String,
    /// The record that holds it.
    pub sequence: Sequence,
    /// When it came in; `known_at` of its rows that do not state one.
    pub now: Timestamp,
    /// What became of its rows.
    pub counts: Counts,
    /// The first [`ERRORS_MAX`] rejected rows. Empty in the answer to a repeated batch, whose
    /// rejected rows are in the dead letters.
    pub errors: Vec<RowError>,
    /// Claims that were taken, those that were there already among them.
    pub claims: u64,
    /// Stored rows that it took away, because it replaces a range and does not bring them.
    pub retracted: u64,
    /// Whether the batch was there before and nothing was stored now.
    pub repeated: bool,
}
