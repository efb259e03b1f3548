//! One question asked again and again over a socket, with as little of the client's own as can be:
//! a write, and reads until as many bytes are there as the first answer had.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Where somebody listens.
#[derive(Clone, Debug)]
pub enum Place {
    /// A port, `host:port`.
    Tcp(String),
    /// A Unix socket.
    Unix(PathBuf),
}

/// A connection of any kind.
pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

impl Place {
    /// What kind of socket it is.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "TCP",
            Self::Unix(_) => "Unix socket",
        }
    }

    /// Connects.
    ///
    /// # Panics
    /// Nobody listens.
    pub fn connect(&self) -> Box<dyn Stream> {
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).expect("somebody listens");
                stream.set_nodelay(true).expect("a socket takes the option");
                Box::new(stream)
            }
            Self::Unix(path) => Box::new(UnixStream::connect(path).expect("somebody listens")),
        }
    }
}

/// See the module. Blocks while it waits: both sides sleep.
pub struct Talk {
    stream: Box<dyn Stream>,
    question: Vec<u8>,
    first: Vec<u8>,
    answer: Vec<u8>,
}

impl Talk {
    /// Asks for the first time; `len` says how long an answer is once enough of it is there.
    ///
    /// # Panics
    /// There is no answer.
    pub fn begin(
        mut stream: Box<dyn Stream>,
        question: Vec<u8>,
        len: impl Fn(&[u8]) -> Option<usize>,
    ) -> Self {
        let first = exchange(&mut stream, &question, len);
        let answer = vec![0; first.len()];
        Self { stream, question, first, answer }
    }

    /// The first answer.
    pub fn first(&self) -> &[u8] {
        &self.first
    }

    /// How long the question is.
    pub fn question_len(&self) -> usize {
        self.question.len()
    }

    /// Asks and reads the answer.
    ///
    /// # Panics
    /// The connection breaks.
    pub fn ask(&mut self) {
        self.stream.write_all(&self.question).expect("the other side reads");
        self.stream.read_exact(&mut self.answer).expect("the other side answers");
    }

    /// Whether the last answer begins as the first one did: so many of its bytes are the same.
    ///
    /// # Panics
    /// They are not.
    pub fn check(&self, len: usize) {
        let len = len.min(self.first.len());
        assert!(self.answer[..len] == self.first[..len], "another answer than the first");
    }
}

/// Sends a question and reads its answer, see [`Talk::begin`].
///
/// # Panics
/// There is no answer.
pub fn exchange(
    stream: &mut Box<dyn Stream>,
    question: &[u8],
    len: impl Fn(&[u8]) -> Option<usize>,
) -> Vec<u8> {
    stream.write_all(question).expect("the other side reads");
    let mut answer = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        let read = stream.read(&mut piece).expect("the other side answers");
        assert!(read > 0, "the connection ended in an answer");
        answer.extend_from_slice(&piece[..read]);
        match len(&answer) {
            Some(len) if answer.len() == len => return answer,
            Some(len) => assert!(answer.len() < len, "more than an answer"),
            None => {}
        }
    }
}
