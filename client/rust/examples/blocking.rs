//! The same client without an async runtime: trades in, bars out.
//!
//! ```text
//! cargo run -p barrow-client --example blocking -- http://127.0.0.1:8480
//! ```

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray, TimestampNanosecondArray};
use arrow::record_batch::RecordBatch;
use barrow_client::blocking::Client;
use barrow_client::{BarsQuery, Format, IngestOptions, Step, TicksQuery};

/// 2024-01-02T14:30:00Z, the open in New York.
const OPEN: i64 = 1_704_205_800_000_000_000;

type Done = Result<(), Box<dyn std::error::Error>>;

pub(crate) fn run(url: &str, out: &mut dyn Write) -> Done {
    let client = Client::new(url)?;
    client.health()?;

    let ts = TimestampNanosecondArray::from(vec![OPEN + 1, OPEN + 2]);
    let trades = RecordBatch::try_from_iter([
        ("symbol", Arc::new(StringArray::from(vec!["EXAMPLE"; 2])) as ArrayRef),
        ("ts", Arc::new(ts.with_timezone("UTC"))),
        ("price", Arc::new(Float64Array::from(vec![10.0; 2]))),
        ("size", Arc::new(Float64Array::from(vec![100.0; 2]))),
    ])?;
    let options = IngestOptions::trades("example").batch_id("example-trades-1");
    let answer = client.ingest_arrow(&options, &[trades])?;
    writeln!(out, "accepted {} trades", answer.accepted)?;

    // What the answer's sequence names is visible before it is answered.
    let query = TicksQuery::new(["EXAMPLE"]).min_sequence(&answer.sequence).columns(["price"]);
    let read: usize = client.trades(&query)?.all()?.iter().map(RecordBatch::num_rows).sum();
    writeln!(out, "{read} trades")?;

    let query = BarsQuery::new(["EXAMPLE"], Step::M1).layer("raw").columns(["ts", "close"]);
    let mut rows = 0;
    for batch in client.bars(&query)? {
        rows += batch?.num_rows();
    }
    writeln!(out, "{rows} bars")?;

    // The bytes as the server writes them, for files and pipes.
    for chunk in client.bars_bytes(&query, Format::Csv)? {
        out.write_all(&chunk?)?;
    }
    Ok(())
}

fn main() -> Done {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8480".to_owned());
    run(&url, &mut std::io::stdout())
}
