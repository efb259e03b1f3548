//! The curated layer of `GET /v1/bars`: one row for each expected slot of an instrument, and on
//! demand the empty slots with their reasons.

use std::sync::Arc;

use barrow_engine::dataset::BARS;
use barrow_engine::{
    Adjust, Adjustment, Anchor, Curated, CuratedScan, Error, ErrorKind, Fallback, Reference,
    Snapshot, View, Views, Vintage,
};
use barrow_types::{
    Align, ColumnId, PriceSide, Sequence, SessionSet, Source, Step, Symbol, Timestamp,
};

use super::columns::{Hollow, Layout, Out, PerRow, Piece, select};
use super::cursor::Position;
use super::error::{Code, Problem};
use super::params::Params;
use super::reader::place_of;
use super::slots::{Fill, Filler, Role, expand};
use super::time::{When, parse_parameter, parse_range, parse_when};
use super::vintage;

/// Place of the close among the columns of bars.
const CLOSE: usize = 3;

/// Which slots of which instruments.
#[derive(Clone, Debug)]
pub(crate) struct Slotted {
    /// Names as asked, in the order of the answer.
    pub(crate) symbols: Vec<Symbol>,
    /// The length of the bars.
    pub(crate) step: Step,
    /// Which price.
    pub(crate) side: PriceSide,
    /// Only this source.
    pub(crate) source: Option<Source>,
    /// The first slot.
    pub(crate) start: Option<When>,
    /// The end of the slots, not one of them.
    pub(crate) end: Option<When>,
    /// Which hours of a session.
    pub(crate) session: SessionSet,
    /// Where bars begin.
    pub(crate) align: Option<Align>,
    /// Whose rows are taken where the preferred source has none.
    pub(crate) fallback: Option<Fallback>,
    /// For what prices are adjusted, and up to when.
    pub(crate) adjustment: Adjustment,
    /// When the names mean what they mean; the end of the range if left out.
    pub(crate) symbols_asof: Option<When>,
    /// Only what was known then.
    pub(crate) as_of: Option<Timestamp>,
    /// Only what was held then.
    pub(crate) at_sequence: Option<Sequence>,
    /// What ends later is not due.
    pub(crate) due: Timestamp,
    /// Of when each row is.
    pub(crate) vintage: Vintage,
}

impl Slotted {
    /// The parameters that say which slots; `now` is the time of the request.
    pub(crate) fn read(params: &Params, now: Timestamp) -> Result<Self, Problem> {
        let step = params.step("frequency")?;
        let step = step.ok_or_else(|| Problem::parameter("frequency", "is missing"))?;
        let side = match params.sides()?.as_deref() {
            None => PriceSide::Trade,
            Some(&[side]) => side,
            Some(_) => {
                let fault = "several prices stand side by side in layer=raw only";
                return Err(Problem::parameter("price", fault));
            }
        };
        let (session, align) = (params.session()?, params.align()?);
        let fallback = params.read("fallback", |name| {
            let all = Fallback::ALL.map(Fallback::name).join(", ");
            Fallback::parse(name).ok_or_else(|| format!("'{name}' is not one of {all}"))
        })?;
        let as_of = params.read("as_of", parse_parameter)?;
        let (start, end) = parse_range(params)?;
        Ok(Self {
            symbols: params.symbols()?,
            step,
            side,
            source: params.source()?,
            start,
            end,
            session: session.unwrap_or_default(),
            align,
            fallback,
            adjustment: adjustment(params)?,
            symbols_asof: params.read("symbols_asof", parse_when)?,
            as_of,
            at_sequence: params.integer("at_sequence")?.map(Sequence::new),
            due: as_of.unwrap_or(now),
            vintage: vintage::read(params)?,
        })
    }

    /// Makes the due time that of the record that is asked for, if no time is.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub(crate) fn fix_due(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        if let (None, Some(sequence)) = (self.as_of, self.at_sequence) {
            self.due = snapshot.now_at(sequence)?;
        }
        Ok(())
    }

    /// Everything that decides which rows there are, as text.
    pub(crate) fn identity(&self) -> String {
        let Self {
            symbols,
            step,
            side,
            source,
            start,
            end,
            session,
            align,
            fallback,
            adjustment,
            symbols_asof,
            as_of,
            at_sequence,
            // A later page is due as the first was; what ended between them shows.
            due: _,
            vintage,
        } = self;
        format!(
            "curated{symbols:?}{step:?}{side:?}{source:?}{start:?}{end:?}{session:?}{align:?}\
             {fallback:?}{adjustment:?}{symbols_asof:?}{as_of:?}{at_sequence:?}{}",
            vintage.name()
        )
    }

    /// Finds the instruments.
    ///
    /// # Errors
    /// The facts cannot be read.
    pub(crate) fn resolve(&self, snapshot: &Snapshot) -> Result<Resolved, Error> {
        let reference = Reference::at(snapshot, self.as_of, self.at_sequence)?;
        let end = self.symbols_asof.or(self.end);
        let end = end.map_or(Timestamp::MAX, |end| end.start(None));
        let symbols = self.symbols.iter();
        let instruments =
            symbols.map(|symbol| reference.instrument(BARS.name, symbol.as_str(), end));
        let instruments = instruments.collect();
        Ok(Resolved { instruments, reference })
    }

    /// What to read of one instrument.
    pub(crate) fn scan(
        &self,
        resolved: &Resolved,
        place: usize,
        columns: Vec<ColumnId>,
        empty: bool,
    ) -> CuratedScan {
        let instrument = Arc::clone(&resolved.instruments[place]);
        let last = self.end.map_or(Timestamp::MAX, |end| end.start(None));
        let name = resolved.reference.attribute_at(&instrument, "calendar", last);
        let calendar = name.and_then(|name| resolved.reference.calendar(name));
        let calendar = calendar.as_deref();
        CuratedScan {
            instrument,
            step: self.step,
            side: self.side,
            start: self.start.map_or(Timestamp::MIN, |start| start.start(calendar)),
            end: self.end.map_or(Timestamp::MAX, |end| end.start(calendar)),
            session: self.session,
            align: self.align,
            columns,
            source: self.source.as_ref().map(ToString::to_string),
            fallback: self.fallback,
            as_of: self.as_of,
            at_sequence: self.at_sequence,
            due: self.due,
            empty,
            flags: false,
            coverage: false,
        }
    }
}

/// The columns of curated bars that are wanted.
///
/// # Errors
/// One of them is none.
pub(crate) fn columns(params: &Params) -> Result<Vec<Out>, Problem> {
    let all = Out::of_curated(&BARS);
    Ok(match params.read("columns", |list| select(&all, list))? {
        Some(columns) => columns,
        // Rules cost ten times what reading does: they are asked when somebody wants to know.
        None => all.into_iter().filter(|column| *column != Out::DqStatus).collect(),
    })
}

/// `adjust` and `adjust_anchor`.
fn adjustment(params: &Params) -> Result<Adjustment, Problem> {
    let adjust = params.read("adjust", |name| {
        let all = Adjust::ALL.map(Adjust::name).join(", ");
        Adjust::parse(name).ok_or_else(|| format!("'{name}' is not one of {all}"))
    })?;
    let adjust = adjust.unwrap_or_default();
    if adjust == Adjust::None && params.get("adjust_anchor").is_some() {
        let fault = "says up to when prices are adjusted: say adjust=splits or adjust=all too";
        return Err(Problem::parameter("adjust_anchor", fault));
    }
    let anchor = params.read("adjust_anchor", |text| match text {
        "end" => Ok(Anchor::End),
        text => parse_when(text).map(|when| match when {
            When::Instant(instant) => Anchor::Instant(instant),
            When::Date(date) => Anchor::Date(date),
        }),
    })?;
    Ok(Adjustment { adjust, anchor: anchor.unwrap_or_default() })
}

/// A question whose prices cannot be adjusted.
fn not_adjusted(error: &Error) -> Problem {
    let problem = Problem::read(error);
    if error.kind() == ErrorKind::Invalid { problem.about("adjust") } else { problem }
}

/// The instruments of a question, one for each symbol.
pub(crate) struct Resolved {
    /// Their ids.
    pub(crate) instruments: Vec<Arc<str>>,
    /// The facts of the question's (T, N).
    pub(crate) reference: Arc<Reference>,
}

impl Resolved {
    /// What a person should know of each symbol of which there is nothing at that step and side.
    ///
    /// # Errors
    /// Nobody has delivered anything of any of the symbols.
    pub(crate) fn missing(&self, asked: &Slotted, opened: &[bool]) -> Result<Vec<String>, Problem> {
        let from = asked.source.as_ref().map_or(String::new(), |source| format!(" from {source}"));
        let missing = asked.symbols.iter().zip(opened).filter(|(_, is_open)| !**is_open);
        let warnings: Vec<String> = missing
            .map(|(symbol, _)| {
                let (step, side) = (asked.step.name(), asked.side.name());
                format!("{symbol}: no source has delivered {step} {side} bars of it{from}")
            })
            .collect();
        if opened.contains(&true) {
            return Ok(warnings);
        }
        let detail = format!("symbols: {}", warnings.join("; "));
        Err(Problem::new(Code::NotFound, detail).about("symbols"))
    }
}

/// Curated bars on their way out, piece by piece.
pub(crate) struct Reader {
    symbols: std::vec::IntoIter<(usize, Whence)>,
    /// The one at hand.
    source: Option<(usize, Whence)>,
    lane: Option<Lane>,
    layout: Layout,
    step: Step,
    side: PriceSide,
    fill: Fill,
    resume: Option<Position>,
    /// The names of the calendars, joined by commas.
    pub(crate) calendar: Option<String>,
    /// What a person should know.
    pub(crate) warnings: Vec<String>,
}

/// Where the slots of a symbol come from.
enum Whence {
    /// One question about all of them.
    Whole(Box<Option<Curated>>),
    /// Several, each about some.
    Views(Box<Viewed>),
}

/// The live vintage of a symbol.
struct Viewed {
    snapshot: Snapshot,
    scan: CuratedScan,
    adjustment: Adjustment,
    /// Whether what is filled in depends on the rows before.
    is_filled: bool,
    views: Views,
}

impl Whence {
    /// The next slots, and from when on they are wanted; `None` at the end.
    fn next(&mut self) -> Result<Option<(Curated, Timestamp)>, Error> {
        match self {
            Self::Whole(curated) => Ok(curated.take().map(|curated| (curated, Timestamp::MIN))),
            Self::Views(viewed) => viewed.next(),
        }
    }
}

impl Viewed {
    fn next(&mut self) -> Result<Option<(Curated, Timestamp)>, Error> {
        let Some(View { start, end, as_of }) = self.views.next()? else { return Ok(None) };
        let scan = CuratedScan { as_of: Some(as_of), due: as_of, ..self.scan.clone() };
        let reference = Reference::at(&self.snapshot, scan.as_of, scan.at_sequence)?;
        let curated = self.snapshot.curated(scan)?.adjusted(&reference, self.adjustment)?;
        let from = if self.is_filled { Timestamp::MIN } else { start };
        Ok(Some((curated.narrowed(from, end), start)))
    }
}

struct Lane {
    symbol: u32,
    /// Slots that start earlier are not wanted.
    from: Timestamp,
    curated: Curated,
    sources: Vec<u32>,
    filler: Filler,
}

impl Reader {
    /// The slots as they are in `snapshot`, from behind `resume` on.
    ///
    /// # Errors
    /// Nobody has delivered anything of the symbols, or the facts cannot be read.
    pub(crate) fn new(
        snapshot: &Snapshot,
        asked: &Slotted,
        columns: Vec<Out>,
        (gaps, fill): (bool, Fill),
        resume: Option<Position>,
    ) -> Result<Self, Problem> {
        let failed = |error: Error| Problem::read(&error);
        let resolved = asked.resolve(snapshot).map_err(failed)?;
        let mut layout = Layout {
            columns,
            symbols: asked.symbols.iter().map(ToString::to_string).collect(),
            sources: Vec::new(),
            instruments: resolved.instruments.iter().map(ToString::to_string).collect(),
            hollow: if gaps { Hollow::Slots } else { Hollow::None },
            ..Layout::default()
        };
        let mut ids = layout.user_ids();
        if matches!(fill, Fill::Forward(_)) && !ids.contains(&BARS.columns[CLOSE].id) {
            ids.push(BARS.columns[CLOSE].id);
        }
        let (mut sources, mut opened, mut late) = (Vec::new(), Vec::new(), Vec::new());
        let mut calendars: Vec<String> = Vec::new();
        for place in 0..asked.symbols.len() {
            let mut scan = asked.scan(&resolved, place, ids.clone(), gaps);
            scan.flags = layout.columns.contains(&Out::DqStatus);
            scan.coverage = layout.columns.contains(&Out::Coverage);
            if let Some(resume) = resume {
                if (resume.symbol as usize) > place {
                    scan.end = scan.start;
                } else if resume.symbol as usize == place && fill == Fill::None {
                    // What was filled in depends on the rows before.
                    scan.start = scan.start.max(resume.ts);
                }
            }
            let curated = snapshot.curated(scan.clone()).map_err(failed)?;
            let curated = curated
                .adjusted(&resolved.reference, asked.adjustment)
                .map_err(|error| not_adjusted(&error))?;
            opened.push(!curated.candidates().is_empty());
            let calendar = curated.calendar().map_or("none", |calendar| calendar.name());
            place_of(&mut calendars, calendar);
            for candidate in curated.candidates() {
                place_of(&mut layout.sources, candidate.source.as_str());
            }
            sources.push(match asked.vintage {
                Vintage::Final => (place, Whence::Whole(Box::new(Some(curated)))),
                Vintage::Live => {
                    let adjustment = asked.adjustment;
                    let views = snapshot.views(&scan, adjustment.adjust != Adjust::None);
                    let views = views.map_err(failed)?;
                    late.extend(vintage::warning(asked.symbols[place].as_str(), views.late())?);
                    for source in views.sources() {
                        place_of(&mut layout.sources, source);
                    }
                    let (snapshot, is_filled) = (snapshot.clone(), fill != Fill::None);
                    let viewed = Viewed { snapshot, scan, adjustment, is_filled, views };
                    (place, Whence::Views(Box::new(viewed)))
                }
            });
        }
        let mut warnings = resolved.missing(asked, &opened)?;
        warnings.extend(late);
        Ok(Self {
            symbols: sources.into_iter(),
            source: None,
            lane: None,
            layout,
            step: asked.step,
            side: asked.side,
            fill,
            resume,
            calendar: Some(calendars.join(",")),
            warnings,
        })
    }

    /// What holds for all pieces.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    fn open(&mut self, place: usize, (curated, from): (Curated, Timestamp)) -> Lane {
        let names = curated.candidates().iter().map(|candidate| candidate.source.as_str());
        let sources = names.map(|name| place_of(&mut self.layout.sources, name)).collect();
        let roles = self.layout.user().map(|place| match BARS.columns[place].name {
            "open" | "high" | "low" | "close" => Role::Price,
            "volume" | "trades" => Role::Amount,
            _ => Role::Other,
        });
        let mut roles: Vec<Role> = roles.collect();
        let close = self.layout.user().position(|place| place == CLOSE);
        let close = close.unwrap_or(roles.len());
        if close == roles.len() {
            roles.push(Role::Price);
        }
        Lane {
            symbol: u32::try_from(place).expect("invariant: a request has few symbols"),
            from,
            sources,
            curated,
            filler: Filler::new(self.fill, roles, close),
        }
    }

    /// The next piece, never empty; `None` at the end.
    ///
    /// # Errors
    /// Stored bytes cannot be read.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, Error> {
        loop {
            let Some(mut lane) = self.lane.take() else {
                let source = self.source.take().or_else(|| self.symbols.next());
                let Some((place, mut source)) = source else { return Ok(None) };
                if let Some(next) = source.next()? {
                    self.source = Some((place, source));
                    self.lane = Some(self.open(place, next));
                }
                continue;
            };
            let Some(found) = lane.curated.next()? else { continue };
            let user_count = self.layout.user().count();
            let (mut rows, mut slots, sources) =
                expand(&lane.curated, found, &lane.sources, &mut lane.filler);
            rows.columns.truncate(user_count);
            slots.instrument = lane.symbol;
            let piece = Piece {
                symbol: lane.symbol,
                source: PerRow::Each(sources),
                side: PerRow::One(self.side.code().into()),
                step: self.step,
                rows,
                slots: Some(slots),
                features: None,
            };
            let before = piece.rows.ts.partition_point(|ts| *ts < lane.from.nanos());
            let piece = self.leave_out_sent(piece.skip(before));
            self.lane = Some(lane);
            if !piece.rows.is_empty() {
                return Ok(Some(piece));
            }
        }
    }

    /// Drops the slots that earlier pages had.
    fn leave_out_sent(&self, piece: Piece) -> Piece {
        let Some(resume) = self.resume.filter(|resume| resume.symbol == piece.symbol) else {
            return piece;
        };
        let sent = piece.rows.ts.partition_point(|&ts| ts <= resume.ts.nanos());
        piece.skip(sent)
    }
}
