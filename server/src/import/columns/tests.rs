//! Headers, and what their columns are taken for.

use super::*;

fn check_dataset(header: &str, expected: &str) {
    let names: Vec<String> = header.split(',').map(str::to_owned).collect();
    let names = Names { names: &names, unnamed_first: false };
    let got = match names.dataset(&[]) {
        Ok(dataset) => {
            let sides: Vec<&str> = names.sides().into_iter().map(PriceSide::name).collect();
            format!("{} {}", dataset.name(), sides.join(" "))
        }
        Err((_, why)) => why,
    };
    assert_eq!(got.trim_end(), expected, "{header}");
}

#[test]
fn the_columns_say_of_which_table_they_are() {
    check_dataset("Date,Open,High,Low,Close", "bars");
    check_dataset("1. open,2. high,3. low,4. close,index", "bars");
    check_dataset("t,openBid,highBid,lowBid,closeBid,openAsk,highAsk,lowAsk", "bars bid");
    check_dataset(
        "t,o,h,l,c,bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close",
        "bars trade bid ask",
    );
    check_dataset("exchange,symbol,timestamp,id,side,price,amount", "trades");
    check_dataset("DT,SYMBOL,BID,OFR,OFRSIZ,BIDSIZ,EX,MIDQUOTE", "quotes");
    check_dataset("ts,bid", "quotes");
    check_dataset(
        "ts,price,size,bid,ask",
        "it has columns of trades and quotes: the columns are ts, price, size, bid, ask",
    );
    check_dataset("ts,x", "no columns of any are known; the columns are ts, x");
}

fn check(header: &str, map: &str, side: Option<PriceSide>, expected: &str) {
    check_as(Dataset::Bars, header, map, side, expected);
}

fn check_as(dataset: Dataset, header: &str, map: &str, side: Option<PriceSide>, expected: &str) {
    let names: Vec<String> = header.split(',').map(str::to_owned).collect();
    let names = Names { names: &names, unnamed_first: names[0].is_empty() };
    let map: Vec<Mapping> = map
        .split(',')
        .filter(|text| !text.is_empty())
        .map(|text| parse_mapping(text).unwrap())
        .collect();
    let got = match names.assign(dataset, &map, side) {
        Ok(columns) => {
            let roles: Vec<String> = columns
                .of_role
                .iter()
                .map(|(role, place)| format!("{}={place}", role.name()))
                .collect();
            format!("{} ignored {}", roles.join(" "), columns.ignored.join(","))
        }
        Err(questions) => {
            let texts: Vec<String> =
                questions.iter().map(|(option, why)| format!("{option}: {why}")).collect();
            texts.join("\n")
        }
    };
    assert_eq!(got.trim_end(), expected);
}

#[test]
fn prices_go_by_their_names_and_not_by_their_places() {
    check(
        "Date,High,Low,Open,Close,Volume,Adj Close,Name",
        "",
        None,
        "ts=0 symbol=7 open=3 high=1 low=2 close=4 volume=5 ignored Adj Close",
    );
    check(
        "Date,Open,High,Low,Close,Volume,Ex-Dividend,Adj. Open,Adj. Close",
        "",
        None,
        "ts=0 open=1 high=2 low=3 close=4 volume=5 ignored Ex-Dividend,Adj. Open,Adj. Close",
    );
}

#[test]
fn a_first_column_without_a_name_is_the_time_unless_another_is() {
    check(",Open,High,Low,Close", "", None, "ts=0 open=1 high=2 low=3 close=4 ignored");
    check("1,ts,o,h,l,c,n", "", None, "ts=1 open=2 high=3 low=4 close=5 trades=6 ignored 1");
}

#[test]
fn quotes_give_the_side_that_is_asked_for() {
    check(
        "symbol,ts_local,bid_open,bid_high,bid_low,bid_close,bid_size,\
         ask_open,ask_high,ask_low,ask_close",
        "",
        Some(PriceSide::Bid),
        "ts=1 symbol=0 open=2 high=3 low=4 close=5 ignored \
         bid_size,ask_open,ask_high,ask_low,ask_close",
    );
}

#[test]
fn trades_and_quotes_have_columns_of_their_own() {
    check_as(
        Dataset::Trades,
        "symbol,ts_local,price,size,exchange,sale_condition,suspicious",
        "",
        None,
        "ts=1 symbol=0 price=2 size=3 venue=4 conditions=5 ignored suspicious",
    );
    check_as(
        Dataset::Quotes,
        "DT,SYMBOL,BID,OFR,OFRSIZ,BIDSIZ,EX,MIDQUOTE",
        "",
        None,
        "ts=0 symbol=1 bid=2 ask=3 bid_size=5 ask_size=4 venue=6 ignored MIDQUOTE",
    );
    check_as(
        Dataset::Trades,
        "Datetime,Open,High,Low,Close,Volume",
        "price=Close",
        None,
        "ts=0 price=4 size=5 ignored Open,High,Low",
    );
}

#[test]
fn a_mapping_stands_above_the_names() {
    check(
        "Date,Time,Open,High,Low,Close,Adj Close",
        "ts=Date,close=adj close",
        None,
        "ts=0 open=2 high=3 low=4 close=6 ignored Time,Close",
    );
    check("ts,o,h,l,c,v", "volume=-", None, "ts=0 open=1 high=2 low=3 close=4 ignored v");
}

#[test]
fn what_is_not_clear_is_asked() {
    check(
        "Date,Open,High,Low,Close,o",
        "",
        None,
        "--map open=COLUMN: several columns may be meant: Open, o",
    );
    check_as(
        Dataset::Quotes,
        "Date,last",
        "",
        None,
        "--map bid=COLUMN,ask=COLUMN: no column is known to be either; the columns are Date, \
         last",
    );
    check(
        "ts,open,high,low,last",
        "",
        None,
        "--map close=COLUMN: no column is known to be it; the columns are ts, open, high, low, \
         last",
    );
    check(
        "ts,open,high,low,close",
        "ts=Datum",
        None,
        "--map ts=COLUMN: there is no column 'Datum'; the columns are ts, open, high, low, \
         close",
    );
    assert!(parse_mapping("last=Open").unwrap_err().contains("no column of bars"));
}
