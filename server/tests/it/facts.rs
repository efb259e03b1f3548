//! Facts in, taken back, and as they were seen before and after.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, answer, csv};

impl Server {
    /// Sends JSON.
    async fn send(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let request = self.request(method, path).header("content-type", "application/json");
        answer(request.body(body.to_string()).send().await.unwrap()).await
    }

    /// Sends JSON that must be taken.
    pub(crate) async fn state_facts(&self, method: Method, path: &str, body: &Value) -> Value {
        let (status, answer) = self.send(method, path, body).await;
        assert_eq!((status, &answer["rejected"]), (200, &json!(0)), "{path}: {answer}");
        answer
    }

    /// What a refused request must leave as it was.
    async fn sequence(&self) -> Value {
        self.get("/v1/datasets/bars").await.1["sequence"].clone()
    }

    /// The rows of a table: the values of some columns.
    async fn rows(&self, path: &str, columns: &[&str]) -> Vec<Vec<Value>> {
        let (status, table) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {table}");
        let rows = table["rows"].as_array().unwrap().iter();
        rows.map(|row| columns.iter().map(|name| row[*name].clone()).collect()).collect()
    }

    /// Sends JSON that must be refused for `field`, leaving nothing.
    async fn refuse(&self, method: Method, path: &str, body: &Value, status: u16, field: &str) {
        let before = self.sequence().await;
        let (found, problem) = self.send(method, path, body).await;
        assert_eq!((found, &problem["field"]), (status, &json!(field)), "{path} {body}: {problem}");
        assert_eq!(self.sequence().await, before, "{path} {body}");
    }
}

const ROWS: &str = "/v1/datasets/bars/rows?timeframe=1m&source=s";

async fn claims(server: &Server) -> Vec<Vec<Value>> {
    server.rows("/v1/claims", &["symbol", "start", "end", "origin"]).await
}

#[tokio::test]
async fn rows_claim_the_range_that_they_cover() {
    let server = Server::start().await;
    let covers = "&source=s&covers=2013-10-07T13:30:00Z..2013-10-07T13:40:00Z";
    let rows = csv("B", "30 1") + csv("A", "31 1").split_once('\n').unwrap().1;
    let body = server.load(&format!("{covers}&batch_id=b"), &rows).await;
    assert_eq!((&body["claims"], &body["accepted"]), (&json!(2), &json!(2)), "{body}");
    assert!(body.get("warning").is_none() && body.get("calendar").is_none(), "{body}");
    let claim = |symbol: &str| {
        let (start, end) = ("2013-10-07T13:30:00Z", "2013-10-07T13:40:00Z");
        vec![json!(symbol), json!(start), json!(end), json!("covers")]
    };
    assert_eq!(claims(&server).await, [claim("A"), claim("B")]);
    // An empty body says that there was nothing.
    let path = format!("{ROWS}&covers=2013-10-07..2013-10-08&covers_symbols=*");
    let (status, body) = answer(server.request(Method::POST, &path).send().await.unwrap()).await;
    assert_eq!((status, &body["claims"]), (200, &json!(1)), "{body}");
    assert_eq!(body["calendar"], "none");
    assert_eq!(claims(&server).await.len(), 3);
    // Taken back with the batch.
    let path = "/v1/datasets/bars/rows?batch=b";
    let (status, body) = answer(server.request(Method::DELETE, path).send().await.unwrap()).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(claims(&server).await.len(), 1);
    let seen = server.rows("/v1/claims?at_sequence=1", &["symbol"]).await;
    assert_eq!(seen, [vec![json!("A")], vec![json!("B")]]);
    server.stop().await;
}

#[tokio::test]
async fn a_row_that_may_lie_anywhere_takes_the_claim_away() {
    let server = Server::start().await;
    let covers = "&source=s&covers=2013-10-07T13:30:00Z..2013-10-07T13:40:00Z";
    // A rejected row of known symbol and time leaves a known hole.
    let (status, body) = server.post(covers, "text/csv", csv("A", "30 1\n31 NaN")).await;
    assert_eq!((status, &body["claims"]), (200, &json!(1)), "{body}");
    // So does one whose values cannot be read.
    let rows = csv("A", "33 1") + "A,2013-10-07T13:34:00Z,x,2,1,1\n";
    let (status, body) = server.post(covers, "text/csv", rows).await;
    assert_eq!((status, &body["claims"]), (200, &json!(1)), "{body}");
    let path =
        "/v1/gaps?symbols=A&start=2013-10-07T13:30:00Z&end=2013-10-07T13:36:00Z&frequency=1m";
    let gap = |start: &str, end: &str, reason: &str| {
        vec![
            json!(format!("2013-10-07T13:{start}:00Z")),
            json!(format!("2013-10-07T13:{end}:00Z")),
            json!(reason),
        ]
    };
    assert_eq!(
        server.rows(path, &["start", "end", "reason"]).await,
        [
            gap("31", "32", "missing"),
            gap("32", "33", "no_trade"),
            gap("34", "35", "missing"),
            gap("35", "36", "no_trade"),
        ]
    );
    for row in ["A,,1,2,0.5,1", ",2013-10-07T13:32:00Z,1,2,0.5,1", "A,2013-10-07 13:32,x,2,1,1"] {
        let rows = csv("A", "33 1") + row + "\n";
        let (status, body) = server.post(covers, "text/csv", rows).await;
        assert_eq!((status, &body["claims"]), (200, &json!(0)), "{row}: {body}");
        assert!(body["warning"].as_str().unwrap().contains("not taken"), "{body}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_covered_range_is_replaced_if_that_is_asked_for() {
    let server = Server::start().await;
    server.load("&source=s", &csv("A", "29 9\n30 1\n31 2\n32 3\n33 4")).await;
    server.load("&source=s", &csv("B", "31 7")).await;
    server.load("&source=other", &csv("A", "31 8")).await;
    let before = server.sequence().await;
    let covers = "&source=s&covers=2013-10-07T13:30:00Z..2013-10-07T13:33:00Z";
    // A claim alone says something about gaps and takes nothing away.
    let body = server.load(covers, &csv("A", "30 1")).await;
    assert_eq!((&body["claims"], &body["retracted"]), (&json!(1), &json!(0)), "{body}");
    let replace = format!("{covers}&replace=true&batch_id=r");
    let body = server.load(&replace, &csv("A", "30 1\n31 5")).await;
    let counts = ["duplicates", "corrected", "accepted", "retracted", "claims"];
    assert_eq!(counts.map(|name| body[name].as_u64().unwrap()), [1, 1, 0, 1, 1], "{body}");
    let of_s = "&source=s&symbols=A,B";
    assert_eq!(server.closes(of_s).await, "29 9.0\n30 1.0\n31 5.0\n33 4.0\n31 7.0");
    assert_eq!(server.closes("&source=other&symbols=A").await, "31 8.0");
    let then = format!("{of_s}&at_sequence={before}");
    assert_eq!(server.closes(&then).await, "29 9.0\n30 1.0\n31 2.0\n32 3.0\n33 4.0\n31 7.0");
    let again = server.load(&replace, &csv("A", "30 1\n31 5")).await;
    assert_eq!((&again["retracted"], &again["repeated"]), (&json!(1), &json!(true)), "{again}");
    // An empty body: there was nothing.
    let path = format!("{ROWS}{}&replace=true&covers_symbols=A", &covers["&source=s".len()..]);
    let (status, body) = answer(server.request(Method::POST, &path).send().await.unwrap()).await;
    assert_eq!((status, &body["retracted"]), (200, &json!(2)), "{body}");
    assert_eq!(server.closes("&source=s&symbols=A").await, "29 9.0\n33 4.0");
    // If a row may lie anywhere, nothing is.
    let range = "&source=s&covers=2013-10-07T13:00:00Z..2013-10-07T14:00:00Z&replace=true";
    let rows = csv("A", "30 1") + "A,,1,2,0.5,1\n";
    let (status, body) = server.post(range, "text/csv", rows).await;
    assert_eq!((status, &body["retracted"], &body["claims"]), (200, &json!(0), &json!(0)));
    assert!(body["warning"].as_str().unwrap().contains("not taken"), "{body}");
    for (query, field) in [
        ("&replace=true", "replace"),
        ("&covers=2013-10-07..2013-10-08&replace=yes", "replace"),
        ("&covers=2013-10-07..2013-10-08&replace=true&covers_symbols=A,*", "covers_symbols"),
    ] {
        let before = server.sequence().await;
        let (status, problem) = server.post(query, "text/csv", csv("A", "30 1")).await;
        assert_eq!((status, &problem["field"]), (400, &json!(field)), "{query}: {problem}");
        assert_eq!(server.sequence().await, before, "{query}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_replaces_a_range_is_not_cut_into_parts() {
    let mut config = crate::harness::config();
    config.engine.batch_bytes_max = 4_096;
    let server = Server::start_with(config).await;
    let minutes: String = (0..60).map(|minute| format!("{minute:02} 1.5\n")).collect();
    let covers = "&source=s&covers=2013-10-07T13:00:00Z..2013-10-07T14:00:00Z&replace=true";
    let (status, problem) = server.post(covers, "text/csv", csv("A", &minutes)).await;
    assert_eq!((status, &problem["field"]), (413, &json!("body")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("replace=true"), "{problem}");
    assert_eq!(server.sequence().await, 0);
    server.stop().await;
}

#[tokio::test]
async fn with_several_parts_the_last_one_claims() {
    let mut config = crate::harness::config();
    config.engine.batch_bytes_max = 4_096;
    let server = Server::start_with(config).await;
    let minutes: String = (0..60).map(|minute| format!("{minute:02} 1.5\n")).collect();
    let covers = "&source=s&covers=2013-10-07T13:00:00Z..2013-10-07T14:00:00Z&batch_id=b";
    let body = server.load(covers, &csv("A", &minutes)).await;
    assert!(body["parts"].as_u64().unwrap() > 1, "{body}");
    assert_eq!(body["claims"], 1);
    let claimed = server.rows("/v1/claims", &["sequence"]).await;
    assert_eq!(claimed, [vec![body["sequence"].clone()]]);
    let again = server.load(covers, &csv("A", &minutes)).await;
    assert_eq!((&again["claims"], &again["repeated"]), (&json!(1), &json!(true)), "{again}");
    // A row without a time in the first part takes the claim of the last away.
    let rows = csv("A", &minutes).replacen("A,2013-10-07T13:00:00Z", "A,", 1);
    let covers = covers.replace("=b", "=c");
    let (status, body) = server.post(&covers, "text/csv", rows).await;
    assert_eq!((status, &body["claims"]), (200, &json!(0)), "{body}");
    server.stop().await;
}

#[tokio::test]
async fn claims_that_cannot_be_name_their_parameter() {
    let server = Server::start().await;
    for (query, field) in [
        ("&covers=2013-10-07", "covers"),
        ("&covers=x..y", "covers"),
        ("&covers=2013-10-08..2013-10-07", "covers"),
        ("&covers=2013-10-07..2100-10-07", "covers"),
        ("&covers=2013-10-07..2013-10-08&covers_symbols=A,A", "covers_symbols"),
        ("&covers=2013-10-07..2013-10-08&covers_symbols=A,", "covers_symbols"),
        ("&covers_symbols=A", "covers_symbols"),
    ] {
        let before = server.sequence().await;
        let (status, problem) = server.post(query, "text/csv", csv("A", "30 1")).await;
        assert_eq!((status, &problem["field"]), (400, &json!(field)), "{query}: {problem}");
        assert_eq!(server.sequence().await, before, "{query}");
    }
    let path = format!("{ROWS}&covers=2013-10-07..2013-10-08");
    let (status, problem) = answer(server.request(Method::POST, &path).send().await.unwrap()).await;
    assert_eq!((status, &problem["field"]), (400, &json!("covers_symbols")), "{problem}");
    let path = "/v1/datasets/bars/claims?timeframe=1m&source=s&origin=complete";
    for (body, field) in [
        (json!({}), "body"),
        (json!([{"symbol": "A", "start": "2013-10-07"}]), "[0].end"),
        (json!([{"symbol": "A", "start": "2013-10-07", "end": "2013-10-07"}]), "[0].end"),
        (json!([{"symbol": "A", "start": "2013-10-07", "end": "2100-10-07"}]), "[0].end"),
        (json!([{"symbol": "a,b", "start": "2013-10-07", "end": "2013-10-08"}]), "[0].symbol"),
        (json!([{"symbol": "A", "colour": 1}]), "[0].colour"),
    ] {
        server.refuse(Method::POST, path, &body, 400, field).await;
    }
    let range = json!([{"symbol": "A", "start": "2013-10-07", "end": "2013-10-09"}]);
    server
        .refuse(Method::POST, &path.replace("complete", "watermark"), &range, 400, "origin")
        .await;
    let body = server.state_facts(Method::POST, path, &range).await;
    assert_eq!(body["claims"], 1);
    assert_eq!(claims(&server).await[0][3], "complete");
    server.stop().await;
}

#[tokio::test]
async fn what_an_import_claims_goes_with_its_rows() {
    let server = Server::start().await;
    server.load("&source=s&batch_id=f", &csv("A", "30 1\n31 1")).await;
    let path = "/v1/datasets/bars/claims?timeframe=1m&source=s&batch_id=f:complete";
    let range = json!([{"symbol": "A", "start": "2013-10-07T13:30:00Z",
                        "end": "2013-10-07T13:32:00Z"}]);
    server.state_facts(Method::POST, path, &range).await;
    assert_eq!(claims(&server).await.len(), 1);
    let delete = "/v1/datasets/bars/rows?batch=f";
    let (status, body) = answer(server.request(Method::DELETE, delete).send().await.unwrap()).await;
    assert_eq!((status, &body["accepted"]), (200, &json!(2)), "{body}");
    assert!(claims(&server).await.is_empty());
    server.stop().await;
}

fn meta() -> Value {
    json!({
        "calendar": "XNYS",
        "name": [{"value": "FB", "since": "2012-05-18"}, {"value": "META", "since": "2022-06-09"}],
        "listed": {"value": true, "since": "2012-05-18"},
        "tick_size": 0.01,
        "bindings": [
            {"source": "lean", "symbol": "FB", "since": "2012-05-18", "until": "2022-06-09"},
            {"source": "lean", "symbol": "META", "since": "2022-06-09"},
        ],
        "actions": [
            {"ex_date": "2024-02-21", "kind": "dividend", "value": 0.5},
            {
                "ex_date": "2030-06-10",
                "kind": "split",
                "value": 4,
                "known_at": "2024-01-01T00:00:00Z",
            },
        ],
    })
}

#[tokio::test]
async fn an_instrument_has_names_bindings_and_actions_with_their_times() {
    let server = Server::start().await;
    let stated = server.state_facts(Method::PUT, "/v1/instruments/meta?batch_id=m", &meta()).await;
    assert_eq!((&stated["accepted"], &stated["parts"]), (&json!(10), &json!(4)), "{stated}");
    let (status, shown) = server.get("/v1/instruments/meta").await;
    assert_eq!(status, 200, "{shown}");
    let whole = &shown["instrument"];
    // Sessions in New York begin, pre-market, at 04:00 there.
    let since = json!([
        {"value": "FB", "since": "2012-05-18T08:00:00Z"},
        {"value": "META", "since": "2022-06-09T08:00:00Z"},
    ]);
    assert_eq!(whole["name"], since);
    assert_eq!(whole["calendar"][0]["since"], "1700-01-01T00:00:00Z");
    assert_eq!(whole["bindings"][0]["until"], "2022-06-09T08:00:00Z");
    assert_eq!(
        whole["bindings"][1],
        json!({
            "source": "lean", "symbol": "META", "since": "2022-06-09T08:00:00Z", "until": null,
        })
    );
    // The open of a winter day.
    assert_eq!(whole["actions"][0]["known_at"], "2024-02-21T14:30:00Z");
    assert_eq!(whole["actions"][1]["known_at"], "2024-01-01T00:00:00Z");
    assert_eq!(shown["in_force"]["name"], "META");
    // What is shown can be stated: nothing changes.
    let again = server.state_facts(Method::PUT, "/v1/instruments/meta", whole).await;
    let counts = [&again["duplicates"], &again["accepted"], &again["corrected"]];
    assert_eq!(counts, [&json!(10), &json!(0), &json!(0)], "{again}");
    // As of a day before the name changed, and before the dividend was known.
    let (_, before) = server.get("/v1/instruments/meta?as_of=2013-10-07T00:00:00Z").await;
    assert_eq!(before["in_force"]["name"], "FB");
    assert_eq!(before["instrument"]["actions"], json!([]));
    let (status, _) = server.get("/v1/instruments/meta?at_sequence=0").await;
    assert_eq!(status, 404);
    // By name, and the list.
    let (_, named) = server.get("/v1/instruments/META").await;
    assert_eq!(named["instrument"]["id"], "meta");
    assert_eq!(server.get("/v1/instruments/id:META").await.0, 404);
    let list = server.rows("/v1/instruments", &["id", "name", "listed", "tick_size"]).await;
    assert_eq!(list, [vec![json!("meta"), json!("META"), json!("true"), json!("0.01")]]);
    // All of it goes with its batch.
    let path = "/v1/datasets/instruments/rows?batch=m";
    let (status, body) = answer(server.request(Method::DELETE, path).send().await.unwrap()).await;
    assert_eq!((status, &body["accepted"]), (200, &json!(10)), "{body}");
    assert_eq!(server.get("/v1/instruments/meta").await.0, 404);
    let (status, _) =
        server.get(&format!("/v1/instruments/meta?at_sequence={}", stated["sequence"])).await;
    assert_eq!(status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_corrected_fact_is_known_since_it_came() {
    let server = Server::start().await;
    let first = server
        .state_facts(Method::PUT, "/v1/instruments/A", &json!({"calendar": "XNYS"}))
        .await["sequence"]
        .clone();
    let body =
        server.state_facts(Method::PUT, "/v1/instruments/A", &json!({"calendar": "XLON"})).await;
    assert_eq!(body["corrected"], 1, "{body}");
    let calendar = async |query: &str| {
        server.get(&format!("/v1/instruments/A{query}")).await.1["in_force"]["calendar"].clone()
    };
    assert_eq!(calendar("").await, "XLON");
    assert_eq!(calendar("?as_of=2013-10-07T00:00:00Z").await, "XNYS");
    assert_eq!(calendar(&format!("?at_sequence={first}")).await, "XNYS");
    let body =
        server.state_facts(Method::PUT, "/v1/instruments/A", &json!({"calendar": null})).await;
    assert_eq!(body["corrected"], 1, "{body}");
    assert_eq!(calendar("").await, Value::Null);
    server.stop().await;
}

#[tokio::test]
async fn a_reused_ticker_is_two_instruments() {
    let server = Server::start().await;
    let all = json!([
        {"id": "twx.1", "bindings": [
            {"source": "lean", "symbol": "TWX", "since": "1998-01-02", "until": "2001-01-12"}]},
        {"id": "twx", "bindings": [
            {"source": "lean", "symbol": "AOL", "since": "1998-01-02", "until": "2003-10-16"},
            {"source": "lean", "symbol": "TWX", "since": "2003-10-16", "until": "2018-06-16"}]},
    ]);
    server.state_facts(Method::PUT, "/v1/instruments", &all).await;
    let named = async |name: &str, at: &str| {
        let path = format!("/v1/instruments/{name}?as_of={at}T00:00:00Z");
        server.get(&path).await.1["instrument"]["id"].clone()
    };
    server.state_facts(Method::PUT, "/v1/instruments", &all).await;
    let (_, shown) = server.get("/v1/instruments/twx.1").await;
    assert_eq!(shown["instrument"]["bindings"][0]["until"], "2001-01-12T00:00:00Z");
    assert_eq!(named("twx", "2000-01-03").await, "twx");
    // What the ticker is bound to within a range cannot be said twice.
    let other = json!({"bindings": [
        {"source": "lean", "symbol": "TWX", "since": "1999-01-01", "until": "2010-01-01"}]});
    server.refuse(Method::PUT, "/v1/instruments/x", &other, 409, "bindings[0].until").await;
    server.stop().await;
}

#[tokio::test]
async fn instruments_that_cannot_be_name_the_field_and_leave_nothing() {
    let server = Server::start().await;
    let good = json!({"id": "GOOD", "name": "Good"});
    for (bad, field) in [
        (json!({"name": "x"}), "[1].id"),
        (json!({"id": "a,b"}), "[1].id"),
        (json!({"id": "GOOD"}), "[1].id"),
        (json!({"id": "B", "colour": "red"}), "[1].colour"),
        (json!({"id": "B", "calendar": "XMOON"}), "[1].calendar"),
        (json!({"id": "B", "listed": "maybe"}), "[1].listed"),
        (json!({"id": "B", "tick_size": -1}), "[1].tick_size"),
        (json!({"id": "B", "name": [{"value": "x", "since": "soon"}]}), "[1].name[0].since"),
        (json!({"id": "B", "name": [{"since": "2013-10-07"}]}), "[1].name[0].value"),
        (json!({"id": "B", "name": [{"value": "x"}, {"value": "y"}]}), "[1].name[1].value"),
        (json!({"id": "B", "since": "1381152600"}), "[1].since"),
        (json!({"id": "B", "known_at": "2100-01-01T00:00:00Z"}), "[1].known_at"),
        (json!({"id": "B", "bindings": {}}), "[1].bindings"),
        (json!({"id": "B", "bindings": [{"symbol": "B"}]}), "[1].bindings[0].source"),
        (json!({"id": "B", "bindings": [{"source": "s"}]}), "[1].bindings[0].symbol"),
        (
            json!({"id": "B", "bindings": [
                {"source": "s", "symbol": "B", "since": "2013-10-07", "until": "2013-10-07"}]}),
            "[1].bindings[0].until",
        ),
        (json!({"id": "B", "actions": [{"kind": "split", "value": 2}]}), "[1].actions[0].ex_date"),
        (
            json!({"id": "B", "actions": [{"ex_date": "2013-10-07", "kind": "x", "value": 2}]}),
            "[1].actions[0].kind",
        ),
        (
            json!({"id": "B", "actions": [{"ex_date": "2013-10-07", "kind": "split", "value": 0}]}),
            "[1].actions[0].value",
        ),
    ] {
        let body = json!([good, bad]);
        server.refuse(Method::PUT, "/v1/instruments", &body, 400, field).await;
    }
    server.refuse(Method::PUT, "/v1/instruments", &good, 400, "body").await;
    server.refuse(Method::PUT, "/v1/instruments/X", &good, 400, "id").await;
    let (status, problem) = server.get("/v1/instruments/GOOD").await;
    assert_eq!((status, &problem["field"]), (404, &json!("id")));
    let path = "/v1/datasets/instruments/rows?symbol=A&ts=2013-10-07";
    let (status, problem) =
        answer(server.request(Method::DELETE, path).send().await.unwrap()).await;
    assert_eq!((status, &problem["field"]), (400, &json!("batch")), "{problem}");
    server.stop().await;
}

#[tokio::test]
async fn preference_delay_and_adjustment_of_sources_are_settings() {
    let server = Server::start().await;
    let path = "/v1/sources/bars";
    let body = json!({
        "sources": ["ib", "lean"], "fallback": "slot",
        "publish_delay": {"lean": "2s"}, "adjustment": {"lean": "splits"},
    });
    let first = server.state_facts(Method::PUT, path, &body).await["sequence"].clone();
    let (_, shown) = server.get(path).await;
    assert_eq!((&shown["sources"], &shown["fallback"]), (&json!(["ib", "lean"]), &json!("slot")));
    assert_eq!(shown["publish_delay"]["lean"], 2_000_000_000_u64);
    server
        .state_facts(Method::PUT, path, &json!({"fallback": null, "adjustment": {"lean": null}}))
        .await;
    let (_, shown) = server.get(path).await;
    assert_eq!(
        (&shown["sources"], &shown["fallback"]),
        (&json!(["ib", "lean"]), &json!("session"))
    );
    assert_eq!(shown["adjustment"], json!({}));
    let (_, before) = server.get(&format!("{path}?at_sequence={first}")).await;
    assert_eq!(before["adjustment"]["lean"], "splits");
    for (body, field) in [
        (json!({"sources": ["a b"]}), "sources[0]"),
        (json!({"fallback": "day"}), "fallback"),
        (json!({"publish_delay": {"lean": -1}}), "publish_delay.lean"),
        (json!({"adjustment": {"lean": "x"}}), "adjustment.lean"),
        (json!({"colour": 1}), "colour"),
        (json!([]), "body"),
    ] {
        server.refuse(Method::PUT, path, &body, 400, field).await;
    }
    server.refuse(Method::PUT, "/v1/sources/nothing", &json!({}), 404, "dataset").await;
    server.stop().await;
}

#[tokio::test]
async fn rules_are_data() {
    let server = Server::start().await;
    let path = "/v1/rules/bars";
    let spike = json!({"spike": {"action": "quarantine", "thresholds": {"k": 9}}});
    let body = server.state_facts(Method::PUT, &format!("{path}?batch_id=r"), &spike).await;
    assert_eq!(body["accepted"], 1);
    let columns = ["rule", "enabled", "action", "thresholds", "stated"];
    let of_spike = async |path: &str| {
        let rows = server.rows(path, &columns).await;
        rows.into_iter().find(|row| row[0] == "spike").unwrap()
    };
    let row = |enabled: bool, action: &str, thresholds: &str, stated: bool| {
        let (enabled, stated) = (json!(enabled), json!(stated));
        vec![json!("spike"), enabled, json!(action), json!(thresholds), stated]
    };
    assert_eq!(of_spike(path).await, row(true, "quarantine", "k=9 m=3 min=0.01", true));
    assert_eq!(of_spike("/v1/rules").await, row(true, "quarantine", "k=9 m=3 min=0.01", true));
    let all = server.rows("/v1/rules", &["dataset"]).await;
    assert!(["bars", "trades", "quotes"].iter().all(|name| all.contains(&vec![json!(name)])));
    server.state_facts(Method::PUT, path, &json!({"spike": {"enabled": false}})).await;
    assert_eq!(of_spike(path).await, row(false, "flag", "k=12 m=3 min=0.01", true));
    let before = format!("{path}?as_of=2020-01-01T00:00:00Z");
    assert_eq!(of_spike(&before).await, row(true, "quarantine", "k=9 m=3 min=0.01", true));
    let never = format!("{path}?at_sequence=0");
    assert_eq!(of_spike(&never).await, row(true, "flag", "k=12 m=3 min=0.01", false));
    for (body, field) in [
        (json!({"spikes": {}}), "spikes"),
        (json!({"spike": {"severity": "bad"}}), "spike.severity"),
        (json!({"spike": {"thresholds": {"x": 1}}}), "spike.thresholds.x"),
        (json!({"off_session": {}, "spike": 1}), "spike"),
        (json!([]), "body"),
    ] {
        server.refuse(Method::PUT, path, &body, 400, field).await;
    }
    server.refuse(Method::PUT, "/v1/rules/nothing", &spike, 404, "dataset").await;
    server.stop().await;
}

#[tokio::test]
async fn halts_and_outages_have_an_end_or_go_on() {
    let server = Server::start().await;
    let start = "2013-10-07T14:00:00Z";
    let known_at = "2013-10-07T14:01:00Z";
    let halt = json!({"instrument": "A", "start": start, "note": "news", "known_at": known_at});
    server.state_facts(Method::POST, "/v1/halts?batch_id=h", &halt).await;
    let columns = ["instrument", "end", "note"];
    let open = [vec![json!("A"), json!(null), json!("news")]];
    assert_eq!(server.rows("/v1/halts", &columns).await, open);
    let end = "2013-10-07T14:05:00Z";
    let ended = json!([{"symbol": "A", "start": start, "end": end}]);
    let body = server.state_facts(Method::POST, "/v1/halts", &ended).await;
    assert_eq!(body["corrected"], 1, "{body}");
    assert_eq!(server.rows("/v1/halts", &columns).await[0][1], end);
    assert_eq!(server.rows("/v1/halts?as_of=2013-10-08T00:00:00Z", &columns).await, open);
    assert!(server.rows("/v1/halts?as_of=2013-10-07T14:00:59Z", &columns).await.is_empty());
    assert!(server.rows("/v1/halts?start=2013-10-07T14:05:00Z", &columns).await.is_empty());
    assert_eq!(server.rows("/v1/halts?symbols=A&end=2013-10-08", &columns).await.len(), 1);
    let outage = json!([{"source": "s", "start": start, "end": end},
                        {"source": "s", "symbol": "A", "start": start}]);
    server.state_facts(Method::POST, "/v1/outages?batch_id=o", &outage).await;
    let columns = ["source", "symbol", "end"];
    let both =
        [vec![json!("s"), json!("*"), json!(end)], vec![json!("s"), json!("A"), json!(null)]];
    assert_eq!(server.rows("/v1/outages", &columns).await, both);
    let before = "/v1/outages?as_of=2020-01-01T00:00:00Z";
    assert!(server.rows(before, &columns).await.is_empty(), "nobody said so then");
    assert!(server.rows("/v1/outages?source=t", &columns).await.is_empty());
    let path = "/v1/datasets/outages/rows?batch=o";
    let (status, body) = answer(server.request(Method::DELETE, path).send().await.unwrap()).await;
    assert_eq!((status, &body["accepted"]), (200, &json!(2)), "{body}");
    assert!(server.rows("/v1/outages", &columns).await.is_empty());
    for (path, body, field) in [
        ("/v1/halts", json!({"start": start}), "instrument"),
        ("/v1/halts", json!({"instrument": "A", "symbol": "A", "start": start}), "symbol"),
        ("/v1/halts", json!({"instrument": "A"}), "start"),
        ("/v1/halts", json!({"instrument": "A", "start": "2013-10-07"}), "start"),
        ("/v1/halts", json!([halt, {"instrument": "A", "start": end, "end": start}]), "[1].end"),
        ("/v1/halts", json!({"instrument": "A", "start": start, "note": 1}), "note"),
        ("/v1/outages", json!({"start": start}), "source"),
        ("/v1/outages", json!({"source": "s", "symbol": "a,b", "start": start}), "symbol"),
        ("/v1/outages", json!({"source": "s", "instrument": "A", "start": start}), "instrument"),
    ] {
        server.refuse(Method::POST, path, &body, 400, field).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_watermark_goes_on_from_the_one_before() {
    let server = Server::start().await;
    let path = "/v1/watermarks";
    let at = |minute: u32| format!("2013-10-07T14:{minute:02}:00Z");
    let to = |minute: u32| json!({"source": "s", "timeframe": "1m", "up_to": at(minute)});
    server.refuse(Method::PUT, path, &to(5), 400, "from").await;
    let mut first = to(5);
    first["from"] = json!(at(0));
    let first = server.state_facts(Method::PUT, path, &first).await;
    assert_eq!(first["claims"], 1);
    server.state_facts(Method::PUT, path, &to(7)).await;
    let columns = ["symbol", "source", "timeframe", "price", "up_to"];
    let row = |minute: u32| {
        let names = ["*", "s", "1m", "trade"].map(Value::from);
        names.into_iter().chain([json!(at(minute))]).collect::<Vec<_>>()
    };
    assert_eq!(server.rows(path, &columns).await, [row(7)]);
    let before = format!("{path}?at_sequence={}", first["sequence"]);
    assert_eq!(server.rows(&before, &columns).await, [row(5)]);
    let claimed: Vec<_> = claims(&server).await.into_iter().map(|claim| claim[1].clone()).collect();
    assert_eq!(claimed, [json!(at(0)), json!(at(5))]);
    // The same again is there; a symbol goes on from that of all.
    let sequence = server.sequence().await;
    let again = server.state_facts(Method::PUT, path, &to(7)).await;
    assert_eq!((&again["sequence"], &again["claims"]), (&sequence, &json!(0)), "{again}");
    let mut one = to(8);
    one["symbols"] = json!(["A"]);
    server.state_facts(Method::PUT, path, &one).await;
    assert_eq!(server.rows(&format!("{path}?symbols=A"), &["up_to"]).await, [vec![json!(at(8))]]);
    for (body, field) in [
        (json!({"timeframe": "1m", "up_to": at(9)}), "source"),
        (json!({"source": "s", "up_to": at(9)}), "timeframe"),
        (json!({"source": "s", "timeframe": "2m", "up_to": at(9)}), "timeframe"),
        (json!({"source": "s", "timeframe": "1m"}), "up_to"),
        (to(6), "up_to"),
        (json!({"source": "s", "timeframe": "1m", "up_to": "2100-01-01T00:00:00Z"}), "up_to"),
        (json!({"source": "s", "timeframe": "1m", "price": "x", "up_to": at(9)}), "price"),
        (json!({"source": "s", "dataset": "x", "up_to": at(9)}), "dataset"),
        (
            json!({"source": "s", "dataset": "trades", "timeframe": "1m", "up_to": at(9)}),
            "timeframe",
        ),
        (
            json!({"source": "s", "timeframe": "1m", "symbols": ["a,b"], "up_to": at(9)}),
            "symbols[0]",
        ),
    ] {
        server.refuse(Method::PUT, path, &body, 400, field).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_said_of_trades_is_not_said_of_quotes() {
    let server = Server::start().await;
    let range = json!([{"symbol": "A", "start": "2013-10-07", "end": "2013-10-08"}]);
    for dataset in ["trades", "quotes"] {
        let path = format!("/v1/datasets/{dataset}/claims?source=s&batch_id={dataset}");
        let body = server.state_facts(Method::POST, &path, &range).await;
        assert_eq!((&body["claims"], &body["duplicates"]), (&json!(1), &json!(0)), "{body}");
    }
    let columns = ["dataset", "timeframe", "price", "origin"];
    let claim = |dataset: &str| vec![json!(dataset), json!(null), json!(null), json!("covers")];
    let both = [claim("trades"), claim("quotes")];
    assert_eq!(server.rows("/v1/claims", &columns).await, both);
    assert_eq!(server.rows("/v1/claims?dataset=quotes", &columns).await, both[1..]);
    assert!(server.rows("/v1/claims?dataset=bars", &columns).await.is_empty());
    let (status, problem) = server.get("/v1/claims?dataset=x").await;
    assert_eq!((status, &problem["field"]), (404, &json!("dataset")), "{problem}");
    // A watermark of the one does not move that of the other.
    let to = |dataset: &str, from: &str| {
        let from = json!(format!("2013-10-07T{from}:00:00Z"));
        let up_to = json!("2013-10-07T15:00:00Z");
        json!({"source": "s", "dataset": dataset, "from": from, "up_to": up_to})
    };
    let path = "/v1/watermarks";
    server.state_facts(Method::PUT, path, &to("trades", "14")).await;
    let mut quotes = to("quotes", "13");
    server.state_facts(Method::PUT, path, &quotes).await;
    quotes["up_to"] = json!("2013-10-07T16:00:00Z");
    server.state_facts(Method::PUT, path, &quotes).await;
    let mark =
        |dataset: &str, hour: u32| vec![json!(dataset), json!(format!("2013-10-07T{hour}:00:00Z"))];
    let marks = [mark("trades", 15), mark("quotes", 16)];
    assert_eq!(server.rows(path, &["dataset", "up_to"]).await, marks);
    let of_trades = format!("{path}?dataset=trades");
    assert_eq!(server.rows(&of_trades, &["dataset", "up_to"]).await, marks[..1]);
    // Taking the one back leaves the other.
    let delete = "/v1/datasets/trades/rows?batch=trades";
    let (status, body) = answer(server.request(Method::DELETE, delete).send().await.unwrap()).await;
    assert_eq!(status, 200, "{body}");
    let left = server.rows("/v1/claims?end=2013-10-07T12:00:00Z", &columns).await;
    assert_eq!(left, both[1..]);
    server.stop().await;
}

#[tokio::test]
async fn a_verdict_is_about_the_row_that_is_visible() {
    let server = Server::start().await;
    let path = "/v1/quality/verdicts";
    server.load("&source=s", &csv("A", "30 1\n31 1")).await;
    let second = server.load("&source=s", &csv("A", "30 2")).await["sequence"].clone();
    let of = |minute: u32, act: &str| {
        let ts = format!("2013-10-07T13:{minute}:00Z");
        json!({"symbol": "A", "source": "s", "timeframe": "1m", "ts": ts, "act": act})
    };
    server.state_facts(Method::POST, path, &of(30, "quarantine")).await;
    let columns = ["ts", "rule", "act", "of_sequence"];
    let row = |act: &str| {
        vec![json!("2013-10-07T13:30:00Z"), json!("manual"), json!(act), second.clone()]
    };
    assert_eq!(server.rows(path, &columns).await, [row("quarantine")]);
    // It was not known before it was said.
    assert!(server.rows(&format!("{path}?as_of=2020-01-01T00:00:00Z"), &columns).await.is_empty());
    server.state_facts(Method::POST, path, &of(30, "release")).await;
    assert_eq!(server.rows(path, &columns).await, [row("release")]);
    let mut spike = of(31, "release");
    spike["rule"] = json!("spike");
    spike["note"] = json!("real");
    server.state_facts(Method::POST, &format!("{path}?batch_id=v"), &spike).await;
    assert_eq!(server.rows(&format!("{path}?symbols=A"), &columns).await.len(), 2);
    let delete = "/v1/datasets/verdicts/rows?batch=v";
    let (status, body) = answer(server.request(Method::DELETE, delete).send().await.unwrap()).await;
    assert_eq!((status, &body["accepted"]), (200, &json!(1)), "{body}");
    assert_eq!(server.rows(path, &columns).await.len(), 1);
    server.refuse(Method::POST, path, &of(45, "release"), 404, "ts").await;
    let with = |name: &str, value: Value| {
        let mut body = of(30, "release");
        body[name] = value;
        body
    };
    for (body, field) in [
        (with("symbol", json!(null)), "symbol"),
        (with("source", json!(null)), "source"),
        (with("timeframe", json!("2m")), "timeframe"),
        (with("price", json!("x")), "price"),
        (with("ts", json!("2013-10-07")), "ts"),
        (with("act", json!("drop")), "act"),
        (with("rule", json!("spikes")), "rule"),
        (with("note", json!(1)), "note"),
        (with("colour", json!(1)), "colour"),
    ] {
        server.refuse(Method::POST, path, &body, 400, field).await;
    }
    let mut quarantine = spike.clone();
    quarantine["act"] = json!("quarantine");
    server.refuse(Method::POST, path, &quarantine, 400, "act").await;
    server.stop().await;
}

#[tokio::test]
async fn a_fact_is_stated_once_under_one_id_and_survives_a_restart() {
    let server = Server::start().await;
    let path = "/v1/instruments/meta?batch_id=m";
    let first = server.state_facts(Method::PUT, path, &meta()).await;
    let again = server.state_facts(Method::PUT, path, &meta()).await;
    assert_eq!((&again["repeated"], &again["sequence"]), (&json!(true), &first["sequence"]));
    let (status, problem) = server.send(Method::PUT, path, &json!({"name": "x"})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("conflict")), "{problem}");
    let (_, shown) = server.get("/v1/instruments/meta").await;
    let server = server.restart().await;
    let (_, after) = server.get("/v1/instruments/meta").await;
    assert_eq!(after["instrument"], shown["instrument"]);
    server.stop().await;
}

const VENUE: &str = "\
calendar XTST
zone Asia/Tokyo
version 7
covers 2013-10-01 2013-10-31
shape a 0 360 break 150 210
shape b 0 150 early_close
2013-10 .aaa..aaaaa..aaaaa..aaaab..aaaa
";

async fn put_text(server: &Server, path: &str, text: &str) -> (u16, Value) {
    let request = server.request(Method::PUT, path).header("content-type", "text/plain");
    answer(request.body(text.to_owned()).send().await.unwrap()).await
}

#[tokio::test]
async fn a_calendar_of_ones_own_comes_as_a_file() {
    let server = Server::start().await;
    let path = "/v1/calendars/XTST";
    assert_eq!(server.get(path).await.0, 404);
    let (status, body) = put_text(&server, &format!("{path}?batch_id=c"), VENUE).await;
    assert_eq!((status, &body["accepted"]), (200, &json!(33)), "{body}");
    let (status, shown) = server.get(path).await;
    assert_eq!(status, 200, "{shown}");
    let expected = [
        ("zone", json!("Asia/Tokyo")),
        ("version", json!("7")),
        ("start", json!("2013-10-01")),
        ("end", json!("2013-11-01")),
        ("sessions", json!(22)),
    ];
    for (name, value) in expected {
        assert_eq!(shown[name], value, "{name}: {shown}");
    }
    let (_, list) = server.get("/v1/calendars").await;
    assert_eq!(list["rows"].as_array().unwrap().len(), 9);
    let sessions = format!("{path}/sessions?start=2013-10-24&end=2013-10-26");
    let columns = ["session", "open", "close", "break_start", "kind"];
    let day = |day: u32, close: &str, pause: Value, kind: &str| {
        let date = format!("2013-10-{day}");
        let (open, close) = (format!("{date}T00:00:00Z"), format!("{date}T{close}:00Z"));
        vec![json!(date), json!(open), json!(close), pause, json!(kind)]
    };
    let expected = [
        day(24, "06:00", json!("2013-10-24T02:30:00Z"), "regular"),
        day(25, "02:30", json!(null), "regular"),
    ];
    assert_eq!(server.rows(&sessions, &columns).await, expected);
    // How a venue trades is known since ever.
    let past = format!("{sessions}&as_of=1990-01-01");
    assert_eq!(server.rows(&past, &columns).await, expected);
    assert_eq!(server.get(&format!("{path}?at_sequence=0")).await.0, 404);
    for (from, to, field) in [
        ("calendar XTST", "calendar XOTHER", "calendar"),
        ("shape b 0 150", "shape b 150 0", "body"),
        ("Asia/Tokyo", "Mars/Olympus", "zone"),
        ("2013-10 .", "2013-10 ", "body"),
    ] {
        let (status, problem) = put_text(&server, path, &VENUE.replacen(from, to, 1)).await;
        assert_eq!((status, &problem["field"]), (400, &json!(field)), "{to}: {problem}");
    }
    let delete = "/v1/datasets/calendar_days/rows?batch=c";
    let (status, body) = answer(server.request(Method::DELETE, delete).send().await.unwrap()).await;
    assert_eq!((status, &body["accepted"]), (200, &json!(33)), "{body}");
    assert_eq!(server.get(path).await.0, 404);
    server.stop().await;
}

#[tokio::test]
async fn a_surprise_closure_is_a_day_that_is_not_as_the_table_says() {
    let server = Server::start().await;
    let path = "/v1/calendars/XNYS/days";
    let sessions = "/v1/calendars/XNYS/sessions?start=2013-10-07&end=2013-10-10";
    let columns = ["session", "open", "kind"];
    let regular = |day: u32| {
        vec![
            json!(format!("2013-10-0{day}")),
            json!(format!("2013-10-0{day}T13:30:00Z")),
            json!("regular"),
        ]
    };
    assert_eq!(server.rows(sessions, &columns).await, [regular(7), regular(8), regular(9)]);
    let days = json!([
        {"date": "2013-10-08", "kind": "closed", "known_at": "2013-10-07T22:00:00Z"},
        {"date": "2013-10-09", "kind": "regular", "open": "10:30", "close": 1_200},
    ]);
    let before = server.state_facts(Method::PUT, path, &days).await["sequence"].clone();
    let late = vec![json!("2013-10-09"), json!("2013-10-09T14:30:00Z"), json!("late_open")];
    assert_eq!(server.rows(sessions, &columns).await, [regular(7), late]);
    let known = format!("{sessions}&as_of=2013-10-07T22:00:00Z");
    assert_eq!(server.rows(&known, &columns).await, [regular(7), regular(9)]);
    let unknown = format!("{sessions}&as_of=2013-10-07T21:59:59Z");
    assert_eq!(server.rows(&unknown, &columns).await.len(), 3);
    let day = |name: &str, value: Value| {
        let mut day =
            json!({"date": "2013-10-08", "kind": "regular", "open": "09:30", "close": "16:00"});
        day[name] = value;
        json!([day])
    };
    for (body, field) in [
        (json!({}), "body"),
        (json!([{"kind": "closed"}]), "[0].date"),
        (day("date", json!("8 October")), "[0].date"),
        (day("kind", json!("holiday")), "[0].kind"),
        (day("kind", json!("closed")), "[0].open"),
        (day("open", json!("25:00")), "[0].open"),
        (day("open", json!(null)), "[0].open"),
        (day("close", json!("09:30")), "[0].close"),
        (day("break_start", json!("12:00")), "[0].break_end"),
        (day("pre_open", json!("10:00")), "[0].pre_open"),
        (day("post_close", json!(0)), "[0].post_close"),
        (day("known_at", json!("2100-01-01T00:00:00Z")), "[0].known_at"),
        (day("colour", json!(1)), "[0].colour"),
        (json!([days[0], days[0]]), "[1].date"),
    ] {
        server.refuse(Method::PUT, path, &body, 400, field).await;
    }
    server.refuse(Method::PUT, "/v1/calendars/XTST/days", &days, 404, "name").await;
    assert_eq!(server.sequence().await, before);
    server.stop().await;
}

/// What a person sees: the reasons of the gaps of a symbol.
async fn gaps(server: &Server, query: &str) -> Vec<Vec<Value>> {
    let range = "symbols=A&frequency=1m&start=2013-10-07T13:30:00Z&end=2013-10-07T13:36:00Z";
    server.rows(&format!("/v1/gaps?{range}{query}"), &["start", "reason", "slots"]).await
}

#[tokio::test]
async fn gaps_have_the_reasons_that_facts_give_them() {
    let server = Server::start().await;
    let gap = |minute: u32, reason: &str, slots: u32| {
        vec![json!(format!("2013-10-07T13:{minute}:00Z")), json!(reason), json!(slots)]
    };
    let at = |minute: u32| format!("2013-10-07T13:{minute}:00Z");
    server.load("&source=s", &csv("A", "30 1\n32 1")).await;
    server.state_facts(Method::PUT, "/v1/instruments/A", &json!({"calendar": "XNYS"})).await;
    assert_eq!(gaps(&server, "").await, [gap(31, "missing", 1), gap(33, "missing", 3)]);
    let halt = json!({"instrument": "A", "start": at(33), "end": at(34)});
    server.state_facts(Method::POST, "/v1/halts", &halt).await;
    let outage = json!({"source": "s", "start": at(34), "end": at(35)});
    server.state_facts(Method::POST, "/v1/outages", &outage).await;
    let missing = server.sequence().await;
    let covers = format!("&source=s&covers={}..{}&batch_id=c", at(30), at(32));
    let claimed = server
        .load(&covers, "symbol,ts,open,high,low,close\nA,2013-10-07T13:30:00Z,1,2,0.5,1\n")
        .await;
    assert_eq!(claimed["claims"], 1);
    let verdict = json!({
        "symbol": "A", "source": "s", "timeframe": "1m", "ts": at(32), "act": "quarantine",
    });
    server.state_facts(Method::POST, "/v1/quality/verdicts", &verdict).await;
    let explained = [
        gap(31, "no_trade", 1),
        gap(32, "quarantined", 1),
        gap(33, "halted", 1),
        gap(34, "outage", 1),
        gap(35, "missing", 1),
    ];
    assert_eq!(gaps(&server, "").await, explained);
    let before = format!("&at_sequence={missing}");
    assert_eq!(gaps(&server, &before).await[0], gap(31, "missing", 1));
    let closed = json!([{"date": "2013-10-07", "kind": "closed"}]);
    server.state_facts(Method::PUT, "/v1/calendars/XNYS/days?batch_id=d", &closed).await;
    assert!(gaps(&server, "").await.is_empty());
    let delete = "/v1/datasets/calendar_days/rows?batch=d";
    let (status, _) = answer(server.request(Method::DELETE, delete).send().await.unwrap()).await;
    assert_eq!(status, 200);
    assert_eq!(gaps(&server, "").await, explained);
    server.stop().await;
}

#[tokio::test]
async fn rows_may_say_which_calendar_their_instruments_follow() {
    let server = Server::start().await;
    let twx = json!({"calendar": "XLON", "bindings": [{"source": "s", "symbol": "T"}]});
    server.state_facts(Method::PUT, "/v1/instruments/twx", &twx).await;
    server.load("&source=s&calendar=XNYS&batch_id=b", &csv("A", "30 1")).await;
    let listed = async || server.rows("/v1/instruments", &["id", "calendar"]).await;
    let both = [vec![json!("A"), json!("XNYS")], vec![json!("twx"), json!("XLON")]];
    assert_eq!(listed().await, both);
    // A file that goes back in time finds it too.
    let (_, shown) = server.get("/v1/instruments/A?as_of=1990-01-01").await;
    assert_eq!(shown["in_force"]["calendar"], "XNYS");
    for (symbol, calendar, status) in [("A", "XLON", 409), ("T", "XNYS", 409), ("A", "XMOON", 400)]
    {
        let before = server.sequence().await;
        let query = format!("&source=s&calendar={calendar}");
        let (found, problem) = server.post(&query, "text/csv", csv(symbol, "31 1")).await;
        assert_eq!((found, &problem["field"]), (status, &json!("calendar")), "{problem}");
        assert_eq!(server.sequence().await, before);
    }
    server.load("&source=s&calendar=XLON", &csv("T", "31 1")).await;
    assert_eq!(listed().await, both);
    server.stop().await;
}
