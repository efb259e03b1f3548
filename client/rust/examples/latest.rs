//! The newest bar of each series of a symbol, and the server's tables.
//!
//! ```text
//! cargo run -p barrow-client --example latest -- http://127.0.0.1:8480
//! ```

use std::io::Write;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, TimestampNanosecondType};
use barrow_client::{Client, LatestQuery, Step};

type Done = Result<(), Box<dyn std::error::Error>>;

pub(crate) async fn run(url: &str, out: &mut dyn Write) -> Done {
    let client = Client::new(url)?;
    client.ready().await?;
    let query = LatestQuery::new(["EXAMPLE"]).frequency(Step::M1).columns(["ts", "close"]);
    for batch in client.latest(&query).await? {
        let ts = batch.column(0).as_primitive::<TimestampNanosecondType>();
        let close = batch.column(1).as_primitive::<Float64Type>();
        for row in 0..batch.num_rows() {
            writeln!(out, "close {} at {} ns", close.value(row), ts.value(row))?;
        }
    }
    let datasets = client.list_datasets().await?;
    for dataset in datasets.iter().filter(|dataset| dataset.symbols > 0) {
        writeln!(out, "{}: {} symbols", dataset.name, dataset.symbols)?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8480".to_owned());
    run(&url, &mut std::io::stdout()).await
}
