//! Rows out of Arrow record batches, a column at a time.

use std::collections::BTreeMap;
use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Field, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Schema, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow::util::display::array_value_to_string;
use barrow_engine::batch::{Refused, Symbols};
use barrow_engine::dataset::ValueType;
use barrow_engine::rows::{Column, ColumnType, Texts, Values};
use barrow_types::{Symbol, Timestamp};

use super::super::error::{Code, Problem};
use super::super::time;
use super::cells::{Cell, EXACT_MAX, Fault, open_of, whole};
use super::rows::{Incoming, Role, rejection, roles, row_bytes, validity, within};
use super::{Plan, unreadable};

/// What the columns of `schema` are.
///
/// # Errors
/// They are not those of the dataset, or of other types.
pub(super) fn roles_of(schema: &Schema, plan: &Plan) -> Result<(Vec<Role>, Vec<String>), Problem> {
    let (roles, ignored) = roles(schema.fields().iter().map(|field| field.name().as_str()), plan)?;
    for (role, field) in roles.iter().zip(schema.fields()) {
        check_type(*role, field)?;
    }
    Ok((roles, ignored))
}

/// Refuses a column whose type is not taken.
fn check_type(role: Role, field: &Field) -> Result<(), Problem> {
    let kind = match field.data_type() {
        DataType::Dictionary(_, values) => values,
        kind => kind,
    };
    let is_text = matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let is_null = *kind == DataType::Null;
    let is_time = matches!(kind, DataType::Timestamp(..));
    let is_number = kind.is_integer()
        || matches!(kind, DataType::Float64 | DataType::Float32 | DataType::Decimal128(..));
    let is_instant = is_time || is_text || matches!(kind, DataType::Int64 | DataType::Date32);
    let (fine, expected) = match role {
        Role::Symbol => (is_text, "text"),
        Role::Ts => (is_instant, "timestamp, int64 nanoseconds or text"),
        Role::KnownAt => {
            let fine = is_time || is_text || is_null || *kind == DataType::Int64;
            (fine, "timestamp, int64 nanoseconds or text")
        }
        Role::User(_, column) => match column.holds {
            ValueType::Text => (is_text || is_null || kind.is_integer(), "text"),
            ValueType::F64 | ValueType::I64 => (is_number || is_null, "a number"),
            ValueType::Bool => {
                let fine = *kind == DataType::Boolean || is_text || kind.is_integer() || is_null;
                (fine, "true or false")
            }
            ValueType::Timestamp => {
                (is_instant || is_null, "timestamp, int64 nanoseconds, date or text")
            }
        },
        // It is read with the others, and so it must be as flat as they are.
        Role::Ignored => (!kind.is_nested(), "a column of single values"),
        Role::Raw | Role::Reject => (is_text || is_null, "text"),
        Role::Line => (kind.is_integer() || is_null, "a whole number"),
    };
    if fine {
        return Ok(());
    }
    let name = field.name();
    let detail = format!("{name}: is {kind}, not {expected}");
    Err(Problem::new(Code::InvalidBody, detail).about(name))
}

/// Rows that are refused, by their place in the batch; the first fault of a row counts.
type Faults = BTreeMap<usize, Fault>;

/// The rows of the record batches so far.
pub(super) struct Rows<'p> {
    plan: &'p Plan,
    places: HashMap<String, u32>,
    pub(super) all: Incoming,
    index: u64,
    bytes: u64,
}

impl<'p> Rows<'p> {
    /// None yet.
    pub(super) fn new(plan: &'p Plan) -> Self {
        let all = Incoming {
            symbols: Symbols { names: plan.symbol.iter().cloned().collect(), of_row: Vec::new() },
            ts: Column::empty(ColumnType::I64, 0),
            known_at: None,
            columns: plan.schema.kinds().map(|kind| Column::empty(kind, 0)).collect(),
            numbers: Vec::new(),
            raw: None,
            refused: Vec::new(),
            ignored: Vec::new(),
        };
        Self { plan, places: HashMap::new(), all, index: 0, bytes: 0 }
    }

    /// Adds the rows of `batch`, whose columns are `roles`.
    ///
    /// # Errors
    /// The rows take too much memory.
    pub(super) fn add(&mut self, batch: &RecordBatch, roles: &[Role]) -> Result<(), Problem> {
        let len = batch.num_rows();
        self.bytes += len as u64 * row_bytes(self.plan);
        self.bytes += batch.columns().iter().map(expanded_len).sum::<u64>();
        within(self.bytes, self.plan)?;
        let column = |wanted: Role| {
            let at = roles.iter().position(|role| *role == wanted);
            at.map(|at| flat(batch.column(at))).transpose()
        };
        let mut faults = Faults::new();
        let reject = column(Role::Reject)?.as_ref().map(texts);
        let ts = column(Role::Ts)?.expect("invariant: roles() has seen to it");
        let ts = opens(&ts, self.plan, &mut faults);
        let untimed: Vec<usize> = faults.keys().copied().collect();
        let known_at =
            column(Role::KnownAt)?.map(|array| instants(Role::KnownAt, &array, false, &mut faults));
        let mut user = Vec::with_capacity(self.plan.schema.columns.len());
        for (place, definition) in self.plan.schema.columns.iter().enumerate() {
            let role = Role::User(place, definition);
            user.push(match column(role)? {
                Some(array) => values(role, definition.holds, &array, &mut faults),
                None => Column::nulls(definition.kind(), len),
            });
        }
        let symbols = column(Role::Symbol)?;
        let raw = column(Role::Raw)?.as_ref().map(texts);
        let lines = column(Role::Line)?;
        let lines = lines.map(|array| numbers(Role::Line, ColumnType::I64, &array, &mut faults));
        let row_numbers: Vec<u64> =
            (0..len).map(|at| line(lines.as_ref(), at).unwrap_or(self.index + at as u64)).collect();
        self.index += len as u64;

        let names = symbols.as_ref().map(texts);
        let mut good: Vec<u32> = Vec::with_capacity(len);
        for (at, &number) in row_numbers.iter().enumerate() {
            let rejected = reject.as_ref().and_then(|texts| text_at(texts, at));
            if rejected.is_none() && !faults.contains_key(&at) {
                good.push(u32::try_from(at).map_err(|_| unreadable("a record batch is too long"))?);
                continue;
            }
            let shown = raw.as_ref().and_then(|texts| text_at(texts, at)).map(str::to_owned);
            let shown = shown.unwrap_or_else(|| render(batch, at));
            let (reason, detail) = match (rejected, faults.remove(&at)) {
                (Some(reject), _) => rejection(reject),
                (None, Some(fault)) => (fault.reason.to_owned(), fault.detail),
                (None, None) => unreachable!("invariant: one of the two holds"),
            };
            let symbol = match &names {
                Some(names) => text_at(names, at),
                None => self.plan.symbol.as_deref(),
            };
            let symbol = symbol.filter(|name| Symbol::new(name).is_ok());
            let ts = integer_at(&ts, at).filter(|_| untimed.binary_search(&at).is_err());
            let key = symbol.zip(ts).map(|(symbol, ts)| (symbol.to_owned(), ts));
            self.bytes += 256 + (shown.len() + symbol.map_or(0, str::len)) as u64;
            self.all.refused.push(Refused { row: number, reason, detail, raw: shown, key });
        }
        within(self.bytes, self.plan)?;
        self.add_symbols(names.as_ref(), &good);
        let before = self.all.ts.len();
        self.all.ts.extend_from(&ts.take(&good));
        extend_optional(&mut self.all.known_at, known_at.map(|c| c.take(&good)), before);
        for (to, from) in self.all.columns.iter_mut().zip(&user) {
            to.extend_from(&from.take(&good));
        }
        extend_optional(&mut self.all.raw, raw.map(|column| column.take(&good)), before);
        self.all.numbers.extend(good.iter().map(|at| row_numbers[*at as usize]));
        Ok(())
    }

    fn add_symbols(&mut self, names: Option<&Column>, good: &[u32]) {
        let Some(names) = names else {
            self.all.symbols.of_row.resize(self.all.symbols.of_row.len() + good.len(), 0);
            return;
        };
        for &at in good {
            let place = match text_at(names, at as usize) {
                None => Symbols::NONE,
                Some(name) => match self.places.get(name) {
                    Some(place) => *place,
                    None => {
                        let place = u32::try_from(self.all.symbols.names.len())
                            .expect("invariant: memory is bounded");
                        self.all.symbols.names.push(name.to_owned());
                        self.places.insert(name.to_owned(), place);
                        place
                    }
                },
            };
            self.all.symbols.of_row.push(place);
        }
    }
}

/// What texts that share bytes (of a dictionary, or as views) take when each stands for itself.
fn expanded_len(array: &ArrayRef) -> u64 {
    match array.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let lens = text_lens(dictionary.values());
            if lens.is_empty() {
                return 0;
            }
            dictionary.normalized_keys().into_iter().map(|key| lens[key]).sum()
        }
        DataType::Utf8View => text_lens(array).into_iter().sum(),
        _ => 0,
    }
}

/// The length of each text; nothing for columns of another type.
fn text_lens(array: &ArrayRef) -> Vec<u64> {
    fn lens<'t>(texts: impl Iterator<Item = Option<&'t str>>) -> Vec<u64> {
        texts.map(|text| text.map_or(0, |text| text.len() as u64)).collect()
    }
    match array.data_type() {
        DataType::Utf8 => lens(array.as_string::<i32>().iter()),
        DataType::LargeUtf8 => lens(array.as_string::<i64>().iter()),
        DataType::Utf8View => lens(array.as_string_view().iter()),
        _ => Vec::new(),
    }
}

/// The column without a dictionary.
fn flat(array: &ArrayRef) -> Result<ArrayRef, Problem> {
    match array.data_type() {
        DataType::Dictionary(_, values) => cast(array, values).map_err(unreadable),
        DataType::Utf8View | DataType::LargeUtf8 => {
            cast(array, &DataType::Utf8).map_err(unreadable)
        }
        _ => Ok(std::sync::Arc::clone(array)),
    }
}

/// The texts of a column, and the digits of one of whole numbers; no text where it is of type null.
fn texts(array: &ArrayRef) -> Column {
    let flat = if array.data_type().is_integer() {
        cast(array, &DataType::Utf8).map_err(unreadable)
    } else {
        flat(array)
    };
    let array = flat.unwrap_or_else(|_| std::sync::Arc::clone(array));
    let len = array.len();
    let Some(strings) = array.as_string_opt::<i32>() else {
        return Column::nulls(ColumnType::Text, len);
    };
    let mut texts = Texts::new();
    for text in strings {
        texts.push(text.unwrap_or_default());
    }
    Column { values: Values::Text(texts), validity: validity(len, |at| strings.is_valid(at)) }
}

fn text_at(column: &Column, at: usize) -> Option<&str> {
    match &column.values {
        Values::Text(texts) if column.is_valid(at) => Some(texts.get(at)),
        _ => None,
    }
}

fn integer_at(column: &Column, at: usize) -> Option<i64> {
    match &column.values {
        Values::I64(values) if column.is_valid(at) => Some(values[at]),
        _ => None,
    }
}

fn line(lines: Option<&Column>, at: usize) -> Option<u64> {
    u64::try_from(integer_at(lines?, at)?).ok()
}

fn extend_optional(to: &mut Option<Column>, from: Option<Column>, before: usize) {
    if let Some(from) = from {
        to.get_or_insert_with(|| Column::nulls(from.kind(), before)).extend_from(&from);
    }
}

/// A row as `name=value` texts, for the dead letters.
fn render(batch: &RecordBatch, at: usize) -> String {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let cells =
        columns.map(|(field, array)| format!("{}={}", field.name(), render_cell(array, at)));
    cells.collect::<Vec<_>>().join(",")
}

fn render_cell(array: &ArrayRef, at: usize) -> String {
    if !matches!(array.data_type(), DataType::Timestamp(..)) {
        return array_value_to_string(array, at).unwrap_or_default();
    }
    // Arrow shows instants of a named zone only with its own zone table.
    let one = instants(Role::Ts, &array.slice(at, 1), false, &mut Faults::new());
    let mut text = Vec::new();
    if let Values::I64(values) = &one.values
        && one.is_valid(0)
    {
        time::Zone::Utc.write(Timestamp::from_nanos(values[0]), &mut text);
    }
    String::from_utf8(text).expect("invariant: times are ASCII")
}

fn opens(array: &ArrayRef, plan: &Plan, faults: &mut Faults) -> Column {
    let mut column = instants(Role::Ts, array, plan.takes_dates(), faults);
    if !plan.stamped_at_end && !plan.step.is_dated() {
        return column;
    }
    let valid = column.validity.clone();
    if let Values::I64(values) = &mut column.values {
        for (at, value) in values.iter_mut().enumerate() {
            if valid.as_ref().is_some_and(|bits| !bits.get(at)) || faults.contains_key(&at) {
                continue;
            }
            match open_of(Timestamp::from_nanos(*value), plan.step, plan.stamped_at_end) {
                Ok(open) => *value = open.nanos(),
                Err(fault) => {
                    faults.insert(at, fault);
                }
            }
        }
    }
    column
}

/// The instants of a column, as nanoseconds.
fn instants(role: Role, array: &ArrayRef, dates: bool, faults: &mut Faults) -> Column {
    let name = role.name();
    let bad = |fault: String| Fault::new("bad_time", name, fault);
    let scaled = |value: i64, unit: i64| {
        value.checked_mul(unit).ok_or_else(|| bad("is outside 1677-09-21 to 2262-04-11".into()))
    };
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            each::<TimestampSecondType>(array, faults, |value| scaled(value, 1_000_000_000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            each::<TimestampMillisecondType>(array, faults, |value| scaled(value, 1_000_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            each::<TimestampMicrosecondType>(array, faults, |value| scaled(value, 1_000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            each::<TimestampNanosecondType>(array, faults, Ok)
        }
        DataType::Int64 => each::<Int64Type>(array, faults, |value| {
            time::from_integer(value).map(Timestamp::nanos).map_err(bad)
        }),
        DataType::Date32 => each::<arrow::datatypes::Date32Type>(array, faults, |day| {
            if dates {
                scaled(day.into(), barrow_types::DAY_NANOS)
            } else {
                Err(bad("is a date; bars of this step need a time".into()))
            }
        }),
        _ => {
            let texts = texts(array);
            let read = |at| {
                let cell = text_at(&texts, at).map_or(Cell::Null, Cell::Text);
                cell.instant(name, dates).map(|time| time.map(Timestamp::nanos))
            };
            collect(array.len(), faults, read)
        }
    }
}

/// Each value of a primitive column, turned into a whole number by `convert`.
fn each<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    faults: &mut Faults,
    convert: impl Fn(T::Native) -> Result<i64, Fault>,
) -> Column {
    let array = array.as_primitive::<T>();
    collect(array.len(), faults, |at| {
        if array.is_valid(at) { convert(array.value(at)).map(Some) } else { Ok(None) }
    })
}

fn collect(
    len: usize,
    faults: &mut Faults,
    read: impl Fn(usize) -> Result<Option<i64>, Fault>,
) -> Column {
    let mut values = Vec::with_capacity(len);
    let mut missing = Vec::new();
    for at in 0..len {
        match read(at) {
            Ok(Some(value)) => values.push(value),
            Ok(None) => {
                missing.push(at);
                values.push(0);
            }
            Err(fault) => {
                faults.entry(at).or_insert(fault);
                values.push(0);
            }
        }
    }
    let validity = match missing.is_empty() {
        true => None,
        false => validity(len, |at| missing.binary_search(&at).is_err()),
    };
    Column { values: Values::I64(values), validity }
}

/// The values of a column, as the schema's type where nothing is lost.
fn values(role: Role, holds: ValueType, array: &ArrayRef, faults: &mut Faults) -> Column {
    match holds {
        ValueType::Bool => flags(role, array, faults),
        ValueType::Timestamp if *array.data_type() != DataType::Null => {
            instants(role, array, true, faults)
        }
        _ => numbers(role, holds.kind(), array, faults),
    }
}

/// True as 1, false as 0.
fn flags(role: Role, array: &ArrayRef, faults: &mut Faults) -> Column {
    if let Some(array) = array.as_boolean_opt() {
        let read = |at| Ok(array.is_valid(at).then(|| array.value(at).into()));
        return collect(array.len(), faults, read);
    }
    let texts = texts(array);
    let read = |at| text_at(&texts, at).map_or(Cell::Null, Cell::Text).bool(role.name());
    collect(array.len(), faults, read)
}

/// The numbers of a column, as the schema's type where nothing is lost.
fn numbers(role: Role, to: ColumnType, array: &ArrayRef, faults: &mut Faults) -> Column {
    if to == ColumnType::Text {
        return texts(array);
    }
    let name = role.name();
    macro_rules! integers {
        ($kind:ty) => {{
            let read = |value: <$kind as ArrowPrimitiveType>::Native| {
                i64::try_from(value)
                    .map_err(|_| Fault::new("not_exact", name, format!("{value} is too large")))
            };
            each::<$kind>(array, faults, read)
        }};
    }
    let whole_numbers = match array.data_type() {
        DataType::Int8 => integers!(Int8Type),
        DataType::Int16 => integers!(Int16Type),
        DataType::Int32 => integers!(Int32Type),
        DataType::Int64 => integers!(Int64Type),
        DataType::UInt8 => integers!(UInt8Type),
        DataType::UInt16 => integers!(UInt16Type),
        DataType::UInt32 => integers!(UInt32Type),
        DataType::UInt64 => integers!(UInt64Type),
        DataType::Float64 => {
            let array = array.as_primitive::<Float64Type>();
            return doubles(name, to, array.len(), faults, |at| {
                array.is_valid(at).then(|| array.value(at))
            });
        }
        DataType::Float32 => {
            let array = array.as_primitive::<Float32Type>();
            return doubles(name, to, array.len(), faults, |at| {
                array.is_valid(at).then(|| f64::from(array.value(at)))
            });
        }
        DataType::Decimal128(..) => {
            let array = array.as_primitive::<Decimal128Type>();
            return doubles(name, to, array.len(), faults, |at| {
                // The decimal text of a decimal is a number; the nearest double is taken.
                array.is_valid(at).then(|| array.value_as_string(at).parse().unwrap_or(f64::NAN))
            });
        }
        _ => return Column::nulls(to, array.len()),
    };
    if to == ColumnType::I64 { whole_numbers } else { exact_doubles(name, whole_numbers, faults) }
}

fn doubles(
    name: &'static str,
    to: ColumnType,
    len: usize,
    faults: &mut Faults,
    read: impl Fn(usize) -> Option<f64>,
) -> Column {
    if to == ColumnType::F64 {
        let values = (0..len).map(|at| read(at).unwrap_or_default()).collect();
        return Column {
            values: Values::F64(values),
            validity: validity(len, |at| read(at).is_some()),
        };
    }
    collect(len, faults, |at| match read(at) {
        None => Ok(None),
        Some(value) => whole(value)
            .map(Some)
            .ok_or_else(|| Fault::new("not_a_number", name, format!("{value} is no whole number"))),
    })
}

/// Whole numbers as doubles; one that no double holds is refused.
fn exact_doubles(name: &'static str, whole: Column, faults: &mut Faults) -> Column {
    let Values::I64(values) = whole.values else {
        unreachable!("invariant: collect() makes whole numbers")
    };
    let mut doubles = Vec::with_capacity(values.len());
    for (at, value) in values.into_iter().enumerate() {
        if !(-EXACT_MAX..=EXACT_MAX).contains(&value) {
            let fault = Fault::new("not_exact", name, format!("no double is {value}"));
            faults.entry(at).or_insert(fault);
        }
        #[expect(clippy::cast_precision_loss, reason = "larger ones were refused just now")]
        doubles.push(value as f64);
    }
    Column { values: Values::F64(doubles), validity: whole.validity }
}
