//! `barrow features`: groups of features are put, promoted, listed, described and checked.

mod check;
mod describe;
mod document;
mod newest;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use barrow_client::{Client, ClientError};
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::cli::CliError;
use crate::cli::facts::Shown;
use crate::cli::target::TargetArgs;
use check::CheckArgs;

pub(crate) use document::Document;
pub(crate) use newest::{latest, rounded, shortened};

const EXAMPLES: &str = "\
Examples:
  barrow features put core.yaml
  barrow features promote core 6c1b1f0e22d0a9a4
  barrow features list
  barrow features describe core
  barrow features verify core --symbols SPY,IBM --start 2013-10-07 --end 2013-10-08
  barrow features lint core@6c1b1f0e22d0a9a4 --symbols SPY
  barrow features verify core

NAME is the promoted version of a group, NAME@VERSION that one. The first version that is put is
promoted. Their cells: barrow query features, barrow latest SYMBOL --group NAME.";

const PUT_EXAMPLES: &str = "\
Examples:
  barrow features put core.yaml

A file, YAML or JSON:
  kind: FeatureSet
  name: core
  bars: {every: 1m}
  params: {W: [5, 10, 20]}
  features:
    - {name: \"ROC{w}\", for: {w: W}, expr: \"Ref($close, {w})/$close\"}
    - {name: rsi14, expr: \"RSI($close, 14)\"}

The same definition again is the same version, and changes nothing.";

/// Define features, look at them, check them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FeaturesArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Put(PutArgs),
    #[command(after_help = "Examples:\n  barrow features promote core 6c1b1f0e22d0a9a4")]
    Promote(PromoteArgs),
    #[command(after_help = "Examples:\n  barrow features list")]
    List(ListArgs),
    #[command(after_help = "Examples:\n  barrow features describe core")]
    Describe(DescribeArgs),
    /// Compute each slot by itself and compare; exit 1 if a cell differs
    #[command(after_help = "Examples:\n\
                      \x20 barrow features verify core --symbols SPY --start 2013-10-07")]
    Verify(CheckArgs),
    /// Leave out the past, then the future; exit 1 if a cell changes that must not
    #[command(after_help = "Examples:\n\
                      \x20 barrow features lint core@6c1b1f0e22d0a9a4 --symbols SPY")]
    Lint(CheckArgs),
}

/// Put a group, as a file says it
#[derive(Debug, Args)]
#[command(after_help = PUT_EXAMPLES)]
struct PutArgs {
    /// YAML or JSON
    file: PathBuf,
    #[command(flatten)]
    target: TargetArgs,
}

/// Make a version the one that the name means
#[derive(Debug, Args)]
struct PromoteArgs {
    /// The group
    name: String,
    /// The version, as `list` and `describe` show it
    version: String,
    #[command(flatten)]
    target: TargetArgs,
}

/// Every group and its versions
#[derive(Debug, Args)]
struct ListArgs {
    /// How they are shown
    #[arg(long, value_enum, default_value_t)]
    format: Shown,
    #[command(flatten)]
    target: TargetArgs,
}

/// Slots, options and features of a group: what each is, looks back on, and when it begins
#[derive(Debug, Args)]
struct DescribeArgs {
    /// NAME or NAME@VERSION
    #[arg(value_name = "NAME[@VERSION]")]
    name: String,
    /// How it is shown
    #[arg(long, value_enum, default_value_t)]
    format: Shown,
    #[command(flatten)]
    target: TargetArgs,
}

/// Runs the command.
pub(crate) async fn run(args: FeaturesArgs, out: &mut dyn Write) -> Result<(), CliError> {
    // What is wrong with a file is said before anything is opened.
    let put = match &args.what {
        What::Put(args) => Some(read(&args.file)?),
        _ => None,
    };
    let target = match &args.what {
        What::Put(args) => &args.target,
        What::Promote(args) => &args.target,
        What::List(args) => &args.target,
        What::Describe(args) => &args.target,
        What::Verify(args) | What::Lint(args) => &args.target,
    };
    let target = target.open().await?;
    let client = &target.client;
    let done = match (args.what, put) {
        (What::Put(args), Some((name, document))) => {
            put_file(client, &args.file, &name, &document, out).await
        }
        (What::Put(_), None) => unreachable!("invariant: its file was read"),
        (What::Promote(args), _) => promote(client, &args, out).await,
        (What::List(args), _) => describe::list(client, args.format, out).await,
        (What::Describe(args), _) => describe::describe(client, &args.name, args.format, out).await,
        (What::Verify(args), _) => check::verify(client, args, out).await,
        (What::Lint(args), _) => check::lint(client, args, out).await,
    };
    done.and(target.close().await)
}

/// The name and the document of a file.
fn read(file: &Path) -> Result<(String, Document), CliError> {
    let shown = file.display();
    let text = fs::read_to_string(file)
        .map_err(|error| CliError::failed(format!("read {shown}: {error}")))?;
    let document =
        Document::parse(&text).map_err(|error| CliError::failed(format!("{shown}: {error}")))?;
    match &document.value["name"] {
        Value::String(name) => Ok((name.clone(), document)),
        Value::Null => {
            let what = "name is missing: say which group it is, such as name: core";
            Err(CliError::failed(format!("{shown}: {what}")))
        }
        other => Err(CliError::failed(format!("{shown}: name: {other} is not a text"))),
    }
}

async fn put_file(
    client: &Client,
    file: &Path,
    name: &str,
    document: &Document,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let before = client.list_feature_groups().await?;
    let group = client
        .put_feature_group(name, &document.value)
        .await
        .map_err(|error| refused(error, file, document))?;
    let is_known = before.iter().any(|known| {
        known.name == name && known.versions.iter().any(|known| known.version == group.version)
    });
    let (version, count) = (&group.version, group.features.len());
    let what = if is_known { "there already" } else { "put" };
    let features = if count == 1 { "feature" } else { "features" };
    writeln!(out, "{name}@{version}  {count} {features}, {what}")?;
    match &group.promoted {
        _ if group.is_promoted => writeln!(out, "promoted: {name} means this version")?,
        Some(promoted) => writeln!(
            out,
            "{name} means {promoted} as before; to change that: \
             barrow features promote {name} {version}"
        )?,
        None => {}
    }
    Ok(())
}

/// What the server finds wrong with a document, with its place in the file.
fn refused(error: ClientError, file: &Path, document: &Document) -> CliError {
    let Some(problem) = error.problem().filter(|problem| problem.status == 400) else {
        return error.into();
    };
    let shown = file.display();
    let line = problem.field.as_deref().and_then(|field| document.line_of(field));
    let place = line.map_or(shown.to_string(), |line| format!("{shown} line {line}"));
    if problem.code == "not_available" {
        return CliError::from(error).within(&place);
    }
    let mut message = format!("{place}: {}", problem.detail);
    let (excerpt, caret) = (&problem.body["excerpt"], &problem.body["caret"]);
    if let (Some(excerpt), Some(caret)) = (excerpt.as_str(), caret.as_u64()) {
        let caret = usize::try_from(caret).unwrap_or(0).min(excerpt.chars().count());
        message.push_str(&format!("\n    {excerpt}\n    {:caret$}^", ""));
    }
    CliError::failed(message)
}

async fn promote(client: &Client, args: &PromoteArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let PromoteArgs { name, version, .. } = args;
    client.promote_feature_group(name, version).await?;
    Ok(writeln!(out, "{name} means {version} from now on")?)
}
