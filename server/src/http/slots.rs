//! What the curated layer knows of the rows of a piece beside the rows: their slots.

use std::ops::Range;

use barrow_engine::gaps::Reason;
use barrow_engine::rows::{Column, ColumnType, Rows, Values};
use barrow_engine::{Content, Curated, Piece as Found, SlotSpan, State};

/// No source: the slot has no candidate.
pub(crate) const NO_SOURCE: u32 = u32::MAX;

/// What quality rules and persons say of a slot's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DqStatus {
    /// Nothing.
    Ok,
    /// A rule fires on it.
    Flagged,
    /// It is kept out.
    Quarantined,
}

impl DqStatus {
    /// Every status.
    pub(crate) const ALL: [Self; 3] = [Self::Ok, Self::Flagged, Self::Quarantined];

    /// Its place among all.
    pub(crate) const fn place(self) -> u32 {
        self as u32
    }

    /// The word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Flagged => "flagged",
            Self::Quarantined => "quarantined",
        }
    }
}

/// The slots of the rows of a piece, one each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots {
    /// When each ends.
    pub(crate) ts_end: Vec<i64>,
    /// When it can first be had.
    pub(crate) available_at: Vec<i64>,
    /// The date of its session, in days since 1970.
    pub(crate) session: Vec<i32>,
    /// Code of the reason why it is empty; 0 if it is not.
    pub(crate) reason: Vec<u8>,
    /// Whether its row may still change; `None` if it has none.
    pub(crate) state: Vec<Option<State>>,
    /// Whether its values were filled in.
    pub(crate) is_filled: Vec<bool>,
    /// What is said of its row.
    pub(crate) dq_status: Vec<DqStatus>,
    /// The share of it that is covered; empty if nobody asks.
    pub(crate) coverage: Vec<f64>,
    /// Place of the instrument among those of the answer.
    pub(crate) instrument: u32,
}

impl Slots {
    /// Some of the slots, in order.
    pub(crate) fn slice(&self, range: Range<usize>) -> Self {
        Self {
            ts_end: self.ts_end[range.clone()].to_vec(),
            available_at: self.available_at[range.clone()].to_vec(),
            session: self.session[range.clone()].to_vec(),
            reason: self.reason[range.clone()].to_vec(),
            state: self.state[range.clone()].to_vec(),
            is_filled: self.is_filled[range.clone()].to_vec(),
            dq_status: self.dq_status[range.clone()].to_vec(),
            coverage: self.coverage.get(range).map(<[f64]>::to_vec).unwrap_or_default(),
            instrument: self.instrument,
        }
    }

    /// Whether the slot of row `at` is empty.
    pub(crate) fn is_gap(&self, at: usize) -> bool {
        self.reason[at] != Reason::Ok.code()
    }
}

/// What stands in empty slots.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fill {
    /// Nothing.
    None,
    /// The last close, in at most so many slots in a row.
    Forward(u32),
    /// One number.
    Constant(f64),
}

impl Fill {
    /// `none`, `forward`, `forward:LIMIT`, `constant:VALUE`.
    ///
    /// # Errors
    /// It is none of these.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (way, value) = text.split_once(':').unwrap_or((text, ""));
        match (way, value) {
            ("none", "") => Ok(Self::None),
            ("forward", "") => Ok(Self::Forward(u32::MAX)),
            ("forward", limit) => match limit.parse() {
                Ok(limit) if limit > 0 => Ok(Self::Forward(limit)),
                _ => Err(format!("forward:{limit}: the limit is not a whole number above 0")),
            },
            ("constant", value) => match value.parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(Self::Constant(value)),
                _ => Err(format!("constant:{value}: there is no such number; write constant:0")),
            },
            _ => Err(format!("'{text}' is not none, forward, forward:LIMIT or constant:VALUE")),
        }
    }
}

/// Which user column of an answer is what, for filling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Open, high, low or close.
    Price,
    /// Volume or number of trades: nothing was traded.
    Amount,
    /// Anything else stays without a value.
    Other,
}

/// Fills the slots of one instrument in order.
pub(crate) struct Filler {
    fill: Fill,
    roles: Vec<Role>,
    /// Place of the close among the columns that are read.
    close: usize,
    last: Option<f64>,
    /// Slots filled since the last row.
    filled: u32,
}

impl Filler {
    /// Columns of these roles; the close is at `close`.
    pub(crate) fn new(fill: Fill, roles: Vec<Role>, close: usize) -> Self {
        Self { fill, roles, close, last: None, filled: 0 }
    }

    /// Notes row `at`, which has values.
    fn note(&mut self, rows: &Rows, at: usize) {
        if matches!(self.fill, Fill::Forward(_))
            && let Values::F64(close) = &rows.columns[self.close].values
        {
            self.last = Some(close[at]);
        }
        self.filled = 0;
    }

    /// The price of the next empty slot.
    fn next(&mut self) -> Option<f64> {
        match self.fill {
            Fill::None => None,
            Fill::Constant(value) => Some(value),
            Fill::Forward(limit) => {
                self.filled = self.filled.saturating_add(1);
                self.last.filter(|_| self.filled <= limit)
            }
        }
    }
}

/// Adds a value of the role of a column: a price, an amount of 0, or none.
fn push(column: &mut Column, role: Role, price: Option<f64>) {
    let value = match (role, price) {
        (Role::Price, Some(price)) => Values::F64(vec![price]),
        (Role::Amount, Some(_)) => match column.kind() {
            ColumnType::F64 => Values::F64(vec![0.0]),
            ColumnType::I64 => Values::I64(vec![0]),
            ColumnType::Text => unreachable!("invariant: amounts are numbers"),
        },
        _ => return column.push_null(),
    };
    column.push_from(&Column::new(value), 0);
}

/// The rows of a piece with its empty slots among them, and what the slots say; `ts` is when each
/// slot starts. `sources` are the places of the candidates' sources.
pub(crate) fn expand(
    curated: &Curated,
    found: Found,
    sources: &[u32],
    filler: &mut Filler,
) -> (Rows, Slots, Vec<u32>) {
    let count: usize = found.spans.iter().map(|span| span.count as usize).sum();
    let mut slots = Slots::default();
    slots.ts_end.reserve(count);
    let mut of_row = Vec::with_capacity(count);
    let mut starts = Vec::with_capacity(count);
    for span in &found.spans {
        let source = span.candidate.map_or(NO_SOURCE, |candidate| sources[candidate]);
        of_row.resize(of_row.len() + span.count as usize, source);
        add(curated, &found, span, &mut slots, &mut starts);
    }
    let has_gaps = found.rows.len() < count;
    let mut rows = if has_gaps { with_gaps(&found, &mut slots, filler) } else { found.rows };
    rows.ts = starts;
    (rows, slots, of_row)
}

/// Adds the slots of a span.
fn add(
    curated: &Curated,
    found: &Found,
    span: &SlotSpan,
    slots: &mut Slots,
    starts: &mut Vec<i64>,
) {
    let delay = curated.publish_delay(span).get();
    let places = span.first..span.first + span.count;
    starts.extend(places.clone().map(|at| span.stretch.start_of(at)));
    let ends = places.clone().map(|at| span.stretch.end_of(at));
    slots.ts_end.extend(ends.clone());
    slots.available_at.extend(ends.map(|end| end.saturating_add(delay)));
    let len = slots.ts_end.len();
    slots.session.resize(len, span.stretch.date);
    slots.is_filled.resize(len, false);
    match span.content {
        Content::Rows(first) => {
            slots.reason.resize(len, Reason::Ok.code());
            slots.dq_status.resize(len, DqStatus::Ok);
            let rows = first..first + span.count as usize;
            if curated.tells_coverage() {
                slots.coverage.extend_from_slice(&found.coverage[rows.clone()]);
            }
            let next = found.flagged.partition_point(|place| *place < rows.start);
            for flagged in found.flagged[next..].iter().take_while(|place| **place < rows.end) {
                slots.dq_status[len - (rows.end - flagged)] = DqStatus::Flagged;
            }
            let states = places.zip(first..);
            let state = |(at, place)| Some(curated.state(found, span, at, place));
            slots.state.extend(states.map(state));
        }
        Content::Empty(reason) => {
            slots.reason.resize(len, reason.code());
            let is_kept_out = reason == Reason::Quarantined;
            let status = if is_kept_out { DqStatus::Quarantined } else { DqStatus::Ok };
            slots.dq_status.resize(len, status);
            slots.state.resize(len, None);
            if curated.tells_coverage() {
                slots.coverage.resize(len, 0.0);
            }
        }
    }
}

/// The rows of a piece with a row for each empty slot.
fn with_gaps(found: &Found, slots: &mut Slots, filler: &mut Filler) -> Rows {
    let kinds = found.rows.columns.iter().map(Column::kind);
    let mut rows = Rows::empty(kinds);
    for span in &found.spans {
        match span.content {
            Content::Rows(first) => {
                let places = first..first + span.count as usize;
                filler.note(&found.rows, places.end - 1);
                rows.extend_range(&found.rows, places);
            }
            Content::Empty(_) => {
                for _ in 0..span.count {
                    let price = filler.next();
                    slots.is_filled[rows.len()] = price.is_some();
                    for (column, role) in rows.columns.iter_mut().zip(&filler.roles) {
                        push(column, *role, price);
                    }
                    rows.ts.push(0);
                    rows.sequence.push(0);
                    rows.known_at.push(0);
                    rows.flags.push(0);
                }
            }
        }
    }
    rows
}
