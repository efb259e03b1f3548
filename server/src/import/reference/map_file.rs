//! Map files of Lean: which ticker an instrument had when.
//!
//! ```text
//! 19980102,aol,N         from this date on
//! 20031015,aol,N         the ticker up to and with this date
//! 20180615,twx,N         a last date before 2050: delisted then
//! ```
//!
//! The instrument is that of the file's name in capitals. A ticker that it had is bound to it for
//! the dates of its lines, and to nobody afterwards unless another file says so. Where the file
//! begins after Lean's data do (1998-01-02), the ticker that is the instrument's id belonged to
//! another instrument before: the one with `.1` behind it, as Lean calls the earlier one.

use jiff::ToSpan;
use jiff::civil::{Date, date};
use serde_json::{Value, json};

use super::day;

/// The first date of Lean's data.
const FIRST: Date = date(1998, 1, 2);

/// Lines with such a date are about a ticker that is still in use.
const OPEN: Date = date(2050, 1, 1);

/// From when to when an instrument had a ticker; `None`: it has it.
struct Interval {
    ticker: String,
    since: Date,
    until: Option<Date>,
}

/// Reads a file.
pub(super) fn read(id: &str, text: &str, source: &str) -> Result<Value, String> {
    let mut lines: Vec<(Date, String)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let mut fields = line.split(',').map(str::trim);
        let at = fields.next().and_then(day);
        let at = at.ok_or_else(|| format!("line {number} does not begin with a date yyyymmdd"))?;
        let ticker = fields.next().filter(|ticker| !ticker.is_empty());
        let ticker = ticker.ok_or_else(|| format!("line {number} has no ticker"))?;
        if lines.last().is_some_and(|(before, _)| *before >= at) {
            return Err(format!("line {number}: its date is not after that of the line before"));
        }
        lines.push((at, ticker.to_ascii_uppercase()));
    }
    let [(first, _), rest @ ..] = &lines[..] else { return Err("it has no lines".to_owned()) };
    if rest.is_empty() {
        return Err("it has one line: the second says up to when the ticker was used".to_owned());
    }
    let intervals = intervals(*first, rest);
    let names = names(&intervals);
    let end = intervals.last().and_then(|last| last.until);
    let mut listed = vec![json!({"value": true, "since": first.to_string()})];
    if let Some(end) = end {
        listed.push(json!({"value": false, "since": end.to_string()}));
    }
    let bindings: Vec<Value> = intervals
        .iter()
        .map(|interval| {
            json!({
                "source": source,
                "symbol": interval.ticker,
                "since": interval.since.to_string(),
                "until": interval.until.map(|until| until.to_string()),
            })
        })
        .collect();
    Ok(json!({"id": id, "name": names, "listed": listed, "bindings": bindings}))
}

/// The instrument that had the ticker `id` before the one of that id; `None` if nobody knows.
pub(super) fn earlier(instrument: &Value) -> Option<Value> {
    let id = instrument["id"].as_str()?;
    let bindings = instrument["bindings"].as_array()?;
    let own = bindings.iter().find(|binding| binding["symbol"] == id)?;
    let since: Date = own["since"].as_str()?.parse().ok()?;
    (since > FIRST).then(|| {
        let binding = json!({"source": own["source"], "symbol": id});
        json!({"id": format!("{id}.1"), "bindings": [binding]})
    })
}

fn intervals(first: Date, rest: &[(Date, String)]) -> Vec<Interval> {
    let mut intervals: Vec<Interval> = Vec::new();
    let mut since = first;
    for (last, ticker) in rest {
        let next = last.saturating_add(1.day());
        let until = (*last < OPEN).then_some(next);
        match intervals.last_mut() {
            Some(before) if before.ticker == *ticker => before.until = until,
            _ => intervals.push(Interval { ticker: ticker.clone(), since, until }),
        }
        since = next;
    }
    intervals
}

/// The names that the tickers are.
fn names(intervals: &[Interval]) -> Vec<Value> {
    let mut names: Vec<Value> = Vec::new();
    for interval in intervals {
        names.push(json!({"value": interval.ticker, "since": interval.since.to_string()}));
    }
    if let Some(end) = intervals.last().and_then(|last| last.until) {
        names.push(json!({"value": null, "since": end.to_string()}));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bindings as `TICKER since until`, and the names as `NAME since`.
    fn shown(id: &str, text: &str) -> (Vec<String>, Vec<String>) {
        let read = read(id, text, "lean").unwrap();
        let words = |value: &Value, names: &[&str]| {
            let words = names.iter().map(|name| value[*name].as_str().unwrap_or("-").to_owned());
            words.collect::<Vec<_>>().join(" ")
        };
        let all = |list: &str, names: &[&str]| {
            read[list].as_array().unwrap().iter().map(|value| words(value, names)).collect()
        };
        (all("bindings", &["symbol", "since", "until"]), all("name", &["value", "since"]))
    }

    #[test]
    fn a_ticker_is_bound_for_the_dates_of_its_lines() {
        let (bindings, names) = shown("TWX", "19980102,aol,N\n20031015,aol,N\n20180615,twx,N\n");
        assert_eq!(bindings, ["AOL 1998-01-02 2003-10-16", "TWX 2003-10-16 2018-06-16"]);
        assert_eq!(names, ["AOL 1998-01-02", "TWX 2003-10-16", "- 2018-06-16"]);
        let (bindings, names) =
            shown("QQQ", "19990310,qqq,Q\n20041130,qqq,Q\n20110322,qqqq,Q\n20501231,qqq,Q");
        let expected =
            ["QQQ 1999-03-10 2004-12-01", "QQQQ 2004-12-01 2011-03-23", "QQQ 2011-03-23 -"];
        assert_eq!(bindings, expected);
        assert_eq!(names.len(), 3);
        let (bindings, _) = shown("TWX.1", "19980102,twx\n20010111,twx\n");
        assert_eq!(bindings, ["TWX 1998-01-02 2001-01-12"]);
    }

    #[test]
    fn an_id_that_was_anothers_ticker_before_is_told() {
        let earlier_of = |id: &str, text: &str| earlier(&read(id, text, "lean").unwrap());
        let wm = earlier_of("WM", "19980102,uw,N\n20090804,wmi,N\n20501231,wm,N\n");
        let expected = json!({"id": "WM.1", "bindings": [{"source": "lean", "symbol": "WM"}]});
        assert_eq!(wm, Some(expected));
        assert_eq!(earlier_of("AAPL", "19980102,aapl,Q\n20501231,aapl,Q\n"), None);
        assert_eq!(earlier_of("TWX.1", "19980102,twx\n20010111,twx\n"), None);
    }

    #[test]
    fn lines_that_cannot_be_are_named() {
        for (text, fault) in [
            ("", "no lines"),
            ("19980102,aapl,Q", "one line"),
            ("19980102,aapl\n1998-01-03,aapl", "line 2 does not begin with a date"),
            ("19980102,aapl\n20501231,", "line 2 has no ticker"),
            ("20501231,aapl\n19980102,aapl", "line 2: its date is not after"),
        ] {
            let error = read("AAPL", text, "lean").unwrap_err();
            assert!(error.contains(fault), "{text}: {error}");
        }
    }
}
