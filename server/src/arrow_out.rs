//! Rows become Arrow: times `timestamp[ns, UTC]`, names `dictionary<int32, utf8>`, numbers f64 and
//! i64, flags bool. Buffers of values move; none is copied but where the type differs.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, DictionaryArray, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, TimeUnit};
use arrow::error::ArrowError;
use barrow_engine::State;
use barrow_engine::gaps::Reason;
use barrow_engine::rows::{Bitmap, Column, Values, flags};
use barrow_types::{PriceSide, Step, Timestamp};

use crate::http::columns::{Layout, Out, OutType, PerRow, Piece};
use crate::http::slots::{DqStatus, NO_SOURCE as NO_NAME, Slots};

/// Turns pieces of one answer into record batches of one schema and the same dictionaries.
pub(crate) struct ArrowOut {
    schema: Arc<Schema>,
    columns: Vec<(Out, Option<usize>)>,
    symbols: ArrayRef,
    sources: ArrayRef,
    timeframes: ArrayRef,
    prices: ArrayRef,
    states: ArrayRef,
    statuses: ArrayRef,
    reasons: ArrayRef,
    instruments: ArrayRef,
    versions: ArrayRef,
}

fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(names))
}

impl ArrowOut {
    /// For an answer of that layout.
    pub(crate) fn new(layout: &Layout) -> Self {
        let fields: Vec<Field> = layout
            .columns
            .iter()
            .map(|column| {
                let kind = data_type(column.kind());
                Field::new(layout.name(*column), kind, column.is_nullable(layout.hollow))
            })
            .collect();
        Self {
            schema: Arc::new(Schema::new(fields)),
            columns: layout.columns.iter().copied().zip(layout.places()).collect(),
            symbols: names(layout.symbols.iter().map(String::as_str)),
            sources: names(layout.sources.iter().map(String::as_str)),
            timeframes: names(Step::ALL.iter().map(|step| step.name())),
            prices: names(PriceSide::ALL.iter().map(|side| side.name())),
            states: names(State::ALL.iter().map(|state| state.name())),
            statuses: names(DqStatus::ALL.iter().map(|status| status.name())),
            reasons: names(Reason::ALL.iter().map(|reason| reason.name())),
            instruments: names(layout.instruments.iter().map(String::as_str)),
            versions: names([layout.version.as_str()]),
        }
    }

    /// The schema of every batch.
    pub(crate) fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The rows of `piece` as a record batch.
    ///
    /// # Errors
    /// The piece does not fit the layout; that would be a fault of ours.
    pub(crate) fn batch(&self, piece: Piece) -> Result<RecordBatch, ArrowError> {
        let Piece { symbol, source, step, side, mut rows, slots, features } = piece;
        let len = rows.len();
        let mut slots = slots.unwrap_or_default();
        let features = features.unwrap_or_default();
        let is_curated = !slots.reason.is_empty();
        let gaps = gaps(&slots);
        // Empty slots are slots; what rows of a join lack is the slot itself.
        let absent = if features.asked.is_empty() { None } else { gaps.clone() };
        let flagged = |all: &[u8], flag: u8| {
            let bits = BooleanBuffer::collect_bool(len, |at| all[at] & flag != 0);
            Arc::new(BooleanArray::new(bits, gaps.clone()))
        };
        let flag = |of: &dyn Fn(usize) -> bool| {
            Arc::new(BooleanArray::new(BooleanBuffer::collect_bool(len, of), None))
        };
        let is_end = |column: &Out| matches!(column, Out::TsEnd | Out::AvailableAt);
        let ends = if !is_curated && self.columns.iter().any(|(column, _)| is_end(column)) {
            times(step_ends(step, &rows.ts))
        } else {
            times(Vec::new())
        };
        let mut user: Vec<Option<Column>> = rows.columns.into_iter().map(Some).collect();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for &(column, place) in &self.columns {
            arrays.push(match column {
                Out::Symbol => dictionary(PerRow::One(symbol), len, &self.symbols)?,
                Out::Source => dictionary(source.clone(), len, &self.sources)?,
                Out::Timeframe => {
                    dictionary(PerRow::One(step.code().into()), len, &self.timeframes)?
                }
                Out::Price => dictionary(side.clone(), len, &self.prices)?,
                Out::State => {
                    let place = |state: &Option<State>| state.map_or(NO_NAME, State::place);
                    let places = slots.state.iter().map(place).collect();
                    dictionary(PerRow::Each(places), len, &self.states)?
                }
                Out::DqStatus => {
                    let places = slots.dq_status.iter().map(|status| status.place()).collect();
                    dictionary(PerRow::Each(places), len, &self.statuses)?
                }
                Out::Reason => {
                    let places = slots.reason.iter().map(|&code| code.into()).collect();
                    dictionary(PerRow::Each(places), len, &self.reasons)?
                }
                Out::InstrumentId => {
                    dictionary(PerRow::One(slots.instrument), len, &self.instruments)?
                }
                Out::Session => {
                    let dates = std::mem::take(&mut slots.session);
                    Arc::new(Date32Array::new(dates.into(), absent.clone()))
                }
                Out::Stale => flag(&|_| false),
                Out::IsGap => flag(&|at| slots.is_gap(at)),
                Out::IsFilled => flag(&|at| slots.is_filled[at]),
                Out::Coverage => Arc::new(Float64Array::from(std::mem::take(&mut slots.coverage))),
                Out::Asked => times(features.asked.clone()),
                Out::Ts => times_or_null(std::mem::take(&mut rows.ts), absent.clone()),
                Out::TsEnd if is_curated => {
                    times_or_null(std::mem::take(&mut slots.ts_end), absent.clone())
                }
                Out::AvailableAt if is_curated => {
                    times_or_null(std::mem::take(&mut slots.available_at), absent.clone())
                }
                Out::TsEnd | Out::AvailableAt => Arc::clone(&ends),
                Out::KnownAt => times_or_null(std::mem::take(&mut rows.known_at), gaps.clone()),
                Out::Assumed => flagged(&rows.flags, flags::ASSUMED),
                Out::Retracted => flagged(&rows.flags, flags::RETRACT),
                Out::Sequence => {
                    let numbers: Vec<i64> = rows.sequence.iter().map(|n| n.cast_signed()).collect();
                    Arc::new(Int64Array::new(numbers.into(), gaps.clone()))
                }
                Out::Version => dictionary(PerRow::One(0), len, &self.versions)?,
                Out::FeatureReason(place) => {
                    let places = features.reasons[place].iter().map(|&code| code.into());
                    dictionary(PerRow::Each(places.collect()), len, &self.reasons)?
                }
                Out::Provisional => flag(&|at| features.provisional[at]),
                Out::Age => Arc::new(Float64Array::from(features.age.clone())),
                Out::User(..) | Out::Feature(_) => {
                    let found = place.and_then(|at| user.get_mut(at)).and_then(Option::take);
                    let found = found.expect("invariant: a piece brings the columns of its layout");
                    values(column.kind(), found)
                }
            });
        }
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
    }
}

fn data_type(kind: OutType) -> DataType {
    match kind {
        OutType::Name => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        OutType::Timestamp => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        OutType::F64 => DataType::Float64,
        OutType::I64 => DataType::Int64,
        OutType::Text => DataType::Utf8,
        OutType::Bool => DataType::Boolean,
        OutType::Date => DataType::Date32,
    }
}

fn times(nanos: Vec<i64>) -> ArrayRef {
    times_or_null(nanos, None)
}

fn times_or_null(nanos: Vec<i64>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::new(nanos.into(), nulls).with_timezone("UTC"))
}

/// Where rows say nothing because their slots are empty; `None` if none is.
fn gaps(slots: &Slots) -> Option<NullBuffer> {
    let is_row = |at| !slots.is_gap(at);
    let any = (0..slots.reason.len()).any(|at| !is_row(at));
    any.then(|| NullBuffer::new(BooleanBuffer::collect_bool(slots.reason.len(), is_row)))
}

fn step_ends(step: Step, ts: &[i64]) -> Vec<i64> {
    ts.iter().map(|&ts| step.ts_end(Timestamp::from_nanos(ts)).nanos()).collect()
}

fn dictionary(of: PerRow, len: usize, names: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let key = |place: u32| place.cast_signed();
    let keys = match of {
        PerRow::One(place) => vec![key(place); len],
        PerRow::Each(places) => places.into_iter().map(key).collect(),
    };
    let is_name = |at: usize| keys[at] != key(NO_NAME);
    let any_null = (0..len).any(|at| !is_name(at));
    let nulls = any_null.then(|| NullBuffer::new(BooleanBuffer::collect_bool(len, is_name)));
    let keys = Int32Array::new(ScalarBuffer::from(keys), nulls);
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::clone(names))?))
}

fn values(holds: OutType, column: Column) -> ArrayRef {
    let nulls = column.validity.map(nulls);
    match column.values {
        Values::F64(values) => Arc::new(Float64Array::new(values.into(), nulls)),
        Values::I64(values) => match holds {
            OutType::Bool => {
                let bits = BooleanBuffer::collect_bool(values.len(), |at| values[at] != 0);
                Arc::new(BooleanArray::new(bits, nulls))
            }
            OutType::Timestamp => times_or_null(values, nulls),
            _ => Arc::new(Int64Array::new(values.into(), nulls)),
        },
        Values::Text(texts) => {
            let valid = |at| nulls.as_ref().is_none_or(|nulls: &NullBuffer| nulls.is_valid(at));
            let texts = texts.iter().enumerate().map(|(at, text)| valid(at).then_some(text));
            Arc::new(StringArray::from_iter(texts))
        }
    }
}

fn nulls(bits: Bitmap) -> NullBuffer {
    let len = bits.len();
    NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(bits.into_bytes()), 0, len))
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::{Float64Type, TimestampNanosecondType};
    use barrow_engine::dataset::BARS;
    use barrow_engine::rows::Rows;

    use crate::http::columns::Hollow;

    use super::*;

    fn piece() -> Piece {
        let mut volume = Column::new(Values::F64(vec![5.0]));
        volume.push_null();
        let rows = Rows {
            ts: vec![-60_000_000_000, 0],
            sequence: vec![7, 8],
            known_at: vec![10, 20],
            flags: vec![flags::ASSUMED, flags::RETRACT],
            columns: vec![Column::new(Values::F64(vec![1.5, -0.0])), volume],
        };
        Piece {
            symbol: 1,
            source: PerRow::Each(vec![1, 0]),
            step: Step::M1,
            side: PerRow::One(PriceSide::Bid.code().into()),
            rows,
            slots: None,
            features: None,
        }
    }

    fn layout() -> Layout {
        let mut columns = Out::of_latest(&BARS);
        columns.retain(|column| match column {
            Out::User(place, _) => [0, 4].contains(place),
            _ => true,
        });
        columns.push(Out::Retracted);
        Layout {
            columns,
            symbols: vec!["A".into(), "B".into()],
            sources: vec!["x".into(), "y".into()],
            instruments: Vec::new(),
            hollow: Hollow::Retractions,
            ..Layout::default()
        }
    }

    /// Instants as their nanoseconds: Arrow shows named zones only with its own zone table.
    fn cell(array: &ArrayRef, row: usize) -> String {
        match array.as_primitive_opt::<TimestampNanosecondType>() {
            Some(times) => times.value(row).to_string(),
            None => arrow::util::display::array_value_to_string(array, row).unwrap(),
        }
    }

    #[test]
    fn a_piece_becomes_a_batch_of_the_contracts_types() {
        let batch = ArrowOut::new(&layout()).batch(piece()).unwrap();
        let shown: Vec<String> = (0..2)
            .map(|row| batch.columns().iter().map(|array| cell(array, row)).collect::<Vec<_>>())
            .map(|cells| cells.join(" "))
            .collect();
        assert_eq!(
            shown,
            [
                "B 1m bid -60000000000 1.5 5.0 0 y 0 10 true 7 false",
                "B 1m bid 0 -0.0  60000000000 x 60000000000 20 false 8 true",
            ]
        );
        let kind = |name| batch.schema().field_with_name(name).unwrap().data_type().to_string();
        assert_eq!(kind("symbol"), "Dictionary(Int32, Utf8)");
        assert_eq!(kind("ts"), "Timestamp(ns, \"UTC\")");
        assert_eq!(kind("sequence"), "Int64");
    }

    #[test]
    fn prices_move_into_arrow_without_a_copy() {
        let piece = piece();
        let Values::F64(open) = &piece.rows.columns[0].values else { panic!("open is f64") };
        let before = open.as_ptr();
        let batch = ArrowOut::new(&layout()).batch(piece).unwrap();
        let open = batch.column_by_name("open").unwrap().as_primitive::<Float64Type>();
        assert_eq!(open.values().as_ptr(), before);
    }
}
