//! Cuts the rows of a large body into parts of at most one batch each, never inside a run of rows
//! of one (symbol, `ts`), whose places decide which of them counts.

use std::ops::Range;

use barrow_engine::batch::{
    Act, Batch, Claim, KnownAt, RAW_LEN_MAX, Refused, SourceFacts, Symbols,
};
use barrow_engine::dataset::Schema;
use barrow_engine::rows::{Column, Values};
use barrow_types::{PriceSide, Source, Step, Symbol};

use super::decode::Incoming;

/// Room that the number of a part takes in a batch id: `#` and ten digits.
pub(crate) const PART_LEN: usize = 11;

/// What all parts of a request have in common.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    /// The request's batch id; parts have `#1`, `#2` behind it.
    pub(crate) id: String,
    /// What rows of the dataset look like.
    pub(crate) schema: &'static Schema,
    /// Who delivers.
    pub(crate) source: Source,
    /// The length of the bars.
    pub(crate) step: Step,
    /// Which price.
    pub(crate) side: PriceSide,
    /// Since when rows are known that do not say so.
    pub(crate) known_at_policy: KnownAt,
    /// Facts about the source.
    pub(crate) facts: Option<SourceFacts>,
    /// What they are all of; the last part says it.
    pub(crate) claims: Vec<Claim>,
    /// What to do.
    pub(crate) act: Act,
    /// Whether rules flag what they would turn away.
    pub(crate) is_import: bool,
}

// What a batch takes in the log, from above: the engine refuses a larger one, so a part must never
// be. See the engine's record of rows.

/// Bytes of a batch beside its rows.
const HEAD_BYTES: u64 = 512;
/// Bytes of a stored row beside its columns: `ts`, flags, `known_at`, bits of validity.
const ROW_BYTES: u64 = 24;
/// Bytes of a block of rows of one series beside its rows and its symbol.
const SERIES_BYTES: u64 = 64;
/// Bytes of a claim beside its symbol: a row of a series of its own.
const CLAIM_BYTES: u64 = SERIES_BYTES + ROW_BYTES + 64;
/// Bytes of a dead letter beside its texts as they came; holds a row rendered from its columns.
const DEAD_BYTES: u64 = 640;

struct Cut {
    rows: Range<usize>,
    refused: Range<usize>,
    /// How many claims, after those of the cuts before.
    claims: usize,
}

/// The batches that `incoming` becomes, each of about `bytes_max` at most.
///
/// # Errors
/// One run of rows of one (symbol, `ts`) alone is larger.
pub(crate) fn batches(
    incoming: Incoming,
    common: &Common,
    bytes_max: u64,
) -> Result<Vec<Batch>, String> {
    let cuts = cuts(&incoming, common, bytes_max)?;
    if cuts.len() == 1 {
        let mut only = batch(incoming, common, common.id.clone());
        only.claims.clone_from(&common.claims);
        return Ok(vec![only]);
    }
    let mut claims = &common.claims[..];
    let mut batches = Vec::with_capacity(cuts.len());
    for (number, cut) in (1..).zip(cuts) {
        let part = slice(&incoming, &cut);
        let mut part = batch(part, common, format!("{}#{number}", common.id));
        (part.claims, claims) = (claims[..cut.claims].to_vec(), &claims[cut.claims..]);
        batches.push(part);
    }
    Ok(batches)
}

fn batch(incoming: Incoming, common: &Common, id: String) -> Batch {
    let Common { schema, source, step, side, known_at_policy, facts, act, .. } = common;
    Batch {
        id,
        dataset: schema.dataset,
        source: source.as_str().to_owned(),
        step: *step,
        side: *side,
        known_at_policy: *known_at_policy,
        facts: facts.clone(),
        claims: Vec::new(),
        act: *act,
        is_import: common.is_import,
        symbols: incoming.symbols,
        ts: incoming.ts,
        known_at: incoming.known_at,
        columns: incoming.columns,
        numbers: Some(incoming.numbers),
        raw: incoming.raw,
        refused: incoming.refused,
    }
}

fn cuts(incoming: &Incoming, common: &Common, bytes_max: u64) -> Result<Vec<Cut>, String> {
    let sizes = Sizes::new(incoming, common);
    let bytes_max = bytes_max.saturating_sub(HEAD_BYTES);
    let len = incoming.numbers.len();
    let mut cuts = Vec::new();
    let (mut start, mut run_start) = (0, 0);
    // Of the part so far, and of a part that would begin with this run.
    let (mut bytes, mut run_bytes) = (0, 0);
    for at in 0..len {
        let (row, series) = sizes.of(at);
        if at == 0 || !same_key(incoming, at - 1, at) {
            run_start = at;
            run_bytes = series;
        }
        let symbols = &incoming.symbols.of_row;
        // Counted for each run of a symbol, though runs of one symbol share their block.
        bytes += if at == 0 || symbols[at - 1] != symbols[at] { row + series } else { row };
        run_bytes += row;
        if bytes <= bytes_max {
            continue;
        }
        if run_bytes > bytes_max {
            let (first, last) = (incoming.numbers[run_start], incoming.numbers[at]);
            return Err(format!(
                "rows {first} to {last} have one symbol and ts and fit in no batch"
            ));
        }
        cuts.push(Cut { rows: start..run_start, refused: 0..0, claims: 0 });
        start = run_start;
        bytes = run_bytes;
    }
    cuts.push(Cut { rows: start..len, refused: 0..0, claims: 0 });
    let bytes = place_refused(&incoming.refused, &mut cuts, bytes, bytes_max);
    place_claims(&common.claims, &mut cuts, bytes, bytes_max);
    Ok(cuts)
}

/// Puts the refused rows behind the rows of the last cut, and into cuts of their own from there.
/// Returns the bytes of the last one.
fn place_refused(refused: &[Refused], cuts: &mut Vec<Cut>, mut bytes: u64, bytes_max: u64) -> u64 {
    let mut start = 0;
    for (at, row) in refused.iter().enumerate() {
        let texts = [&row.raw, &row.detail, &row.reason].map(|text| text.len().min(RAW_LEN_MAX));
        let row_bytes = DEAD_BYTES + texts.iter().sum::<usize>() as u64;
        bytes += row_bytes;
        let last = cuts.last_mut().expect("invariant: there is at least one cut");
        if bytes > bytes_max && !(last.rows.is_empty() && last.refused.is_empty()) {
            let rows = last.rows.end..last.rows.end;
            start = at;
            bytes = row_bytes;
            cuts.push(Cut { rows, refused: start..at + 1, claims: 0 });
        } else {
            last.refused = start..at + 1;
        }
    }
    bytes
}

/// Puts the claims behind everything else of the last cut, and into cuts of their own from there.
fn place_claims(claims: &[Claim], cuts: &mut Vec<Cut>, mut bytes: u64, bytes_max: u64) {
    for claim in claims {
        let claim_bytes = CLAIM_BYTES + claim.symbol.len() as u64;
        bytes += claim_bytes;
        let last = cuts.last_mut().expect("invariant: there is at least one cut");
        let is_empty = last.rows.is_empty() && last.refused.is_empty() && last.claims == 0;
        if bytes > bytes_max && !is_empty {
            let (rows, refused) =
                (last.rows.end..last.rows.end, last.refused.end..last.refused.end);
            bytes = claim_bytes;
            cuts.push(Cut { rows, refused, claims: 1 });
        } else {
            last.claims += 1;
        }
    }
}

/// What the rows of a body take in the log.
struct Sizes<'a> {
    incoming: &'a Incoming,
    common: &'a Common,
    names_fine: Vec<bool>,
}

impl<'a> Sizes<'a> {
    fn new(incoming: &'a Incoming, common: &'a Common) -> Self {
        let names = incoming.symbols.names.iter();
        Self { incoming, common, names_fine: names.map(|name| Symbol::new(name).is_ok()).collect() }
    }

    /// Bytes of row `at`, and of the block that it begins if it begins one.
    fn of(&self, at: usize) -> (u64, u64) {
        let incoming = self.incoming;
        let symbol = incoming.symbols.of_row[at] as usize;
        if self.common.act == Act::Insert && self.is_storable(at) {
            let name = &incoming.symbols.names[symbol];
            let columns: u64 = incoming.columns.iter().map(|column| value_len(column, at)).sum();
            return (ROW_BYTES + columns, SERIES_BYTES + name.len() as u64);
        }
        let raw = match incoming.raw.as_ref().map(|raw| &raw.values) {
            Some(Values::Text(texts)) => texts.get(at).len().min(RAW_LEN_MAX),
            // It will be rendered with its name, however long.
            _ if self.names_fine.get(symbol) == Some(&false) => RAW_LEN_MAX,
            _ => 0,
        };
        (DEAD_BYTES + raw as u64, 0)
    }

    /// Whether the engine will store row `at`, as far as that can be told without it.
    fn is_storable(&self, at: usize) -> bool {
        let incoming = self.incoming;
        let symbol = incoming.symbols.of_row[at] as usize;
        self.names_fine.get(symbol) == Some(&true)
            && incoming.ts.is_valid(at)
            && incoming.columns.iter().zip(self.common.schema.columns).all(
                |(column, definition)| match &column.values {
                    _ if !column.is_valid(at) => definition.nullable,
                    Values::F64(values) => values[at].is_finite(),
                    Values::I64(_) | Values::Text(_) => true,
                },
            )
    }
}

/// What the value of row `at` takes in the log.
fn value_len(column: &Column, at: usize) -> u64 {
    match &column.values {
        Values::F64(_) | Values::I64(_) => 8,
        Values::Text(texts) => 8 + texts.get(at).len() as u64,
    }
}

fn same_key(incoming: &Incoming, a: usize, b: usize) -> bool {
    incoming.symbols.of_row[a] == incoming.symbols.of_row[b] && incoming.ts.same(a, &incoming.ts, b)
}

fn slice(incoming: &Incoming, cut: &Cut) -> Incoming {
    let places: Vec<u32> = cut
        .rows
        .clone()
        .map(|at| u32::try_from(at).expect("invariant: a body has fewer rows than bytes"))
        .collect();
    let take = |column: &Column| column.take(&places);
    Incoming {
        symbols: Symbols {
            names: incoming.symbols.names.clone(),
            of_row: incoming.symbols.of_row[cut.rows.clone()].to_vec(),
        },
        ts: take(&incoming.ts),
        known_at: incoming.known_at.as_ref().map(take),
        columns: incoming.columns.iter().map(take).collect(),
        numbers: incoming.numbers[cut.rows.clone()].to_vec(),
        raw: incoming.raw.as_ref().map(take),
        refused: incoming.refused[cut.refused.clone()].to_vec(),
        ignored: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use barrow_engine::dataset::BARS;
    use proptest::prelude::*;

    use super::*;

    /// Rows of one symbol with these times, and refused rows with texts of these lengths.
    fn incoming(ts: &[i64], refused: &[usize]) -> Incoming {
        Incoming {
            symbols: Symbols::one("A", ts.len()),
            ts: Column::new(Values::I64(ts.to_vec())),
            known_at: None,
            columns: vec![Column::new(Values::F64(vec![1.0; ts.len()]))],
            numbers: (0..).take(ts.len()).collect(),
            raw: None,
            refused: refused
                .iter()
                .map(|len| Refused {
                    row: 0,
                    reason: "unreadable".into(),
                    detail: String::new(),
                    raw: "x".repeat(*len),
                    key: None,
                })
                .collect(),
            ignored: Vec::new(),
        }
    }

    fn common() -> Common {
        Common {
            id: "b".into(),
            schema: &BARS,
            source: Source::new("s").unwrap(),
            step: Step::M1,
            side: PriceSide::Trade,
            known_at_policy: KnownAt::Ingest,
            facts: None,
            claims: Vec::new(),
            act: Act::Insert,
            is_import: false,
        }
    }

    /// What a row of `incoming` counts.
    const ROW: u64 = ROW_BYTES + 8;

    /// Room for so many rows of it.
    const fn room(rows: u64) -> u64 {
        HEAD_BYTES + SERIES_BYTES + 1 + rows * ROW
    }

    #[test]
    fn a_body_of_one_batch_keeps_its_id() {
        let batches = batches(incoming(&[1, 2], &[]), &common(), room(2)).unwrap();
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].id, "b");
    }

    #[test]
    fn a_run_of_one_key_is_not_cut() {
        let batches = batches(incoming(&[1, 2, 2, 2, 3], &[]), &common(), room(3)).unwrap();
        let ids: Vec<_> = batches.iter().map(|batch| batch.id.as_str()).collect();
        let lens: Vec<_> = batches.iter().map(|batch| batch.ts.len()).collect();
        assert_eq!((ids, lens), (vec!["b#1", "b#2", "b#3"], vec![1, 3, 1]));
        assert!(super::batches(incoming(&[2, 2, 2], &[]), &common(), room(2)).is_err());
    }

    #[test]
    fn an_empty_body_is_one_empty_batch() {
        let batches = batches(incoming(&[], &[]), &common(), room(1)).unwrap();
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].row_count(), 0);
    }

    proptest! {
        #[test]
        fn every_row_is_in_exactly_one_part_in_order(
            mut ts in prop::collection::vec(0_i64..20, 0..60),
            refused in prop::collection::vec(0_usize..300, 0..10),
            rows_max in 1_u64..30,
        ) {
            ts.sort_unstable();
            let max = room(rows_max);
            let all = incoming(&ts, &refused);
            let Ok(parts) = batches(all.clone(), &common(), max) else {
                // Only a run of equal times may be too long.
                let longest = ts.chunk_by(|a, b| a == b).map(<[i64]>::len).max().unwrap_or(0);
                prop_assert!(longest as u64 > rows_max);
                return Ok(());
            };
            let numbers: Vec<u64> =
                parts.iter().flat_map(|part| part.numbers.clone().unwrap()).collect();
            prop_assert_eq!(numbers, all.numbers);
            let texts: Vec<_> = parts.iter().flat_map(|part| &part.refused).cloned().collect();
            prop_assert_eq!(texts, all.refused);
            for pair in parts.windows(2) {
                prop_assert!(pair[0].row_count() > 0);
                prop_assert!(pair[0].ts.len() as u64 <= rows_max);
                if !pair[1].ts.is_empty() {
                    prop_assert!(!pair[0].ts.same(pair[0].ts.len() - 1, &pair[1].ts, 0));
                }
            }
        }
    }
}
