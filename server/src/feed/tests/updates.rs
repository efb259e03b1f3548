//! Who is told of what, from where on.

use super::*;

fn of(symbols: &[u32]) -> Subscribe<'_> {
    Subscribe { symbols: Symbols::These(Indexes::of(symbols)), ..ALL }
}

/// The next so many frames.
async fn some(client: &mut Client, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    for _ in 0..count {
        found.push(client.next().await);
    }
    found
}

#[tokio::test]
async fn each_subscriber_is_told_of_what_it_wants_and_no_more() {
    let mut feed = Feed::start().await;
    let [mut all, mut two, mut more] =
        [feed.client().await, feed.client().await, feed.client().await];
    let start = all.subscribe(ALL).await;
    assert_eq!(start, two.subscribe(of(&[1, 3])).await);
    more.subscribe(Subscribe { corrections: true, forming: true, ..of(&[1]) }).await;
    for (sequence, symbol, kind) in [
        (100, 0, UpdateKind::Closed),
        (100, 1, UpdateKind::Closed),
        (101, 1, UpdateKind::Corrected),
        (102, 1, UpdateKind::Forming),
        (102, 2, UpdateKind::Forming),
        (103, 3, UpdateKind::Closed),
        (104, 1, UpdateKind::Closed),
    ] {
        feed.publish(sequence, symbol, kind);
    }
    // Another group's are not told.
    let other = row(feed.group.layout, 105, 1);
    feed.publisher.update(105, (8, 1), UpdateKind::Closed, &other);
    feed.publish(106, 1, UpdateKind::Closed);
    assert_eq!(some(&mut all, 5).await, ["100.0 0", "100.1 1", "103.0 3", "104.0 1", "106.0 1"]);
    assert_eq!(some(&mut two, 4).await, ["100.1 1", "103.0 3", "104.0 1", "106.0 1"]);
    let told = ["100.1 1", "101.0 1", "102.0 1", "104.0 1", "106.0 1"];
    assert_eq!(some(&mut more, 5).await, told);
    // What was told can be read.
    assert_eq!(all.latest(Which::Newest, &[1]).await, ["1"]);
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_client_that_comes_back_with_its_token_misses_nothing() {
    let mut feed = Feed::start().await;
    let instance = feed.running.app.live.identity().instance;
    let mut first = feed.client().await;
    first.subscribe(ALL).await;
    for sequence in 100..120 {
        feed.publish(sequence, 0, UpdateKind::Closed);
        feed.publish(sequence, 1, UpdateKind::Closed);
    }
    for seen in [0, 1, 2, 7, 39] {
        drop(first);
        first = feed.client().await;
        let (sequence, index) = (100 + seen / 2, u32::try_from(seen % 2).unwrap());
        let resume = Some((instance, Token { sequence, index }));
        let said = first.subscribe(Subscribe { resume, ..ALL }).await;
        assert_eq!(said, format!("subscribed {sequence}.{index}"));
        for next in seen + 1..40 {
            assert_eq!(first.next().await, format!("{}.{} {1}", 100 + next / 2, next % 2));
        }
    }
    feed.publish(200, 2, UpdateKind::Closed);
    assert_eq!(first.next().await, "200.0 2");
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_token_that_cannot_be_resumed_from_says_why_and_begins_anew() {
    let mut config = config();
    config.feed.kept_updates_max = 4;
    let mut feed = Feed::start_with(config).await;
    let instance = feed.running.app.live.identity().instance;
    for sequence in 100..110 {
        feed.publish(sequence, 0, UpdateKind::Closed);
    }
    let token = |sequence| Token { sequence, index: 0 };
    for (resume, reason) in [
        ((instance, token(104)), "old"),
        ((instance, Token::default()), "old"),
        ((instance, token(110)), "unknown"),
        (([9; 16], token(108)), "unknown"),
    ] {
        let mut client = feed.client().await;
        let said = client.subscribe(Subscribe { resume: Some(resume), ..ALL }).await;
        assert_eq!(said, "subscribed 109.0");
        assert_eq!(client.next().await, format!("resync {reason} 109.0"));
    }
    assert!(feed.metric("barrow_feed_resyncs_total{reason=\"old\"} 2"));
    let mut client = feed.client().await;
    let resume = Some((instance, token(105)));
    assert_eq!(client.subscribe(Subscribe { resume, ..ALL }).await, "subscribed 105.0");
    assert_eq!(some(&mut client, 4).await, ["106.0 0", "107.0 0", "108.0 0", "109.0 0"]);
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn who_is_slow_is_told_so_and_the_others_get_everything() {
    const KEPT: u32 = 1_000;
    let mut config = config();
    config.feed.kept_updates_max = KEPT;
    config.feed.backlog_bytes_max = 4_096;
    let mut feed = Feed::start_with(config).await;
    let [mut slow, mut fast] = [feed.client().await, feed.client().await];
    slow.subscribe(ALL).await;
    fast.subscribe(ALL).await;
    let last = 20_000;
    for sequence in 101..=last {
        feed.publish(sequence, 0, UpdateKind::Closed);
        assert_eq!(fast.next().await, format!("{sequence}.0 0"));
    }
    // Nothing was read by now, and much less fits between than was published.
    let mut next = 101;
    let mut resyncs = 0;
    while next <= last {
        let said = slow.next().await;
        match said.strip_prefix("resync slow ") {
            Some(token) => {
                resyncs += 1;
                next = token.strip_suffix(".0").unwrap().parse::<u64>().unwrap() + 1;
            }
            None => {
                assert_eq!(said, format!("{next}.0 0"));
                next += 1;
            }
        }
    }
    assert!(resyncs > 0);
    assert!(feed.metric(&format!("barrow_feed_resyncs_total{{reason=\"slow\"}} {resyncs}")));
    // It goes on as the others.
    feed.publish(last + 1, 3, UpdateKind::Closed);
    assert_eq!(slow.next().await, format!("{}.0 3", last + 1));
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn who_hears_little_gets_tokens_to_come_back_with() {
    let mut config = config();
    config.feed.kept_updates_max = 80;
    let mut feed = Feed::start_with(config).await;
    let instance = feed.running.app.live.identity().instance;
    let mut quiet = feed.client().await;
    quiet.subscribe(of(&[3])).await;
    let mut token = None;
    for sequence in 101..=500 {
        feed.publish(sequence, 0, UpdateKind::Closed);
        // Each is passed over before the next comes, so that the count is exact.
        if (sequence - 100) % 11 == 0 {
            let said = quiet.next().await;
            assert_eq!(said, format!("progress {sequence}.0"));
            token = Some(Token { sequence, index: 0 });
        } else {
            assert_eq!(quiet.ask(Request::Ping(b"")).await, Reply::Pong(b""));
        }
    }
    drop(quiet);
    let mut quiet = feed.client().await;
    let resume = token.map(|token| (instance, token));
    let said = quiet.subscribe(Subscribe { resume, ..of(&[3]) }).await;
    assert_eq!(said, "subscribed 496.0");
    feed.publish(501, 3, UpdateKind::Closed);
    assert_eq!(quiet.next().await, "501.0 3");
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn rows_that_were_made_anew_are_told_to_all_of_their_group() {
    let mut feed = Feed::start().await;
    let mut client = feed.client().await;
    client.subscribe(of(&[2])).await;
    feed.publisher.rebuilt(100, 8);
    feed.publisher.rebuilt(100, 7);
    feed.publisher.flush();
    feed.publish(101, 2, UpdateKind::Closed);
    assert_eq!(some(&mut client, 2).await, ["resync rebuilt 100.1", "101.0 2"]);
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn after_unsubscribe_nothing_comes_any_more() {
    let mut feed = Feed::start().await;
    let mut client = feed.client().await;
    client.subscribe(ALL).await;
    assert!(feed.metric("barrow_feed_subscriptions_count 1"));
    feed.publish(101, 0, UpdateKind::Closed);
    assert_eq!(client.next().await, "101.0 0");
    assert_eq!(shown(&client.ask(Request::Unsubscribe { group: 7 }).await), "unsubscribed");
    assert!(feed.metric("barrow_feed_subscriptions_count 0"));
    feed.publish(102, 0, UpdateKind::Closed);
    assert_eq!(client.ask(Request::Ping(b"")).await, Reply::Pong(b""));
    assert_eq!(client.subscribe(ALL).await, "subscribed 102.0");
    feed.publish(103, 0, UpdateKind::Closed);
    assert_eq!(client.next().await, "103.0 0");
    feed.running.stop().await.unwrap();
}
