//! A store with one instrument that follows a small calendar, and plain words for what is in it.

use std::ops::ControlFlow;
use std::sync::Arc;

use barrow_types::{
    Align, ColumnId, DAY_NANOS, DatasetId, PriceSide, Sequence, SessionSet, Step, Timestamp,
    days_from_civil,
};

use crate::batch::{Act, Applied, Batch, Claim, ClaimOrigin, KnownAt, Symbols};
use crate::dataset::facts::{ALWAYS, FACT_SOURCE};
use crate::dataset::retention::{self, Floor};
use crate::disk::{Disk, MemoryDisk};
use crate::reference::Reference;
use crate::rows::{Column, ColumnType, Texts, Values};
use crate::{Content, Curated, CuratedScan, Engine, Options, Scope, Snapshot, State, prepare};

pub(super) const MINUTE: i64 = 60_000_000_000;
const SECOND: i64 = 1_000_000_000;

/// Midnight of the day of January 2024.
pub(super) fn midnight(day: i64) -> i64 {
    days_from_civil(2024, 1, day) * DAY_NANOS
}

/// `2 09:30`, `2 09:30:05`, or `2`: an instant of January 2024.
pub(super) fn instant(text: &str) -> i64 {
    let (day, time) = text.split_once(' ').unwrap_or((text, "00:00"));
    let mut parts = time.split(':').map(|part| part.parse::<f64>().unwrap());
    let (hours, minutes, seconds) =
        (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap_or(0.0));
    #[expect(clippy::cast_possible_truncation, reason = "times of a day in nanoseconds")]
    let nanos = ((hours * 3600.0 + minutes * 60.0 + seconds) * 1e9).round() as i64;
    midnight(day.parse().unwrap()) + nanos
}

pub(super) fn shown(at: i64) -> String {
    let day = at.div_euclid(DAY_NANOS) - days_from_civil(2024, 1, 0);
    let seconds = at.rem_euclid(DAY_NANOS) / SECOND;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match seconds % 60 {
        0 => format!("{day} {hours:02}:{minutes:02}"),
        seconds => format!("{day} {hours:02}:{minutes:02}:{seconds:02}"),
    }
}

pub(super) fn doubles(values: impl IntoIterator<Item = Option<f64>>) -> Column {
    super::super::bars::optional(values.into_iter())
}

pub(super) fn integers(values: impl IntoIterator<Item = Option<i64>>) -> Column {
    let mut column = Column::empty(ColumnType::I64, 0);
    for value in values {
        match value {
            Some(value) => column.push_from(&Column::new(Values::I64(vec![value])), 0),
            None => column.push_null(),
        }
    }
    column
}

pub(super) fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> Column {
    Column::new(Values::Text(values.into_iter().collect::<Texts>()))
}

/// A question.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) step: Step,
    pub(super) side: PriceSide,
    pub(super) session: SessionSet,
    pub(super) align: Align,
    pub(super) range: (i64, i64),
    pub(super) at_sequence: Option<Sequence>,
    pub(super) due: i64,
}

impl Ask {
    /// All of January.
    pub(super) fn of(step: Step) -> Self {
        Self {
            step,
            side: PriceSide::Trade,
            session: SessionSet::Regular,
            align: Align::Session,
            range: (midnight(1), midnight(32)),
            at_sequence: None,
            due: midnight(40),
        }
    }

    pub(super) fn within(self, start: &str, end: &str) -> Self {
        Self { range: (instant(start), instant(end)), ..self }
    }

    pub(super) fn scan(&self, empty: bool) -> CuratedScan {
        CuratedScan {
            instrument: "A".into(),
            step: self.step,
            side: self.side,
            start: Timestamp::from_nanos(self.range.0),
            end: Timestamp::from_nanos(self.range.1),
            session: self.session,
            align: Some(self.align),
            columns: (1..=7).map(ColumnId::new).collect(),
            source: None,
            fallback: None,
            as_of: None,
            at_sequence: self.at_sequence,
            due: Timestamp::from_nanos(self.due),
            empty,
            flags: false,
            coverage: true,
        }
    }
}

/// See the module. Records come in a second apart, from 2024-03-01 on.
pub(super) struct Store {
    pub(super) engine: Engine,
    pub(super) disk: Arc<MemoryDisk>,
    tile_bytes_max: u64,
    records: i64,
}

impl Store {
    /// Sessions on the 2nd to the 5th and from the 8th to the 12th of January, from 09:30 to 16:00,
    /// with hours before from 08:00 on and after until 18:00. On the 4th it closes at 13:00, on the
    /// 5th it breaks from 12:00 to 13:00.
    pub(super) fn new() -> Self {
        let mut store = Self::without_calendar();
        for day in [2, 3, 4, 5, 8, 9, 10, 11, 12] {
            let close = if day == 4 { "13:00" } else { "16:00" };
            let (from, to) = if day == 5 { ("12:00", "13:00") } else { ("-", "-") };
            store.session(day, ["9:30", close, from, to, "8:00", "18:00"]);
        }
        store.follow_calendar();
        store
    }

    /// A session of a day: its open and close, a pause from and to, and the begin and end of the
    /// hours around, as times after the day's midnight; what there is not is `-`.
    pub(super) fn session(&mut self, day: i64, times: [&str; 6]) {
        let nanos = |text: &str| {
            let (hours, rest) = text.split_once(':')?;
            let (minutes, seconds) = rest.split_once(':').unwrap_or((rest, "0"));
            let [hours, minutes, seconds] =
                [hours, minutes, seconds].map(|text| text.parse::<i64>().unwrap());
            Some((60 * hours + minutes) * MINUTE + seconds * SECOND)
        };
        let times = times.map(|text| integers([nanos(text)]));
        let columns = [texts(["regular"])].into_iter().chain(times).collect();
        self.fact(DatasetId::CALENDAR_DAYS, "TEST", midnight(day), columns);
    }

    /// From now on there are slots in these sessions only.
    pub(super) fn follow_calendar(&mut self) {
        let calendar = vec![texts(["calendar"]), texts(["TEST"])];
        self.fact(DatasetId::INSTRUMENTS, "A", ALWAYS.nanos(), calendar);
    }

    pub(super) fn without_calendar() -> Self {
        Self::on(MemoryDisk::new())
    }

    /// What a disk holds. No more records can be sent, unless there are none yet.
    pub(super) fn on(disk: MemoryDisk) -> Self {
        let disk = Arc::new(disk);
        let tile_bytes_max = Options::default().tile_bytes_max;
        let engine = open(&disk, tile_bytes_max);
        Self { engine, disk, tile_bytes_max, records: 0 }
    }

    /// Opens it anew, to keep at most so many bytes of tiles in memory from now on.
    pub(super) fn limit_tiles(&mut self, bytes_max: u64) {
        self.tile_bytes_max = bytes_max;
        self.reopen();
    }

    /// Opens it anew, as after a crash.
    pub(super) fn reopen(&mut self) {
        let disk = Arc::new(MemoryDisk::from_files(self.disk.files()));
        // A folder without a file is not among the files.
        disk.create_dir("segments").unwrap();
        (self.engine, self.disk) = (open(&disk, self.tile_bytes_max), disk);
    }

    /// Writes tiles to a file, if that is due.
    pub(super) fn write_tiles(&mut self) -> bool {
        let Some(job) = self.engine.plan_tiles() else { return false };
        let done = job.run(&*self.disk, &mut || ControlFlow::Continue(()));
        self.engine.install_tiles(done).unwrap();
        true
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.engine.snapshot()
    }

    pub(super) fn send(&mut self, mut batch: Batch) -> Applied {
        self.records += 1;
        batch.id = self.records.to_string();
        let now = days_from_civil(2024, 3, 1) * DAY_NANOS + self.records * SECOND;
        let now = Timestamp::from_nanos(now);
        let prepared = prepare(batch, &self.engine.snapshot(), now).unwrap();
        self.engine.commit(vec![prepared], now).unwrap().remove(0).unwrap()
    }

    /// A batch of symbol A without rows.
    pub(super) fn batch(dataset: DatasetId, source: &str, step: Step, ts: Vec<i64>) -> Batch {
        Batch {
            id: String::new(),
            dataset,
            source: source.to_owned(),
            step,
            side: PriceSide::Trade,
            known_at_policy: KnownAt::Ingest,
            facts: None,
            claims: Vec::new(),
            act: Act::Insert,
            is_import: true,
            symbols: Symbols::one("A", ts.len()),
            ts: Column::new(Values::I64(ts)),
            known_at: None,
            columns: Vec::new(),
            numbers: None,
            raw: None,
            refused: Vec::new(),
        }
    }

    pub(super) fn fact(&mut self, dataset: DatasetId, symbol: &str, ts: i64, columns: Vec<Column>) {
        let of = Self::batch(dataset, FACT_SOURCE, Step::Tick, vec![ts]);
        self.send(Batch { symbols: Symbols::one(symbol, 1), columns, ..of });
    }

    pub(super) fn setting(&mut self, dataset: &str, key: &str, value: &str) {
        let columns = vec![texts([key]), texts([value])];
        self.fact(DatasetId::SETTINGS, dataset, ALWAYS.nanos(), columns);
    }

    /// Bars of source `x`, one a line: instant, open, high, low, close, volume, vwap, trades; what
    /// is not there is `-`.
    pub(super) fn bars(&mut self, step: Step, lines: &[&str]) -> Applied {
        self.bars_of("x", step, lines)
    }

    pub(super) fn bars_of(&mut self, source: &str, step: Step, lines: &[&str]) -> Applied {
        let fields: Vec<(i64, Vec<Option<f64>>)> = lines.iter().map(|line| fields(line)).collect();
        let of = Self::batch(DatasetId::BARS, source, step, times(&fields));
        let column = |at: usize| doubles(fields.iter().map(|(_, values)| values[at]));
        #[expect(clippy::cast_possible_truncation, reason = "counts of trades are small")]
        let trades = integers(fields.iter().map(|(_, values)| values[6].map(|it| it as i64)));
        let columns = (0..6).map(column).chain([trades]).collect();
        self.send(Batch { columns, ..of })
    }

    /// Takes bars away.
    pub(super) fn retract(&mut self, step: Step, instants: &[&str]) {
        let ts = instants.iter().map(|text| instant(text)).collect();
        let of = Self::batch(DatasetId::BARS, "x", step, ts);
        self.send(Batch { act: Act::Retract, ..of });
    }

    /// Trades of source `x`, one a line: instant, price, size, conditions.
    pub(super) fn trades(&mut self, lines: &[&str]) -> Applied {
        let trades = Self::batch_of_trades(lines);
        self.send(trades)
    }

    /// Takes a trade away.
    pub(super) fn retract_trade(&mut self, line: &str) {
        let trade = Self::batch_of_trades(&[line]);
        self.send(Batch { act: Act::Retract, ..trade });
    }

    fn batch_of_trades(lines: &[&str]) -> Batch {
        let parse = |line: &&str| {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| words[at].parse::<f64>().unwrap();
            let conditions = words.get(4).copied().unwrap_or("").to_owned();
            (instant(&words[..2].join(" ")), number(2), number(3), conditions)
        };
        let all: Vec<(i64, f64, f64, String)> = lines.iter().map(parse).collect();
        let ts = all.iter().map(|trade| trade.0).collect();
        let of = Self::batch(DatasetId::TRADES, "x", Step::Tick, ts);
        let columns = vec![
            doubles(all.iter().map(|trade| Some(trade.1))),
            doubles(all.iter().map(|trade| Some(trade.2))),
            Column::nulls(ColumnType::Text, all.len()),
            texts(all.iter().map(|trade| trade.3.as_str())),
            Column::nulls(ColumnType::Text, all.len()),
        ];
        Batch { columns, ..of }
    }

    /// Quotes of source `x`, one a line: instant, bid, ask.
    pub(super) fn quotes(&mut self, lines: &[&str]) {
        let fields: Vec<(i64, Vec<Option<f64>>)> = lines.iter().map(|line| fields(line)).collect();
        let of = Self::batch(DatasetId::QUOTES, "x", Step::Tick, times(&fields));
        let column = |at: usize| doubles(fields.iter().map(|(_, values)| values[at]));
        let nulls = |kind| Column::nulls(kind, lines.len());
        let columns = vec![
            column(0),
            column(1),
            nulls(ColumnType::F64),
            nulls(ColumnType::F64),
            nulls(ColumnType::Text),
            nulls(ColumnType::Text),
        ];
        self.send(Batch { columns, ..of });
    }

    /// Source `x` says that it has delivered all of a range.
    pub(super) fn claim(
        &mut self,
        dataset: DatasetId,
        step: Step,
        range: (&str, &str),
        origin: ClaimOrigin,
    ) {
        let (start, end) = (instant(range.0), instant(range.1));
        let claim = Claim {
            symbol: "A".to_owned(),
            start: Timestamp::from_nanos(start),
            end: Timestamp::from_nanos(end),
            origin,
        };
        let of = Self::batch(dataset, "x", step, Vec::new());
        let schema = crate::dataset::schema(dataset).unwrap();
        let columns = schema.kinds().map(|kind| Column::empty(kind, 0)).collect();
        self.send(Batch { claims: vec![claim], columns, ..of });
    }

    /// A person keeps out the row of `ts` that `of` brought.
    pub(super) fn quarantine(&mut self, dataset_step: Step, ts: &str, of: &Applied) {
        let batch = Self::batch(DatasetId::VERDICTS, "x", dataset_step, vec![instant(ts)]);
        let of = i64::try_from(of.sequence.get()).unwrap();
        let columns =
            vec![texts(["manual"]), texts(["quarantine"]), integers([Some(of)]), texts([""])];
        self.send(Batch { columns, ..batch });
    }

    /// Raises the floors of trades and of bars as far as they are not there: from then on questions
    /// about times before record `first` are refused.
    pub(super) fn raise_floors(&mut self, first: Sequence) {
        let snapshot = self.snapshot();
        let as_of_from = snapshot.now_at(first).unwrap();
        let of_bars = [Step::M1, Step::M5, Step::H1].map(|step| (DatasetId::BARS, step));
        for (dataset, step) in of_bars.into_iter().chain([(DatasetId::TRADES, Step::Tick)]) {
            let before = snapshot.floor(dataset, step);
            if before.is_none_or(|set| set.floor.at_sequence_from < first) {
                let floor = Floor { as_of_from, at_sequence_from: first };
                self.send(retention::batch(String::new(), dataset, step, floor));
            }
        }
    }

    /// Writes what is in memory into segments, and merges them.
    pub(super) fn settle(&mut self) {
        if let Some(job) = self.engine.plan_flush() {
            let done = job.run(&*self.disk);
            self.engine.install(done).unwrap();
        }
        if let Some(job) = self.engine.plan_compaction(Scope::All) {
            let done = job.run(&*self.disk, &mut |_| ControlFlow::Continue(()));
            self.engine.install_compaction(done).unwrap();
        }
    }

    pub(super) fn curated(&self, ask: &Ask, empty: bool) -> Curated {
        self.snapshot().curated(ask.scan(empty)).unwrap()
    }

    /// The bars of a question, a line each: start, open, high, low, close, volume, vwap, trades,
    /// and the state if it is not final.
    pub(super) fn told(&self, ask: &Ask) -> Vec<String> {
        tell(self.curated(ask, false))
    }

    /// The same with empty slots: start and reason.
    pub(super) fn told_all(&self, ask: &Ask) -> Vec<String> {
        tell(self.curated(ask, true))
    }

    pub(super) fn reference(&self) -> Arc<Reference> {
        Reference::at(&self.snapshot(), None, None).unwrap()
    }
}

fn open(disk: &Arc<MemoryDisk>, tile_bytes_max: u64) -> Engine {
    let disk: Arc<dyn Disk> = Arc::clone(disk) as _;
    let options = Options { tile_bytes_max, ..Options::default() };
    Engine::open(disk, options, [7; 16]).unwrap().0
}

fn times(fields: &[(i64, Vec<Option<f64>>)]) -> Vec<i64> {
    fields.iter().map(|(ts, _)| *ts).collect()
}

/// An instant and numbers, seven of them.
fn fields(line: &str) -> (i64, Vec<Option<f64>>) {
    let words: Vec<&str> = line.split(' ').collect();
    let at = instant(&words[..2].join(" "));
    let mut values: Vec<Option<f64>> = words[2..].iter().map(|word| word.parse().ok()).collect();
    values.resize(7, None);
    (at, values)
}

pub(super) fn tell(mut curated: Curated) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(piece) = curated.next().unwrap() {
        for span in &piece.spans {
            for at in 0..span.count {
                let start = shown(span.stretch.start_of(span.first + at));
                told.push(match span.content {
                    Content::Empty(reason) => format!("{start} {}", reason.name()),
                    Content::Rows(first) => {
                        let place = first + at as usize;
                        let values = piece.rows.columns.iter().map(|column| match &column.values {
                            _ if !column.is_valid(place) => "-".to_owned(),
                            Values::F64(values) => values[place].to_string(),
                            Values::I64(values) => values[place].to_string(),
                            Values::Text(_) => panic!("bars have no texts"),
                        });
                        let mut line = format!("{start} {}", values.collect::<Vec<_>>().join(" "));
                        let state = curated.state(&piece, span, span.first + at, place);
                        if state != State::Final {
                            line = format!("{line} {}", state.name());
                        }
                        #[expect(clippy::float_cmp, reason = "all of it is there, or not")]
                        if piece.coverage[place] != 1.0 {
                            line = format!("{line} covered {}", piece.coverage[place]);
                        }
                        line
                    }
                });
            }
        }
    }
    told
}

/// The bars of a question, a line each: start, then what the columns hold, as bits.
pub(super) fn tell_bits(mut curated: Curated) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(piece) = curated.next().unwrap() {
        for span in &piece.spans {
            let Content::Rows(first) = span.content else { continue };
            for at in 0..span.count {
                let place = first + at as usize;
                let values = piece.rows.columns.iter().map(|column| match &column.values {
                    _ if !column.is_valid(place) => "-".to_owned(),
                    Values::F64(values) => values[place].to_bits().to_string(),
                    Values::I64(values) => values[place].to_string(),
                    Values::Text(_) => panic!("bars have no texts"),
                });
                let start = span.stretch.start_of(span.first + at);
                told.push(format!("{start} {}", values.collect::<Vec<_>>().join(" ")));
            }
        }
    }
    told
}
