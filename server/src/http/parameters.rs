//! The parameters that several routes have, each said once.

use barrow_engine::Fallback;
use barrow_types::{Adjust, Align, PriceSide, SessionSet, Step};

use super::encode::Format;
use super::ingest::DATASETS;
use super::openapi::{Param, Type};

/// The lengths of bars.
pub(crate) const STEPS: Type = Type::Words(|| {
    Step::ALL.iter().filter(|step| **step != Step::Tick).map(|s| s.name()).collect()
});
/// The price sides.
pub(crate) const SIDES: Type = Type::Words(|| PriceSide::ALL.map(PriceSide::name).to_vec());
/// The hours of sessions.
pub(crate) const SESSIONS: Type = Type::Words(|| SessionSet::ALL.map(SessionSet::name).to_vec());
/// Where bars begin.
pub(crate) const ALIGNS: Type = Type::Words(|| Align::ALL.map(Align::name).to_vec());
/// Ways to adjust.
pub(crate) const ADJUSTS: Type = Type::Words(|| Adjust::ALL.map(Adjust::name).to_vec());
/// What becomes of slots that the first source does not have.
pub(crate) const FALLBACKS: Type = Type::Words(|| Fallback::ALL.map(Fallback::name).to_vec());
/// The datasets of market data.
pub(crate) const MARKET: Type = Type::Words(|| DATASETS.map(|schema| schema.name).to_vec());

const SEQUENCE: Type = Type::Within(0, u64::MAX);

pub(crate) const SYMBOLS: Param =
    Param::new("symbols", Type::List(&Type::Text), "Symbols, joined by commas; none twice");
pub(crate) const START: Param = Param::new(
    "start",
    Type::When,
    "Where the range begins: a time with an offset, nanoseconds since 1970, or a date, which is a \
     session by the calendar of each symbol. Left out: with the first row",
);
pub(crate) const END: Param = Param::new(
    "end",
    Type::When,
    "Where the range ends, which is no longer part of it; as start. Left out: with the last row",
);
pub(crate) const FREQUENCY: Param = Param::new("frequency", STEPS, "The length of the bars");
pub(crate) const TIMEFRAME: Param = Param::new("timeframe", STEPS, "The length of the bars");
pub(crate) const SOURCE: Param =
    Param::new("source", Type::Text, "Only what this source delivered");
pub(crate) const PRICE: Param = Param::new("price", SIDES, "The price side");
pub(crate) const PRICES: Param =
    Param::new("price", Type::List(&SIDES), "Price sides, joined by commas").or("[\"trade\"]");
/// The one side of trades.
pub(crate) const TRADE: Param =
    Param::new("price", Type::Words(|| vec!["trade"]), "Trades are of one side").or("\"trade\"");
pub(crate) const SESSION: Param = Param::new("session", SESSIONS, "Which hours of a session");
pub(crate) const ALIGN: Param = Param::new(
    "align",
    ALIGNS,
    "Whether bars begin with the session or at full steps of the clock",
);
pub(crate) const FALLBACK: Param = Param::new(
    "fallback",
    FALLBACKS,
    "Where the first source has nothing: take no other, another for the whole session, or for the \
     slot. Left out: as the settings of the dataset say",
);
pub(crate) const SYMBOLS_ASOF: Param = Param::new(
    "symbols_asof",
    Type::When,
    "When symbols have the meaning that is asked for. Left out: at the end of the range",
);
pub(crate) const AS_OF: Param =
    Param::new("as_of", Type::When, "Answer from what was known then. Left out: now");
pub(crate) const AT_SEQUENCE: Param = Param::new(
    "at_sequence",
    SEQUENCE,
    "Answer from what was held when this record had come. Left out: from all",
);
pub(crate) const MIN_SEQUENCE: Param = Param::new(
    "min_sequence",
    SEQUENCE,
    "Wait until this record is visible, for a bounded time; then 503",
);
pub(crate) const CONSISTENCY: Param = Param::new(
    "consistency",
    Type::Words(|| vec!["eventual", "strict"]),
    "Whether the answer may be of a moment ago. Ranges are always of now",
);
pub(crate) const COLUMNS: Param =
    Param::new("columns", Type::List(&Type::Text), "Only these columns, in this order");
pub(crate) const LIMIT: Param =
    Param::new("limit", Type::Within(1, u32::MAX as u64), "Rows of a page. Left out: all");
pub(crate) const CURSOR: Param =
    Param::new("cursor", Type::Text, "The cursor of the page before, to go on behind it");
pub(crate) const TZ: Param =
    Param::new("tz", Type::Text, "The time zone of times in JSON and CSV, such as Europe/London")
        .or("\"UTC\"");
pub(crate) const FORMAT: Param = Param::new(
    "format",
    Type::Words(|| Format::ALL.map(Format::name).to_vec()),
    "The format of the answer. Left out: as Accept says",
);
pub(crate) const BATCH_ID: Param = Param::new(
    "batch_id",
    Type::Text,
    "A name of yours: the same request under the same name is done once. Left out: a new one",
);
pub(crate) const GROUPS: Param = Param::new(
    "groups",
    Type::List(&Type::Text),
    "Groups of features, NAME or NAME@VERSION, joined by commas",
)
.required();
pub(crate) const REASONS: Param =
    Param::new("reasons", Type::Flag, "Show beside each feature why it is null").or("false");
pub(crate) const LAYER: Param = Param::new(
    "layer",
    Type::Words(|| vec!["raw", "curated"]),
    "Rows as received, or a row a slot",
);
pub(crate) const RAW: Param =
    Param::new("layer", Type::Words(|| vec!["raw"]), "Rows as received").or("\"raw\"");
pub(crate) const REVISIONS: Param = Param::new(
    "revisions",
    Type::Words(|| vec!["all"]),
    "Rows that were corrected or taken back, too. Left out: the rows that hold",
);

/// The dataset in a path.
pub(crate) const DATASET: Param =
    Param::new("dataset", Type::Text, "bars, trades, quotes or a table").required();
/// The dataset of market data in a path.
pub(crate) const MARKET_DATASET: Param = Param::new("dataset", MARKET, "The dataset").required();
/// A name in a path.
pub(crate) const NAME: Param = Param::new("name", Type::Text, "The name").required();
/// An id in a path.
pub(crate) const ID: Param = Param::new("id", Type::Text, "The id").required();
