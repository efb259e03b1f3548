//! Bindings of instruments: since when a symbol of a source is this instrument.
//!
//! A binding holds until the next one of its symbol and source. `until` ends it: the symbol is no
//! instrument then, unless another binding begins there.

use std::collections::BTreeMap;

use barrow_engine::Reference;
use barrow_engine::calendar::Calendar;
use barrow_engine::dataset::facts::ALWAYS;
use barrow_types::{DatasetId, Source, Symbol, Timestamp};
use serde_json::{Value, json};

use super::super::error::{Code, Problem};
use super::super::openapi::{Field, Shape, Type};
use super::super::table::instant;
use super::super::when::since as since_of;
use super::KNOWN_AT;
use super::json::Fields;
use super::stated::{Cell, Fact, Group, Stated};

/// A binding in a body.
pub(super) static BINDING: Shape = Shape {
    name: "Binding",
    about: "Since when a symbol of a source is the instrument",
    fields: &[
        Field::new("source", Type::Text, ""),
        Field::new("symbol", Type::Text, ""),
        Field::maybe("since", Type::When, "Left out: since ever"),
        Field::maybe("until", Type::When, "Left out: until the next binding of the symbol"),
        KNOWN_AT,
    ],
};

/// A binding as it was stated.
pub(super) struct Binding {
    source: Source,
    symbol: Symbol,
    instrument: Symbol,
    since: Timestamp,
    until: Option<Timestamp>,
    known_at: Option<Timestamp>,
}

/// Reads one.
pub(super) fn read(
    fields: &Fields<'_>,
    instrument: &Symbol,
    calendar: Option<&Calendar>,
    now: Timestamp,
) -> Result<Binding, Problem> {
    let since = fields.when("since")?.map_or(ALWAYS, |when| since_of(when, calendar));
    let until = fields.when("until")?.map(|when| since_of(when, calendar));
    if until.is_some_and(|until| until <= since) {
        return Err(fields.fault("until", "is not after since: leave it out if it goes on"));
    }
    Ok(Binding {
        source: fields.required("source", Fields::source)?,
        symbol: fields.required("symbol", Fields::symbol)?,
        instrument: instrument.clone(),
        since,
        until,
        known_at: fields.known_at(now)?,
    })
}

/// The bindings of a body: of each source and symbol, since when it is bound to what, and until
/// when.
#[derive(Default)]
pub(super) struct Bindings(BTreeMap<(Source, Symbol), BTreeMap<Timestamp, Bound>>);

type Bound = (Symbol, Option<Timestamp>);

impl Bindings {
    /// Adds one, beside those of the body and those that are in force.
    ///
    /// # Errors
    /// Within it the symbol is said to be another instrument.
    pub(super) fn add(
        &mut self,
        reference: &Reference,
        fields: &Fields<'_>,
        binding: Binding,
        stated: &mut Stated,
    ) -> Result<(), Problem> {
        let Binding { source, symbol, instrument, since, until, known_at } = binding;
        let of_body = self.0.entry((source.clone(), symbol.clone())).or_default();
        let covering = of_body.iter().find(|(at, (bound, until))| {
            let holds = **at == since || until.is_some_and(|until| **at < since && since < until);
            holds && *bound != instrument
        });
        if let Some((_, (other, _))) = covering {
            return Err(fields
                .fault("since", format!("the body binds {symbol} to {other} then: choose one")));
        }
        let end = until.unwrap_or(Timestamp::MAX);
        let stored = reference.bindings(source.as_str(), symbol.as_str()).iter();
        let stored = stored.map(|(at, bound)| (Timestamp::from_nanos(*at), bound.as_deref()));
        // Those that the body states anew do not count.
        let stored: Vec<_> = stored.filter(|(at, _)| !of_body.contains_key(at)).collect();
        let later = of_body.iter().map(|(at, (bound, _))| (*at, Some(bound.as_str())));
        let mut within = stored.iter().copied().chain(later);
        let other = within.find(|(at, bound)| {
            *at > since && *at < end && bound.is_some_and(|bound| bound != instrument.as_str())
        });
        if let Some((at, bound)) = other.filter(|_| until.is_some()) {
            let detail = format!(
                "{}: {symbol} of {source} is {} since {}, before that: end there",
                fields.named("until"),
                bound.unwrap_or_default(),
                instant(at).as_str().unwrap_or_default()
            );
            return Err(Problem::new(Code::Conflict, detail).about(fields.named("until")));
        }
        let fact = |ts, bound: Cell| Fact {
            subject: symbol.to_string(),
            ts,
            known_at,
            values: vec![bound],
        };
        let group = Group::from_source(DatasetId::BINDINGS, source.as_str());
        let begins = |at: &Timestamp| {
            of_body.contains_key(at) || stored.iter().any(|(ts, bound)| ts == at && bound.is_some())
        };
        let ends = until.filter(|until| !begins(until));
        stated.add(group.clone(), fact(since, Cell::from(instrument.as_str())));
        if let Some(until) = ends {
            stated.add(group, fact(until, Cell::Null));
        }
        of_body.insert(since, (instrument, until));
        Ok(())
    }
}

/// The bindings of an instrument, as a PUT would state them.
pub(super) fn shown(reference: &Reference, id: &str) -> Value {
    let mut all = Vec::new();
    for (source, symbol) in reference.bound_to(id) {
        let bindings = reference.bindings(source, symbol);
        for (at, (since, bound)) in bindings.iter().enumerate() {
            if bound.as_deref() != Some(id) {
                continue;
            }
            let until = bindings.get(at + 1).map(|(next, _)| Timestamp::from_nanos(*next));
            all.push(json!({
                "source": source,
                "symbol": symbol,
                "since": instant(Timestamp::from_nanos(*since)),
                "until": until.map(instant),
            }));
        }
    }
    Value::Array(all)
}
