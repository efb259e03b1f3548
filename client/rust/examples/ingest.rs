//! Sends bars, then the same bars again: the batch id makes that safe.
//!
//! ```text
//! barrow serve &
//! cargo run -p barrow-client --example ingest -- http://127.0.0.1:8480
//! ```

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray, TimestampNanosecondArray};
use arrow::record_batch::RecordBatch;
use barrow_client::{Client, ClientError, IngestOptions, Step};

type Done = Result<(), Box<dyn std::error::Error>>;

const MINUTE: i64 = 60_000_000_000;
/// 2024-01-02T14:30:00Z, the open in New York.
const OPEN: i64 = 1_704_205_800_000_000_000;

/// Three minutes of an invented symbol; `last_close` is of the third.
fn bars(last_close: f64) -> Result<RecordBatch, arrow::error::ArrowError> {
    let ts = TimestampNanosecondArray::from_iter_values((0..3).map(|at| OPEN + at * MINUTE));
    let prices = |values: [f64; 3]| -> ArrayRef { Arc::new(Float64Array::from(values.to_vec())) };
    RecordBatch::try_from_iter([
        ("symbol", Arc::new(StringArray::from(vec!["EXAMPLE"; 3])) as ArrayRef),
        ("ts", Arc::new(ts.with_timezone("UTC"))),
        ("open", prices([10.0, 10.25, 10.5])),
        ("high", prices([10.5, 10.5, 11.0])),
        ("low", prices([9.75, 10.25, 10.25])),
        ("close", prices([10.25, 10.5, last_close])),
        ("volume", prices([1_200.0, 800.0, 950.0])),
    ])
}

pub(crate) async fn run(url: &str, out: &mut dyn Write) -> Done {
    let client = Client::new(url)?;
    let options = IngestOptions::bars(Step::M1, "example").batch_id("example-2024-01-02");
    for _ in 0..2 {
        let answer = client.ingest_arrow(&options, &[bars(10.75)?]).await?;
        writeln!(
            out,
            "batch {}: accepted {}, rejected {}, stored before: {}",
            answer.batch_id, answer.accepted, answer.rejected, answer.repeated
        )?;
    }
    // The id stands for those rows; other rows need another one.
    match client.ingest_arrow(&options, &[bars(10.5)?]).await {
        Err(ClientError::Conflict(problem)) => writeln!(out, "conflict: {}", problem.code)?,
        other => return Err(format!("expected a conflict, got {other:?}").into()),
    }
    // A correction is a batch like any other. Nothing is overwritten: see the example `range`.
    let options = options.batch_id("example-2024-01-02-corrected");
    let answer = client.ingest_arrow(&options, &[bars(10.5)?]).await?;
    writeln!(out, "corrected {}, duplicates {}", answer.corrected, answer.duplicates)?;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8480".to_owned());
    run(&url, &mut std::io::stdout()).await
}
