//! Rows on their way from a body into a batch.

use std::collections::HashMap;

use barrow_engine::batch::{Refused, Symbols};
use barrow_engine::dataset::tables::Extra;
use barrow_engine::dataset::{ColumnDef, Schema, ValueType};
use barrow_engine::rows::{Bitmap, Column, ColumnType, Texts, Values};
use barrow_types::{DatasetId, Symbol};

use super::super::error::{Code, Problem};
use super::Plan;
use super::cells::{Cell, Fault, open_of};

/// What a column of a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The instrument's name.
    Symbol,
    /// The event time.
    Ts,
    /// The publication time.
    KnownAt,
    /// A column of the dataset's schema, and its place there.
    User(usize, &'static ColumnDef),
    /// The row as it came.
    Raw,
    /// Why the sender could not read the row.
    Reject,
    /// The row's number as the sender counts.
    Line,
    /// One that the dataset does not have, and that is left out.
    Ignored,
}

impl Role {
    /// What the column of that name is in rows of `schema`, if anything.
    pub(crate) fn of(name: &str, schema: &'static Schema) -> Option<Self> {
        match name {
            "symbol" => Some(Self::Symbol),
            "ts" => Some(Self::Ts),
            "t" if schema.name == super::JOIN => Some(Self::Ts),
            // What is known of a moment, and when, is what a join asks.
            "known_at" if schema.name != super::JOIN => Some(Self::KnownAt),
            "_raw" => Some(Self::Raw),
            "_reject" => Some(Self::Reject),
            "_line" => Some(Self::Line),
            _ => schema
                .shown()
                .find(|(_, column)| column.name == name)
                .map(|(place, column)| Self::User(place, column)),
        }
    }

    /// The name of the column in rows of `schema`.
    fn name_in(self, schema: &Schema) -> &'static str {
        match self {
            Self::Ts if schema.name == super::JOIN => "t",
            other => other.name(),
        }
    }

    /// The name of the column.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Symbol => "symbol",
            Self::Ts => "ts",
            Self::KnownAt => "known_at",
            Self::User(_, column) => column.name,
            Self::Raw => "_raw",
            Self::Reject => "_reject",
            Self::Line => "_line",
            Self::Ignored => "(ignored)",
        }
    }
}

/// What the columns of that names are, and the names of those that are left out.
///
/// # Errors
/// Names that are unknown or there twice, or columns that are missing; all of a kind together.
pub(crate) fn roles<'a>(
    names: impl IntoIterator<Item = &'a str>,
    plan: &Plan,
) -> Result<(Vec<Role>, Vec<String>), Problem> {
    let mut roles = Vec::new();
    let mut unknown: Vec<String> = Vec::new();
    for name in names {
        match Role::of(name, plan.schema) {
            Some(role) if roles.contains(&role) => {
                let detail = format!("{name}: there are two columns of that name");
                return Err(Problem::new(Code::InvalidBody, detail).about(name));
            }
            Some(role) => roles.push(role),
            None => {
                roles.push(Role::Ignored);
                unknown.push(name.to_owned());
            }
        }
    }
    refuse_unknown(&unknown, plan)?;
    require(&roles, plan)?;
    unknown.truncate(IGNORED_MAX);
    Ok((roles, unknown))
}

/// Refuses columns that nobody knows, unless they are left out.
pub(crate) fn refuse_unknown(names: &[impl AsRef<str>], plan: &Plan) -> Result<(), Problem> {
    if names.is_empty() || plan.extra == Extra::Ignore {
        return Ok(());
    }
    let mut known = vec!["symbol", Role::Ts.name_in(plan.schema)];
    known.extend(plan.schema.shown().map(|(_, column)| column.name));
    known.extend(Role::of("known_at", plan.schema).map(Role::name));
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    let list = names.join(", ");
    let detail = format!("{list}: no such column (there are: {})", known.join(", "));
    Err(Problem::new(Code::InvalidBody, detail).about(list))
}

/// Refuses a body whose columns are `roles` if one that must be there is not.
pub(crate) fn require(roles: &[Role], plan: &Plan) -> Result<(), Problem> {
    if plan.symbol.is_some() && roles.contains(&Role::Symbol) {
        let detail = "symbol: the request names one and the body has a column of it: use one";
        return Err(Problem::new(Code::InvalidBody, detail).about("symbol"));
    }
    let mut required = vec![Role::Ts];
    if plan.symbol.is_none() {
        required.insert(0, Role::Symbol);
    }
    let user = plan.schema.columns.iter().enumerate().filter(|(_, column)| !column.nullable);
    required.extend(user.map(|(place, column)| Role::User(place, column)));
    let missing = required.iter().filter(|role| !roles.contains(role));
    let mut missing: Vec<_> = missing.map(|role| role.name_in(plan.schema)).collect();
    let has_price = |name| roles.iter().any(|role| role.name() == name);
    if plan.schema.dataset == DatasetId::QUOTES && !has_price("bid") && !has_price("ask") {
        missing.extend(["bid", "ask"]);
    }
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(", ");
    Err(Problem::new(Code::InvalidBody, format!("{list}: the body has no such column")).about(list))
}

/// The rows of a body. Columns are as long as `symbols.of_row`.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    /// The rows' symbols.
    pub(crate) symbols: Symbols,
    /// Event times: the opens of bars.
    pub(crate) ts: Column,
    /// Publication times, if the body has them.
    pub(crate) known_at: Option<Column>,
    /// The schema's columns.
    pub(crate) columns: Vec<Column>,
    /// Each row's number: `_line`, or its place in the body.
    pub(crate) numbers: Vec<u64>,
    /// Each row as it came, where the body shows it.
    pub(crate) raw: Option<Column>,
    /// Rows that could not be read.
    pub(crate) refused: Vec<Refused>,
    /// Names of columns that were left out.
    pub(crate) ignored: Vec<String>,
}

impl Incoming {
    /// No rows of `schema`.
    pub(crate) fn empty(schema: &Schema) -> Self {
        Self {
            symbols: Symbols::default(),
            ts: Column::empty(ColumnType::I64, 0),
            known_at: None,
            columns: schema.kinds().map(|kind| Column::empty(kind, 0)).collect(),
            numbers: Vec::new(),
            raw: None,
            refused: Vec::new(),
            ignored: Vec::new(),
        }
    }
}

/// Splits `_reject` into its word and its sentence.
pub(crate) fn rejection(reject: &str) -> (String, String) {
    let (reason, detail) = reject.split_once(": ").unwrap_or((reject, ""));
    let reason = if reason.is_empty() { "unreadable" } else { reason };
    (reason.to_owned(), detail.to_owned())
}

/// How many names of columns that are left out an answer lists.
pub(super) const IGNORED_MAX: usize = 100;

/// Memory that a row takes beside its texts, about.
const ROW_BYTES: u64 = 128;
/// Memory that a refused row takes beside its texts, about.
const REFUSED_BYTES: u64 = 256;

/// Memory that a row of a dataset takes beside its texts, about: it may have many columns.
pub(super) fn row_bytes(plan: &Plan) -> u64 {
    const VALUE_BYTES: u64 = 9;
    ROW_BYTES.max(ROW_BYTES / 2 + VALUE_BYTES * plan.schema.columns.len() as u64)
}

/// A value of a column, as it is kept.
pub(crate) enum Value {
    /// A double.
    F64(Option<f64>),
    /// A whole number, a flag or an instant.
    I64(Option<i64>),
    /// A text.
    Text(Option<String>),
}

/// What a cell says as a value of a column.
pub(crate) fn value(cell: Cell<'_>, column: &ColumnDef) -> Result<Value, Fault> {
    let name = column.name;
    Ok(match column.holds {
        ValueType::F64 => Value::F64(cell.f64(name)?),
        ValueType::I64 => Value::I64(cell.i64(name)?),
        ValueType::Bool => Value::I64(cell.bool(name)?),
        ValueType::Text => Value::Text(cell.code(name)?.map(str::to_owned)),
        ValueType::Timestamp => {
            Value::I64(cell.instant(name, true)?.map(barrow_types::Timestamp::nanos))
        }
    })
}

/// Puts rows together that come one by one.
pub(crate) struct Builder<'a> {
    plan: &'a Plan,
    places: HashMap<String, u32>,
    names: Vec<String>,
    of_row: Vec<u32>,
    ts: Column,
    known_at: Column,
    any_known_at: bool,
    columns: Vec<Column>,
    numbers: Vec<u64>,
    raw: Texts,
    refused: Vec<Refused>,
    ignored: Vec<String>,
    bytes: u64,
}

struct Read<'c> {
    symbol: Option<&'c str>,
    ts: Option<i64>,
    known_at: Option<i64>,
    values: Vec<Value>,
}

impl<'a> Builder<'a> {
    /// No rows.
    pub(crate) fn new(plan: &'a Plan) -> Self {
        let mut builder = Self {
            plan,
            places: HashMap::new(),
            names: Vec::new(),
            of_row: Vec::new(),
            ts: Column::empty(ColumnType::I64, 0),
            known_at: Column::empty(ColumnType::I64, 0),
            any_known_at: false,
            columns: plan.schema.kinds().map(|kind| Column::empty(kind, 0)).collect(),
            numbers: Vec::new(),
            raw: Texts::new(),
            refused: Vec::new(),
            ignored: Vec::new(),
            bytes: 0,
        };
        if let Some(symbol) = &plan.symbol {
            builder.place(symbol);
        }
        builder
    }

    /// The same, leaving out columns of these names.
    pub(crate) fn ignore(&mut self, names: Vec<String>) {
        self.ignored = names;
    }

    /// Adds the row number `index` of the body, which is written `raw`.
    ///
    /// # Errors
    /// The rows take too much memory.
    pub(crate) fn push(
        &mut self,
        index: u64,
        cells: &[(Role, Cell<'_>)],
        raw: &str,
    ) -> Result<(), Problem> {
        let text_of = |wanted: Role| {
            let found = cells.iter().find(|(role, _)| *role == wanted);
            found.and_then(|(role, cell)| cell.text(role.name()).ok().flatten())
        };
        let line = cells.iter().find(|(role, _)| *role == Role::Line);
        let line = line.and_then(|(role, cell)| cell.i64(role.name()).ok().flatten());
        let number = line.and_then(|line| u64::try_from(line).ok()).unwrap_or(index);
        let raw = text_of(Role::Raw).unwrap_or(raw);
        let (reason, detail) = match (text_of(Role::Reject), read(cells, self.plan)) {
            (None, Ok(row)) => return self.add(number, row, raw),
            (Some(reject), _) => rejection(reject),
            (None, Err(fault)) => (fault.reason.to_owned(), fault.detail),
        };
        let key = key(cells, self.plan);
        self.refuse(Refused { row: number, reason, detail, raw: raw.to_owned(), key })
    }

    /// Adds a row of which nothing could be read.
    ///
    /// # Errors
    /// The rows take too much memory.
    pub(crate) fn refuse_row(&mut self, row: u64, fault: Fault, raw: &str) -> Result<(), Problem> {
        let (reason, raw) = (fault.reason.to_owned(), raw.to_owned());
        self.refuse(Refused { row, reason, detail: fault.detail, raw, key: None })
    }

    fn refuse(&mut self, refused: Refused) -> Result<(), Problem> {
        let symbol_len = refused.key.as_ref().map_or(0, |(symbol, _)| symbol.len());
        let texts_len = refused.raw.len() + refused.detail.len() + symbol_len;
        self.take_memory(REFUSED_BYTES + texts_len as u64)?;
        self.refused.push(refused);
        Ok(())
    }

    fn add(&mut self, number: u64, row: Read<'_>, raw: &str) -> Result<(), Problem> {
        self.take_memory(row_bytes(self.plan) + raw.len() as u64)?;
        let symbol = match (row.symbol, &self.plan.symbol) {
            (Some(symbol), _) => self.place(symbol),
            (None, Some(_)) => 0,
            (None, None) => Symbols::NONE,
        };
        self.of_row.push(symbol);
        push(&mut self.ts, Value::I64(row.ts));
        self.any_known_at |= row.known_at.is_some();
        push(&mut self.known_at, Value::I64(row.known_at));
        for (column, value) in self.columns.iter_mut().zip(row.values) {
            push(column, value);
        }
        self.numbers.push(number);
        self.raw.push(raw);
        Ok(())
    }

    fn place(&mut self, name: &str) -> u32 {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = u32::try_from(self.names.len()).expect("invariant: memory is bounded");
        self.bytes += ROW_BYTES + name.len() as u64;
        self.names.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        place
    }

    fn take_memory(&mut self, bytes: u64) -> Result<(), Problem> {
        self.bytes += bytes;
        within(self.bytes, self.plan)
    }

    /// The rows.
    pub(crate) fn finish(self) -> Incoming {
        Incoming {
            symbols: Symbols { names: self.names, of_row: self.of_row },
            ts: self.ts,
            known_at: self.any_known_at.then_some(self.known_at),
            columns: self.columns,
            numbers: self.numbers,
            raw: Some(Column::new(Values::Text(self.raw))),
            refused: self.refused,
            ignored: self.ignored,
        }
    }
}

/// Refuses rows that take more memory than a decoded body may.
pub(crate) fn within(bytes: u64, plan: &Plan) -> Result<(), Problem> {
    if bytes <= plan.decoded_bytes_max {
        return Ok(());
    }
    let detail = format!(
        "the rows of the body take more than {} bytes ([http] body_decoded_bytes_max); send them \
         in several requests",
        plan.decoded_bytes_max
    );
    Err(Problem::new(Code::TooLarge, detail).about("body"))
}

/// Symbol and `ts` of a row that is turned away, where both can be read.
fn key(cells: &[(Role, Cell<'_>)], plan: &Plan) -> Option<(String, i64)> {
    let cell = |wanted: Role| cells.iter().find(|(role, _)| *role == wanted).map(|(_, cell)| *cell);
    let symbol = match &plan.symbol {
        Some(symbol) => symbol,
        None => cell(Role::Symbol)?.text(Role::Symbol.name()).ok()??,
    };
    let ts = open(cell(Role::Ts)?, plan).ok()??;
    Symbol::new(symbol).ok().map(|_| (symbol.to_owned(), ts))
}

/// The `ts` that a row is stored under.
fn open(cell: Cell<'_>, plan: &Plan) -> Result<Option<i64>, Fault> {
    let ts = cell.instant(Role::Ts.name(), plan.takes_dates())?;
    let open = ts.map(|ts| open_of(ts, plan.step, plan.stamped_at_end)).transpose()?;
    Ok(open.map(barrow_types::Timestamp::nanos))
}

fn read<'c>(cells: &[(Role, Cell<'c>)], plan: &Plan) -> Result<Read<'c>, Fault> {
    let values = plan.schema.kinds().map(|kind| match kind {
        ColumnType::F64 => Value::F64(None),
        ColumnType::I64 => Value::I64(None),
        ColumnType::Text => Value::Text(None),
    });
    let mut row = Read { symbol: None, ts: None, known_at: None, values: values.collect() };
    for &(role, cell) in cells {
        let name = role.name();
        match role {
            Role::Symbol => row.symbol = cell.text(name)?,
            Role::Ts => row.ts = open(cell, plan)?,
            Role::KnownAt => {
                row.known_at = cell.instant(name, false)?.map(barrow_types::Timestamp::nanos);
            }
            Role::User(place, column) => {
                row.values[place] = value(cell, column)?;
            }
            Role::Raw | Role::Reject | Role::Line | Role::Ignored => {}
        }
    }
    Ok(row)
}

/// Adds a value at the end.
pub(crate) fn push(column: &mut Column, value: Value) {
    let valid = match (&mut column.values, value) {
        (Values::F64(to), Value::F64(Some(value))) => {
            to.push(value);
            true
        }
        (Values::I64(to), Value::I64(Some(value))) => {
            to.push(value);
            true
        }
        (Values::Text(to), Value::Text(Some(value))) => {
            to.push(&value);
            true
        }
        _ => false,
    };
    if !valid {
        column.push_null();
    } else if let Some(bits) = &mut column.validity {
        bits.push(true);
    }
}

/// A bitmap of the rows for which `valid` holds; `None` if they all do.
pub(crate) fn validity(len: usize, valid: impl Fn(usize) -> bool) -> Option<Bitmap> {
    let bits: Bitmap = (0..len).map(valid).collect();
    (bits.count() < len).then_some(bits)
}
