//! What a batch says of the range that it covers, and marks of the rows that were turned away.
//!
//! Both become rows of datasets of facts in the same record.

use barrow_types::{DatasetId, Source, Symbol, Timestamp};

use crate::batch::{Act, Batch, Claim, ClaimOrigin, KnownAt, Symbols};
use crate::dataset::facts::EVERY_SYMBOL;
use crate::error::Error;
use crate::rows::{Column, Texts, Values};

/// Checks the claims of a batch that comes at `now`.
pub(super) fn check(claims: &[Claim], now: Timestamp) -> Result<(), Error> {
    for claim in claims {
        if claim.symbol != EVERY_SYMBOL
            && let Err(error) = Symbol::new(&claim.symbol)
        {
            return Err(Error::invalid(format!("covers_symbols: {:?} {error}", claim.symbol)));
        }
        if claim.symbol == EVERY_SYMBOL && claim.origin == ClaimOrigin::Replaces {
            return Err(Error::invalid(format!(
                "covers_symbols: {EVERY_SYMBOL} cannot be replaced; name the symbols"
            )));
        }
        if claim.start >= claim.end {
            return Err(Error::invalid(format!(
                "covers: the range ends at {} ns, not after its start at {} ns",
                claim.end.nanos(),
                claim.start.nanos()
            )));
        }
        if claim.end > now {
            return Err(Error::invalid(format!(
                "covers: the range ends at {} ns, in the future: nobody has all of it yet",
                claim.end.nanos()
            )));
        }
    }
    Ok(())
}

/// The claims of a batch as rows; `None` if there are none. In a load of history a claim is known
/// since its end, as its rows are since theirs.
pub(super) fn batch(of: &Batch, source: &Source, now: Timestamp) -> Option<Batch> {
    let claims = &of.claims;
    let symbols = claims.iter().map(|claim| claim.symbol.as_str());
    let ends = claims.iter().map(|claim| claim.end.nanos()).collect();
    let origins: Texts = claims.iter().map(|claim| claim.origin.name()).collect();
    let columns = vec![
        Column::new(Values::I64(ends)),
        Column::new(Values::Text(origins)),
        dataset(of, claims.len()),
    ];
    let ts = claims.iter().map(|claim| claim.start.nanos()).collect();
    let mut batch = rows(of, source, DatasetId::CLAIMS, symbols, ts, columns)?;
    batch.known_at_policy = KnownAt::Ingest;
    if let (KnownAt::TsEnd(delay), Act::Insert) = (of.known_at_policy, of.act) {
        let known_at = claims.iter().map(|claim| claim.end.saturating_add(delay));
        let known_at: Vec<i64> = known_at.map(|at| at.min(now).nanos()).collect();
        batch.known_at = Some(Column::new(Values::I64(known_at)));
    }
    Some(batch)
}

/// The column `dataset` of facts about the series of a batch.
pub(super) fn dataset(of: &Batch, rows: usize) -> Column {
    Column::new(Values::I64(vec![i64::from(of.dataset.get()); rows]))
}

/// Rows of a dataset of facts about the series of a batch; `None` if there are none.
pub(super) fn rows<'a>(
    of: &Batch,
    source: &Source,
    dataset: DatasetId,
    symbols: impl Iterator<Item = &'a str>,
    ts: Vec<i64>,
    columns: Vec<Column>,
) -> Option<Batch> {
    if ts.is_empty() {
        return None;
    }
    let mut names: Vec<String> = Vec::new();
    let mut of_row = Vec::with_capacity(ts.len());
    for symbol in symbols {
        if names.last().is_none_or(|last| last != symbol) {
            names.push(symbol.to_owned());
        }
        of_row.push(crate::bytes::u32_len(names.len() - 1));
    }
    Some(Batch {
        id: of.id.clone(),
        dataset,
        source: source.to_string(),
        step: of.step,
        side: of.side,
        known_at_policy: of.known_at_policy,
        facts: None,
        claims: Vec::new(),
        act: of.act,
        is_import: of.is_import,
        symbols: Symbols { names, of_row },
        ts: Column::new(Values::I64(ts)),
        known_at: None,
        columns,
        numbers: None,
        raw: None,
        refused: Vec::new(),
    })
}
