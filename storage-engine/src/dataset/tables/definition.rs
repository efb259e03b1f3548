//! One version of a table: what is sound, what may follow on it, and its rows as facts.

use std::collections::BTreeMap;

use barrow_types::{ColumnId, DatasetId, PriceSide, Step};
use parking_lot::Mutex;

use crate::batch::{Act, Batch, KnownAt, Symbols};
use crate::dataset::facts::{ALWAYS, FACT_SOURCE};
use crate::dataset::{ColumnDef, Identity, SCHEMAS, Schema, ValueType};
use crate::reference::long;
use crate::rows::{Column, Texts, Values};
use crate::snapshot::{integer, narrow, text};

use super::{
    COLUMNS_MAX, Extra, KEY_COLUMNS_MAX, NAME_LEN_MAX, TABLES_MAX, TABLES_SYMBOL, Table,
    TableVersion, VERSIONS_MAX, dataset_at, place_of,
};

/// Names that columns of answers have already, or will have.
const RESERVED_COLUMNS: [&str; 10] = [
    "symbol",
    "ts",
    "source",
    "known_at",
    "assumed",
    "sequence",
    "retracted",
    "available_at",
    "instrument_id",
    "t",
];

/// What names of tables must not begin with, because tables of SQL do.
const RESERVED_BEGINNINGS: [&str; 2] = ["bars_", "features_"];

/// A column of a version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DefinedColumn {
    /// Its number, for ever.
    pub id: ColumnId,
    /// Its name in this version.
    pub name: String,
    /// What it holds.
    pub holds: ValueType,
    /// Whether a row may leave it out.
    pub nullable: bool,
    /// Whether it is kept and not shown.
    pub hidden: bool,
}

/// One version of a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Definition {
    /// The table's name.
    pub name: String,
    /// Its number.
    pub dataset: DatasetId,
    /// Which version, from 1.
    pub version: u16,
    /// The columns, in order of their numbers from 1 on.
    pub columns: Vec<DefinedColumn>,
    /// The columns that tell rows of one symbol, source and `ts` apart, if there may be several;
    /// `None` if rows are never matched.
    pub key: Option<Vec<ColumnId>>,
    /// What becomes of columns that it does not have.
    pub extra: Extra,
}

/// What is wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The column at fault, if one is.
    pub column: Option<ColumnId>,
    /// What of the column, or of the table: `name`, `type`, `key`.
    pub field: &'static str,
    /// What is wrong, and what to do.
    pub what: String,
}

impl Fault {
    fn table(field: &'static str, what: impl Into<String>) -> Self {
        Self { column: None, field, what: what.into() }
    }

    fn column(column: &DefinedColumn, field: &'static str, what: &str) -> Self {
        let what = format!("'{}' {what}", column.name);
        Self { column: Some(column.id), field, what }
    }
}

/// Schemas of tables are kept for ever, as their definitions are: rows of every version have to be
/// read as long as the store is open. So a schema is as plain to pass around as a built-in one.
/// They are bounded by [`TABLES_MAX`] and [`VERSIONS_MAX`], and stores whose definitions are alike,
/// as tests open by the thousand, share them.
static KNOWN: Mutex<BTreeMap<Definition, &'static Schema>> = Mutex::new(BTreeMap::new());

impl Definition {
    /// What a version says.
    pub(crate) fn of(version: &TableVersion) -> Self {
        let Schema { dataset, name, version: number, identity, columns } = *version.schema;
        let column = |column: &ColumnDef| DefinedColumn {
            id: column.id,
            name: column.name.to_owned(),
            holds: column.holds,
            nullable: column.nullable,
            hidden: column.hidden,
        };
        Self {
            name: name.to_owned(),
            dataset,
            version: number,
            columns: columns.iter().map(column).collect(),
            key: match identity {
                Identity::Ts => Some(Vec::new()),
                Identity::Event { id: [] } | Identity::Append => None,
                Identity::Event { id } => Some(id.to_vec()),
            },
            extra: version.extra,
        }
    }

    /// What its rows look like.
    pub(crate) fn schema(&self) -> &'static Schema {
        KNOWN.lock().entry(self.clone()).or_insert_with(|| {
            let column = |column: &DefinedColumn| ColumnDef {
                id: column.id,
                name: column.name.clone().leak(),
                holds: column.holds,
                nullable: column.nullable,
                hidden: column.hidden,
            };
            let columns: Vec<ColumnDef> = self.columns.iter().map(column).collect();
            Box::leak(Box::new(Schema {
                dataset: self.dataset,
                name: self.name.clone().leak(),
                version: self.version,
                identity: match &self.key {
                    None => Identity::Event { id: &[] },
                    Some(ids) if ids.is_empty() => Identity::Ts,
                    Some(ids) => Identity::Event { id: ids.clone().leak() },
                },
                columns: columns.leak(),
            }))
        })
    }

    fn column(&self, id: ColumnId) -> Option<&DefinedColumn> {
        self.columns.iter().find(|column| column.id == id)
    }

    /// Checks what can be said of a version by itself.
    pub(super) fn check(&self) -> Result<(), Fault> {
        check_table_name(&self.name).map_err(|what| Fault::table("name", what))?;
        if place_of(self.dataset).is_none_or(|place| place >= TABLES_MAX) {
            let what = format!("there are {TABLES_MAX} tables, and cannot be more");
            return Err(Fault::table("name", what));
        }
        if !(1..=VERSIONS_MAX).contains(&self.version) {
            let what = format!("{} has {VERSIONS_MAX} versions, and cannot have more", self.name);
            return Err(Fault::table("columns", what));
        }
        self.check_columns()?;
        self.check_key()
    }

    fn check_columns(&self) -> Result<(), Fault> {
        if self.columns.len() > COLUMNS_MAX {
            let what = format!(
                "a table has at most {COLUMNS_MAX} columns, hidden ones among them, because they \
                 are kept for ever"
            );
            return Err(Fault::table("columns", what));
        }
        for (place, column) in self.columns.iter().enumerate() {
            if usize::from(column.id.get()) != place + 1 {
                return Err(Fault::column(column, "id", "has not the number of its place"));
            }
            let what = check_name(&column.name).err().or_else(|| {
                let reserved = RESERVED_COLUMNS.iter().find(|name| is_same(name, &column.name));
                reserved.map(|_| "is a column that all tables have or may get".to_owned())
            });
            if let Some(what) = what {
                return Err(Fault::column(column, "name", &format!("{what}; choose another name")));
            }
            let earlier = &self.columns[..place];
            if earlier.iter().any(|other| is_same(&other.name, &column.name)) {
                let what = "is the name of two columns (upper and lower case count as one, and \
                            hidden columns keep their names); choose another name";
                return Err(Fault::column(column, "name", what));
            }
            if column.hidden && !column.nullable {
                let what = "is hidden, so that rows leave it out";
                return Err(Fault::column(column, "nullable", what));
            }
        }
        if self.columns.iter().all(|column| column.hidden) {
            return Err(Fault::table("columns", "there is none: list at least one that is shown"));
        }
        Ok(())
    }

    fn check_key(&self) -> Result<(), Fault> {
        let Some(key) = &self.key else { return Ok(()) };
        if key.len() > KEY_COLUMNS_MAX {
            let what = format!("a key has at most {KEY_COLUMNS_MAX} columns");
            return Err(Fault::table("key", what));
        }
        for (place, id) in key.iter().enumerate() {
            let missing = || Fault::table("key", "names a column that the table does not have");
            let column = self.column(*id).ok_or_else(missing)?;
            if key[..place].contains(id) {
                let what = format!("'{}' is there twice", column.name);
                return Err(Fault::table("key", what));
            }
            let of_key = "is of the key, by which rows are told apart";
            if column.hidden {
                return Err(Fault::column(column, "hidden", &format!("{of_key}: keep it")));
            }
            if column.nullable {
                let what = format!("{of_key}: it cannot be null");
                return Err(Fault::column(column, "nullable", &what));
            }
            if column.holds == ValueType::F64 {
                let what = format!("{of_key}: it cannot be f64, which is not told apart exactly");
                return Err(Fault::column(column, "type", &what));
            }
        }
        Ok(())
    }

    /// Checks that it is sound and comes next, `tables` being all that are defined; returns the
    /// version before it, if it is not the first of its table.
    pub(crate) fn check_among(&self, tables: &[Table]) -> Result<Option<Self>, Fault> {
        self.check()?;
        if let Some(table) = tables.iter().find(|table| table.name() == self.name) {
            let before = Self::of(table.newest());
            self.check_follows(&before)?;
            return Ok(Some(before));
        }
        let is_next = self.dataset == dataset_at(tables.len()) && self.version == 1;
        if !is_next || tables.iter().any(|table| is_same(table.name(), &self.name)) {
            return Err(Fault::table("name", "tables have changed meanwhile: put it again"));
        }
        Ok(None)
    }

    /// Checks that this version may follow on the one before it.
    pub(super) fn check_follows(&self, before: &Self) -> Result<(), Fault> {
        if self.name != before.name
            || self.dataset != before.dataset
            || self.version != before.version + 1
            || self.columns.len() < before.columns.len()
        {
            let what = format!("{} has changed meanwhile: put it again", self.name);
            return Err(Fault::table("name", what));
        }
        if self.key != before.key {
            return Err(Fault::table("key", "a table keeps its key"));
        }
        for (column, was) in self.columns.iter().zip(&before.columns) {
            if column.holds != was.holds && !widens(was.holds, column.holds) {
                let what = format!(
                    "holds {}, and cannot become {} (i64 can become f64; bool and timestamp i64): \
                     add a new column",
                    was.holds.name(),
                    column.holds.name()
                );
                return Err(Fault::column(column, "type", &what));
            }
            if was.nullable && !column.nullable {
                let what = "may be null in rows that are stored: it stays nullable";
                return Err(Fault::column(column, "nullable", what));
            }
        }
        for column in &self.columns[before.columns.len()..] {
            if !column.nullable {
                let what = "is new, and null in rows that are stored: it must be nullable";
                return Err(Fault::column(column, "nullable", what));
            }
        }
        Ok(())
    }

    /// The columns whose values are kept in another way than before.
    pub(crate) fn rewritten(&self, before: &Self) -> impl Iterator<Item = &DefinedColumn> {
        let pairs = self.columns.iter().zip(&before.columns);
        let changed = pairs.filter(|(now, was)| now.holds.kind() != was.holds.kind());
        changed.map(|(now, _)| now)
    }

    /// The batch that defines it, called `id`.
    pub fn batch(&self, id: String) -> Batch {
        let rows = self.columns.len();
        let numbers = |of: &dyn Fn(&DefinedColumn) -> i64| {
            Column::new(Values::I64(self.columns.iter().map(of).collect()))
        };
        let texts = |of: &dyn Fn(&DefinedColumn) -> String| {
            let texts: Vec<String> = self.columns.iter().map(of).collect();
            Column::new(Values::Text(texts.iter().map(String::as_str).collect::<Texts>()))
        };
        let place = |column: &DefinedColumn| {
            let key = self.key.as_deref().unwrap_or_default();
            let place = key.iter().position(|id| *id == column.id);
            place.and_then(|place| i64::try_from(place + 1).ok())
        };
        let mut key = numbers(&|column| place(column).unwrap_or_default());
        key.validity = Some(self.columns.iter().map(|column| place(column).is_some()).collect());
        Batch {
            id,
            dataset: DatasetId::TABLES,
            source: FACT_SOURCE.to_owned(),
            step: Step::Tick,
            side: PriceSide::Trade,
            known_at_policy: KnownAt::Ingest,
            facts: None,
            claims: Vec::new(),
            act: Act::Insert,
            is_import: false,
            symbols: Symbols::one(TABLES_SYMBOL, rows),
            ts: numbers(&|_| ALWAYS.nanos()),
            known_at: None,
            columns: vec![
                texts(&|_| self.name.clone()),
                numbers(&|_| self.dataset.get().into()),
                numbers(&|_| self.version.into()),
                numbers(&|column| column.id.get().into()),
                texts(&|column| column.name.clone()),
                texts(&|column| column.holds.name().to_owned()),
                numbers(&|column| column.nullable.into()),
                numbers(&|column| column.hidden.into()),
                numbers(&|_| self.key.is_some().into()),
                key,
                texts(&|_| self.extra.name().to_owned()),
            ],
            numbers: None,
            raw: None,
            refused: Vec::new(),
        }
    }

    /// The version that rows of [`super::TABLES`] are, all of them together.
    pub(crate) fn read(columns: &[Column], rows: usize) -> Result<Self, Fault> {
        let unlike = || Fault::table("columns", "the rows are not those of one definition");
        let of_table = |at: usize| {
            let extra = Extra::parse(text(&columns[10], at))?;
            let keyed = integer(&columns[8], at) != 0;
            let (dataset, version) =
                (narrow::<u16>(&columns[1], at), narrow::<u16>(&columns[2], at));
            Some((text(&columns[0], at).to_owned(), dataset, version, keyed, extra))
        };
        let first = (rows > 0).then(|| of_table(0)).flatten().ok_or_else(unlike)?;
        let mut defined = Vec::with_capacity(rows);
        let mut key: Vec<(i64, ColumnId)> = Vec::new();
        for at in 0..rows {
            let holds = ValueType::parse(text(&columns[5], at)).ok_or_else(unlike)?;
            if of_table(at).as_ref() != Some(&first) {
                return Err(unlike());
            }
            let id = ColumnId::new(narrow(&columns[3], at));
            key.extend(long(&columns[9], at).map(|place| (place, id)));
            defined.push(DefinedColumn {
                id,
                name: text(&columns[4], at).to_owned(),
                holds,
                nullable: integer(&columns[6], at) != 0,
                hidden: integer(&columns[7], at) != 0,
            });
        }
        defined.sort_by_key(|column| column.id);
        key.sort_unstable();
        let (name, dataset, version, keyed, extra) = first;
        if !keyed && !key.is_empty() {
            return Err(unlike());
        }
        Ok(Self {
            name,
            dataset: DatasetId::new(dataset),
            version,
            columns: defined,
            key: keyed.then(|| key.into_iter().map(|(_, id)| id).collect()),
            extra,
        })
    }
}

/// Whether every value of the first type is one of the second, so that a column may change so.
/// Whole numbers become doubles only where no stored one is too large; who changes it looks.
const fn widens(from: ValueType, to: ValueType) -> bool {
    matches!(
        (from, to),
        (ValueType::I64, ValueType::F64) | (ValueType::Bool | ValueType::Timestamp, ValueType::I64)
    )
}

/// Whether two names are one: case does not count, as in SQL.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

fn check_name(name: &str) -> Result<(), String> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    if !begins || !name.bytes().all(is_word) {
        return Err("is no name: write letters, digits and _, a letter first".to_owned());
    }
    if name.len() > NAME_LEN_MAX {
        return Err(format!("is longer than {NAME_LEN_MAX} bytes"));
    }
    Ok(())
}

/// Refuses what no table can be called.
pub(super) fn check_table_name(name: &str) -> Result<(), String> {
    let fault = |what: String| Err(format!("'{name}' {what}; choose another name"));
    if let Err(what) = check_name(name) {
        return fault(what);
    }
    if SCHEMAS.iter().any(|schema| is_same(schema.name, name)) {
        return fault("is a dataset of Barrow's own".to_owned());
    }
    let begins = |with: &&str| name.get(..with.len()).is_some_and(|start| is_same(start, with));
    match RESERVED_BEGINNINGS.into_iter().find(begins) {
        Some(with) => fault(format!("begins with {with}, as tables of Barrow's own do in SQL")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn definition() -> impl Strategy<Value = Definition> {
        let holds = prop::sample::select(ValueType::ALL.to_vec());
        let column = ("[a-z]{1,8}", holds, any::<bool>(), any::<bool>());
        let columns = prop::collection::vec(column, 1..6);
        let key = prop::option::of(prop::collection::btree_set(1_u16..6, 0..3));
        (columns, key, any::<bool>(), 1_024_u16..1_030, 1_u16..9).prop_map(
            |(columns, key, ignores, dataset, version)| {
                let count = columns.len();
                let column = |(place, (name, holds, nullable, hidden)): (usize, _)| DefinedColumn {
                    id: ColumnId::new(u16::try_from(place + 1).unwrap()),
                    name,
                    holds,
                    nullable,
                    hidden,
                };
                let is_there = |id: &u16| usize::from(*id) <= count;
                let ids = |key: std::collections::BTreeSet<u16>| -> Vec<ColumnId> {
                    key.into_iter().filter(is_there).map(ColumnId::new).rev().collect()
                };
                Definition {
                    name: "news".to_owned(),
                    dataset: DatasetId::new(dataset),
                    version,
                    columns: columns.into_iter().enumerate().map(column).collect(),
                    key: key.map(ids),
                    extra: if ignores { Extra::Ignore } else { Extra::Reject },
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_definition_comes_back_from_its_rows(definition in definition()) {
            let batch = definition.batch("b".to_owned());
            let read = Definition::read(&batch.columns, definition.columns.len());
            prop_assert_eq!(read.as_ref(), Ok(&definition));
            let kinds: Vec<_> = batch.columns.iter().map(Column::kind).collect();
            prop_assert_eq!(kinds, super::super::TABLES.kinds().collect::<Vec<_>>());
            let version = TableVersion {
                schema: definition.schema(),
                extra: definition.extra,
                since: barrow_types::Sequence::new(1),
                known_at: barrow_types::Timestamp::from_nanos(0),
            };
            prop_assert_eq!(Definition::of(&version), definition);
        }
    }

    proptest! {
        #[test]
        fn no_rows_make_the_reader_of_definitions_panic(
            numbers in prop::collection::vec(-2_i64..70_000, 0..40),
            texts in prop::collection::vec("[a-z0-9_]{0,9}", 1..6),
            types in prop::sample::select(vec!["f64", "text", "i64", ""]),
        ) {
            let rows = numbers.len() / 7;
            let column = |at: usize| {
                let values = (0..rows).map(|row| numbers[row * 7 + at]).collect();
                Column::new(Values::I64(values))
            };
            let text = |of: &dyn Fn(usize) -> String| {
                let all: Vec<String> = (0..rows).map(of).collect();
                Column::new(Values::Text(all.iter().map(String::as_str).collect::<Texts>()))
            };
            let columns = [
                text(&|_| texts[0].clone()),
                column(0),
                column(1),
                column(2),
                text(&|row| texts[row % texts.len()].clone()),
                text(&|_| types.to_owned()),
                column(3),
                column(4),
                column(5),
                column(6),
                text(&|_| "reject".to_owned()),
            ];
            if let Ok(definition) = Definition::read(&columns, rows) {
                let _ = definition.check_among(&[]);
            }
        }
    }

    #[test]
    fn names_that_mean_something_else_are_refused() {
        for name in ["news", "N", "ai_decisions_2", "bar", "Features1"] {
            assert_eq!(check_table_name(name), Ok(()), "{name}");
        }
        for name in
            ["", "1news", "_x", "new-s", "neẅs", "bars", "BARS", "tables", "bars_1m", "Features_x"]
        {
            assert!(check_table_name(name).is_err(), "{name}");
        }
        assert!(check_table_name(&"a".repeat(NAME_LEN_MAX + 1)).is_err());
    }
}
