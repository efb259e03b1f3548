//! From what a user asks for to the next version of a table.
//!
//! Columns are found by name among those of the version before, hidden ones too; one that has a new
//! name says which it was. What is not asked for any more is hidden.

use barrow_types::ColumnId;

use crate::dataset::ValueType;

use super::definition::{check_table_name, is_same};
use super::{DefinedColumn, Definition, Extra, Fault, TABLES_MAX, Table, VERSIONS_MAX, dataset_at};

/// What a row has beside its columns: part of every key, and no columns of anybody's own.
const OF_EVERY_KEY: [&str; 3] = ["symbol", "source", "ts"];

/// A column as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedColumn {
    /// Its name from now on.
    pub name: String,
    /// Its name until now, if that was another.
    pub was: Option<String>,
    /// What it is to hold.
    pub holds: ValueType,
    /// Whether a row may leave it out; if it is not said, it is as it was, and a new column may be
    /// left out unless it is of the key.
    pub nullable: Option<bool>,
    /// Whether it is kept and not shown.
    pub hidden: bool,
}

/// A table as it is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Its columns.
    pub columns: Vec<AskedColumn>,
    /// Names of columns that tell rows apart, `symbol`, `source` and `ts` among them or not; if
    /// there are none, rows are never matched.
    pub key: Vec<String>,
    /// What becomes of columns that it does not have.
    pub extra: Extra,
}

/// Why a table cannot be as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeFault {
    /// Where in what was asked: `columns[1].type`, `key[0]`.
    pub field: String,
    /// What is wrong, and what to do.
    pub what: String,
    /// Whether it would be right of another table: it contradicts what is there.
    pub is_conflict: bool,
}

impl ChangeFault {
    fn new(field: impl Into<String>, what: impl Into<String>) -> Self {
        Self { field: field.into(), what: what.into(), is_conflict: false }
    }

    fn conflict(field: impl Into<String>, what: impl Into<String>) -> Self {
        Self { is_conflict: true, ..Self::new(field, what) }
    }
}

/// The next version of the table `name` among `tables`, which are all that are defined; `None` if
/// it is as it is asked for.
///
/// # Errors
/// It cannot be so.
pub fn next(
    name: &str,
    tables: &[Table],
    asked: &Asked,
) -> Result<Option<Definition>, ChangeFault> {
    check_table_name(name).map_err(|what| ChangeFault::new("name", what))?;
    let before = tables.iter().find(|table| table.name() == name);
    if before.is_none() {
        if let Some(other) = tables.iter().find(|table| is_same(table.name(), name)) {
            let what = format!("'{}' is a table, and case does not count", other.name());
            return Err(ChangeFault::conflict("name", what));
        }
        if tables.len() >= TABLES_MAX {
            let what = format!("there are {TABLES_MAX} tables, and cannot be more");
            return Err(ChangeFault::conflict("name", what));
        }
    }
    let before = before.map(|table| Definition::of(table.newest()));
    let Resolved { columns, places } = resolve(before.as_ref(), asked)?;
    let mut after = Definition {
        name: name.to_owned(),
        dataset: before.as_ref().map_or_else(|| dataset_at(tables.len()), |was| was.dataset),
        version: 1,
        key: key(&columns, &places, asked)?,
        columns,
        extra: asked.extra,
    };
    let located = |fault: Fault| locate(fault, &places);
    let Some(before) = before else {
        after.check().map_err(located)?;
        return Ok(Some(after));
    };
    let sorted = |key: &Option<Vec<ColumnId>>| {
        let mut key = key.clone();
        key.iter_mut().for_each(|ids| ids.sort_unstable());
        key
    };
    // The order in which a key is said makes no difference.
    if sorted(&after.key) != sorted(&before.key) {
        let what = "a table keeps its key: say the one that it has";
        return Err(ChangeFault::conflict("key", what));
    }
    after.key.clone_from(&before.key);
    after.version = before.version;
    if after == before {
        return Ok(None);
    }
    if before.version == VERSIONS_MAX {
        let what = format!("{name} has {VERSIONS_MAX} versions, and cannot have more");
        return Err(ChangeFault::conflict("columns", what));
    }
    after.version += 1;
    after.check().map_err(located)?;
    let conflict = |fault| ChangeFault { is_conflict: true, ..located(fault) };
    after.check_follows(&before).map_err(conflict)?;
    Ok(Some(after))
}

/// The columns of the next version, and of each where it is asked for, if it is.
struct Resolved {
    columns: Vec<DefinedColumn>,
    places: Vec<Option<usize>>,
}

fn resolve(before: Option<&Definition>, asked: &Asked) -> Result<Resolved, ChangeFault> {
    let known = before.map_or(&[][..], |before| &before.columns);
    // What nobody asks for is hidden.
    let hide =
        |column: &DefinedColumn| DefinedColumn { nullable: true, hidden: true, ..column.clone() };
    let mut columns: Vec<DefinedColumn> = known.iter().map(hide).collect();
    let mut places: Vec<Option<usize>> = vec![None; known.len()];
    for (at, ask) in asked.columns.iter().enumerate() {
        let AskedColumn { name, was, holds, nullable, hidden } = ask;
        let place = place_in(known, at, ask)?;
        let column = match place {
            Some(place) => {
                let nullable = *hidden || nullable.unwrap_or(known[place].nullable);
                let (holds, hidden) = (*holds, *hidden);
                DefinedColumn { id: known[place].id, name: name.clone(), holds, nullable, hidden }
            }
            None if was.is_some() || *hidden => {
                let (field, what) = match was {
                    Some(was) => ("was", format!("there is no column '{was}'")),
                    None => ("hidden", format!("there is no column '{name}' to be hidden")),
                };
                return Err(ChangeFault::new(format!("columns[{at}].{field}"), what));
            }
            None => {
                let id = u16::try_from(columns.len() + 1)
                    .map_err(|_| ChangeFault::new("columns", "there are far too many columns"))?;
                let is_of_key = asked.key.contains(name);
                let nullable = nullable.unwrap_or(!is_of_key);
                let (holds, hidden) = (*holds, false);
                let id = ColumnId::new(id);
                columns.push(DefinedColumn { id, name: name.clone(), holds, nullable, hidden });
                places.push(Some(at));
                continue;
            }
        };
        let place = place.expect("invariant: one that is not there was pushed");
        if let Some(first) = places[place].replace(at) {
            let what = format!("'{name}' is the column of columns[{first}] too: list it once");
            return Err(ChangeFault::new(format!("columns[{at}].name"), what));
        }
        columns[place] = column;
    }
    Ok(Resolved { columns, places })
}

/// Which of the columns that are known is asked for; `None` if it is a new one.
fn place_in(
    known: &[DefinedColumn],
    at: usize,
    ask: &AskedColumn,
) -> Result<Option<usize>, ChangeFault> {
    let named = |name: &str| known.iter().position(|column| column.name == name);
    let place = match &ask.was {
        // Said again after it was done, it is done.
        Some(was) => named(was).or_else(|| named(&ask.name)),
        None => named(&ask.name),
    };
    let similar = known.iter().find(|column| is_same(&column.name, &ask.name));
    if place.is_none()
        && let Some(similar) = similar
    {
        let what = format!("there is a column '{}', and case does not count", similar.name);
        return Err(ChangeFault::conflict(format!("columns[{at}].name"), what));
    }
    Ok(place)
}

/// The numbers of the columns of the key.
fn key(
    columns: &[DefinedColumn],
    places: &[Option<usize>],
    asked: &Asked,
) -> Result<Option<Vec<ColumnId>>, ChangeFault> {
    if asked.key.is_empty() {
        return Ok(None);
    }
    let mut ids = Vec::new();
    for (at, name) in asked.key.iter().enumerate() {
        let field = || format!("key[{at}]");
        if asked.key[..at].contains(name) {
            return Err(ChangeFault::new(field(), format!("'{name}' is there twice")));
        }
        if OF_EVERY_KEY.contains(&name.as_str()) {
            continue;
        }
        let mut listed = columns.iter().zip(places).filter(|(_, place)| place.is_some());
        let column = listed.find(|(column, _)| column.name == *name).ok_or_else(|| {
            let what = format!("'{name}' is none of symbol, source, ts and the columns listed");
            ChangeFault::new(field(), what)
        })?;
        ids.push(column.0.id);
    }
    if ids.is_empty() && !asked.key.iter().any(|name| name == "ts") {
        let what = "says neither ts nor a column: rows are told apart by their time at least; \
                    write [\"ts\"] for one row of a symbol and source at a time, or leave the key \
                    out for rows that are never matched";
        return Err(ChangeFault::new("key", what));
    }
    Ok(Some(ids))
}

/// Where in what was asked a fault is.
fn locate(fault: Fault, places: &[Option<usize>]) -> ChangeFault {
    let Fault { column, field, what } = fault;
    let asked = column.and_then(|id| *places.get(usize::from(id.get()).checked_sub(1)?)?);
    match (asked, column) {
        (Some(at), _) => ChangeFault::new(format!("columns[{at}].{field}"), what),
        (None, Some(_)) => ChangeFault::new("columns", what),
        (None, None) => ChangeFault::new(field, what),
    }
}

#[cfg(test)]
mod tests;
