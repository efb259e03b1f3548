//! What do 10,000 hostile connections do to a client of the feed that means well?
//!
//! `--data DIR` is a folder for the store, `--seconds N` how long each part takes. The one that
//! means well asks for a row 1,000 times a second on a connection that it had before, on schedule:
//! times are from when a question was due. Rounds: alone, among the others, and after they are
//! gone. The server is a process of its own; this one is all clients. Nothing is bound to a
//! processor: what the hostile ones cost themselves is in the figures, too. The system must allow
//! 13,000 open files (`ulimit -n`).
//!
//! The hostile ones come over some seconds, and come back a second after the server has closed
//! them. Of 20, one each sends noise; frames of noise after a hello; a hello, a byte a second;
//! nothing. Five send half a frame after a hello, five requests, a byte a second, and six say hello
//! and no more. With `[feed] connections_max` = 12,000 all of them
//! get in; with the default of 4,096 those beyond it must be told so.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use barrow_benches::data::Random;
use barrow_benches::http::Connection;
use barrow_benches::live::{self, Batch, Live, SIXTEEN};
use barrow_benches::source::{Shape, Source};
use barrow_benches::talk::{Place, Talk};
use barrow_benches::{arguments, data, figure, machine, pace};
use barrow_client::feed::Group;
use barrow_protocol::frame::{ErrorCode, HEADER_LEN, Header, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::Runtime;
use tokio::time::sleep;

const SYMBOLS: u32 = 100;
const RATE: f64 = 1_000.0;
/// A hostile client comes back, or sends the next byte, after so long.
const AGAIN: Duration = Duration::from_secs(1);
/// Over which they come for the first time: as long as the server waits for a hello.
const COMING: Duration = Duration::from_secs(5);
/// Until the silent ones were closed for the first time.
const BEFORE: Duration = Duration::from_secs(11);
/// What the server may need to see that they are gone.
const AFTER: Duration = Duration::from_secs(10);

fn main() {
    let Some(dir) = arguments::optional::<PathBuf>("--data") else { return };
    let time = Duration::from_secs_f64(arguments::value("--seconds", 10.0));
    let count = arguments::value("--connections", 10_000);
    pace::wake_in_time();
    for connections_max in [12_000, 4_096] {
        round(&dir, time, count, connections_max);
    }
}

fn round(dir: &Path, time: Duration, count: usize, connections_max: usize) {
    let limit = connections_max.to_string();
    let settings = [("BARROW_FEED_CONNECTIONS_MAX", limit.as_str())];
    let live = Live::start(&dir.join("store"), &[SIXTEEN], &settings);
    let mut source = Source::new(Shape { symbols: SYMBOLS, minutes: data::MINUTES }, 0);
    let batch = Batch::next(&mut source);
    batch.send(&mut Connection::open(&live.server.address));
    let group = live.group(SIXTEEN.name, (0, SYMBOLS), batch.ts);
    let place = live.tcp();
    let mut good = live::talk(&place, &group, &live::numbers(&group)[..1]);
    let what = format!("{RATE} lookups/s, at most {connections_max} connections");
    let pid = live.server.pid();

    figure::many(&format!("{what}: alone"), "us", lookups(&mut good, time));
    let memory = machine::memory_mib(pid, "VmRSS");

    let runtime = Runtime::new().expect("the system gives threads");
    let tally = Arc::new(Tally::default());
    for at in 0..count {
        let client = Hostile::new(at, &live, &group, &tally);
        let after = COMING.mul_f64(at as f64 / count as f64);
        runtime.spawn(client.attack(after));
    }
    thread::sleep(BEFORE);
    let cpu = [pid, std::process::id()].map(machine::cpu_seconds);
    let (closed, start) = (tally.closed.load(Ordering::Relaxed), Instant::now());
    let among = format!("{what}: among {count} hostile ones");
    figure::many(&among, "us", lookups(&mut good, time));
    let seconds = start.elapsed().as_secs_f64();
    let used = |at: usize, pid| (machine::cpu_seconds(pid) - cpu[at]) / seconds;
    figure::one(&format!("{among}: server CPU"), "processors", used(0, pid));
    figure::one(&format!("{among}: CPU of all clients"), "processors", used(1, std::process::id()));
    let closed = tally.closed.load(Ordering::Relaxed) - closed;
    figure::one(&format!("{among}: connections ended"), "1/s", closed as f64 / seconds);
    let open = tally.open.load(Ordering::Relaxed);
    figure::one(&format!("{among}: open at the end"), "connections", open as f64);
    let grown = machine::memory_mib(pid, "VmRSS") - memory;
    figure::one(&format!("{among}: server VmRSS grew by"), "MiB", grown);
    newcomers(&place, count >= connections_max);

    runtime.shutdown_background();
    tally.tell(&what);
    let end = Instant::now() + AFTER;
    let mut metrics = Connection::open(&live.server.address);
    let mut text = String::new();
    while !text.lines().any(|line| line == "barrow_feed_connections_count 1") {
        assert!(Instant::now() < end, "the server still counts clients that are gone");
        thread::sleep(Duration::from_millis(20));
        text.clear();
        metrics.get("/metrics").read_to_string(&mut text).expect("the answer is text");
    }
    figure::many(&format!("{what}: after they are gone"), "us", lookups(&mut good, time));
    newcomers(&place, false);
    let refused = tally.errors[usize::from(ErrorCode::Busy.code())].load(Ordering::Relaxed);
    assert_eq!(refused > 0, count >= connections_max, "{refused} were told that all are in use");
    live.server.stop();
}

/// Microseconds from when a lookup was due until it was answered.
fn lookups(talk: &mut Talk, time: Duration) -> Vec<f64> {
    let mut took = Vec::new();
    pace::each(RATE, (Instant::now(), time), Duration::ZERO, |_, due| {
        talk.ask();
        took.push(due.elapsed().as_secs_f64() * 1e6);
        talk.check(usize::MAX);
        true
    });
    took
}

/// Some who come now say nothing: they are told that all connections are in use, or nothing.
fn newcomers(place: &Place, is_full: bool) {
    let mut refused = 0;
    for _ in 0..20 {
        let mut stream = place.connect();
        if !is_full {
            stream.write_all(&live::hello()).expect("the server listens");
        }
        let mut header = [0; HEADER_LEN];
        stream.read_exact(&mut header).expect("the server says something");
        let header = Header::read(&header).expect("a frame").expect("a whole one");
        let mut body = vec![0; header.body_len()];
        stream.read_exact(&mut body).expect("a frame is whole");
        let reply = Reply::decode(header, &body).expect("as documented");
        let is_busy = matches!(reply, Reply::Error { code: Some(ErrorCode::Busy), .. });
        if is_busy {
            assert_eq!(header.request, 0, "of no request");
            let ended = stream.read(&mut body).expect("the end, not a reset");
            assert_eq!(ended, 0, "nothing follows");
            refused += 1;
        } else {
            // Of those who say nothing a place may be free.
            let is_late = matches!(reply, Reply::Error { code: Some(ErrorCode::Timeout), .. });
            assert!(matches!(reply, Reply::Welcome(_)) || is_full && is_late, "{reply:?}");
        }
    }
    assert_eq!(refused > 0, is_full, "of 20 newcomers {refused} were refused");
}

// ---------------------------------------------------------------------- the hostile ones

/// What became of them.
struct Tally {
    open: AtomicI64,
    closed: AtomicU64,
    unreachable: AtomicU64,
    /// By code, how many errors came.
    errors: [AtomicU64; 16],
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            open: AtomicI64::new(0),
            closed: AtomicU64::new(0),
            unreachable: AtomicU64::new(0),
            errors: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl Tally {
    fn tell(&self, what: &str) {
        let count = |name: &str, count: u64| {
            figure::one(&format!("{what}, hostile ones: {name}"), "times", count as f64);
        };
        let closed = self.closed.load(Ordering::Relaxed);
        count("ended", closed);
        count("could not connect", self.unreachable.load(Ordering::Relaxed));
        let mut told = 0;
        for code in ErrorCode::ALL {
            let errors = self.errors[usize::from(code.code())].load(Ordering::Relaxed);
            if errors > 0 {
                count(&format!("told {}", code.name()), errors);
            }
            let ends =
                [ErrorCode::Malformed, ErrorCode::Hello, ErrorCode::Busy, ErrorCode::Timeout];
            told += if ends.contains(code) { errors } else { 0 };
        }
        count("ended without being told why", closed.saturating_sub(told));
    }
}

#[derive(Clone, Copy)]
enum Manner {
    Noise,
    Frames,
    SlowHello,
    Silent,
    Half,
    Slow,
    Idle,
}

impl Manner {
    const fn of(at: usize) -> Self {
        match at % 20 {
            0 => Self::Noise,
            1 => Self::Frames,
            2 => Self::SlowHello,
            3 => Self::Silent,
            4..9 => Self::Half,
            9..14 => Self::Slow,
            _ => Self::Idle,
        }
    }
}

struct Hostile {
    manner: Manner,
    address: String,
    latest: Vec<u8>,
    random: Random,
    tally: Arc<Tally>,
}

impl Hostile {
    fn new(at: usize, live: &Live, group: &Group, tally: &Arc<Tally>) -> Self {
        Self {
            manner: Manner::of(at),
            address: live.server.said("feed="),
            latest: live::latest(group, &[0]),
            random: Random::new(at as u64),
            tally: Arc::clone(tally),
        }
    }

    async fn attack(mut self, after: Duration) {
        sleep(after).await;
        loop {
            match TcpStream::connect(&self.address).await {
                Ok(stream) => {
                    let tally = Arc::clone(&self.tally);
                    let (reader, writer) = stream.into_split();
                    tally.open.fetch_add(1, Ordering::Relaxed);
                    tokio::select! {
                        () = listen(reader, &tally) => {}
                        () = self.send(writer) => {}
                    }
                    tally.open.fetch_sub(1, Ordering::Relaxed);
                    tally.closed.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => {
                    self.tally.unreachable.fetch_add(1, Ordering::Relaxed);
                }
            }
            sleep(AGAIN).await;
        }
    }

    /// Sends what it has to say, then waits for ever. That the server is gone is seen by who
    /// listens.
    async fn send(&mut self, mut writer: OwnedWriteHalf) {
        let hello = live::hello();
        let mut bytes = match self.manner {
            Manner::Noise => self.noise(512),
            Manner::Frames => {
                let frames: Vec<u8> = (0..20).flat_map(|_| self.frame()).collect();
                [hello, frames].concat()
            }
            Manner::Half => [hello, vec![0xff, 0xff, 0, 0, 3, 0, 0, 0]].concat(),
            Manner::Slow | Manner::Idle => hello,
            Manner::SlowHello | Manner::Silent => Vec::new(),
        };
        let _ = writer.write_all(&bytes).await;
        match self.manner {
            Manner::Slow => bytes.clone_from(&self.latest),
            Manner::SlowHello => bytes = live::hello(),
            _ => std::future::pending().await,
        }
        for byte in bytes.iter().cycle() {
            sleep(AGAIN).await;
            let _ = writer.write_all(&[*byte]).await;
        }
    }

    fn noise(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.random.bits().to_le_bytes()[0]).collect()
    }

    /// A frame of a client whose body means nothing.
    fn frame(&mut self) -> Vec<u8> {
        let [len, kind, flags, ..] = self.random.bits().to_le_bytes();
        let len = len % 64;
        let header = [len, 0, 0, 0, kind % 9, flags % 16, 0, 0, 0, 0, 0, 0];
        [header.to_vec(), self.noise(len.into())].concat()
    }
}

/// Reads until the server ends the connection; all must be frames.
async fn listen(mut reader: OwnedReadHalf, tally: &Tally) {
    let mut came = Vec::new();
    loop {
        match reader.read_buf(&mut came).await {
            // The end, or a reset: more was sent than the server has read.
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        while let Some(header) = Header::read(&came).expect("a frame") {
            if came.len() < header.frame_len() {
                break;
            }
            let body = &came[HEADER_LEN..header.frame_len()];
            let reply = Reply::decode(header, body).expect("as documented");
            if let Reply::Error { code: Some(code), .. } = reply {
                tally.errors[usize::from(code.code())].fetch_add(1, Ordering::Relaxed);
            }
            came.drain(..header.frame_len());
        }
    }
}
