//! Marks of keys that a batch held more than once: its equal rows are not stored, and of those that
//! differ only one is visible, so nothing else would tell.

use barrow_types::{DatasetId, Source};

use crate::batch::{Act, Batch};
use crate::quality::{RuleId, is_judged};
use crate::rows::{Column, Texts, Values};

use super::claims;
use super::incoming::Incoming;
use super::outcome::Decided;

/// The marks as rows; `None` if there are none.
pub(super) fn batch(
    of: &Batch,
    source: &Source,
    incoming: &Incoming,
    decided: &Decided,
) -> Option<Batch> {
    if !is_judged(of.dataset) || of.act != Act::Insert {
        return None;
    }
    let mut marks = Vec::new();
    for repeated in &decided.repeated {
        let place = incoming.places[repeated.at] as usize;
        let symbol = &of.symbols.names[of.symbols.of_row[place] as usize];
        let counts = [
            (RuleId::DuplicateKey, repeated.duplicates),
            (RuleId::ConflictingDuplicate, repeated.conflicts),
        ];
        for (rule, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            let count = i64::try_from(count).expect("invariant: a batch has fewer rows");
            marks.push((symbol.as_str(), incoming.ts[repeated.at], rule.name(), count));
        }
    }
    let rules: Texts = marks.iter().map(|mark| mark.2).collect();
    let columns = vec![
        Column::new(Values::Text(rules)),
        Column::new(Values::I64(marks.iter().map(|mark| mark.3).collect())),
        claims::dataset(of, marks.len()),
    ];
    let ts = marks.iter().map(|mark| mark.1).collect();
    let symbols = marks.iter().map(|mark| mark.0);
    claims::rows(of, source, DatasetId::REPEATS, symbols, ts, columns)
}
