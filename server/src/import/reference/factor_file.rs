//! Factor files of Lean: by what prices up to a date are multiplied to be adjusted.
//!
//! ```text
//! 20120808,0.8613657,0.03571430,619.86    date, price factor p, split factor s, close r
//! 20121106,0.8650639,0.03571430,582.86
//! 20501231,1,1,0
//! ```
//!
//! Factors of a line hold up to and with its date, so what differs from the next line happened on
//! the next session, the ex-date. With p', s' of the next line:
//!
//! - a split of R = s' / s new shares for one old,
//! - a dividend of c = r · (1 - p / p') / R in cash for one share of the ex-date.
//!
//! Barrow divides prices before a split by R, and multiplies those before a dividend by
//! 1 - c · R / close, with the close of the session before. So the product of what comes out here
//! is p · s of each line, as far as the file writes its digits: going back from the last line, each
//! action is the simplest number (R a fraction of small numbers, c of few decimals) with which the
//! running product is the line's factor when it is rounded as the line writes it; where no simple
//! number does that, it is the exact quotient.

use barrow_engine::calendar::Calendar;
use barrow_types::{civil_from_days, days_from_civil};
use serde_json::{Value, json};

use super::day;

/// Largest denominator of a split that is taken for simple.
const DENOMINATOR_MAX: u32 = 100;

/// Most decimals of a dividend that is taken for simple.
const DECIMALS_MAX: i32 = 8;

/// A line of a file.
struct Line {
    /// In days since 1970.
    date: i32,
    price: Written,
    split: Written,
    close: f64,
}

/// A factor, and how far from it what is rounded to it may be.
struct Written {
    value: f64,
    half_unit: f64,
}

impl Written {
    fn read(text: &str) -> Option<Self> {
        let value: f64 =
            text.parse().ok().filter(|value: &f64| value.is_finite() && *value > 0.0)?;
        let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        let decimals = i32::try_from(decimals).ok()?;
        // A little more, because sums of binary fractions are not exact.
        Some(Self { value, half_unit: 0.5001 * 10_f64.powi(-decimals) })
    }

    /// Whether `value` is written so.
    fn is(&self, value: f64) -> bool {
        (value - self.value).abs() <= self.half_unit
    }
}

/// Reads a file.
pub(super) fn read(id: &str, text: &str, calendar: &Calendar) -> Result<Value, String> {
    let lines = lines(text)?;
    let last = lines.last().ok_or("it has no lines")?;
    if last.price.value != 1.0 || last.split.value != 1.0 {
        return Err("its last line has other factors than 1 and 1".to_owned());
    }
    let mut actions: Vec<Value> = Vec::new();
    // The products of what was found so far, as they stand behind the line.
    let (mut price, mut split) = (1.0, 1.0);
    for pair in lines.windows(2).rev() {
        let (line, next) = (&pair[0], &pair[1]);
        let splits = line.split.value != next.split.value;
        let pays = line.price.value != next.price.value;
        if !splits && !pays {
            continue;
        }
        let shown = shown(line.date);
        let ex_date = calendar.next_session(line.date).filter(|session| session.date <= next.date);
        let ex_date = ex_date.ok_or_else(|| {
            format!("{} has no session between {shown} and the next line", calendar.name())
        })?;
        let ex_date = self::shown(ex_date.date);
        let ratio = if splits { ratio(split, &line.split) } else { 1.0 };
        split /= ratio;
        if pays {
            if line.close <= 0.0 {
                return Err(format!("{shown}: the price factor changes, and there is no close"));
            }
            let value = dividend(price, line, ratio);
            if value <= 0.0 {
                return Err(format!("{shown}: the price factor falls: no dividend does that"));
            }
            price *= 1.0 - value * ratio / line.close;
            actions.push(json!({"ex_date": ex_date, "kind": "dividend", "value": value}));
        }
        if splits {
            actions.push(json!({"ex_date": ex_date, "kind": "split", "value": ratio}));
        }
    }
    actions.reverse();
    Ok(json!({"id": id, "actions": actions}))
}

fn lines(text: &str) -> Result<Vec<Line>, String> {
    let mut lines: Vec<Line> = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [date, price, split, rest @ ..] = &fields[..] else {
            return Err(format!("line {number} is not date,price factor,split factor[,close]"));
        };
        let date = day(date)
            .ok_or_else(|| format!("line {number} does not begin with a date yyyymmdd"))?;
        let days = days_from_civil(date.year().into(), date.month().into(), date.day().into());
        let date = i32::try_from(days).expect("invariant: years have four digits");
        let factor = |name: &str, text: &str| {
            Written::read(text).ok_or_else(|| {
                format!("line {number}: the {name} factor '{text}' is not a number above 0")
            })
        };
        let close = match rest.first() {
            None => 0.0,
            Some(text) => text
                .parse()
                .map_err(|_| format!("line {number}: the close '{text}' is not a number"))?,
        };
        // Of a split factor zeros are added to the digits that were meant: 0.03571430.
        let split = split.trim_end_matches('0').trim_end_matches('.');
        let split = factor("split", if split.is_empty() { "0" } else { split })?;
        let line = Line { date, price: factor("price", price)?, split, close };
        if lines.last().is_some_and(|before| before.date >= line.date) {
            return Err(format!("line {number}: its date is not after that of the line before"));
        }
        lines.push(line);
    }
    Ok(lines)
}

/// The split by which `running` becomes the line's factor.
fn ratio(running: f64, written: &Written) -> f64 {
    let exact = running / written.value;
    let simple = (1..=DENOMINATOR_MAX).map(f64::from).find_map(|denominator| {
        let ratio = (exact * denominator).round() / denominator;
        (ratio > 0.0 && written.is(running / ratio)).then_some(ratio)
    });
    simple.unwrap_or(exact)
}

/// The dividend by which `running` becomes the line's factor, on a day with this split.
fn dividend(running: f64, line: &Line, ratio: f64) -> f64 {
    let exact = line.close * (1.0 - line.price.value / running) / ratio;
    let simple = (0..=DECIMALS_MAX).find_map(|decimals| {
        let unit = 10_f64.powi(decimals);
        let value = (exact * unit).round() / unit;
        let left = 1.0 - value * ratio / line.close;
        (value > 0.0 && line.price.is(running * left)).then_some(value)
    });
    simple.unwrap_or(exact)
}

fn shown(date: i32) -> String {
    let (year, month, day) = civil_from_days(date.into());
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn of(text: &str) -> Result<Value, String> {
        read("X", text, &Calendar::embedded("XNYS").unwrap())
    }

    /// Actions as `date kind value`.
    fn actions(value: &Value) -> Vec<String> {
        let actions = value["actions"].as_array().unwrap().iter();
        let text = |action: &Value, name: &str| action[name].as_str().unwrap().to_owned();
        actions
            .map(|a| format!("{} {} {}", text(a, "ex_date"), text(a, "kind"), a["value"]))
            .collect()
    }

    #[test]
    fn what_differs_between_two_lines_happened_on_the_session_after_the_first() {
        // Apple: 2.65 USD each in 2012 and 2013, 3.29 USD on 2014-05-08, and seven shares for one
        // on 2014-06-09, a Monday.
        let found = of("20120808,0.9799,0.142857,619.86\n20140507,0.98414,0.142857,592.33\n\
                        20140606,0.98964,0.142857,645.57\n20140806,0.98964,1,94.97\n\
                        20141105,0.99463,1,108.86\n20501231,1,1,0\n")
        .unwrap();
        let found = actions(&found);
        let splits: Vec<_> = found.iter().filter(|action| action.contains("split")).collect();
        assert_eq!(splits, ["2014-06-09 split 7.0"]);
        assert_eq!(found[0].split(' ').next(), Some("2012-08-09"));
        assert_eq!(found.len(), 5);
    }

    #[test]
    fn files_that_cannot_be_say_where() {
        for (text, fault) in [
            ("", "no lines"),
            ("20120808,1,1,1\n", "1"),
            ("20120808,0.5,1,1\n", "last line has other factors"),
            ("20120808,x,1,1\n20501231,1,1,0", "line 1: the price factor 'x'"),
            ("20120808,1,-1,1\n20501231,1,1,0", "line 1: the split factor '-1'"),
            ("20120808,1,1,x\n20501231,1,1,0", "line 1: the close 'x'"),
            ("20120808,0.9,1,0\n20501231,1,1,0", "2012-08-08: the price factor changes"),
            ("20120808,1.1,1,5\n20501231,1,1,0", "2012-08-08: the price factor falls"),
            ("20120808,1\n", "line 1 is not date,price factor"),
            ("20501231,1,1,0\n20120808,1,1,1", "line 2: its date is not after"),
            ("20120810,0.9,1,5\n20120811,1,1,0", "no session between 2012-08-10"),
        ] {
            match of(text) {
                Err(error) => assert!(error.contains(fault), "{text}: {error}"),
                Ok(found) => assert_eq!((fault, actions(&found).len()), ("1", 0), "{text}"),
            }
        }
    }

    /// Multiplies what came out of a file, as Barrow adjusts, and compares each line of the file.
    fn reproduces(text: &str, found: &Value) {
        let lines = lines(text).unwrap();
        let actions = found["actions"].as_array().unwrap();
        for (at, line) in lines.iter().enumerate() {
            let (mut price, mut split) = (1.0, 1.0);
            for before in &lines[at..lines.len() - 1] {
                let ex_date = Calendar::embedded("XNYS").unwrap();
                let ex_date = shown(ex_date.next_session(before.date).unwrap().date);
                let value = |kind: &str| {
                    let same = |a: &&Value| a["ex_date"] == ex_date.as_str() && a["kind"] == kind;
                    actions.iter().find(same).and_then(|action| action["value"].as_f64())
                };
                let ratio = value("split").unwrap_or(1.0);
                split /= ratio;
                price *= 1.0 - value("dividend").unwrap_or(0.0) * ratio / before.close;
            }
            assert!(line.price.is(price), "{}: {price} {}", shown(line.date), line.price.value);
            assert!(line.split.is(split), "{}: {split} {}", shown(line.date), line.split.value);
        }
    }

    #[test]
    fn the_actions_of_real_files_give_their_factors_back() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = folder.join("../../shared/data/reference/lean_factor_files");
        let Ok(files) = std::fs::read_dir(&folder) else {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "skipped: there is no {}", folder.display());
            return;
        };
        for file in files {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let found = of(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            reproduces(&text, &found);
            if path.ends_with("aapl.csv") {
                let found = actions(&found);
                // Splits and dividends as Apple's investor relations list them.
                for action in [
                    "2000-06-21 split 2.0",
                    "2005-02-28 split 2.0",
                    "2012-08-09 dividend 2.65",
                    "2014-05-08 dividend 3.29",
                    "2014-06-09 split 7.0",
                    "2020-08-31 split 4.0",
                    "2020-11-06 dividend 0.205",
                ] {
                    assert!(found.iter().any(|found| found == action), "{action}: {found:?}");
                }
            }
        }
    }
}
