//! `GET /v1/features/stream`: rows as they come, as server-sent events. What a client is told of,
//! and how it comes back, is decided where the feed decides it.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use barrow_engine::dataset::BARS;
use barrow_protocol::Row;
use barrow_protocol::frame::{Header, Reply, ResyncReason, Token};
use barrow_types::{PriceSide, Step, Timestamp};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::super::App;
use super::super::columns::{Hollow, Layout};
use super::super::encode::Objects;
use super::super::error::{Code, Problem};
use super::super::openapi::{Answer, FINDS, Operation, Param, READS, Tag, Type};
use super::super::parameters::{GROUPS, REASONS, SYMBOLS, TZ};
use super::super::params::Params;
use super::super::stream::append_warnings;
use super::super::time::Zone;
use super::groups::reference;
use super::named::GROUPS_MAX;
use super::reader::{columns_of, piece_aged, with_age};
use super::row::piece_of;
use crate::clock;
use crate::live::subscription::{Made, Subscription, Wish, begin};
use crate::live::{LiveGroup, Needed};

/// Rows as they come.
pub(crate) static GET: Operation = Operation {
    id: "stream_features",
    tag: Tag::Features,
    summary: "Features as they come, as server-sent events",
    about: "An event row has an object as an answer in JSON has it; resync says that rows were \
            left out: read the latest. A comment comes at least every 15 seconds.",
    query: &[
        GROUPS,
        SYMBOLS.meaning("Symbols, joined by commas; none twice. Left out: all"),
        Param::new("corrections", Type::Flag, "Rows of slots that were told before, too")
            .or("false"),
        Param::new("provisional", Type::Flag, "Rows of slots that are not over, too").or("false"),
        REASONS,
        TZ,
    ],
    headers: &[Param::new("Last-Event-ID", Type::Text, "The id of the last event that was seen")],
    answer: Answer::Events,
    problems: &[READS, FINDS],
    example: ("/v1/features/stream?groups=example&symbols=ALDR", ""),
    ..Operation::GET
};

/// Where a client that comes back says what it has seen.
const LAST_EVENT_ID: &str = "last-event-id";

/// How often a client to whom nothing is told gets a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Events that wait for a client; beyond them it is behind.
const WAITING_MAX: usize = 64;

/// Bytes of frames that are turned into events at once.
const FRAMES_BYTES: usize = 16 << 10;

/// Rows of features name neither a step nor a side.
const BARS_OF_NONE: (Step, PriceSide) = (Step::Tick, PriceSide::Trade);

/// Answers rows as they come.
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &GET)?;
    // Whoever has just put a group finds it live.
    let sequence = app.engine.snapshot().sequence().get();
    app.live.cuts().reach(Needed { sequence, now: None }).await;
    let (told, wishes, warnings) = Told::read(&app, &params)?;
    let which = (params.flag("corrections")?, params.flag("provisional")?);
    let resume = headers.get(LAST_EVENT_ID).map(|value| {
        let id = value.to_str().ok().and_then(parse_id);
        id.ok_or_else(|| {
            let fault = "is none that this route gave; leave it out to begin with the next row";
            Problem::parameter("Last-Event-ID", fault)
        })
    });
    let resume = resume.transpose()?;
    let permit = app.stream_permit()?;
    let (token, position, missed) = begin(&app.live, resume);
    let subscription = Subscription::new(wishes, which, position);
    let (events, receiver) = mpsc::channel(WAITING_MAX);
    let mut stream = Stream { told, subscription, events };
    app.metrics.feed_streams(1);
    tokio::spawn(async move {
        // Who is gone, or does not read, is told nothing more.
        let _ = stream.run(&app, (token, missed)).await;
        app.metrics.feed_streams(-1);
        drop(permit);
    });
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("heartbeat");
    let mut response =
        Sse::new(ReceiverStream::new(receiver)).keep_alive(heartbeat).into_response();
    append_warnings(response.headers_mut(), &warnings);
    Ok(response)
}

/// The token of an update, as the id of its event.
fn id(instance: [u8; 16], token: Token) -> String {
    let mut id = String::with_capacity(64);
    for byte in instance {
        write!(id, "{byte:02x}").expect("invariant: writing to a String succeeds");
    }
    write!(id, "-{}-{}", token.sequence, token.index)
        .expect("invariant: writing to a String succeeds");
    id
}

fn parse_id(text: &str) -> Option<([u8; 16], Token)> {
    let mut parts = text.split('-');
    let (digits, sequence, index) = (parts.next()?, parts.next()?, parts.next()?);
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_hex || digits.len() != 32 || parts.next().is_some() {
        return None;
    }
    let mut instance = [0; 16];
    for (byte, at) in instance.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
    }
    let token = Token { sequence: sequence.parse().ok()?, index: index.parse().ok()? };
    Some((instance, token))
}

/// What a client is told of, and how it looks.
struct Told {
    /// By handle.
    groups: BTreeMap<u32, Group>,
    /// By instrument, the name it was asked for by; none: all instruments, by their ids.
    names: BTreeMap<Arc<str>, String>,
    reasons: bool,
    zone: Zone,
}

struct Group {
    live: Arc<LiveGroup>,
    rows: Objects,
}

impl Told {
    /// As asked, with what to be told of and what a person should know.
    fn read(app: &App, params: &Params) -> Result<(Self, Vec<Wish>, Vec<String>), Problem> {
        let mut told = Self {
            groups: BTreeMap::new(),
            names: BTreeMap::new(),
            reasons: params.flag("reasons")?,
            zone: params.read("tz", Zone::parse)?.unwrap_or(Zone::Utc),
        };
        for text in params.required("groups")?.split(',') {
            let missing = |fault| {
                let detail = format!("groups: {fault}; live is the promoted version of each");
                Problem::new(Code::NotFound, detail).about("groups")
            };
            let live = app.live.named(text).map_err(missing)?;
            let handle = live.handle;
            let group = Group { rows: told.objects(&live), live };
            if told.groups.insert(handle, group).is_some() {
                return Err(Problem::parameter("groups", format!("'{text}' is named twice")));
            }
        }
        if told.groups.len() > GROUPS_MAX {
            return Err(Problem::parameter("groups", format!("are more than {GROUPS_MAX}")));
        }
        let mut warnings = Vec::new();
        let mut is_any = params.get("symbols").is_none();
        let facts = reference(&app.engine.snapshot())?;
        let symbols = if is_any { Vec::new() } else { params.symbols()? };
        for symbol in symbols {
            let instrument = facts.instrument(BARS.name, symbol.as_str(), Timestamp::MAX);
            let mut groups = told.groups.values();
            match groups.any(|group| group.live.symbol(&instrument).is_some()) {
                true => is_any = true,
                false => warnings.push(format!("{symbol}: has no row yet")),
            }
            if let Some(other) = told.names.insert(instrument, symbol.to_string()) {
                let fault = format!("'{other}' and '{symbol}' are one instrument");
                return Err(Problem::parameter("symbols", fault));
            }
        }
        if !is_any {
            let detail = format!("symbols: {}", warnings.join("; "));
            return Err(Problem::new(Code::NotFound, detail).about("symbols"));
        }
        let names: BTreeSet<Arc<str>> = told.names.keys().cloned().collect();
        let names = (!names.is_empty()).then_some(names);
        let wish = |group: &Group| Wish::new(&group.live, names.clone());
        let wishes = told.groups.values().map(wish).collect();
        Ok((told, wishes, warnings))
    }

    fn objects(&self, group: &LiveGroup) -> Objects {
        let layout = Layout {
            columns: with_age(columns_of(group.features.len(), self.reasons)),
            hollow: Hollow::None,
            features: group.features.clone(),
            version: format!("{}@{}", group.name, group.version),
            ..Layout::default()
        };
        Objects::new(&layout, self.zone.clone())
    }

    /// The event of a frame that the server itself has made.
    fn event(&mut self, instance: [u8; 16], reply: &Reply<'_>) -> Event {
        const OWN: &str = "invariant: it is of a group that was asked for";
        match reply {
            Reply::Update(update) => {
                let Group { live, rows } = self.groups.get_mut(&update.group).expect(OWN);
                let words: Vec<u64> = update.row.iter().collect();
                let row = Row::new(live.layout, &words);
                let slot = piece_of(row.expect("invariant: rows of a group are of one length"));
                let row = piece_aged(0, BARS_OF_NONE, slot, clock::now());
                let instrument = live.name_of(update.symbol);
                let instrument = instrument.expect("invariant: a symbol that is told has a name");
                let name = self.names.get(&instrument).map_or(&*instrument, String::as_str);
                let data = rows.object(name, &instrument, &row);
                Event::default().event("row").id(id(instance, update.token)).data(data)
            }
            Reply::Resync { group, reason, token } => {
                let group = &self.groups.get(group).expect(OWN).live;
                resync(group, *reason).id(id(instance, *token))
            }
            Reply::Progress { token, .. } => {
                Event::default().id(id(instance, *token)).comment("nothing was left out")
            }
            other => panic!("invariant: no update is {other:?}"),
        }
    }
}

/// Tells a client to read the latest rows.
fn resync(group: &LiveGroup, reason: Option<ResyncReason>) -> Event {
    let reason = reason.map(ResyncReason::name);
    let data = json!({"group": group.name, "version": group.version, "reason": reason});
    Event::default().event("resync").data(data.to_string())
}

/// The client takes no more, or the server stops.
struct Ended;

/// What is told to one client.
struct Stream {
    told: Told,
    subscription: Subscription,
    events: mpsc::Sender<Result<Event, Infallible>>,
}

impl Stream {
    async fn run(
        &mut self,
        app: &App,
        (token, missed): (Token, Option<ResyncReason>),
    ) -> Result<(), Ended> {
        let instance = app.live.identity().instance;
        let mut news = app.live.ring().watch();
        let mut stop = app.watch_stop();
        let begun = Event::default().id(id(instance, token)).comment("subscribed");
        self.send(app, begun).await?;
        if let Some(reason) = missed {
            app.metrics.feed_resync(reason.name());
            for group in self.told.groups.values() {
                let event = resync(&group.live, Some(reason)).id(id(instance, token));
                self.send(app, event).await?;
            }
        }
        let mut frames = Vec::new();
        loop {
            frames.clear();
            let Made { lagged, .. } =
                self.subscription.pump(app.live.ring(), &mut frames, FRAMES_BYTES);
            for _ in 0..lagged {
                app.metrics.feed_resync(ResyncReason::Slow.name());
            }
            let mut rest = &frames[..];
            while let Ok(Some(header)) = Header::read(rest) {
                let (frame, after) = rest.split_at(header.frame_len());
                let body = &frame[frame.len() - header.body_len()..];
                let reply = Reply::decode(header, body);
                let reply = reply.expect("invariant: the server reads its own frames");
                let event = self.told.event(instance, &reply);
                tokio::select! {
                    sent = self.send(app, event) => sent?,
                    _ = stop.wait_for(|stop| *stop) => return Err(Ended),
                }
                rest = after;
            }
            // Whoever asks again for a group of which another version is promoted gets that one.
            if self.told.groups.keys().any(|handle| app.live.by_handle(*handle).is_none()) {
                return Ok(());
            }
            if !frames.is_empty() {
                continue;
            }
            tokio::select! {
                changed = news.changed() => changed.map_err(|_| Ended)?,
                _ = stop.wait_for(|stop| *stop) => return Err(Ended),
                () = self.events.closed() => return Err(Ended),
            }
        }
    }

    async fn send(&self, app: &App, event: Event) -> Result<(), Ended> {
        let wait = Duration::from_secs(app.config.feed.write_seconds_max);
        self.events.send_timeout(Ok(event), wait).await.map_err(|_| Ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_written_and_nothing_else_is() {
        let token = Token { sequence: u64::MAX, index: 7 };
        let instance = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let text = id(instance, token);
        assert_eq!(text, "000102030405060708090a0b0c0d0e0f-18446744073709551615-7");
        assert_eq!(parse_id(&text), Some((instance, token)));
        for wrong in ["", "1-2-3", &text[1..], &format!("{text}-1"), &text.replace('7', "x")] {
            assert_eq!(parse_id(wrong), None, "{wrong}");
        }
    }
}
