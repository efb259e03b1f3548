//! Clients that mean harm or are broken: the others are answered meanwhile.

use super::*;

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_le_bytes()[0]).collect()
    }

    /// A frame of a client whose body means nothing, or a true one that was damaged.
    fn frame(&mut self) -> Vec<u8> {
        let mut frame = Vec::new();
        if self.next().is_multiple_of(2) {
            let len = usize::try_from(self.next() % 64).unwrap();
            frame.extend_from_slice(&u32::try_from(len).unwrap().to_le_bytes());
            frame.push(u8::try_from(self.next() % 9).unwrap());
            frame.push(u8::try_from(self.next() % 16).unwrap());
            frame.extend_from_slice(&[0; 6]);
            frame.extend(self.bytes(len));
        } else {
            let symbols = [0, u32::MAX];
            let symbols = Symbols::These(Indexes::of(&symbols));
            Request::Subscribe(Subscribe { symbols, ..ALL }).encode(1, &mut frame).unwrap();
            let place = usize::try_from(self.next() % frame.len() as u64).unwrap();
            frame[place] ^= self.next().to_le_bytes()[0];
        }
        frame
    }
}

/// Reads until the server ends the connection; all must be frames.
async fn drain(client: &mut Client) -> usize {
    let mut count = 0;
    while let Some((header, body)) = client.frame().await {
        Reply::decode(header, &body).unwrap();
        count += 1;
    }
    count
}

#[tokio::test]
async fn noise_ends_a_connection_and_disturbs_no_other() {
    let mut feed = Feed::start().await;
    let mut good = feed.client().await;
    good.subscribe(ALL).await;
    let mut numbers = Numbers(7);
    for round in 0..300 {
        let mut client = if round % 2 == 0 { feed.tcp().await } else { feed.unix().await };
        if round % 3 > 0 {
            client.hello("").await;
        }
        let noise = if round % 5 == 0 {
            numbers.bytes(512)
        } else {
            (0..20).flat_map(|_| numbers.frame()).collect()
        };
        // The server may have closed already.
        let _ = client.socket.write_all(&noise).await;
        let _ = client.socket.shutdown().await;
        drain(&mut client).await;
        let sequence = 100 + round;
        feed.publish(sequence, 1, UpdateKind::Closed);
        assert_eq!(good.next().await, format!("{sequence}.0 1"));
        assert_eq!(good.latest(Which::Newest, &[1]).await, ["1"]);
    }
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn frames_may_come_byte_by_byte() {
    let feed = Feed::start().await;
    let mut client = feed.tcp().await;
    let mut frames = Vec::new();
    let hello = Request::Hello(Hello { version: 1, key: "", name: "slow" });
    hello.encode(0, &mut frames).unwrap();
    for id in 1..4 {
        let symbols = Symbols::These(Indexes::of(&[0, 1]));
        let latest = Request::Latest { group: 7, which: Which::Newest, symbols };
        latest.encode(id, &mut frames).unwrap();
    }
    let mut other = feed.client().await;
    for byte in frames {
        client.socket.write_all(&[byte]).await.unwrap();
        assert_eq!(other.ask(Request::Ping(b"")).await, Reply::Pong(b""));
    }
    for id in 0..4 {
        assert_eq!(client.frame().await.unwrap().0.request, id);
    }
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn many_that_say_nothing_or_half_a_frame_keep_nobody_from_being_answered() {
    let feed = Feed::start().await;
    let mut good = feed.client().await;
    let mut idle = Vec::new();
    for round in 0..400 {
        let mut client = if round % 2 == 0 { feed.tcp().await } else { feed.unix().await };
        match round % 4 {
            0 | 1 => {}
            2 => client.socket.write_all(&[9, 0]).await.unwrap(),
            _ => {
                client.hello("").await;
                client.socket.write_all(&[0xff, 0xff, 0, 0, 3, 0, 0, 0]).await.unwrap();
            }
        }
        idle.push(client);
        assert_eq!(good.ask(Request::Ping(b"")).await, Reply::Pong(b""));
    }
    drop(idle);
    while !feed.metric("barrow_feed_connections_count 1") {
        assert_eq!(good.ask(Request::Ping(b"")).await, Reply::Pong(b""));
    }
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_a_first_frame_is_said() {
    let feed = Feed::start().await;
    let said = async |bytes: &[u8]| {
        let mut client = feed.tcp().await;
        client.socket.write_all(bytes).await.unwrap();
        let said = client.next().await;
        assert_eq!(client.next().await, "end");
        said
    };
    let frame = |request: Request<'_>| {
        let mut frame = Vec::new();
        request.encode(1, &mut frame).unwrap();
        frame
    };
    assert_eq!(said(b"GET / HTTP/1.1\r\n\r\n").await, "error malformed");
    assert_eq!(said(&frame(Request::Ping(b""))).await, "error hello");
    let hello = |version| frame(Request::Hello(Hello { version, key: "", name: "" }));
    assert_eq!(said(&hello(0)).await, "error version");
    let mut client = feed.client().await;
    client.socket.write_all(&hello(1)).await.unwrap();
    assert_eq!(client.next().await, "error hello");
    assert_eq!(client.next().await, "end");
    feed.running.stop().await.unwrap();
}
