//! Live features of a whole server: what the feed tells and what the latest table holds is what
//! history answers of the same record, through late rows, promotions and a restart.

use barrow_client::feed::{
    Event, Feed, FeedOptions, Group, ResumeToken, RowFlags, RowSet, Subscription, Wanted, Which,
};
use barrow_client::latest_table::{LatestTable, TableError};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, answer, config, csv};

fn group(expr: &str) -> Value {
    json!({
        "kind": "FeatureSet",
        "name": "g",
        "bars": {"every": "1m"},
        "features": [{"name": "x", "expr": expr}, {"name": "sum", "expr": "CumSum($close)"}],
    })
}

async fn start() -> Server {
    let mut config = config();
    config.feed.enabled = true;
    config.server.feed = "127.0.0.1:0".parse().unwrap();
    let server = Server::start_with(config).await;
    put(&server, "/v1/feature-groups/g", &group("Mean($close, 3)")).await;
    server
}

async fn put(server: &Server, path: &str, body: &Value) -> Value {
    let request = server.request(Method::PUT, path).json(body);
    let (status, body) = answer(request.send().await.unwrap()).await;
    assert_eq!(status, 200, "{body}");
    body
}

/// Groups become live a moment after they were put, as all that is live follows the log.
async fn live_group(feed: &mut Feed, name: &str) -> Group {
    loop {
        match feed.resolve_all(&[name]).await {
            Ok(mut groups) => return groups.remove(0),
            Err(_) => feed.ping().await.unwrap(),
        }
    }
}

/// A row as `MINUTE x sum`, with a mark if it is corrected.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    text: String,
    ts: i64,
    at_sequence: u64,
}

async fn next(news: &mut Subscription) -> Told {
    match news.next().await.unwrap().unwrap() {
        Event::Update { row, .. } => {
            let head = row.head();
            let minute = head.ts / 60_000_000_000 % 60;
            let cell = |at| row.value(at).map_or("-".to_owned(), |value: f64| value.to_string());
            let mark = if head.flags.has(RowFlags::CORRECTED) { " again" } else { "" };
            let text = format!("{minute} {} {}{mark}", cell(0), cell(1));
            Told { text, ts: head.ts, at_sequence: head.at_sequence }
        }
        Event::Resync { reason } => panic!("nothing was left out, but: {reason:?}"),
    }
}

async fn told(news: &mut Subscription, count: usize) -> Vec<Told> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(next(news).await);
    }
    all
}

fn texts(told: &[Told]) -> Vec<&str> {
    told.iter().map(|told| told.text.as_str()).collect()
}

/// Asks history for each row that was told.
async fn check(server: &Server, all: &[Told]) {
    for Told { text, ts, at_sequence } in all {
        let path = format!(
            "/v1/features?groups=g&symbols=A&start={ts}&end={}&at_sequence={at_sequence}",
            ts + 1
        );
        let (_, body) = server.get(&path).await;
        let row = &body["rows"][0];
        let cell = |name: &str| row[name].as_f64().map_or("-".to_owned(), |it| it.to_string());
        let found = format!("{} {}", cell("x"), cell("sum"));
        assert!(text.contains(&found), "told {text}, history {body}");
    }
}

#[tokio::test]
async fn what_is_told_is_what_history_answers_and_late_rows_correct_it() {
    let server = start().await;
    let mut feed = Feed::tcp(server.feed(), &FeedOptions::default()).await.unwrap();
    let group = live_group(&mut feed, "g").await;
    let mut news = feed.subscribe(&group, &Wanted::all().corrections()).await.unwrap();
    server.load("&source=x", &csv("A", "30 1\n31 2\n32 1.5\n34 3")).await;
    let mut all = told(&mut news, 2).await;
    // Of a symbol that is new the last two; 33 has no row.
    assert_eq!(texts(&all), ["33 1.75 4.5", "34 2.25 7.5"]);
    server.load("&source=x", &csv("A", "35 2\n36 4")).await;
    all.extend(told(&mut news, 2).await);
    server.load("&source=x", &csv("A", "33 1")).await;
    all.extend(told(&mut news, 2).await);
    assert_eq!(texts(&all[2..]), ["35 2.5 9.5", "36 3 13.5", "35 2 10.5 again", "36 3 14.5 again"]);
    check(&server, &all).await;
    let mut asking = Feed::tcp(server.feed(), &FeedOptions::default()).await.unwrap();
    let mut rows = RowSet::default();
    asking.latest_all(&group, Which::Previous, &mut rows).await.unwrap();
    assert_eq!(rows.get(0).unwrap().value(0), Some(2.0));
    server.stop().await;
}

#[tokio::test]
async fn the_latest_table_has_the_same_rows_and_a_restart_is_seen_and_followed() {
    let server = start().await;
    let mut feed = Feed::tcp(server.feed(), &FeedOptions::default()).await.unwrap();
    let group = live_group(&mut feed, "g").await;
    let mut news = feed.subscribe(&group, &Wanted::all()).await.unwrap();
    server.load("&source=x", &csv("A", "30 1\n31 2\n32 3")).await;
    told(&mut news, 2).await;
    server.load("&source=x", &csv("A", "33 4")).await;
    let all = told(&mut news, 1).await;
    let token: ResumeToken = news.token();
    let dir = server.config().server.data_dir.join("latest");
    let mut table = LatestTable::open_dir(&dir, "g", None).unwrap();
    let epoch = table.spec().epoch;
    assert_eq!(table.latest("A").unwrap().head().ts, all[0].ts);
    assert_eq!(table.latest("A").unwrap().value(0), Some(3.0));
    assert_eq!(table.previous("A").unwrap().value(0), Some(2.0));
    assert!(matches!(table.latest("B"), Err(TableError::NoSymbol { .. })));
    let server = server.restart().await;
    // All is there before the port is open.
    let row = table.latest("A").unwrap();
    assert_eq!((row.head().ts, row.value(0)), (all[0].ts, Some(3.0)));
    assert!(table.spec().epoch > epoch);
    let mut feed = Feed::tcp(server.feed(), &FeedOptions::default()).await.unwrap();
    let group = feed.resolve_all(&["g"]).await.unwrap().remove(0);
    let mut news = feed.subscribe(&group, &Wanted::all().after(token)).await.unwrap();
    // What came between is not kept in memory: the client begins anew from the latest rows.
    let first = news.next().await.unwrap().unwrap();
    assert!(matches!(first, Event::Resync { .. }), "{first:?}");
    server.load("&source=x", &csv("A", "34 5")).await;
    let all = told(&mut news, 1).await;
    assert_eq!(texts(&all), ["34 4 15"]);
    check(&server, &all).await;
    server.stop().await;
}

#[tokio::test]
async fn another_version_is_live_once_it_is_promoted() {
    let server = start().await;
    server.load("&source=x", &csv("A", "30 1\n31 2\n32 3")).await;
    let mut feed = Feed::tcp(server.feed(), &FeedOptions::default()).await.unwrap();
    let first = live_group(&mut feed, "g").await;
    let put = put(&server, "/v1/feature-groups/g", &group("Sum($close, 3)")).await;
    let version = put["version"].as_str().unwrap();
    let path = "/v1/feature-groups/g/promote";
    let promote = server.request(Method::POST, path).json(&json!({"version": version}));
    assert_eq!(promote.send().await.unwrap().status(), 200);
    let second = live_group(&mut feed, &format!("g@{version}")).await;
    assert!(second.is_promoted && second.handle != first.handle);
    let mut rows = RowSet::default();
    feed.latest_all(&second, Which::Newest, &mut rows).await.unwrap();
    assert_eq!(rows.get(0).unwrap().value(0), Some(6.0));
    let gone = feed.latest_all(&first, Which::Newest, &mut rows).await.unwrap_err();
    assert!(gone.to_string().contains("resolve"), "{gone}");
    server.stop().await;
}

#[tokio::test]
async fn names_mean_what_they_do_over_http() {
    let server = start().await;
    let meta = json!({
        "name": [{"value": "FB", "since": "2012-05-18"}, {"value": "META", "since": "2022-06-09"}],
        "bindings": [{"source": "x", "symbol": "FB", "since": "2012-05-18", "until": "2022-06-09"}],
    });
    put(&server, "/v1/instruments/meta", &meta).await;
    // Somebody else has the old name since.
    put(&server, "/v1/instruments/etf", &json!({"name": {"value": "FB", "since": "2023-01-03"}}))
        .await;
    let bound = json!({"bindings": [{"source": "y", "symbol": "SPDR", "since": "2012-05-18"}]});
    put(&server, "/v1/instruments/spy", &bound).await;
    put(&server, "/v1/sources/bars", &json!({"sources": ["x", "y"]})).await;
    server.load("&source=x", &csv("FB", "30 1\n31 2\n32 3")).await;
    server.load("&source=y", &csv("SPDR", "30 4\n31 5\n32 6")).await;
    server.load("&source=x", &csv("A", "30 7\n31 8\n32 9")).await;
    let mut feed = Feed::tcp(server.feed(), &FeedOptions::default()).await.unwrap();
    let names = ["META", "id:meta", "meta", "SPDR", "id:spy", "A", "id:A", "FB", "id:FB"];
    let group = loop {
        let mut groups = feed.resolve(&["g"], &names).await.unwrap_or_default();
        if let Some(group) = groups.pop()
            && group.symbols[..7].iter().all(|symbol| symbol.index.is_some())
        {
            break group;
        }
        feed.ping().await.unwrap();
    };
    let mut rows = RowSet::default();
    for (symbol, name) in group.symbols.iter().zip(names) {
        assert_eq!(symbol.name, name);
        let (status, http) =
            server.get(&format!("/v1/features/latest?groups=g&symbols={name}")).await;
        let Some(index) = symbol.index else {
            assert_eq!(status, 404, "{name}: {http}");
            continue;
        };
        feed.latest(&group, Which::Newest, &[index], &mut rows).await.unwrap();
        let value = rows.get(0).unwrap().value(0);
        assert_eq!(value, http["rows"][0]["x"].as_f64(), "{name}: {http}");
        let ids = feed.resolve_all(&["g"]).await.unwrap().remove(0);
        let id = ids.symbols.iter().find(|other| other.index == Some(index)).unwrap();
        assert_eq!(http["rows"][0]["instrument_id"], id.name, "{name}");
    }
    let indices: Vec<bool> = group.symbols.iter().map(|symbol| symbol.index.is_some()).collect();
    assert_eq!(indices, [true, true, true, true, true, true, true, false, false]);
    server.stop().await;
}

#[tokio::test]
async fn a_stream_of_events_tells_the_rows_that_are_then_the_latest() {
    let server = start().await;
    server.load("&source=x", &csv("A", "30 1\n31 2")).await;
    let query = "groups=g&symbols=A,id:B&reasons=true";
    let mut stream = loop {
        let request = server.request(Method::GET, &format!("/v1/features/stream?{query}"));
        let response = request.send().await.unwrap();
        // It is live a moment later.
        if response.status() == 200 {
            break response;
        }
    };
    let mut text = String::new();
    for (symbol, row) in [("A", "32 3"), ("B", "32 4"), ("A", "33 7"), ("B", "34 5")] {
        server.load("&source=x", &csv(symbol, row)).await;
        let ts = format!("2013-10-07T13:{}:00Z", row.split_once(' ').unwrap().0);
        let told: Value = loop {
            let Some((event, rest)) = text.split_once("\n\n") else {
                text.push_str(
                    std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap(),
                );
                continue;
            };
            let data = event.lines().find_map(|line| line.strip_prefix("data: "));
            let told: Option<Value> = data.map(|data| serde_json::from_str(data).unwrap());
            text = rest.to_owned();
            match told {
                Some(told) if told["ts"] == ts => break told,
                // Slots before it may be told first: those that were there when the stream began,
                // and the empty one between the rows.
                Some(told) => assert!(told["ts"].as_str().unwrap() < ts.as_str(), "{row}: {told}"),
                None => {}
            }
        };
        let timeless = |mut row: Value| {
            assert!(row.as_object_mut().unwrap().remove("age").unwrap().is_number(), "{row}");
            row
        };
        let name = if symbol == "B" { "id:B" } else { symbol };
        let path = format!("/v1/features/latest?groups=g&symbols={name}&reasons=true");
        let (_, latest) = server.get(&path).await;
        assert_eq!(timeless(told), timeless(latest["rows"][0].clone()));
    }
    server.stop().await;
}
