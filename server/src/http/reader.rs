//! Reads a range of raw rows from a snapshot: symbols as asked, then `ts`, then price sides as
//! asked, then source, then rank.

use barrow_engine::dataset::Schema;
use barrow_engine::rows::Rows;
use barrow_engine::{Error, Revisions, Scan, Scanner, Snapshot};
use barrow_types::{
    DatasetId, PriceSide, Sequence, SeriesId, SeriesKey, Source, Step, Symbol, Timestamp,
};

use super::columns::{Layout, Out, PerRow, Piece};
use super::cursor::Position;

/// Rows of a piece that is merged from several series.
const MERGED_ROWS: usize = 8_192;

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    /// What rows of the dataset look like.
    pub(crate) schema: &'static Schema,
    /// The symbols, in the order of the answer.
    pub(crate) symbols: Vec<Symbol>,
    /// The length of the bars; `Tick` for rows of datasets that have none.
    pub(crate) step: Step,
    /// Which prices, in the order of the answer.
    pub(crate) sides: Vec<PriceSide>,
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

/// A series of a symbol.
#[derive(Clone, Copy)]
struct Series {
    id: SeriesId,
    /// Place of its source in [`Layout::sources`].
    source: u32,
    side: PriceSide,
}

struct Lane {
    of: Series,
    scanner: Scanner,
    rows: Rows,
    at: usize,
}

/// A range on its way out, piece by piece.
pub(crate) struct Reader {
    snapshot: Snapshot,
    range: Range,
    layout: Layout,
    /// Per symbol.
    series: Vec<Vec<Series>>,
    symbol: usize,
    lanes: Option<Vec<Lane>>,
    resume: Option<Position>,
    /// Symbols of which there is nothing, with the reason.
    pub(crate) warnings: Vec<String>,
    /// Whether any of the symbols has rows of any kind.
    pub(crate) any_known: bool,
}

impl Range {
    fn asks_for(&self, key: &SeriesKey) -> bool {
        key.step == self.step
            && self.sides.contains(&key.side)
            && self.source.as_ref().is_none_or(|source| *source == key.source)
    }

    /// What a person should know of a symbol that has rows, if not of what is asked for.
    fn missing(&self, symbol: &Symbol, found: &[Series]) -> Vec<String> {
        let from = match &self.source {
            Some(source) => format!(" from {source}"),
            None => String::new(),
        };
        let bars = self.schema.dataset == DatasetId::BARS;
        let is_missing = |side: &&PriceSide| !found.iter().any(|series| series.side == **side);
        let missing = self.sides.iter().filter(is_missing).map(|side| match bars {
            true => {
                format!("{symbol}: there are no {} {} bars{from}", self.step.name(), side.name())
            }
            false => format!("{symbol}: there are no {}{from}", self.schema.name),
        });
        missing.collect()
    }
}

impl Reader {
    /// The range as it is in `snapshot`; from behind `resume` on.
    pub(crate) fn new(snapshot: Snapshot, range: Range, resume: Option<Position>) -> Self {
        let mut sources: Vec<String> = Vec::new();
        let mut series = Vec::with_capacity(range.symbols.len());
        let mut warnings = Vec::new();
        let mut any_known = false;
        for symbol in &range.symbols {
            let all = snapshot.series(range.schema.dataset, Some(symbol.as_str()));
            let asked = all.iter().filter(|(_, key)| range.asks_for(key));
            let found: Vec<Series> = asked
                .map(|(id, key)| Series {
                    id: *id,
                    source: place_of(&mut sources, key.source.as_str()),
                    side: key.side,
                })
                .collect();
            any_known |= !all.is_empty();
            if all.is_empty() {
                let dataset = range.schema.name;
                warnings.push(format!("{symbol}: no source has delivered {dataset} of it"));
            } else {
                warnings.extend(range.missing(symbol, &found));
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
            let Some(found) = next_rows(lanes)? else {
                self.symbol += 1;
                self.lanes = None;
                self.resume = None;
                continue;
            };
            let piece = Piece {
                symbol: u32::try_from(self.symbol).expect("invariant: a request has few symbols"),
                source: found.source,
                side: found.side,
                step: self.range.step,
                rows: found.rows,
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
    series: &[Series],
    resume: Option<Position>,
) -> Result<Vec<Lane>, Error> {
    let columns = layout.user_ids();
    let start = resume.map_or(range.start, |position| position.ts.max(range.start));
    let mut lanes = Vec::with_capacity(series.len());
    for &of in series {
        let mut scanner = snapshot.scan(Scan {
            series: of.id,
            start,
            end: range.end,
            columns: columns.clone(),
            as_of: range.as_of,
            at_sequence: range.at_sequence,
            revisions: range.revisions,
        })?;
        if let Some(rows) = scanner.next()? {
            lanes.push(Lane { of, scanner, rows, at: 0 });
        }
    }
    lanes.sort_by_key(|lane| {
        let side = range.sides.iter().position(|side| *side == lane.of.side);
        (side, &layout.sources[lane.of.source as usize])
    });
    Ok(lanes)
}

/// Rows of one symbol, and the source and side of each.
struct Found {
    source: PerRow,
    side: PerRow,
    rows: Rows,
}

/// The next rows of one symbol: whole pieces of the only series, or rows merged from several.
fn next_rows(lanes: &mut Vec<Lane>) -> Result<Option<Found>, Error> {
    if let [lane] = &mut lanes[..] {
        if lane.at == lane.rows.len() {
            match lane.scanner.next()? {
                Some(rows) => lane.rows = rows,
                None => {
                    lanes.clear();
                    return Ok(None);
                }
            }
            lane.at = 0;
        }
        // What is sent is not kept: at most one piece is in memory.
        let rows = std::mem::replace(&mut lane.rows, Rows::empty([]));
        let rows = if lane.at == 0 { rows } else { rows.slice(lane.at..rows.len()) };
        lane.at = 0;
        return Ok(Some(Found {
            source: PerRow::One(lane.of.source),
            side: PerRow::One(lane.of.side.code().into()),
            rows,
        }));
    }
    let Some(first) = lanes.first() else { return Ok(None) };
    let mut merged = Rows::empty(first.rows.columns.iter().map(barrow_engine::rows::Column::kind));
    let (mut sources, mut sides) = (Vec::new(), Vec::new());
    while merged.len() < MERGED_ROWS {
        // Lanes are in order of sides and sources: the first of the least is the right one.
        let Some(least) = (0..lanes.len()).min_by_key(|&at| lanes[at].rows.ts[lanes[at].at]) else {
            break;
        };
        let lane = &mut lanes[least];
        merged.push_from(&lane.rows, lane.at);
        sources.push(lane.of.source);
        sides.push(lane.of.side.code().into());
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
    let (source, side) = (PerRow::Each(sources), PerRow::Each(sides));
    Ok(Some(Found { source, side, rows: merged }))
}
