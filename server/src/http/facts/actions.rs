//! Corporate actions of instruments: splits and dividends, by ex-date.
//!
//! An action is known since the open of its ex-date by the instrument's calendar (midnight in UTC
//! without one) unless it says when, but never later than it came in.

use std::collections::BTreeSet;

use barrow_engine::Reference;
use barrow_engine::batch::KnownAt;
use barrow_engine::calendar::Calendar;
use barrow_types::{DatasetId, Nanos, Symbol, Timestamp, civil_from_days};
use serde_json::{Value, json};

use super::super::error::Problem;
use super::super::openapi::{Field, Shape, Type};
use super::super::table::instant;
use super::super::when::midnight;
use super::KNOWN_AT;
use super::json::Fields;
use super::stated::{Cell, Fact, Group};

/// An action in a body.
pub(super) static ACTION: Shape = Shape {
    name: "CorporateAction",
    about: "A split or a dividend",
    fields: &[
        Field::new("ex_date", Type::Date, ""),
        Field::new("kind", Type::Words(|| KINDS.to_vec()), ""),
        Field::new(
            "value",
            Type::Decimal,
            "Of a split new shares for one old, of a dividend cash for one share",
        ),
        KNOWN_AT.meaning("Since when it is known. Left out: since the open of the ex-date"),
    ],
};

const KINDS: [&str; 2] = ["split", "dividend"];

/// Ex-dates and kinds of the actions of one instrument in a body.
#[derive(Default)]
pub(super) struct Actions(BTreeSet<(i32, String)>);

/// Reads one.
pub(super) fn read(
    fields: &Fields<'_>,
    instrument: &Symbol,
    calendar: Option<&Calendar>,
    now: Timestamp,
    seen: &mut Actions,
) -> Result<(Group, Fact), Problem> {
    let ex_date = fields.required("ex_date", Fields::date)?;
    let kind = fields.required("kind", |fields, name| fields.word(name, &KINDS))?;
    let value = fields.required("value", Fields::number)?;
    if value <= 0.0 {
        let what = match kind {
            "split" => "is not above 0: say how many new shares there are for one old",
            _ => "is not above 0: say how much cash there is for one share",
        };
        return Err(fields.fault("value", what));
    }
    if !seen.0.insert((ex_date, kind.to_owned())) {
        return Err(
            fields.fault("ex_date", format!("there are two actions of kind {kind} then: say one"))
        );
    }
    let ts = midnight(ex_date);
    let open = calendar.and_then(|calendar| calendar.session(ex_date));
    let delay = Nanos::new(open.map_or(0, |session| session.open - ts.nanos()));
    let policy = KnownAt::TsEnd(delay);
    let group = Group { policy, ..Group::of(DatasetId::ACTIONS) };
    let fact = Fact {
        subject: instrument.to_string(),
        ts,
        known_at: fields.known_at(now)?,
        values: vec![Cell::from(kind), Cell::Double(value)],
    };
    Ok((group, fact))
}

/// The actions of an instrument, as a PUT would state them.
pub(super) fn shown(reference: &Reference, id: &str) -> Value {
    let actions = reference.actions(id).iter().map(|action| {
        json!({
            "ex_date": date(action.ex_date),
            "kind": action.kind,
            "value": action.value,
            "known_at": instant(action.known_at),
        })
    });
    actions.collect()
}

/// A date as text.
pub(super) fn date(days: i64) -> String {
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}-{month:02}-{day:02}")
}
