//! The latest features from rows that are kept ready: they are what is computed at the record that
//! the answer names, in every column, and they know what was answered before.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, answer, csv};

fn group(name: &str, features: &[(&str, &str)]) -> Value {
    let feature = |(name, expr): &(&str, &str)| json!({"name": name, "expr": expr});
    let features: Vec<Value> = features.iter().map(feature).collect();
    json!({"kind": "FeatureSet", "name": name, "bars": {"every": "1m"}, "features": features})
}

async fn put(server: &Server, path: &str, body: &Value) {
    let request = server.request(Method::PUT, path).json(body);
    let (status, body) = answer(request.send().await.unwrap()).await;
    assert_eq!(status, 200, "{body}");
}

/// Groups `g` (windows and nulls), `r` (recursions) and `o` (another instrument).
async fn start() -> Server {
    let server = Server::start().await;
    let windows = [("mean", "Mean($close, 3)"), ("ret", "Ret($close, 1)"), ("v", "$volume")];
    let recursions = [("ema", "EMA($close, 5)"), ("sum", "CumSum($close)")];
    let other = [("of", "$close - Of('B', $close)")];
    for (name, features) in [("g", &windows[..]), ("r", &recursions), ("o", &other)] {
        put(&server, &format!("/v1/feature-groups/{name}"), &group(name, features)).await;
    }
    server
}

async fn answered(server: &Server, way: &str) -> u64 {
    let metrics = server.text("/metrics").await;
    let start = format!("barrow_live_answers_total{{way=\"{way}\"}} ");
    let count = metrics.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok());
    count.unwrap_or(0)
}

/// Without what depends on when was asked.
fn timeless(mut table: Value) -> Value {
    for row in table["rows"].as_array_mut().unwrap() {
        assert!(row.as_object_mut().unwrap().remove("age").unwrap().is_number());
    }
    table
}

/// Asks until rows that are kept ready have answered; each answer must be what is computed at its
/// sequence.
async fn ready(server: &Server, query: &str) -> Value {
    let path = format!("/v1/features/latest?{query}");
    loop {
        let before = answered(server, "live").await;
        let (status, found) = server.get(&path).await;
        assert_eq!(status, 200, "{found}");
        let is_live = answered(server, "live").await > before;
        let at = format!("{path}&at_sequence={}", found["sequence"]);
        let (_, computed) = server.get(&at).await;
        let found = timeless(found);
        assert_eq!(found, timeless(computed), "{query}");
        if is_live {
            return found;
        }
    }
}

const ALL: [&str; 6] = [
    "groups=g&symbols=A",
    "groups=r&symbols=A,B&reasons=true",
    "groups=g,r&symbols=B,A&reasons=true",
    "groups=o&symbols=A,B&reasons=true",
    "groups=o,g,r&symbols=A&tz=America/New_York",
    "groups=g&symbols=A&consistency=eventual&reasons=true",
];

#[tokio::test]
async fn rows_that_are_kept_ready_are_what_is_computed_at_their_sequence() {
    let server = start().await;
    let calendar = json!({"calendar": "XNYS"});
    put(&server, "/v1/instruments/B", &calendar).await;
    server.load("&source=x", &csv("A", "30 1\n31 2")).await;
    for (symbol, query, rows) in [
        ("B", "", "30 5\n31 6"),
        // Nothing at 32.
        ("A", "", "33 3\n34 2.5"),
        // Late, corrected, and the last one again.
        ("A", "", "32 9"),
        ("B", "", "31 6.5"),
        ("A", "", "34 4"),
        // Empty slots have another reason now, and rows may still change.
        ("B", "&covers=2013-10-07T13:30:00Z..2013-10-07T13:40:00Z", "36 7"),
    ] {
        server.load(&format!("&source=x{query}"), &csv(symbol, rows)).await;
        for query in ALL {
            ready(&server, query).await;
        }
    }
    let row = ready(&server, "groups=g&symbols=A&reasons=true").await;
    assert_eq!(
        (&row["rows"][0]["mean"], &row["rows"][0]["ret"]),
        (&json!(16.0 / 3.0), &json!(4.0 / 3.0 - 1.0))
    );
    assert_eq!(row["rows"][0]["v__reason"], "missing", "{row}");
    assert_eq!(row["calendar"], "none");
    let row = ready(&server, "groups=g&symbols=B").await;
    assert_eq!(
        (&row["rows"][0]["session"], &row["calendar"]),
        (&json!("2013-10-07"), &json!("XNYS"))
    );
    // The slot before is kept, too; a row that is too old is left out as ever.
    let slot = "groups=g&symbols=A&slot=2013-10-07T13:33:00Z&reasons=true";
    assert_eq!(ready(&server, slot).await["rows"][0]["ts"], "2013-10-07T13:33:00Z");
    let (_, old) = server.get("/v1/features/latest?groups=g&symbols=A&max_age=1d").await;
    assert_eq!(old["rows"], json!([]), "{old}");
    server.stop().await;
}

#[tokio::test]
async fn what_rows_that_are_kept_ready_do_not_know_is_computed() {
    let server = start().await;
    server.load("&source=x", &csv("A", "30 1\n31 2\n32 3\n33 4")).await;
    ready(&server, "groups=g&symbols=A").await;
    for query in [
        "symbols=A&as_of=2013-10-07T13:32:30Z",
        "symbols=A&at_sequence=9",
        "symbols=A&slot=2013-10-07T13:30:00Z",
        "symbols=A&peek=true",
        "symbols=A,C",
    ] {
        let before = (answered(&server, "live").await, answered(&server, "computed").await);
        let (status, body) = server.get(&format!("/v1/features/latest?groups=g&{query}")).await;
        assert_eq!(status, 200, "{query}: {body}");
        let after = (answered(&server, "live").await, answered(&server, "computed").await);
        assert_eq!(after, (before.0, before.1 + 1), "{query}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_slot_that_forms_is_not_the_latest_before_it_is_due() {
    let server = start().await;
    let now = jiff::Timestamp::now().as_second();
    let minute = now - now.rem_euclid(60);
    let mut rows = "symbol,ts,open,high,low,close\n".to_owned();
    for (back, close) in [(2, 1), (1, 2), (0, 3)] {
        let ts = jiff::Timestamp::from_second(minute - 60 * back).unwrap();
        rows.push_str(&format!("A,{ts},1,3,0.5,{close}\n"));
    }
    server.load("&source=x", &rows).await;
    let row = ready(&server, "groups=g,r&symbols=A&reasons=true").await;
    assert!(
        row["rows"][0]["g__mean"].is_number() || row["rows"][0]["g__mean__reason"] == "warm_up"
    );
    let last: jiff::Timestamp = row["rows"][0]["ts_end"].as_str().unwrap().parse().unwrap();
    assert!(last <= jiff::Timestamp::now(), "{row}");
    server.stop().await;
}

#[tokio::test]
async fn who_has_sent_rows_finds_them() {
    let server = start().await;
    let latest = "/v1/features/latest?groups=g&symbols=A";
    for close in 1..60 {
        let sent = server.load("&source=x", &csv("A", &format!("{close:02} {close}"))).await;
        let (_, found) = server.get(latest).await;
        assert_eq!(found["rows"][0]["ts"], format!("2013-10-07T13:{close:02}:00Z"), "{found}");
        let sequence = &sent["sequence"];
        assert!(found["sequence"].as_u64() >= sequence.as_u64(), "{found} after {sequence}");
        // Who does not care may be answered from before; who names the sequence is not.
        let eventual = format!("{latest}&consistency=eventual&min_sequence={sequence}");
        let (_, found) = server.get(&eventual).await;
        assert_eq!(found["rows"][0]["ts"], format!("2013-10-07T13:{close:02}:00Z"), "{found}");
    }
    for (query, status, field) in [
        ("&consistency=maybe", 400, "consistency"),
        ("&min_sequence=x", 400, "min_sequence"),
        ("&min_sequence=99999", 503, "min_sequence"),
    ] {
        let (found, problem) = server.get(&format!("{latest}{query}")).await;
        assert_eq!((found, &problem["field"]), (status, &json!(field)), "{problem}");
    }
    server.stop().await;
}
