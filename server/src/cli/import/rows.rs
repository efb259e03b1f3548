//! One line of a file as one row of a bar, or the reason why not.

use std::collections::HashMap;

use super::clock::{Clock, Unusable};
use super::columns::Role;
use super::layout::number;
use super::lines::split;
use super::plan::{Plan, SymbolFrom};

/// How many columns of doubles a bar has: four prices, volume, vwap.
pub(crate) const NUMBERS: usize = 6;

/// Words that stand for no value.
const NULLS: [&str; 8] = ["", "nan", "NaN", "null", "NULL", "None", "NA", "N/A"];

/// A row that was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Row {
    /// Its symbol: a place in [`RowReader::symbols`].
    pub(crate) symbol: u32,
    /// The open of its bar, nanoseconds.
    pub(crate) ts: i64,
    /// When it was published, if the file says so.
    pub(crate) known_at: Option<i64>,
    /// Open, high, low, close, volume, vwap.
    pub(crate) numbers: [Option<f64>; NUMBERS],
    /// How many trades.
    pub(crate) trades: Option<i64>,
}

/// The place of a role in [`Row::numbers`].
pub(crate) const fn number_place(role: Role) -> Option<usize> {
    match role {
        Role::Open => Some(0),
        Role::High => Some(1),
        Role::Low => Some(2),
        Role::Close => Some(3),
        Role::Volume => Some(4),
        Role::Vwap => Some(5),
        Role::Ts | Role::Symbol | Role::Trades | Role::KnownAt => None,
    }
}

/// Reads the lines of one file, in order.
pub(crate) struct RowReader<'p> {
    plan: &'p Plan,
    clock: Clock,
    known_at_clock: Clock,
    symbols: Vec<String>,
    places: HashMap<String, u32>,
    /// The instant of each symbol's last row.
    before: Vec<Option<i64>>,
}

fn unusable(reason: &'static str, detail: String) -> Unusable {
    Unusable { reason, detail }
}

impl<'p> RowReader<'p> {
    pub(crate) fn new(plan: &'p Plan) -> Self {
        let mut reader = Self {
            plan,
            clock: plan.clock(),
            known_at_clock: plan.clock(),
            symbols: Vec::new(),
            places: HashMap::new(),
            before: Vec::new(),
        };
        if let SymbolFrom::Fixed(symbol) = &plan.symbol {
            reader.add_symbol(symbol);
        }
        reader
    }

    /// Every symbol met so far, in order of first appearance.
    pub(crate) fn symbols(&self) -> &[String] {
        &self.symbols
    }

    /// Reads one line.
    ///
    /// # Errors
    /// Why the line is no row of a bar; the door's own words where it would say the same.
    pub(crate) fn read(&mut self, line: &str) -> Result<Row, Unusable> {
        let plan = self.plan;
        let width = plan.layout.width;
        let mut fields = Vec::with_capacity(width);
        if !split(line, plan.layout.separator, &mut fields) {
            return Err(unusable("unreadable", "a quote is not closed, or not at its end".into()));
        }
        if fields.len() != width {
            let reason = if fields.len() < width { "too_few_fields" } else { "too_many_fields" };
            return Err(unusable(
                reason,
                format!("{} fields where there are {width}", fields.len()),
            ));
        }
        let symbol = match plan.symbol {
            SymbolFrom::Fixed(_) => 0,
            SymbolFrom::Column(place) => self.symbol_of(fields[place].text())?,
        };
        let mut row = Row { symbol, ts: 0, known_at: None, numbers: [None; NUMBERS], trades: None };
        for (role, place) in &plan.columns.of_role {
            let text = fields[*place].text();
            match role {
                Role::Symbol => {}
                Role::Ts => row.ts = self.ts(symbol, text)?,
                Role::KnownAt => row.known_at = self.known_at(text)?,
                Role::Trades => row.trades = trades(text)?,
                Role::Open | Role::High | Role::Low | Role::Close | Role::Volume | Role::Vwap => {
                    let value = value(*role, text)?;
                    let at = number_place(*role).expect("invariant: these roles are numbers");
                    row.numbers[at] = value;
                }
            }
        }
        Ok(row)
    }

    fn symbol_of(&mut self, text: &str) -> Result<u32, Unusable> {
        if let Some(place) = self.places.get(text) {
            return Ok(*place);
        }
        match barrow_types::Symbol::new(text) {
            Ok(_) => Ok(self.add_symbol(text)),
            Err(error) => Err(unusable("bad_symbol", format!("symbol '{text}' {error}"))),
        }
    }

    fn add_symbol(&mut self, text: &str) -> u32 {
        let place = u32::try_from(self.symbols.len()).expect("invariant: fewer than 2^32 lines");
        self.symbols.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        self.before.push(None);
        place
    }

    fn ts(&mut self, symbol: u32, text: &str) -> Result<i64, Unusable> {
        if NULLS.contains(&text) {
            return Err(unusable("missing_ts", "there is no time".into()));
        }
        let written = self.plan.ts_format.read(text).ok_or_else(|| {
            let format = self.plan.ts_format.describe();
            unusable("bad_time", format!("'{text}' is not read as a time ({format})"))
        })?;
        let before = &mut self.before[symbol as usize];
        let (ts, instant) = self.clock.bar(written, *before).map_err(|error| Unusable {
            reason: error.reason,
            detail: format!("'{text}' {}", error.detail),
        })?;
        *before = Some(instant);
        Ok(ts)
    }

    fn known_at(&mut self, text: &str) -> Result<Option<i64>, Unusable> {
        if NULLS.contains(&text) {
            return Ok(None);
        }
        let bad = |why: &str| unusable("bad_known_at", format!("known_at '{text}' {why}"));
        let format = self.plan.known_at_format.ok_or_else(|| bad("is not read as a time"))?;
        let written = format.read(text).ok_or_else(|| bad("is not read as a time"))?;
        let instant = self.known_at_clock.instant(written, None);
        instant.map(Some).map_err(|error| bad(&error.detail))
    }
}

fn value(role: Role, text: &str) -> Result<Option<f64>, Unusable> {
    if NULLS.contains(&text) {
        return if role.is_price() {
            Err(unusable("missing_value", format!("{} is empty", role.name())))
        } else {
            Ok(None)
        };
    }
    match number(text) {
        Some(value) if value.is_finite() => Ok(Some(value)),
        Some(_) => Err(unusable("non_finite", format!("{} '{text}' is too large", role.name()))),
        None => Err(unusable("bad_number", format!("{} '{text}' is not a number", role.name()))),
    }
}

fn trades(text: &str) -> Result<Option<i64>, Unusable> {
    if NULLS.contains(&text) {
        return Ok(None);
    }
    let whole = text.strip_suffix(".0").unwrap_or(text);
    let count = whole
        .parse()
        .map_err(|_| unusable("bad_number", format!("trades '{text}' is not a whole number")))?;
    Ok(Some(count))
}
