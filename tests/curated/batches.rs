//! Offers as the engine takes them.

use barrow_engine::batch::{Act, Batch, Claim, ClaimOrigin, KnownAt, Symbols};
use barrow_engine::dataset;
use barrow_engine::dataset::facts::FACT_SOURCE;
use barrow_engine::rows::{Bitmap, Column, ColumnType, Texts, Values};
use barrow_tests::curated_model::facts::{Action, Fact, Ledger, Origin, Ruling};
use barrow_tests::curated_model::{BarLoad, FactLoad, Offer};
use barrow_tests::loads;
use barrow_tests::model::Value;
use barrow_types::{DatasetId, Nanos, Timestamp};

/// See the module.
pub(crate) fn batch_of(offer: &Offer) -> Batch {
    match offer {
        Offer::Bars(bars) => of_bars(bars),
        Offer::Facts(facts) => of_facts(facts),
    }
}

fn of_bars(bars: &BarLoad) -> Batch {
    let claims = bars.claims.iter().map(|claim| Claim {
        symbol: claim.symbol.clone(),
        start: Timestamp::from_nanos(claim.start),
        end: Timestamp::from_nanos(claim.end),
        origin: match claim.origin {
            Origin::Covers => ClaimOrigin::Covers,
            Origin::Complete => ClaimOrigin::Complete,
            Origin::Watermark => ClaimOrigin::Watermark,
            Origin::Replaces => ClaimOrigin::Replaces,
        },
    });
    let is_import = bars.is_import;
    Batch { claims: claims.collect(), is_import, ..loads::batch_of(&bars.load) }
}

fn of_facts(load: &FactLoad) -> Batch {
    let facts: Vec<&Fact> = load.facts.iter().map(|offered| &offered.fact).collect();
    let first = facts[0].key();
    let dataset = dataset_of(first.ledger);
    let schema = dataset::schema(dataset).expect("invariant: facts have schemas");
    let has_keys_in_columns = matches!(schema.identity, dataset::Identity::Event { .. });
    let wanted = if load.retract && !has_keys_in_columns { &[] } else { schema.columns };
    let rows: Vec<Vec<Value>> = facts.iter().map(|fact| values(fact)).collect();
    let columns = wanted.iter().enumerate().map(|(place, definition)| {
        let is_key = !definition.nullable;
        let value = |row: &Vec<Value>| match &row[place] {
            value if is_key || !load.retract => value.clone(),
            _ => Value::Null,
        };
        column(definition.kind(), rows.iter().map(value).collect())
    });
    let mut symbols = Symbols::default();
    for fact in &facts {
        let about = fact.key().about;
        let place = symbols.names.iter().position(|name| *name == about).unwrap_or_else(|| {
            symbols.names.push(about);
            symbols.names.len() - 1
        });
        symbols.of_row.push(u32::try_from(place).expect("invariant: there are few symbols"));
    }
    let stated = load.facts.iter().map(|offered| offered.known_at.map_or(Value::Null, Value::I64));
    let stated: Vec<Value> = stated.collect();
    let states_any = stated.iter().any(|value| *value != Value::Null);
    let is_of_source = !first.source.is_empty();
    Batch {
        id: load.id.clone(),
        dataset,
        source: if is_of_source { first.source } else { FACT_SOURCE.to_owned() },
        step: first.step,
        side: first.side,
        known_at_policy: policy(first.ledger),
        facts: None,
        claims: Vec::new(),
        act: if load.retract { Act::Retract } else { Act::Insert },
        is_import: true,
        ts: Column::new(Values::I64(facts.iter().map(|fact| fact.key().ts).collect())),
        known_at: states_any.then(|| column(ColumnType::I64, stated)),
        columns: columns.collect(),
        symbols,
        numbers: None,
        raw: None,
        refused: Vec::new(),
    }
}

fn dataset_of(ledger: Ledger) -> DatasetId {
    match ledger {
        Ledger::CalendarDays => DatasetId::CALENDAR_DAYS,
        Ledger::Bindings => DatasetId::BINDINGS,
        Ledger::Instruments => DatasetId::INSTRUMENTS,
        Ledger::Actions => DatasetId::ACTIONS,
        Ledger::Halts => DatasetId::HALTS,
        Ledger::Outages => DatasetId::OUTAGES,
        Ledger::Settings => DatasetId::SETTINGS,
        Ledger::Rules => DatasetId::RULES,
        Ledger::Verdicts => DatasetId::VERDICTS,
        Ledger::Claims | Ledger::Rejects => panic!("invariant: batches of bars bring them"),
    }
}

/// Since when facts are known if nobody says it.
fn policy(ledger: Ledger) -> KnownAt {
    match ledger {
        Ledger::Halts | Ledger::Outages | Ledger::Verdicts => KnownAt::Ingest,
        _ => KnownAt::TsEnd(Nanos::new(0)),
    }
}

/// The columns of a fact, in the order of its schema.
fn values(fact: &Fact) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.to_owned());
    let name = |name: &str| if name.is_empty() { Value::Null } else { text(name) };
    let time = |at: Option<i64>| at.map_or(Value::Null, Value::I64);
    match fact {
        Fact::CalendarDay { hours: None, .. } => {
            let mut values = vec![Value::Null; 7];
            values[0] = text("closed");
            values
        }
        Fact::CalendarDay { hours: Some(hours), .. } => vec![
            text("regular"),
            Value::I64(hours.open),
            Value::I64(hours.close),
            time(hours.pause.map(|pause| pause.0)),
            time(hours.pause.map(|pause| pause.1)),
            time(hours.pre_open),
            time(hours.post_close),
        ],
        Fact::Binding { instrument, .. } => vec![name(instrument)],
        Fact::Attribute { attribute, value, .. } => vec![text(attribute), name(value)],
        Fact::CorporateAction { kind, hundredths, .. } => {
            vec![text(kind), Value::F64((f64::from(*hundredths) / 100.0).to_bits())]
        }
        Fact::Halt { end, note, .. } | Fact::Outage { end, note, .. } => {
            vec![time(*end), name(note)]
        }
        Fact::Setting { key, value, .. } => vec![text(key), text(value)],
        Fact::Rule { rule, enabled, severity, action, thresholds, .. } => {
            let action = match action {
                Action::Flag => "flag",
                Action::Quarantine => "quarantine",
                Action::Reject => "reject",
            };
            let thresholds = thresholds.iter().map(|(name, value)| format!("{name}={value}"));
            let thresholds = thresholds.collect::<Vec<_>>().join(" ");
            let enabled = Value::I64(i64::from(*enabled));
            vec![text(rule), enabled, text(severity), text(action), name(&thresholds)]
        }
        Fact::Verdict { rule, act, of_sequence, note, .. } => {
            let act = match act {
                Ruling::Quarantine => "quarantine",
                Ruling::Release => "release",
            };
            let of_sequence = Value::I64(of_sequence.cast_signed());
            vec![text(rule), text(act), of_sequence, name(note)]
        }
        Fact::Claim { .. } | Fact::Reject { .. } => {
            panic!("invariant: batches of bars bring them")
        }
    }
}

fn column(kind: ColumnType, values: Vec<Value>) -> Column {
    let present: Bitmap = values.iter().map(|value| *value != Value::Null).collect();
    let filled = match kind {
        ColumnType::I64 => Values::I64(values.iter().map(integer).collect()),
        ColumnType::Text => Values::Text(values.iter().map(text).collect::<Texts>()),
        ColumnType::F64 => Values::F64(values.iter().map(double).collect()),
    };
    let validity = (present.count() < present.len()).then_some(present);
    Column { values: filled, validity }
}

fn integer(value: &Value) -> i64 {
    if let Value::I64(number) = value { *number } else { 0 }
}

fn double(value: &Value) -> f64 {
    if let Value::F64(bits) = value { f64::from_bits(*bits) } else { 0.0 }
}

fn text(value: &Value) -> &str {
    if let Value::Text(text) = value { text } else { "" }
}
