//! `GET /v1/datasets` and `GET /v1/datasets/{dataset}`: which tables there are and what they hold,
//! those of users among them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use barrow_engine::Snapshot;
use barrow_engine::dataset::tables::{Extra, Table, TableVersion};
use barrow_engine::dataset::{Identity, Schema, ValueType};
use barrow_types::{PriceSide, Sequence, SeriesId, Step};
use serde_json::{Value, json};

use super::App;
use super::encode::Format;
use super::error::{Code, Problem};
use super::ingest::{DATASETS, schema_of};
use super::openapi::{Answer, Columns, FINDS, Field, Operation, READS, Shape, Tag, Type};
use super::parameters::{AS_OF, AT_SEQUENCE, DATASET, FORMAT, SIDES, STEPS};
use super::params::Params;
use super::table::{instant, table};
use super::tables::find;
use super::time::parse_parameter;

/// Which there are.
pub(crate) static LIST: Operation = Operation {
    id: "list_datasets",
    tag: Tag::Datasets,
    summary: "Lists the datasets",
    query: &[FORMAT],
    not_built: &["symbols"],
    answer: Answer::Table(COLUMNS),
    ..Operation::GET
};

/// What one holds.
pub(crate) static SHOW: Operation = Operation {
    id: "describe_dataset",
    tag: Tag::Datasets,
    summary: "Describes a dataset: its columns, and which series it holds",
    about: "A table is described as it was known at as_of and held at at_sequence. Bars, trades \
            and quotes are always as they are, and refuse both.",
    path: &[DATASET],
    query: &[AS_OF, AT_SEQUENCE],
    not_built: &["symbols"],
    answer: Answer::Json(&DESCRIBED),
    problems: &[READS, FINDS],
    example: ("/v1/datasets/bars", ""),
    ..Operation::GET
};

const COLUMNS: Columns = &[
    ("name", "text"),
    ("type", "text"),
    ("version", "i64"),
    ("series", "i64"),
    ("symbols", "i64"),
    ("sources", "i64"),
    ("rows", "i64"),
];

/// A dataset as it is described.
pub(crate) static DESCRIBED: Shape = Shape {
    name: "Dataset",
    about: "A dataset; tables have more to say than market data",
    fields: &[
        Field::new("name", Type::Text, ""),
        Field::new("type", Type::Words(|| vec![RAW, TABLE]), ""),
        Field::new("version", Type::Whole, "How often its columns changed, from 1"),
        Field::new("key", Type::List(&Type::Text), "The columns that tell rows apart, if any do"),
        Field::new("columns", Type::List(&Type::Object(&COLUMN)), ""),
        Field::new("series", Type::List(&Type::Object(&SERIES)), "What it holds"),
        Field::new("rows", Type::Whole, "How many are stored, corrections among them"),
        Field::new("sequence", Type::Whole, "The newest record"),
        Field::maybe("hidden", Type::List(&Type::Text), "Columns that are not shown any more"),
        Field::maybe("extra", EXTRA, "What becomes of columns that it does not have"),
        Field::maybe("since", Type::Whole, "The record that brought this version"),
        Field::maybe("known_at", Type::Instant, "When that came"),
        Field::maybe("versions", Type::List(&Type::Object(&VERSION)), "Every version"),
    ],
};

/// What becomes of columns that a table does not have.
pub(crate) const EXTRA: Type = Type::Words(|| Extra::ALL.map(Extra::name).to_vec());

/// What columns hold.
pub(crate) const VALUES: Type = Type::Words(|| ValueType::ALL.map(ValueType::name).to_vec());

static COLUMN: Shape = Shape {
    name: "Column",
    about: "",
    fields: &[
        Field::new("name", Type::Text, ""),
        Field::new("type", VALUES, ""),
        Field::new("nullable", Type::Flag, "Whether a row may have no value"),
    ],
};

static SERIES: Shape = Shape {
    name: "SeriesOfSource",
    about: "Series of one length, side and source",
    fields: &[
        Field::or_null("timeframe", STEPS, "The length of bars"),
        Field::or_null("price", SIDES, ""),
        Field::new("source", Type::Text, ""),
        Field::new("symbols", Type::Whole, "How many"),
    ],
};

static VERSION: Shape = Shape {
    name: "TableVersion",
    about: "",
    fields: &[
        Field::new("version", Type::Whole, ""),
        Field::new("sequence", Type::Whole, "The record that brought it"),
        Field::new("known_at", Type::Instant, "When that came"),
        Field::new("extra", EXTRA, ""),
        Field::new("columns", Type::List(&Type::Object(&VERSION_COLUMN)), ""),
    ],
};

static VERSION_COLUMN: Shape = Shape {
    name: "VersionColumn",
    about: "",
    fields: &[
        Field::new("id", Type::Whole, "Its number, which no other column ever has"),
        Field::new("name", Type::Text, ""),
        Field::new("type", VALUES, ""),
        Field::new("nullable", Type::Flag, ""),
        Field::new("hidden", Type::Flag, ""),
    ],
};

/// What the built-in datasets are called, and what users' tables are.
const RAW: &str = "raw";
const TABLE: &str = "table";

/// Lists the datasets.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &LIST)?;
    let format = Format::negotiate(&params, &headers)?;
    let snapshot = app.engine.snapshot();
    let rows = move || {
        let built_in = DATASETS.map(|schema| row(schema, RAW, &snapshot)).into_iter();
        let tables = snapshot.tables();
        let users = tables.iter().map(|table| row(table.newest().schema, TABLE, &snapshot));
        built_in.chain(users).collect::<Vec<Value>>()
    };
    let rows = app.query(rows).await?;
    table(format, COLUMNS, &rows)
}

fn row(schema: &Schema, kind: &str, snapshot: &Snapshot) -> Value {
    let series = snapshot.series(schema.dataset, None);
    let symbols: BTreeSet<_> = series.iter().map(|(_, key)| &key.symbol).collect();
    let sources: BTreeSet<_> = series.iter().map(|(_, key)| &key.source).collect();
    json!({
        "name": schema.name,
        "type": kind,
        "version": schema.version,
        "series": series.len(),
        "symbols": symbols.len(),
        "sources": sources.len(),
        "rows": rows(series.iter().map(|(id, _)| *id), snapshot),
    })
}

/// How many rows of some series are stored, corrections and retractions among them.
fn rows(series: impl Iterator<Item = SeriesId>, snapshot: &Snapshot) -> u64 {
    series.map(|series| snapshot.row_count(series)).sum()
}

/// Describes one dataset: its columns, and how many series of which kind it holds. A user's table
/// is described as it was known at `as_of`, and held at `at_sequence`.
pub(crate) async fn describe(
    State(app): State<Arc<App>>,
    Path(dataset): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &SHOW)?;
    let as_of = params.read("as_of", parse_parameter)?;
    let at_sequence = params.integer("at_sequence")?.map(Sequence::new);
    let snapshot = app.engine.snapshot();
    let body = app.query(move || {
        if snapshot.table(&dataset, None).is_none() {
            let schema = schema_of(&dataset)?;
            let names = SHOW.query.iter().map(|param| param.name);
            if let Some(name) = names.into_iter().find(|name| params.get(name).is_some()) {
                let fault = format!("{dataset} are always as they are: leave it out");
                return Err(Problem::parameter(name, fault));
            }
            return Ok(description(schema, RAW, &snapshot));
        }
        let table = find(&dataset, &snapshot, at_sequence)?;
        let known = |table: Table| match as_of {
            Some(as_of) => table.known_at(as_of),
            None => Some(table),
        };
        let table = known(table).ok_or_else(|| {
            let detail = format!("dataset: there was no table '{dataset}' at as_of");
            Problem::new(Code::NotFound, detail).about("dataset")
        })?;
        Ok(of_table(&table, &snapshot))
    });
    Ok(Json(body.await??).into_response())
}

fn columns(schema: &Schema) -> Vec<Value> {
    let column = |name: &str, kind: &str, nullable: bool| {
        json!({
            "name": name,
            "type": kind,
            "nullable": nullable,
        })
    };
    let mut columns = vec![column("symbol", "text", false), column("ts", "timestamp", false)];
    columns.extend(schema.shown().map(|(_, c)| column(c.name, c.holds.name(), c.nullable)));
    columns.push(column("known_at", "timestamp", true));
    columns
}

/// Describes a table as it is at its newest version.
pub(crate) fn of_table(table: &Table, snapshot: &Snapshot) -> Value {
    let newest = table.newest();
    let mut body = description(newest.schema, TABLE, snapshot);
    let hidden = newest.schema.columns.iter().filter(|column| column.hidden);
    body["hidden"] = hidden.map(|column| column.name).collect();
    body["extra"] = newest.extra.name().into();
    body["since"] = newest.since.get().into();
    body["known_at"] = instant(newest.known_at);
    body["versions"] = table.versions().iter().map(version).collect();
    body
}

fn version(version: &TableVersion) -> Value {
    let column = |column: &barrow_engine::dataset::ColumnDef| {
        json!({
            "id": column.id.get(),
            "name": column.name,
            "type": column.holds.name(),
            "nullable": column.nullable,
            "hidden": column.hidden,
        })
    };
    json!({
        "version": version.schema.version,
        "sequence": version.since.get(),
        "known_at": instant(version.known_at),
        "extra": version.extra.name(),
        "columns": version.schema.columns.iter().map(column).collect::<Vec<_>>(),
    })
}

fn description(schema: &Schema, kind: &str, snapshot: &Snapshot) -> Value {
    let all = snapshot.series(schema.dataset, None);
    let mut groups: BTreeMap<(u8, u8, String), u64> = BTreeMap::new();
    for (_, key) in &all {
        let group = (key.step.code(), key.side.code(), key.source.as_str().to_owned());
        *groups.entry(group).or_default() += 1;
    }
    let series: Vec<Value> = groups
        .into_iter()
        .map(|((step, side, source), symbols)| {
            let step = Step::from_code(step).filter(|step| *step != Step::Tick);
            let side = PriceSide::from_code(side).filter(|_| step.is_some());
            json!({
                "timeframe": step.map(Step::name),
                "price": side.map(PriceSide::name),
                "source": source,
                "symbols": symbols,
            })
        })
        .collect();
    json!({
        "name": schema.name,
        "type": kind,
        "version": schema.version,
        "key": key(schema),
        "columns": columns(schema),
        "series": series,
        "rows": rows(all.iter().map(|(id, _)| *id), snapshot),
        "sequence": snapshot.sequence().get(),
    })
}

/// The columns that tell rows apart; none if rows are never matched.
fn key(schema: &Schema) -> Vec<&'static str> {
    match schema.identity {
        Identity::Ts if schema.dataset.is_table() => vec!["symbol", "source", "ts"],
        Identity::Ts => vec!["symbol", "timeframe", "price", "source", "ts"],
        Identity::Event { id: [] } | Identity::Append => Vec::new(),
        Identity::Event { .. } => {
            let ids = schema.id_places().into_iter().map(|place| schema.columns[place].name);
            ["symbol", "source", "ts"].into_iter().chain(ids).collect()
        }
    }
}
