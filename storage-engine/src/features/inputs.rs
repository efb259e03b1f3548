//! The slots of an instrument as kernels take them: a column for each field that a group uses.

use barrow_features::{Cell, Field, Gap, Inputs};
use barrow_types::{ColumnId, Timestamp};

use crate::curate::{Content, Curated, Piece, SlotSpan, State};
use crate::error::Error;
use crate::gaps::Reason;
use crate::rows::{self, Values, flags};

use super::moments::{Moment, Moments};

/// Place of the close among the columns that are read: always the first.
const CLOSE: usize = 0;

/// Slots in order, and what each says.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// When each starts.
    pub(super) ts: Vec<i64>,
    /// When it ends.
    pub(super) ts_end: Vec<i64>,
    /// When it could first be had.
    pub(super) available_at: Vec<i64>,
    /// The date of its session.
    pub(super) session: Vec<i32>,
    /// Code of the reason why it has no row; 0 if it has one.
    pub(super) reason: Vec<u8>,
    /// When its row was learned; the beginning of time without one.
    pub(super) known_at: Vec<i64>,
    /// The record that brought its row; 0 without one.
    pub(super) sequence: Vec<u64>,
    /// Whether its row may still change.
    pub(super) provisional: Vec<bool>,
    /// The close of the last row up to it; `None` before the first.
    pub(super) close: Vec<Option<f64>>,
    /// The fields that the group uses.
    pub(super) inputs: Inputs,
}

impl Slots {
    pub(super) fn len(&self) -> usize {
        self.ts.len()
    }

    /// Makes room for so many more slots, with these fields.
    fn reserve(&mut self, slots: usize, fields: &[Field]) {
        self.ts.reserve(slots);
        self.ts_end.reserve(slots);
        self.available_at.reserve(slots);
        self.session.reserve(slots);
        self.reason.reserve(slots);
        self.known_at.reserve(slots);
        self.sequence.reserve(slots);
        self.provisional.reserve(slots);
        self.close.reserve(slots);
        for &field in fields {
            self.inputs.column_mut(field).reserve(slots);
        }
    }

    /// Takes all slots of others, which come behind its own.
    fn append(&mut self, others: &mut Self) {
        if others.ts.is_empty() {
            return;
        }
        let Self {
            ts,
            ts_end,
            available_at,
            session,
            reason,
            known_at,
            sequence,
            provisional,
            close,
            inputs,
        } = std::mem::take(others);
        self.ts.extend(ts);
        self.ts_end.extend(ts_end);
        self.available_at.extend(available_at);
        self.session.extend(session);
        self.reason.extend(reason);
        self.known_at.extend(known_at);
        self.sequence.extend(sequence);
        self.provisional.extend(provisional);
        self.close.extend(close);
        self.inputs.append(&inputs);
    }
}

/// Reads slots from the first with a row on.
pub(super) struct SlotReader {
    curated: Curated,
    gap: Gap,
    /// The end of what is due.
    due: i64,
    fields: Vec<Field>,
    /// Of each field, where its column is among those that are read; `None` if it is none of a bar.
    places: Vec<Option<usize>>,
    moments: Option<Moments>,
    /// The close of the last row; `None` before the first.
    close: Option<f64>,
    /// Whether empty slots count from the start on: a row lies before them.
    has_begun: bool,
    /// Slots that are not due, behind the last one that is.
    later: Slots,
    /// Whether one that is due comes behind the range.
    is_followed: bool,
    is_over: bool,
}

/// Number of a field's column among those of bars; `None` if it is not stored.
fn column_of(field: Field) -> Option<ColumnId> {
    let place = match field {
        Field::Open => 1,
        Field::High => 2,
        Field::Low => 3,
        Field::Close => 4,
        Field::Volume => 5,
        Field::Vwap => 6,
        Field::Trades => 7,
        _ => return None,
    };
    Some(ColumnId::new(place))
}

/// The columns that fields need, the close first.
pub(super) fn columns_of(fields: &[Field]) -> Vec<ColumnId> {
    let mut needed = vec![Field::Close];
    for &field in fields {
        match field {
            Field::Amount => needed.extend([Field::Volume, Field::Vwap]),
            field => needed.push(field),
        }
    }
    let mut columns: Vec<ColumnId> = Vec::new();
    for column in needed.into_iter().filter_map(column_of) {
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    columns
}

impl SlotReader {
    /// The slots of `curated`, which reads [`columns_of`] `fields` and empty slots too. `close` is
    /// that of the last row before its range, if there is one. `due` is the end of what is due, and
    /// whether a slot that is lies behind the range.
    pub(super) fn new(
        curated: Curated,
        (fields, gap): (&[Field], Gap),
        (due, is_followed): (Timestamp, bool),
        close: Option<f64>,
    ) -> Self {
        let columns = columns_of(fields);
        let place = |field: Field| {
            let id = column_of(field)?;
            columns.iter().position(|column| *column == id)
        };
        let uses_calendar = fields.iter().any(|field| field.place() >= Field::Session.place());
        let moments =
            uses_calendar.then(|| Moments::new(curated.grid(), curated.calendar_shared()));
        Self {
            gap,
            due: due.nanos(),
            fields: fields.to_vec(),
            places: Field::ALL.iter().map(|field| place(*field)).collect(),
            moments,
            has_begun: close.is_some(),
            close,
            later: Slots::default(),
            is_followed,
            is_over: false,
            curated,
        }
    }

    /// The next slots, never none; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Slots>, Error> {
        while !self.is_over {
            let Some(piece) = self.curated.next()? else { break };
            let slots = self.slots(&piece);
            if slots.len() > 0 {
                return Ok(Some(slots));
            }
        }
        let later = std::mem::take(&mut self.later);
        Ok((self.is_followed && later.len() > 0).then_some(later))
    }

    fn slots(&mut self, piece: &Piece) -> Slots {
        let mut slots = Slots::default();
        slots.reserve(piece.spans.iter().map(|span| span.count as usize).sum(), &self.fields);
        for span in &piece.spans {
            let delay = self.curated.publish_delay(span).get();
            if let Content::Rows(first) = span.content
                && self.rows(piece, span, (first, delay), &mut slots)
            {
                continue;
            }
            for offset in 0..span.count {
                let at = span.first + offset;
                if span.stretch.start_of(at) >= self.due {
                    self.is_over = true;
                    return slots;
                }
                let is_due = span.stretch.end_of(at).saturating_add(delay) <= self.due;
                match span.content {
                    Content::Rows(first) if is_due => {
                        slots.append(&mut self.later);
                        let row = first + offset as usize;
                        self.row(piece, span, (at, row), &mut slots);
                    }
                    _ if !self.has_begun || self.gap == Gap::Rows => continue,
                    Content::Empty(reason) if is_due => {
                        slots.append(&mut self.later);
                        self.empty(reason, &mut slots);
                    }
                    // It counts only if something behind it is due.
                    _ => {
                        let mut later = std::mem::take(&mut self.later);
                        self.empty(Reason::NotDue, &mut later);
                        self.place(span, at, delay, &mut later);
                        self.later = later;
                        continue;
                    }
                }
                self.place(span, at, delay, &mut slots);
            }
        }
        slots
    }

    /// Adds all slots of a span, whose rows begin at `first`, if all are due and nothing but rows
    /// is asked for that have every value; false: nothing was added.
    fn rows(
        &mut self,
        piece: &Piece,
        span: &SlotSpan,
        (first, delay): (usize, i64),
        slots: &mut Slots,
    ) -> bool {
        let last = span.first + span.count - 1;
        let is_due = span.stretch.end_of(last).saturating_add(delay) <= self.due;
        let rows = &piece.rows;
        let has_all = |column: &rows::Column| {
            column.validity.is_none() && matches!(column.values, Values::F64(_))
        };
        let is_plain = |field: &Field| {
            self.places[field.place()].is_some_and(|place| has_all(&rows.columns[place]))
        };
        let Some((open_after, is_own)) = self.curated.provisional_after(span) else { return false };
        if !is_due
            || span.stretch.start_of(last) >= self.due
            || self.moments.is_some()
            || !has_all(&rows.columns[CLOSE])
            || !self.fields.iter().all(is_plain)
        {
            return false;
        }
        slots.append(&mut self.later);
        self.has_begun = true;
        let (places, all) = (span.first..=last, first..first + span.count as usize);
        slots.ts.extend(places.clone().map(|at| span.stretch.start_of(at)));
        slots.ts_end.extend(places.clone().map(|at| span.stretch.end_of(at)));
        let begin = slots.ts_end.len() - all.len();
        let Slots { ts_end, available_at, provisional, .. } = &mut *slots;
        let ends = &ts_end[begin..];
        available_at.extend(ends.iter().map(|end| end.saturating_add(delay)));
        provisional.extend(
            ends.iter()
                .zip(&rows.flags[all.clone()])
                .map(|(end, row)| *end > open_after && !(is_own && row & flags::CORRECTED != 0)),
        );
        let len = slots.ts.len();
        slots.session.resize(len, span.stretch.date);
        slots.reason.resize(len, Reason::Ok.code());
        slots.known_at.extend_from_slice(&rows.known_at[all.clone()]);
        slots.sequence.extend_from_slice(&rows.sequence[all.clone()]);
        let numbers = |place: usize| match &rows.columns[place].values {
            Values::F64(values) => &values[all.clone()],
            _ => unreachable!("invariant: it was looked at"),
        };
        let closes = numbers(CLOSE);
        slots.close.extend(closes.iter().map(|close| Some(*close)));
        self.close = closes.last().copied();
        for &field in &self.fields {
            let place = self.places[field.place()].expect("invariant: it was looked at");
            slots.inputs.column_mut(field).extend_numbers(numbers(place).iter().copied());
        }
        true
    }

    /// Adds where a slot lies, and what the calendar says of it.
    fn place(&mut self, span: &SlotSpan, at: u32, delay: i64, slots: &mut Slots) {
        let end = span.stretch.end_of(at);
        slots.ts.push(span.stretch.start_of(at));
        slots.close.push(self.close);
        slots.ts_end.push(end);
        slots.available_at.push(end.saturating_add(delay));
        slots.session.push(span.stretch.date);
        if let Some(moments) = &mut self.moments {
            let moment = moments.of(&span.stretch, at);
            for &field in &self.fields {
                if let Some(value) = of_moment(&moment, field) {
                    slots.inputs.column_mut(field).push(Cell::number(value));
                }
            }
        }
    }

    /// Adds a slot with a row.
    fn row(&mut self, piece: &Piece, span: &SlotSpan, (at, row): (u32, usize), slots: &mut Slots) {
        let rows = &piece.rows;
        self.has_begun = true;
        self.close = value(&rows.columns[CLOSE], row);
        let state = self.curated.state(piece, span, at, row);
        slots.reason.push(Reason::Ok.code());
        slots.known_at.push(rows.known_at[row]);
        slots.sequence.push(rows.sequence[row]);
        slots.provisional.push(state == State::Provisional);
        for &field in &self.fields {
            let cell = |field: Field| {
                self.places[field.place()].and_then(|place| value(&rows.columns[place], row))
            };
            let found = match field {
                Field::Amount => match (cell(Field::Vwap), cell(Field::Volume)) {
                    (Some(vwap), Some(volume)) => Some(vwap * volume),
                    _ => None,
                },
                field if field.place() >= Field::Session.place() => continue,
                field => cell(field),
            };
            let column = slots.inputs.column_mut(field);
            column.push(found.map_or(Cell::null(Reason::Missing), Cell::number));
        }
    }

    /// Adds a slot without one.
    fn empty(&self, reason: Reason, slots: &mut Slots) {
        slots.reason.push(reason.code());
        slots.known_at.push(i64::MIN);
        slots.sequence.push(0);
        slots.provisional.push(false);
        let known = (reason == Reason::NoTrade && self.gap == Gap::ByReason)
            .then_some(self.close)
            .flatten();
        for &field in &self.fields {
            let column = slots.inputs.column_mut(field);
            match (field, known) {
                (field, _) if field.place() >= Field::Session.place() => {}
                (_, None) => column.push(Cell::null(reason)),
                (Field::Volume | Field::Trades | Field::Amount, Some(_)) => {
                    column.push(Cell::number(0.0))
                }
                (_, Some(close)) => column.push(Cell::number(close)),
            }
        }
    }
}

fn value(column: &rows::Column, at: usize) -> Option<f64> {
    if !column.is_valid(at) {
        return None;
    }
    match &column.values {
        Values::F64(values) => Some(values[at]),
        #[expect(clippy::cast_precision_loss, reason = "no bar has 2^53 trades")]
        Values::I64(values) => Some(values[at] as f64),
        Values::Text(_) => None,
    }
}

fn of_moment(moment: &Moment, field: Field) -> Option<f64> {
    match field {
        Field::Session => Some(moment.session),
        Field::Slot => Some(moment.slot),
        Field::Slots => Some(moment.slots),
        Field::Minute => Some(moment.minute),
        Field::ToClose => Some(moment.to_close),
        Field::Weekday => Some(moment.weekday),
        Field::HalfDay => Some(moment.half_day),
        _ => None,
    }
}
