//! Reads what the example `ingest` sent: as it is now, before it was corrected, page by page.
//!
//! ```text
//! cargo run -p barrow-client --example range -- http://127.0.0.1:8480
//! ```

use std::io::Write;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type};
use arrow::record_batch::RecordBatch;
use barrow_client::{BarsQuery, Client, Step};

type Done = Result<(), Box<dyn std::error::Error>>;

fn closes(batch: &RecordBatch) -> Result<&[f64], &'static str> {
    let column = batch.column_by_name("close").ok_or("there is no column close")?;
    Ok(column.as_primitive::<Float64Type>().values())
}

pub(crate) async fn run(url: &str, out: &mut dyn Write) -> Done {
    let client = Client::new(url)?;
    let query = BarsQuery::new(["EXAMPLE"], Step::M1)
        .layer("raw")
        .source("example")
        .between("2024-01-02T14:30:00Z", "2024-01-02T21:00:00Z")
        .columns(["ts", "close"]);

    // Batches come as the server reads them: a range of any size takes the memory of one or two.
    let mut batches = client.bars(&query).await?;
    let mut now = Vec::new();
    while let Some(batch) = batches.next().await? {
        now.extend_from_slice(closes(&batch)?);
    }
    writeln!(out, "closes {now:?}")?;

    // Every stored row with the sequence that brought it. The first one is the state before the
    // correction; an answer's head (`sequence()`) tells the state it was of, to ask for it again.
    let mut sequences = Vec::new();
    let revisions = query.clone().all_revisions().columns(["sequence"]);
    for batch in client.bars(&revisions).await?.all().await? {
        sequences.extend_from_slice(batch.column(0).as_primitive::<Int64Type>().values());
    }
    let first = sequences.iter().min().ok_or("run the example `ingest` first")?;
    let mut before = Vec::new();
    for batch in client.bars(&query.clone().at_sequence(first.to_string())).await?.all().await? {
        before.extend_from_slice(closes(&batch)?);
    }
    writeln!(out, "closes {before:?} before the correction ({} rows stored)", sequences.len())?;

    // Pages; all of them are of the state that the first one was of.
    let mut page = query.limit(2);
    loop {
        let batches = client.bars(&page).await?;
        let cursor = batches.head().cursor().map(str::to_owned);
        let rows: usize = batches.all().await?.iter().map(|batch| batch.num_rows()).sum();
        writeln!(out, "a page of {rows}")?;
        match cursor {
            Some(cursor) => page = page.cursor(cursor),
            None => return Ok(()),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8480".to_owned());
    run(&url, &mut std::io::stdout()).await
}
