//! Metrics and health of datasets, over rows made for them.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, answer};

/// The minutes of the regular session of New York on 2013-10-07.
const MINUTES: usize = 390;
const DAY: &str = "start_date=2013-10-07&end_date=2013-10-08";
/// A load of history: each row is known since its bar ended.
const HISTORY: &str = "&source=x&calendar=XNYS&known_at_policy=ts_end%2B0s";
const HEAD: &str = "symbol,ts,open,high,low,close,volume,vwap\n";

/// A bar; a number that is NaN is left out.
#[derive(Clone, Debug)]
struct Bar {
    ts: String,
    prices: [f64; 4],
    volume: f64,
    vwap: f64,
}

impl Bar {
    fn flat(ts: String, price: f64) -> Self {
        Self { ts, prices: [price; 4], volume: 100.0, vwap: f64::NAN }
    }

    fn line(&self, symbol: &str) -> String {
        let number = |number: f64| if number.is_nan() { String::new() } else { number.to_string() };
        let [open, high, low, close] = self.prices.map(number);
        let (volume, vwap) = (number(self.volume), number(self.vwap));
        format!("{symbol},{},{open},{high},{low},{close},{volume},{vwap}\n", self.ts)
    }
}

fn minute(at: usize) -> String {
    let at = 13 * 60 + 30 + at;
    format!("2013-10-07T{:02}:{:02}:00Z", at / 60, at % 60)
}

/// A session without a flaw.
fn session() -> Vec<Bar> {
    let price = |at: usize| 100.0 + f64::from(u32::try_from(at * at % 13).unwrap()) * 0.01;
    (0..MINUTES).map(|at| Bar::flat(minute(at), price(at))).collect()
}

fn lines(symbol: &str, bars: &[Bar]) -> String {
    bars.iter().map(|bar| bar.line(symbol)).collect()
}

fn csv(symbol: &str, bars: &[Bar]) -> String {
    format!("{HEAD}{}", lines(symbol, bars))
}

async fn metrics(server: &Server, path: &str) -> Vec<Value> {
    let (status, body) = server.get(path).await;
    assert_eq!((status, &body["complete"]), (200, &json!(true)), "{path}: {body}");
    body["metrics"].as_array().unwrap().clone()
}

fn metric<'a>(metrics: &'a [Value], name: &str) -> &'a Value {
    let found = metrics.iter().find(|metric| metric["metric_name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {metrics:?}"))
}

async fn health(server: &Server, query: &str) -> Value {
    let (status, body) = server.get(&format!("/v1/health/bars?{query}")).await;
    assert_eq!(status, 200, "{query}: {body}");
    body
}

/// The names of the metrics that are reasons.
fn reasons(health: &Value) -> Vec<&str> {
    let reasons = health["reasons"].as_array().unwrap().iter();
    reasons.map(|reason| reason["metric_name"].as_str().unwrap()).collect()
}

/// Sends bars as an import.
async fn load_as(server: &Server, timeframe: &str, query: &str, csv: String) {
    let path = format!("/v1/datasets/bars/rows?timeframe={timeframe}{query}&import=true");
    let request = server.request(Method::POST, &path).header("content-type", "text/csv");
    let (status, body) = answer(request.body(csv).send().await.unwrap()).await;
    assert_eq!((status, &body["rejected"]), (200, &json!(0)), "{body}");
}

/// What each rule finds of a symbol, of those that find anything.
fn failed(metrics: &[Value], symbol: &str) -> BTreeMap<String, u64> {
    let together = ["outliers", "flat_series"];
    let own = metrics.iter().filter(|metric| {
        let name = metric["metric_name"].as_str().unwrap();
        let of_rule = !together.contains(&name) && !name.starts_with("null_rate_");
        metric["symbol"] == symbol && of_rule && metric["n_failed"].as_u64() > Some(0)
    });
    let pair = |metric: &Value| {
        let name = metric["metric_name"].as_str().unwrap().to_owned();
        (name, metric["n_failed"].as_u64().unwrap())
    };
    own.map(pair).collect()
}

#[tokio::test]
async fn each_rule_fires_on_the_bar_made_for_it_and_on_no_clean_one() {
    type Change = fn(&mut Vec<Bar>);
    let defects: [(&str, u64, Change); 14] = [
        ("ohlc_order", 1, |bars| bars[200].prices[1] *= 0.99),
        ("price_positive", 1, |bars| bars[200].prices[2] = -1.0),
        ("size_nonneg", 1, |bars| bars[200].volume = -5.0),
        ("vwap_in_range", 1, |bars| bars[200].vwap = 101.0),
        ("tick_size", 1, |bars| bars[200].prices = [100.005; 4]),
        ("zero_volume_bar", 1, |bars| bars[200].volume = 0.0),
        ("volume_spike", 1, |bars| bars[200].volume = 5_001.0),
        ("stale_price", 2, |bars| bars[200..231].iter_mut().for_each(|b| b.prices = [100.0; 4])),
        ("spike", 1, |bars| bars[200].prices = [120.0; 4]),
        ("off_session", 1, |bars| bars.push(Bar::flat("2013-10-07T03:00:00Z".into(), 100.0))),
        ("unit_error", 1, |bars| bars[200].prices[1] *= 100.0),
        ("duplicate_key", 1, |bars| bars.push(bars[200].clone())),
        ("conflicting_duplicate", 1, |bars| {
            let again = Bar { volume: 101.0, ..bars[200].clone() };
            bars.push(again);
        }),
        ("gap_vs_calendar", 1, |bars| drop(bars.remove(200))),
    ];
    let server = Server::start().await;
    let mut text = csv("clean", &session());
    for (rule, _, change) in &defects {
        let mut bars = session();
        change(&mut bars);
        text += &lines(rule, &bars);
    }
    server.load(HISTORY, &text).await;
    let ticks = json!({"tick_size": 0.01});
    for symbol in ["clean", "tick_size"] {
        server.state_facts(Method::PUT, &format!("/v1/instruments/{symbol}"), &ticks).await;
    }
    let path = format!("/v1/quality/bars?frequency=1m&by=symbol&{DAY}");
    let found = metrics(&server, &path).await;
    assert_eq!(failed(&found, "clean"), BTreeMap::new());
    for (rule, count, _) in &defects {
        assert_eq!(failed(&found, rule), [((*rule).to_owned(), *count)].into(), "{rule}");
    }
    // All symbols together: each rule by name, whether it finds anything or not.
    let all = metrics(&server, &format!("/v1/quality/bars?frequency=1m&{DAY}")).await;
    for (rule, count, _) in &defects {
        assert_eq!(metric(&all, rule)["value"], json!(count), "{rule}");
    }
    for (name, value) in [("split_suspect", 0), ("outliers", 2), ("flat_series", 1)] {
        assert_eq!(metric(&all, name)["value"], json!(value), "{name}");
    }
    assert_eq!(metric(&all, "spike")["thresholds"], json!({"k": 12, "m": 3, "min": 0.01}));
    for (name, status) in [("ohlc_order", "error"), ("spike", "warn"), ("split_suspect", "ok")] {
        assert_eq!(metric(&all, name)["status"], status, "{name}");
    }
    let first = &metric(&all, "spike")["first_failed"];
    assert_eq!(first, &json!(minute(200)));
    server.stop().await;
}

/// Days in a row from 2014-01-01 on, that fall to a seventh at the 40th.
fn days_with_a_split() -> Vec<Bar> {
    let day = |at: usize| {
        let (month, day) = if at < 31 { (1, at + 1) } else { (2, at - 30) };
        let wave = f64::from(u32::try_from(at * at % 13).unwrap());
        let price = 100.0 + wave * 0.1;
        let price = if at < 40 { price } else { price / 7.0 };
        let bar = Bar::flat(format!("2014-{month:02}-{day:02}"), price);
        Bar { volume: if at < 40 { 100.0 } else { 700.0 }, ..bar }
    };
    (0..55).map(day).collect()
}

#[tokio::test]
async fn a_split_is_suspected_until_the_right_one_is_on_record() {
    let server = Server::start().await;
    load_as(&server, "1d", "&source=x", csv("A", &days_with_a_split())).await;
    let path = "/v1/quality/bars?symbols=A&frequency=1d";
    let rules = ["split_suspect", "adj_continuity"];
    let values = |metrics: &[Value]| rules.map(|rule| metric(metrics, rule)["value"].clone());
    assert_eq!(values(&metrics(&server, path).await), [1, 0]);
    for (split, expected) in [(2, [0, 1]), (7, [0, 0])] {
        let action = json!({"ex_date": "2014-02-10", "kind": "split", "value": split});
        let facts = json!({"actions": [action]});
        server.state_facts(Method::PUT, "/v1/instruments/A", &facts).await;
        assert_eq!(values(&metrics(&server, path).await), expected, "{split}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_crossed_quote_is_an_error_and_a_locked_one_a_warning() {
    let server = Server::start().await;
    let csv = "symbol,ts,bid,ask\n\
               locked,2013-10-07T13:30:00Z,1.5,1.5\n\
               locked,2013-10-07T13:30:01Z,1.5,1.6\n\
               crossed,2013-10-07T13:30:00Z,1.6,1.5\n\
               crossed,2013-10-07T13:30:01Z,1.5,1.5\n\
               crossed,2013-10-07T13:30:02Z,1.5,\n";
    server.post_ticks("quotes", "", "text/csv", csv).await;
    for (symbol, value, tested, status) in [("locked", 1, 2, "warn"), ("crossed", 2, 2, "error")] {
        let found = metrics(&server, &format!("/v1/quality/quotes?symbols={symbol}")).await;
        let rule = metric(&found, "crossed_locked");
        let told = (&rule["value"], &rule["n_tested"], &rule["status"]);
        assert_eq!(told, (&json!(value), &json!(tested), &json!(status)), "{symbol}");
    }
    let (_, body) = server.get("/v1/health/quotes?as_of_date=2013-10-07&at_sequence=1").await;
    assert_eq!(body["status"], "RED", "{body}");
    let reject = json!({"crossed_locked": {"action": "reject"}});
    server.state_facts(Method::PUT, "/v1/rules/quotes", &reject).await;
    let request = server.request(Method::POST, "/v1/datasets/quotes/rows");
    let csv = csv.replace("2013-10-07", "2013-10-08");
    let request = request.header("content-type", "text/csv").body(csv);
    let (_, body) = answer(request.send().await.unwrap()).await;
    assert_eq!((&body["accepted"], &body["rejected"]), (&json!(4), &json!(1)), "{body}");
    for (dataset, count) in [("quotes", 1), ("trades", 0)] {
        let found = metrics(&server, &format!("/v1/quality/{dataset}")).await;
        assert_eq!(metric(&found, "dead_letters")["value"], count, "{dataset}");
    }
    server.stop().await;
}

#[tokio::test]
async fn health_is_green_then_yellow_for_a_spike_and_green_again_when_it_is_released() {
    let server = Server::start().await;
    server.load(HISTORY, &csv("A", &session())).await;
    let ask = "symbols=A&start_date=2013-10-07&as_of_date=2013-10-07";
    let green = health(&server, ask).await;
    assert_eq!((&green["status"], &green["reasons"]), (&json!("GREEN"), &json!([])), "{green}");
    for name in ["completeness", "freshness", "validity", "uniqueness", "consistency"] {
        let expected = json!({"status": "GREEN", "reasons": 0});
        assert_eq!(green["dimensions"][name], expected, "{name}");
    }
    let before = green["sequence"].clone();

    // Known since today, not since its bar ended.
    let mut bars = session();
    bars[200].prices = [120.0; 4];
    server.load("&source=x", &csv("A", &bars[200..201])).await;
    let now = &format!("{ask}&as_of=2100-01-01T00:00:00Z");
    let yellow = health(&server, now).await;
    assert_eq!(yellow["status"], "YELLOW", "{yellow}");
    assert_eq!(reasons(&yellow), ["spike"]);
    assert_eq!(yellow["dimensions"]["validity"], json!({"status": "YELLOW", "reasons": 1}));
    let reason = &yellow["reasons"][0];
    for (member, expected) in [
        ("symbol", json!("A")),
        ("source", json!("x")),
        ("frequency", json!("1m")),
        ("price", json!("trade")),
        ("dimension", json!("validity")),
        ("status", json!("warn")),
        ("value", json!(1)),
        ("sessions", json!(["2013-10-07"])),
        ("session_count", json!(1)),
        ("first_failed", json!(minute(200))),
        ("thresholds", json!({"k": 12, "m": 3, "min": 0.01})),
    ] {
        assert_eq!(reason[member], expected, "{member}");
    }
    let release = format!(
        "barrow release --symbol A --source x --timeframe 1m --ts {} --rule spike",
        minute(200)
    );
    assert!(reason["do"].as_str().unwrap().contains(&release), "{reason}");
    let with_spike = yellow["sequence"].clone();

    let verdict = json!({
        "symbol": "A", "source": "x", "timeframe": "1m", "ts": minute(200), "rule": "spike",
        "act": "release", "note": "seen on the tape",
    });
    server.state_facts(Method::POST, "/v1/quality/verdicts", &verdict).await;
    let released = health(&server, now).await;
    assert_eq!((&released["status"], reasons(&released)), (&json!("GREEN"), vec![]), "{released}");
    let path = format!("/v1/quality/bars?symbols=A&{DAY}");
    let found = metrics(&server, &path).await;
    let spike = metric(&found, "spike");
    let told = (&spike["value"], &spike["n_settled"], &spike["status"]);
    assert_eq!(told, (&json!(1), &json!(1), &json!("ok")));

    // What was known on the day, and what was held before the release and before the spike.
    assert_eq!(health(&server, ask).await["status"], "GREEN");
    let at = |sequence: &Value| format!("{ask}&at_sequence={sequence}");
    assert_eq!(health(&server, &at(&with_spike)).await["status"], "YELLOW");
    assert_eq!(health(&server, &at(&before)).await["status"], "GREEN");
    server.stop().await;
}

#[tokio::test]
async fn a_row_that_somebody_quarantined_by_hand_is_settled() {
    let server = Server::start().await;
    let mut bars = session();
    bars[200].prices = [120.0; 4];
    server.load(HISTORY, &csv("A", &bars)).await;
    let verdict = json!({
        "symbol": "A", "source": "x", "timeframe": "1m", "ts": minute(200), "act": "quarantine",
    });
    server.state_facts(Method::POST, "/v1/quality/verdicts", &verdict).await;
    let found = metrics(&server, &format!("/v1/quality/bars?symbols=A&{DAY}")).await;
    assert_eq!(metric(&found, "spike")["status"], "ok");
    assert_eq!(metric(&found, "slots_quarantined")["value"], 1);
    assert_eq!(metric(&found, "slots_present")["value"], MINUTES - 1);
    server.stop().await;
}

#[tokio::test]
async fn health_is_red_while_half_a_session_is_missing_for_no_reason() {
    let server = Server::start().await;
    server.load(HISTORY, &csv("B", &session()[..195])).await;
    let ask = "symbols=B&start_date=2013-10-07&as_of_date=2013-10-07";
    let red = health(&server, ask).await;
    assert_eq!(red["status"], "RED", "{red}");
    assert_eq!(reasons(&red), ["gap_vs_calendar"]);
    assert_eq!(red["dimensions"]["completeness"]["status"], "RED");
    let reason = &red["reasons"][0];
    assert_eq!((&reason["status"], &reason["worst"]), (&json!("error"), &json!(0.5)));
    let gaps = "barrow query gaps --symbols B --frequency 1m --start 2013-10-07 --end 2013-10-08";
    assert!(reason["do"].as_str().unwrap().starts_with(gaps), "{reason}");
    let found = metrics(&server, &format!("/v1/quality/bars?symbols=B&{DAY}")).await;
    for (name, value) in [
        ("slots_expected", 390),
        ("slots_present", 195),
        ("slots_missing", 195),
        ("longest_gap", 195),
        ("row_count", 195),
    ] {
        assert_eq!(metric(&found, name)["value"], value, "{name}");
    }
    // A fact is known since it came in, so it does not change what was known on the day.
    let halt = json!({
        "instrument": "B", "start": "2013-10-07T16:45:00Z", "end": "2013-10-07T20:00:00Z",
    });
    server.state_facts(Method::POST, "/v1/halts", &halt).await;
    let explained = health(&server, &format!("{ask}&as_of=2100-01-01T00:00:00Z")).await;
    assert_eq!(explained["status"], "GREEN", "{explained}");
    assert_eq!(health(&server, ask).await["status"], "RED");
    server.stop().await;
}

#[tokio::test]
async fn a_series_is_stale_when_more_slots_than_the_threshold_are_missing_up_to_now() {
    let server = Server::start().await;
    server.load(HISTORY, &csv("C", &session()[..10])).await;
    for (at, missing, status) in [("13:40", 0, "GREEN"), ("13:43", 3, "GREEN"), ("13:44", 4, "RED")]
    {
        let then = format!("as_of=2013-10-07T{at}:00Z");
        let range = "start_date=2013-10-07&as_of_date=2013-10-07";
        let found = health(&server, &format!("symbols=C&{range}&{then}")).await;
        assert_eq!(found["dimensions"]["freshness"]["status"], status, "{at}: {found}");
        let found = metrics(&server, &format!("/v1/quality/bars?symbols=C&{DAY}&{then}")).await;
        assert_eq!(metric(&found, "freshness")["value"], missing, "{at}");
    }
    // Nobody waits for rows while the venue is closed.
    let closed = format!("/v1/quality/bars?symbols=C&{DAY}&as_of=2013-10-07T23:00:00Z");
    assert_eq!(metric(&metrics(&server, &closed).await, "freshness")["value"], Value::Null);
    server.stop().await;
}

#[tokio::test]
async fn closes_of_two_sources_are_compared_slot_by_slot() {
    let server = Server::start().await;
    server.load(HISTORY, &csv("A", &session())).await;
    let mut other = session();
    other[10].prices[3] *= 1.01;
    other[10].prices[1] = other[10].prices[3];
    other.truncate(300);
    server.load(&HISTORY.replace("source=x", "source=y"), &csv("A", &other)).await;
    let path = format!("/v1/quality/bars?symbols=A&{DAY}");
    let found = metrics(&server, &path).await;
    let rule = metric(&found, "xsource_diff");
    let told = (&rule["value"], &rule["n_tested"], &rule["status"]);
    assert_eq!(told, (&json!(1), &json!(300), &json!("warn")));
    assert!((rule["worst"].as_f64().unwrap() - 100.0).abs() < 1e-6, "{rule}");
    let found = metrics(&server, &format!("{path}&by=source")).await;
    let rule = metric(&found, "xsource_diff");
    assert_eq!((&rule["source"], &rule["beside"]), (&json!("y"), &json!("x")));
    let one = metrics(&server, &format!("{path}&source=x")).await;
    assert_eq!(metric(&one, "xsource_diff")["n_tested"], 0);
    server.stop().await;
}

#[tokio::test]
async fn hours_are_what_their_minutes_make() {
    let server = Server::start().await;
    let minutes = session();
    // From 13:30 UTC on; the seventh is half an hour.
    let hour = |part: &[Bar]| {
        let over = |place: usize, pick: fn(f64, f64) -> f64| {
            part.iter().map(|bar| bar.prices[place]).reduce(pick).unwrap()
        };
        let (first, last) = (&part[0], &part[part.len() - 1]);
        let volume = part.iter().map(|bar| bar.volume).sum();
        let prices = [first.prices[0], over(1, f64::max), over(2, f64::min), last.prices[3]];
        Bar { prices, volume, ..first.clone() }
    };
    let mut hours: Vec<Bar> = minutes.chunks(60).map(hour).collect();
    // One minute is missing, so of its hour nobody can tell.
    let sent = [&minutes[..70], &minutes[71..]].concat();
    server.load(HISTORY, &csv("A", &sent)).await;
    load_as(&server, "1h", HISTORY, csv("A", &hours)).await;
    let path = format!("/v1/quality/bars?symbols=A&frequency=1h&{DAY}");
    let told = |metrics: &[Value]| {
        let rule = metric(metrics, "xfreq_consistency");
        (rule["value"].clone(), rule["n_tested"].clone(), rule["status"].clone())
    };
    assert_eq!(told(&metrics(&server, &path).await), (json!(0), json!(6), json!("ok")));
    hours[3].prices[1] += 0.5;
    hours[5].volume += 1.0;
    hours[1].volume += 1.0;
    load_as(&server, "1h", HISTORY, csv("A", &hours)).await;
    assert_eq!(told(&metrics(&server, &path).await), (json!(2), json!(6), json!("error")));
    server.stop().await;
}

#[tokio::test]
async fn the_universe_is_what_is_asked_for_or_what_is_listed() {
    let server = Server::start().await;
    server.load(HISTORY, &(csv("A", &session()) + &lines("B", &session()))).await;
    let path = |symbols: &str| format!("/v1/quality/bars?frequency=1m&{DAY}{symbols}");
    let told = |metrics: &[Value]| {
        let rule = metric(metrics, "universe_coverage");
        (rule["value"].clone(), rule["n_failed"].clone(), rule["status"].clone())
    };
    let whole = (json!(1.0), json!(0), json!("ok"));
    assert_eq!(told(&metrics(&server, &path("")).await), whole);
    let facts = json!([
        {"id": "C", "calendar": "XNYS", "listed": {"value": true, "since": "2013-01-02"}},
        {"id": "D", "calendar": "XNYS", "listed": {"value": true, "since": "2013-10-08"}},
    ]);
    server.state_facts(Method::PUT, "/v1/instruments", &facts).await;
    let (value, count, status) = told(&metrics(&server, &path("")).await);
    assert!((value.as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-9, "{value}");
    assert_eq!((count, status), (json!(1), json!("warn")));
    let asked = metrics(&server, &path("&symbols=A,E")).await;
    assert_eq!(told(&asked), (json!(0.5), json!(1), json!("warn")));
    assert_eq!(told(&metrics(&server, &path("&symbols=B")).await), whole);
    server.stop().await;
}

#[tokio::test]
async fn nulls_dead_letters_and_the_order_of_arrival_are_counted() {
    let server = Server::start().await;
    let mut bars = session();
    bars[..100].iter_mut().for_each(|bar| bar.vwap = bar.prices[3]);
    bars[5].volume = f64::NAN;
    server.load("&source=x&calendar=XNYS", &csv("A", &bars[200..])).await;
    server.load("&source=x", &csv("A", &bars[..200])).await;
    let bad = Bar { prices: [1.0, 0.5, 0.5, 1.0], ..bars[0].clone() };
    let (_, body) = server.post("&source=x", "text/csv", csv("A", &[bad, bars[1].clone()])).await;
    assert_eq!((&body["rejected"], &body["duplicates"]), (&json!(1), &json!(1)), "{body}");
    let found = metrics(&server, &format!("/v1/quality/bars?symbols=A&{DAY}")).await;
    for (name, value, status) in [
        ("null_rate_vwap", 290.0 / 390.0, "warn"),
        ("null_rate_volume", 1.0 / 390.0, "ok"),
        ("null_rate_trades", 1.0, "ok"),
        ("dead_letters", 1.0, "warn"),
        ("out_of_order", 200.0, "ok"),
        ("late", 390.0, "ok"),
    ] {
        let metric = metric(&found, name);
        let own = metric["value"].as_f64().unwrap();
        assert!((own - value).abs() < 1e-9, "{metric}");
        assert_eq!(metric["status"], status, "{metric}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_symbol_whose_every_row_was_turned_away_is_told() {
    let server = Server::start().await;
    let mut bars = session();
    bars.truncate(2);
    bars.iter_mut().for_each(|bar| bar.prices = [-1.0; 4]);
    let (status, _) = server.post("&source=x", "text/csv", csv("BAD", &bars)).await;
    assert_eq!(status, 422);
    let then = "as_of_date=2013-10-07&as_of=2100-01-01T00:00:00Z";
    let told = health(&server, then).await;
    let reason = &told["reasons"][0];
    assert_eq!(
        (&told["status"], reasons(&told)),
        (&json!("YELLOW"), vec!["dead_letters"]),
        "{told}"
    );
    assert_eq!((&reason["symbol"], &reason["value"]), (&json!("BAD"), &json!(2)));
    server.stop().await;
}

#[tokio::test]
async fn metrics_are_told_apart_as_asked_and_come_as_a_table_too() {
    let server = Server::start().await;
    let mut next = session();
    next.iter_mut().for_each(|bar| bar.ts = bar.ts.replace("-07T", "-08T"));
    next[7].prices[2] = -1.0;
    server.load(HISTORY, &(csv("A", &session()) + &lines("A", &next))).await;
    let path = "/v1/quality/bars?symbols=A&by=session,symbol,source,frequency,price";
    let found = metrics(&server, path).await;
    let of_rule = found.iter().filter(|metric| metric["metric_name"] == "price_positive");
    let told: Vec<String> = of_rule
        .map(|m| {
            let part = ["session", "symbol", "source", "frequency", "price", "value"];
            part.map(|name| m[name].to_string().replace('"', "")).join(" ")
        })
        .collect();
    assert_eq!(told, ["2013-10-07 A x 1m trade 0", "2013-10-08 A x 1m trade 1"]);
    let text = server.text("/v1/quality/bars?symbols=A&by=session&format=csv").await;
    let line = text.lines().find(|line| line.contains("2013-10-08,,,,,,price_positive,1,error,"));
    assert!(line.is_some(), "{text}");
    let text = server.text("/v1/health/bars?as_of_date=2013-10-08&format=csv").await;
    assert!(text.contains("\nvalidity,price_positive,error,A,x,1m,trade,"), "{text}");
    server.stop().await;
}

#[tokio::test]
async fn a_symbol_is_the_instrument_that_it_is_bound_to() {
    let server = Server::start().await;
    server.load(HISTORY, &csv("OLD", &session()[..200])).await;
    server.load(HISTORY, &csv("NEW", &session()[200..])).await;
    let since = minute(200);
    let facts = json!({"calendar": "XNYS", "bindings": [
        {"source": "x", "symbol": "OLD", "since": "2013-01-02", "until": since},
        {"source": "x", "symbol": "NEW", "since": since},
    ]});
    server.state_facts(Method::PUT, "/v1/instruments/ONE", &facts).await;
    let found = metrics(&server, &format!("/v1/quality/bars?symbols=ONE&{DAY}")).await;
    for (name, value) in [("row_count", 390), ("slots_present", 390), ("gap_vs_calendar", 0)] {
        assert_eq!(metric(&found, name)["value"], value, "{name}");
    }
    // OLD and NEW as instruments of their own never had a row, so nobody misses any of them.
    for (dates, expected) in [(DAY, vec!["ONE"]), ("end_date=2013-01-01", vec![])] {
        let all = metrics(&server, &format!("/v1/quality/bars?by=symbol&{dates}")).await;
        let of_symbol = |metric: &Value| metric["symbol"].as_str().map(str::to_owned);
        let symbols: BTreeSet<String> = all.iter().filter_map(of_symbol).collect();
        assert_eq!(symbols.into_iter().collect::<Vec<_>>(), expected, "{dates}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_its_field() {
    let server = Server::start().await;
    server.load(HISTORY, &csv("A", &session()[..5])).await;
    for (path, status, field) in [
        ("quality/prices", 404, "dataset"),
        ("health/prices", 404, "dataset"),
        ("quality/bars?symbols=NONE", 404, "symbols"),
        ("health/bars?symbols=NONE", 404, "symbols"),
        ("quality/bars?symbols=A&frequency=1d", 404, "symbols"),
        ("quality/bars?symbols=A,A", 400, "symbols"),
        ("quality/bars?start_date=soon", 400, "start_date"),
        ("quality/bars?end_date=2013-10-07T13:30:00Z", 400, "end_date"),
        ("quality/bars?start_date=2013-10-08&end_date=2013-10-07", 400, "end_date"),
        ("quality/bars?start_date=2013-10-07&end_date=2013-10-07", 400, "end_date"),
        ("quality/bars?frequency=2m", 400, "frequency"),
        ("quality/trades?frequency=1m", 400, "frequency"),
        ("quality/quotes?price=bid", 400, "price"),
        ("quality/bars?price=last", 400, "price"),
        ("quality/bars?session=night", 400, "session"),
        ("quality/bars?align=left", 400, "align"),
        ("quality/bars?by=colour", 400, "by"),
        ("quality/bars?by=symbol,symbol", 400, "by"),
        ("quality/bars?as_of=soon", 400, "as_of"),
        ("quality/bars?at_sequence=-1", 400, "at_sequence"),
        ("quality/bars?source=..", 400, "source"),
        ("quality/bars?format=xml", 400, "format"),
        ("quality/bars?as_of_date=2013-10-07", 400, "as_of_date"),
        ("health/bars?as_of_date=yesterday", 400, "as_of_date"),
        ("health/bars?as_of_date=2013-10-07&start_date=2013-10-08", 400, "start_date"),
        ("health/bars?end_date=2013-10-07", 400, "end_date"),
        ("health/bars?by=symbol", 400, "by"),
    ] {
        let (found, problem) = server.get(&format!("/v1/{path}")).await;
        assert_eq!((found, &problem["field"]), (status, &json!(field)), "{path}: {problem}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_empty_dataset_is_red_and_says_so() {
    let server = Server::start().await;
    let empty = health(&server, "").await;
    assert_eq!((&empty["status"], reasons(&empty)), (&json!("RED"), vec!["row_count"]), "{empty}");
    server.load(HISTORY, &csv("A", &session()[..5])).await;
    // Before anybody knew anything.
    let then = health(&server, "as_of_date=2013-10-04").await;
    assert_eq!((&then["status"], reasons(&then)), (&json!("RED"), vec!["row_count"]), "{then}");
    let reason = &then["reasons"][0];
    let message = "nothing of bars was known at 2013-10-05T00:00:00Z";
    assert_eq!(reason["message"], message);
    let action = reason["do"].as_str().unwrap();
    assert!(action.starts_with("barrow health bars --as-of-date 2013-10-04 --as-of 2"), "{action}");
    let warning = "nothing of this was known at as_of: a later one shows what came since";
    assert_eq!(then["warnings"], json!([warning]));
    // Before the first record; nothing was due then, at the first instant there is.
    let before = health(&server, "at_sequence=0").await;
    assert_eq!((&before["status"], &before["as_of_date"]), (&json!("RED"), &json!("1677-09-21")));
    let found = metrics(&server, "/v1/quality/trades").await;
    assert_eq!(metric(&found, "row_count")["value"], 0);
    server.stop().await;
}
