//! A group of features: put, read over a range, beside rows of one's own, and now.
//!
//! ```text
//! cargo run -p barrow-client --example features -- http://127.0.0.1:8480
//! ```

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::datatypes::Float64Type;
use barrow_client::{Client, FeaturesJoin, FeaturesQuery, FeaturesRange, LatestFeaturesQuery};
use serde_json::json;

type Done = Result<(), Box<dyn std::error::Error>>;

/// 2024-01-02T14:32:30Z.
const DECIDED_AT: i64 = 1_704_205_950_000_000_000;

pub(crate) async fn run(url: &str, out: &mut dyn Write) -> Done {
    let client = Client::new(url)?;
    let document = json!({
        "kind": "FeatureSet",
        "bars": {"every": "1m"},
        "features": [{"name": "ret1", "expr": "Ret($close, 1)"}],
    });
    let group = client.put_feature_group("example", &document).await?;
    writeln!(out, "{} features, promoted: {}", group.features.len(), group.is_promoted)?;
    let history = FeaturesQuery::new(["example"], ["EXAMPLE"]);
    show(out, "history", &client.get_features_for_training(&history).await?)?;
    // What a decision could have been based on: nothing that came later is in it.
    let symbols: ArrayRef = Arc::new(StringArray::from(vec!["EXAMPLE"]));
    let times = TimestampNanosecondArray::from(vec![DECIDED_AT]).with_timezone("UTC");
    let decisions = RecordBatch::try_from_iter([("symbol", symbols), ("t", Arc::new(times) as _)])?;
    let joined = client.join_features(&FeaturesJoin::new(["example"]), &[decisions]).await?;
    show(out, "joined", &joined.all().await?)?;
    let newest = LatestFeaturesQuery::new(["example"], ["EXAMPLE"]);
    show(out, "newest", &client.get_features_for_inference(&newest).await?)?;
    let range = FeaturesRange::new(["EXAMPLE"]);
    let report = client.verify_features("example", &range).await?;
    writeln!(out, "{} of {} cells differ", report.mismatches, report.cells)?;
    Ok(())
}

fn show(out: &mut dyn Write, what: &str, batches: &[RecordBatch]) -> Done {
    for batch in batches {
        let column = batch.column_by_name("ret1").ok_or("there is no ret1")?;
        let cells = column.as_primitive::<Float64Type>().iter();
        let shown: Vec<String> = cells
            .map(|cell| cell.map_or("null".to_owned(), |number| format!("{number:.4}")))
            .collect();
        writeln!(out, "{what}: ret1 {}", shown.join(" "))?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8480".to_owned());
    run(&url, &mut std::io::stdout()).await
}
