//! The curated layer against a plain model: random schedules of rows and facts, then the same
//! questions to both.
//!
//! An *episode* is one store from its creation to its end, made from one seed: batches of bars,
//! claims, halts, outages, calendar days, bindings, settings and retractions come in, alone and in
//! groups; it is flushed, compacted, its gap masks and tiles are written, it is closed and opened
//! again, it crashes. After every act questions at random (`as_of`, `at_sequence`), new ones and
//! some that were asked before, are put to the engine and to the model, and every cell of the
//! answers must be equal: slot, reason, candidate, and the row bit for bit.
//!
//! One act with the questions after it counts as one schedule: what the store holds then is one
//! more random history. The default is what CI can afford; the whole proof is one command:
//!
//! ```text
//! BARROW_CURATED_SCHEDULES=1000000 cargo test --release -p barrow-tests --test curated
//! ```
//!
//! `BARROW_CURATED_FIRST` is the first seed, if not 0. A failing episode prints its seed, its last
//! acts, the question and both answers; `BARROW_CURATED_SEED` runs that episode alone and tells all
//! of its acts.

mod answer;
mod batches;
mod episode;
mod features;
mod live;
mod story;
mod tally;
mod vintage;

use barrow_tests::console::{say, setting};
use barrow_tests::workers::on_all_cores;

use crate::episode::Episode;
use crate::tally::Tally;

const SCHEDULES: u64 = 10_000;

#[test]
fn engine_and_model_give_the_same_curated_answers() {
    let wanted = setting("BARROW_CURATED_SCHEDULES").unwrap_or(SCHEDULES);
    let first = setting("BARROW_CURATED_FIRST").unwrap_or(0);
    let only = setting("BARROW_CURATED_SEED");
    let pieces = if only.is_some() { 1 } else { usize::MAX };
    let mut total = Tally::default();
    let run = |piece| Episode::run(only.unwrap_or(first + piece as u64), only.is_some());
    on_all_cores(pieces, run, |tally| {
        total.add(&tally);
        total.schedules < wanted
    });
    say(&total.to_string());
}
