//! Facts for generated rows: calendars with the sessions that they have.

use barrow_engine::batch::{Act, Batch, KnownAt, Symbols};
use barrow_engine::dataset::facts::{ALWAYS, FACT_SOURCE};
use barrow_engine::rows::{Column, ColumnType, Values};
use barrow_types::{DatasetId, Nanos, PriceSide, Step};

use crate::data::{DAY, MINUTE, MINUTES, OPEN, open_of, symbol};
use crate::load::{self, Store};

/// Makes a calendar of the first sessions, each so much longer at both ends.
pub fn calendar(store: &mut Store, name: &str, sessions: u32, wider: i64) {
    let dates: Vec<i64> = (0..sessions).map(|at| open_of(at) - OPEN.rem_euclid(DAY)).collect();
    let number = |value: i64| Column::new(Values::I64(vec![value; dates.len()]));
    let open = OPEN.rem_euclid(DAY) - wider;
    let close = open + (MINUTES as i64) * MINUTE + 2 * wider;
    let nothing = || Column::nulls(ColumnType::I64, dates.len());
    let columns = vec![
        Column::new(Values::Text(vec!["regular"; dates.len()].into_iter().collect())),
        number(open),
        number(close),
        nothing(),
        nothing(),
        nothing(),
        nothing(),
    ];
    let symbols = Symbols::one(name, dates.len());
    state(store, name, DatasetId::CALENDAR_DAYS, symbols, dates, columns);
}

/// The first symbols follow a calendar from now on.
pub fn follow(store: &mut Store, calendar: &str, count: u32) {
    let texts = |text: &str| {
        let all = vec![text; count as usize].into_iter().collect();
        Column::new(Values::Text(all))
    };
    let symbols = Symbols { names: (0..count).map(symbol).collect(), of_row: (0..count).collect() };
    let ts = vec![ALWAYS.nanos(); count as usize];
    let columns = vec![texts("calendar"), texts(calendar)];
    let id = format!("follow {calendar} from {}", store.engine.snapshot().sequence());
    state(store, &id, DatasetId::INSTRUMENTS, symbols, ts, columns);
}

/// States facts, known since their `ts`.
fn state(
    store: &mut Store,
    id: &str,
    dataset: DatasetId,
    symbols: Symbols,
    ts: Vec<i64>,
    columns: Vec<Column>,
) {
    let batch = Batch {
        id: id.to_owned(),
        dataset,
        source: FACT_SOURCE.to_owned(),
        step: Step::Tick,
        side: PriceSide::Trade,
        known_at_policy: KnownAt::TsEnd(Nanos::new(0)),
        facts: None,
        claims: Vec::new(),
        act: Act::Insert,
        symbols,
        ts: Column::new(Values::I64(ts)),
        known_at: None,
        columns,
        numbers: None,
        raw: None,
        refused: Vec::new(),
        is_import: false,
    };
    let prepared = load::prepared(&store.engine.reader(), batch);
    let answers = store.engine.commit(vec![prepared], load::NOW).expect("the disk works");
    assert!(answers.iter().all(Result::is_ok), "facts are taken");
    store.engine.advance();
}
