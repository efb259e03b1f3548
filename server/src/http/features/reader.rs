//! Features on their way out: of each symbol the slots of a range, the cells of all groups side by
//! side.

use std::sync::Arc;

use barrow_engine::dataset::BARS;
use barrow_engine::rows::{Bitmap, Column, Rows, Values};
use barrow_engine::{
    Error, FeatureGroup, FeaturePiece, FeatureScan, Features, Reference, Snapshot, Vintage, Way,
};
use barrow_types::{PriceSide, Sequence, Step, Symbol, Timestamp};

use super::super::columns::{FeatureRows, Hollow, Layout, Out, PerRow, Piece};
use super::super::cursor::Position;
use super::super::error::{Code, Problem};
use super::super::params::Params;
use super::super::reader::place_of;
use super::super::slots::Slots;
use super::super::stream::Pieces;
use super::super::time::{When, parse_parameter};
use super::super::vintage;
use super::named::Named;
use crate::clock;

/// What stands between group and feature in the name of a column.
pub(crate) const BETWEEN: &str = "__";

/// Columns of answers that are no features.
const BESIDE: [Out; 13] = [
    Out::Symbol,
    Out::Asked,
    Out::Ts,
    Out::TsEnd,
    Out::Session,
    Out::Age,
    Out::Coverage,
    Out::Provisional,
    Out::AvailableAt,
    Out::KnownAt,
    Out::Sequence,
    Out::Version,
    Out::InstrumentId,
];

/// Whether a feature cannot have this name, because another column has it, whatever the case.
pub(crate) fn is_taken(name: &str) -> bool {
    BESIDE.iter().any(|column| column.name().eq_ignore_ascii_case(name))
}

/// Which features of which symbols, and when.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Names as asked, in the order of the answer.
    pub(crate) symbols: Vec<Symbol>,
    /// The groups, in the order of their columns.
    pub(crate) groups: Vec<Named>,
    /// The first slot.
    pub(crate) start: Option<When>,
    /// The end of the slots, not one of them.
    pub(crate) end: Option<When>,
    /// Only what was known then.
    pub(crate) as_of: Option<Timestamp>,
    /// Only what was held then.
    pub(crate) at_sequence: Option<Sequence>,
    /// What ends later is not due.
    pub(crate) due: Timestamp,
    /// Of when each row is.
    pub(crate) vintage: Vintage,
    /// Whether the reason of each null is wanted.
    pub(crate) reasons: bool,
    /// Names of the columns that are wanted, in their order; `None`: all.
    pub(crate) columns: Option<Vec<String>>,
}

impl Asked {
    /// The groups of some symbols, all there is, as it was known and held then.
    ///
    /// # Errors
    /// A parameter says what it must not; the ledger cannot be read.
    pub(crate) fn read(
        params: &Params,
        snapshot: &Snapshot,
        groups: Vec<Named>,
        symbols: Vec<Symbol>,
    ) -> Result<Self, Problem> {
        let as_of = params.read("as_of", parse_parameter)?;
        let at_sequence = params.integer("at_sequence")?.map(Sequence::new);
        let due = match (as_of, at_sequence) {
            (Some(as_of), _) => as_of,
            (None, Some(sequence)) => {
                snapshot.now_at(sequence).map_err(|error| Problem::read(&error))?
            }
            (None, None) => clock::now(),
        };
        Ok(Self {
            symbols,
            groups,
            start: None,
            end: None,
            as_of,
            at_sequence,
            due,
            vintage: vintage::read(params)?,
            reasons: params.flag("reasons")?,
            columns: None,
        })
    }

    /// The columns of an answer, and what holds for all of it.
    ///
    /// # Errors
    /// A column that is wanted is none, or is named twice.
    pub(crate) fn layout(&self, instruments: &[Arc<str>]) -> Result<Layout, Problem> {
        let is_one = self.groups.len() == 1;
        let mut features = Vec::new();
        for group in &self.groups {
            for output in &group.group.graph().outputs {
                let name = &output.name;
                features.push(if is_one {
                    name.clone()
                } else {
                    format!("{}{BETWEEN}{name}", group.name)
                });
            }
        }
        let columns = columns_of(features.len(), self.reasons);
        let versions: Vec<String> = self.groups.iter().map(ToString::to_string).collect();
        let mut layout = Layout {
            columns,
            symbols: self.symbols.iter().map(ToString::to_string).collect(),
            instruments: instruments.iter().map(ToString::to_string).collect(),
            hollow: Hollow::None,
            features,
            version: versions.join(","),
            ..Layout::default()
        };
        if let Some(names) = &self.columns {
            layout.columns = selected(&layout, names)?;
        }
        Ok(layout)
    }

    /// Everything that decides which rows there are, as text.
    pub(crate) fn identity(&self) -> String {
        let Self {
            symbols,
            groups,
            start,
            end,
            as_of,
            at_sequence,
            due: _,
            vintage,
            reasons: _,
            columns: _,
        } = self;
        let vintage = vintage.name();
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        format!("features{symbols:?}{groups:?}{start:?}{end:?}{as_of:?}{at_sequence:?}{vintage}")
    }

    /// The instruments of the symbols.
    pub(crate) fn instruments(&self, reference: &Reference) -> Vec<Arc<str>> {
        let end = self.end.map_or(Timestamp::MAX, |end| end.start(None));
        let symbols = self.symbols.iter();
        symbols.map(|symbol| reference.instrument(BARS.name, symbol.as_str(), end)).collect()
    }

    /// The features of an instrument, a stream for each group.
    ///
    /// # Errors
    /// Stored bytes cannot be read, or a calendar is not known.
    pub(crate) fn open(
        &self,
        snapshot: &Snapshot,
        reference: &Reference,
        instrument: &Arc<str>,
        from: Option<Timestamp>,
    ) -> Result<Lane, Error> {
        let (start, end) = self.range(reference, instrument);
        self.open_at(snapshot, instrument, (from.map_or(start, |from| start.max(from)), end))
    }

    /// The instants at which slots of an instrument may start.
    pub(crate) fn range(
        &self,
        reference: &Reference,
        instrument: &Arc<str>,
    ) -> (Timestamp, Timestamp) {
        let last = self.end.map_or(Timestamp::MAX, |end| end.start(None));
        let name = reference.attribute_at(instrument, "calendar", last);
        let calendar = name.and_then(|name| reference.calendar(name));
        let calendar = calendar.as_deref();
        let start = self.start.map_or(Timestamp::MIN, |start| start.start(calendar));
        let end = self.end.map_or(Timestamp::MAX, |end| end.start(calendar));
        (start, end)
    }

    /// The features of an instrument in the slots that start in a range.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn open_at(
        &self,
        snapshot: &Snapshot,
        instrument: &Arc<str>,
        (start, end): (Timestamp, Timestamp),
    ) -> Result<Lane, Error> {
        let scans = self.scans(instrument, (start, end));
        let streams = scans.iter().map(|scan| snapshot.features(scan));
        let streams = streams.collect::<Result<Vec<_>, _>>()?;
        Ok(Lane { pending: streams.iter().map(|_| None).collect(), streams })
    }

    /// What to compute of an instrument, for each group.
    pub(crate) fn scans(
        &self,
        instrument: &Arc<str>,
        (start, end): (Timestamp, Timestamp),
    ) -> Vec<FeatureScan> {
        let scan = |named: &Named| FeatureScan {
            instrument: Arc::clone(instrument),
            group: Arc::clone(&named.group),
            start,
            end,
            as_of: self.as_of,
            at_sequence: self.at_sequence,
            due: self.due,
            since: Timestamp::MIN,
            vintage: self.vintage,
            way: Way::Columns,
        };
        self.groups.iter().map(scan).collect()
    }

    /// The step and the side of all groups.
    pub(crate) fn bars(&self) -> (Step, PriceSide) {
        bars_of(&self.groups[0].group)
    }
}

fn bars_of(group: &FeatureGroup) -> (Step, PriceSide) {
    let bars = &group.definition.bars;
    (bars.every, bars.price)
}

/// The groups of one instrument, in step.
pub(crate) struct Lane {
    streams: Vec<Features>,
    /// What each has given and is not answered.
    pending: Vec<Option<FeaturePiece>>,
}

impl Lane {
    /// Whether anybody has delivered anything of the instrument.
    pub(crate) fn is_delivered(&self) -> bool {
        self.streams.iter().any(Features::is_delivered)
    }

    /// What a person should know of rows that came after their slots could be had.
    ///
    /// # Errors
    /// Some of them do not say when they were known, and the answer is to be of then.
    pub(crate) fn warning(&self, symbol: &Symbol) -> Result<Option<String>, Problem> {
        let late = self.streams.iter().find_map(Features::late);
        late.map_or(Ok(None), |late| vintage::warning(symbol.as_str(), late))
    }

    /// The name of its calendar.
    pub(crate) fn calendar(&self) -> Option<&str> {
        self.streams[0].calendar()
    }

    /// The next slots with the cells of all groups; `None` after the last.
    ///
    /// # Errors
    /// Stored bytes cannot be read.
    pub(crate) fn next(&mut self) -> Result<Option<FeaturePiece>, Error> {
        for (stream, pending) in self.streams.iter_mut().zip(&mut self.pending) {
            if pending.is_none() {
                *pending = stream.next()?;
            }
        }
        // Groups of an answer have the same slots, so all end together.
        let Some(len) = self.pending.iter().flatten().map(FeaturePiece::len).min() else {
            return Ok(None);
        };
        let mut joined: Option<FeaturePiece> = None;
        for pending in &mut self.pending {
            let Some(piece) = pending.take() else { continue };
            let (first, rest) = piece.split_at(len);
            *pending = (!rest.is_empty()).then_some(rest);
            joined = Some(match joined {
                None => first,
                Some(before) => before.beside(first),
            });
        }
        Ok(joined)
    }
}

/// The columns of rows of so many features.
pub(crate) fn columns_of(features: usize, reasons: bool) -> Vec<Out> {
    let mut columns = vec![Out::Symbol, Out::Ts];
    for place in 0..features {
        columns.push(Out::Feature(place));
        columns.extend(reasons.then_some(Out::FeatureReason(place)));
    }
    columns.extend([
        Out::TsEnd,
        Out::Session,
        Out::Coverage,
        Out::Provisional,
        Out::AvailableAt,
        Out::KnownAt,
        Out::Sequence,
        Out::Version,
        Out::InstrumentId,
    ]);
    columns
}

/// The same with the age of a row, where it is asked for now.
pub(crate) fn with_age(mut columns: Vec<Out>) -> Vec<Out> {
    let before_coverage = columns.iter().position(|column| *column == Out::Coverage);
    columns.insert(before_coverage.unwrap_or(0), Out::Age);
    columns
}

/// Turns what the engine says into a piece of an answer.
pub(crate) fn piece(symbol: u32, bars: (Step, PriceSide), found: FeaturePiece) -> Piece {
    let len = found.len();
    let mut columns = Vec::with_capacity(found.cells.len());
    let mut reasons = Vec::with_capacity(found.cells.len());
    for cells in found.cells {
        let (values, codes) = cells.into_parts();
        let mut column = Column::new(Values::F64(values));
        if codes.iter().any(|code| *code != 0) {
            column.validity = Some(codes.iter().map(|code| *code == 0).collect::<Bitmap>());
        }
        columns.push(column);
        reasons.push(codes);
    }
    let slots = Slots {
        ts_end: found.ts_end,
        available_at: found.available_at,
        session: found.session,
        reason: vec![0; len],
        state: vec![None; len],
        is_filled: vec![false; len],
        dq_status: vec![super::super::slots::DqStatus::Ok; len],
        coverage: found.coverage,
        instrument: symbol,
    };
    Piece {
        symbol,
        source: PerRow::One(0),
        side: PerRow::One(bars.1.code().into()),
        step: bars.0,
        rows: Rows {
            ts: found.ts,
            sequence: found.sequence,
            known_at: found.known_at,
            flags: vec![0; len],
            columns,
        },
        slots: Some(slots),
        features: Some(FeatureRows {
            reasons,
            provisional: found.provisional,
            ..FeatureRows::default()
        }),
    }
}

/// The same with the age of each row at an instant.
pub(super) fn piece_aged(
    symbol: u32,
    bars: (Step, PriceSide),
    found: FeaturePiece,
    now: Timestamp,
) -> Piece {
    let ages = found.available_at.iter().map(|at| seconds(now.nanos().saturating_sub(*at)));
    let age = ages.collect();
    let mut piece = piece(symbol, bars, found);
    if let Some(features) = &mut piece.features {
        features.age = age;
    }
    piece
}

/// A span in seconds.
#[expect(clippy::cast_precision_loss, reason = "an age is told to the microsecond")]
pub(super) fn seconds(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

/// The features of all symbols, one symbol after the other.
pub(crate) struct Reader {
    lanes: std::vec::IntoIter<(u32, Lane)>,
    lane: Option<(u32, Lane)>,
    layout: Layout,
    bars: (Step, PriceSide),
    resume: Option<Position>,
    /// The names of the calendars, joined by commas.
    pub(crate) calendar: Option<String>,
    /// What a person should know.
    pub(crate) warnings: Vec<String>,
}

impl Reader {
    /// The slots as they are in `snapshot`, from behind `resume` on.
    ///
    /// # Errors
    /// Nobody has delivered anything of the symbols, or stored bytes cannot be read.
    pub(crate) fn new(
        snapshot: &Snapshot,
        asked: &Asked,
        resume: Option<Position>,
    ) -> Result<Self, Problem> {
        let failed = |error: Error| Problem::read(&error);
        let reference = Reference::at(snapshot, asked.as_of, asked.at_sequence).map_err(failed)?;
        let instruments = asked.instruments(&reference);
        let mut lanes = Vec::new();
        let (mut opened, mut late) = (Vec::new(), Vec::new());
        let mut calendars: Vec<String> = Vec::new();
        for (instrument, place) in instruments.iter().zip(0..) {
            let from = resume.filter(|resume| resume.symbol == place).map(|resume| resume.ts);
            let lane = asked.open(snapshot, &reference, instrument, from).map_err(failed)?;
            opened.push(lane.is_delivered());
            late.extend(lane.warning(&asked.symbols[place as usize])?);
            place_of(&mut calendars, lane.calendar().unwrap_or("none"));
            if resume.is_none_or(|resume| resume.symbol <= place) {
                lanes.push((place, lane));
            }
        }
        let mut warnings = missing(asked, &opened)?;
        warnings.extend(late);
        Ok(Self {
            lanes: lanes.into_iter(),
            lane: None,
            layout: asked.layout(&instruments)?,
            bars: asked.bars(),
            resume,
            calendar: Some(calendars.join(",")),
            warnings,
        })
    }
}

/// The columns of these names.
fn selected(layout: &Layout, names: &[String]) -> Result<Vec<Out>, Problem> {
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        let mut all = layout.columns.iter().copied();
        let column = all.find(|column| layout.name(*column) == *name).ok_or_else(|| {
            let fault =
                format!("there is no column '{name}'; features are named as their groups do");
            Problem::parameter("columns", fault)
        })?;
        if columns.contains(&column) {
            return Err(Problem::parameter("columns", format!("'{name}' is named twice")));
        }
        columns.push(column);
    }
    Ok(columns)
}

/// What a person should know of each symbol of which there is nothing.
///
/// # Errors
/// Nobody has delivered anything of any of the symbols.
pub(crate) fn missing(asked: &Asked, opened: &[bool]) -> Result<Vec<String>, Problem> {
    let (step, side) = asked.bars();
    let (step, side) = (step.name(), side.name());
    let missing = asked.symbols.iter().zip(opened).filter(|(_, is_open)| !**is_open);
    let warnings: Vec<String> = missing
        .map(|(symbol, _)| format!("{symbol}: no source has delivered {step} {side} bars of it"))
        .collect();
    if opened.contains(&true) {
        return Ok(warnings);
    }
    let detail = format!("symbols: {}", warnings.join("; "));
    Err(Problem::new(Code::NotFound, detail).about("symbols"))
}

impl Pieces for Reader {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn next(&mut self) -> Result<Option<Piece>, Error> {
        loop {
            let (symbol, mut lane) = match self.lane.take() {
                Some(lane) => lane,
                None => match self.lanes.next() {
                    Some(lane) => lane,
                    None => return Ok(None),
                },
            };
            let Some(found) = lane.next()? else { continue };
            let piece = piece(symbol, self.bars, found);
            self.lane = Some((symbol, lane));
            let sent = match self.resume.filter(|resume| resume.symbol == symbol) {
                Some(resume) => piece.rows.ts.partition_point(|ts| *ts <= resume.ts.nanos()),
                None => 0,
            };
            let piece = piece.skip(sent);
            if !piece.rows.is_empty() {
                return Ok(Some(piece));
            }
        }
    }
}
