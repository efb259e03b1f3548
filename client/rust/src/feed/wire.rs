//! One side of a conversation without its socket: requests to bytes, bytes to frames.

use std::io;
use std::ops::Range;

use barrow_protocol::RowLayout;
use barrow_protocol::frame::{HEADER_LEN, Header, Hello, Kind, Reply, Request, VERSION};

use super::{Event, FeedError, FeedOptions, ResumeToken};

/// Room for what comes; more is made when a frame is longer.
const INPUT_BYTES: usize = 64 << 10;

/// What is to be sent and what came.
#[derive(Debug, Default)]
pub(super) struct Wire {
    output: Vec<u8>,
    input: Vec<u8>,
    start: usize,
    end: usize,
    last_request: u32,
    /// Whether a request was begun to be sent and not finished.
    is_sending: bool,
}

/// A frame that came: its header, and where its body is until more is read.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    header: Header,
    body: Range<usize>,
}

impl Wire {
    /// Makes a request the bytes to be sent; gives its number.
    pub(super) fn request(&mut self, request: Request<'_>) -> Result<u32, FeedError> {
        if self.is_sending {
            let text = "a call was dropped while it sent its request: connect anew";
            return Err(FeedError::Interrupted(io::Error::other(text)));
        }
        let number = self.last_request.checked_add(1).unwrap_or(1);
        self.output.clear();
        request.encode(number, &mut self.output).map_err(FeedError::invalid)?;
        self.last_request = number;
        self.is_sending = true;
        Ok(number)
    }

    pub(super) fn hello(&mut self, options: &FeedOptions) -> Result<u32, FeedError> {
        let hello = Hello { version: VERSION, key: &options.key, name: &options.name };
        self.request(Request::Hello(hello))
    }

    /// The bytes to be sent.
    pub(super) fn output(&self) -> &[u8] {
        &self.output
    }

    /// They are sent.
    pub(super) const fn sent(&mut self) {
        self.is_sending = false;
    }

    /// Where to put what comes.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let needed = match Header::read(&self.input[..self.end]) {
            Ok(Some(header)) => header.frame_len(),
            _ => HEADER_LEN,
        };
        if self.input.len() < needed.max(INPUT_BYTES) {
            self.input.resize(needed.max(INPUT_BYTES), 0);
        }
        &mut self.input[self.end..]
    }

    /// So much came.
    pub(super) fn came(&mut self, read: io::Result<usize>) -> Result<(), FeedError> {
        match read {
            Ok(0) => Err(FeedError::Interrupted(io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => {
                self.end += read;
                Ok(())
            }
            Err(error) => Err(FeedError::Interrupted(error)),
        }
    }

    /// The next frame, if it is there whole.
    pub(super) fn frame(&mut self) -> Result<Option<Frame>, FeedError> {
        let came = &self.input[self.start..self.end];
        let Some(header) = Header::read(came).map_err(FeedError::decode)? else { return Ok(None) };
        if came.len() < header.frame_len() {
            return Ok(None);
        }
        let body = self.start + HEADER_LEN..self.start + header.frame_len();
        self.start = body.end;
        Ok(Some(Frame { header, body }))
    }

    /// The answer to a request, if this frame is it.
    pub(super) fn answer(
        &self,
        frame: &Frame,
        number: u32,
    ) -> Result<Option<Reply<'_>>, FeedError> {
        let is_of_all = matches!(frame.header.kind, Kind::Going | Kind::Error);
        let is_answer = frame.header.request == number;
        if !(is_answer || is_of_all && frame.header.request == 0) {
            // Of a call that was dropped, or news.
            return Ok(None);
        }
        match self.reply(frame)? {
            Reply::Going => Err(FeedError::Going),
            Reply::Error { code, text } => Err(FeedError::Refused { code, text: text.to_owned() }),
            reply => Ok(Some(reply)),
        }
    }

    fn reply(&self, frame: &Frame) -> Result<Reply<'_>, FeedError> {
        let body = &self.input[frame.body.clone()];
        Reply::decode(frame.header, body).map_err(FeedError::decode)
    }

    /// What a frame tells a subscription.
    pub(super) fn news(&self, frame: &Frame, group: u32) -> Result<News<'_>, FeedError> {
        match self.reply(frame)? {
            Reply::Update(update) if update.group == group => Ok(News::Update(update)),
            Reply::Resync { group: of, reason, token } if of == group => {
                Ok(News::Resync { reason, token })
            }
            Reply::Progress { group: of, token } if of == group => Ok(News::Progress(token)),
            Reply::Going => Ok(News::Going),
            Reply::Error { code, text } if frame.header.request == 0 => {
                Err(FeedError::Refused { code, text: text.to_owned() })
            }
            // Of a call that was dropped.
            _ => Ok(News::Nothing),
        }
    }
}

/// What a frame tells a subscription.
pub(super) enum News<'a> {
    Update(barrow_protocol::frame::Update<'a>),
    Resync {
        reason: Option<barrow_protocol::frame::ResyncReason>,
        token: barrow_protocol::frame::Token,
    },
    Progress(barrow_protocol::frame::Token),
    Going,
    Nothing,
}

/// What a subscription knows beside its socket.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) group: u32,
    pub(super) token: ResumeToken,
    layout: RowLayout,
    row: Vec<u64>,
}

/// An event that is in [`Told`].
pub(super) enum Noted {
    Update { symbol: u32 },
    Resync { reason: Option<barrow_protocol::frame::ResyncReason> },
    Going,
    Nothing,
}

impl Told {
    pub(super) fn new(group: u32, layout: RowLayout, token: ResumeToken) -> Self {
        Self { group, token, layout, row: vec![0; layout.words()] }
    }

    /// Takes what a frame tells.
    pub(super) fn note(&mut self, wire: &Wire, frame: &Frame) -> Result<Noted, FeedError> {
        Ok(match wire.news(frame, self.group)? {
            News::Update(update) => {
                if update.row.len() != self.row.len() {
                    let text =
                        format!("a row of {} words, not {}", update.row.len(), self.row.len());
                    return Err(FeedError::Decode(text));
                }
                update.row.copy_to(&mut self.row);
                self.token.token = update.token;
                Noted::Update { symbol: update.symbol }
            }
            News::Resync { reason, token } => {
                self.token.token = token;
                Noted::Resync { reason }
            }
            News::Progress(token) => {
                self.token.token = token;
                Noted::Nothing
            }
            News::Going => Noted::Going,
            News::Nothing => Noted::Nothing,
        })
    }

    /// The event; `None` if the server stops.
    pub(super) fn event(&self, noted: Noted) -> Option<Event<'_>> {
        match noted {
            Noted::Update { symbol } => {
                let row = barrow_protocol::Row::new(self.layout, &self.row);
                let row = row.expect("invariant: the row has its length");
                Some(Event::Update { symbol, token: self.token.token, row })
            }
            Noted::Resync { reason } => Some(Event::Resync { reason }),
            Noted::Going | Noted::Nothing => None,
        }
    }
}

/// What cannot be the answer to what was asked.
pub(super) fn unexpected(reply: &Reply<'_>) -> FeedError {
    FeedError::Decode(format!("an answer of another kind: {reply:?}"))
}
