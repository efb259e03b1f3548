//! Facts that cannot be: each is refused with its field named and a hint what to do, and nothing
//! of its request is stored, however good the rest is.

use std::path::Path;
use std::process::{Command, Output};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, answer, csv};

/// Everything that facts can be seen in.
const SEEN: [&str; 16] = [
    "/v1/datasets/bars",
    "/v1/instruments",
    "/v1/instruments/A",
    "/v1/instruments/G1",
    "/v1/calendars",
    "/v1/calendars/XTST",
    "/v1/calendars/XNYS/sessions?start=2013-10-01&end=2013-11-01",
    "/v1/sources/bars",
    "/v1/rules",
    "/v1/halts",
    "/v1/outages",
    "/v1/claims",
    "/v1/watermarks",
    "/v1/quality/verdicts",
    "/v1/dead-letters",
    "/v1/gaps?symbols=A&start=2013-10-07&end=2013-10-08&frequency=1m",
];

impl Server {
    /// What facts say, and the store's sequence.
    async fn seen(&self) -> Vec<(u16, Value)> {
        let mut seen = Vec::new();
        for path in SEEN {
            seen.push(self.get(path).await);
        }
        seen
    }

    async fn send_text(&self, request: &str, kind: &str, body: Vec<u8>) -> (u16, Value) {
        let (method, path) = request.split_once(' ').unwrap();
        let request = self.request(method.parse::<Method>().unwrap(), path);
        answer(request.header("content-type", kind).body(body).send().await.unwrap()).await
    }
}

/// What is there before: some bars of two minutes, an instrument, and one fact of each kind.
async fn server() -> Server {
    let server = Server::start().await;
    server.load("&source=s", &csv("A", "30 1\n31 1\n32 1")).await;
    let start = "2013-10-04T14:00:00Z";
    let covers = json!([{"symbol": "A", "start": "2013-10-04", "end": "2013-10-05"}]);
    let mark = json!({"source": "s", "timeframe": "1m", "from": start,
                      "up_to": "2013-10-04T15:00:00Z"});
    let facts = [
        (
            "PUT /v1/instruments/A",
            json!({"calendar": "XNYS", "bindings": [
            {"source": "s", "symbol": "OLD", "since": "2013-10-01", "until": "2013-10-04"}]}),
        ),
        ("PUT /v1/sources/bars", json!({"sources": ["s"], "fallback": "slot"})),
        ("PUT /v1/rules/bars", json!({"spike": {"action": "quarantine"}})),
        ("POST /v1/halts", json!({"instrument": "A", "start": start})),
        ("POST /v1/outages", json!({"source": "s", "start": start})),
        ("POST /v1/datasets/bars/claims?timeframe=1m&source=s", covers),
        ("PUT /v1/watermarks", mark),
    ];
    for (request, body) in facts {
        let (method, path) = request.split_once(' ').unwrap();
        server.state_facts(method.parse().unwrap(), path, &body).await;
    }
    server
}

/// Facts of one route.
struct Facts {
    request: &'static str,
    /// A body whose parts are good but the one that takes the place of BAD.
    body: &'static str,
    /// Where that stands in it.
    place: &'static str,
    /// What would be good there.
    good: &'static str,
    /// What is not: field behind the place, what the answer hints at, and in what it differs from
    /// `good`, where null takes a field away; or, if that is no object or stands behind `=`, the
    /// part itself. The status stands before the field if it is not 400.
    bad: &'static str,
}

impl Facts {
    async fn check(&self, server: &Server) {
        let Self { request, body, place, good, bad } = self;
        let before = server.seen().await;
        for line in bad.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let [field, hint, part] = line.splitn(3, " | ").collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            let (status, field) = match field.split_once(' ') {
                Some((status, field)) => (status.parse().unwrap(), field),
                None => (400, field),
            };
            let field = format!("{place}{}", field.replace('-', ""));
            let field = field.trim_start_matches('.');
            let sent = body.replace("BAD", &differing(good, part)).into_bytes();
            let (found, problem) = server.send_text(request, "application/json", sent).await;
            assert_eq!((found, &problem["field"]), (status, &json!(field)), "{line}: {problem}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(hint) && detail.contains(field), "{line}: {problem}");
            assert_eq!(server.seen().await, before, "{request} {line}");
        }
        // So the rest of it was good, and would have been seen.
        let sent = body.replace("BAD", good).into_bytes();
        let (status, taken) = server.send_text(request, "application/json", sent).await;
        assert_eq!((status, &taken["rejected"]), (200, &json!(0)), "{request}: {taken}");
        assert_ne!(server.seen().await[1..], before[1..], "{request}");
    }
}

/// The part that differs from `good` as a line says.
fn differing(good: &str, line: &str) -> String {
    let line = line.replace("$LONG", &"B".repeat(65));
    if let Some(part) = line.strip_prefix('=') {
        return part.to_owned();
    }
    let (Ok(Value::Object(mut part)), Ok(Value::Object(differs))) =
        (serde_json::from_str(good), serde_json::from_str(&line))
    else {
        return line;
    };
    part.extend(differs);
    Value::Object(part).to_string()
}

async fn check(facts: Facts) {
    let server = server().await;
    facts.check(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn one_day_that_cannot_be_leaves_all_days_as_they_were() {
    check(Facts {
        request: "PUT /v1/calendars/XNYS/days",
        body: r#"[{"date": "2013-10-07", "kind": "closed"}, BAD,
                  {"date": "2013-10-09", "kind": "closed"}]"#,
        place: "[1]",
        good: r#"{"date": "2013-10-08", "kind": "regular", "open": "09:30", "close": "13:00"}"#,
        bad: r#"
            - | date, kind | 7
            - | date, kind | ["2013-10-08"]
            .colour | there are: date | {"colour": 1}
            .date | missing | {"date": null}
            .date | YYYY-MM-DD | {"date": "2013-13-08"}
            .date | YYYY-MM-DD | {"date": "2013-10-08T00:00:00Z"}
            .date | YYYY-MM-DD | {"date": 15986}
            .date | 1678 to 2261 | {"date": "2262-01-02"}
            .date | each date once | {"date": "2013-10-07"}
            .kind | missing | {"kind": null}
            .kind | say it once | ={"date": "2013-10-08", "kind": "closed", "kind": "regular"}
            .kind | regular, closed | {"kind": "half"}
            .open | leave it out | {"kind": "closed"}
            .open | missing | {"open": null}
            .open | HH:MM | {"open": "9:30"}
            .open | HH:MM | {"open": true}
            .close | not after open | {"close": "09:30"}
            .break_end | both ends | {"break_start": "12:00"}
            .break_start | both ends | {"break_end": "12:00"}
            .break_start | not after open | {"break_start": 0, "break_end": "12:00"}
            .break_end | not before close | {"break_start": "12:00", "break_end": "13:00"}
            .pre_open | after open | {"pre_open": "10:00"}
            .post_close | before close | {"post_close": "12:00"}
            .known_at | leave it out | {"known_at": "2100-01-01T00:00:00Z"}
            .known_at | write a time | {"known_at": "2013-10-07"}
        "#,
    })
    .await;
}

#[tokio::test]
async fn one_instrument_that_cannot_be_leaves_all_as_they_were() {
    check(Facts {
        request: "PUT /v1/instruments",
        body: r#"[{"id": "G1", "name": "one", "bindings": [{"source": "s", "symbol": "G"}]}, BAD,
                  {"id": "G2", "since": "2013-10-07", "tick_size": 0.01, "listed": true}]"#,
        place: "[1]",
        good: r#"{"id": "B", "name": [{"value": "b", "since": "2013-10-07"}, {"value": "c"}]}"#,
        bad: r#"
            - | id, since | "B"
            .id | missing | {"id": null}
            .id | comma | {"id": "a,b"}
            .id | in one object | {"id": "G1"}
            .id | choose another | {"id": "*"}
            .id | choose another | {"id": "id:B"}
            .id | in quotes | {"id": 7}
            .colour | there are: id | {"colour": "red"}
            .name | leave it out | {"name": ""}
            .name | take it out | {"name": "a\u0007"}
            .name | say it once | ={"id": "B", "name": "b", "name": "c"}
            .name[0].value | null says | {"name": [{"since": "2013-10-07"}]}
            .name[1].value | say one value | {"name": [{"value": "b"}, {"value": "c"}]}
            .name[0].since | write 2013 | {"name": [{"value": "b", "since": "soon"}]}
            .name[0].until | value, since | {"name": [{"value": "b", "until": "2013-10-07"}]}
            .calendar | PUT /v1/calendars/XMOON | {"calendar": "XMOON"}
            .listed | write one of them | {"listed": "maybe"}
            .tick_size | write 0.01 | {"tick_size": -1}
            .tick_size | write 0.01 | {"tick_size": "NaN"}
            .currency | USD | {"currency": "US $"}
            .since | nanoseconds | {"since": 1381152600}
            .since | 1678 to 2261 | {"since": "2262-04-01T00:00:00Z"}
            .since | write 2013-10-07, or | {"since": []}
            .known_at | leave it out | {"known_at": "2100-01-01T00:00:00Z"}
            .bindings | write [...] | {"bindings": {}}
            .actions | write [...] | {"actions": {}}
            .actions[0] | ex_date, kind | {"actions": ["split"]}
        "#,
    })
    .await;
}

#[tokio::test]
async fn one_binding_that_cannot_be_leaves_all_as_they_were() {
    check(Facts {
        request: "PUT /v1/instruments/A",
        body: r#"{"name": "a", "bindings": [{"source": "s", "symbol": "ONE"}, BAD,
                  {"source": "s", "symbol": "TWO", "since": "2013-10-07"}]}"#,
        place: "bindings[1]",
        good: r#"{"source": "t", "symbol": "ONE"}"#,
        bad: r#"
            - | source, symbol | "s"
            .source | missing | {"source": null}
            .source | comma | {"source": "a,b"}
            .symbol | missing | {"symbol": null}
            .symbol | white space | {"symbol": " B"}
            .symbol | longer than 64 | {"symbol": "$LONG"}
            .since | write 2013 | {"since": "monday"}
            .until | leave it out | {"since": "2013-10-07", "until": "2013-10-07"}
            .until | leave it out | {"until": "1699-10-07"}
            .until | 1678 to 2261 | {"until": "2262-04-01"}
            .known_at | leave it out | {"known_at": "2100-01-01T00:00:00Z"}
            .instrument | there are: source | {"instrument": "A"}
        "#,
    })
    .await;
}

#[tokio::test]
async fn a_binding_within_that_of_another_instrument_leaves_all_as_they_were() {
    check(Facts {
        request: "PUT /v1/instruments",
        body: r#"[{"id": "G1", "bindings": [
                   {"source": "s", "symbol": "X", "since": "2013-10-01", "until": "2013-10-09"}]},
                  {"id": "G2", "name": "two", "bindings": [BAD]}]"#,
        place: "[1].bindings[0]",
        good: r#"{"source": "s", "symbol": "X", "since": "2013-10-09"}"#,
        bad: r#"
            .since | choose one | {"since": "2013-10-02"}
            .since | choose one | {"since": "2013-10-01"}
            409 .until | end there | {"symbol": "OLD", "since": "2013-09-01", "until": "2013-10-02"}
        "#,
    })
    .await;
}

#[tokio::test]
async fn one_action_that_cannot_be_leaves_all_as_they_were() {
    check(Facts {
        request: "PUT /v1/instruments/A",
        body: r#"{"name": "a", "actions": [{"ex_date": "2013-10-07", "kind": "split", "value": 2},
                  BAD, {"ex_date": "2013-10-09", "kind": "dividend", "value": 0.5}]}"#,
        place: "actions[1]",
        good: r#"{"ex_date": "2013-10-07", "kind": "dividend", "value": "0.25"}"#,
        bad: r#"
            - | ex_date, kind | null
            .ex_date | missing | {"ex_date": null}
            .ex_date | YYYY-MM-DD | {"ex_date": "2013-02-29"}
            .ex_date | YYYY-MM-DD | {"ex_date": "2013-10-08T00:00:00Z"}
            .ex_date | 1678 to 2261 | {"ex_date": "2262-03-30"}
            .ex_date | say one | {"kind": "split", "value": 3}
            .kind | missing | {"kind": null}
            .kind | split, dividend | {"kind": "merger"}
            .value | missing | {"value": null, "kind": "split"}
            .value | new shares | {"kind": "split", "value": 0}
            .value | cash | {"value": -0.5}
            .value | write 1.5 | {"kind": "split", "value": "two"}
            .value | write 1.5 | {"kind": "split", "value": "inf"}
            .known_at | leave it out | {"known_at": "2100-01-01T00:00:00Z"}
            .date | there are: ex_date | {"date": "2013-10-08"}
        "#,
    })
    .await;
}

#[tokio::test]
async fn one_rule_that_cannot_be_leaves_all_as_they_were() {
    let of_one = |place, good, bad| Facts {
        request: "PUT /v1/rules/bars",
        body: r#"{"off_session": {"enabled": false}, BAD, "stale_price": {"severity": "error"}}"#,
        place,
        good,
        bad,
    };
    check(of_one(
        "",
        r#""spike": {"thresholds": {"k": 9}}"#,
        r#"
            spikes | spike, off_session | "spikes": {}
            crossed_locked | quotes | "crossed_locked": {}
            spike | enabled, severity | "spike": true
            spike | say it once | "spike": {}, "spike": {"enabled": false}
            spike.colour | there are: enabled | "spike": {"colour": 1}
            spike.enabled | write one of them | "spike": {"enabled": "no"}
            spike.severity | info, warn, error | "spike": {"severity": "bad"}
            spike.severity | in quotes | "spike": {"severity": 1}
            spike.action | flag, quarantine | "spike": {"action": "reject"}
            spike.action | flag, quarantine | "spike": {"action": "drop"}
            spike.thresholds | write {"NAME" | "spike": {"thresholds": [9]}
            spike.thresholds.x | none of k, m | "spike": {"thresholds": {"k": 9, "x": 1}}
            spike.thresholds.k | write 1.5 | "spike": {"thresholds": {"k": "x"}}
            spike.thresholds.k | from | "spike": {"thresholds": {"k": -1}}
            spike.thresholds.m | whole number | "spike": {"thresholds": {"m": 1.5}}
            spike.known_at | leave it out | "spike": {"known_at": "2100-01-01T00:00:00Z"}
            ohlc_order.thresholds.k | has none | "ohlc_order": {"thresholds": {"k": 1}}
        "#,
    ))
    .await;
}

#[tokio::test]
async fn one_setting_that_cannot_be_leaves_all_as_they_were() {
    check(Facts {
        request: "PUT /v1/sources/bars",
        body: r#"{"fallback": "none", BAD, "publish_delay": {"s": "2s"}}"#,
        place: "",
        good: r#""sources": ["t", "s"]"#,
        bad: r#"
            sources | write [...] | "sources": "t"
            sources[1] | is there twice | "sources": ["t", "t"]
            sources[0] | holds a space | "sources": ["a b"]
            sources[0] | comma | "sources": ["a,b"]
            fallback | say it once | "fallback": "slot"
            publish_delay | say it once | "publish_delay": {"t": 1}
            adjustment | write {"NAME" | "adjustment": ["none"]
            adjustment.t | none, splits, all | "adjustment": {"t": "full"}
            adjustment.a,b | comma | "adjustment": {"a,b": "none"}
            known_at | leave it out | "known_at": "2100-01-01T00:00:00Z"
            colour | there are: sources | "colour": 1
        "#,
    })
    .await;
    check(Facts {
        request: "PUT /v1/sources/bars",
        body: r#"{"fallback": "none", "publish_delay": {"s": "2s", "t": BAD}}"#,
        place: "publish_delay.t",
        good: r#""15m""#,
        bad: r#"
            - | 0 and 400 days | -1
            - | 0 and 400 days | "401d"
            - | write nanoseconds | "15"
            - | write nanoseconds | "1w"
            - | write nanoseconds | true
            - | write nanoseconds | 1.5
        "#,
    })
    .await;
}

#[tokio::test]
async fn one_halt_that_cannot_be_leaves_all_as_they_were() {
    check(Facts {
        request: "POST /v1/halts",
        body: r#"[{"instrument": "A", "start": "2013-10-07T14:00:00Z"}, BAD,
                  {"instrument": "B", "start": "2013-10-07T14:00:00Z", "note": "two"}]"#,
        place: "[1]",
        good: r#"{"symbol": "A", "start": "2013-10-07T15:00:00Z", "end": "2013-10-07T15:05:00Z"}"#,
        bad: r#"
            - | instrument, symbol | "A"
            .instrument | its id | {"symbol": null}
            .symbol | say one of them | {"instrument": "A"}
            .instrument | comma | {"instrument": "a,b"}
            .start | missing | {"start": null}
            .start | write a time | {"start": "2013-10-07"}
            .start | write 2013 | {"start": "2013-10-07T15:00:00"}
            .start | nanoseconds | {"start": 1381152600}
            .start | 1678 to 2261 | {"start": "2262-04-01T00:00:00Z"}
            .start | each span once | {"start": "2013-10-07T14:00:00Z"}
            .end | leave it out | {"end": "2013-10-07T15:00:00Z"}
            .end | write 2013 | {"end": true}
            .note | in quotes | {"note": 1}
            .known_at | leave it out | {"known_at": "2100-01-01T00:00:00Z"}
            .reason | there are: instrument | {"reason": "x"}
        "#,
    })
    .await;
}

#[tokio::test]
async fn one_outage_that_cannot_be_leaves_all_as_they_were() {
    check(Facts {
        request: "POST /v1/outages",
        body: r#"[{"source": "s", "start": "2013-10-07T14:00:00Z"}, BAD,
                  {"source": "t", "symbol": "A", "start": "2013-10-07T14:00:00Z"}]"#,
        place: "[1]",
        good: r#"{"source": "s", "symbol": "A", "start": "2013-10-07T14:00:00Z"}"#,
        bad: r#"
            - | source, symbol | ["s"]
            .source | missing | {"source": null}
            .source | comma | {"source": "a,b"}
            .symbol | comma | {"symbol": "a,b"}
            .start | missing | {"start": null}
            .start | write a time | {"start": "2013-10-07"}
            .start | each span once | {"symbol": "*"}
            .end | leave it out | {"end": "2013-10-07T13:00:00Z"}
            .known_at | leave it out | {"known_at": "2100-01-01T00:00:00Z"}
            .instrument | there are: source | {"instrument": "A"}
        "#,
    })
    .await;
}

#[tokio::test]
async fn one_claim_that_cannot_be_leaves_all_as_they_were() {
    check(Facts {
        request: "POST /v1/datasets/bars/claims?timeframe=1m&source=s",
        body: r#"[{"symbol": "A", "start": "2013-10-07", "end": "2013-10-08"}, BAD,
                  {"symbol": "B", "start": "2013-10-07", "end": "2013-10-08"}]"#,
        place: "[1]",
        good: r#"{"symbol": "*", "start": "2013-10-07T15:00:00Z", "end": "2013-10-08"}"#,
        bad: r#"
            - | symbol, start, end | "A"
            .symbol | missing | {"symbol": null, "start": "2013-10-07"}
            .symbol | comma | {"symbol": "a,b", "start": "2013-10-07"}
            .start | missing | {"start": null, "symbol": "A"}
            .start | nanoseconds | {"symbol": "A", "start": 1381152600}
            .end | missing | {"end": null, "symbol": "A", "start": "2013-10-07"}
            .end | turn them round | {"symbol": "A", "start": "2013-10-08", "end": "2013-10-07"}
            .end | turn them round | {"symbol": "A", "start": "2013-10-07", "end": "2013-10-07"}
            .end | last row there is | {"symbol": "A", "start": "2013-10-07", "end": "2100-10-07"}
            .origin | symbol, start, end | {"origin": "covers"}
        "#,
    })
    .await;
}

#[tokio::test]
async fn one_watermark_that_cannot_be_leaves_all_as_they_were() {
    check(Facts {
        request: "PUT /v1/watermarks",
        body: r#"[{"source": "s", "timeframe": "1m", "up_to": "2013-10-07T14:00:00Z"}, BAD,
                  {"source": "t", "timeframe": "1m", "from": "2013-10-07T13:00:00Z",
                   "up_to": "2013-10-07T14:00:00Z"}]"#,
        place: "[1]",
        good: r#"{"source": "s", "timeframe": "1m", "symbols": ["A"],
                  "up_to": "2013-10-07T15:00:00Z"}"#,
        bad: r#"
            - | source, dataset | 1
            .source | missing | {"source": null}
            .dataset | "ticks" | {"timeframe": null, "dataset": "ticks"}
            .timeframe | say 1m, 1d | {"timeframe": null}
            .timeframe | say 1m, 1d | {"timeframe": "2m"}
            .timeframe | have none | {"dataset": "trades"}
            .price | trade, bid, ask, mid | {"price": "last"}
            .symbols | write [...] | {"symbols": "A"}
            .symbols[1] | comma | {"symbols": ["A", "a,b"]}
            .from | no watermark to go on from | {"source": "u"}
            .up_to | missing | {"up_to": null}
            .up_to | write a time | {"up_to": "2013-10-07"}
            .up_to | before the watermark | {"up_to": "2013-10-04T14:30:00Z"}
            .up_to | say the last one | {"symbols": null}
            .up_to | turn them round | {"source": "u", "from": "2013-10-07T15:00:00Z"}
            .up_to | last row there is | {"up_to": "2100-01-01T00:00:00Z"}
            .colour | there are: source | {"colour": 1}
        "#,
    })
    .await;
}

#[tokio::test]
async fn one_verdict_that_cannot_be_leaves_all_as_they_were() {
    check(Facts {
        request: "POST /v1/quality/verdicts",
        body: r#"[{"symbol": "A", "source": "s", "timeframe": "1m", "ts": "2013-10-07T13:30:00Z",
                   "act": "quarantine"}, BAD,
                  {"symbol": "A", "source": "s", "timeframe": "1m", "ts": "2013-10-07T13:32:00Z",
                   "act": "quarantine"}]"#,
        place: "[1]",
        good: r#"{"symbol": "A", "source": "s", "timeframe": "1m", "ts": "2013-10-07T13:31:00Z",
                  "act": "release", "rule": "spike"}"#,
        bad: r#"
            - | symbol, source | "A"
            .symbol | missing | {"symbol": null}
            .source | missing | {"source": null}
            .timeframe | missing | {"timeframe": null}
            .timeframe | say 1m, 1d | {"timeframe": "tick"}
            .price | trade, bid, ask, mid | {"price": "x"}
            .ts | missing | {"ts": null}
            .ts | write a time | {"ts": "2013-10-07"}
            404 .ts | no visible 1m bar | {"ts": "2013-10-07T13:45:00Z"}
            404 .ts | no visible 1m bar | {"source": "u", "ts": "2013-10-07T13:30:00Z"}
            .ts | say one verdict | {"rule": null, "ts": "2013-10-07T13:30:00Z"}
            .act | missing | {"act": null}
            .act | quarantine, release | {"act": "drop"}
            .act | leave rule out | {"act": "quarantine"}
            .rule | manual nor one of | {"rule": "spikes"}
            .known_at | there are: symbol | {"known_at": "2013-10-08T00:00:00Z"}
        "#,
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_not_json_or_another_kind_of_it_states_nothing() {
    let server = server().await;
    let before = server.seen().await;
    for request in [
        "PUT /v1/calendars/XNYS/days",
        "PUT /v1/instruments",
        "PUT /v1/instruments/A",
        "PUT /v1/rules/bars",
        "PUT /v1/sources/bars",
        "POST /v1/halts",
        "POST /v1/outages",
        "POST /v1/datasets/bars/claims?timeframe=1m&source=s",
        "PUT /v1/watermarks",
        "POST /v1/quality/verdicts",
    ] {
        let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
        for body in [
            b"".to_vec(),
            b"[{".to_vec(),
            b"[] []".to_vec(),
            b"NaN".to_vec(),
            b"\xFF\xFE".to_vec(),
            b"null".to_vec(),
            b"\"A\"".to_vec(),
            b"1e999".to_vec(),
            deep,
        ] {
            let shown = String::from_utf8_lossy(&body[..body.len().min(20)]).into_owned();
            let (status, problem) = server.send_text(request, "application/json", body).await;
            let told = (status, &problem["field"]);
            assert_eq!(told, (400, &json!("body")), "{request} {shown}: {problem}");
        }
        let (status, problem) = server.send_text(request, "text/csv", b"{}".to_vec()).await;
        assert_eq!((status, &problem["field"]), (415, &json!("Content-Type")), "{problem}");
        let joint = if request.contains('?') { '&' } else { '?' };
        let request = format!("{request}{joint}colour=1");
        let kind = "application/json";
        let (status, problem) = server.send_text(&request, kind, b"{}".to_vec()).await;
        assert_eq!((status, &problem["field"]), (400, &json!("colour")), "{problem}");
    }
    assert_eq!(server.seen().await, before);
    server.stop().await;
}

const VENUE: &str = "\
calendar XTST
zone Asia/Tokyo
version 7
covers 2013-10-01 2013-11-30
shape a 0 360 break 150 210
shape b 0 150 early_close
2013-10 .aaa..aaaaa..aaaaa..aaaab..aaaa
2013-11 a..aaaaa..aaaaa..aaaaa..aaaaa.
";

#[tokio::test]
async fn one_line_of_a_calendar_that_cannot_be_makes_none() {
    let server = server().await;
    let before = server.seen().await;
    let put = "PUT /v1/calendars/XTST";
    for (from, to, field, hint) in [
        ("calendar XTST", "calendar XOTHER", "calendar", "XTST in the path"),
        ("calendar XTST", "calender XTST", "body", "line 1: 'calender' is none of calendar, zone"),
        ("calendar XTST\n", "", "body", "the line 'calendar' is missing"),
        ("Asia/Tokyo", "Mars/Olympus", "zone", "write Asia/Tokyo"),
        ("covers 2013-10-01", "covers 2013-10-32", "body", "line 4: '2013-10-32' is not a date"),
        ("covers 2013-10-01 2013-11-30", "covers 2013-10-01", "body", "a first and a last date"),
        ("shape b 0 150", "shape b 150 0", "body", "line 6: shape b: close: is not after open"),
        ("shape b 0 150", "shape b 0 2h", "body", "whole minutes from 00:00 UTC"),
        ("150 210", "150 360", "body", "line 5: shape a: break_end: is not before close"),
        ("early_close", "half", "body", "line 6: shape b: 'half' is not known"),
        ("2013-10 .", "2013-10 c", "body", "line 7: day 1: there is no shape 'c'"),
        ("2013-10 .", "2013-10 ", "body", "line 7: 2013-10 has 31 days"),
        ("2013-11 a", "2013-12 a", "body", "line 8: here stands 2013-12, where 2013-11 must"),
        ("2013-11 a..aaaaa..aaaaa..aaaaa..aaaaa.\n", "", "body", "months up to the last date"),
        ("shape a 0 360", "shape a 0 1600", "body", "begins before the session before it"),
    ] {
        assert!(VENUE.contains(from), "{from}");
        let sent = VENUE.replacen(from, to, 1).into_bytes();
        let (status, problem) = server.send_text(put, "text/plain", sent).await;
        assert_eq!((status, &problem["field"]), (400, &json!(field)), "{to}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(hint), "{to}: {problem}");
    }
    let (status, problem) = server.send_text(put, "text/plain", b"\xFF\n".to_vec()).await;
    assert_eq!((status, &problem["field"]), (400, &json!("body")), "{problem}");
    assert_eq!(server.seen().await, before);
    let (status, taken) = server.send_text(put, "text/plain", VENUE.into()).await;
    assert_eq!(status, 200, "{taken}");
    assert_ne!(server.seen().await[1..], before[1..]);
    server.stop().await;
}

#[tokio::test]
async fn rows_that_come_with_a_claim_or_calendar_that_cannot_be_are_not_stored() {
    let server = server().await;
    let before = server.seen().await;
    let range = "2013-10-07T13:00:00Z..2013-10-07T14:00:00Z";
    for (query, status, field, hint) in [
        ("&covers=2013-10-07".to_owned(), 400, "covers", "START..END"),
        ("&covers=a..b".to_owned(), 400, "covers", "write 2013-10-07T09:30:00-04:00"),
        ("&covers=2013-10-08..2013-10-07".to_owned(), 400, "covers", "END after START"),
        ("&covers=2013-10-07..2100-01-01".to_owned(), 400, "covers", "in the future"),
        ("&covers_symbols=A".to_owned(), 400, "covers_symbols", "covers=START..END is missing"),
        (format!("&covers={range}&covers_symbols=A,,B"), 400, "covers_symbols", "empty"),
        ("&replace=true".to_owned(), 400, "replace", "covers=START..END is missing"),
        (format!("&covers={range}&replace=1"), 400, "replace", "neither true nor false"),
        (
            format!("&covers={range}&replace=true&covers_symbols=*"),
            400,
            "covers_symbols",
            "name the symbols",
        ),
        ("&calendar=XMOON".to_owned(), 400, "calendar", "PUT /v1/calendars/XMOON"),
        ("&calendar=XLON".to_owned(), 409, "calendar", "follows XNYS"),
    ] {
        let query = format!("&source=s{query}");
        let (found, problem) = server.post(&query, "text/csv", csv("A", "40 2\n41 2")).await;
        assert_eq!((found, &problem["field"]), (status, &json!(field)), "{query}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(hint), "{query}: {problem}");
    }
    assert_eq!(server.seen().await, before);
    server.stop().await;
}

/// Runs the program against a server.
async fn barrow(server: &Server, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barrow"));
    command.args(words).args(["--server", &format!("http://{}", server.address())]);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn write(dir: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        std::fs::write(dir.join(name), text).unwrap();
    }
}

#[tokio::test]
async fn files_about_instruments_with_one_line_that_cannot_be_are_not_loaded() {
    let server = server().await;
    let before = server.seen().await;
    let map = "19980102,aol,N\n20031015,twx,N\n20501231,twx,N\n";
    let factors = "20120808,0.5,1,10\n20121106,0.5,0.5,10\n20501231,1,1,0\n";
    let table = "symbol,sector,tick_size,calendar\nX,Energy,0.01,XNYS\nY,Energy,0.02,XNYS\nZ,,,\n";
    for (facts, name, good, from, to, hints) in [
        ("instruments", "twx.csv", map, "20031015", "2003-10-15", &["line 2", "yyyymmdd"][..]),
        ("instruments", "twx.csv", map, ",twx,N\n2", ",,N\n2", &["line 2 has no ticker"]),
        ("instruments", "twx.csv", map, "20031015", "19970101", &["line 2", "not after"]),
        ("actions", "twx.csv", factors, "0.5,0.5", "0.5,x", &["line 2", "above 0"]),
        ("actions", "twx.csv", factors, "0.5,0.5", "0.4,0.5", &["2012-08-08", "dividend"]),
        ("actions", "twx.csv", factors, "20121106", "20121306", &["line 2", "yyyymmdd"]),
        ("actions", "twx.csv", map, "", "", &["--dataset instruments"]),
        ("instruments", "all.csv", table, "Y,", ",", &["line 3 has no symbol"]),
        ("instruments", "all.csv", table, "Y,", "X,", &["line 3", "twice"]),
        ("instruments", "all.csv", table, ",0.02,XNYS", "", &["line: 3"]),
        ("instruments", "all.csv", table, "0.02", "two", &["Y", "tick_size", "above 0"]),
        ("instruments", "all.csv", table, "Y,", "\"a,b\",", &["a,b", "comma"]),
        ("instruments", "all.csv", table, "0.02,XNYS", ",XMOON", &["Y", "calendar", "XMOON"]),
        ("instruments", "all.csv", "sector,industry\n", "", "", &["a header with a symbol"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        assert!(good.contains(from), "{from}");
        // The good files beside it are not loaded either.
        let (first, last) = match facts {
            "actions" => ("20120808,0.5,1,10\n20501231,1,1,0\n", factors),
            _ => ("symbol,name\nG1,one\n", "19980102,g2\n20501231,g2\n"),
        };
        let bad = good.replacen(from, to, 1);
        write(dir.path(), &[("a.csv", first), (name, &bad), ("zz.csv", last)]);
        let path = dir.path().to_str().unwrap();
        let words = ["import", path, "--dataset", facts, "--source", "lean"];
        let calendar = ["--calendar", "XNYS"];
        let calendar = if facts == "actions" { &calendar[..] } else { &[] };
        let output = barrow(&server, &[&words[..], calendar].concat()).await;
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{name} {to}");
        for hint in hints {
            assert!(told.contains(hint), "{name} {to}: {hint}: {told}");
        }
        assert_eq!(server.seen().await, before, "{name} {to}");
    }
    server.stop().await;
}

#[tokio::test]
async fn commands_that_state_what_cannot_be_fail_and_state_nothing() {
    let server = server().await;
    let before = server.seen().await;
    for (line, hints) in [
        ("halts add A --start 2013-10-07", &["start", "write a time"][..]),
        (
            "halts add A --start 2013-10-07T15:00:00Z --end 2013-10-07T14:00:00Z",
            &["end", "leave it out"],
        ),
        ("rules set bars spikes --action flag", &["spikes", "spike, off_session"]),
        ("rules set bars spike --action reject", &["action", "flag, quarantine"]),
        ("rules set bars spike --threshold k=-1", &["k", "from"]),
        ("sources set bars --order t,t", &["sources[1]", "twice"]),
        ("sources set bars --publish-delay t=1w", &["publish_delay.t", "write nanoseconds"]),
        ("sources set nothing --order t", &["dataset", "nothing"]),
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        let output = barrow(&server, &words).await;
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{line}");
        for hint in hints {
            assert!(told.contains(hint), "{line}: {hint}: {told}");
        }
    }
    assert_eq!(server.seen().await, before);
    server.stop().await;
}
