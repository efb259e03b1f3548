//! The same for programs without an async runtime, over sockets of the standard library.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use barrow_protocol::frame::{Indexes, Mode, Reply, Request, Symbols, TextList, Which};
use barrow_types::Timestamp;

use super::wire::{Frame, Noted, Told, Wire, unexpected};
use super::{Event, FeedError, FeedOptions, Group, ResumeToken, RowSet, Server, Wanted};

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self {
                Self::Tcp(stream) => stream.read(room),
                Self::Unix(stream) => stream.read(room),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What the system says of a timeout.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                read => return read,
            }
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Unix(stream) => stream.write_all(bytes),
        }
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(timeout),
            Self::Unix(stream) => stream.set_read_timeout(timeout),
        }
    }
}

#[derive(Debug)]
struct Connection {
    socket: Socket,
    wire: Wire,
}

impl Connection {
    fn frame(&mut self) -> Result<Frame, FeedError> {
        loop {
            if let Some(frame) = self.wire.frame()? {
                return Ok(frame);
            }
            let read = self.socket.read(self.wire.room());
            self.wire.came(read)?;
        }
    }

    fn answer(&mut self, number: u32) -> Result<Frame, FeedError> {
        let sent = self.socket.write_all(self.wire.output());
        sent.map_err(FeedError::Interrupted)?;
        self.wire.sent();
        loop {
            let frame = self.frame()?;
            if self.wire.answer(&frame, number)?.is_some() {
                return Ok(frame);
            }
        }
    }

    fn ask(&mut self, request: Request<'_>) -> Result<Reply<'_>, FeedError> {
        let number = self.wire.request(request)?;
        let frame = self.answer(number)?;
        let reply = self.wire.answer(&frame, number)?;
        Ok(reply.expect("invariant: it was the answer"))
    }
}

/// A connection to a feature feed: one question after the other.
#[derive(Debug)]
pub struct Feed {
    connection: Connection,
    server: Server,
}

impl Feed {
    /// Connects over TCP and says hello.
    ///
    /// # Errors
    /// Nobody answers there, or does not let this client in.
    pub fn tcp(
        address: impl ToSocketAddrs + std::fmt::Debug,
        options: &FeedOptions,
    ) -> Result<Self, FeedError> {
        let connect = || {
            let mut last = io::ErrorKind::NotFound.into();
            for address in address.to_socket_addrs()? {
                match TcpStream::connect_timeout(&address, options.connect_timeout) {
                    Ok(stream) => {
                        // Requests are whole: waiting for more to send only delays them.
                        stream.set_nodelay(true)?;
                        return Ok(Socket::Tcp(stream));
                    }
                    Err(error) => last = error,
                }
            }
            Err(last)
        };
        Self::begin(format!("{address:?}"), connect(), options)
    }

    /// Connects to a server on this machine, by its Unix socket, and says hello.
    ///
    /// # Errors
    /// As [`Self::tcp`].
    pub fn unix(path: impl AsRef<Path>, options: &FeedOptions) -> Result<Self, FeedError> {
        let path = path.as_ref();
        let connected = UnixStream::connect(path).map(Socket::Unix);
        Self::begin(path.display().to_string(), connected, options)
    }

    fn begin(
        address: String,
        connected: io::Result<Socket>,
        options: &FeedOptions,
    ) -> Result<Self, FeedError> {
        let connected = connected.and_then(|socket| {
            socket.set_read_timeout(Some(options.connect_timeout))?;
            Ok(socket)
        });
        let socket = connected.map_err(|error| FeedError::Unreachable { address, error })?;
        let mut connection = Connection { socket, wire: Wire::default() };
        let number = connection.wire.hello(options)?;
        let frame = connection.answer(number)?;
        let server = match connection.wire.answer(&frame, number)? {
            Some(Reply::Welcome(welcome)) => Server::from(welcome),
            Some(other) => return Err(unexpected(&other)),
            None => return Err(FeedError::Decode("no welcome".to_owned())),
        };
        let mut feed = Self { connection, server };
        feed.set_timeout(None)?;
        Ok(feed)
    }

    /// Who answers.
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// How long calls wait for an answer before they fail, `TimedOut`; `None`, as at first: for
    /// ever. The connection stays good: the answer is left out when it comes.
    ///
    /// # Errors
    /// The system does not take it; zero is no time to wait.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) -> Result<(), FeedError> {
        let set = self.connection.socket.set_read_timeout(timeout);
        set.map_err(|error| FeedError::Invalid(format!("timeout: {error}")))
    }

    /// Numbers of groups (`NAME` or `NAME@VERSION`; none: all that are live) and of symbols in
    /// each.
    ///
    /// # Errors
    /// There is no such group, or the connection is broken.
    pub fn resolve<G: AsRef<str>, S: AsRef<str>>(
        &mut self,
        groups: &[G],
        symbols: &[S],
    ) -> Result<Vec<Group>, FeedError> {
        let groups = TextList::of(groups).map_err(FeedError::invalid)?;
        let symbols = TextList::of(symbols).map_err(FeedError::invalid)?;
        let (groups, symbols) = (groups.texts(), Some(symbols.texts()));
        self.resolved(Request::Resolve { groups, symbols })
    }

    /// As [`Self::resolve`], with all symbols of each group.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn resolve_all<G: AsRef<str>>(&mut self, groups: &[G]) -> Result<Vec<Group>, FeedError> {
        let groups = TextList::of(groups).map_err(FeedError::invalid)?;
        self.resolved(Request::Resolve { groups: groups.texts(), symbols: None })
    }

    fn resolved(&mut self, request: Request<'_>) -> Result<Vec<Group>, FeedError> {
        match self.connection.ask(request)? {
            Reply::Resolved(resolved) => Ok(Group::all_of(&resolved)),
            other => Err(unexpected(&other)),
        }
    }

    /// The latest rows of symbols, by their numbers, into `rows`.
    ///
    /// # Errors
    /// The group is not known any more, or the connection is broken.
    pub fn latest(
        &mut self,
        group: &Group,
        which: Which,
        symbols: &[u32],
        rows: &mut RowSet,
    ) -> Result<(), FeedError> {
        let symbols = Symbols::These(Indexes::of(symbols));
        self.rows(Request::Latest { group: group.handle, which, symbols }, group, rows)
    }

    /// The latest rows of all symbols of a group, in the order of their numbers, into `rows`.
    ///
    /// # Errors
    /// As [`Self::latest`].
    pub fn latest_all(
        &mut self,
        group: &Group,
        which: Which,
        rows: &mut RowSet,
    ) -> Result<(), FeedError> {
        let symbols = Symbols::All;
        self.rows(Request::Latest { group: group.handle, which, symbols }, group, rows)
    }

    /// The one row of a symbol that an instant means, into `rows`.
    ///
    /// # Errors
    /// As [`Self::latest`]; stored bytes cannot be read.
    pub fn at(
        &mut self,
        group: &Group,
        symbol: u32,
        (ts, mode): (Timestamp, Mode),
        rows: &mut RowSet,
    ) -> Result<(), FeedError> {
        let ts = ts.nanos();
        self.rows(Request::At { group: group.handle, symbol, ts, mode }, group, rows)
    }

    fn rows(
        &mut self,
        request: Request<'_>,
        group: &Group,
        rows: &mut RowSet,
    ) -> Result<(), FeedError> {
        match self.connection.ask(request)? {
            Reply::Rows(found) => rows.fill(group.layout(), &found),
            other => Err(unexpected(&other)),
        }
    }

    /// Waits until the server has answered all there was to answer.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn ping(&mut self) -> Result<(), FeedError> {
        match self.connection.ask(Request::Ping(b""))? {
            Reply::Pong(_) => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks to be told of new rows of a group.
    ///
    /// # Errors
    /// The group or a symbol is not known any more, or the connection is broken.
    pub fn subscribe(mut self, group: &Group, wanted: &Wanted) -> Result<Subscription, FeedError> {
        let request = Request::Subscribe(wanted.subscribe(group.handle));
        let token = match self.connection.ask(request)? {
            Reply::Subscribed { token, .. } => token,
            other => return Err(unexpected(&other)),
        };
        let token = ResumeToken { instance: self.server.instance, token };
        let told = Told::new(group.handle, group.layout(), token);
        Ok(Subscription { feed: self, told })
    }
}

/// New rows of a group, as they come.
#[derive(Debug)]
pub struct Subscription {
    feed: Feed,
    told: Told,
}

impl Subscription {
    /// The next event; `None` if the server stops.
    ///
    /// # Errors
    /// The connection is broken, or was closed because nothing was read for too long; no event
    /// came within the timeout, and nothing was lost.
    #[expect(clippy::should_implement_trait, reason = "an event borrows from the subscription")]
    pub fn next(&mut self) -> Result<Option<Event<'_>>, FeedError> {
        let connection = &mut self.feed.connection;
        loop {
            let frame = connection.frame()?;
            match self.told.note(&connection.wire, &frame)? {
                Noted::Nothing => {}
                noted => return Ok(self.told.event(noted)),
            }
        }
    }

    /// How long [`Self::next`] waits, see [`Feed::set_timeout`].
    ///
    /// # Errors
    /// As [`Feed::set_timeout`].
    pub fn set_timeout(&mut self, timeout: Option<Duration>) -> Result<(), FeedError> {
        self.feed.set_timeout(timeout)
    }

    /// Up to where it was told.
    pub const fn token(&self) -> ResumeToken {
        self.told.token
    }

    /// Asks to be told no more; what comes until that is answered is left out.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn end(mut self) -> Result<Feed, FeedError> {
        let group = self.told.group;
        match self.feed.connection.ask(Request::Unsubscribe { group })? {
            Reply::Unsubscribed { .. } => {}
            other => return Err(unexpected(&other)),
        }
        Ok(self.feed)
    }
}
