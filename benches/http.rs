//! A client of HTTP/1.1 over one kept connection, with as little of its own as can be: what it
//! measures is the server and the loopback. Blocking; bodies by length or in chunks.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// The media type of Arrow streams.
pub const ARROW: &str = "application/vnd.apache.arrow.stream";

/// A connection to a server.
pub struct Connection {
    stream: BufReader<TcpStream>,
    head: Vec<u8>,
}

impl Connection {
    /// Connects to `address`.
    ///
    /// # Panics
    /// Nobody listens.
    pub fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("a socket takes the option");
        Self { stream: BufReader::with_capacity(256 << 10, stream), head: Vec::new() }
    }

    /// Asks for `path` with `GET`.
    ///
    /// # Panics
    /// The answer is not 200.
    pub fn get(&mut self, path: &str) -> Body<'_> {
        self.ask("GET", path, &[])
    }

    /// Sends an Arrow stream to `path` and reads the answer.
    ///
    /// # Panics
    /// The answer is not 200.
    pub fn post(&mut self, path: &str, body: &[u8]) -> String {
        let mut text = String::new();
        self.ask("POST", path, body).read_to_string(&mut text).expect("the answer is text");
        text
    }

    fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Body<'_> {
        self.send(method, path, body).expect("the server reads");
        self.answer(path).expect("the server answers")
    }

    fn send(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<()> {
        self.head.clear();
        write!(self.head, "{method} {path} HTTP/1.1\r\nhost: bench\r\naccept: {ARROW}\r\n")?;
        if method == "POST" {
            write!(self.head, "content-type: {ARROW}\r\ncontent-length: {}\r\n", body.len())?;
        }
        self.head.extend(b"\r\n");
        let stream = self.stream.get_mut();
        // One write for what is small: a second would be a second wake-up of the server.
        if body.len() <= 64 << 10 {
            self.head.extend(body);
            return stream.write_all(&self.head);
        }
        stream.write_all(&self.head)?;
        stream.write_all(body)
    }

    fn answer(&mut self, path: &str) -> io::Result<Body<'_>> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut rest = Rest::Chunk { left: 0, first: true };
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                rest = Rest::Length(value.trim().parse().expect("a length is a number"));
            }
        }
        let mut body = Body { stream: &mut self.stream, rest };
        if status != "200" {
            let mut text = String::new();
            body.read_to_string(&mut text)?;
            panic!("{path}: {status} {text}");
        }
        Ok(body)
    }
}

/// The body of an answer. Must be read to its end before the next question.
pub struct Body<'c> {
    stream: &'c mut BufReader<TcpStream>,
    rest: Rest,
}

enum Rest {
    Length(usize),
    Chunk { left: usize, first: bool },
    End,
}

impl Body<'_> {
    /// Reads all of it into `bytes`, which is emptied first.
    ///
    /// # Panics
    /// It breaks off.
    pub fn into(mut self, bytes: &mut Vec<u8>) {
        bytes.clear();
        self.read_to_end(bytes).expect("the body is whole");
    }

    fn next_chunk(&mut self, first: bool) -> io::Result<usize> {
        let mut line = String::new();
        if !first {
            self.stream.read_line(&mut line)?;
            line.clear();
        }
        self.stream.read_line(&mut line)?;
        let len = usize::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
        if len == 0 {
            self.stream.read_line(&mut line)?;
        }
        Ok(len)
    }
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = match self.rest {
            Rest::End | Rest::Length(0) => return Ok(0),
            Rest::Length(left) => left,
            Rest::Chunk { left: 0, first } => {
                let len = self.next_chunk(first)?;
                if len == 0 {
                    self.rest = Rest::End;
                    return Ok(0);
                }
                len
            }
            Rest::Chunk { left, .. } => left,
        };
        let len = left.min(buffer.len());
        let read = self.stream.read(&mut buffer[..len])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.rest = match self.rest {
            Rest::Length(_) => Rest::Length(left - read),
            _ => Rest::Chunk { left: left - read, first: false },
        };
        Ok(read)
    }
}
