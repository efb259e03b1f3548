//! Reads a range of raw rows from a snapshot: symbols as asked, then `ts`, then price sides as
//! asked, then source, then rank.
//!
//! A bare date is the session of that date by the calendar of the instrument that a source's symbol
//! is bound to at the end of the range, so each series has a range of its own. Bars of a day and
//! longer are stored by the dates of their sessions, which are then compared as they are.

use std::sync::Arc;

use barrow_engine::calendar::Calendar;
use barrow_engine::dataset::Schema;
use barrow_engine::rows::Rows;
use barrow_engine::{Error, Reference, Revisions, Scan, Scanner, Snapshot};
use barrow_types::{
    DatasetId, PriceSide, Sequence, SeriesId, SeriesKey, Source, Step, Symbol, Timestamp,
};

use super::columns::{Hollow, Layout, Out, PerRow, Piece};
use super::cursor::Position;
use super::time::When;
use super::when::{instrument_of, since};

/// Rows of a piece that is merged from several series.
const MERGED_ROWS: usize = 8_192;

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    /// What rows of the dataset look like.
    pub(crate) schema: &'static Schema,
    /// The symbols, in the order of the answer.
    pub(crate) symbols: Vec<Symbol>,
    /// Whether those of all rows are meant, in order; `symbols` is empty then.
    pub(crate) all_symbols: bool,
    /// The length of the bars; `Tick` for rows of datasets that have none.
    pub(crate) step: Step,
    /// Which prices, in the order of the answer.
    pub(crate) sides: Vec<PriceSide>,
    /// Only this source.
    pub(crate) source: Option<Source>,
    /// First `ts`; without one from the first row on.
    pub(crate) start: Option<When>,
    /// End of the range, not in it; without one up to the last row.
    pub(crate) end: Option<When>,
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
    /// The range that is asked for.
    start: Timestamp,
    end: Timestamp,
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
    /// The names of the calendars that say what bare dates mean, joined by commas.
    pub(crate) calendar: Option<String>,
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

    /// The symbols that have rows of what is asked for, in order.
    fn symbols_in(&self, snapshot: &Snapshot) -> Vec<Symbol> {
        let sequence = self.at_sequence.unwrap_or(Sequence::MAX);
        let all = snapshot.series_at(self.schema.dataset, sequence).into_iter();
        let asked = all.filter(|(_, key)| self.asks_for(key));
        let mut symbols: Vec<Symbol> = asked.map(|(_, key)| key.symbol).collect();
        symbols.dedup();
        symbols
    }

    /// The facts that say what bare dates mean; `None` if there are no dates.
    fn facts(&self, snapshot: &Snapshot) -> Result<Option<Arc<Reference>>, Error> {
        let is_date = |when: &Option<When>| matches!(when, Some(When::Date(_)));
        let any_date = is_date(&self.start) || is_date(&self.end);
        // In rows of tables a bare date is a UTC day, and so it is in questions about them.
        if any_date && !self.schema.dataset.is_table() {
            return Reference::at(snapshot, self.as_of, self.at_sequence).map(Some);
        }
        Ok(None)
    }

    /// The range of a series in instants.
    fn bounds(&self, calendar: Option<&Calendar>) -> (Timestamp, Timestamp) {
        let calendar = calendar.filter(|_| !self.step.is_dated());
        let start = self.start.map_or(Timestamp::MIN, |start| since(start, calendar));
        let end = self.end.map_or(Timestamp::MAX, |end| since(end, calendar));
        (start, end.max(start))
    }

    /// The calendar of a series at the end of the range.
    fn calendar(&self, reference: &Reference, key: &SeriesKey) -> Option<Arc<Calendar>> {
        let last = self.end.map_or(Timestamp::MAX, |end| end.start(None));
        let of = instrument_of(reference, key.source.as_str(), key.symbol.as_str(), last)?;
        reference.calendar(reference.attribute_at(&of, "calendar", last)?)
    }

    /// That there may have been more revisions.
    fn dropped(&self, snapshot: &Snapshot) -> Option<String> {
        let asked = self.revisions == Revisions::All;
        let set = snapshot.floor(self.schema.dataset, self.step).filter(|_| asked)?;
        Some(format!(
            "revisions: those that no question as of {} and at sequence {} or later sees may have \
             been dropped by retention",
            set.floor.as_of_from, set.floor.at_sequence_from
        ))
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
    ///
    /// # Errors
    /// The facts that say what bare dates mean cannot be read.
    pub(crate) fn new(
        snapshot: Snapshot,
        mut range: Range,
        resume: Option<Position>,
    ) -> Result<Self, Error> {
        if range.all_symbols {
            range.symbols = range.symbols_in(&snapshot);
        }
        let reference = range.facts(&snapshot)?;
        let mut calendars: Vec<String> = Vec::new();
        let mut sources: Vec<String> = Vec::new();
        let mut series = Vec::with_capacity(range.symbols.len());
        let mut warnings = Vec::new();
        let mut any_known = range.all_symbols;
        for symbol in &range.symbols {
            let all = snapshot.series(range.schema.dataset, Some(symbol.as_str()));
            let asked = all.iter().filter(|(_, key)| range.asks_for(key));
            let found: Vec<Series> = asked
                .map(|(id, key)| {
                    let calendar = reference.as_ref().and_then(|of| range.calendar(of, key));
                    let calendar = calendar.as_deref();
                    place_of(&mut calendars, calendar.map_or("none", Calendar::name));
                    let (start, end) = range.bounds(calendar);
                    let source = place_of(&mut sources, key.source.as_str());
                    Series { id: *id, source, side: key.side, start, end }
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
        warnings.extend(range.dropped(&snapshot));
        let layout = Layout {
            columns: range.columns.clone(),
            symbols: range.symbols.iter().map(|symbol| symbol.as_str().to_owned()).collect(),
            sources,
            instruments: Vec::new(),
            hollow: match range.revisions {
                Revisions::All => Hollow::Retractions,
                Revisions::Visible => Hollow::None,
            },
            ..Layout::default()
        };
        let symbol = resume.map_or(0, |position| position.symbol as usize);
        Ok(Self {
            snapshot,
            range,
            layout,
            series,
            symbol,
            lanes: None,
            resume,
            calendar: reference.filter(|_| !calendars.is_empty()).map(|_| calendars.join(",")),
            warnings,
            any_known,
        })
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
                slots: None,
                features: None,
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
    let mut lanes = Vec::with_capacity(series.len());
    for &of in series {
        let mut scanner = snapshot.scan(Scan {
            series: of.id,
            start: resume.map_or(of.start, |position| position.ts.max(of.start)),
            end: of.end,
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
