//! Plans of small files, as a person would see them.

use super::*;
use crate::import::columns::parse_mapping;
use crate::import::delimited;

fn said(options: &str) -> Said {
    let mut said = Said { source: "test".into(), ..Said::default() };
    let words: Vec<&str> = options.split_whitespace().collect();
    for pair in words.chunks(2) {
        let value = pair[1].to_owned();
        match pair[0] {
            "--timeframe" => said.timeframe = Some(Step::parse(&value).unwrap()),
            "--symbol" => said.symbol = Some(value),
            "--dataset" => said.dataset = Dataset::parse(&value),
            "--price" => {
                said.price = value.split(',').map(|side| PriceSide::parse(side).unwrap()).collect();
            }
            "--price-scale" => said.price_scale = value.parse().ok(),
            "--stamp" if value == "start" => said.stamp = Some(Stamp::Start),
            "--stamp" => said.stamp = Some(Stamp::End),
            "--time-zone" => said.time_zone = Some(value),
            "--map" => {
                let texts = value.split(',');
                said.map = texts.map(|text| parse_mapping(text).unwrap()).collect();
            }
            other => panic!("no option {other}"),
        }
    }
    said
}

fn make(name: &str, options: &str, text: &str) -> Result<Vec<Plan>, Refusal> {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty());
    let text = lines.collect::<Vec<_>>().join("\n");
    let Some((layout, rows)) = delimited::look(text.as_bytes()).unwrap() else {
        return Err(Refusal::new("another file", "no lines"));
    };
    let table = Table::new(Form::Delimited(layout), None, rows);
    Plan::make(Path::new(name), &table, &said(options))
}

/// What the plan of a file says, or its questions; the texts in `expected` must be in it.
fn check(name: &str, options: &str, text: &str, expected: &[&str]) {
    let got = match make(name, options, text) {
        Ok(plans) => {
            let texts: Vec<String> = plans.iter().map(|plan| plan.describe().join("\n")).collect();
            texts.join("\n\n")
        }
        Err(refusal) => {
            let lines = refusal.questions.iter().map(|(option, why)| format!("{option}\n  {why}"));
            format!("refused\n{}", lines.collect::<Vec<_>>().join("\n"))
        }
    };
    for text in expected {
        assert!(got.contains(text), "{name} {options}: {text:?} is not in\n{got}");
    }
    let refused = expected.iter().any(|text| text.starts_with("refused"));
    assert_eq!(got.starts_with("refused"), refused, "{name} {options}:\n{got}");
}

const MINUTES: &str = "
    symbol,ts_local,open,high,low,close,volume
    SPY,2013-10-04T09:30:00.000,167.65,167.65,167.65,167.65,20000
    SPY,2013-10-04T09:31:00.000,167.62,167.62,167.62,167.62,300
    SPY,2013-10-04T15:59:00.000,167.57,167.57,167.57,167.57,600";

#[test]
fn minutes_without_offset_need_a_zone_and_a_stamp() {
    check(
        "minutes.csv",
        "--timeframe 1m",
        MINUTES,
        &[
            "refused",
            "--time-zone ZONE",
            "times in ts_local carry no offset (first: 2013-10-04T09:30:00.000)",
            "--stamp start or --stamp end",
            "2013-10-04 09:30:00 to 15:59:00",
        ],
    );
    check(
        "minutes.csv",
        "--timeframe 1m --time-zone America/New_York --stamp start",
        MINUTES,
        &[
            "comma between fields, header in the first line",
            "ts        ts_local   2013-10-04T09:30:00.000: ISO, America/New_York, start of bar",
            "symbol    symbol",
            "1m bars of trade prices from test",
        ],
    );
}

#[test]
fn a_step_is_suggested_and_one_that_is_too_long_refused() {
    check(
        "m.csv",
        "",
        MINUTES,
        &["refused", "--timeframe STEP", "--time-zone ZONE", "--stamp start or --stamp end"],
    );
    let options = "--time-zone UTC --stamp start";
    check("m.csv", options, MINUTES, &["refused", "--timeframe STEP", "look like 1m (60 s apart)"]);
    let halves = "ts,open,high,low,close
        2024-01-02T09:30:00Z,1,1,1,1
        2024-01-02T09:30:30Z,1,1,1,1
        2024-01-02T09:31:00Z,1,1,1,1";
    check(
        "h.csv",
        "--timeframe 1m --symbol A --stamp start",
        halves,
        &["refused", "100 % of the rows lie closer together than 1m", "30 s apart, which is none"],
    );
    check("h.csv", "--timeframe 1s --symbol A --stamp start", halves, &["1s bars"]);
}

#[test]
fn a_file_that_shows_its_stamps_is_not_asked() {
    check(
        "ada.csv",
        "--timeframe 1m --symbol ADABTC",
        "1637971200000,0.1,0.2,0.1,0.2,36304.2,1637971259999,1.03,79,19523.0,0.55,0
         1637971260000,0.1,0.2,0.1,0.2,89196.6,1637971319999,2.54,98,59004.2,1.68,0",
        &[
            "no header, Binance klines",
            "epoch milliseconds, start of bar, shown by",
            "trades    trades",
        ],
    );
    check(
        "btcusd.csv",
        "--timeframe 1mo --symbol BTCUSD",
        ",Open,High,Low,Close,Volume
         2012-01-31,4.58,7.38,3.8,5.55,2012.25
         2012-02-29,5.55,6.5,3.8,4.99,4761.6",
        &["ts        1   2012-01-31: ISO, end of bar, shown by dates that all end a month"],
    );
    check(
        "weeks.csv",
        "--timeframe 1w --symbol A",
        "Date,Open,High,Low,Close
         2024-01-05,1,1,1,1
         2024-01-12,1,1,1,1",
        &["refused", "--stamp start or --stamp end"],
    );
}

#[test]
fn a_zone_is_not_asked_where_times_say_it() {
    check(
        "6e.csv",
        "--timeframe 1m --symbol 6EH4 --stamp end",
        "timestamp_utc;open;high;low;close;volume;pricetype
         2024-01-01 23:01:00;1.1076;1.10785;1.1076;1.1078;205;Last
         2024-01-01 23:02:00;1.10775;1.1078;1.1077;1.10775;86;Last",
        &["semicolon between fields", "ISO, UTC, end of bar", "ignored   pricetype"],
    );
    check(
        "days.csv",
        "--timeframe 1d --symbol A",
        "Date,Open,High,Low,Close,Adj Close,Volume
         2022-06-06 00:00:00+01:00,1,1,1,1,1,0
         2022-06-01 00:00:00+01:00,1,1,1,1,1,0",
        &["session date, newest first", "ignored   Adj Close"],
    );
    check(
        "days.csv",
        "--timeframe 1d --symbol A",
        "Date,Open,High,Low,Close
         2022-06-05T23:00:00Z,1,1,1,1
         2022-06-06T23:00:00Z,1,1,1,1",
        &["refused", "--time-zone ZONE", "UTC instants"],
    );
    check(
        "days.csv",
        "--timeframe 1d --symbol A --time-zone Mars/Olympus",
        "Date,Open,High,Low,Close\n2022-06-05,1,1,1,1",
        &["refused", "there is no zone 'Mars/Olympus'"],
    );
}

#[test]
fn a_symbol_comes_from_a_column_an_option_or_the_file_name() {
    let rows = "Date,Open,High,Low,Close\n2022-06-05,1,1,1,1\n2022-06-06,1,1,1,1";
    check("AAPL_daily.csv.gz", "--timeframe 1d", rows, &["refused", "(--symbol AAPL,"]);
    check(
        "x/AAPL_daily.csv",
        "--timeframe 1d --symbol {stem-part}",
        rows,
        &["symbol    AAPL (all"],
    );
    check("4063-T.csv", "--timeframe 1d --symbol {stem}", rows, &["symbol    4063-T (all rows)"]);
    check("a.csv", "--timeframe 1d --symbol A,B", rows, &["refused", "'A,B' holds a comma"]);
    let named = "symbol,Date,Open,High,Low,Close\nA,2022-06-05,1,1,1,1\nB,2022-06-06,1,1,1,1";
    check(
        "a.csv",
        "--timeframe 1d --symbol A",
        named,
        &["refused", "column symbol says the symbol"],
    );
    check("a.csv", "--timeframe 1d --symbol A --map symbol=-", named, &["ignored   symbol"]);
}

#[test]
fn price_sides_are_those_of_the_columns_and_asked_where_the_name_says_one() {
    let quotes = concat!(
        "symbol,ts,bid_open,bid_high,bid_low,bid_close,bid_size,",
        "ask_open,ask_high,ask_low,ask_close,ask_size\n",
        "A,2024-01-02T09:30:00Z,1,1,1,1,0,2,2,2,2,0\n",
        "A,2024-01-02T09:31:00Z,1,1,1,1,0,2,2,2,2,0",
    );
    check(
        "q.csv",
        "--timeframe 1m --stamp start",
        quotes,
        &["open      bid_open", "1m bars of bid prices", "ask_open", "1m bars of ask prices"],
    );
    let options = "--timeframe 1m --stamp start --price bid,mid";
    check("q.csv", options, quotes, &["refused", "--price bid,ask", "and none of mid"]);
    check(
        "q.csv",
        "--timeframe 1m --stamp start --price ask",
        quotes,
        &["open      ask_open", "1m bars of ask prices", "bid_size", "ask_size"],
    );
    let rows = "Date,Open,High,Low,Close\n2022-06-05,1,1,1,1\n2022-06-06,1,1,1,1";
    check("gbp_bid_2012.csv", "--timeframe 1d --symbol G", rows, &["refused", "says bid"]);
    check("gbp_bid.csv", "--timeframe 1d --symbol G --price trade", rows, &["trade prices"]);
    check(
        "gbp.csv",
        "--timeframe 1d --symbol G --price bid,ask",
        rows,
        &["refused", "--price SIDE", "one open, high, low and close"],
    );
    check("forbid.csv", "--timeframe 1d --symbol G", rows, &["trade prices"]);
}

#[test]
fn a_file_that_is_not_understood_is_refused_with_what_was_seen() {
    check(
        "plain.csv",
        "--timeframe 1d --symbol A",
        "2024-01-02,1,2,0.5,1.5\n2024-01-03,1,2,0.5,1.5",
        &["refused", "--map ts=1,open=2,high=3,low=4,close=5", "2024-01-02,1,2,0.5,1.5"],
    );
    check(
        "plain.csv",
        "--timeframe 1d --symbol A --map ts=1,open=2,high=3,low=4,close=5",
        "2024-01-02,1,2,0.5,1.5\n2024-01-03,1,2,0.5,1.5",
        &["no header", "open      2"],
    );
    check(
        "us.csv",
        "--timeframe 1d --symbol A",
        "Date,Open,High,Low,Close\n01/02/2024,1,1,1,1",
        &["refused", "column Date is not read as times (first: 01/02/2024)"],
    );
    check(
        "comma.csv",
        "--timeframe 1d --symbol A",
        "Date;Open;High;Low;Close\n2024-01-02;1,5;1,5;1,5;1,5\n2024-01-03;1,5;1,5;1,5;1,5",
        &["refused", "2 of the first 2 rows cannot be read; line 2: open '1,5' is not a number"],
    );
    check(
        "head.csv",
        "--timeframe 1d",
        "Date,Open,High,Low,Close",
        &["refused", "no rows that can be read"],
    );
    check("empty.csv", "--timeframe 1d", "", &["refused", "no lines"]);
}

#[test]
fn the_identity_of_a_plan_changes_with_what_the_rows_become() {
    let identity = |options: &str| make("a.csv", options, MINUTES).unwrap()[0].identity();
    let base = identity("--timeframe 1m --time-zone America/New_York --stamp start");
    assert_eq!(base, identity("--stamp start --timeframe 1m --time-zone America/New_York"));
    for other in [
        "--timeframe 1m --time-zone America/New_York --stamp end",
        "--timeframe 1m --time-zone UTC --stamp start",
        "--timeframe 1s --time-zone America/New_York --stamp start",
        "--timeframe 1m --time-zone America/New_York --stamp start --price bid",
        "--timeframe 1m --time-zone America/New_York --stamp start --map volume=-",
        "--timeframe 1m --time-zone America/New_York --stamp start --price-scale 100",
        "--dataset trades --time-zone America/New_York --map price=open",
    ] {
        assert_ne!(base, identity(other), "{other}");
    }
}

#[test]
fn trades_and_quotes_are_told_by_their_columns_and_have_no_step() {
    let trades = "symbol,ts_local,price,size,exchange,sale_condition,suspicious
        IBM,2013-10-07T04:00:30.270,181.52,283,P,20002020,0
        IBM,2013-10-07T04:00:30.270,181.8,500,P,2000,0";
    check(
        "t.csv",
        "--time-zone America/New_York",
        trades,
        &[
            "ts        ts_local   2013-10-07T04:00:30.270: ISO, America/New_York, oldest first",
            "venue     exchange",
            "conditions sale_condition",
            "series    trades from test",
            "ignored   suspicious",
        ],
    );
    check("t.csv", "", trades, &["refused", "--time-zone ZONE"]);
    let options = "--time-zone UTC --timeframe 1m --stamp end";
    check("t.csv", options, trades, &["refused", "without --timeframe", "without --stamp"]);
    check("t.csv", "--time-zone UTC --price bid", trades, &["refused", "without --price"]);
    check(
        "q.csv",
        "--symbol USDJPY",
        "timestamp,bid,ask
        2013-01-01 22:00:00.295000+00:00,86.655,86.728",
        &["bid       bid", "series    quotes from test"],
    );
    check(
        "histdata.csv",
        "--symbol EURUSD",
        "20200101 170000065,1.121200,1.121720,0
        20200101 170010447,1.121200,1.121920,0",
        &["refused", "--time-zone ZONE", "Eastern Standard Time all year: EST"],
    );
    check(
        "histdata.csv",
        "--symbol EURUSD --time-zone EST",
        "20200101 170000065,1.121200,1.121720,0
        20200101 170010447,1.121200,1.121920,0",
        &["no header, HistData quotes", "170000065: YYYYMMDD, EST", "ignored   volume"],
    );
    check(
        "b.csv",
        "--symbol BTCUSD",
        "1315922016,5.8,1.0\n1315922024,5.83,3.0",
        &["refused", "--dataset trades --map ts=1,price=2,size=3", "1315922016,5.8,1.0"],
    );
    check(
        "b.csv",
        "--symbol BTCUSD --dataset trades --map ts=1,price=2,size=3",
        "1315922016,5.8,1.0\n1315922024,5.83,3.0",
        &["epoch seconds", "series    trades from test"],
    );
}

#[test]
fn ticks_written_as_bars_are_not_taken_for_bars() {
    let ticks = "Datetime,Open,High,Low,Close,Volume
        2015-09-23T20:57:42.146,3067.00,3067.00,3067.00,3067.00,180
        2015-09-23T20:57:46.151,3066.00,3066.00,3066.00,3066.00,2
        2015-09-23T20:57:53.821,3066.00,3066.00,3066.00,3066.00,1";
    check(
        "ticks.csv",
        "--symbol ES --time-zone UTC",
        ticks,
        &["refused", "for ticks, say --dataset trades --map price=Close,size=Volume"],
    );
    check(
        "ticks.csv",
        "--symbol ES --time-zone UTC --dataset trades --map price=Close,size=Volume",
        ticks,
        &["price     Close", "ignored   Open, High, Low"],
    );
}

#[test]
fn two_columns_of_times_must_say_the_same() {
    check(
        "t.csv",
        "--symbol A",
        "timestamp,datetime,price,amount
        1570752011620,2019-10-11T00:00:11.620Z,1,2
        1570752017964,2019-10-11T00:00:17.964Z,1,2",
        &["ts        timestamp", "note      datetime says the same times as timestamp"],
    );
    check(
        "t.csv",
        "--timeframe 1m --symbol A",
        "Date,Time,Open,High,Low,Close\n2024-01-02,09:30,1,1,1,1\n2024-01-02,09:31,1,1,1,1",
        &["refused", "--map ts=COLUMN", "several columns may be meant: Date, Time"],
    );
}

#[test]
fn prices_that_look_scaled_are_asked_about_and_divided_exactly() {
    let lean = "ts,open,high,low,close,volume
        2013-10-07T13:30:00Z,1676500,1676500,1676200,1676200,20000
        2013-10-07T13:31:00Z,1676200,1676300,1676200,1676300,300";
    let options = "--timeframe 1m --symbol SPY --stamp start";
    check("l.csv", options, lean, &["refused", "--price-scale 10000", "(first: 1676500)"]);
    let scaled = format!("{options} --price-scale 10000");
    check("l.csv", &scaled, lean, &["open      open   divided by 10000", "volume    volume"]);
    check("l.csv", &format!("{options} --price-scale 1"), lean, &["open      open"]);
    check("l.csv", options, &lean.replace("1676200", "1676211"), &["open      open"]);
    check("l.csv", options, &lean.replace("1676200", "167.62"), &["open      open"]);
    let plan = make("l.csv", &scaled, lean).unwrap().remove(0);
    let mut reader = RowReader::new(&plan);
    let cells = ["2013-10-07T13:30:00Z", "1676201", "1676201", "3", "9007199254740993", "7"];
    let cells = cells.map(Cell::borrowed);
    let row = reader.read(&cells).unwrap();
    assert_eq!(row.numbers[0], Some(167.6201));
    assert_eq!(row.numbers[2], Some(0.0003));
    assert_eq!(row.numbers[4], Some(7.0));
}
