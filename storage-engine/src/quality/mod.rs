//! Quality rules: what is odd about rows that can be stored truthfully.
//!
//! A rule is data: [`RULES`] has one line for each, facts change how a dataset applies it
//! ([`RuleSet`]). Which rows a rule fires on is a function of the rows of one series that are
//! visible at (T, N), in order of `ts`, and of facts: nothing else, so a verdict never depends on
//! another. A rule looks at a bounded number of rows around the one it judges ([`Context`]), so a
//! part of a series is judged as the whole would be.
//!
//! | file | holds |
//! |---|---|
//! | `table.rs` | the rules: ids, thresholds, meanings |
//! | `settings.rs` | [`RuleSet`]: the table with what facts say of a dataset |
//! | `fired.rs` | [`Fired`]: a set of rules |
//! | `view.rs` | what rules see of rows |
//! | `places.rs` | where rows lie in a calendar |
//! | `single.rs` | rules about a row by itself: `ohlc_order`, `price_positive`, `size_nonneg`, `vwap_in_range`, `crossed_locked`; with facts `tick_size`, `off_session` |
//! | `volume.rs` | `zero_volume_bar`, `volume_spike` |
//! | `stale.rs` | `stale_price` |
//! | `spike.rs` | `spike`, and the scale of the returns before a row |
//! | `split.rs` | `split_suspect`, `adj_continuity` |
//! | `unit.rs` | `unit_error` |
//! | `sorted.rs` | the sorted values of a sliding window |
//! | `judge.rs` | [`Judge`]: a range of a series, read with its context |
//! | `verdicts.rs` | which of the rows on which rules fire are quarantined, and which flagged |

mod fire;
mod fired;
mod judge;
mod places;
mod settings;
mod single;
mod sorted;
mod spike;
mod split;
mod stale;
mod table;
#[cfg(test)]
mod tests;
mod unit;
mod verdicts;
mod view;
mod volume;

pub use fired::Fired;
pub use judge::{Context, Subject, context};
pub use settings::{RuleSet, Setting, validate};
pub use table::{Action, RULES, Rule, RuleId, Scope, Severity, Threshold};
pub use verdicts::MANUAL;

pub(crate) use fire::turned_away;
pub(crate) use judge::{Judge, Seen, is_judged};
pub(crate) use places::{day_of, places};
pub(crate) use verdicts::{Settled, Verdicts};
