//! Reads a range of raw bars from a snapshot: symbols as asked, then `ts`, then source, then rank.

use barrow_engine::rows::Rows;
use barrow_engine::{Error, Revisions, Scan, Scanner, Snapshot};
use barrow_types::{
    ColumnId, DatasetId, PriceSide, Sequence, SeriesId, Source, Step, Symbol, Timestamp,
};

use super::columns::{Layout, Out, Piece, SCHEMA, SourceOf};
use super::cursor::Position;

/// Rows of a piece that is merged from several sources.
const MERGED_ROWS: usize = 8_192;

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    /// The symbols, in the order of the answer.
    pub(crate) symbols: Vec<Symbol>,
    /// The length of the bars.
    pub(crate) step: Step,
    /// Which price.
    pub(crate) side: PriceSide,
    /// Only this source.
    pub(crate) source: Option<Source>,
    /// First `ts`.
    pub(crate) start: Timestamp,
    /// End of the range, not in it.
    pub(crate) end: Timestamp,
    /// Only what was known then.
    pub(crate) as_of: Option<Timestamp>,
    /// Only what was held then.
    pub(crate) at_sequence: Option<Sequence>,
    /// Winners or everything.
    pub(crate) revisions: Revisions,
    /// The columns of the answer.
    pub(crate) columns: Vec<Out>,
}

struct Lane {
    source: u32,
    scanner: Scanner,
    rows: Rows,
    at: usize,
}

/// A range on its way out, piece by piece.
pub(crate) struct Reader {
    snapshot: Snapshot,
    range: Range,
    layout: Layout,
    /// Per symbol: its series and the place of each one's source.
    series: Vec<Vec<(SeriesId, u32)>>,
    symbol: usize,
    lanes: Option<Vec<Lane>>,
    resume: Option<Position>,
    /// Symbols of which there is nothing, with the reason.
    pub(crate) warnings: Vec<String>,
    /// Whether any of the symbols has bars of any kind.
    pub(crate) any_known: bool,
}

impl Reader {
    /// The range as it is in `snapshot`; from behind `resume` on.
    pub(crate) fn new(snapshot: Snapshot, range: Range, resume: Option<Position>) -> Self {
        let mut sources: Vec<String> = Vec::new();
        let mut series = Vec::with_capacity(range.symbols.len());
        let mut warnings = Vec::new();
        let mut any_known = false;
        for symbol in &range.symbols {
            let all = snapshot.series(DatasetId::BARS, Some(symbol.as_str()));
            let mut found: Vec<(SeriesId, u32)> = Vec::new();
            for (id, key) in &all {
                let asked = range.source.as_ref().is_none_or(|source| *source == key.source);
                if key.step == range.step && key.side == range.side && asked {
                    let place = place_of(&mut sources, key.source.as_str());
                    found.push((*id, place));
                }
            }
            any_known |= !all.is_empty();
            if all.is_empty() {
                warnings.push(format!("{symbol}: no source has delivered bars of it"));
            } else if found.is_empty() {
                let (step, side) = (range.step.name(), range.side.name());
                let from = match &range.source {
                    Some(source) => format!(" from {source}"),
                    None => String::new(),
                };
                warnings.push(format!("{symbol}: there are no {step} {side} bars{from}"));
            }
            series.push(found);
        }
        let layout = Layout {
            columns: range.columns.clone(),
            symbols: range.symbols.iter().map(|symbol| symbol.as_str().to_owned()).collect(),
            sources,
            retractions: range.revisions == Revisions::All,
        };
        let symbol = resume.map_or(0, |position| position.symbol as usize);
        Self { snapshot, range, layout, series, symbol, lanes: None, resume, warnings, any_known }
    }

    /// What holds for all pieces.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The next piece, never empty; `None` at the end.
    ///
    /// # Errors
    /// Stored bytes cannot be read.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, Error> {
        while self.symbol < self.series.len() {
            let lanes = match &mut self.lanes {
                Some(lanes) => lanes,
                none => none.insert(open_lanes(
                    &self.snapshot,
                    &self.range,
                    &self.layout,
                    &self.series[self.symbol],
                    self.resume,
                )?),
            };
            let Some((source, rows)) = next_rows(lanes)? else {
                self.symbol += 1;
                self.lanes = None;
                self.resume = None;
                continue;
            };
            let piece = Piece {
                symbol: u32::try_from(self.symbol).expect("invariant: a request has few symbols"),
                source,
                step: self.range.step,
                side: self.range.side,
                rows,
            };
            let piece = self.leave_out_sent(piece);
            if !piece.rows.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// Drops the rows at the start of `piece` that an earlier page ended with.
    fn leave_out_sent(&mut self, piece: Piece) -> Piece {
        let Some(position) = &mut self.resume else { return piece };
        let same = piece.rows.ts.iter().take_while(|ts| **ts == position.ts.nanos()).count();
        let skipped = same.min(position.sent as usize);
        position.sent -= u32::try_from(skipped).expect("invariant: at most position.sent");
        if position.sent == 0 || skipped < piece.rows.len() {
            self.resume = None;
        }
        piece.skip(skipped)
    }
}

/// The place of `name` in `names`, where it is added if it is not there.
pub(crate) fn place_of(names: &mut Vec<String>, name: &str) -> u32 {
    let place = names.iter().position(|other| other == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    });
    u32::try_from(place).expect("invariant: a store has few sources")
}

fn open_lanes(
    snapshot: &Snapshot,
    range: &Range,
    layout: &Layout,
    series: &[(SeriesId, u32)],
    resume: Option<Position>,
) -> Result<Vec<Lane>, Error> {
    let columns: Vec<ColumnId> = layout.user().map(|place| SCHEMA.columns[place].id).collect();
    let start = resume.map_or(range.start, |position| position.ts.max(range.start));
    let mut lanes = Vec::with_capacity(series.len());
    for &(series, source) in series {
        let mut scanner = snapshot.scan(Scan {
            series,
            start,
            end: range.end,
            columns: columns.clone(),
            as_of: range.as_of,
            at_sequence: range.at_sequence,
            revisions: range.revisions,
        })?;
        if let Some(rows) = scanner.next()? {
            lanes.push(Lane { source, scanner, rows, at: 0 });
        }
    }
    lanes.sort_by(|a, b| layout.sources[a.source as usize].cmp(&layout.sources[b.source as usize]));
    Ok(lanes)
}

/// The next rows of one symbol: whole pieces of the only source, or rows merged from several.
fn next_rows(lanes: &mut Vec<Lane>) -> Result<Option<(SourceOf, Rows)>, Error> {
    if let [lane] = &mut lanes[..] {
        let source = SourceOf::One(lane.source);
        let rest = lane.at;
        let next = lane.scanner.next()?;
        let rows = match next {
            Some(next) => std::mem::replace(&mut lane.rows, next),
            None => lanes.remove(0).rows,
        };
        if let [lane] = &mut lanes[..] {
            lane.at = 0;
        }
        let rows = if rest == 0 { rows } else { tail(&rows, rest) };
        return Ok(Some((source, rows)));
    }
    let Some(first) = lanes.first() else { return Ok(None) };
    let mut merged = Rows::empty(first.rows.columns.iter().map(barrow_engine::rows::Column::kind));
    let mut sources = Vec::new();
    while merged.len() < MERGED_ROWS {
        // Lanes are in order of their sources: the first of the least is the right one.
        let Some(least) = (0..lanes.len()).min_by_key(|&at| lanes[at].rows.ts[lanes[at].at]) else {
            break;
        };
        let lane = &mut lanes[least];
        merged.push_from(&lane.rows, lane.at);
        sources.push(lane.source);
        lane.at += 1;
        if lane.at == lane.rows.len() {
            match lane.scanner.next()? {
                Some(rows) => {
                    lane.rows = rows;
                    lane.at = 0;
                }
                None => {
                    lanes.remove(least);
                }
            }
        }
    }
    Ok(Some((SourceOf::Each(sources), merged)))
}

fn tail(rows: &Rows, from: usize) -> Rows {
    let places: Vec<u32> = (from..rows.len())
        .map(|at| u32::try_from(at).expect("invariant: a piece is small"))
        .collect();
    rows.take(&places)
}
