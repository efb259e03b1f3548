//! The clients of the client package.

use std::time::Duration;

use barrow_client::feed::{self, Event, FeedError, FeedOptions, RowSet, Wanted, blocking};

use super::*;

/// An event in a line.
fn line(event: Option<Event<'_>>) -> String {
    match event {
        Some(Event::Update { symbol, token, row }) => {
            assert_eq!(row.value(0), Some(f64::from(symbol)));
            format!("{}.{} {symbol}", token.sequence, token.index)
        }
        Some(Event::Resync { reason }) => format!("resync {}", reason.unwrap().name()),
        None => "none".to_owned(),
    }
}

/// Values of rows, in a line.
fn values(rows: &RowSet) -> String {
    let value = |row: Result<Row<'_>, Absence>| match row {
        Ok(row) => row.value(0).unwrap().to_string(),
        Err(absence) => absence.name().to_owned(),
    };
    rows.iter().map(value).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn the_async_client_asks_is_told_and_comes_back() {
    let mut server = Feed::start().await;
    server.publish(101, 2, UpdateKind::Closed);
    let options = FeedOptions::default();
    let address = server.running.feed.unwrap();
    let mut feed = feed::Feed::tcp(address, &options).await.unwrap();
    assert_eq!(feed.server().instance, server.running.app.live.identity().instance);
    assert!(feed.server().name.starts_with("barrow "));
    let groups = feed.resolve(&["g@v1"], &["C", "E"]).await.unwrap();
    let [group] = &groups[..] else { panic!("{groups:?}") };
    assert_eq!(group.features, ["x", "y"]);
    let indexes: Vec<_> = group.symbols.iter().map(|symbol| symbol.index).collect();
    assert_eq!(indexes, [Some(2), None]);
    assert_eq!(feed.resolve_all(&[""; 0]).await.unwrap()[0].symbols.len(), 4);
    let mut rows = RowSet::default();
    feed.latest(group, Which::Newest, &[2, 0, 7], &mut rows).await.unwrap();
    assert_eq!(values(&rows), "2, no such row, no such symbol");
    feed.latest_all(group, Which::Newest, &mut rows).await.unwrap();
    assert_eq!(values(&rows), "no such row, no such row, 2, no such row");
    feed.ping().await.unwrap();
    let unknown = feed.resolve(&["none"], &[""; 0]).await.unwrap_err();
    let FeedError::Refused { code, text } = &unknown else { panic!("{unknown}") };
    assert_eq!(code.unwrap().name(), "not_found");
    assert!(text.contains("g@v1"), "{text}");

    let mut news = feed.subscribe(group, &Wanted::of(&[0, 1])).await.unwrap();
    assert_eq!((news.token().token.sequence, news.token().token.index), (101, 0));
    for (sequence, symbol) in [(102, 0), (102, 3), (102, 1), (103, 0)] {
        server.publish(sequence, symbol, UpdateKind::Closed);
    }
    assert_eq!(line(news.next().await.unwrap()), "102.0 0");
    let token = news.token();
    assert_eq!(line(news.next().await.unwrap()), "102.2 1");
    // A call that is given up loses nothing.
    assert_eq!(line(news.next().await.unwrap()), "103.0 0");
    let waiting = tokio::time::timeout(Duration::ZERO, news.next()).await;
    assert!(waiting.is_err());
    server.publish(104, 1, UpdateKind::Closed);
    assert_eq!(line(news.next().await.unwrap()), "104.0 1");
    let mut feed = news.end().await.unwrap();
    feed.ping().await.unwrap();

    let wanted = Wanted::of(&[0, 1]).after(token);
    let unix = feed::Feed::unix(server.socket(), &options).await.unwrap();
    let mut news = unix.subscribe(group, &wanted).await.unwrap();
    assert_eq!(news.token(), token);
    for expected in ["102.2 1", "103.0 0", "104.0 1"] {
        assert_eq!(line(news.next().await.unwrap()), expected);
    }
    let elsewhere = feed::ResumeToken { instance: [1; 16], ..token };
    let unix = feed::Feed::unix(server.socket(), &options).await.unwrap();
    let mut lost = unix.subscribe(group, &Wanted::all().after(elsewhere)).await.unwrap();
    assert_eq!(line(lost.next().await.unwrap()), "resync unknown");
    assert_eq!(lost.token().token.sequence, 104);

    server.running.stop().await.unwrap();
    assert_eq!(line(news.next().await.unwrap()), "none");
    let gone = feed.ping().await.unwrap_err();
    assert!(matches!(gone, FeedError::Going | FeedError::Interrupted(_)), "{gone}");
    let nobody = feed::Feed::tcp(address, &options).await.unwrap_err();
    assert!(matches!(nobody, FeedError::Unreachable { .. }), "{nobody}");
}

#[tokio::test]
async fn an_answer_to_a_call_that_was_given_up_is_left_out() {
    let server = Feed::start().await;
    let mut feed = feed::Feed::unix(server.socket(), &FeedOptions::default()).await.unwrap();
    let group = feed.resolve(&["g"], &["A"]).await.unwrap().remove(0);
    let mut rows = RowSet::default();
    for _ in 0..20 {
        let asking = feed.latest(&group, Which::Newest, &[0, 1, 2], &mut rows);
        // Polled once, which sends the request; the answer cannot be there yet.
        let _ = tokio::time::timeout(Duration::ZERO, asking).await;
        feed.ping().await.unwrap();
        feed.latest(&group, Which::Newest, &[0], &mut rows).await.unwrap();
        assert_eq!(values(&rows), "no such row");
    }
    server.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_blocking_client_does_the_same() {
    let mut server = Feed::start().await;
    server.publish(101, 2, UpdateKind::Closed);
    let (address, socket) = (server.running.feed.unwrap(), server.socket());
    let asking = tokio::task::spawn_blocking(move || {
        let options = FeedOptions::default();
        let mut feed = blocking::Feed::tcp(address, &options).unwrap();
        feed.set_timeout(Some(Duration::from_secs(60))).unwrap();
        let group = feed.resolve(&["g"], &["C"]).unwrap().remove(0);
        let mut rows = RowSet::default();
        feed.latest(&group, Which::Newest, &[2, 0], &mut rows).unwrap();
        assert_eq!(values(&rows), "2, no such row");
        feed.latest_all(&group, Which::Forming, &mut rows).unwrap();
        assert_eq!(rows.len(), 4);
        feed.ping().unwrap();
        let feed = blocking::Feed::unix(&socket, &options).unwrap();
        feed.subscribe(&group, &Wanted::all()).unwrap()
    });
    let mut news = asking.await.unwrap();
    server.publish(102, 1, UpdateKind::Closed);
    server.publish(103, 3, UpdateKind::Closed);
    let told = tokio::task::spawn_blocking(move || {
        let lines = [line(news.next().unwrap()), line(news.next().unwrap())];
        // Nothing comes within the time, and the next one is not lost.
        news.set_timeout(Some(Duration::from_millis(1))).unwrap();
        let late = news.next().map(line).unwrap_err();
        let is_late = matches!(&late, FeedError::Interrupted(error)
            if error.kind() == std::io::ErrorKind::TimedOut);
        assert!(is_late, "{late}");
        news.set_timeout(None).unwrap();
        (lines, news)
    });
    let (lines, mut news) = told.await.unwrap();
    assert_eq!(lines, ["102.0 1", "103.0 3"]);
    server.publish(104, 0, UpdateKind::Closed);
    let ended = tokio::task::spawn_blocking(move || {
        assert_eq!(line(news.next().unwrap()), "104.0 0");
        news.end().unwrap().ping().unwrap();
    });
    ended.await.unwrap();
    server.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_client_without_the_key_is_told_what_to_send() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    // FIPS 180-2, appendix B.1: SHA-256 of "abc".
    let line = "read desk ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";
    std::fs::write(&keys, line).unwrap();
    let mut config = config();
    config.auth.keys_file = keys;
    let server = Feed::start_with(config).await;
    let options = FeedOptions::default();
    let refused = feed::Feed::unix(server.socket(), &options).await.unwrap_err();
    let FeedError::Refused { code, .. } = &refused else { panic!("{refused}") };
    assert_eq!(code.unwrap().name(), "unauthorized");
    let mut feed = feed::Feed::unix(server.socket(), &options.key("abc")).await.unwrap();
    feed.ping().await.unwrap();
    server.running.stop().await.unwrap();
}
