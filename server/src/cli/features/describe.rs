//! Groups as a person reads them.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, UInt32Array};
use arrow::record_batch::RecordBatch;
use barrow_client::{Client, FeatureGroupInfo};

use crate::cli::facts::{Shown, write_json};
use crate::cli::{CliError, table};
use crate::import::grouped;

/// Shows every group.
pub(super) async fn list(
    client: &Client,
    shown: Shown,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    if shown == Shown::Json {
        return write_json(&client.facts(&["feature-groups"], &[]).await?["groups"], out);
    }
    let groups = client.list_feature_groups().await?;
    if groups.is_empty() {
        return Ok(writeln!(out, "no groups; put one: barrow features put FILE")?);
    }
    let (mut names, mut versions, mut states, mut times) = (vec![], vec![], vec![], vec![]);
    for group in &groups {
        for version in &group.versions {
            let is_promoted = group.promoted.as_ref() == Some(&version.version);
            names.push(group.name.as_str());
            versions.push(version.version.as_str());
            states.push(if is_promoted { "promoted" } else { "" });
            times.push(version.put_at.as_str());
        }
    }
    write_columns(
        out,
        [
            ("name", texts(names)),
            ("version", texts(versions)),
            ("state", texts(states)),
            ("put_at", texts(times)),
        ],
    )
}

/// Shows a group.
pub(super) async fn describe(
    client: &Client,
    name: &str,
    shown: Shown,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    if shown == Shown::Json {
        let path: Vec<&str> = ["feature-groups"].into_iter().chain(name.split('@')).collect();
        return write_json(&client.facts(&path, &[]).await?, out);
    }
    let group = client.feature_group(name).await?;
    head(&group, out)?;
    let features = &group.features;
    let lookbacks = features.iter().map(|feature| match feature.lookback {
        Some(slots) => slots.to_string(),
        None => "all".to_owned(),
    });
    let warm_ups: UInt32Array = features.iter().map(|feature| Some(feature.warm_up)).collect();
    write_columns(
        out,
        [
            ("feature", texts(features.iter().map(|feature| feature.name.as_str()))),
            ("class", texts(features.iter().map(|feature| feature.class.to_string()))),
            ("lookback", texts(lookbacks)),
            ("warm_up", Arc::new(warm_ups)),
            ("expr", texts(features.iter().map(|feature| feature.expr.as_str()))),
        ],
    )
}

fn head(group: &FeatureGroupInfo, out: &mut dyn Write) -> Result<(), CliError> {
    let state = match &group.promoted {
        _ if group.is_promoted => "promoted".to_owned(),
        Some(other) => format!("not promoted; {} means {other}", group.name),
        None => "not promoted".to_owned(),
    };
    writeln!(out, "{}@{}  {state}", group.name, group.version)?;
    // The canonical text begins with a line each of slots and options.
    for line in group.canonical.lines().take(2) {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        writeln!(out, "{name:<9} {rest}")?;
    }
    let lookback = match group.lookback {
        Some(slots) => format!("{} slots back", grouped(slots.into())),
        None => "all slots since the first".to_owned(),
    };
    let warm_up = grouped(group.warm_up.into());
    writeln!(out, "looks at  {lookback}; every feature has begun after {warm_up} slots")?;
    let (nodes, bytes) = (grouped(group.nodes), grouped(group.state_bytes));
    writeln!(out, "costs     {nodes} nodes a slot; {bytes} bytes of state an instrument")?;
    for version in &group.versions {
        writeln!(out, "version   {} put {}", version.version, version.put_at)?;
    }
    Ok(writeln!(out)?)
}

fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(texts.into_iter().map(|text| Some(text.into())).collect::<StringArray>())
}

fn write_columns<const N: usize>(
    out: &mut dyn Write,
    columns: [(&str, ArrayRef); N],
) -> Result<(), CliError> {
    let batch = RecordBatch::try_from_iter(columns);
    let batch = batch.expect("invariant: the columns are equally long");
    Ok(table::write(out, &[batch])?)
}
