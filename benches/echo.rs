//! The least that a server can do, in a process of its own: it reads as many bytes as a question
//! has and writes as many as its answer has. What a server needs above this is its own doing.
//!
//! | name | how |
//! |---|---|
//! | tokio | tasks of an async runtime with as many threads as in the server |
//! | threads | a thread for each connection, blocking |
//! | HTTP | hyper, with axum in front as in the server; `GET /N` answers N bytes |
//!
//! A client of the first two says once, in 8 bytes, how long its questions and answers are.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path as Asked;
use axum::routing::get;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::arguments;
use crate::server::Server;
use crate::talk::{Place, Stream, Talk};

/// Longest body over HTTP.
const BODY_MAX: usize = 4 << 20;
/// What is read at once.
const PIECE: usize = 64 << 10;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An async runtime.
    Tokio,
    /// A thread for each connection.
    Threads,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Tokio => "tokio",
            Self::Threads => "threads",
        }
    }
}

/// The running process.
pub struct Echo {
    server: Server,
    dir: PathBuf,
}

impl Echo {
    /// Starts it; its Unix sockets are in `dir`. The program must call [`serve_if_asked`] first.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(dir: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("Linux knows"));
        command.arg("--echo").arg(dir);
        Self { server: Server::run(command), dir: dir.to_owned() }
    }

    /// Where it answers HTTP.
    pub fn http(&self) -> &str {
        &self.server.address
    }

    /// Where it listens on a port.
    pub fn tcp(&self, kind: Kind) -> Place {
        Place::Tcp(self.server.said(&format!("{}=", kind.name())))
    }

    /// Where it listens on a Unix socket.
    pub fn unix(&self, kind: Kind) -> Place {
        Place::Unix(socket(&self.dir, kind))
    }

    /// A talk at `place` with questions and answers as long as those of `other`.
    pub fn talk(place: &Place, other: &Talk) -> Talk {
        let lens = [other.question_len(), other.first().len()];
        let mut stream = place.connect();
        let short = |len: usize| u32::try_from(len).expect("questions and answers are short");
        let lens = lens.map(short).map(u32::to_le_bytes).concat();
        stream.write_all(&lens).expect("it listens");
        let len = other.first().len();
        Talk::begin(stream, vec![7; other.question_len()], |_| Some(len))
    }
}

fn socket(dir: &Path, kind: Kind) -> PathBuf {
    dir.join(format!("echo-{}.sock", kind.name()))
}

/// Serves for ever if [`Echo::start`] has started this process.
pub fn serve_if_asked() {
    if let Some(dir) = arguments::optional::<PathBuf>("--echo") {
        serve(&dir);
    }
}

#[tokio::main]
async fn serve(dir: &Path) {
    for kind in [Kind::Tokio, Kind::Threads] {
        // What an earlier run left.
        let _ = std::fs::remove_file(socket(dir, kind));
    }
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let bind = || std::net::TcpListener::bind(any).expect("a port is free");
    let bind_unix = |kind| UnixListener::bind(socket(dir, kind)).expect("the folder is ours");
    let (tcp, unix) = (bind(), bind_unix(Kind::Threads));
    let threads = tcp.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in tcp.incoming().map_while(Result::ok) {
            stream.set_nodelay(true).expect("a socket takes the option");
            thread::spawn(move || answer(stream));
        }
    });
    thread::spawn(move || {
        for stream in unix.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(stream));
        }
    });
    let listen = async || tokio::net::TcpListener::bind(any).await.expect("a port is free");
    let (tcp, http) = (listen().await, listen().await);
    let unix = tokio::net::UnixListener::bind(socket(dir, Kind::Tokio)).expect("it is ours");
    let of = |listener: &tokio::net::TcpListener| listener.local_addr().expect("it is bound");
    let line = format!("ready http={} tokio={} threads={threads}\n", of(&http), of(&tcp));
    io::stdout().write_all(line.as_bytes()).expect("somebody reads");
    let body = Bytes::from(vec![7; BODY_MAX]);
    let reply = move |Asked(len): Asked<usize>| std::future::ready(body.slice(..len));
    let router: Router = Router::new().route("/{len}", get(reply));
    loop {
        tokio::select! {
            accepted = tcp.accept() => {
                let (stream, _) = accepted.expect("connections come");
                stream.set_nodelay(true).expect("a socket takes the option");
                tokio::spawn(answer_in_turn(stream));
            }
            accepted = unix.accept() => {
                let (stream, _) = accepted.expect("connections come");
                tokio::spawn(answer_in_turn(stream));
            }
            accepted = http.accept() => {
                let (stream, _) = accepted.expect("connections come");
                stream.set_nodelay(true).expect("a socket takes the option");
                let service = hyper_util::service::TowerToHyperService::new(router.clone());
                let io = hyper_util::rt::TokioIo::new(stream);
                let builder = hyper::server::conn::http1::Builder::new();
                tokio::spawn(builder.serve_connection(io, service));
            }
        }
    }
}

/// What a client has said of its questions and answers, and what came of the next question.
struct Turns {
    question: usize,
    answer: Vec<u8>,
    came: usize,
}

impl Turns {
    fn new(said: [u8; 8]) -> Self {
        let [question, answer] = [0, 4].map(|at| {
            let word = [said[at], said[at + 1], said[at + 2], said[at + 3]];
            usize::try_from(u32::from_le_bytes(word)).expect("invariant: 32 bits fit")
        });
        Self { question, answer: vec![7; answer], came: 0 }
    }

    /// Whether a question is whole, now that so much more came.
    fn take(&mut self, read: usize) -> bool {
        self.came += read;
        let is_whole = self.came >= self.question;
        if is_whole {
            self.came -= self.question;
        }
        is_whole
    }
}

fn answer(mut stream: impl Stream) -> io::Result<()> {
    let mut said = [0; 8];
    stream.read_exact(&mut said)?;
    let mut turns = Turns::new(said);
    let mut piece = vec![0; PIECE];
    loop {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            read if turns.take(read) => stream.write_all(&turns.answer)?,
            _ => {}
        }
    }
}

async fn answer_in_turn(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut said = [0; 8];
    stream.read_exact(&mut said).await?;
    let mut turns = Turns::new(said);
    let mut piece = vec![0; PIECE];
    loop {
        match stream.read(&mut piece).await? {
            0 => return Ok(()),
            read if turns.take(read) => stream.write_all(&turns.answer).await?,
            _ => {}
        }
    }
}
