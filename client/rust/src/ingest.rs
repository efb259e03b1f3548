//! What a batch says about itself, and its rows as an Arrow stream.

use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use barrow_types::{PriceSide, Step};
use bytes::Bytes;

use crate::batch_id;
use crate::error::ClientError;

/// Whether the times of bars are their opens or their ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// `ts` is the open, as it is stored.
    Start,
    /// `ts` is the end; the server computes the open.
    End,
}

impl Stamp {
    /// The name in `stamp=`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::End => "end",
        }
    }
}

/// What a batch says about itself: everything about its rows that is not in their columns.
///
/// | dataset | columns | optional |
/// |---|---|---|
/// | bars | `symbol, ts, open, high, low, close` | `volume, vwap, trades, known_at` |
/// | trades | `symbol, ts, price, size` | `venue, conditions, trade_id, known_at` |
/// | quotes | `symbol, ts, bid, ask` | `bid_size, ask_size, venue, conditions, known_at` |
/// | a user's table | `symbol, ts` and those it requires | its others, `known_at` |
///
/// ```
/// use barrow_client::{IngestOptions, PriceSide, Stamp, Step};
///
/// let options = IngestOptions::bars(Step::M1, "vendor")
///     .price(PriceSide::Bid)
///     .stamp(Stamp::End)
///     .symbol("SPY")
///     .batch_id("spy-2024-01-02");
/// assert_eq!(options.dataset, "bars");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestOptions {
    /// The table: `bars`, `trades`, `quotes`, or the name of a user's.
    pub dataset: String,
    /// How long the bars are; [`Step::Tick`] for all other rows.
    pub timeframe: Step,
    /// Who delivers.
    pub source: String,
    /// Which price bars are of.
    pub price: PriceSide,
    /// The symbol of rows without a column `symbol`.
    pub symbol: Option<String>,
    /// What `ts` is; the open unless it is said.
    pub stamp: Option<Stamp>,
    /// Chosen by the sender: the same id with the same rows is answered, not stored again. Without
    /// one, each call makes a random one.
    pub batch_id: Option<String>,
    /// The stream whose name, with the content, makes the id where there is no `batch_id`.
    pub content_id_of: Option<String>,
    /// Whether a body that is too large for one batch is refused rather than cut into parts.
    pub atomic: bool,
    /// Whether the rows are what a file holds: quality rules then flag rows that they would turn
    /// away.
    pub import: bool,
    /// Since when rows that do not say so are known: `ingest`, `ts_end`, `ts_end+15m`.
    pub known_at_policy: Option<String>,
    /// Which session the source delivers: `regular`, `extended`, `all`.
    pub session: Option<String>,
    /// How its bars are aligned: `session`, `clock`.
    pub align: Option<String>,
    /// The range `START..END` of which the rows are all there is.
    pub covers: Option<String>,
    /// Of which symbols; those of the rows unless it is said. `*` is every symbol of the source.
    pub covers_symbols: Vec<String>,
    /// Whether what is stored in that range and is not among the rows is taken back.
    pub replace: bool,
    /// The calendar that the instruments of the rows follow, stated for those that have none.
    pub calendar: Option<String>,
}

impl IngestOptions {
    /// Bars of trades at `timeframe` from `source`, with nothing else said.
    pub fn bars(timeframe: Step, source: impl Into<String>) -> Self {
        Self::of("bars", timeframe, source.into())
    }

    /// Trades from `source`.
    pub fn trades(source: impl Into<String>) -> Self {
        Self::of("trades", Step::Tick, source.into())
    }

    /// Quotes from `source`.
    pub fn quotes(source: impl Into<String>) -> Self {
        Self::of("quotes", Step::Tick, source.into())
    }

    /// Rows of the user's table `name` from `source`.
    pub fn table(name: &str, source: impl Into<String>) -> Self {
        Self::of(name, Step::Tick, source.into())
    }

    fn of(dataset: &str, timeframe: Step, source: String) -> Self {
        Self {
            dataset: dataset.to_owned(),
            timeframe,
            source,
            price: PriceSide::Trade,
            symbol: None,
            stamp: None,
            batch_id: None,
            content_id_of: None,
            atomic: false,
            import: false,
            known_at_policy: None,
            session: None,
            align: None,
            covers: None,
            covers_symbols: Vec::new(),
            replace: false,
            calendar: None,
        }
    }

    /// The same, under this batch id: the way to make a call that may be repeated as a whole.
    #[must_use]
    pub fn batch_id(mut self, id: impl Into<String>) -> Self {
        self.batch_id = Some(id.into());
        self
    }

    /// The same, under an id made of the content and the name of a stream: the same rows of the
    /// same stream are stored once and for all. Right for files and archives, wrong for feeds in
    /// which equal rows may be meant twice: a value corrected and then corrected back has the id of
    /// its first time and would be taken for a repetition. For trades and quotes choose an id of
    /// your own: this one is of the bytes sent, which another version of this crate or another cut
    /// into batches may change.
    #[must_use]
    pub fn content_id(mut self, stream: impl Into<String>) -> Self {
        self.content_id_of = Some(stream.into());
        self
    }

    /// The same, for rows that have no column `symbol`.
    #[must_use]
    pub fn symbol(mut self, symbol: impl Into<String>) -> Self {
        self.symbol = Some(symbol.into());
        self
    }

    /// The same, for bars of this price.
    #[must_use]
    pub const fn price(mut self, price: PriceSide) -> Self {
        self.price = price;
        self
    }

    /// The same, with this meaning of `ts`.
    #[must_use]
    pub const fn stamp(mut self, stamp: Stamp) -> Self {
        self.stamp = Some(stamp);
        self
    }

    /// The same, stored as one batch or not at all: no one ever sees a part of it.
    #[must_use]
    pub const fn atomic(mut self) -> Self {
        self.atomic = true;
        self
    }

    /// The same, as an import of what a file holds: quality rules flag what they would turn away.
    #[must_use]
    pub const fn import(mut self) -> Self {
        self.import = true;
        self
    }

    /// The same, with rows known since: `ingest` (when they came in), `ts_end`, `ts_end+15m`.
    #[must_use]
    pub fn known_at_policy(mut self, policy: impl Into<String>) -> Self {
        self.known_at_policy = Some(policy.into());
        self
    }

    /// The same, from a source that delivers this session: `regular`, `extended`, `all`.
    #[must_use]
    pub fn session(mut self, session: impl Into<String>) -> Self {
        self.session = Some(session.into());
        self
    }

    /// The same, from a source that aligns bars so: `session`, `clock`.
    #[must_use]
    pub fn align(mut self, align: impl Into<String>) -> Self {
        self.align = Some(align.into());
        self
    }

    /// The same, saying that the rows are all there is in `START..END`: times with an offset, or
    /// dates of sessions.
    #[must_use]
    pub fn covers(mut self, range: impl Into<String>) -> Self {
        self.covers = Some(range.into());
        self
    }

    /// The same, covering these symbols, of which some may have no rows.
    #[must_use]
    pub fn covers_symbols<T: Into<String>>(mut self, symbols: impl IntoIterator<Item = T>) -> Self {
        self.covers_symbols = symbols.into_iter().map(Into::into).collect();
        self
    }

    /// The rows take the place of all that is stored in the range that they cover.
    #[must_use]
    pub fn replace(mut self) -> Self {
        self.replace = true;
        self
    }

    /// The same, of instruments that follow this calendar.
    #[must_use]
    pub fn calendar(mut self, name: impl Into<String>) -> Self {
        self.calendar = Some(name.into());
        self
    }

    /// The parameters of the request that sends `body`, its batch id always among them: for those
    /// who carry requests themselves.
    ///
    /// # Errors
    /// [`ClientError::Invalid`] if the system gives no random bytes for an id.
    pub fn pairs(&self, body: &[u8]) -> Result<Vec<(&'static str, String)>, ClientError> {
        let mut pairs = vec![("source", self.source.clone())];
        if self.timeframe != Step::Tick {
            pairs.push(("timeframe", self.timeframe.name().to_owned()));
            pairs.push(("price", self.price.name().to_owned()));
        }
        if let Some(stamp) = self.stamp {
            pairs.push(("stamp", stamp.name().to_owned()));
        }
        if self.atomic {
            pairs.push(("atomic", "true".to_owned()));
        }
        if self.import {
            pairs.push(("import", "true".to_owned()));
        }
        if self.replace {
            pairs.push(("replace", "true".to_owned()));
        }
        let covers_symbols =
            (!self.covers_symbols.is_empty()).then(|| self.covers_symbols.join(","));
        for (name, value) in [
            ("covers", &self.covers),
            ("covers_symbols", &covers_symbols),
            ("calendar", &self.calendar),
            ("symbol", &self.symbol),
            ("known_at_policy", &self.known_at_policy),
            ("session", &self.session),
            ("align", &self.align),
        ] {
            if let Some(value) = value {
                pairs.push((name, value.clone()));
            }
        }
        let id = match (&self.batch_id, &self.content_id_of) {
            (Some(id), _) => id.clone(),
            (None, Some(stream)) => {
                let stream = format!("{}/{stream}", self.dataset);
                batch_id::of_content(&stream, &pairs, body)
            }
            (None, None) => batch_id::random_batch_id()?,
        };
        pairs.push(("batch_id", id));
        Ok(pairs)
    }
}

/// The rows as one Arrow IPC stream, as [`crate::Client::ingest_arrow`] sends them.
///
/// # Errors
/// [`ClientError::Invalid`] if there are none, or they differ in their columns.
pub fn arrow_body(batches: &[RecordBatch]) -> Result<Bytes, ClientError> {
    let first = batches.first().ok_or_else(|| {
        ClientError::Invalid("there is nothing to send: give at least one record batch".to_owned())
    })?;
    if batches.iter().any(|batch| batch.schema_ref().fields() != first.schema_ref().fields()) {
        let detail = "the record batches differ in their columns: send them in calls of their own";
        return Err(ClientError::Invalid(detail.to_owned()));
    }
    let failed = |error: arrow::error::ArrowError| {
        ClientError::Invalid(format!("the batches cannot be written as Arrow: {error}"))
    };
    let size = batches.iter().map(RecordBatch::get_array_memory_size).sum();
    let mut writer =
        StreamWriter::try_new(Vec::with_capacity(size), first.schema_ref()).map_err(failed)?;
    for batch in batches {
        writer.write(batch).map_err(failed)?;
    }
    Ok(writer.into_inner().map_err(failed)?.into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, Int64Array};

    use super::*;

    fn shown(options: &IngestOptions) -> String {
        let pairs = options.pairs(b"rows").unwrap();
        let pairs = pairs.iter().filter(|(name, _)| *name != "batch_id");
        pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }

    fn id(options: &IngestOptions, body: &[u8]) -> String {
        options.pairs(body).unwrap().pop().unwrap().1
    }

    #[test]
    fn trades_and_quotes_have_neither_timeframe_nor_price() {
        let bars = IngestOptions::bars(Step::M5, "v").stamp(Stamp::End).symbol("A").atomic();
        let expected = "source=v&timeframe=5m&price=trade&stamp=end&atomic=true&symbol=A";
        assert_eq!(shown(&bars), expected);
        assert_eq!(shown(&IngestOptions::trades("v")), "source=v");
        assert_eq!(shown(&IngestOptions::trades("v").import()), "source=v&import=true");
        let quotes = IngestOptions::quotes("v").known_at_policy("ts_end");
        assert_eq!(shown(&quotes), "source=v&known_at_policy=ts_end");
    }

    #[test]
    fn every_request_has_an_id_and_each_way_to_choose_it_does_what_it_says() {
        let plain = IngestOptions::trades("v");
        assert_ne!(id(&plain, b"rows"), id(&plain, b"rows"), "a new one each time");
        let content = plain.clone().content_id("day 1");
        assert_eq!(id(&content, b"rows"), id(&content, b"rows"));
        assert_ne!(id(&content, b"rows"), id(&content, b"other rows"));
        let quotes = IngestOptions::quotes("v").content_id("day 1");
        assert_ne!(id(&content, b"rows"), id(&quotes, b"rows"));
        assert_eq!(id(&content.batch_id("mine"), b"rows"), "mine");
    }

    #[test]
    fn batches_that_cannot_travel_together_are_not_sent() {
        let integers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
        let one = RecordBatch::try_from_iter([("ts", integers)]).unwrap();
        let other = RecordBatch::try_from_iter([("ts", numbers)]).unwrap();
        for batches in [&[][..], &[one.clone(), other]] {
            assert!(matches!(arrow_body(batches), Err(ClientError::Invalid(_))));
        }
        assert!(arrow_body(&[one.clone(), one]).is_ok());
    }
}
