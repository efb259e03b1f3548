//! What the sender of rows says of a range of time: that these are all there are.
//!
//! `covers=START..END` claims for the symbols of `covers_symbols`, else for those of the rows. A
//! bare date is a session by each symbol's calendar. The claims travel with the last part of a
//! request, and no part makes them if any row does not tell its symbol and time, because it may lie
//! in any gap. With `replace=true` what is stored in the range and is not among the rows is taken
//! back by the same record, so that such a request has one part.

use barrow_engine::Reference;
use barrow_engine::batch::{Claim, ClaimOrigin};
use barrow_engine::dataset::facts::EVERY_SYMBOL;
use barrow_types::{Source, Step, Symbol, Timestamp};

use super::decode::Incoming;
use super::error::Problem;
use super::params::Params;
use super::time::{When, parse_when};
use super::when::{bound, instrument_of, since};

/// What a request claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Covers {
    start: When,
    end: When,
    /// `None`: those of the rows.
    symbols: Option<Vec<String>>,
    /// Whether rows that are stored there and not sent again are taken back.
    pub(crate) replaces: bool,
}

/// Claims, and whether any of them is of a bare date without a calendar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// What is claimed.
    pub(crate) all: Vec<Claim>,
    /// Whether a bare date had to be taken for a UTC day.
    pub(crate) without_calendar: bool,
}

impl Covers {
    /// What `covers`, `covers_symbols` and `replace` say.
    ///
    /// # Errors
    /// One of them says what it must not.
    pub(crate) fn read(params: &Params) -> Result<Option<Self>, Problem> {
        let replaces = params.flag("replace")?;
        let Some(range) = params.get("covers") else {
            let needs = [
                ("covers_symbols", params.get("covers_symbols").is_some(), "of whom"),
                ("replace", replaces, "what becomes of rows in a range"),
            ];
            return match needs.into_iter().find(|(_, is_there, _)| *is_there) {
                None => Ok(None),
                Some((name, _, what)) => {
                    let fault = format!("says {what}, but covers=START..END is missing");
                    Err(Problem::parameter(name, fault))
                }
            };
        };
        let wrong = |fault: String| Problem::parameter("covers", fault);
        let (start, end) = range.split_once("..").ok_or_else(|| {
            wrong(format!("'{range}' is no range: write START..END, times with an offset or dates"))
        })?;
        let start = parse_when(start).map_err(wrong)?;
        let end = parse_when(end).map_err(wrong)?;
        let symbols = params.read("covers_symbols", |list| {
            let mut symbols: Vec<String> = Vec::new();
            for name in list.split(',') {
                checked(name)?;
                if symbols.iter().any(|other| other == name) {
                    return Err(format!("'{name}' is named twice"));
                }
                symbols.push(name.to_owned());
            }
            Ok(symbols)
        })?;
        if replaces && symbols.iter().flatten().any(|name| name == EVERY_SYMBOL) {
            let fault = format!("{EVERY_SYMBOL} cannot be replaced; name the symbols");
            return Err(Problem::parameter("covers_symbols", fault));
        }
        Ok(Some(Self { start, end, symbols, replaces }))
    }

    /// The claims of rows from `source`.
    ///
    /// # Errors
    /// It names no symbols and there are none among the rows, or for one of them the range is empty
    /// or ends after `now`.
    pub(crate) fn claims(
        &self,
        incoming: &Incoming,
        (source, step): (&Source, Step),
        reference: &Reference,
        now: Timestamp,
    ) -> Result<Claims, Problem> {
        let symbols = match &self.symbols {
            Some(symbols) => symbols.clone(),
            None => symbols_of(incoming),
        };
        if symbols.is_empty() {
            let fault = "is missing: no row says of which symbols covers speaks";
            return Err(Problem::parameter("covers_symbols", fault));
        }
        let mut claims = Claims::default();
        for symbol in symbols {
            let range = Range { start: self.start, end: self.end };
            let (start, end, known) = range.of(&symbol, (source, step), reference);
            claims.without_calendar |= !known;
            if start >= end {
                let fault = format!("there is nothing between for {symbol}: write END after START");
                return Err(Problem::parameter("covers", fault));
            }
            if end > now {
                let fault = format!(
                    "the end for {symbol} lies in the future: end at the last row there is"
                );
                return Err(Problem::parameter("covers", fault));
            }
            let origin = if self.replaces { ClaimOrigin::Replaces } else { ClaimOrigin::Covers };
            claims.all.push(Claim { symbol, start, end, origin });
        }
        Ok(claims)
    }
}

/// A range as it was written.
pub(crate) struct Range {
    /// Its start.
    pub(crate) start: When,
    /// Its end, not in it.
    pub(crate) end: When,
}

impl Range {
    /// Its instants for a symbol, and whether its dates, if it has any, are those of a calendar.
    pub(crate) fn of(
        &self,
        symbol: &str,
        (source, step): (&Source, Step),
        reference: &Reference,
    ) -> (Timestamp, Timestamp, bool) {
        let has_dates = [self.start, self.end].iter().any(|at| matches!(at, When::Date(_)));
        let about = since(self.start, None);
        let calendar = (has_dates && symbol != EVERY_SYMBOL)
            .then(|| instrument_of(reference, source.as_str(), symbol, about))
            .flatten()
            .and_then(|of| reference.attribute_at(&of, "calendar", about).map(str::to_owned))
            .and_then(|name| reference.calendar(&name));
        let known = !has_dates || calendar.is_some();
        let calendar = calendar.as_deref();
        (bound(self.start, calendar, step), bound(self.end, calendar, step), known)
    }
}

/// Checks a symbol that something is claimed for; `*` is every one.
pub(crate) fn checked(name: &str) -> Result<(), String> {
    if name == EVERY_SYMBOL {
        return Ok(());
    }
    Symbol::new(name).map(|_| ()).map_err(|fault| format!("{name:?} {fault}"))
}

/// The symbols of rows that have one, in order of their first rows; refused ones are last.
fn symbols_of(incoming: &Incoming) -> Vec<String> {
    let names = &incoming.symbols.names;
    let mut seen = vec![false; names.len()];
    let mut symbols: Vec<String> = Vec::new();
    for &place in &incoming.symbols.of_row {
        let Some(name) = names.get(place as usize) else { continue };
        let is_new = !std::mem::replace(&mut seen[place as usize], true);
        if is_new && Symbol::new(name).is_ok() && !symbols.contains(name) {
            symbols.push(name.clone());
        }
    }
    for (name, _) in incoming.refused.iter().filter_map(|refused| refused.key.as_ref()) {
        if !symbols.contains(name) {
            symbols.push(name.clone());
        }
    }
    symbols
}

/// Whether every row tells its symbol and time, so that the gaps that rejected ones leave are
/// known.
pub(crate) fn tells_all(incoming: &Incoming) -> bool {
    let names: Vec<bool> =
        incoming.symbols.names.iter().map(|name| Symbol::new(name).is_ok()).collect();
    incoming.refused.iter().all(|refused| refused.key.is_some())
        && incoming.symbols.of_row.iter().all(|&at| names.get(at as usize) == Some(&true))
        && incoming.ts.validity.as_ref().is_none_or(|bits| bits.count() == bits.len())
}

#[cfg(test)]
mod tests {
    use barrow_engine::batch::Symbols;
    use barrow_engine::rows::{Column, Values};

    use super::super::ingest::POST;
    use super::*;

    fn read(query: &str) -> Result<Option<Covers>, Problem> {
        Covers::read(&Params::parse(Some(query), &POST)?)
    }

    fn incoming(names: &[&str], of_row: Vec<u32>) -> Incoming {
        let ts = Column::new(Values::I64(vec![0; of_row.len()]));
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Incoming {
            numbers: (0..).take(of_row.len()).collect(),
            symbols: Symbols { names, of_row },
            ts,
            known_at: None,
            columns: Vec::new(),
            raw: None,
            refused: Vec::new(),
            ignored: Vec::new(),
        }
    }

    #[test]
    fn faults_of_a_claim_name_their_parameter() {
        for (query, field) in [
            ("covers=2013-10-07", "covers"),
            ("covers=a..b", "covers"),
            ("covers=2013-10-07..1381152600", "covers"),
            ("covers=2013-10-07..2013-10-08&covers_symbols=A,A", "covers_symbols"),
            ("covers=2013-10-07..2013-10-08&covers_symbols=..%2Fx", "covers_symbols"),
            ("covers_symbols=A", "covers_symbols"),
        ] {
            assert_eq!(read(query).unwrap_err().field.as_deref(), Some(field), "{query}");
        }
        assert_eq!(read(""), Ok(None));
    }

    #[test]
    fn a_claim_is_for_the_symbols_named_or_those_of_the_rows() {
        let rows = incoming(&["B", "", "A", "B", "C"], vec![0, 1, 2, 3, u32::MAX]);
        let source = Source::new("s").unwrap();
        let symbols = |query: &str| {
            let covers = read(&format!("covers=2013-10-07..2013-10-09{query}")).unwrap().unwrap();
            let claims = covers
                .claims(&rows, (&source, Step::M1), &Reference::default(), Timestamp::MAX)
                .unwrap();
            assert!(claims.without_calendar);
            claims.all.into_iter().map(|claim| claim.symbol).collect::<Vec<_>>()
        };
        assert_eq!(symbols(""), ["B", "A"]);
        assert_eq!(symbols("&covers_symbols=*,X"), ["*", "X"]);
        let covers = read("covers=2013-10-07..2013-10-07").unwrap().unwrap();
        let fault = |rows| {
            let claims =
                covers.claims(&rows, (&source, Step::M1), &Reference::default(), Timestamp::MAX);
            claims.unwrap_err().field
        };
        assert_eq!(fault(incoming(&["A"], vec![0])).as_deref(), Some("covers"));
        assert_eq!(fault(incoming(&[], Vec::new())).as_deref(), Some("covers_symbols"));
    }

    #[test]
    fn a_row_without_symbol_or_time_may_lie_in_any_gap() {
        assert!(tells_all(&incoming(&["A"], vec![0, 0])));
        assert!(!tells_all(&incoming(&["A"], vec![0, u32::MAX])));
        assert!(!tells_all(&incoming(&["A", "../x"], vec![0, 1])));
        let mut untimed = incoming(&["A"], vec![0]);
        untimed.ts.push_null();
        untimed.symbols.of_row.push(0);
        assert!(!tells_all(&untimed));
    }
}
