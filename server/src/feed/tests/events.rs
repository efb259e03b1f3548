//! The same updates as server-sent events over HTTP.

use serde_json::Value;

use super::*;

/// A stream of events that a test reads.
struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    /// The next event that is no heartbeat: its lines.
    async fn lines(&mut self) -> Option<Vec<String>> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let lines: Vec<String> = event.lines().map(ToOwned::to_owned).collect();
                self.text = rest.to_owned();
                if lines != [": heartbeat"] {
                    return Some(lines);
                }
                continue;
            }
            let chunk = self.response.chunk().await.ok()??;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event as `TOKEN what`: a symbol, or why something was left out.
    async fn next(&mut self) -> String {
        let Some(lines) = self.lines().await else { return "end".to_owned() };
        let of = |field: &str| {
            lines.iter().find_map(|line| line.strip_prefix(field)?.strip_prefix(": "))
        };
        let (_, token) = of("id").unwrap().split_once('-').unwrap();
        let token = token.replace('-', ".");
        let Some(data) = of("data") else { return format!("{token} {}", of("").unwrap()) };
        let data: Value = serde_json::from_str(data).unwrap();
        match of("event").unwrap() {
            "row" => {
                assert_eq!(data["version"], "g@v1");
                format!("{token} {}", data["symbol"].as_str().unwrap())
            }
            "resync" => {
                assert_eq!((&data["group"], &data["version"]), (&"g".into(), &"v1".into()));
                format!("{token} resync {}", data["reason"].as_str().unwrap())
            }
            other => panic!("{other}"),
        }
    }

    async fn some(&mut self, count: usize) -> Vec<String> {
        let mut found = Vec::new();
        for _ in 0..count {
            found.push(self.next().await);
        }
        found
    }
}

async fn answer(feed: &Feed, query: &str, last: Option<&str>) -> reqwest::Response {
    let url = format!("http://{}/v1/features/stream?{query}", feed.running.http);
    let mut request = reqwest::Client::new().get(url);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    request.send().await.unwrap()
}

/// A stream from there on; what it said first.
async fn open_at(feed: &Feed, query: &str, last: Option<&str>) -> (Events, String) {
    let response = answer(feed, query, last).await;
    assert_eq!(response.status(), 200, "{query}");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = Events { response, text: String::new() };
    let first = events.next().await;
    (events, first)
}

async fn open(feed: &Feed, query: &str) -> Events {
    let (events, first) = open_at(feed, query, None).await;
    assert!(first.ends_with(" subscribed"), "{first}");
    events
}

fn id(feed: &Feed, sequence: u64, index: u32) -> String {
    let instance = feed.running.app.live.identity().instance;
    let hex: String = instance.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hex}-{sequence}-{index}")
}

#[tokio::test]
async fn each_stream_tells_what_it_wants_and_no_more() {
    let mut feed = Feed::start().await;
    let mut all = open(&feed, "groups=g").await;
    let mut two = open(&feed, "groups=g@v1&symbols=B,D,E").await;
    let mut more = open(&feed, "groups=g&symbols=B&corrections=true&provisional=true").await;
    for (sequence, symbol, kind) in [
        (100, 0, UpdateKind::Closed),
        (100, 1, UpdateKind::Closed),
        (101, 1, UpdateKind::Corrected),
        (102, 1, UpdateKind::Forming),
        (102, 2, UpdateKind::Forming),
        (103, 3, UpdateKind::Closed),
    ] {
        feed.publish(sequence, symbol, kind);
    }
    let other = row(feed.group.layout, 104, 1);
    feed.publisher.update(104, (8, 1), UpdateKind::Closed, &other);
    // A symbol that was asked for and has its first row.
    for (name, number) in [("F", 4), ("E", 5)] {
        assert_eq!(feed.group.add_symbol(name), number);
        feed.publish(105, number, UpdateKind::Closed);
    }
    feed.publish(106, 1, UpdateKind::Closed);
    let told = ["100.0 A", "100.1 B", "103.0 D", "105.0 F", "105.1 E", "106.0 B"];
    assert_eq!(all.some(6).await, told);
    assert_eq!(two.some(4).await, ["100.1 B", "103.0 D", "105.1 E", "106.0 B"]);
    assert_eq!(more.some(4).await, ["100.1 B", "101.0 B", "102.0 B", "106.0 B"]);
    assert!(feed.metric("barrow_feed_streams_count 3"));
    feed.running.stop().await.unwrap();
    assert_eq!(all.next().await, "end");
}

#[tokio::test]
async fn groups_of_one_stream_come_in_one_order_so_that_one_id_is_enough() {
    let mut feed = Feed::start().await;
    let other = Arc::new(LiveGroup::new(8, "h", "v1", vec!["z".to_owned()]));
    other.set_promoted(true);
    other.add_symbol("A");
    feed.running.app.live.set_groups([Arc::clone(&feed.group), Arc::clone(&other)]);
    let mut events = open(&feed, "groups=h,g&symbols=A").await;
    for sequence in 100..110 {
        feed.publish(sequence, 0, UpdateKind::Closed);
        let head = RowHead { sequence, ..RowHead::default() };
        let mut words = vec![0; other.layout.words()];
        head.encode(other.layout, [(Reason::Ok, 0.5)], &mut words);
        feed.publisher.update(sequence, (8, 0), UpdateKind::Closed, &words);
        feed.publisher.flush();
    }
    for sequence in 100..110 {
        for (index, version) in [(0, "g@v1"), (1, "h@v1")] {
            let lines = events.lines().await.unwrap();
            let expected = format!("id: {}", id(&feed, sequence, index));
            assert!(lines.contains(&expected), "{lines:?}");
            assert!(lines.iter().any(|line| line.contains(version)), "{lines:?}");
        }
    }
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn who_comes_back_with_the_last_id_misses_nothing() {
    let mut feed = Feed::start().await;
    for sequence in 100..120 {
        feed.publish(sequence, 0, UpdateKind::Closed);
        feed.publish(sequence, 1, UpdateKind::Closed);
    }
    for seen in [0, 1, 2, 7, 38] {
        let last = id(&feed, 100 + seen / 2, u32::try_from(seen % 2).unwrap());
        let (mut events, first) = open_at(&feed, "groups=g", Some(&last)).await;
        assert_eq!(first, format!("{}.{} subscribed", 100 + seen / 2, seen % 2));
        for next in seen + 1..40 {
            let symbol = ["A", "B"][usize::try_from(next % 2).unwrap()];
            assert_eq!(events.next().await, format!("{}.{} {symbol}", 100 + next / 2, next % 2));
        }
    }
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn an_id_that_cannot_be_resumed_from_says_why_and_begins_anew() {
    let mut config = config();
    config.feed.kept_updates_max = 4;
    let mut feed = Feed::start_with(config).await;
    for sequence in 100..110 {
        feed.publish(sequence, 0, UpdateKind::Closed);
    }
    let foreign = format!("{}-108-0", "9".repeat(32));
    for (last, reason) in
        [(id(&feed, 104, 0), "old"), (id(&feed, 110, 0), "unknown"), (foreign, "unknown")]
    {
        let (mut events, first) = open_at(&feed, "groups=g", Some(&last)).await;
        assert_eq!(first, "109.0 subscribed");
        assert_eq!(events.next().await, format!("109.0 resync {reason}"));
    }
    assert!(feed.metric("barrow_feed_resyncs_total{reason=\"unknown\"} 2"));
    feed.publisher.rebuilt(111, 7);
    let mut events = open(&feed, "groups=g").await;
    feed.publisher.flush();
    assert_eq!(events.next().await, "111.0 resync rebuilt");
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn who_reads_slowly_is_told_so_and_goes_on() {
    let mut config = config();
    config.feed.kept_updates_max = 1_000;
    config.feed.write_seconds_max = 3_600;
    let mut feed = Feed::start_with(config).await;
    let mut slow = open(&feed, "groups=g").await;
    // Much more than fits between, and nothing is read.
    let last = 60_000;
    for sequence in 101..=last {
        feed.publish(sequence, 0, UpdateKind::Closed);
        if sequence % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let mut next = 101;
    let mut resyncs = 0;
    while next <= last {
        let said = slow.next().await;
        match said.strip_suffix(" resync slow") {
            Some(token) => {
                resyncs += 1;
                next = token.strip_suffix(".0").unwrap().parse::<u64>().unwrap() + 1;
            }
            None => {
                assert_eq!(said, format!("{next}.0 A"));
                next += 1;
            }
        }
    }
    assert!(resyncs > 0);
    assert!(feed.metric(&format!("barrow_feed_resyncs_total{{reason=\"slow\"}} {resyncs}")));
    feed.publish(last + 1, 3, UpdateKind::Closed);
    assert_eq!(slow.next().await, format!("{}.0 D", last + 1));
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn who_takes_nothing_for_too_long_is_told_nothing_more() {
    let mut config = config();
    config.feed.write_seconds_max = 1;
    let mut feed = Feed::start_with(config).await;
    let stuck = open(&feed, "groups=g").await;
    for sequence in 101.. {
        if feed.metric("barrow_feed_streams_count 0") {
            break;
        }
        feed.publish(sequence, 0, UpdateKind::Closed);
        tokio::task::yield_now().await;
    }
    drop(stuck);
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_told_is_refused_with_its_field() {
    let mut config = config();
    config.http.streams_max = 1;
    let feed = Feed::start_with(config).await;
    for (query, last, status, field) in [
        ("", None, 400, "groups"),
        ("groups=x", None, 404, "groups"),
        ("groups=g@v2", None, 404, "groups"),
        ("groups=g,g@v1", None, 400, "groups"),
        ("groups=g&symbols=A,A", None, 400, "symbols"),
        ("groups=g&symbols=A,id:A", None, 400, "symbols"),
        ("groups=g&symbols=X,Y", None, 404, "symbols"),
        ("groups=g&corrections=1", None, 400, "corrections"),
        ("groups=g&provisional=yes", None, 400, "provisional"),
        ("groups=g&tz=Mars", None, 400, "tz"),
        ("groups=g&since=1", None, 400, "since"),
        ("groups=g", Some("17"), 400, "Last-Event-ID"),
    ] {
        let response = answer(&feed, query, last).await;
        assert_eq!(response.status(), status, "{query}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["field"], field, "{query}: {problem}");
    }
    let response = answer(&feed, "groups=g&symbols=A,X", None).await;
    assert_eq!(response.headers()["barrow-warning"], "X: has no row yet");
    let full = answer(&feed, "groups=g", None).await;
    assert_eq!((full.status().as_u16(), full.headers().contains_key("retry-after")), (503, true));
    let problem: Value = full.json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("streams_max"), "{problem}");
    assert!(feed.metric("barrow_server_refusals_total{bound=\"streams\"} 1"));
    drop(response);
    // Its place is free as soon as the server has noticed.
    while answer(&feed, "groups=g", None).await.status() != 200 {}
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_stream_ends_when_another_version_is_promoted() {
    let mut feed = Feed::start().await;
    let mut events = open(&feed, "groups=g").await;
    feed.publish(100, 0, UpdateKind::Closed);
    assert_eq!(events.next().await, "100.0 A");
    feed.running.app.live.set_groups([]);
    feed.publish(101, 0, UpdateKind::Closed);
    assert_eq!(events.some(2).await, ["101.0 A", "end"]);
    feed.running.stop().await.unwrap();
}
