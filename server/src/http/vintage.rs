//! `vintage`: of when the rows of an answer are.

use barrow_engine::{LateRows, Load, Vintage};
use barrow_types::{DAY_NANOS, Step};

use super::error::{Code, Problem};
use super::openapi::{Param, Type};
use super::params::Params;

/// Rows as they are known now, or each as it was when it could first be had.
pub(super) const VINTAGE: Param = Param::new(
    "vintage",
    Type::Words(|| Vintage::ALL.map(Vintage::name).to_vec()),
    "live: each row as it was known when it could first be had, at its available_at",
)
.or("\"final\"");

/// The vintage that is asked for.
///
/// # Errors
/// There is none of that name.
pub(super) fn read(params: &Params) -> Result<Vintage, Problem> {
    let vintage = params.read("vintage", |name| {
        let all = Vintage::ALL.map(Vintage::name).join(", ");
        Vintage::parse(name).ok_or_else(|| format!("'{name}' is not one of {all}"))
    })?;
    Ok(vintage.unwrap_or_default())
}

/// What a person should know of rows that came after their slots could be had.
///
/// # Errors
/// Some of them were loaded and do not say when they were known: nobody can say what was known
/// then.
pub(super) fn warning(symbol: &str, late: &LateRows) -> Result<Option<String>, Problem> {
    if !late.loads.is_empty() {
        let loads: Vec<String> = late.loads.iter().map(told).collect();
        let detail = format!(
            "vintage: {}; ask for a range without them, or load them again with \
             known_at_policy=ts_end (barrow import --known-at ts_end) or a column known_at",
            loads.join("; ")
        );
        return Err(Problem::new(Code::InvalidParameter, detail).about("vintage"));
    }
    Ok((late.count > 0).then(|| {
        format!(
            "{symbol}: {} rows came after their slots could be had, by up to {} s; setting \
             publish_delay says how late a source is",
            late.count,
            seconds(late.longest)
        )
    }))
}

/// A span in seconds, rounded up to milliseconds.
fn seconds(nanos: i64) -> String {
    let millis = nanos.div_euclid(1_000_000) + i64::from(nanos.rem_euclid(1_000_000) != 0);
    format!("{}.{:03}", millis / 1_000, millis % 1_000)
}

fn told(load: &Load) -> String {
    let Load { symbol, source, step, count, first, last, shortest } = load;
    let what = match step {
        Step::Tick => "ticks".to_owned(),
        step => format!("{} bars", step.name()),
    };
    format!(
        "{count} {what} of {symbol} from {source}, {first} to {last}, came {} days or more after \
         they could be had and do not say when they were known",
        shortest / DAY_NANOS
    )
}

#[cfg(test)]
mod tests {
    use barrow_types::{Source, Symbol, Timestamp};

    use super::*;

    #[test]
    fn what_came_late_is_warned_of_and_what_was_loaded_is_refused_by_name() {
        assert_eq!(warning("A", &LateRows::default()).unwrap(), None);
        let late = LateRows { count: 3, longest: 1_200_000_001, loads: Vec::new() };
        let said = warning("A", &late).unwrap().unwrap();
        assert!(said.contains("3 rows") && said.contains("1.201 s"), "{said}");
        let load = Load {
            symbol: Symbol::new("A.B").unwrap(),
            source: Source::new("files").unwrap(),
            step: Step::M1,
            count: 7,
            first: Timestamp::from_nanos(0),
            last: Timestamp::from_nanos(60_000_000_000),
            shortest: 5 * DAY_NANOS / 2,
        };
        let problem = warning("A", &LateRows { loads: vec![load], ..late }).unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("vintage"));
        let named = "7 1m bars of A.B from files, 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z";
        assert!(problem.detail.contains(named), "{}", problem.detail);
        assert!(problem.detail.contains("2 days"), "{}", problem.detail);
    }
}
