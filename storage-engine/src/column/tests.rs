//! What holds for whole chunks, whatever is in them.

use std::ops::Range;

use proptest::prelude::*;

use super::*;

/// A column from what each row holds.
fn doubles(rows: &[Option<f64>]) -> Column {
    let validity = rows.iter().any(Option::is_none);
    Column {
        values: Values::F64(rows.iter().map(|row| row.unwrap_or(0.0)).collect()),
        validity: validity.then(|| rows.iter().map(Option::is_some).collect()),
    }
}

fn integers(rows: &[Option<i64>]) -> Column {
    let validity = rows.iter().any(Option::is_none);
    Column {
        values: Values::I64(rows.iter().map(|row| row.unwrap_or(0)).collect()),
        validity: validity.then(|| rows.iter().map(Option::is_some).collect()),
    }
}

fn texts(rows: &[Option<String>]) -> Column {
    let validity = rows.iter().any(Option::is_none);
    Column {
        values: Values::Text(rows.iter().map(|row| row.as_deref().unwrap_or("")).collect()),
        validity: validity.then(|| rows.iter().map(Option::is_some).collect()),
    }
}

pub(super) fn encoded(column: &Column) -> Vec<u8> {
    let mut out = Vec::new();
    encode(column, &mut out);
    out
}

/// That `got` is the rows `range` of `column`, bit for bit, in the one way to write a column.
fn check_same(column: &Column, range: Range<usize>, got: &Column) {
    assert_eq!(got.len(), range.len());
    for (at, row) in range.clone().enumerate() {
        assert!(column.same(row, got, at), "row {row} of {}", column.len());
    }
    let has_null = range.clone().any(|row| !column.is_valid(row));
    assert_eq!(got.validity.is_some(), has_null, "a bitmap exactly where a row is null");
    if let Some(bits) = &got.validity {
        assert_eq!(bits.len(), range.len());
        let valid_count = range.filter(|&row| column.is_valid(row)).count();
        assert_eq!(bits.count(), valid_count, "no bit after the last row");
    }
    for row in (0..got.len()).filter(|&row| !got.is_valid(row)) {
        match &got.values {
            Values::F64(values) => assert_eq!(values[row].to_bits(), 0),
            Values::I64(values) => assert_eq!(values[row], 0),
            Values::Text(values) => assert_eq!(values.get(row), ""),
        }
    }
}

pub(super) fn check(column: &Column, ranges: &[Range<usize>]) {
    let rows = column.len();
    let chunk = encoded(column);
    for range in ranges.iter().cloned().chain([0..rows, 0..0, rows..rows]) {
        let got = decode(&chunk, column.kind(), rows, range.clone()).unwrap();
        check_same(column, range, &got);
    }
    let vector_count: usize = describe(&chunk, rows).unwrap().values().sum();
    assert_eq!(vector_count, rows.div_ceil(VECTOR_LEN));
}

pub(super) fn check_candle(prices: [&Column; 4], ranges: &[Range<usize>]) {
    let rows = prices[0].len();
    let mut chunk = Vec::new();
    encode_candle(prices, &mut chunk);
    for range in ranges.iter().cloned().chain(std::iter::once(0..rows)) {
        for wanted in 0..16_u8 {
            let wanted = [1, 2, 4, 8].map(|bit| wanted & bit != 0);
            let got = decode_candle(&chunk, rows, range.clone(), wanted).unwrap();
            for ((price, got), is_wanted) in prices.into_iter().zip(got).zip(wanted) {
                assert_eq!(got.is_some(), is_wanted);
                if let Some(got) = got {
                    check_same(price, range.clone(), &got);
                }
            }
        }
    }
    describe(&chunk, rows).unwrap();
}

fn check_beside(column: &Column, high: &Column, low: &Column, ranges: &[Range<usize>]) {
    let rows = column.len();
    let mut chunk = Vec::new();
    encode_beside(column, high, low, &mut chunk);
    for range in ranges.iter().cloned().chain(std::iter::once(0..rows)) {
        let got = if is_beside(&chunk) {
            let [high, low] = [high, low].map(|price| slice(price, range.clone()));
            decode_beside(&chunk, rows, range.clone(), &high, &low).unwrap()
        } else {
            decode(&chunk, ColumnType::F64, rows, range.clone()).unwrap()
        };
        check_same(column, range, &got);
    }
    describe(&chunk, rows).unwrap();
}

fn slice(column: &Column, range: Range<usize>) -> Column {
    let mut part = Column::empty(column.kind(), range.len());
    range.for_each(|row| part.push_from(column, row));
    part
}

/// Lengths on both sides of every boundary there is, and a few more.
fn row_count() -> impl Strategy<Value = usize> {
    prop_oneof![
        3 => 0..40_usize,
        2 => 60..70_usize,
        2 => 1020..1030_usize,
        1 => 2040..2055_usize,
        1 => 0..3000_usize,
    ]
}

fn ranges(rows: usize) -> impl Strategy<Value = Vec<Range<usize>>> {
    let range = (0..=rows, 0..=rows).prop_map(|(a, b)| a.min(b)..a.max(b));
    prop::collection::vec(range, 1..4)
}

fn nasty_double() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        Just(-0.0),
        Just(f64::from_bits(0x7FF8_0000_0000_1234)),
        Just(f64::from_bits(0xFFF0_0000_0000_0001)),
        Just(f64::INFINITY),
        Just(f64::MIN_POSITIVE / 8.0),
        Just(9_007_199_254_740_993.0),
        Just(-f64::MAX),
    ]
}

/// Doubles of one kind a column, as columns are, with a share of nasty ones.
fn double_rows() -> impl Strategy<Value = Vec<Option<f64>>> {
    let kind = (0..6_u8, 0..=10_i32, 0..4_u8, 0..3_u8);
    (row_count(), kind).prop_flat_map(|(rows, (kind, exponent, nasty, nulls))| {
        let power = 10_f64.powi(exponent);
        let usual = match kind {
            0 => (-99_999_i64..99_999).prop_map(move |i| i as f64 / power).boxed(),
            1 => (0..4_i64).prop_map(move |i| i as f64 / power).boxed(),
            2 => any::<i64>().prop_map(move |i| i as f64 / power).boxed(),
            3 => Just(101.25).boxed(),
            4 => nasty_double().boxed(),
            _ => (0.0..1.0_f64).boxed(),
        };
        let share = [0, 1, 10, 100][usize::from(nasty)];
        let value = prop_oneof![1000 => usual, share => nasty_double()];
        let null_share = [0.0, 0.03, 1.0][usize::from(nulls)];
        let row = (prop::bool::weighted(null_share), value)
            .prop_map(|(is_null, value)| (!is_null).then_some(value));
        prop::collection::vec(row, rows)
    })
}

fn nasty_integer() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        Just(i64::MIN),
        Just(i64::MAX),
        Just(0),
        (0..64_u32).prop_map(|bit| 1_i64 << bit),
    ]
}

/// Integers of one kind a column: walks with gaps, few values, lots, anything.
pub(super) fn integer_rows() -> impl Strategy<Value = Vec<Option<i64>>> {
    let kind = (0..5_u8, nasty_integer(), nasty_integer(), 0..4_u8, 0..3_u8);
    (row_count(), kind).prop_flat_map(|(rows, (kind, start, step, nasty, nulls))| {
        let steps = match kind {
            0 => Just(step).boxed(),
            1 => prop_oneof![20 => Just(step), 1 => nasty_integer()].boxed(),
            2 => (-50..50_i64).prop_map(move |i| i.wrapping_mul(step)).boxed(),
            3 => nasty_integer().boxed(),
            _ => (0..4_i64).boxed(),
        };
        let share = [0, 1, 10, 100][usize::from(nasty)];
        let step = prop_oneof![1000 => steps, share => nasty_integer()];
        let null_share = [0.0, 0.03, 1.0][usize::from(nulls)];
        let row = (prop::bool::weighted(null_share), step);
        prop::collection::vec(row, rows).prop_map(move |rows| {
            let mut value = start;
            let walks = kind != 4;
            rows.into_iter()
                .map(|(is_null, step)| {
                    value = if walks { value.wrapping_add(step) } else { step };
                    (!is_null).then_some(value)
                })
                .collect()
        })
    })
}

fn text_rows() -> impl Strategy<Value = Vec<Option<String>>> {
    (row_count(), 0..4_u8, 0..3_u8).prop_flat_map(|(rows, kind, nulls)| {
        let text = match kind {
            0 => "[AB]{0,1}".boxed(),
            1 => "\\PC{0,12}".boxed(),
            2 => prop_oneof![9 => "[a-z]{3}", 1 => "é{120,140}"].boxed(),
            _ => Just("same".to_owned()).boxed(),
        };
        let null_share = [0.0, 0.03, 1.0][usize::from(nulls)];
        let row = (prop::bool::weighted(null_share), text)
            .prop_map(|(is_null, text)| (!is_null).then_some(text));
        prop::collection::vec(row, rows)
    })
}

/// Bars on a grid of ticks with gaps between, and a share of bars that are none.
fn bars() -> impl Strategy<Value = [Column; 4]> {
    let kind = (0..=4_i32, prop_oneof![Just(1_i64), Just(25)], 0..4_u8, 0..3_u8);
    (row_count(), kind).prop_flat_map(|(rows, (exponent, tick, wrong, nulls))| {
        let share = [0, 1, 20, 500][usize::from(wrong)];
        let null_share = [0.0, 0.0, 0.03][usize::from(nulls)];
        let gap = prop_oneof![50 => -3..=3_i64, 1 => -900..900_i64];
        let shape = (gap, -20..=20_i64, 0..10_i64, 0..10_i64);
        let odd = prop_oneof![
            1000 => Just(None),
            share => (0..4_usize, nasty_double()).prop_map(Some),
        ];
        let row = (prop::bool::weighted(null_share), 0..4_usize, shape, odd);
        prop::collection::vec(row, rows).prop_map(move |rows| {
            let mut close = 100_000;
            let mut prices = [(); 4].map(|()| Vec::with_capacity(rows.len()));
            for (is_null, null_at, (gap, body, up, down), odd) in rows {
                let open = close + gap;
                close = open + body;
                let integers = [open, open.max(close) + up, open.min(close) - down, close];
                for (at, integer) in integers.into_iter().enumerate() {
                    let mut value = Some((integer * tick) as f64 / 10_f64.powi(exponent));
                    if let Some((odd_at, odd)) = odd
                        && at == odd_at
                    {
                        value = Some(odd);
                    }
                    prices[at].push(value.filter(|_| !is_null || at != null_at));
                }
            }
            prices.map(|rows| doubles(&rows))
        })
    })
}

/// Bars and their average prices: most of them half way between high and low or near it.
fn averages() -> impl Strategy<Value = ([Column; 4], Column)> {
    let kind = (0..=6_i32, 0..4_u8, 0..3_u8);
    (bars(), kind).prop_flat_map(|(prices, (exponent, wrong, nulls))| {
        let rows = prices[0].len();
        let share = [0, 1, 20, 500][usize::from(wrong)];
        let null_share = [0.0, 0.03, 1.0][usize::from(nulls)];
        let near = (-30..30_i64).prop_map(Ok);
        let off = prop_oneof![1000 => near, share => nasty_double().prop_map(Err)];
        let row = (prop::bool::weighted(null_share), off);
        prop::collection::vec(row, rows).prop_map(move |offs| {
            let power = 10_f64.powi(exponent);
            let (Values::F64(high), Values::F64(low)) = (&prices[1].values, &prices[2].values)
            else {
                unreachable!()
            };
            let rows: Vec<_> = offs
                .into_iter()
                .enumerate()
                .map(|(at, (is_null, off))| {
                    let half_way = ((high[at] + low[at]) / 2.0 * power).round();
                    let value = match off {
                        Ok(off) => (half_way + off as f64) / power,
                        Err(value) => value,
                    };
                    (!is_null).then_some(value)
                })
                .collect();
            (prices.clone(), doubles(&rows))
        })
    })
}

fn any_chunk() -> impl Strategy<Value = (Vec<u8>, usize)> {
    prop_oneof![
        double_rows().prop_map(|rows| (encoded(&doubles(&rows)), rows.len())),
        integer_rows().prop_map(|rows| (encoded(&integers(&rows)), rows.len())),
        text_rows().prop_map(|rows| (encoded(&texts(&rows)), rows.len())),
        bars().prop_map(|prices| {
            let mut chunk = Vec::new();
            encode_candle(prices.each_ref(), &mut chunk);
            (chunk, prices[0].len())
        }),
        averages().prop_map(|(prices, column)| {
            let mut chunk = Vec::new();
            encode_beside(&column, &prices[1], &prices[2], &mut chunk);
            (chunk, column.len())
        }),
    ]
}

/// That every reader returns from these bytes, with no more than was asked for.
fn check_bounded(chunk: &[u8], rows: usize, range: &Range<usize>) {
    for kind in [ColumnType::F64, ColumnType::I64, ColumnType::Text] {
        if let Ok(column) = decode(chunk, kind, rows, range.clone()) {
            assert_eq!(column.len(), range.len());
            match &column.values {
                Values::F64(values) => assert!(values.capacity() <= range.len().max(4)),
                Values::I64(values) => assert!(values.capacity() <= range.len().max(4)),
                Values::Text(values) => {
                    let allowed = range.len() * text::ENTRY_LEN_MAX + chunk.len();
                    assert!(values.byte_len() <= allowed);
                }
            }
        }
    }
    if let Ok(values) = decode_i64(chunk, rows, range.clone()) {
        assert_eq!(values.len(), range.len());
    }
    if let Ok(prices) = decode_candle(chunk, rows, range.clone(), [true; 4]) {
        assert!(prices.iter().flatten().all(|price| price.len() == range.len()));
    }
    let price = Column::new(Values::F64(vec![f64::NAN; range.len()]));
    if let Ok(column) = decode_beside(chunk, rows, range.clone(), &price, &price) {
        assert_eq!(column.len(), range.len());
    }
    if let Ok(row) = locate_i64(chunk, rows, 0) {
        assert!(row <= rows);
    }
    let _ = constant_i64(chunk, rows);
    let _ = describe(chunk, rows);
}

proptest! {
    #[test]
    fn doubles_come_back_bit_for_bit(
        (rows, ranges) in double_rows().prop_flat_map(|rows| {
            let len = rows.len();
            (Just(rows), ranges(len))
        }),
    ) {
        check(&doubles(&rows), &ranges);
    }

    #[test]
    fn integers_come_back(
        (rows, ranges) in integer_rows().prop_flat_map(|rows| {
            let len = rows.len();
            (Just(rows), ranges(len))
        }),
    ) {
        check(&integers(&rows), &ranges);
        let values: Vec<i64> = rows.iter().copied().flatten().collect();
        let mut chunk = Vec::new();
        encode_i64(&values, &mut chunk);
        prop_assert_eq!(&decode_i64(&chunk, values.len(), 0..values.len()).unwrap(), &values);
        prop_assert_eq!(chunk, encoded(&Column::new(Values::I64(values))));
    }

    #[test]
    fn texts_come_back(
        (rows, ranges) in text_rows().prop_flat_map(|rows| {
            let len = rows.len();
            (Just(rows), ranges(len))
        }),
    ) {
        check(&texts(&rows), &ranges);
    }

    #[test]
    fn prices_come_back_together_and_alone(
        (prices, ranges) in bars().prop_flat_map(|prices| {
            let len = prices[0].len();
            (Just(prices), ranges(len))
        }),
    ) {
        check_candle(prices.each_ref(), &ranges);
    }

    #[test]
    fn average_prices_come_back_beside_high_and_low(
        ((prices, column), ranges) in averages().prop_flat_map(|(prices, column)| {
            let len = column.len();
            (Just((prices, column)), ranges(len))
        }),
    ) {
        check_beside(&column, &prices[1], &prices[2], &ranges);
    }

    #[test]
    fn rows_are_located_as_a_search_of_all_values_does(
        rows in integer_rows(),
        other in nasty_integer(),
        at in any::<prop::sample::Index>(),
    ) {
        let mut values: Vec<i64> = rows.into_iter().flatten().collect();
        values.sort_unstable();
        let mut chunk = Vec::new();
        encode_i64(&values, &mut chunk);
        let mut wanted = vec![other, i64::MIN, i64::MAX];
        if !values.is_empty() {
            let value = values[at.index(values.len())];
            wanted.extend([value, value.saturating_add(1), values[0]]);
        }
        for value in wanted {
            let row = values.partition_point(|&it| it < value);
            prop_assert_eq!(locate_i64(&chunk, values.len(), value), Ok(row));
        }
        let is_constant = values.first() == values.last();
        let constant = values.first().copied().filter(|_| is_constant);
        let found = constant_i64(&chunk, values.len()).unwrap();
        // A vector of one large value is shorter raw.
        let is_alone = values.len() % VECTOR_LEN == 1;
        prop_assert!(found == constant || (found.is_none() && is_alone), "{:?}", found);
    }

    #[test]
    fn prices_of_any_doubles_come_back(rows in double_rows(), other in double_rows()) {
        let len = rows.len().min(other.len());
        let (a, b) = (doubles(&rows[..len]), doubles(&other[..len]));
        check_candle([&a, &b, &a, &b], &[]);
    }

    #[test]
    fn the_same_column_gives_the_same_bytes(rows in double_rows()) {
        prop_assert_eq!(encoded(&doubles(&rows)), encoded(&doubles(&rows)));
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        form in 0..4_u8,
        kind in 0..4_u8,
        body in prop::collection::vec(any::<u8>(), 0..200),
        rows in 1..=VECTOR_LEN,
    ) {
        check_bounded(&body, rows, &(0..rows));
        // Past the header and the directory, so that the vectors are reached.
        let end = u32::try_from(body.len()).unwrap().to_le_bytes();
        let chunk = [[form, kind, 1, 0].as_slice(), &end, &body].concat();
        check_bounded(&chunk, rows, &(0..rows));
        check_bounded(&chunk, rows, &(rows / 3..rows / 2));
    }

    #[test]
    fn a_damaged_chunk_is_read_or_refused(
        (mut chunk, rows) in any_chunk(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        wrong_rows in prop::option::weighted(0.2, 0..4096_usize),
    ) {
        for (at, byte) in changes {
            let at = at.index(chunk.len());
            chunk[at] = byte;
        }
        if let Some(cut) = cut {
            chunk.truncate(cut.index(chunk.len()));
        }
        let rows = wrong_rows.unwrap_or(rows);
        check_bounded(&chunk, rows, &(0..rows));
        check_bounded(&chunk, rows, &(rows / 3..rows / 2));
    }

    #[test]
    fn a_chunk_that_is_cut_or_followed_by_bytes_is_refused((chunk, rows) in any_chunk()) {
        let cut = &chunk[..chunk.len() - 1];
        let longer = [chunk.as_slice(), &[0]].concat();
        for bytes in [cut, longer.as_slice()] {
            for kind in [ColumnType::F64, ColumnType::I64, ColumnType::Text] {
                prop_assert!(decode(bytes, kind, rows, 0..rows).is_err());
            }
            prop_assert!(decode_candle(bytes, rows, 0..rows, [true; 4]).is_err());
            let price = Column::new(Values::F64(vec![1.0; rows]));
            prop_assert!(decode_beside(bytes, rows, 0..rows, &price, &price).is_err());
            prop_assert!(describe(bytes, rows).is_err());
        }
    }
}

#[test]
fn a_chunk_is_refused_in_the_place_of_another() {
    let column = integers(&[Some(1), None]);
    let chunk = encoded(&column);
    assert!(decode(&chunk, ColumnType::F64, 2, 0..2).is_err());
    assert!(decode(&chunk, ColumnType::I64, 1025, 0..2).is_err());
    assert!(decode(&chunk, ColumnType::I64, 2, 0..3).is_err());
    #[expect(clippy::reversed_empty_ranges, reason = "the point")]
    let reversed = decode(&chunk, ColumnType::I64, 2, 2..1);
    assert!(reversed.is_err());
    assert!(decode_candle(&chunk, 2, 0..2, [true; 4]).is_err());
    assert!(decode_i64(&chunk, 2, 0..2).is_err(), "there is a null");
    assert_eq!(decode_i64(&chunk, 2, 0..1).unwrap(), [1], "the null is not asked for");
}

#[test]
fn a_vector_is_read_without_the_others() {
    let values: Vec<i64> = (0..3000).map(|i| i * i % 977).collect();
    let mut chunk = Vec::new();
    encode_i64(&values, &mut chunk);
    // The first vector begins after the header and three ends, with nulls and encoding.
    let first_at = VECTORS_AT + 3 * 4;
    chunk[first_at + 1] = 0xEE;
    assert!(decode_i64(&chunk, 3000, 0..1).is_err());
    assert_eq!(decode_i64(&chunk, 3000, 1024..3000).unwrap(), &values[1024..]);
}

#[test]
fn a_dictionary_cannot_say_more_text_than_its_rows_are_allowed() {
    // One text of 257 bytes for 1,024 rows: 0 nulls, dictionary, 1 entry, lengths packed in 0
    // bits from base 257 in units of 1, the text, codes of 0 bits.
    let mut vector = vec![0, 8, 1, 0, 0];
    number::put_signed(257, &mut vector);
    vector.push(1);
    vector.extend_from_slice(&[b'x'; 257]);
    let end = u32::try_from(vector.len()).unwrap().to_le_bytes();
    let chunk = [[1, 2, 1, 0].as_slice(), &end, &vector].concat();
    let refused = decode(&chunk, ColumnType::Text, 1024, 0..1024).unwrap_err();
    assert_eq!(refused, Damaged("a text has an impossible length"));
}

/// A number without pattern for each `i` (the finaliser of SplitMix64).
fn scrambled(i: i64) -> i64 {
    let x = i.cast_unsigned().wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (x ^ (x >> 31)).cast_signed()
}

/// What the encodings are for: each row says which vector and how `describe` calls it.
#[test]
fn each_kind_of_data_gets_the_encoding_made_for_it() {
    let minute = 60_000_000_000;
    let open = 1_700_000_000 * 1_000_000_000;
    let sessions = (0..1024).map(|i| open + i * minute + i / 390 * 1050 * minute);
    let walk = (0..1024_i64).map(|i| 3 * i * i + scrambled(i) % 13);
    for (values, name) in [
        (vec![7; 1024], "constant"),
        (sessions.collect(), "runs"),
        ((0..1024).map(|i| scrambled(i) % 1000).collect(), "packed"),
        (walk.collect(), "delta"),
        ((0..1024).map(|i| scrambled(scrambled(i) % 5)).collect(), "dictionary"),
        ((0..1024).map(scrambled).collect::<Vec<i64>>(), "raw"),
    ] {
        let mut chunk = Vec::new();
        encode_i64(&values, &mut chunk);
        assert_eq!(describe(&chunk, 1024).unwrap(), BTreeMap::from([(name.to_owned(), 1)]));
        assert_eq!(decode_i64(&chunk, 1024, 0..1024).unwrap(), values);
    }
}

#[test]
fn one_value_off_the_grid_does_not_cost_the_others() {
    let mut values: Vec<f64> =
        (0..1024).map(|i| (16_765 + scrambled(i) % 99) as f64 / 100.0).collect();
    let on_grid = encoded(&Column::new(Values::F64(values.clone()))).len();
    values[500] = f64::NAN;
    values[501] = -0.0;
    let column = Column::new(Values::F64(values));
    let chunk = encoded(&column);
    assert!(chunk.len() <= on_grid + 40, "{} and {on_grid}", chunk.len());
    check(&column, &[]);
}

#[test]
fn golden_bytes() {
    // One column, integers, one vector that ends at 4; nulls, their bitmap, the constant 5.
    let golden = [1, 1, 1, 0, 4, 0, 0, 0, 1, 0b101, 1, 10];
    assert_eq!(encoded(&integers(&[Some(5), None, Some(5)])), golden);
    assert_eq!(encoded(&Column::empty(ColumnType::Text, 0)), [1, 2, 0, 0]);
    let price = doubles(&[Some(2.0)]);
    let mut chunk = Vec::new();
    encode_candle([&price; 4], &mut chunk);
    // Candles; whole numbers, not corrected, 2, four times 0 in no bits.
    let golden = [[2, 0, 1, 0, 20, 0, 0, 0, 1, 0, 0, 4].as_slice(), &[0, 0, 0, 1].repeat(4)];
    assert_eq!(chunk, golden.concat());
    let high = doubles(&[Some(10.5), Some(10.25), Some(11.5)]);
    let low = doubles(&[Some(10.0), Some(10.25), Some(11.0)]);
    let average = doubles(&[Some(10.25), Some(10.25), Some(11.25)]);
    chunk.clear();
    encode_beside(&average, &high, &low, &mut chunk);
    // Beside; no nulls, hundredths, the constant 0.
    assert_eq!(chunk, [3, 0, 1, 0, 5, 0, 0, 0, 0, 10, 2, 1, 0]);
}
