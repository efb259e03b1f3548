//! A Redis server of its own, in memory only, and what is needed of its protocol (RESP2).

use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::talk::{Place, exchange};

/// How long it may take to start.
const START_TIME: Duration = Duration::from_secs(10);

/// A running server; killed when dropped.
pub struct Redis {
    process: Child,
    port: u16,
    socket: PathBuf,
}

impl Redis {
    /// Starts it with its socket in `dir`; `None` if there is no `redis-server`.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(dir: &Path) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let socket = dir.join("redis.sock");
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "no", "--unixsocket"]).arg(&socket);
        let process = command.current_dir(dir).stdout(Stdio::null()).spawn().ok()?;
        let end = Instant::now() + START_TIME;
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < end, "redis-server does not answer");
            thread::sleep(Duration::from_millis(20));
        }
        Some(Self { process, port, socket })
    }

    /// Where it listens on a port.
    pub fn tcp(&self) -> Place {
        Place::Tcp(format!("127.0.0.1:{}", self.port))
    }

    /// Where it listens on a Unix socket.
    pub fn unix(&self) -> Place {
        Place::Unix(self.socket.clone())
    }

    /// Stores something.
    ///
    /// # Panics
    /// It does not take it.
    pub fn store(&self, words: &[&[u8]]) {
        let answer = exchange(&mut self.unix().connect(), &command(words), reply_len);
        assert!(!answer.starts_with(b"-"), "{}", String::from_utf8_lossy(&answer));
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A command as bytes.
pub fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).bytes());
        bytes.extend_from_slice(word);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// How long the reply is that begins here; `None` if that cannot be said yet.
pub fn reply_len(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let count = || {
        let text = std::str::from_utf8(&bytes[1..end - 2]).expect("invariant: a number is ASCII");
        text.parse::<usize>().expect("what was asked for is there")
    };
    match bytes[0] {
        b'$' => Some(end + count() + 2),
        b'*' => (0..count()).try_fold(end, |at, _| Some(at + reply_len(bytes.get(at..)?)?)),
        _ => Some(end),
    }
}
