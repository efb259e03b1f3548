//! What a batch says about itself, and its rows as an Arrow stream.

use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use barrow_types::{PriceSide, Step};
use bytes::Bytes;

use crate::error::ClientError;

/// What a batch says about itself: everything about its rows that is not in their columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestOptions {
    /// The table: `bars`.
    pub dataset: String,
    /// How long the bars are.
    pub timeframe: Step,
    /// Who delivers.
    pub source: String,
    /// Which price.
    pub price: PriceSide,
    /// The symbol of rows without a column `symbol`.
    pub symbol: Option<String>,
    /// Chosen by the sender: the same id with the same rows is answered, not stored again. Without
    /// one a failed request is not tried again.
    pub batch_id: Option<String>,
    /// Since when rows that do not say so are known: `ingest`, `ts_end`, `ts_end+15m`.
    pub known_at_policy: Option<String>,
    /// Which session the source delivers: `regular`, `extended`, `all`.
    pub session: Option<String>,
    /// How its bars are aligned: `session`, `clock`.
    pub align: Option<String>,
}

impl IngestOptions {
    /// Bars of trades at `timeframe` from `source`, with nothing else said.
    pub fn bars(timeframe: Step, source: impl Into<String>) -> Self {
        Self {
            dataset: "bars".to_owned(),
            timeframe,
            source: source.into(),
            price: PriceSide::Trade,
            symbol: None,
            batch_id: None,
            known_at_policy: None,
            session: None,
            align: None,
        }
    }

    /// The same, under this batch id.
    #[must_use]
    pub fn with_batch_id(mut self, id: impl Into<String>) -> Self {
        self.batch_id = Some(id.into());
        self
    }

    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("timeframe", self.timeframe.name().to_owned()),
            ("source", self.source.clone()),
            ("price", self.price.name().to_owned()),
        ];
        for (name, value) in [
            ("symbol", &self.symbol),
            ("batch_id", &self.batch_id),
            ("known_at_policy", &self.known_at_policy),
            ("session", &self.session),
            ("align", &self.align),
        ] {
            if let Some(value) = value {
                pairs.push((name, value.clone()));
            }
        }
        pairs
    }
}

/// The rows as one Arrow IPC stream.
pub(crate) fn encode(batches: &[RecordBatch]) -> Result<Bytes, ClientError> {
    let first = batches.first().ok_or_else(|| {
        ClientError::Invalid("there is nothing to send: give at least one record batch".to_owned())
    })?;
    let failed = |error: arrow::error::ArrowError| {
        ClientError::Invalid(format!("the batches cannot be written as Arrow: {error}"))
    };
    let size = batches.iter().map(RecordBatch::get_array_memory_size).sum();
    let mut writer =
        StreamWriter::try_new(Vec::with_capacity(size), &first.schema()).map_err(failed)?;
    for batch in batches {
        writer.write(batch).map_err(failed)?;
    }
    Ok(writer.into_inner().map_err(failed)?.into())
}
