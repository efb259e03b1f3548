//! Bounds, and what is said at them.

use super::*;

#[tokio::test]
async fn one_connection_too_many_is_told_and_the_others_stay() {
    let mut config = config();
    config.feed.connections_max = 2;
    let feed = Feed::start_with(config).await;
    let (mut first, second) = (feed.client().await, feed.client().await);
    for mut client in [feed.tcp().await, feed.unix().await] {
        assert_eq!(client.next().await, "error busy");
        assert_eq!(client.next().await, "end");
    }
    assert!(feed.metric("barrow_server_refusals_total{bound=\"feed_connections\"} 2"));
    assert!(feed.metric("barrow_feed_connections_count 2"));
    assert_eq!(first.ask(Request::Ping(b"")).await, Reply::Pong(b""));
    drop(second);
    // Its place is free as soon as the server has noticed.
    loop {
        let mut client = feed.tcp().await;
        let hello = Request::Hello(Hello { version: 1, key: "", name: "" });
        let mut frame = Vec::new();
        hello.encode(42, &mut frame).unwrap();
        // A refused client may find its connection closed.
        let _ = client.socket.write_all(&frame).await;
        if client.next().await.starts_with("Welcome") {
            break;
        }
    }
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn subscriptions_of_a_connection_are_bounded() {
    let mut config = config();
    config.feed.subscriptions_max = 1;
    let feed = Feed::start_with(config).await;
    let other = Arc::new(LiveGroup::new(8, "h", "v1", Vec::new()));
    feed.running.app.live.set_groups([Arc::clone(&feed.group), other]);
    let mut client = feed.client().await;
    client.subscribe(ALL).await;
    assert_eq!(client.subscribe(Subscribe { group: 8, ..ALL }).await, "error busy");
    assert_eq!(feed.client().await.subscribe(ALL).await.split(' ').next(), Some("subscribed"));
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_frame_that_is_too_long_is_refused_before_it_is_taken_in() {
    let mut config = config();
    config.feed.request_bytes_max = 4_096;
    let feed = Feed::start_with(config).await;
    let header = |len: u32, kind: u8| {
        let mut bytes = len.to_le_bytes().to_vec();
        bytes.extend_from_slice(&[kind, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    };
    // Before hello, after it, and above what any frame may have.
    for (says_hello, len, code) in [
        (false, 4_097, "error too_large"),
        (true, 4_097, "error too_large"),
        (true, (16 << 20) + 1, "error malformed"),
        (true, u32::MAX, "error malformed"),
    ] {
        let mut client = feed.unix().await;
        if says_hello {
            client.hello("").await;
        }
        client.socket.write_all(&header(len, 3)).await.unwrap();
        assert_eq!(client.next().await, code, "{len}");
        assert_eq!(client.next().await, "end");
    }
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_would_be_too_long_is_refused_before_it_is_made() {
    let mut config = config();
    config.feed.answer_bytes_max = 4_096;
    let feed = Feed::start_with(config).await;
    let mut client = feed.client().await;
    let ask = |symbols| Request::Latest { group: 7, which: Which::Newest, symbols };
    // A row has 10 words, and a byte that says whether it is there.
    let (most, more) = (vec![0; 50], vec![0; 51]);
    let reply = client.ask(ask(Symbols::These(Indexes::of(&most)))).await;
    assert!(matches!(reply, Reply::Rows(_)), "{reply:?}");
    let reply = client.ask(ask(Symbols::These(Indexes::of(&more)))).await;
    assert_eq!(shown(&reply), "error too_large");
    for symbol in 0..1_000 {
        feed.group.add_symbol(&format!("S{symbol}"));
    }
    assert_eq!(shown(&client.ask(ask(Symbols::All)).await), "error too_large");
    let groups = TextList::of(["g"]).unwrap();
    let all = Request::Resolve { groups: groups.texts(), symbols: None };
    assert_eq!(shown(&client.ask(all).await), "error too_large");
    assert_eq!(client.ask(Request::Ping(b"")).await, Reply::Pong(b""));
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn who_says_no_hello_in_time_is_closed() {
    let mut config = config();
    config.feed.hello_seconds_max = 1;
    let feed = Feed::start_with(config).await;
    let (mut silent, mut half) = (feed.tcp().await, feed.unix().await);
    half.socket.write_all(&[9, 0, 0, 0, 1]).await.unwrap();
    let mut client = feed.client().await;
    for client in [&mut silent, &mut half] {
        assert_eq!(client.next().await, "error timeout");
        assert_eq!(client.next().await, "end");
    }
    // Who has said hello may be silent.
    assert_eq!(client.ask(Request::Ping(b"")).await, Reply::Pong(b""));
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn who_takes_nothing_of_what_it_asked_for_is_closed() {
    let mut config = config();
    config.feed.write_seconds_max = 1;
    let feed = Feed::start_with(config).await;
    let mut deaf = feed.client().await;
    let mut client = feed.client().await;
    assert!(feed.metric("barrow_feed_connections_count 2"));
    let mut frames = Vec::new();
    for id in 0..10_000 {
        let symbols = Symbols::These(Indexes::of(&[0; 16]));
        let latest = Request::Latest { group: 7, which: Which::Newest, symbols };
        latest.encode(id, &mut frames).unwrap();
    }
    // Sooner or later the server reads no more.
    let asking = tokio::spawn(async move {
        let _ = deaf.socket.write_all(&frames).await;
        deaf
    });
    while !feed.metric("barrow_feed_connections_count 1") {
        assert_eq!(client.ask(Request::Ping(b"")).await, Reply::Pong(b""));
    }
    assert!(feed.metric("barrow_feed_errors_total{code=\"timeout\"} 1"));
    let mut deaf = asking.await.unwrap();
    let mut id = 0;
    while let Some((header, _)) = deaf.frame().await {
        assert_eq!(header.request, id);
        id += 1;
    }
    assert!(id < 10_000);
    feed.running.stop().await.unwrap();
}
