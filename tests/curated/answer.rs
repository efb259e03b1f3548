//! The engine's answer to a question, beside the model's.

use barrow_engine::dataset;
use barrow_engine::rows::{Column, Values};
use barrow_engine::{Content, Curated, CuratedScan, Error, ErrorKind, Piece, SlotSpan, Snapshot};
use barrow_tests::curated_model::CuratedModel;
use barrow_tests::curated_model::calendar::{Align, SessionSet, Slot};
use barrow_tests::curated_model::facts::Series;
use barrow_tests::curated_model::view::{Ask, Cell, Reason, Row, State};
use barrow_tests::curated_model::world::Fallback;
use barrow_tests::curated_schedule::questions::Question;
use barrow_tests::curated_schedule::setting::DATES;
use barrow_tests::model::Value;
use barrow_types::{ColumnId, DAY_NANOS, DatasetId, Sequence, Step, Timestamp};

use crate::story::readable;

/// A question and what is wanted of the answer.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) question: Question,
    /// Places of columns of bars, in the order wanted.
    pub(crate) columns: Vec<usize>,
    /// Whether empty slots are wanted too.
    pub(crate) empty: bool,
    /// Whether it is wanted which rows rules flag.
    pub(crate) flags: bool,
    /// Whether it is wanted how much of each row is there.
    pub(crate) coverage: bool,
    /// Whether the same is asked of the gaps, which have reasons and no rows.
    pub(crate) gaps: bool,
    /// Whether only the last slot with a row is wanted, whatever the range.
    pub(crate) newest: bool,
}

/// Puts the question to both; what is right, if the engine says it too. `None`: the question is
/// refused, as it must be.
pub(crate) fn compare(
    snapshot: &Snapshot,
    model: &CuratedModel,
    asked: &Asked,
) -> Result<Option<Vec<Cell>>, String> {
    let mut ask = asked.question.ask(model);
    ask.at_sequence = ask.at_sequence.min(snapshot.sequence().get());
    if asked.newest {
        (ask.start, ask.end) = everything(ask.step);
        let right = model.knows_calendar(&ask).then(|| {
            let mut cells = wanted(model.curated(&ask), asked);
            cells.retain(|cell| cell.row.is_some());
            cells.split_off(cells.len().saturating_sub(1))
        });
        return judge(right, newest_of(snapshot, &ask, asked), &|| {
            let held = snapshot.sequence();
            format!("the newest of {}\nat a snapshot of sequence {held}", readable(asked))
        });
    }
    let right = model.knows_calendar(&ask).then(|| model.curated(&ask));
    if asked.gaps {
        let expected = right.clone().map(|cells| cells.into_iter().map(without_row).collect());
        let gaps = snapshot.gaps(scan(&ask, asked));
        judge(expected, gaps.and_then(|gaps| gaps_of(gaps, &ask)), &|| {
            let held = snapshot.sequence();
            format!("gaps of {}\nat a snapshot of sequence {held}", readable(asked))
        })?;
    }
    let expected = right.map(|cells| wanted(cells, asked));
    let found = snapshot.curated(scan(&ask, asked)).and_then(|curated| cells_of(curated, &ask));
    judge(expected, found, &|| {
        let held = snapshot.sequence();
        format!("{}\nat a snapshot of sequence {held}", readable(asked))
    })
}

/// What was found, if it is right; `None` if the question is refused and must be.
fn judge(
    expected: Option<Vec<Cell>>,
    found: Result<Vec<Cell>, Error>,
    question: &dyn Fn() -> String,
) -> Result<Option<Vec<Cell>>, String> {
    match (expected, found) {
        (None, Err(error)) if error.kind() == ErrorKind::Invalid => Ok(None),
        (_, Err(error)) => Err(format!("{} was answered: {error}", question())),
        (None, Ok(cells)) => {
            Err(format!("{} was answered with {} cells, not refused", question(), cells.len()))
        }
        (Some(expected), Ok(found)) => match difference(&expected, &found) {
            Some(difference) => Err(format!("{}: {difference}", question())),
            None => Ok(Some(found)),
        },
    }
}

/// What of the cells is wanted.
pub(crate) fn wanted(mut cells: Vec<Cell>, asked: &Asked) -> Vec<Cell> {
    cells.retain(|cell| asked.empty || cell.row.is_some());
    for row in cells.iter_mut().filter_map(|cell| cell.row.as_mut()) {
        row.values = asked.columns.iter().map(|place| row.values[*place].clone()).collect();
        row.is_flagged &= asked.flags;
        if !asked.coverage {
            row.coverage = 1_f64.to_bits();
        }
    }
    cells
}

fn without_row(cell: Cell) -> Cell {
    Cell { row: None, ..cell }
}

fn difference(expected: &[Cell], found: &[Cell]) -> Option<String> {
    let len = expected.len().max(found.len());
    let at = (0..len).find(|at| expected.get(*at) != found.get(*at))?;
    let show = |cell: Option<&Cell>| cell.map_or_else(|| "nothing".to_owned(), |c| readable(&c));
    Some(format!(
        "cell {at} of {} in the model, {} in the engine\n model  {}\n engine {}",
        expected.len(),
        found.len(),
        show(expected.get(at)),
        show(found.get(at))
    ))
}

/// The question as the engine takes it.
pub(crate) fn scan(ask: &Ask, asked: &Asked) -> CuratedScan {
    let schema = dataset::schema(DatasetId::BARS).expect("invariant: bars have a schema");
    let columns = asked.columns.iter().map(|place| schema.columns[*place].id);
    CuratedScan {
        instrument: ask.instrument.as_str().into(),
        step: ask.step,
        side: ask.side,
        start: Timestamp::from_nanos(ask.start),
        end: Timestamp::from_nanos(ask.end),
        session: match ask.set {
            SessionSet::Regular => barrow_types::SessionSet::Regular,
            SessionSet::Extended => barrow_types::SessionSet::Extended,
            SessionSet::All => barrow_types::SessionSet::All,
        },
        align: Some(match ask.align {
            Align::Session => barrow_types::Align::Session,
            Align::Clock => barrow_types::Align::Clock,
        }),
        columns: columns.collect::<Vec<ColumnId>>(),
        source: ask.source.clone(),
        fallback: ask.fallback.map(|fallback| match fallback {
            Fallback::None => barrow_engine::Fallback::None,
            Fallback::Session => barrow_engine::Fallback::Session,
            Fallback::Slot => barrow_engine::Fallback::Slot,
        }),
        as_of: asked.question.as_of.map(Timestamp::from_nanos),
        at_sequence: asked.question.at_sequence.map(Sequence::new),
        due: Timestamp::from_nanos(ask.due),
        empty: asked.empty,
        flags: asked.flags,
        coverage: asked.coverage,
    }
}

/// The cells of gaps: none has a row.
fn gaps_of(mut gaps: Curated, ask: &Ask) -> Result<Vec<Cell>, Error> {
    let mut cells = Vec::new();
    while let Some(piece) = gaps.next()? {
        for span in &piece.spans {
            cells.extend((0..span.count).map(|at| cell(&gaps, ask, span, at)));
        }
    }
    Ok(cells)
}

/// The cells of curated bars.
pub(crate) fn cells_of(mut curated: Curated, ask: &Ask) -> Result<Vec<Cell>, Error> {
    let mut cells = Vec::new();
    while let Some(piece) = curated.next()? {
        cells_of_piece(&curated, &piece, ask, &mut cells);
    }
    Ok(cells)
}

fn cells_of_piece(curated: &Curated, piece: &Piece, ask: &Ask, cells: &mut Vec<Cell>) {
    let mut rows = 0;
    for span in &piece.spans {
        if let Content::Rows(first) = span.content {
            assert_eq!(first, rows, "the rows of a piece are those of its spans, in order");
            rows += span.count as usize;
        }
        cells.extend(
            (0..span.count).map(|at| Cell {
                row: row(curated, piece, span, at),
                ..cell(curated, ask, span, at)
            }),
        );
    }
    assert_eq!(rows, piece.rows.len(), "a piece has the rows of its spans and no others");
}

/// The last slot that has a row, if there is one.
fn newest_of(snapshot: &Snapshot, ask: &Ask, asked: &Asked) -> Result<Vec<Cell>, Error> {
    let mut cells = Vec::new();
    let newest = snapshot.newest_curated(scan(ask, asked))?;
    if let Some((curated, piece)) = newest.found {
        assert!(newest.is_delivered, "a row was delivered");
        cells_of_piece(&curated, &piece, ask, &mut cells);
    }
    Ok(cells)
}

/// A range that all bars of a schedule lie in.
pub(crate) fn everything(step: Step) -> (i64, i64) {
    let days = if step.is_dated() { 40 } else { 4 };
    ((DATES[0] - days) * DAY_NANOS, (DATES[3] + days) * DAY_NANOS)
}

/// Slot `at` of those of a span, without its row.
fn cell(curated: &Curated, ask: &Ask, span: &SlotSpan, at: u32) -> Cell {
    let bucket = span.stretch.bucket(span.first + at);
    let series = |place: usize| {
        let candidate = &curated.candidates()[place];
        let (symbol, source) = (candidate.symbol.to_string(), candidate.source.to_string());
        Series { symbol, source, step: ask.step, side: ask.side }
    };
    let reason = match span.content {
        Content::Rows(_) => Reason::Ok,
        Content::Empty(reason) => reason_of(reason.code()),
    };
    let (number, start, end) = (bucket.slot, bucket.start, bucket.end);
    Cell {
        slot: Slot { number, start, end, session: i64::from(bucket.date) },
        reason,
        chosen: span.candidate.map(series),
        available_at: end + curated.publish_delay(span).get(),
        row: None,
    }
}

/// The row of slot `at` of those of a span.
fn row(curated: &Curated, piece: &Piece, span: &SlotSpan, at: u32) -> Option<Row> {
    let Content::Rows(first) = span.content else { return None };
    let place = first + at as usize;
    Some(Row {
        ts: piece.rows.ts[place],
        values: piece.rows.columns.iter().map(|column| value(column, place)).collect(),
        known_at: piece.rows.known_at[place],
        sequence: piece.rows.sequence[place],
        state: match curated.state(piece, span, span.first + at, place) {
            barrow_engine::State::Provisional => State::Provisional,
            barrow_engine::State::Final => State::Final,
            barrow_engine::State::Corrected => State::Corrected,
        },
        is_flagged: piece.flagged.contains(&place),
        coverage: piece.coverage.get(place).copied().unwrap_or(1.0).to_bits(),
    })
}

/// The reason of that number on the page.
fn reason_of(code: u8) -> Reason {
    match code {
        0 => Reason::Ok,
        1 => Reason::Closed,
        2 => Reason::NotListed,
        3 => Reason::NotDue,
        4 => Reason::NoTrade,
        5 => Reason::Halted,
        6 => Reason::Outage,
        7 => Reason::Quarantined,
        8 => Reason::Missing,
        other => panic!("a cell for reason {other}, which is that of features"),
    }
}

fn value(column: &Column, at: usize) -> Value {
    match &column.values {
        _ if !column.is_valid(at) => Value::Null,
        Values::F64(values) => Value::F64(values[at].to_bits()),
        Values::I64(values) => Value::I64(values[at]),
        Values::Text(texts) => Value::Text(texts.get(at).to_owned()),
    }
}
