//! Prices adjusted for splits and dividends.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, answer};

const BASE: &str = "/v1/bars?symbols=X&frequency=1d&columns=session,close,volume";

/// Days of X, a dividend of 2 on the 28th and a split of 4 for 1 on the 31st, both known in time.
async fn server() -> Server {
    let server = Server::start().await;
    let body = "symbol,ts,open,high,low,close,volume\n\
                X,2020-08-26,396,396,396,396,1000\n\
                X,2020-08-27,400,400,400,400,1000\n\
                X,2020-08-28,404,404,404,404,1000\n\
                X,2020-08-31,100,100,100,100,1000\n";
    let path = "/v1/datasets/bars/rows?timeframe=1d&source=test&known_at_policy=ts_end%2B0s";
    let request = server.request(Method::POST, path).header("content-type", "text/csv");
    let (status, sum) = answer(request.body(body).send().await.unwrap()).await;
    assert_eq!((status, &sum["accepted"]), (200, &json!(4)), "{sum}");
    let facts = json!({
        "calendar": "XNYS",
        "actions": [
            {"ex_date": "2020-08-28", "kind": "dividend", "value": 2},
            {"ex_date": "2020-08-31", "kind": "split", "value": 4,
             "known_at": "2020-07-30T20:30:00Z"},
        ],
    });
    server.state_facts(Method::PUT, "/v1/instruments/X", &facts).await;
    server
}

/// `day close volume` of each row.
async fn days(server: &Server, query: &str) -> Vec<String> {
    let text = server.text(&format!("{BASE}&format=csv{query}")).await;
    let day = |line: &str| line["2020-08-".len()..].replace(',', " ");
    text.lines().skip(1).map(day).collect()
}

#[tokio::test]
async fn prices_are_adjusted_as_asked_up_to_the_anchor() {
    let server = server().await;
    let traded = ["26 396.0 1000.0", "27 400.0 1000.0", "28 404.0 1000.0", "31 100.0 1000.0"];
    assert_eq!(days(&server, "").await, traded);
    assert_eq!(days(&server, "&adjust=none").await, traded);
    assert_eq!(
        days(&server, "&adjust=splits").await,
        ["26 99.0 4000.0", "27 100.0 4000.0", "28 101.0 4000.0", "31 100.0 1000.0"]
    );
    let all = ["26 98.505 4000.0", "27 99.5 4000.0", "28 101.0 4000.0", "31 100.0 1000.0"];
    for query in ["", "&adjust_anchor=end", "&adjust_anchor=2020-08-31", "&end=2030-01-01"] {
        assert_eq!(days(&server, &format!("&adjust=all{query}")).await, all, "{query}");
    }
    let dividend = ["26 394.02 1000.0", "27 398.0 1000.0", "28 404.0 1000.0"];
    for query in [
        "&end=2020-08-31",
        "&end=2020-08-31&adjust_anchor=2020-08-28",
        "&end=2020-08-31&adjust_anchor=2020-08-31T07:59:59Z",
        // By then the split was known, and had not happened.
        "&as_of=2020-08-29T00:00:00Z",
    ] {
        assert_eq!(days(&server, &format!("&adjust=all{query}")).await, dividend, "{query}");
    }
    assert_eq!(days(&server, "&adjust=all&as_of=2020-08-28T00:00:00Z").await, traded[..2]);
    let early = "&adjust=splits&adjust_anchor=2020-08-31&as_of=2020-08-28T00:00:00Z";
    assert_eq!(days(&server, early).await, ["26 99.0 4000.0", "27 100.0 4000.0"]);
    server.stop().await;
}

#[tokio::test]
async fn pages_are_adjusted_as_the_whole_is() {
    let server = server().await;
    let base = format!("{BASE}&adjust=all&gaps=true");
    let (_, whole) = server.get(&base).await;
    let (_, first) = server.get(&format!("{base}&limit=2")).await;
    // What is learned between the pages belongs to none of them.
    let facts = json!({"actions": [{"ex_date": "2020-08-27", "kind": "split", "value": 7}]});
    server.state_facts(Method::PUT, "/v1/instruments/X", &facts).await;
    let cursor = first["cursor"].as_str().unwrap();
    let (_, second) = server.get(&format!("{base}&limit=2&cursor={cursor}")).await;
    let rows = |page: &Value| page["rows"].as_array().unwrap().clone();
    assert_eq!([rows(&first), rows(&second)].concat(), rows(&whole));
    let (status, problem) =
        server.get(&format!("{BASE}&adjust=splits&gaps=true&limit=2&cursor={cursor}")).await;
    assert_eq!((status, &problem["field"]), (400, &json!("cursor")));
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_adjusted_is_refused_and_says_why() {
    let server = server().await;
    for (query, field) in [
        ("adjust=twice", "adjust"),
        ("adjust_anchor=2020-08-31", "adjust_anchor"),
        ("adjust=none&adjust_anchor=end", "adjust_anchor"),
        ("adjust=all&adjust_anchor=soon", "adjust_anchor"),
        ("layer=raw&adjust=all", "adjust"),
    ] {
        let (status, problem) = server.get(&format!("{BASE}&{query}")).await;
        assert_eq!((status, &problem["field"]), (400, &json!(field)), "{query}: {problem}");
    }
    let refused = async |query: &str, parts: &[&str]| {
        let (status, problem) = server.get(&format!("{BASE}&{query}")).await;
        let told = (status, &problem["code"], &problem["field"]);
        assert_eq!(told, (400, &json!("invalid_parameter"), &json!("adjust")), "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(parts.iter().all(|part| detail.contains(part)), "{detail}");
    };
    let facts = json!({"actions": [{"ex_date": "2020-08-25", "kind": "dividend", "value": 1}]});
    server.state_facts(Method::PUT, "/v1/instruments/X", &facts).await;
    // Nothing in the store is from before it.
    assert_eq!(days(&server, "&adjust=all").await[0], "26 98.505 4000.0");
    let facts = json!({"actions": [{"ex_date": "2020-08-27", "kind": "dividend", "value": 500}]});
    server.state_facts(Method::PUT, "/v1/instruments/X", &facts).await;
    refused("adjust=all", &["2020-08-27", "not below the close before it, 396"]).await;
    let setting = json!({"adjustment": {"test": "splits"}});
    server.state_facts(Method::PUT, "/v1/sources/bars", &setting).await;
    refused("adjust=splits", &["source test", "adjustment:test of bars is splits"]).await;
    server.stop().await;
}

#[tokio::test]
async fn a_filled_slot_has_the_adjusted_close() {
    let server = server().await;
    let path = "/v1/datasets/bars/rows?timeframe=1d&source=test&symbol=X&ts=2020-08-28";
    let taken = server.request(Method::DELETE, path).send().await.unwrap();
    assert_eq!(taken.status(), 200);
    let filled = days(&server, "&adjust=splits&fill=forward").await;
    assert_eq!(filled, ["26 99.0 4000.0", "27 100.0 4000.0", "28 100.0 0.0", "31 100.0 1000.0"]);
    server.stop().await;
}
