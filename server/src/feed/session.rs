//! What a client asks and is answered; knows no socket.
//!
//! Requests are answered one after the other, in their order. Answers and updates are appended to
//! one buffer, that of the connection.

use std::sync::Arc;

use barrow_engine::Reference;
use barrow_engine::dataset::BARS;
use barrow_protocol::frame::{
    Absence, ErrorCode, Header, Hello, Limits, Reply, Request, ResolvedWriter, ResyncReason,
    RowsWriter, Subscribe, Symbols, Texts, VERSION, Welcome, Which,
};
use barrow_types::Timestamp;

use super::at::Asked;
use crate::auth::{Denied, Role};
use crate::http::App;
use crate::live::LiveGroup;
use crate::live::subscription::{Made, Subscription, begin, resync};
use crate::metrics::Refusal;

/// Longest text of an error.
const TEXT_LEN_MAX: usize = 1_000;

/// How to go on after a request.
pub(super) enum Next {
    /// With the next one.
    Go,
    /// Once this has been computed.
    Wait(Asked),
    /// Not at all.
    Close,
}

/// Why a request is not answered.
struct Refused {
    code: ErrorCode,
    text: String,
}

fn refused<T>(code: ErrorCode, text: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { code, text: text.into() })
}

/// One client.
pub(super) struct Session<'a> {
    app: &'a Arc<App>,
    is_known: bool,
    subscriptions: Vec<Subscription>,
    /// A row on its way.
    row: Vec<u64>,
}

impl<'a> Session<'a> {
    /// A client that has not said who it is.
    pub(super) const fn new(app: &'a Arc<App>) -> Self {
        Self { app, is_known: false, subscriptions: Vec::new(), row: Vec::new() }
    }

    /// Whether the client has said who it is.
    pub(super) const fn is_known(&self) -> bool {
        self.is_known
    }

    /// Whether the client is told of anything.
    pub(super) const fn is_subscribed(&self) -> bool {
        !self.subscriptions.is_empty()
    }

    /// Answers a request, behind what is in `out`.
    pub(super) fn take(&mut self, header: Header, body: &[u8], out: &mut Vec<u8>) -> Next {
        let request = match Request::decode(header, body) {
            Ok(request) => request,
            Err(fault) => {
                self.error(header.request, ErrorCode::Malformed, &fault.to_string(), out);
                return Next::Close;
            }
        };
        if self.is_known == matches!(request, Request::Hello(_)) {
            let text = if self.is_known { "there was one" } else { "comes before all others" };
            self.error(header.request, ErrorCode::Hello, &format!("hello: {text}"), out);
            return Next::Close;
        }
        let answered = match request {
            Request::Hello(hello) => match self.hello(&hello, header.request, out) {
                Ok(()) => Ok(Next::Go),
                Err(Refused { code, text }) => {
                    self.error(header.request, code, &text, out);
                    return Next::Close;
                }
            },
            Request::Resolve { groups, symbols } => {
                self.resolve(groups, symbols, header.request, out).map(|()| Next::Go)
            }
            Request::Latest { group, which, symbols } => {
                self.latest((group, which, symbols), header.request, out).map(|()| Next::Go)
            }
            Request::At { group, symbol, ts, mode } => {
                self.group(group).and_then(|group| match group.name_of(symbol) {
                    Some(symbol) => {
                        Ok(Next::Wait(Asked { request: header.request, group, symbol, ts, mode }))
                    }
                    None => refused(ErrorCode::UnknownSymbol, no_symbol(symbol, &group)),
                })
            }
            Request::Subscribe(wanted) => {
                self.subscribe(&wanted, header.request, out).map(|()| Next::Go)
            }
            Request::Unsubscribe { group } => {
                self.unsubscribe(group, header.request, out).map(|()| Next::Go)
            }
            Request::Ping(bytes) => {
                put(&Reply::Pong(bytes), header.request, out);
                Ok(Next::Go)
            }
        };
        answered.unwrap_or_else(|Refused { code, text }| {
            self.error(header.request, code, &text, out);
            Next::Go
        })
    }

    /// Appends updates, until `out` has `out_len_max` bytes or a little more; says how many frames.
    pub(super) fn pump(&mut self, out: &mut Vec<u8>, out_len_max: usize) -> u64 {
        let mut frames = 0;
        for subscription in &mut self.subscriptions {
            let Made { frames: made, lagged } =
                subscription.pump(self.app.live.ring(), out, out_len_max);
            frames += made;
            for _ in 0..lagged {
                self.app.metrics.feed_resync(ResyncReason::Slow.name());
            }
        }
        frames
    }

    /// Appends an error.
    pub(super) fn error(&self, request: u32, code: ErrorCode, text: &str, out: &mut Vec<u8>) {
        self.app.metrics.feed_error(code.name());
        let text = &text[..text.floor_char_boundary(TEXT_LEN_MAX)];
        put(&Reply::Error { code: Some(code), text }, request, out);
    }

    fn hello(
        &mut self,
        &Hello { version, key, name }: &Hello<'_>,
        request: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Refused> {
        if version < VERSION {
            let text = format!("version {version} is not spoken here, but {VERSION}");
            return refused(ErrorCode::Version, text);
        }
        let key = (!key.is_empty()).then_some(key.as_bytes());
        self.app.check_key(key, Role::Read).or_else(|denied| match denied {
            Denied::Unknown => {
                let text = "send a key that this server knows in the hello";
                refused(ErrorCode::Unauthorized, text)
            }
            Denied::Forbidden { name, needed } => {
                let text = format!("key {name} does not allow this; a {needed} key does");
                refused(ErrorCode::Forbidden, text)
            }
        })?;
        tracing::debug!(client = name, "a client of the feed said hello");
        let (identity, feed) = (self.app.live.identity(), &self.app.config.feed);
        let welcome = Welcome {
            version: VERSION,
            limits: Limits {
                request_bytes_max: feed.request_bytes_max,
                answer_bytes_max: feed.answer_bytes_max,
                subscriptions_max: feed.subscriptions_max,
            },
            instance: identity.instance,
            epoch: identity.epoch,
            newest: self.app.live.ring().newest().0,
            server: concat!("barrow ", env!("CARGO_PKG_VERSION")),
        };
        put(&Reply::Welcome(welcome), request, out);
        self.is_known = true;
        Ok(())
    }

    fn group(&self, handle: u32) -> Result<Arc<LiveGroup>, Refused> {
        match self.app.live.by_handle(handle) {
            Some(group) => Ok(group),
            None => {
                let text = format!("no group has the handle {handle}; resolve its name anew");
                refused(ErrorCode::UnknownHandle, text)
            }
        }
    }

    fn resolve(
        &self,
        names: Texts<'_>,
        symbols: Option<Texts<'_>>,
        request: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Refused> {
        let groups = if names.count() == 0 {
            self.app.live.groups().to_vec()
        } else {
            names.iter().map(|name| self.named(name)).collect::<Result<_, _>>()?
        };
        let symbols = symbols.map(|names| self.instruments(names)).transpose()?;
        let len_max = u64::from(self.app.config.feed.answer_bytes_max);
        let mut writer = ResolvedWriter::begin(out, request);
        for group in groups {
            let written = write_group(&mut writer, &group, symbols.as_deref(), len_max);
            if written.is_err() {
                writer.discard();
                let text = format!(
                    "the answer would have more than {len_max} bytes; ask for fewer groups or \
                     symbols"
                );
                return refused(ErrorCode::TooLarge, text);
            }
        }
        writer.finish().expect("invariant: its length was watched");
        Ok(())
    }

    /// Names and the ids of the instruments that they mean, as over HTTP.
    fn instruments<'n>(&self, names: Texts<'n>) -> Result<Vec<(&'n str, Arc<str>)>, Refused> {
        let facts = Reference::at(&self.app.engine.snapshot(), None, None);
        let facts = facts.or_else(|error| {
            tracing::error!(%error, "the feed could not read what names mean");
            refused(ErrorCode::Internal, error.to_string())
        })?;
        let last = Timestamp::MAX;
        Ok(names.iter().map(|name| (name, facts.instrument(BARS.name, name, last))).collect())
    }

    fn named(&self, text: &str) -> Result<Arc<LiveGroup>, Refused> {
        self.app.live.named(text).or_else(|text| refused(ErrorCode::NotFound, text))
    }

    fn latest(
        &mut self,
        (handle, which, symbols): (u32, Which, Symbols<'_>),
        request: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Refused> {
        let group = self.group(handle)?;
        let count = match symbols {
            Symbols::All => group.symbol_count(),
            Symbols::These(these) => {
                u32::try_from(these.len()).expect("invariant: a frame is short")
            }
        };
        let len = u64::from(count) * (group.layout.bytes() as u64 + 1) + 12;
        let len_max = u64::from(self.app.config.feed.answer_bytes_max);
        if len > len_max {
            let text = format!("{count} rows take {len} bytes, more than {len_max}");
            return refused(ErrorCode::TooLarge, text);
        }
        self.row.resize(group.layout.words(), 0);
        let mut writer = RowsWriter::begin(out, request, handle, group.layout, count);
        let mut write = |index| match group.read(index, which, &mut self.row) {
            Ok(()) => writer.row(&self.row),
            Err(absence) => writer.absent(absence),
        };
        match symbols {
            Symbols::All => (0..count).for_each(&mut write),
            Symbols::These(these) => these.iter().for_each(&mut write),
        }
        writer.finish().expect("invariant: its length was weighed");
        Ok(())
    }

    fn subscribe(
        &mut self,
        wanted: &Subscribe<'_>,
        request: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Refused> {
        let group = self.group(wanted.group)?;
        if self.subscriptions.iter().any(|other| other.is_of(wanted.group)) {
            let text = format!("{} is subscribed on this connection already", group.name);
            return refused(ErrorCode::Subscription, text);
        }
        let max = self.app.config.feed.subscriptions_max;
        if self.subscriptions.len() as u64 >= u64::from(max) {
            self.app.metrics.refused(Refusal::FeedSubscriptions);
            return refused(
                ErrorCode::Busy,
                format!("a connection has at most {max} subscriptions"),
            );
        }
        if let Symbols::These(these) = wanted.symbols {
            let count = group.symbol_count();
            if let Some(index) = these.iter().find(|index| *index >= count) {
                return refused(ErrorCode::UnknownSymbol, no_symbol(index, &group));
            }
        }
        let (token, position, missed) = begin(&self.app.live, wanted.resume);
        put(&Reply::Subscribed { group: wanted.group, token }, request, out);
        if let Some(reason) = missed {
            self.app.metrics.feed_resync(reason.name());
            resync(wanted.group, reason, token, out);
        }
        self.subscriptions.push(Subscription::asked(wanted, position));
        self.app.metrics.feed_subscriptions(1);
        Ok(())
    }

    fn unsubscribe(&mut self, group: u32, request: u32, out: &mut Vec<u8>) -> Result<(), Refused> {
        let Some(at) = self.subscriptions.iter().position(|other| other.is_of(group)) else {
            let text = format!("the handle {group} is not subscribed on this connection");
            return refused(ErrorCode::Subscription, text);
        };
        self.subscriptions.remove(at);
        self.app.metrics.feed_subscriptions(-1);
        put(&Reply::Unsubscribed { group }, request, out);
        Ok(())
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let ended = i64::try_from(self.subscriptions.len()).unwrap_or(i64::MAX);
        self.app.metrics.feed_subscriptions(-ended);
    }
}

fn no_symbol(index: u32, group: &LiveGroup) -> String {
    format!("{} has no symbol with the number {index}; resolve its name anew", group.name)
}

/// Appends the row of an instant, or that there is none.
pub(super) fn put_row(asked: &Asked, row: Option<&[u64]>, out: &mut Vec<u8>) {
    let Asked { request, group, .. } = asked;
    let mut writer = RowsWriter::begin(out, *request, group.handle, group.layout, 1);
    match row {
        Some(row) => writer.row(row),
        None => writer.absent(Absence::Row),
    }
    writer.finish().expect("invariant: a row is short");
}

/// Appends an answer that is never too long.
pub(super) fn put(reply: &Reply<'_>, request: u32, out: &mut Vec<u8>) {
    reply.encode(request, out).expect("invariant: its texts are short");
}

/// # Errors
/// The answer gets longer than `len_max`.
fn write_group(
    writer: &mut ResolvedWriter<'_>,
    group: &LiveGroup,
    symbols: Option<&[(&str, Arc<str>)]>,
    len_max: u64,
) -> Result<(), ()> {
    let version = (group.version.as_str(), group.is_promoted());
    writer.group(group.handle, &group.name, version, group.features.iter()).map_err(|_| ())?;
    let mut write = |index, name: &str| {
        writer.symbol(index, name).map_err(|_| ())?;
        if writer.len() as u64 > len_max { Err(()) } else { Ok(()) }
    };
    match symbols {
        Some(names) => {
            for (name, instrument) in names {
                write(group.symbol(instrument), name)?;
            }
        }
        None => {
            for (index, name) in (0..).zip(group.symbols()) {
                write(Some(index), &name)?;
            }
        }
    }
    if writer.len() as u64 > len_max { Err(()) } else { Ok(()) }
}
