use super::*;
use crate::RowLayout;

use proptest::prelude::*;

/// Decodes a frame that is there whole, alone.
fn split(frame: &[u8]) -> Result<(Header, &[u8]), Fault> {
    let header = Header::read(frame)?.ok_or(Fault("it has no header"))?;
    let body = &frame[HEADER_LEN..];
    if body.len() == header.body_len() { Ok((header, body)) } else { Err(Fault("its length")) }
}

/// That a request is these bytes, both ways.
fn request_is(request: Request<'_>, id: u32, bytes: &str) {
    let mut frame = vec![0xaa];
    request.encode(id, &mut frame).unwrap();
    assert_eq!(hex(&frame[1..]), bytes.replace(['\n', ' '], ""), "{request:?}");
    let (header, body) = split(&frame[1..]).unwrap();
    assert_eq!(header.request, id);
    assert_eq!(Request::decode(header, body), Ok(request));
}

/// That a reply is these bytes, both ways.
fn reply_is(reply: Reply<'_>, id: u32, bytes: &str) {
    let mut frame = vec![0xaa];
    reply.encode(id, &mut frame).unwrap();
    assert_eq!(hex(&frame[1..]), bytes.replace(['\n', ' '], ""), "{reply:?}");
    let (header, body) = split(&frame[1..]).unwrap();
    assert_eq!(header.request, id);
    assert_eq!(Reply::decode(header, body), Ok(reply));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn requests_have_the_bytes_that_the_document_says() {
    let hello = Hello { version: 1, key: "k", name: "né" };
    request_is(
        Request::Hello(hello),
        0x01020304,
        "0e000000 01 00 0000 04030201
         42525746 0100 0100 6b 0300 6ec3a9",
    );
    let (groups, symbols) = (TextList::of(["g", "h@1"]).unwrap(), TextList::of(["SPY"]).unwrap());
    request_is(
        Request::Resolve { groups: groups.texts(), symbols: Some(symbols.texts()) },
        1,
        "13000000 02 00 0000 01000000
         0200 0100 67 0300 684031 01000000 0300 535059",
    );
    let none = TextList::default();
    request_is(
        Request::Resolve { groups: none.texts(), symbols: None },
        1,
        "06000000 02 01 0000 01000000 0000 00000000",
    );
    let symbols = Symbols::These(Indexes::of(&[5, 256]));
    request_is(
        Request::Latest { group: 2, which: Which::Previous, symbols },
        3,
        "10000000 03 00 0000 03000000 02000000 01000000 05000000 00010000",
    );
    request_is(
        Request::Latest { group: 2, which: Which::Forming, symbols: Symbols::All },
        3,
        "08000000 03 01 0000 03000000 02000000 02000000",
    );
    request_is(
        Request::At { group: 2, symbol: 7, ts: -2, mode: Mode::Latest },
        4,
        "14000000 04 00 0000 04000000 02000000 07000000 feffffffffffffff 01000000",
    );
    let token = Token { sequence: 9, index: 1 };
    let instance = *b"0123456789abcdef";
    request_is(
        Request::Subscribe(Subscribe {
            group: 2,
            symbols,
            resume: Some((instance, token)),
            corrections: true,
            forming: false,
        }),
        5,
        "28000000 05 06 0000 05000000
         02000000 30313233343536373839616263646566 0900000000000000 01000000
         05000000 00010000",
    );
    request_is(
        Request::Subscribe(Subscribe {
            group: 2,
            symbols: Symbols::All,
            resume: None,
            corrections: false,
            forming: true,
        }),
        5,
        "20000000 05 09 0000 05000000
         02000000 00000000000000000000000000000000 0000000000000000 00000000",
    );
    request_is(Request::Unsubscribe { group: 2 }, 6, "04000000 06 00 0000 06000000 02000000");
    request_is(Request::Ping(b"hi"), 7, "02000000 07 00 0000 07000000 6869");
}

#[test]
fn replies_have_the_bytes_that_the_document_says() {
    let token = Token { sequence: 9, index: 1 };
    reply_is(
        Reply::Welcome(Welcome {
            version: 1,
            limits: Limits {
                request_bytes_max: 1 << 20,
                answer_bytes_max: 1 << 22,
                subscriptions_max: 64,
            },
            instance: *b"0123456789abcdef",
            epoch: 3,
            newest: token,
            server: "b",
        }),
        1,
        "37000000 81 00 0000 01000000
         0100 0000 00001000 00004000 40000000 30313233343536373839616263646566
         0300000000000000 0900000000000000 01000000 0100 62",
    );
    let rows = "01000000 0b000000 03000000 000200
         0100000000000000 0200000000000000 0300000000000000 0400000000000000 0500000000000000
         0600000000000000 0700000000000000 0800000000000000 0900000000000000 0a00000000000000
         0b00000000000000
         1500000000000000 1600000000000000 1700000000000000 1800000000000000 1900000000000000
         1a00000000000000 1b00000000000000 1c00000000000000 1d00000000000000 1e00000000000000
         1f00000000000000";
    let mut frame = Vec::new();
    let mut writer = RowsWriter::begin(&mut frame, 2, 1, RowLayout::new(3), 3);
    writer.row(&(1..12).collect::<Vec<u64>>());
    writer.absent(Absence::Row);
    writer.row(&(21..32).collect::<Vec<u64>>());
    writer.finish().unwrap();
    let bytes = format!("bf000000 83 00 0000 02000000 {rows}");
    assert_eq!(hex(&frame), bytes.replace(['\n', ' '], ""));
    let (header, body) = split(&frame).unwrap();
    let reply = Reply::decode(header, body).unwrap();
    reply_is(reply, 2, &bytes);
    let Reply::Rows(rows) = reply else { panic!("{reply:?}") };
    let firsts: Vec<_> = rows.iter().map(|row| row.map(|words| words.iter().next())).collect();
    assert_eq!(firsts, [Ok(Some(1)), Err(Absence::Row), Ok(Some(21))]);

    let mut frame = Vec::new();
    let mut writer = ResolvedWriter::begin(&mut frame, 4);
    writer.group(5, "g", ("v1", true), ["x", "yz"].iter()).unwrap();
    writer.symbol(Some(3), "A").unwrap();
    writer.symbol(None, "B").unwrap();
    writer.group(6, "h", ("v", false), [""; 0].iter()).unwrap();
    assert_eq!(writer.len(), 0x3a);
    writer.finish().unwrap();
    let bytes = "3a000000 82 00 0000 04000000 0200
         05000000 01 0100 67 0200 7631 0200 0100 78 0200 797a 02000000 03000000 0100 41
         ffffffff 0100 42
         06000000 00 0100 68 0100 76 0000 00000000";
    let (header, body) = split(&frame).unwrap();
    let reply = Reply::decode(header, body).unwrap();
    reply_is(reply, 4, bytes);
    let Reply::Resolved(resolved) = reply else { panic!("{reply:?}") };
    let [g, h] = resolved.groups().collect::<Vec<_>>()[..] else { panic!("{resolved:?}") };
    assert_eq!((g.handle, g.is_promoted, g.name, g.version), (5, true, "g", "v1"));
    assert!(g.features.iter().eq(["x", "yz"]));
    let symbols: Vec<_> = g.symbols().map(|symbol| (symbol.index, symbol.name)).collect();
    assert_eq!(symbols, [(Some(3), "A"), (None, "B")]);
    assert_eq!((h.handle, h.is_promoted, h.symbol_count()), (6, false, 0));

    let at = "02000000 0900000000000000 01000000";
    reply_is(
        Reply::Subscribed { group: 2, token },
        5,
        &format!("10000000 85 00 0000 05000000 {at}"),
    );
    reply_is(Reply::Unsubscribed { group: 2 }, 6, "04000000 86 00 0000 06000000 02000000");
    reply_is(Reply::Pong(b"hi"), 7, "02000000 87 00 0000 07000000 6869");
    reply_is(
        Reply::Error { code: Some(ErrorCode::NotFound), text: "no" },
        8,
        "06000000 8f 00 0000 08000000 0600 0200 6e6f",
    );
    let row = Words::of(&[1, u64::MAX]);
    reply_is(
        Reply::Update(Update { group: 2, symbol: 4, token, row }),
        0,
        "24000000 c1 00 0000 00000000
         02000000 04000000 0900000000000000 01000000 0100000000000000 ffffffffffffffff",
    );
    reply_is(
        Reply::Resync { group: 2, reason: Some(ResyncReason::Old), token },
        0,
        "14000000 c2 00 0000 00000000 02000000 02000000 0900000000000000 01000000",
    );
    reply_is(Reply::Progress { group: 2, token }, 0, &format!("10000000 c3 00 0000 00000000 {at}"));
    reply_is(Reply::Going, 0, "00000000 c4 00 0000 00000000");
}

#[test]
fn codes_stay_what_they_are() {
    let errors: Vec<_> = ErrorCode::ALL.iter().map(|code| (code.code(), code.name())).collect();
    assert_eq!(
        errors,
        [
            (1, "malformed"),
            (2, "hello"),
            (3, "version"),
            (4, "unauthorized"),
            (5, "forbidden"),
            (6, "not_found"),
            (7, "unknown_handle"),
            (8, "unknown_symbol"),
            (9, "subscription"),
            (10, "busy"),
            (11, "too_large"),
            (12, "invalid"),
            (13, "internal"),
            (14, "timeout"),
        ]
    );
    let reasons: Vec<_> = ResyncReason::ALL.iter().map(|code| (code.code(), code.name())).collect();
    assert_eq!(reasons, [(1, "slow"), (2, "old"), (3, "unknown"), (4, "rebuilt")]);
    let absences: Vec<_> = Absence::ALL.iter().map(|code| code.code()).collect();
    assert_eq!(absences, [1, 2, 3]);
    for code in 0..=u8::MAX {
        assert_eq!(Kind::of(code).map(Kind::code).unwrap_or(code), code);
    }
    assert!(Kind::ALL.iter().all(|kind| Kind::of(kind.code()) == Some(*kind)));
}

#[test]
fn what_is_no_frame_is_refused_and_codes_to_come_are_not() {
    let decode = |frame: &[u8]| {
        let (header, body) = split(frame)?;
        Request::decode(header, body).map(|_| ()).or(Reply::decode(header, body).map(|_| ()))
    };
    let header = |len: u8, kind: u8, flags: u8| {
        [vec![len, 0, 0, 0, kind, flags, 0, 0, 0, 0, 0, 0], vec![0; len.into()]].concat()
    };
    assert!(decode(&header(4, 6, 0)).is_ok());
    for (len, kind, flags) in [
        (0, 0, 0),
        (0, 8, 0),
        (0, 128, 0),
        (4, 6, 1),
        (3, 6, 0),
        (5, 6, 0),
        (65, 7, 0),
        (1, 196, 0),
    ] {
        assert!(decode(&header(len, kind, flags)).is_err(), "{len} {kind} {flags}");
    }
    let mut reserved = header(4, 6, 0);
    reserved[7] = 1;
    assert!(decode(&reserved).is_err());
    assert_eq!(Header::read(&header(4, 6, 0)[..11]), Ok(None));
    let too_long = [&(BODY_LEN_MAX + 1).to_le_bytes()[..], &[6, 0, 0, 0, 0, 0, 0, 0]].concat();
    assert!(Header::read(&too_long).is_err());

    // A token without the flag to resume; symbols beside all of them.
    let mut token = header(32, 5, 1);
    assert!(decode(&token).is_ok());
    token[12 + 20] = 1;
    assert!(decode(&token).is_err());
    token[5] = 3;
    assert!(decode(&token).is_ok());
    assert!(decode(&header(36, 5, 1)).is_err());
    assert!(decode(&header(36, 5, 0)).is_ok());

    // Of a later server: an error and a reason that this build does not know.
    let (header, body) = (header(4, 143, 0), [99, 0, 0, 0]);
    let (header, _) = split(&header).unwrap();
    assert_eq!(Reply::decode(header, &body), Ok(Reply::Error { code: None, text: "" }));
}

#[test]
fn what_is_too_long_leaves_the_buffer_as_it_was() {
    let mut out = vec![1, 2];
    let long = "x".repeat(65_536);
    let hello = Hello { version: 1, key: &long, name: "" };
    assert!(Request::Hello(hello).encode(1, &mut out).is_err());
    assert!(Request::Ping(&[0; 65]).encode(1, &mut out).is_err());
    assert!(TextList::of([&long]).is_err());
    let words = vec![0; 2 << 20];
    let update = Update { group: 0, symbol: 0, token: Token::default(), row: Words::of(&words) };
    assert!(Reply::Update(update).encode(0, &mut out).is_err());
    assert!(Reply::Error { code: None, text: "" }.encode(0, &mut out).is_err());
    let mut writer = ResolvedWriter::begin(&mut out, 1);
    writer.group(1, "g", ("v", true), [""; 0].iter()).unwrap();
    assert!(writer.symbol(None, &long).is_err());
    writer.discard();
    assert_eq!(out, [1, 2]);
}

fn symbols(all: bool, these: &[u32]) -> Symbols<'_> {
    if all { Symbols::All } else { Symbols::These(Indexes::of(these)) }
}

proptest! {
    #[test]
    fn requests_come_back_as_they_were(
        id: u32,
        kind in 0..7,
        numbers: (u32, u32, u64, i64, u16),
        instance: [u8; 16],
        bits: (bool, bool, bool, bool),
        these in prop::collection::vec(any::<u32>(), 0..20),
        texts in prop::collection::vec(".{0,9}", 2..9),
        bytes in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let (group, symbol, sequence, ts, version) = numbers;
        let (all, resumes, corrections, forming) = bits;
        let lists = [&texts[..1], &texts[1..]].map(|texts| TextList::of(texts).unwrap());
        let token = Token { sequence, index: symbol };
        let symbols = symbols(all, &these);
        let request = match kind {
            0 => Request::Hello(Hello { version, key: &texts[0], name: &texts[1] }),
            1 => Request::Resolve {
                groups: lists[0].texts(),
                symbols: (!all).then(|| lists[1].texts()),
            },
            2 => Request::Latest { group, which: Which::ALL[usize::from(version % 3)], symbols },
            3 => {
                let mode = if all { Mode::Exact } else { Mode::Latest };
                Request::At { group, symbol, ts, mode }
            }
            4 => Request::Subscribe(Subscribe {
                group,
                symbols,
                resume: resumes.then_some((instance, token)),
                corrections,
                forming,
            }),
            5 => Request::Unsubscribe { group },
            _ => Request::Ping(&bytes),
        };
        let mut frame = Vec::new();
        request.encode(id, &mut frame).unwrap();
        let (header, body) = split(&frame).unwrap();
        prop_assert_eq!(header.request, id);
        prop_assert_eq!(Request::decode(header, body), Ok(request));
    }

    #[test]
    fn rows_come_back_as_they_were(
        features in 0_usize..20,
        rows in prop::collection::vec(prop::option::weighted(0.7, any::<u64>()), 0..20),
    ) {
        let layout = RowLayout::new(features);
        let mut frame = Vec::new();
        let count = u32::try_from(rows.len()).unwrap();
        let mut writer = RowsWriter::begin(&mut frame, 1, 2, layout, count);
        let words = |seed: u64| {
            (0..layout.words() as u64).map(|at| seed.wrapping_add(at)).collect::<Vec<_>>()
        };
        for row in &rows {
            match row {
                Some(seed) => writer.row(&words(*seed)),
                None => writer.absent(Absence::Busy),
            }
        }
        writer.finish().unwrap();
        let (header, body) = split(&frame).unwrap();
        let Reply::Rows(found) = Reply::decode(header, body).unwrap() else { panic!("rows") };
        prop_assert_eq!(found.len(), rows.len());
        let mut row = vec![0; layout.words()];
        for (found, expected) in found.iter().zip(&rows) {
            match (found, expected) {
                (Ok(found), Some(seed)) => {
                    found.copy_to(&mut row);
                    prop_assert_eq!(&row, &words(*seed));
                }
                (found, expected) => {
                    prop_assert_eq!((found, *expected), (Err(Absence::Busy), None));
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_a_frame_or_a_fault_and_a_frame_comes_back(
        kind in prop::sample::select(Kind::ALL),
        flags in 0..16_u8,
        body in prop::collection::vec(prop_oneof![3 => 0..4_u8, 1 => any::<u8>()], 0..80),
    ) {
        let len = u32::try_from(body.len()).unwrap();
        let header = Header { len, kind, flags, request: 1 };
        let mut frame = Vec::new();
        if let Ok(request) = Request::decode(header, &body) {
            request.encode(1, &mut frame).unwrap();
        } else if let Ok(reply) = Reply::decode(header, &body) {
            let has_known_code = !matches!(
                reply,
                Reply::Error { code: None, .. } | Reply::Resync { reason: None, .. }
            );
            prop_assert_eq!(reply.encode(1, &mut frame).is_ok(), has_known_code);
            if !has_known_code {
                return Ok(());
            }
        } else {
            return Ok(());
        }
        let (again, found) = split(&frame).unwrap();
        prop_assert_eq!((again, found), (header, &body[..]));
    }
}
