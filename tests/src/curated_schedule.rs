//! What happens to a store whose curated layer is asked about, at random: few symbols, sources and
//! sessions, so that rows, facts and times collide.
//!
//! | module | what it draws |
//! |---|---|
//! | this | batches of bars, and marks for whoever drives an engine through the same |
//! | [`setting`] | the calendars and instruments that all of it is about |
//! | [`facts`] | batches of facts |
//! | [`questions`] | questions |
//!
//! An act is plain data. Acts are drawn one after the other from what the model holds by then,
//! because retractions and verdicts are about rows that are there. A driver gives every act to its
//! engine and to a [`CuratedModel`], each offer with the sequence that the engine gave it.

pub mod facts;
pub mod questions;
pub mod setting;

use barrow_types::{DAY_NANOS, PriceSide, SeriesKey, Step};

use crate::curated_model::facts::{EVERY_SYMBOL, Fact, Ledger, Origin};
use crate::curated_model::{BarLoad, Claim, CuratedModel, FactLoad, Offer};
use crate::model::{COLUMN_COUNT, Load, Offered, Table, Value, series_key};
use crate::random::Random;
use setting::{DATES, HOUR, MINUTE, SECOND, SOURCES, SYMBOLS};

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// These batches come in as one group.
    Commit(Vec<Offer>),
    /// What is in memory is written to segments.
    Flush,
    /// Segments are merged: all of them, or what is due.
    Compact {
        /// All of them.
        all: bool,
    },
    /// The gap masks and the tiles of what is in segments are written to files.
    Masks,
    /// The store is closed and opened again.
    Reopen,
    /// The process dies, perhaps while a batch comes in, and the store is opened again.
    Crash(Option<Offer>),
}

/// An act and when it is done. Time never falls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// When.
    pub now: i64,
    /// What.
    pub act: Act,
}

/// Draws acts, and questions in between.
#[derive(Clone, Debug)]
pub struct Generator {
    random: Random,
    now: i64,
    ids: u64,
    /// Of the bars that are delivered.
    steps: Vec<Step>,
    /// Of the bars that are asked for.
    asked: Vec<Step>,
    has_ticks: bool,
    dates: usize,
    sources: usize,
    symbols: usize,
    has_quality: bool,
}

impl Generator {
    /// The generator of that seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let steps = match random.below(16) {
            0..5 => vec![Step::M1],
            5 => vec![Step::M5],
            6 => vec![Step::D1],
            7 => vec![Step::M1, Step::D1],
            8 => vec![Step::M1, Step::M5],
            9 => vec![Step::H4],
            10 => vec![Step::D1, Step::W1, Step::Mo1],
            11 => vec![Step::M1, Step::M5, Step::M15, Step::D1, Step::W1],
            12 => vec![Step::S1, Step::M1],
            13 => vec![Step::H1, Step::H4, Step::D1],
            14 => vec![Step::M30, Step::H4, Step::W1],
            _ => vec![Step::S1, Step::H1],
        };
        let is_long = steps.contains(&Step::H4);
        let has_ticks = !is_long && random.chance(45);
        let asked = asked(&steps, has_ticks);
        let dates = [1, 2, 2, DATES.len()][random.place(4)];
        // History, or sessions as they happen.
        let days = if random.chance(60) { DATES[DATES.len() - 1] + 1 } else { DATES[0] };
        let now = days * DAY_NANOS + setting::OPEN + MINUTE;
        let sources = 1 + usize::from(random.chance(85)) + usize::from(random.chance(25));
        let symbols = [1, 2, 2, SYMBOLS.len()][random.place(4)];
        let (ids, has_quality) = (0, true);
        Self { random, now, ids, steps, asked, has_ticks, dates, sources, symbols, has_quality }
    }

    /// The same without rules that apply and without verdicts.
    #[must_use]
    pub fn without_quality(self) -> Self {
        Self { has_quality: false, ..self }
    }

    /// What comes before everything else: calendars, instruments, rules and bindings.
    pub fn prologue(&mut self) -> Timed {
        let is_long = self.steps.contains(&Step::H4);
        let last_has_none = self.random.chance(50);
        let instruments = setting::instruments(is_long, last_has_none);
        let all = [setting::calendar_days(), instruments, setting::rules(self.has_quality)];
        let loads = all.map(|facts| {
            let (id, retract) = (self.id(), false);
            FactLoad { id, retract, facts }
        });
        let loads = loads.into_iter().chain(self.first_bindings());
        Timed { now: self.now, act: Act::Commit(loads.map(Offer::Facts).collect()) }
    }

    /// The next act.
    pub fn act(&mut self, model: &CuratedModel) -> Timed {
        self.tick();
        let act = match self.random.below(100) {
            0..84 => {
                let batches = if self.random.chance(80) { 1 } else { 1 + self.random.below(3) };
                Act::Commit((0..batches).map(|_| self.offer(model)).collect())
            }
            84..88 => Act::Flush,
            88..91 => Act::Masks,
            91..94 => Act::Compact { all: self.random.chance(50) },
            94..97 => Act::Reopen,
            _ => {
                let comes_in = self.random.chance(60).then(|| self.offer(model));
                Act::Crash(comes_in)
            }
        };
        Timed { now: self.now, act }
    }

    /// What time it is.
    pub const fn now(&self) -> i64 {
        self.now
    }

    fn tick(&mut self) {
        self.now += match self.random.below(10) {
            0..5 => SECOND,
            5..8 => self.span(4 * MINUTE),
            8 => 20 * MINUTE,
            _ => {
                let today = self.now.div_euclid(DAY_NANOS);
                let next = DATES.iter().find(|date| **date > today);
                next.map_or(SECOND, |date| date * DAY_NANOS + setting::OPEN - self.now)
            }
        };
    }

    fn offer(&mut self, model: &CuratedModel) -> Offer {
        match self.random.below(100) {
            0..22 if self.has_ticks => Offer::Bars(self.ticks(model)),
            0..54 => Offer::Bars(self.bars(model)),
            54..59 => {
                let retraction = self.retraction(model);
                Offer::Bars(retraction.unwrap_or_else(|| self.bars(model)))
            }
            _ => self.facts(model),
        }
    }

    /// Bars of one source, mostly one after the other; sometimes with claims, sometimes only those.
    fn bars(&mut self, model: &CuratedModel) -> BarLoad {
        let mut load = self.load_of(Table::Bars);
        let rows = if self.random.chance(8) { 0 } else { 1 + self.random.below(8) };
        let symbol = self.symbol();
        let mut ts = self.bar_time(load.step);
        for _ in 0..rows {
            let mut row = self.bar(symbol, ts);
            if self.random.chance(12) {
                row.symbol = Some(self.symbol().to_owned());
            }
            self.repeat(model, &load, &mut row);
            if self.random.chance(1) {
                row.symbol = None;
            }
            load.rows.push(row);
            ts = if self.random.chance(80) {
                self.after(load.step, ts)
            } else {
                self.bar_time(load.step)
            };
        }
        if self.random.chance(30) {
            load.policy = Some([0, 15 * MINUTE][self.random.place(2)]);
        }
        let is_import = self.random.chance(30);
        let says = rows == 0 || self.random.chance(25);
        let claims = if says { vec![self.claim(load.step, symbol)] } else { Vec::new() };
        BarLoad { load, claims, is_import }
    }

    /// Trades or quotes of one source, in a session or beside it.
    fn ticks(&mut self, model: &CuratedModel) -> BarLoad {
        let table = [Table::Trades, Table::Trades, Table::Quotes][self.random.place(3)];
        let mut load = self.load_of(table);
        let symbol = self.symbol();
        let mut ts = self.tick_time();
        for _ in 0..1 + self.random.below(10) {
            let values = match table {
                Table::Quotes => self.quote(),
                _ => self.trade(),
            };
            let known_at = self.random.chance(12).then(|| self.past(2 * DAY_NANOS));
            let mut row =
                Offered { symbol: Some(symbol.to_owned()), ts: Some(ts), known_at, values };
            self.repeat(model, &load, &mut row);
            load.rows.push(row);
            ts = match self.random.below(10) {
                0..2 => ts,
                2..6 => ts + self.span(4 * SECOND),
                6..9 => ts + self.span(2 * MINUTE),
                _ => self.tick_time(),
            };
            if ts > self.now {
                ts = self.tick_time();
            }
        }
        if self.random.chance(30) {
            load.policy = Some([0, 15 * MINUTE][self.random.place(2)]);
        }
        let claims =
            if self.random.chance(20) { vec![self.claim(load.step, symbol)] } else { Vec::new() };
        BarLoad { load, claims, is_import: self.random.chance(50) }
    }

    fn tick_time(&mut self) -> i64 {
        let at = self.moment();
        let unit = [1, SECOND / 4, SECOND][self.random.place(3)];
        at.div_euclid(unit) * unit
    }

    /// A trade: price, size, venue, conditions, number.
    fn trade(&mut self) -> Vec<Value> {
        let price = [10.0, 10.1, 10.25, 9.75, 11.0][self.random.place(5)];
        let price = if self.random.chance(1) { -price } else { price };
        let size = [0.0, 0.1, 100.0, 250.0, 3.7][self.random.place(5)];
        let size = if self.random.chance(2) { -size } else { size };
        let text = |text: &str| Value::Text(text.to_owned());
        let texts = &setting::TEXTS;
        let conditions = texts[self.random.place(texts.len())];
        let venue = ["N", "Q"][self.random.place(2)];
        vec![
            double(price),
            double(size),
            if self.random.chance(50) { text(venue) } else { Value::Null },
            if self.random.chance(75) { text(conditions) } else { Value::Null },
            if self.random.chance(30) {
                text(&self.random.below(5).to_string())
            } else {
                Value::Null
            },
        ]
    }

    /// A quote: bid, ask, the size of each, venue, conditions. One side may be absent.
    fn quote(&mut self) -> Vec<Value> {
        let bid = [9.9, 10.0, 10.1][self.random.place(3)];
        let ask = [10.1, 10.2, 10.3][self.random.place(3)];
        let mut values = vec![double(bid), double(ask)];
        values.resize(6, Value::Null);
        if self.random.chance(30) {
            values[self.random.place(2)] = Value::Null;
        }
        values
    }

    /// A claim about a symbol, sometimes about all.
    fn claim(&mut self, step: Step, symbol: &str) -> Claim {
        let every = self.random.chance(22);
        let symbol = if every { EVERY_SYMBOL } else { symbol }.to_owned();
        let (start, end) = self.claimed(step);
        let origin = self.origin(step, &symbol);
        Claim { symbol, start, end, origin }
    }

    /// Claims alone: new ones, known ones for another reason; or a retraction of some.
    fn claims(&mut self, model: &CuratedModel) -> BarLoad {
        let mut load = self.empty_load();
        let known = known_claims(model, &load);
        if !known.is_empty() && self.random.chance(20) {
            load.retract = true;
            let mut claims = vec![known[self.random.place(known.len())].clone()];
            if self.random.chance(10) {
                claims.push(self.claim(load.step, SYMBOLS[0]));
            }
            let is_import = false;
            return BarLoad { load, claims, is_import };
        }
        if self.random.chance(30) {
            load.policy = Some([0, 15 * MINUTE][self.random.place(2)]);
        }
        let mut claims = Vec::new();
        for _ in 0..=self.random.below(3) {
            let symbol = self.symbol();
            claims.push(if !known.is_empty() && self.random.chance(35) {
                let known = known[self.random.place(known.len())].clone();
                Claim { origin: self.origin(load.step, &known.symbol), ..known }
            } else {
                self.claim(load.step, symbol)
            });
        }
        let is_import = false;
        BarLoad { load, claims, is_import }
    }

    fn empty_load(&mut self) -> Load {
        let table = self.table();
        self.load_of(table)
    }

    fn load_of(&mut self, table: Table) -> Load {
        let is_bars = table == Table::Bars;
        Load {
            id: self.id(),
            table,
            source: self.source().to_owned(),
            step: if is_bars { self.step() } else { Step::Tick },
            side: if is_bars { self.side() } else { PriceSide::Trade },
            policy: None,
            retract: false,
            rows: Vec::new(),
            refused: 0,
        }
    }

    /// Takes away some rows of one series, sometimes claims with them.
    fn retraction(&mut self, model: &CuratedModel) -> Option<BarLoad> {
        let keys: Vec<SeriesKey> = model.bars().series(u64::MAX).cloned().collect();
        let key = keys.get(self.random.place(keys.len().max(1)))?.clone();
        let mut load = Load {
            table: Table::of(key.dataset),
            source: key.source.to_string(),
            step: key.step,
            side: key.side,
            retract: true,
            ..self.empty_load()
        };
        let symbol = key.symbol.as_str();
        for row in model.bars().visible(&key, i64::MIN, i64::MAX, i64::MAX, u64::MAX) {
            if self.random.chance(25) {
                let (symbol, ts) = (Some(symbol.to_owned()), Some(row.ts));
                // A bar is taken away by its time, a trade or quote by what it is.
                let is_bar = load.table == Table::Bars;
                let values = if is_bar { Vec::new() } else { row.values.clone() };
                load.rows.push(Offered { symbol, ts, known_at: None, values });
            }
        }
        let mut claims = known_claims(model, &load);
        claims.retain(|_| self.random.chance(20));
        let is_import = false;
        Some(BarLoad { load, claims, is_import }).filter(|bars| !bars.load.rows.is_empty())
    }

    /// A bar: mostly in order, sometimes with a defect that a rule sees or the door turns away.
    fn bar(&mut self, symbol: &str, ts: i64) -> Offered {
        let close = [10.0, 10.0, 10.5, 11.0][self.random.place(4)];
        let mut prices = [10.25, 12.0, 9.0, close];
        let mut volume = Some([0.0, 100.0, 200.0][self.random.place(3)]);
        match self.random.below(40) {
            0..3 => prices[1] = 10.0,
            3..5 => prices[2] = -1.0,
            5 => volume = None,
            7 => volume = Some(-100.0),
            6 => prices[self.random.place(4)] = f64::NAN,
            _ => {}
        }
        let mut values: Vec<Value> = prices.map(double).into();
        values.push(volume.map_or(Value::Null, double));
        values.resize(COLUMN_COUNT, Value::Null);
        if self.random.chance(2) {
            values[self.random.place(4)] = Value::Null;
        }
        if self.random.chance(35) {
            values[5] = double([9.9, 10.2, 10.7][self.random.place(3)]);
        }
        if self.random.chance(20) {
            values[6] = Value::I64(7);
        }
        let known_at = match self.random.below(40) {
            0..6 => Some(self.past(2 * DAY_NANOS)),
            6 => Some(ts.min(self.now)),
            7 => Some(self.now + SECOND),
            _ => None,
        };
        Offered { symbol: Some(symbol.to_owned()), ts: Some(ts), known_at, values }
    }

    /// Makes some rows say again what is visible, or was at some time.
    fn repeat(&mut self, model: &CuratedModel, load: &Load, row: &mut Offered) {
        let key = row.symbol.as_deref().and_then(|symbol| series_key(load, symbol));
        if let (Some(key), Some(ts)) = (key, row.ts)
            && self.random.chance(20)
        {
            let mut known = model.bars().all(&key, ts, ts + 1, i64::MAX, u64::MAX);
            known.retain(|row| !row.retract);
            if !known.is_empty() {
                row.values.clone_from(&known[self.random.place(known.len())].values);
            }
        }
    }

    /// When a bar begins, or a tick is: in or near a session that has begun, rarely in the future.
    fn bar_time(&mut self, step: Step) -> i64 {
        let mut at =
            if self.random.chance(98) { self.moment() } else { self.now + self.span(DAY_NANOS) };
        if step == Step::H4 {
            at += self.span(DAY_NANOS) - 18 * HOUR;
        }
        match step {
            Step::D1 => at.div_euclid(DAY_NANOS) * DAY_NANOS,
            Step::W1 => setting::monday(at),
            Step::Mo1 => setting::first_of_month(at),
            Step::Tick => at,
            Step::S1 => (at.div_euclid(SECOND) * SECOND).min(self.now),
            _ => {
                let width = step.width().map_or(MINUTE, |width| width.get());
                let start = match self.random.below(10) {
                    0..7 => at.div_euclid(MINUTE) * MINUTE,
                    7..9 => at.div_euclid(width) * width,
                    _ => at.div_euclid(30 * SECOND) * 30 * SECOND,
                };
                if start <= self.now { start } else { self.now }
            }
        }
    }

    /// When the bar after one begins.
    fn after(&mut self, step: Step, ts: i64) -> i64 {
        let next = if step == Step::Mo1 {
            setting::first_of_month(ts + 31 * DAY_NANOS)
        } else {
            ts + step.width().map_or(MINUTE, |width| width.get())
        };
        if next <= self.now { next } else { self.bar_time(step) }
    }

    /// An instant in or near a session, not later than now.
    fn moment(&mut self) -> i64 {
        for _ in 0..4 {
            let date = self.date();
            let open = if self.random.chance(95) { setting::OPEN } else { setting::LATE_OPEN };
            let at = date * DAY_NANOS + open - 2 * MINUTE + self.span(11 * MINUTE);
            if at <= self.now {
                return at;
            }
        }
        self.past(6 * MINUTE)
    }

    fn date(&mut self) -> i64 {
        DATES[self.random.place(self.dates)]
    }

    /// An instant of the time before now.
    fn past(&mut self, reach: i64) -> i64 {
        self.now - self.span(reach)
    }

    /// A range that a source may say it has delivered.
    fn claimed(&mut self, step: Step) -> (i64, i64) {
        let at = self.moment();
        let is_long = step.is_dated() || step == Step::H4;
        let (start, length) = if is_long || self.random.chance(20) {
            let midnight = at.div_euclid(DAY_NANOS) * DAY_NANOS;
            (midnight - [0, DAY_NANOS][self.random.place(2)], [1, 2, 8][self.random.place(3)])
        } else {
            let width = [MINUTE, 30 * SECOND][self.random.place(2)];
            (at.div_euclid(width) * width, 0)
        };
        let length = match length {
            0 => MINUTE + self.span(5 * MINUTE).div_euclid(MINUTE) * MINUTE,
            days => days * DAY_NANOS,
        };
        let end = (start + length).min(self.now);
        (start.min(end - 1), end)
    }

    /// Why something is claimed of a symbol; that of all cannot be replaced, and which ticks would
    /// be is proved beside the engine.
    fn origin(&mut self, step: Step, symbol: &str) -> Origin {
        let may_replace = symbol != EVERY_SYMBOL && step != Step::Tick;
        if may_replace && self.random.chance(25) {
            return Origin::Replaces;
        }
        [Origin::Covers, Origin::Complete, Origin::Watermark][self.random.place(3)]
    }

    fn id(&mut self) -> String {
        self.ids += 1;
        format!("batch-{}", self.ids)
    }

    fn symbol(&mut self) -> &'static str {
        SYMBOLS[self.random.place(self.symbols)]
    }

    fn source(&mut self) -> &'static str {
        SOURCES[self.random.place(self.sources)]
    }

    /// Mostly bars.
    fn table(&mut self) -> Table {
        match self.random.below(10) {
            0..2 if self.has_ticks => Table::Trades,
            2 if self.has_ticks => Table::Quotes,
            _ => Table::Bars,
        }
    }

    fn step(&mut self) -> Step {
        self.steps[self.random.place(self.steps.len())]
    }

    fn side(&mut self) -> PriceSide {
        if self.random.chance(97) { PriceSide::Trade } else { PriceSide::Bid }
    }

    /// A number from 0 up to `bound`, without it.
    fn span(&mut self, bound: i64) -> i64 {
        self.random.below(bound.unsigned_abs()).cast_signed()
    }
}

/// The steps that are asked for where these are delivered: these more than others.
fn asked(steps: &[Step], has_ticks: bool) -> Vec<Step> {
    let is_long = steps.contains(&Step::H4);
    let mut asked = [steps, steps, steps].concat();
    let others: &[Step] = match steps[0] {
        Step::D1 => &[Step::W1, Step::Mo1],
        _ if is_long => &[Step::H4, Step::D1, Step::W1, Step::Mo1],
        _ => &[Step::M5, Step::M15, Step::M30, Step::H1, Step::D1, Step::W1, Step::Mo1],
    };
    asked.extend(others.iter().filter(|step| **step > steps[0]));
    if has_ticks {
        asked.extend([Step::S1, Step::M1, Step::M1, Step::M1, Step::M5]);
    }
    asked
}

fn double(value: f64) -> Value {
    Value::F64(value.to_bits())
}

/// The claims that are visible now, of the source, step and side of a load.
fn known_claims(model: &CuratedModel, load: &Load) -> Vec<Claim> {
    let claims = model.visible_facts(Ledger::Claims, i64::MAX, u64::MAX);
    let of_load = claims.into_iter().filter_map(|fact| match fact {
        Fact::Claim { of, table, start, end, origin }
            if (&of.source, of.step, of.side) == (&load.source, load.step, load.side)
                && *table == load.table =>
        {
            let (symbol, start, end) = (of.symbol.clone(), *start, *end);
            Some(Claim { symbol, start, end, origin: *origin })
        }
        _ => None,
    });
    of_load.collect()
}

/// A schedule of so many acts after the prologue, played to a model alone: each offer is a record.
pub fn play(seed: u64, acts: usize) -> (Generator, CuratedModel, Vec<Timed>) {
    let mut generator = Generator::new(seed);
    let mut model = CuratedModel::default();
    let mut sequence = 0;
    let mut done = Vec::new();
    for at in 0..=acts {
        let timed = if at == 0 { generator.prologue() } else { generator.act(&model) };
        if let Act::Commit(offers) = &timed.act {
            for offer in offers {
                sequence += 1;
                model.apply(offer, sequence, timed.now);
            }
        }
        done.push(timed);
    }
    (generator, model, done)
}

#[cfg(test)]
mod tests;
