//! The sockets: TCP, and a Unix socket that only the user of the server can open.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use barrow_protocol::frame::{ErrorCode, Reply};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixSocket, UnixStream};
use tokio::sync::watch;

use super::connection;
use crate::config::Config;
use crate::http::App;

/// Connections that the system holds before they are taken.
const BACKLOG: u32 = 1_024;

/// Only for the user of the server.
const OWNER_ONLY: u32 = 0o600;

/// Why a socket cannot be opened.
#[derive(Debug)]
pub(crate) enum BindError {
    /// The port.
    Tcp(SocketAddr, io::Error),
    /// The Unix socket.
    Unix(PathBuf, String),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address, error) if error.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "bind {address} for the feature feed: the port is taken; stop what holds it or \
                 choose another ([server] feed, --feed)"
            ),
            Self::Tcp(address, error) => write!(f, "bind {address} for the feature feed: {error}"),
            Self::Unix(path, why) => {
                write!(f, "open the socket {}: {why} ([feed] socket)", path.display())
            }
        }
    }
}

/// Both listening sockets; the file of the Unix socket goes with them.
pub(crate) struct Listeners {
    tcp: TcpListener,
    unix: UnixListener,
    /// The address, with the port that it was given.
    pub(crate) address: SocketAddr,
    socket: PathBuf,
}

impl Listeners {
    /// Opens both.
    ///
    /// # Errors
    /// Which of them cannot be opened, and why.
    pub(crate) fn bind(config: &Config) -> Result<Self, BindError> {
        let address = config.server.feed;
        let (tcp, address) = bind_tcp(address).map_err(|error| BindError::Tcp(address, error))?;
        let socket = match &config.feed.socket {
            path if path.as_os_str().is_empty() => config.server.data_dir.join("feature.sock"),
            path => path.clone(),
        };
        let unix = bind_unix(&socket).map_err(|why| BindError::Unix(socket.clone(), why))?;
        Ok(Self { tcp, unix, address, socket })
    }

    /// The next client.
    ///
    /// # Errors
    /// The system does not give it.
    pub(super) async fn accept(&self) -> io::Result<Stream> {
        loop {
            let accepted = tokio::select! {
                accepted = self.tcp.accept() => accepted.map(|(stream, _)| Stream::Tcp(stream)),
                accepted = self.unix.accept() => accepted.map(|(stream, _)| Stream::Unix(stream)),
            };
            match accepted {
                // The client is gone already.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                other => return other,
            }
        }
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        // Somebody else may have removed it; a file left behind is replaced at the next start.
        let _ = fs::remove_file(&self.socket);
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Connections inherit it: a client that vanished is noticed in the end.
    socket.set_keepalive(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn bind_unix(path: &Path) -> Result<UnixListener, String> {
    remove_stale(path)?;
    let said = |error: io::Error| match error.kind() {
        io::ErrorKind::InvalidInput => "the path is longer than the 107 bytes that the system \
                                        takes; choose a shorter one"
            .to_owned(),
        _ => error.to_string(),
    };
    let socket = UnixSocket::new_stream().map_err(said)?;
    socket.bind(path).map_err(said)?;
    // Nobody can connect before `listen`, so nobody gets in before this.
    fs::set_permissions(path, Permissions::from_mode(OWNER_ONLY)).map_err(said)?;
    socket.listen(BACKLOG).map_err(said)
}

/// Removes the file of a server that is gone.
fn remove_stale(path: &Path) -> Result<(), String> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    if !found.file_type().is_socket() {
        return Err("there is a file of that name that is no socket; move it away".to_owned());
    }
    match StdUnixStream::connect(path) {
        Ok(_) => Err("another process listens there; stop it or choose another path".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| format!("remove what a server left: {error}"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// A client.
pub(super) enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over the Unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// Serves it until it goes, or has to.
    pub(super) async fn serve(self, app: &Arc<App>, stop: watch::Receiver<bool>) {
        match self {
            Self::Tcp(stream) => {
                // Frames are whole: waiting for more to send only delays them.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "set_nodelay");
                }
                let (reader, writer) = stream.into_split();
                connection::serve(app, reader, writer, stop).await;
            }
            Self::Unix(stream) => {
                let (reader, writer) = stream.into_split();
                connection::serve(app, reader, writer, stop).await;
            }
        }
    }

    /// Says that all connections are in use.
    pub(super) fn refuse(self) {
        let text = "all connections are in use; close one or try again later";
        let mut frame = Vec::new();
        let reply = Reply::Error { code: Some(ErrorCode::Busy), text };
        reply.encode(0, &mut frame).expect("invariant: the text is short");
        // It fits into the socket's buffer; a peer that is gone misses it.
        let _ = match self {
            Self::Tcp(stream) => stream.try_write(&frame),
            Self::Unix(stream) => stream.try_write(&frame),
        };
    }
}
