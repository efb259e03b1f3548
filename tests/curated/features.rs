//! Features of the same questions: what kernels see is what the model's slots say, and a cell has
//! the same bits however it is computed.

use std::ops::ControlFlow;
use std::sync::Arc;

use barrow_engine::features::{
    self, Column, Definition, FeatureBars, FeatureOptions, FeatureRule, Gap,
};
use barrow_engine::{ErrorKind, FeatureGroup, FeaturePiece, FeatureScan, Snapshot, Vintage, Way};
use barrow_tests::curated_model::CuratedModel;
use barrow_tests::curated_model::calendar::{Align, SessionSet};
use barrow_tests::curated_model::facts::Fact;
use barrow_tests::curated_model::view::{Ask, Cell, Reason};
use barrow_tests::curated_schedule::questions::Question;
use barrow_tests::curated_schedule::setting::INSTRUMENTS;
use barrow_tests::model::Value;
use barrow_types::{Adjust, Sequence, Step, Timestamp};

use crate::answer::everything;
use crate::story::readable;

/// Features that are what the slots say, as they are or some slots ago.
pub(crate) const PLAIN: [(&str, &str); 10] = [
    ("open", "$open"),
    ("high", "$high"),
    ("low", "$low"),
    ("close", "$close"),
    ("volume", "$volume"),
    ("vwap", "$vwap"),
    ("trades", "$trades"),
    ("before", "Ref($close, 2)"),
    ("known", "Count($close, 4)"),
    ("top", "Max($high, 4)"),
];

/// How many slots the cells of [`PLAIN`] look back.
const LOOKBACK: usize = 3;

/// Features of all kinds.
pub(crate) const MIXED: [(&str, &str); 14] = [
    ("mean", "Mean($close, 5)"),
    ("std", "Std($close, 7)"),
    ("slope", "Slope($close, 6)"),
    ("corr", "Corr($close, $volume, 6)"),
    ("rank", "Rank($close, 9)"),
    ("median", "Med($vwap, 5)"),
    ("where", "IdxMax($high, 8)"),
    ("lag", "Mean(Delta($close, 2), 3) / $open"),
    ("ema", "EMA($close, 4)"),
    ("rsi", "RSI($close, 3)"),
    ("day", "CumSum($volume)"),
    ("gap", "GapPct()"),
    ("place", "$slot + $slots / 1000 + $minute + $to_close + $weekday + $half_day"),
    ("either", "If($close > Ref($close, 1), $volume, -1)"),
];

/// Features that read other slots than their own, some of them those of another instrument.
pub(crate) const BESIDE: [(&str, &str); 3] = [
    ("other", "Of('BBB', Mean($close, 2)) - $close"),
    ("day", "At('1d', Ref($close, 1))"),
    ("week", "Of('BBB', At('1w', $close))"),
];

/// A question about features.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) question: &'a Question,
    pub(crate) gap: Gap,
    /// Of [`PLAIN`] splits at most: the model knows nothing of dividends.
    pub(crate) adjust: Adjust,
    pub(crate) kind: Kind,
}

/// Which features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// [`PLAIN`].
    Plain,
    /// [`MIXED`].
    Mixed,
    /// [`BESIDE`].
    Beside,
}

/// Puts the question to both; how many cells there are.
pub(crate) fn compare(
    snapshot: &Snapshot,
    model: &CuratedModel,
    asked: Asked<'_>,
) -> Result<usize, String> {
    let question = asked.question;
    let held = snapshot.sequence();
    let told = |what: &str| {
        let about = readable(question);
        Err(format!(
            "features ({:?}) of {about}\nat a snapshot of sequence {held}: {what}",
            asked.gap
        ))
    };
    let texts = texts(asked);
    let mut scan = scan(question, (asked.gap, asked.adjust), texts);
    scan.due = Timestamp::from_nanos(question.ask(model).due);
    let found = match read(snapshot, &scan) {
        Ok(found) => found,
        Err(error) => {
            let mut ask = question.ask(model);
            ask.at_sequence = ask.at_sequence.min(held.get());
            let knows_calendar = |instrument: &str| {
                model.knows_calendar(&Ask { instrument: instrument.to_owned(), ..ask.clone() })
            };
            // The other is whatever its name is bound to.
            let mut knows = knows_calendar(&ask.instrument);
            knows &= asked.kind != Kind::Beside || INSTRUMENTS.into_iter().all(knows_calendar);
            // What nobody can adjust: no close before a dividend, an action in the midst of a bar.
            let adjusts = asked.adjust == Adjust::All
                || asked.adjust == Adjust::Splits
                    && (question.step > Step::D1 || asked.kind == Kind::Beside);
            if error.kind() == ErrorKind::Invalid && (!knows || adjusts) {
                return Ok(0);
            }
            return told(&format!("answered {error}"));
        }
    };
    let way = FeatureScan { way: Way::Slots, ..scan.clone() };
    match read(snapshot, &way) {
        Err(error) => return told(&format!("slot by slot: answered {error}")),
        Ok(slots) => {
            if let Some(what) = difference(&found, &slots, texts) {
                return told(&format!("in columns, then slot by slot: {what}"));
            }
        }
    }
    if asked.kind == Kind::Plain
        && let Some(what) = difference(&expected(snapshot, model, asked), &found, texts)
    {
        return told(&format!("in the model, then in the engine: {what}"));
    }
    Ok(found.len() * texts.len())
}

/// The features of a question.
pub(crate) fn texts(asked: Asked<'_>) -> &'static [(&'static str, &'static str)] {
    match asked.kind {
        Kind::Plain => &PLAIN,
        Kind::Mixed => &MIXED,
        // Days have no longer step that they could be read on.
        Kind::Beside if asked.question.step.is_dated() => &BESIDE[..1],
        Kind::Beside => &BESIDE,
    }
}

/// Features of all slots that are due, whatever is known by then: to be asked again and again, so
/// that what was computed before is gone on from, or answers.
pub(crate) struct Watched {
    scan: FeatureScan,
    texts: &'static [(&'static str, &'static str)],
}

/// How many of [`MIXED`], the first, look back some slots and no further.
const WINDOWS: usize = 8;

impl Watched {
    /// Features of the series and slots of a question.
    pub(crate) fn new(asked: Asked<'_>) -> Self {
        let texts: &[(&str, &str)] = match asked.kind {
            Kind::Plain => &MIXED[..WINDOWS],
            Kind::Mixed => &MIXED,
            Kind::Beside if asked.question.step.is_dated() => &BESIDE[..1],
            Kind::Beside => &BESIDE,
        };
        let scan = scan(asked.question, (asked.gap, asked.adjust), texts);
        let scan = FeatureScan { start: Timestamp::MIN, as_of: None, at_sequence: None, ..scan };
        Self { scan, texts }
    }

    /// Writes its cells to files.
    pub(crate) fn store(&self, snapshot: &Snapshot) -> Result<(), String> {
        let FeatureScan { group, instrument, .. } = &self.scan;
        let mut go_on = || ControlFlow::Continue(());
        match snapshot.store_cells(group, instrument, &mut go_on) {
            Err(error) if error.kind() != ErrorKind::Invalid => Err(format!("stored: {error}")),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// Asks again for the slots behind a share of them, for all, and for those once more; how many
/// cells there are.
pub(crate) fn ask_again(
    snapshot: &Snapshot,
    watched: &Watched,
    share: usize,
) -> Result<usize, String> {
    let Watched { scan, texts } = watched;
    let whole = FeatureScan { due: snapshot.now(), ..scan.clone() };
    let slots = read(snapshot, &FeatureScan { way: Way::Slots, ..whole.clone() });
    let Ok(slots) = slots else { return Ok(0) };
    if slots.is_empty() {
        return Ok(0);
    }
    let (_, last) = slots.clone().split_at(slots.len() * share / 100);
    let start = Timestamp::from_nanos(last.ts.first().copied().unwrap_or_default());
    let [late, all] = [("the last", start, &last), ("all", whole.start, &slots)];
    for (how, start, expected) in [late, all, late] {
        let found = read(snapshot, &FeatureScan { start, ..whole.clone() });
        let other = match &found {
            Ok(found) if found.provisional == expected.provisional => {
                difference(expected, found, texts)
            }
            Ok(_) => Some("other slots are provisional".to_owned()),
            Err(error) => Some(format!("answered {error}")),
        };
        if let Some(what) = other.filter(|_| !expected.is_empty()) {
            let (instrument, bars) = (&whole.instrument, &whole.group.definition.bars);
            let held = snapshot.sequence();
            return Err(format!(
                "features of {instrument}, {bars:?}, asked again at {held}: {how} slots, slot by \
                 slot, then in columns: {what}"
            ));
        }
    }
    Ok((slots.len() + 2 * last.len()) * texts.len())
}

pub(crate) fn scan(
    question: &Question,
    (gap, adjust): (Gap, Adjust),
    texts: &[(&str, &str)],
) -> FeatureScan {
    let bars = FeatureBars {
        session: match question.set {
            SessionSet::Regular => barrow_types::SessionSet::Regular,
            SessionSet::Extended => barrow_types::SessionSet::Extended,
            SessionSet::All => barrow_types::SessionSet::All,
        },
        align: match question.align {
            Align::Session => barrow_types::Align::Session,
            Align::Clock => barrow_types::Align::Clock,
        },
        price: question.side,
        source: question.source.clone(),
        adjust,
        ..FeatureBars::every(question.step)
    };
    let mut definition = Definition::new("of_schedule", bars);
    definition.options = FeatureOptions::Own { gap, warmup: Some(1), min_valid: Some(1) };
    definition.features = texts.iter().map(|(name, expr)| FeatureRule::new(*name, *expr)).collect();
    let group = FeatureGroup::new(definition).expect("the texts are expressions");
    FeatureScan {
        instrument: question.instrument.as_str().into(),
        group: Arc::new(group),
        start: Timestamp::from_nanos(question.start),
        end: Timestamp::from_nanos(question.end),
        as_of: question.as_of.map(Timestamp::from_nanos),
        at_sequence: question.at_sequence.map(Sequence::new),
        due: Timestamp::MIN,
        since: Timestamp::MIN,
        vintage: Vintage::Final,
        way: Way::Columns,
    }
}

pub(crate) fn read(
    snapshot: &Snapshot,
    scan: &FeatureScan,
) -> Result<FeaturePiece, barrow_engine::Error> {
    let mut all = FeaturePiece::default();
    let mut features = snapshot.features(scan)?;
    while let Some(piece) = features.next()? {
        assert!(!piece.is_empty(), "a piece has slots");
        for at in 0..piece.len() {
            all.push_from(&piece, at);
        }
    }
    Ok(all)
}

/// What the slots of the model say.
fn expected(snapshot: &Snapshot, model: &CuratedModel, asked: Asked<'_>) -> FeaturePiece {
    let mut ask = asked.question.ask(model);
    ask.at_sequence = ask.at_sequence.min(snapshot.sequence().get());
    let start = ask.start;
    ask.fallback = None;
    ask.start = everything(ask.step).0;
    let mut cells = model.curated(&ask);
    let due = cells.iter().rposition(|cell| cell.available_at <= ask.due);
    cells.truncate(due.map_or(0, |last| last + 1));
    for cell in cells.iter_mut().filter(|cell| cell.available_at > ask.due) {
        (cell.row, cell.reason) = (None, Reason::NotDue);
    }
    let slots: Vec<&Cell> = cells
        .iter()
        .skip_while(|cell| cell.row.is_none())
        .filter(|cell| cell.row.is_some() || asked.gap != Gap::Rows)
        .collect();
    let splits = Splits::new(model, &ask, asked.adjust, &slots);
    let mut close = None;
    let mut inputs: Vec<[(f64, u8); 7]> = Vec::new();
    for cell in &slots {
        inputs.push(match &cell.row {
            Some(row) => {
                let ratio = splits.ratio(cell.slot.session);
                let split = |place: usize| {
                    number(&row.values[place]).map(|value| match place {
                        4 => value / ratio,
                        6 => value,
                        _ => value * ratio,
                    })
                };
                close = split(3);
                std::array::from_fn(|place| {
                    split(place).map_or((0.0, Reason::Missing as u8), |of| (of, 0))
                })
            }
            None if cell.reason == Reason::NoTrade && asked.gap == Gap::ByReason => {
                let close = close.expect("the first slot has a row");
                std::array::from_fn(|place| (if [4, 6].contains(&place) { 0.0 } else { close }, 0))
            }
            None => [(0.0, cell.reason as u8); 7],
        });
    }
    let mut piece = FeaturePiece::default();
    for (at, cell) in slots.iter().enumerate() {
        if cell.slot.start < start {
            continue;
        }
        let first = at.saturating_sub(LOOKBACK);
        let rows = || slots[first..=at].iter().filter_map(|cell| cell.row.as_ref());
        let with_row = slots[first..=at].iter().filter(|cell| cell.row.is_some());
        let split_at = with_row.filter_map(|cell| splits.known_at(cell.slot.session)).max();
        let window = &inputs[first..=at];
        let known = window.iter().filter(|slot| slot[3].1 == 0).count();
        let top = window.iter().filter(|slot| slot[1].1 == 0).map(|slot| slot[1].0);
        let top = top.reduce(f64::max).map_or((0.0, 10), |top| (top, 0));
        let before = at.checked_sub(2).map_or((0.0, 9), |before| inputs[before][3]);
        let mut cells = inputs[at].to_vec();
        cells.extend([before, (count(known), 0), top]);
        piece.ts.push(cell.slot.start);
        piece.ts_end.push(cell.slot.end);
        piece.available_at.push(cell.available_at);
        piece.session.push(i32::try_from(cell.slot.session).expect("dates are small"));
        let known_at = rows().map(|row| row.known_at).chain(split_at).max();
        piece.known_at.push(known_at.unwrap_or(i64::MIN));
        piece.sequence.push(rows().map(|row| row.sequence).max().unwrap_or(0));
        piece.provisional.push(false);
        piece.coverage.push(0.0);
        piece.cells.resize(cells.len(), Column::new());
        for (column, (value, reason)) in piece.cells.iter_mut().zip(cells) {
            column.push(match reason {
                0 => features::Cell::number(value),
                code => features::Cell::null(barrow_types::Reason::ALL[usize::from(code)]),
            });
        }
    }
    piece
}

/// The splits of an instrument after its first row: date, what all up to it do, and since when that
/// is known.
struct Splits(Vec<(i64, f64, i64)>);

impl Splits {
    fn new(model: &CuratedModel, ask: &Ask, adjust: Adjust, slots: &[&Cell]) -> Self {
        let mut splits = Self(Vec::new());
        let Some(begin) = slots.first().map(|cell| cell.slot.session) else { return splits };
        if adjust == Adjust::None {
            return splits;
        }
        let mut sum = (1.0, i64::MIN);
        for stored in model.facts().winners(ask.as_of, ask.at_sequence) {
            if let Fact::CorporateAction { instrument, date, kind, hundredths } = &stored.fact
                && (instrument, kind.as_str()) == (&ask.instrument, "split")
                && *date > begin
            {
                let value = f64::from(*hundredths) / 100.0;
                sum = (sum.0 * value, sum.1.max(stored.known_at));
                splits.0.push((*date, sum.0, sum.1));
            }
        }
        splits
    }

    fn of(&self, session: i64) -> Option<&(i64, f64, i64)> {
        self.0.iter().rfind(|(date, ..)| *date <= session)
    }

    fn ratio(&self, session: i64) -> f64 {
        self.of(session).map_or(1.0, |of| of.1)
    }

    fn known_at(&self, session: i64) -> Option<i64> {
        self.of(session).map(|of| of.2)
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Null | Value::Text(_) => None,
        Value::F64(bits) => Some(f64::from_bits(*bits) + 0.0),
        Value::I64(value) => Some(*value as f64),
    }
}

fn count(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("a window is small"))
}

/// Where two answers differ first.
pub(crate) fn difference(
    one: &FeaturePiece,
    other: &FeaturePiece,
    texts: &[(&str, &str)],
) -> Option<String> {
    if one.ts != other.ts {
        return Some(format!("other slots\n {:?}\n {:?}", one.ts, other.ts));
    }
    for at in 0..one.len() {
        let ts = one.ts[at];
        let slot = |of: &FeaturePiece| {
            (of.ts_end[at], of.available_at[at], of.session[at], of.known_at[at], of.sequence[at])
        };
        if slot(one) != slot(other) {
            return Some(format!("slot {ts}\n {:?}\n {:?}", slot(one), slot(other)));
        }
        for ((a, b), (name, _)) in one.cells.iter().zip(&other.cells).zip(texts) {
            let cell = |of: &Column| (of.values()[at].to_bits(), of.reasons()[at]);
            if cell(a) != cell(b) {
                let shown = |of: &Column| format!("{} ({})", of.values()[at], of.reasons()[at]);
                return Some(format!("slot {ts}, {name}\n {}\n {}", shown(a), shown(b)));
            }
        }
    }
    None
}
