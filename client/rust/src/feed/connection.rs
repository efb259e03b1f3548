//! The async client.

use std::io;
use std::path::Path;

use barrow_protocol::frame::{Indexes, Mode, Reply, Request, Symbols, TextList, Which};
use barrow_types::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, ToSocketAddrs, UnixStream};
use tokio::time::timeout;

use super::wire::{Frame, Noted, Told, Wire, unexpected};
use super::{Event, FeedError, FeedOptions, Group, ResumeToken, RowSet, Server, Wanted};

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    async fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(room).await,
            Self::Unix(stream) => stream.read(room).await,
        }
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes).await,
            Self::Unix(stream) => stream.write_all(bytes).await,
        }
    }
}

#[derive(Debug)]
struct Connection {
    socket: Socket,
    wire: Wire,
}

impl Connection {
    async fn send(&mut self) -> Result<(), FeedError> {
        let sent = self.socket.write_all(self.wire.output()).await;
        sent.map_err(FeedError::Interrupted)?;
        self.wire.sent();
        Ok(())
    }

    async fn frame(&mut self) -> Result<Frame, FeedError> {
        loop {
            if let Some(frame) = self.wire.frame()? {
                return Ok(frame);
            }
            let read = self.socket.read(self.wire.room()).await;
            self.wire.came(read)?;
        }
    }

    async fn answer(&mut self, number: u32) -> Result<Frame, FeedError> {
        self.send().await?;
        loop {
            let frame = self.frame().await?;
            if self.wire.answer(&frame, number)?.is_some() {
                return Ok(frame);
            }
        }
    }

    /// Sends a request and waits for its answer.
    async fn ask(&mut self, request: Request<'_>) -> Result<Reply<'_>, FeedError> {
        let number = self.wire.request(request)?;
        let frame = self.answer(number).await?;
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
    pub async fn tcp(
        address: impl ToSocketAddrs + std::fmt::Debug,
        options: &FeedOptions,
    ) -> Result<Self, FeedError> {
        let named = format!("{address:?}");
        let connecting = async {
            let stream = TcpStream::connect(address).await?;
            // Requests are whole: waiting for more to send only delays them.
            stream.set_nodelay(true)?;
            Ok(Socket::Tcp(stream))
        };
        Self::begin(named, connecting, options).await
    }

    /// Connects to a server on this machine, by its Unix socket, and says hello.
    ///
    /// # Errors
    /// As [`Self::tcp`].
    pub async fn unix(path: impl AsRef<Path>, options: &FeedOptions) -> Result<Self, FeedError> {
        let path = path.as_ref();
        let connecting = async { UnixStream::connect(path).await.map(Socket::Unix) };
        Self::begin(path.display().to_string(), connecting, options).await
    }

    async fn begin(
        address: String,
        connecting: impl Future<Output = io::Result<Socket>>,
        options: &FeedOptions,
    ) -> Result<Self, FeedError> {
        let hello = async {
            let socket = connecting.await;
            let socket = socket
                .map_err(|error| FeedError::Unreachable { address: address.clone(), error })?;
            let mut connection = Connection { socket, wire: Wire::default() };
            let number = connection.wire.hello(options)?;
            let frame = connection.answer(number).await?;
            let server = match connection.wire.answer(&frame, number)? {
                Some(Reply::Welcome(welcome)) => Server::from(welcome),
                Some(other) => return Err(unexpected(&other)),
                None => return Err(FeedError::Decode("no welcome".to_owned())),
            };
            Ok(Self { connection, server })
        };
        match timeout(options.connect_timeout, hello).await {
            Ok(begun) => begun,
            Err(_) => {
                Err(FeedError::Unreachable { address, error: io::ErrorKind::TimedOut.into() })
            }
        }
    }

    /// Who answers.
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// Numbers of groups (`NAME` or `NAME@VERSION`; none: all that are live) and of symbols in
    /// each.
    ///
    /// # Errors
    /// There is no such group, or the connection is broken.
    pub async fn resolve<G: AsRef<str>, S: AsRef<str>>(
        &mut self,
        groups: &[G],
        symbols: &[S],
    ) -> Result<Vec<Group>, FeedError> {
        let groups = TextList::of(groups).map_err(FeedError::invalid)?;
        let symbols = TextList::of(symbols).map_err(FeedError::invalid)?;
        let (groups, symbols) = (groups.texts(), Some(symbols.texts()));
        self.resolved(Request::Resolve { groups, symbols }).await
    }

    /// As [`Self::resolve`], with all symbols of each group.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub async fn resolve_all<G: AsRef<str>>(
        &mut self,
        groups: &[G],
    ) -> Result<Vec<Group>, FeedError> {
        let groups = TextList::of(groups).map_err(FeedError::invalid)?;
        self.resolved(Request::Resolve { groups: groups.texts(), symbols: None }).await
    }

    async fn resolved(&mut self, request: Request<'_>) -> Result<Vec<Group>, FeedError> {
        match self.connection.ask(request).await? {
            Reply::Resolved(resolved) => Ok(Group::all_of(&resolved)),
            other => Err(unexpected(&other)),
        }
    }

    /// The latest rows of symbols, by their numbers, into `rows`.
    ///
    /// # Errors
    /// The group is not known any more, or the connection is broken.
    pub async fn latest(
        &mut self,
        group: &Group,
        which: Which,
        symbols: &[u32],
        rows: &mut RowSet,
    ) -> Result<(), FeedError> {
        let symbols = Symbols::These(Indexes::of(symbols));
        self.rows(Request::Latest { group: group.handle, which, symbols }, group, rows).await
    }

    /// The latest rows of all symbols of a group, in the order of their numbers, into `rows`.
    ///
    /// # Errors
    /// As [`Self::latest`].
    pub async fn latest_all(
        &mut self,
        group: &Group,
        which: Which,
        rows: &mut RowSet,
    ) -> Result<(), FeedError> {
        let symbols = Symbols::All;
        self.rows(Request::Latest { group: group.handle, which, symbols }, group, rows).await
    }

    /// The one row of a symbol that an instant means, into `rows`.
    ///
    /// # Errors
    /// As [`Self::latest`]; stored bytes cannot be read.
    pub async fn at(
        &mut self,
        group: &Group,
        symbol: u32,
        (ts, mode): (Timestamp, Mode),
        rows: &mut RowSet,
    ) -> Result<(), FeedError> {
        let ts = ts.nanos();
        self.rows(Request::At { group: group.handle, symbol, ts, mode }, group, rows).await
    }

    async fn rows(
        &mut self,
        request: Request<'_>,
        group: &Group,
        rows: &mut RowSet,
    ) -> Result<(), FeedError> {
        match self.connection.ask(request).await? {
            Reply::Rows(found) => rows.fill(group.layout(), &found),
            other => Err(unexpected(&other)),
        }
    }

    /// Waits until the server has answered all there was to answer.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn ping(&mut self) -> Result<(), FeedError> {
        match self.connection.ask(Request::Ping(b"")).await? {
            Reply::Pong(_) => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks to be told of new rows of a group.
    ///
    /// # Errors
    /// The group or a symbol is not known any more, or the connection is broken.
    pub async fn subscribe(
        mut self,
        group: &Group,
        wanted: &Wanted,
    ) -> Result<Subscription, FeedError> {
        let request = Request::Subscribe(wanted.subscribe(group.handle));
        let token = match self.connection.ask(request).await? {
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
    /// The next event; `None` if the server stops. Dropped while it waits, it loses nothing.
    ///
    /// # Errors
    /// The connection is broken, or was closed because nothing was read for too long.
    pub async fn next(&mut self) -> Result<Option<Event<'_>>, FeedError> {
        let connection = &mut self.feed.connection;
        loop {
            let frame = connection.frame().await?;
            match self.told.note(&connection.wire, &frame)? {
                Noted::Nothing => {}
                noted => return Ok(self.told.event(noted)),
            }
        }
    }

    /// Up to where it was told.
    pub const fn token(&self) -> ResumeToken {
        self.told.token
    }

    /// Asks to be told no more; what comes until that is answered is left out.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn end(mut self) -> Result<Feed, FeedError> {
        let group = self.told.group;
        match self.feed.connection.ask(Request::Unsubscribe { group }).await? {
            Reply::Unsubscribed { .. } => {}
            other => return Err(unexpected(&other)),
        }
        Ok(self.feed)
    }
}
