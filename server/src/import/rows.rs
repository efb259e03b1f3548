//! One record of a file as one row, or the reason why not.

use std::borrow::Cow;
use std::collections::HashMap;

use super::clock::{Clock, Unusable};
use super::columns::Role;
use super::plan::{Plan, SymbolFrom};
use super::table::Cell;

/// How many columns of doubles a row has at most: those of a bar.
pub(crate) const NUMBERS: usize = 6;

/// How many columns of text a row has at most: those of a trade.
pub(crate) const TEXTS: usize = 3;

/// A row that was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row<'r> {
    /// Its symbol: a place in [`RowReader::symbols`].
    pub(crate) symbol: u32,
    /// The open of a bar, the instant of a tick; nanoseconds.
    pub(crate) ts: i64,
    /// When it was published, if the file says so.
    pub(crate) known_at: Option<i64>,
    /// By [`number_place`].
    pub(crate) numbers: [Option<f64>; NUMBERS],
    /// How many trades.
    pub(crate) trades: Option<i64>,
    /// By [`text_place`].
    pub(crate) texts: [Option<Cow<'r, str>>; TEXTS],
}

/// A record that is no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Why.
    pub(crate) error: Unusable,
    /// Its symbol, a place in [`RowReader::symbols`], and `ts`, where both could be read.
    pub(crate) key: Option<(u32, i64)>,
}

/// The place of a role in [`Row::numbers`].
pub(crate) const fn number_place(role: Role) -> Option<usize> {
    match role {
        Role::Open | Role::Price | Role::Bid => Some(0),
        Role::High | Role::Size | Role::Ask => Some(1),
        Role::Low | Role::BidSize => Some(2),
        Role::Close | Role::AskSize => Some(3),
        Role::Volume => Some(4),
        Role::Vwap => Some(5),
        _ => None,
    }
}

/// The place of a role in [`Row::texts`].
pub(crate) const fn text_place(role: Role) -> Option<usize> {
    match role {
        Role::Venue => Some(0),
        Role::Conditions => Some(1),
        Role::TradeId => Some(2),
        _ => None,
    }
}

/// Reads the records of one file, in order.
pub(crate) struct RowReader<'p> {
    plan: &'p Plan,
    /// What prices are divided by; exact, as it is below 2^53.
    price_scale: f64,
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
            price_scale: plan.price_scale as f64,
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

    /// Reads the cells of one record.
    ///
    /// # Errors
    /// Why they are no row; the door's own words where it would say the same.
    pub(crate) fn read<'r>(&mut self, cells: &'r [Cell<'_>]) -> Result<Row<'r>, Refused> {
        let plan = self.plan;
        let symbol = match plan.symbol {
            SymbolFrom::Fixed(_) => 0,
            SymbolFrom::Column(place) => {
                self.symbol_of(&cells[place]).map_err(|error| Refused { error, key: None })?
            }
        };
        let mut row = Row {
            symbol,
            ts: 0,
            known_at: None,
            numbers: [None; NUMBERS],
            trades: None,
            texts: [const { None }; TEXTS],
        };
        // The first column at fault counts, but where the row belongs is read all the same.
        let mut fault = None;
        let mut is_timed = false;
        for (role, place) in &plan.columns.of_role {
            if *role == Role::Ts || fault.is_none() {
                match self.add(&mut row, *role, &cells[*place]) {
                    Ok(()) => is_timed |= *role == Role::Ts,
                    Err(error) => fault = fault.or(Some(error)),
                }
            }
        }
        match fault {
            None => Ok(row),
            Some(error) => Err(Refused { error, key: is_timed.then_some((symbol, row.ts)) }),
        }
    }

    /// Adds the cell of one column to a row.
    fn add<'r>(
        &mut self,
        row: &mut Row<'r>,
        role: Role,
        cell: &'r Cell<'_>,
    ) -> Result<(), Unusable> {
        if let Some(at) = number_place(role) {
            row.numbers[at] = self.number(role, cell)?;
        } else if let Some(at) = text_place(role) {
            row.texts[at] = (!cell.is_null()).then(|| cell.text());
        } else {
            match role {
                Role::Ts => row.ts = self.ts(row.symbol, cell)?,
                Role::KnownAt => row.known_at = self.known_at(cell)?,
                Role::Trades => row.trades = trades(cell)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn symbol_of(&mut self, cell: &Cell<'_>) -> Result<u32, Unusable> {
        let text = cell.text();
        if let Some(place) = self.places.get(text.as_ref()) {
            return Ok(*place);
        }
        match barrow_types::Symbol::new(&text) {
            Ok(_) => Ok(self.add_symbol(&text)),
            Err(error) => Err(unusable("bad_symbol", format!("symbol '{text}' {error}"))),
        }
    }

    fn add_symbol(&mut self, text: &str) -> u32 {
        let place = u32::try_from(self.symbols.len()).expect("invariant: fewer than 2^32 rows");
        self.symbols.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        self.before.push(None);
        place
    }

    fn ts(&mut self, symbol: u32, cell: &Cell<'_>) -> Result<i64, Unusable> {
        if cell.is_null() {
            return Err(unusable("missing_ts", "there is no time".into()));
        }
        let written = self.plan.ts_format.read(cell).ok_or_else(|| {
            let (text, format) = (cell.text(), self.plan.ts_format.describe());
            unusable("bad_time", format!("'{text}' is not read as a time ({format})"))
        })?;
        let before = &mut self.before[symbol as usize];
        let (ts, instant) = self.clock.bar(written, *before).map_err(|error| Unusable {
            reason: error.reason,
            detail: format!("'{}' {}", cell.text(), error.detail),
        })?;
        *before = Some(instant);
        Ok(ts)
    }

    fn known_at(&mut self, cell: &Cell<'_>) -> Result<Option<i64>, Unusable> {
        if cell.is_null() {
            return Ok(None);
        }
        let bad = |why: &str| unusable("bad_known_at", format!("known_at '{}' {why}", cell.text()));
        let format = self.plan.known_at_format.ok_or_else(|| bad("is not read as a time"))?;
        let written = format.read(cell).ok_or_else(|| bad("is not read as a time"))?;
        let instant = self.known_at_clock.instant(written, None);
        instant.map(Some).map_err(|error| bad(&error.detail))
    }

    fn number(&self, role: Role, cell: &Cell<'_>) -> Result<Option<f64>, Unusable> {
        let name = role.name();
        if cell.is_null() {
            return if role.is_needed() {
                Err(unusable("missing_value", format!("{name} is empty")))
            } else {
                Ok(None)
            };
        }
        // Both are exact, so the quotient is the double nearest to what is meant.
        let scale = if role.is_price() { self.price_scale } else { 1.0 };
        match cell.number().map(|value| value / scale) {
            Some(value) if value.is_finite() => Ok(Some(value)),
            Some(_) => {
                Err(unusable("non_finite", format!("{name} '{}' is too large", cell.text())))
            }
            None => {
                Err(unusable("bad_number", format!("{name} '{}' is not a number", cell.text())))
            }
        }
    }
}

fn trades(cell: &Cell<'_>) -> Result<Option<i64>, Unusable> {
    if cell.is_null() {
        return Ok(None);
    }
    let text = cell.text();
    let whole = text.strip_suffix(".0").unwrap_or(&text);
    let count = whole
        .parse()
        .map_err(|_| unusable("bad_number", format!("trades '{text}' is not a whole number")))?;
    Ok(Some(count))
}
