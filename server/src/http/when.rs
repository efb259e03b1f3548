//! Times that may be bare dates, which mean sessions: each by the calendar of what is spoken of.

use barrow_engine::Reference;
use barrow_engine::calendar::Calendar;
use barrow_types::{DAY_NANOS, Step, Timestamp};

use super::time::When;

/// Since when something holds that holds since then: a date means the start of its session, or of
/// the next one; its midnight in UTC where no calendar knows it.
pub(crate) fn since(when: When, calendar: Option<&Calendar>) -> Timestamp {
    match when {
        When::Instant(at) => at,
        When::Date(date) => when.start(calendar.filter(|calendar| calendar.covers(date))),
    }
}

/// An end of a range of the sessions of bars of `step`: a date means the end of the last session
/// before it, so that ranges next to each other leave no hole, and a range up to now does not end
/// in the future. What is traded after the close is no part of bars of a day and longer.
pub(crate) fn bound(when: When, calendar: Option<&Calendar>, step: Step) -> Timestamp {
    let date = match when {
        When::Instant(at) => return at,
        When::Date(date) => date,
    };
    let before = calendar
        .filter(|calendar| calendar.covers(date))
        .and_then(|calendar| calendar.previous_session(date));
    let end =
        before.map(|session| if step.is_dated() { session.close } else { session.post_close });
    end.map_or(midnight(date), Timestamp::from_nanos)
}

/// 00:00 UTC of a date.
pub(crate) fn midnight(date: i32) -> Timestamp {
    Timestamp::from_nanos(i64::from(date).saturating_mul(DAY_NANOS))
}

/// Which instrument a symbol of a source is at an instant: the bound one, or, where no binding is
/// in force, the one of that very id.
pub(crate) fn instrument_of(
    reference: &Reference,
    source: &str,
    symbol: &str,
    at: Timestamp,
) -> Option<String> {
    let bindings = reference.bindings(source, symbol);
    match bindings.partition_point(|(since, _)| *since <= at.nanos()) {
        0 => Some(symbol.to_owned()),
        next => bindings[next - 1].1.as_deref().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::super::time::{Zone, parse_when};
    use super::*;

    fn shown(text: &str, calendar: Option<&str>) -> (String, String) {
        let calendar = calendar.map(|name| Calendar::embedded(name).unwrap());
        let when = parse_when(text).unwrap();
        let show = |at: Timestamp| {
            let mut out = Vec::new();
            Zone::Utc.write(at, &mut out);
            String::from_utf8(out).unwrap()
        };
        (show(since(when, calendar.as_deref())), show(bound(when, calendar.as_deref(), Step::M1)))
    }

    #[test]
    fn a_date_is_a_session_where_a_calendar_knows_it() {
        for (text, calendar, since, bound) in [
            // New York trades from 04:00 to 20:00 there: from 09:00 UTC on, an hour less in summer.
            ("2013-01-08", Some("XNYS"), "2013-01-08T09:00:00Z", "2013-01-08T01:00:00Z"),
            // A Saturday: since Monday; what ended before it ended on Friday.
            ("2013-07-13", Some("XNYS"), "2013-07-15T08:00:00Z", "2013-07-13T00:00:00Z"),
            ("2013-07-13", None, "2013-07-13T00:00:00Z", "2013-07-13T00:00:00Z"),
            ("1720-07-13", Some("XNYS"), "1720-07-13T00:00:00Z", "1720-07-13T00:00:00Z"),
            (
                "2013-07-13T01:00:00+01:00",
                Some("XNYS"),
                "2013-07-13T00:00:00Z",
                "2013-07-13T00:00:00Z",
            ),
        ] {
            let expected = (since.to_owned(), bound.to_owned());
            assert_eq!(shown(text, calendar), expected, "{text} {calendar:?}");
        }
        let calendar = Calendar::embedded("XNYS");
        let friday = bound(When::Date(15_899), calendar.as_deref(), Step::D1);
        assert_eq!(friday.nanos(), 1_373_659_200_000_000_000, "2013-07-12T20:00:00Z, the close");
        for text in ["2013-13-07", "soon", "1381152600"] {
            assert!(parse_when(text).is_err(), "{text}");
        }
    }
}
