//! The nouns of Barrow. This package depends on nothing and is imported by everything.
//!
//! | noun | meaning |
//! |---|---|
//! | [`Timestamp`] | an instant: nanoseconds since 1970-01-01T00:00:00Z, negative before it |
//! | [`Nanos`] | a span of time |
//! | [`Sequence`] | the number of a log record; the order in which Barrow learned things |
//! | [`Step`] | how long a bar is: a clock step from one second to one month, or none for ticks |
//! | [`SessionSet`], [`Align`] | which hours of a trading day count, and where its bars begin |
//! | [`Adjust`] | what prices are adjusted for |
//! | [`PriceSide`] | which price a series is about: trade, bid, ask or mid |
//! | [`Reason`] | why a slot or cell is empty |
//! | [`Symbol`], [`Source`] | names as received, checked once |
//! | [`SeriesKey`] | dataset, symbol as received, step, side and source: one raw series |
//! | [`SeriesId`] | its dense number inside one store |
//! | [`DatasetId`] | which kind of table a row belongs to |

mod adjust;
mod name;
mod reason;
mod series;
mod session;
mod step;
mod time;

pub use adjust::Adjust;
pub use name::{NAME_LEN_MAX, NameError, Source, Symbol};
pub use reason::Reason;
pub use series::{ColumnId, DatasetId, PriceSide, Sequence, SeriesId, SeriesKey};
pub use session::{Align, SessionSet};
pub use step::Step;
pub use time::{DAY_NANOS, Nanos, Timestamp, civil_from_days, days_from_civil};
