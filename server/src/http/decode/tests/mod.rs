//! What bodies of every kind become, as text.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int64Array,
    LargeStringArray, NullArray, RecordBatch, StringArray, StringViewArray,
    TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::Int8Type;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use barrow_engine::dataset::tables::Extra;
use barrow_engine::dataset::{BARS, QUOTES, Schema, TRADES};
use barrow_engine::rows::{Column, Values};
use barrow_types::Step;

use super::*;

mod parquet;

/// [`super::decode`] of bytes that are anywhere.
fn decode(kind: Kind, body: impl AsRef<[u8]>, plan: &Plan) -> Result<Incoming, Problem> {
    super::decode(kind, &Bytes::copy_from_slice(body.as_ref()), plan)
}

fn plan() -> Plan {
    Plan {
        schema: &BARS,
        step: Step::M1,
        symbol: None,
        stamped_at_end: false,
        extra: Extra::Reject,
        decoded_bytes_max: 1 << 20,
    }
}

fn ticks(schema: &'static Schema) -> Plan {
    Plan { schema, step: Step::Tick, ..plan() }
}

fn cell(column: &Column, at: usize) -> String {
    if !column.is_valid(at) {
        return "-".into();
    }
    match &column.values {
        Values::F64(values) => values[at].to_string(),
        Values::I64(values) => values[at].to_string(),
        Values::Text(texts) => texts.get(at).to_owned(),
    }
}

/// Good rows as `number symbol ts known_at` and the columns of the schema (of bars: `open high low
/// close volume vwap trades`), times in seconds after 2013-10-07T13:30:00Z; then refused rows as
/// `number ! reason | detail | raw`.
fn shown(incoming: &Incoming) -> String {
    let seconds = |column: &Column, at| match &column.values {
        Values::I64(values) if column.is_valid(at) => {
            ((values[at] - OPEN) / 1_000_000_000).to_string()
        }
        _ => "-".into(),
    };
    let mut lines = Vec::new();
    for at in 0..incoming.numbers.len() {
        let symbol = incoming.symbols.names.get(incoming.symbols.of_row[at] as usize);
        let mut cells = vec![incoming.numbers[at].to_string()];
        cells.push(symbol.map_or("-", String::as_str).to_owned());
        cells.push(seconds(&incoming.ts, at));
        cells.push(incoming.known_at.as_ref().map_or("-".into(), |column| seconds(column, at)));
        cells.extend(incoming.columns.iter().map(|column| cell(column, at)));
        lines.push(cells.join(" "));
    }
    for row in &incoming.refused {
        lines.push(format!("{} ! {} | {} | {}", row.row, row.reason, row.detail, row.raw));
    }
    lines.join("\n")
}

/// 2013-10-07T13:30:00Z: `date -u -d 2013-10-07T13:30:00Z +%s`, in nanoseconds.
const OPEN: i64 = 1_381_152_600_000_000_000;

fn check(kind: Kind, body: &str, plan: &Plan, expected: &str) {
    let incoming = decode(kind, body, plan).unwrap();
    let expected: Vec<_> = expected.lines().map(str::trim).collect();
    assert_eq!(shown(&incoming).lines().collect::<Vec<_>>(), expected, "{body}");
}

fn problem(kind: Kind, body: &[u8], plan: &Plan) -> (Code, Option<String>, String) {
    let problem = decode(kind, body, plan).unwrap_err();
    (problem.code, problem.field, problem.detail)
}

#[test]
fn csv_rows_are_read_whatever_the_order_of_columns() {
    check(
        Kind::Csv,
        "ts,close,open,high,low,symbol,trades,volume\r\n\
         2013-10-07T13:30:00Z,1.5,1,2,0.5,SPY,12,100.5\r\n\
         1381152660000000000,1.5,1,2,0.5,\"ES  230317\",,\r\n",
        &plan(),
        "0 SPY 0 - 1 2 0.5 1.5 100.5 - 12
         1 ES  230317 60 - 1 2 0.5 1.5 - - -",
    );
}

#[test]
fn a_csv_line_that_cannot_be_read_is_refused_with_its_text_and_the_rest_goes_on() {
    check(
        Kind::Csv,
        "symbol,ts,open,high,low,close\n\
         A,2013-10-07T13:30:00Z,1,2,0.5,1.5\n\
         A,2013-10-07T13:31:00Z,abc,2,0.5,1.5\n\
         A,2013-10-07T13:32:00,1,2,0.5,1.5\n\
         A,1381152600,1,2,0.5,1.5\n\
         A,2013-10-07,1,2,0.5,1.5\n\
         A,2013-10-07T13:33:00Z,1,2\n\
         A,2013-10-07T13:34:00Z,NaN,2,0.5,\n",
        &plan(),
        "0 A 0 - 1 2 0.5 1.5 - - -
         6 A 240 - NaN 2 0.5 - - - -
         1 ! not_a_number | open: 'abc' is no number | A,2013-10-07T13:31:00Z,abc,2,0.5,1.5
         2 ! bad_time | ts: '2013-10-07T13:32:00' is not a time: write 2013-10-07T09:30:00-04:00, \
         or nanoseconds since 1970 | A,2013-10-07T13:32:00,1,2,0.5,1.5
         3 ! bad_time | ts: 1381152600 looks like seconds; whole numbers are nanoseconds since \
         1970 | A,1381152600,1,2,0.5,1.5
         4 ! bad_time | ts: 2013-10-07 is a date; bars of this step need a time with an offset | \
         A,2013-10-07,1,2,0.5,1.5
         5 ! too_few_fields | the line has 4 fields, the header 6 | A,2013-10-07T13:33:00Z,1,2",
    );
}

#[test]
fn bytes_that_are_no_text_refuse_their_line() {
    let mut body = b"symbol,ts,open,high,low,close\nA".to_vec();
    body.extend(b"\xFF,2013-10-07T13:30:00Z,1,2,0.5,1.5\n");
    let incoming = decode(Kind::Csv, &body, &plan()).unwrap();
    assert_eq!(incoming.refused[0].reason, "not_utf8");
}

#[test]
fn days_may_be_dates_and_a_stamp_at_the_end_is_moved_to_the_open() {
    let days = Plan { step: Step::D1, symbol: Some("SPY".into()), ..plan() };
    let body = "ts,open,high,low,close\n2013-10-08,1,2,0.5,1.5\n2013-10-08T12:00:00Z,1,2,0.5,1\n";
    // 2013-10-08 begins 10.5 hours after the open of the test's clock.
    check(
        Kind::Csv,
        body,
        &days,
        "0 SPY 37800 - 1 2 0.5 1.5 - - -
         1 ! not_a_date | ts: bars of 1d are stored by date: send YYYY-MM-DD, or 00:00 UTC of that \
         date | 2013-10-08T12:00:00Z,1,2,0.5,1",
    );
    let ends = Plan { stamped_at_end: true, symbol: Some("SPY".into()), ..plan() };
    check(
        Kind::Csv,
        "ts,open,high,low,close\n2013-10-07T13:31:00Z,1,2,0.5,1.5\n",
        &ends,
        "0 SPY 0 - 1 2 0.5 1.5 - - -",
    );
}

#[test]
fn json_numbers_keep_their_digits_and_strings_may_hold_numbers() {
    let rows = r#"{"symbol":"A","ts":1381152600000000001,"open":"1","high":2,"low":0.5,"close":0.1,
                   "volume":null,"trades":9007199254740993}"#
        .replace('\n', "");
    let rows = rows.as_str();
    let expected = "0 A 0 - 1 2 0.5 0.1 - - 9007199254740993";
    check(Kind::Json, &format!("[{rows}]"), &plan(), expected);
    check(Kind::NdJson, &format!("\n{rows}\r\n\n"), &plan(), expected);
    let incoming = decode(Kind::NdJson, rows.as_bytes(), &plan()).unwrap();
    assert!(matches!(&incoming.ts.values, Values::I64(ts) if ts[0] == OPEN + 1));
    assert!(matches!(&incoming.columns[3].values, Values::F64(close) if close[0] == 0.1));
}

#[test]
fn a_json_row_that_cannot_be_read_is_refused_and_the_rest_goes_on() {
    let good = r#"{"symbol":"A\u0041","ts":"2013-10-07T13:30:00Z","open":1,"high":2,"low":0.5,
                   "close":1.5,"known_at":"2013-10-07T13:31:30Z"}"#
        .replace('\n', "");
    let body =
        format!("{good}\n[1]\n{{\"symbol\":\n{}\n", good.replace("\"open\":1", "\"open\":[1]"));
    let incoming = decode(Kind::NdJson, body.as_bytes(), &plan()).unwrap();
    assert_eq!(shown(&incoming).lines().next(), Some("0 AA 0 90 1 2 0.5 1.5 - - -"));
    let refused: Vec<_> =
        incoming.refused.iter().map(|row| (row.row, row.reason.as_str())).collect();
    assert_eq!(refused, [(1, "unreadable"), (2, "unreadable"), (3, "not_a_number")]);
    assert_eq!(incoming.refused[0].raw, "[1]");
    let twice = good.replace("\"open\":1", "\"open\":1,\"open\":2");
    let incoming = decode(Kind::Json, format!("[{twice}]"), &plan()).unwrap();
    assert_eq!(incoming.refused[0].reason, "field_twice");
}

#[test]
fn the_senders_own_lines_and_rejections_are_kept() {
    check(
        Kind::Csv,
        "symbol,ts,open,high,low,close,_line,_reject,_raw\n\
         A,2013-10-07T13:30:00Z,1,2,0.5,1.5,7,,\"a;b\"\n\
         ,,,,,,9,bad_time: no zone,\"x;y\"\n\
         ,,,,,,10,torn,z\n",
        &plan(),
        "7 A 0 - 1 2 0.5 1.5 - - -
         9 ! bad_time | no zone | x;y
         10 ! torn |  | z",
    );
}

#[test]
fn trades_may_name_venue_conditions_and_id_and_an_id_may_be_a_number() {
    let expected = "0 A 0 - 10.5 100 Q @ T 52983525029461
                    1 A 0 1 10.5 0 - - -";
    check(
        Kind::Csv,
        "symbol,ts,price,size,venue,conditions,trade_id,known_at\n\
         A,2013-10-07T13:30:00Z,10.5,100,Q,@ T,52983525029461,\n\
         A,2013-10-07T13:30:00Z,10.5,0,,,,2013-10-07T13:30:01Z\n",
        &ticks(&TRADES),
        expected,
    );
    check(
        Kind::NdJson,
        "{\"symbol\":\"A\",\"ts\":\"2013-10-07T13:30:00Z\",\"price\":10.5,\"size\":100,\
          \"venue\":\"Q\",\"conditions\":\"@ T\",\"trade_id\":52983525029461}\n\
         {\"symbol\":\"A\",\"ts\":1381152600000000000,\"price\":\"10.5\",\"size\":0,\
          \"known_at\":\"2013-10-07T13:30:01Z\"}",
        &ticks(&TRADES),
        expected,
    );
}

#[test]
fn one_side_of_a_quote_is_enough_and_an_empty_one_is_absent() {
    let quotes = ticks(&QUOTES);
    check(
        Kind::Csv,
        "symbol,ts,bid,ask,bid_size\n\
         A,2013-10-07T13:30:00Z,10,,5\nA,2013-10-07T13:30:00Z,,11,\n",
        &quotes,
        "0 A 0 - 10 - 5 - - -
         1 A 0 - - 11 - - - -",
    );
    let only = "symbol,ts,ask\nA,2013-10-07T13:30:00Z,11\n";
    check(Kind::Csv, only, &quotes, "0 A 0 - - 11 - - - -");
    let (_, field, _) = problem(Kind::Csv, b"symbol,ts,bid_size\n", &quotes);
    assert_eq!(field.as_deref(), Some("bid, ask"));
    let (_, field, _) = problem(Kind::Csv, b"symbol,ts,bid,ask,open\n", &quotes);
    assert_eq!(field.as_deref(), Some("open"));
}

#[test]
fn a_body_of_the_wrong_columns_is_refused_whole_and_names_them() {
    let header = |names: &str| format!("{names}\n").into_bytes();
    for (names, field) in [
        ("symbol,ts,open,high,low,close,colour,size", "colour, size"),
        ("symbol,ts,open,high,low", "close"),
        ("open,high,low,close", "symbol, ts"),
        ("symbol,ts,ts,open,high,low,close", "ts"),
    ] {
        let (code, found, _) = problem(Kind::Csv, &header(names), &plan());
        assert_eq!((code, found.as_deref()), (Code::InvalidBody, Some(field)), "{names}");
    }
    let one = Plan { symbol: Some("A".into()), ..plan() };
    let (_, field, _) = problem(Kind::Csv, &header("symbol,ts,open,high,low,close"), &one);
    assert_eq!(field.as_deref(), Some("symbol"));
    let (_, field, _) = problem(Kind::Json, br#"[{"symbol":"A","colour":1}]"#, &plan());
    assert_eq!(field.as_deref(), Some("colour"));
    let (_, field, _) = problem(Kind::Json, br#"[{"symbol":"A"}]"#, &plan());
    assert_eq!(field.as_deref(), Some("ts, open, high, low, close"));
    for body in [&b"{}"[..], b"[{}", b"[", b"", b"[{}] x", b"\xFF"] {
        let (code, _, detail) = problem(Kind::Json, body, &plan());
        assert_eq!(code, Code::InvalidBody, "{body:?}");
        assert!(detail.contains("cannot be read") || body == b"[{}]", "{detail}");
    }
    assert!(decode(Kind::Json, b"[]", &plan()).is_ok());
    assert!(decode(Kind::Csv, b"", &plan()).is_err());
}

#[test]
fn small_bodies_cannot_become_large_in_memory() {
    let plan = Plan { decoded_bytes_max: 10_000, ..plan() };
    let lines = "1\n".repeat(1_000);
    assert_eq!(problem(Kind::NdJson, lines.as_bytes(), &plan).0, Code::TooLarge);
    let array = format!("[{}1]", "1,".repeat(1_000));
    assert_eq!(problem(Kind::Json, array.as_bytes(), &plan).0, Code::TooLarge);
}

fn bars(symbols: ArrayRef, ts: ArrayRef, open: ArrayRef) -> Vec<(&'static str, ArrayRef)> {
    let len = ts.len();
    let price: ArrayRef = Arc::new(Float64Array::from(vec![1.5; len]));
    let rest = ["high", "low", "close"].map(|name| (name, Arc::clone(&price)));
    [vec![("symbol", symbols), ("ts", ts), ("open", open)], rest.to_vec()].concat()
}

fn stream(columns: Vec<(&'static str, ArrayRef)>, options: IpcWriteOptions) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    let mut writer =
        StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn plain(columns: Vec<(&'static str, ArrayRef)>) -> Vec<u8> {
    stream(columns, IpcWriteOptions::default())
}

fn strings(texts: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

fn nanos(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

#[test]
fn arrow_columns_are_taken_where_nothing_is_lost() {
    let dictionary: DictionaryArray<Int8Type> =
        vec![Some("A"), None, Some("B")].into_iter().collect();
    let times = TimestampMicrosecondArray::from(vec![
        Some(OPEN / 1_000),
        Some(OPEN / 1_000 + 60_000_000),
        None,
    ])
    .with_timezone("America/New_York");
    let mut columns = bars(
        Arc::new(dictionary),
        Arc::new(times),
        Arc::new(Float32Array::from(vec![Some(0.5), None, Some(f32::NAN)])),
    );
    let decimals = Decimal128Array::from(vec![Some(12_345), None, Some(-5)]);
    columns.push(("volume", Arc::new(decimals.with_precision_and_scale(10, 2).unwrap())));
    columns.push(("vwap", nanos(&[3, 4, 5])));
    columns.push(("trades", Arc::new(Float64Array::from(vec![Some(7.0), None, None]))));
    columns.push(("known_at", Arc::new(NullArray::new(3))));
    columns.push(("_reject", Arc::new(NullArray::new(3))));
    let incoming = decode(Kind::Arrow, plain(columns), &plan()).unwrap();
    assert_eq!(
        shown(&incoming).lines().collect::<Vec<_>>(),
        [
            "0 A 0 - 0.5 1.5 1.5 1.5 123.45 3 7",
            "1 - 60 - - 1.5 1.5 1.5 - 4 -",
            "2 B - - NaN 1.5 1.5 1.5 -0.05 5 -",
        ]
    );
}

#[test]
fn arrow_texts_are_taken_as_any_type_of_text_and_ids_as_whole_numbers() {
    let texts = ["Q", "Q"];
    let dictionary = DictionaryArray::<Int8Type>::from_iter(texts);
    let large = LargeStringArray::from_iter_values(["", "@"]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("symbol", Arc::new(StringViewArray::from_iter_values(["A", "B"]))),
        ("ts", Arc::new(Int64Array::from(vec![OPEN, OPEN]))),
        ("price", Arc::new(Float64Array::from(vec![1.5, 2.5]))),
        ("size", Arc::new(Int64Array::from(vec![100, 200]))),
        ("venue", Arc::new(dictionary)),
        ("conditions", Arc::new(large)),
        ("trade_id", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
    ];
    let incoming = decode(Kind::Arrow, plain(columns), &ticks(&TRADES)).unwrap();
    assert_eq!(shown(&incoming), "0 A 0 - 1.5 100 Q  18446744073709551615\n1 B 0 - 2.5 200 Q @ -");
}

#[test]
fn arrow_cells_that_would_lose_something_refuse_their_row() {
    let mut columns = bars(
        Arc::new(StringViewArray::from(vec!["A"; 4])),
        nanos(&[OPEN, OPEN / 1_000_000_000, OPEN, OPEN]),
        nanos(&[1, 1, (1 << 53) + 1, 1]),
    );
    columns.push(("trades", Arc::new(UInt64Array::from(vec![1, 1, 1, u64::MAX]))));
    columns.push(("_line", nanos(&[11, 12, 13, 14])));
    columns.push(("_raw", strings(&["w", "x", "y", "z"])));
    check_refused(
        &plain(columns),
        &[(12, "bad_time", "x"), (13, "not_exact", "y"), (14, "not_exact", "z")],
    );
    let columns = bars(strings(&["A"]), strings(&["soon"]), nanos(&[1]));
    check_refused(
        &plain(columns),
        &[(0, "bad_time", "symbol=A,ts=soon,open=1,high=1.5,low=1.5,close=1.5")],
    );
}

fn check_refused(body: &[u8], expected: &[(u64, &str, &str)]) {
    let incoming = decode(Kind::Arrow, body, &plan()).unwrap();
    let refused: Vec<_> = incoming
        .refused
        .iter()
        .map(|row| (row.row, row.reason.as_str(), row.raw.as_str()))
        .collect();
    assert_eq!(refused, expected);
}

/// Symbol and seconds of the rows that are refused.
fn keys(incoming: &Incoming) -> Vec<Option<(&str, i64)>> {
    let key = |(symbol, ts): &(String, i64)| -> (&'static str, i64) {
        (symbol.clone().leak(), (ts - OPEN) / 1_000_000_000)
    };
    incoming.refused.iter().map(|row| row.key.as_ref().map(key)).collect()
}

#[test]
fn a_refused_row_keeps_symbol_and_time_if_both_can_be_read() {
    let rows = |plan: &Plan, text: &str| {
        let incoming = decode(Kind::Csv, text, plan).unwrap();
        assert!(incoming.numbers.is_empty(), "{text}");
        keys(&incoming)
            .into_iter()
            .map(|key| key.map(|(a, b)| (a.to_owned(), b)))
            .collect::<Vec<_>>()
    };
    let told = |seconds| Some(("A".to_owned(), seconds));
    let text = "symbol,ts,open,high,low,close,_reject\n\
                A,2013-10-07T13:30:00Z,x,2,0.5,1.5,\n\
                A,2013-10-07T13:31:00Z,1,2,0.5,1.5,torn\n\
                A,2013-10-07 13:31:00,1,2,0.5,1.5,\n\
                A,,x,2,0.5,1.5,\n\
                a/../b,2013-10-07T13:31:00Z,x,2,0.5,1.5,\n\
                ,2013-10-07T13:31:00Z,x,2,0.5,1.5,\n";
    assert_eq!(rows(&plan(), text), [told(0), told(60), None, None, None, None]);
    // The symbol may stand in the request, and the stamp at the end of the bar.
    let text = "ts,open,high,low,close\n2013-10-07T13:31:00Z,x,2,0.5,1.5\n";
    let named = Plan { symbol: Some("A".to_owned()), stamped_at_end: true, ..plan() };
    assert_eq!(rows(&named, text), [told(0)]);
    let array =
        r#"[{"symbol":"A","ts":"2013-10-07T13:30:00Z","open":[],"high":1,"low":1,"close":1}]"#;
    assert_eq!(keys(&decode(Kind::Json, array, &plan()).unwrap()), [Some(("A", 0))]);
}

#[test]
fn the_importers_rejected_lines_become_refused_rows() {
    let mut columns = bars(
        Arc::new(StringArray::from(vec![Some("A"), None, Some("B"), Some("B")])),
        Arc::new(Int64Array::from(vec![Some(OPEN), None, Some(OPEN), Some(1)])),
        Arc::new(Float64Array::from(vec![Some(1.0), None, None, None])),
    );
    let torn = Some("unreadable: torn");
    columns.push(("_reject", Arc::new(StringArray::from(vec![None, torn, torn, torn]))));
    let lines = vec![None, Some("2013-10-07,1"), Some("B,1"), Some("B,2")];
    columns.push(("_raw", Arc::new(StringArray::from(lines))));
    columns.push(("_line", nanos(&[2, 3, 4, 5])));
    let incoming = decode(Kind::Arrow, plain(columns), &plan()).unwrap();
    assert_eq!(
        shown(&incoming).lines().collect::<Vec<_>>(),
        [
            "2 A 0 - 1 1.5 1.5 1.5 - - -",
            "3 ! unreadable | torn | 2013-10-07,1",
            "4 ! unreadable | torn | B,1",
            "5 ! unreadable | torn | B,2"
        ]
    );
    // The last one has a time that cannot be one.
    assert_eq!(keys(&incoming), [None, Some(("B", 0)), None]);
}

#[test]
fn arrow_columns_of_the_wrong_type_are_named() {
    for (columns, field) in [
        (bars(strings(&["A"]), nanos(&[OPEN]), strings(&["1.5"])), "open"),
        (bars(nanos(&[1]), nanos(&[OPEN]), nanos(&[1])), "symbol"),
        (bars(strings(&["A"]), Arc::new(Float64Array::from(vec![1e18])), nanos(&[1])), "ts"),
        (bars(strings(&["A"]), Arc::new(NullArray::new(1)), nanos(&[1])), "ts"),
    ] {
        let (code, found, _) = problem(Kind::Arrow, &plain(columns), &plan());
        assert_eq!((code, found.as_deref()), (Code::InvalidBody, Some(field)));
    }
}

#[test]
fn an_arrow_stream_that_is_cut_off_anywhere_is_refused() {
    let whole = plain(bars(strings(&["A"]), nanos(&[OPEN]), nanos(&[1])));
    assert!(decode(Kind::Arrow, &whole, &plan()).is_ok());
    for len in 0..whole.len() {
        assert_eq!(problem(Kind::Arrow, &whole[..len], &plan()).0, Code::InvalidBody, "{len}");
    }
    let more = [whole.clone(), whole].concat();
    assert_eq!(problem(Kind::Arrow, &more, &plan()).0, Code::InvalidBody);
}

#[test]
fn flipping_any_byte_of_an_arrow_stream_never_breaks_the_server() {
    let compressed = IpcWriteOptions::default()
        .try_with_compression(Some(arrow::ipc::CompressionType::ZSTD))
        .unwrap();
    let columns = || bars(strings(&["A", "B"]), nanos(&[OPEN; 2]), nanos(&[1, 2]));
    for whole in [plain(columns()), stream(columns(), compressed)] {
        for at in 0..whole.len() {
            for bit in [1, 0x80] {
                let mut damaged = whole.clone();
                damaged[at] ^= bit;
                // Whatever comes out: a batch or a refusal, never a panic that leaves decode().
                let _ = decode(Kind::Arrow, &damaged, &plan());
            }
        }
    }
}

#[test]
fn arrow_buffers_cannot_become_large_in_memory() {
    let len = 100_000;
    let compressed = IpcWriteOptions::default()
        .try_with_compression(Some(arrow::ipc::CompressionType::ZSTD))
        .unwrap();
    let columns = bars(strings(&vec!["A"; len]), nanos(&vec![OPEN; len]), nanos(&vec![1; len]));
    let body = stream(columns, compressed);
    assert!(body.len() < 1 << 20, "{} bytes", body.len());
    assert_eq!(problem(Kind::Arrow, &body, &plan()).0, Code::InvalidBody);
    // One long text that a dictionary repeats.
    let keys = vec![0_i8; 5_000];
    let long = "x".repeat(10_000);
    let dictionary =
        DictionaryArray::<Int8Type>::try_new(keys.into(), strings(&[long.as_str()])).unwrap();
    let columns = bars(Arc::new(dictionary), nanos(&vec![OPEN; 5_000]), nanos(&vec![1; 5_000]));
    assert_eq!(problem(Kind::Arrow, &plain(columns), &plan()).0, Code::TooLarge);
}

#[test]
fn the_content_type_says_how_a_body_is_written() {
    let of = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
        Kind::of(&headers).map_err(|problem| problem.code)
    };
    assert_eq!(of("text/csv; charset=utf-8"), Ok(Kind::Csv));
    assert_eq!(of("Application/JSON"), Ok(Kind::Json));
    assert_eq!(of("application/x-ndjson"), Ok(Kind::NdJson));
    assert_eq!(of("application/vnd.apache.arrow.stream"), Ok(Kind::Arrow));
    assert_eq!(of("application/vnd.apache.parquet"), Ok(Kind::Parquet));
    assert_eq!(of("text/plain"), Err(Code::UnsupportedMediaType));
    assert!(Kind::of(&HeaderMap::new()).is_err());
}
