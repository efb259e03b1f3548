use barrow_types::{DatasetId, Sequence, Timestamp};

use super::super::{COLUMNS_MAX, TableVersion};
use super::*;

/// `name:type`, with `?` behind it if it may be null, `!` if not, `-` if it is hidden; `old>new` if
/// it gets another name.
fn column(text: &str) -> AskedColumn {
    let (name, holds) = text.split_once(':').unwrap();
    let (was, name) = match name.split_once('>') {
        Some((was, name)) => (Some(was.to_owned()), name),
        None => (None, name),
    };
    let word = holds.trim_end_matches(['?', '!', '-']);
    AskedColumn {
        name: name.to_owned(),
        was,
        holds: ValueType::parse(word).unwrap(),
        nullable: holds.contains(['?', '!']).then(|| holds.contains('?')),
        hidden: holds.contains('-'),
    }
}

fn asked(columns: &str, key: &str) -> Asked {
    Asked {
        columns: columns.split_whitespace().map(column).collect(),
        key: key.split_whitespace().map(str::to_owned).collect(),
        extra: Extra::Reject,
    }
}

fn shown(definition: &Definition) -> String {
    let column = |column: &DefinedColumn| {
        let mark = if column.hidden {
            "-"
        } else if column.nullable {
            "?"
        } else {
            "!"
        };
        format!("{}:{}{mark}", column.name, column.holds.name())
    };
    let columns: Vec<String> = definition.columns.iter().map(column).collect();
    let key: Vec<u16> = definition.key.iter().flatten().map(|id| id.get()).collect();
    format!("v{} {} key {key:?}", definition.version, columns.join(" "))
}

/// What becomes of a table that is put again and again: its last version, or the field at fault
/// (and `!` before it if it is a conflict).
fn put(puts: &[(&str, &str)]) -> String {
    let mut tables: Vec<Table> = Vec::new();
    let mut last = String::new();
    for (number, (columns, key)) in puts.iter().enumerate() {
        match next("news", &tables, &asked(columns, key)) {
            Ok(None) => last = "as it was".to_owned(),
            Ok(Some(definition)) => {
                last = shown(&definition);
                let version = TableVersion {
                    schema: definition.schema(),
                    extra: definition.extra,
                    since: Sequence::new(number as u64 + 1),
                    known_at: Timestamp::from_nanos(0),
                };
                assert_eq!(definition.dataset, DatasetId::FIRST_TABLE);
                match tables.first_mut() {
                    Some(table) => table.add(version),
                    None => tables.push(Table::new(version)),
                }
            }
            Err(fault) => {
                last = format!("{}{}", if fault.is_conflict { "!" } else { "" }, fault.field);
            }
        }
    }
    last
}

#[test]
fn a_first_version_has_the_columns_that_are_asked_for() {
    assert_eq!(put(&[("score:f64 id:text", "ts id")]), "v1 score:f64? id:text! key [2]");
    assert_eq!(put(&[("a:i64! b:bool", "")]), "v1 a:i64! b:bool? key []");
    assert_eq!(put(&[("a:i64", "symbol ts source")]), "v1 a:i64? key []");
}

#[test]
fn what_no_table_can_be_names_the_field() {
    for (columns, key, field) in [
        ("", "", "columns"),
        ("a:i64-", "", "columns[0].hidden"),
        ("a:i64 a:i64", "", "columns[1].name"),
        ("a:i64 A:i64", "", "columns[1].name"),
        ("a:i64 ts:i64", "", "columns[1].name"),
        ("a:i64 Symbol:i64", "", "columns[1].name"),
        ("a-b:i64", "", "columns[0].name"),
        ("x>a:i64", "", "columns[0].was"),
        ("a:i64", "b", "key[0]"),
        ("a:i64", "ts a a", "key[2]"),
        ("a:i64", "symbol", "key"),
        ("a:f64", "a", "columns[0].type"),
        ("a:i64?", "a", "columns[0].nullable"),
        ("a:i64 b:i64 c:i64 d:i64 e:i64 f:i64 g:i64 h:i64 i:i64", "a b c d e f g h i", "key"),
    ] {
        assert_eq!(put(&[(columns, key)]), field, "{columns} by {key}");
    }
    let many: Vec<String> = (0..=COLUMNS_MAX).map(|at| format!("c{at}:i64")).collect();
    assert_eq!(put(&[(&many.join(" "), "")]), "columns");
    for name in ["bars", "Settings", "a b", ""] {
        assert_eq!(next(name, &[], &asked("a:i64", "")).unwrap_err().field, "name", "{name}");
    }
}

#[test]
fn columns_are_added_renamed_widened_loosened_hidden_and_shown_again() {
    let first = ("a:i64! b:text", "a");
    for (again, expected) in [
        ("a:i64 b:text", "as it was"),
        ("b:text a:i64!", "as it was"),
        ("a:i64 b:text c:f64", "v2 a:i64! b:text? c:f64? key [1]"),
        ("a:i64 b>c:text", "v2 a:i64! c:text? key [1]"),
        ("a:i64", "v2 a:i64! b:text- key [1]"),
        ("a:i64 b:text-", "v2 a:i64! b:text- key [1]"),
    ] {
        assert_eq!(put(&[first, (again, "a")]), expected, "{again}");
    }
    let loose = ("a:i64! b:bool c:timestamp", "");
    let wide = ("a:f64? b:i64 c:i64", "");
    assert_eq!(put(&[loose, wide]), "v2 a:f64? b:i64? c:i64? key []");
    assert_eq!(put(&[loose, ("b:bool", "")]), "v2 a:i64- b:bool? c:timestamp- key []");
    let back = ("a:i64 b:bool c:timestamp", "");
    assert_eq!(put(&[loose, ("b:bool", ""), back]), "v3 a:i64? b:bool? c:timestamp? key []");
    let swap = ("a>b:i64 b>a:bool c:timestamp", "");
    assert_eq!(put(&[loose, swap]), "v2 b:i64! a:bool? c:timestamp? key []");
    assert_eq!(put(&[loose, ("a>d:i64 b:bool c:timestamp", ""), ("a>d:i64", "")]), {
        "v3 d:i64! b:bool- c:timestamp- key []"
    });
}

#[test]
fn what_stored_rows_cannot_bear_is_a_conflict_that_names_the_column() {
    let first = ("a:i64! b:text c:f64 k:text", "k");
    for (again, key, field) in [
        ("a:text b:text c:f64 k:text", "k", "!columns[0].type"),
        ("a:bool b:text c:f64 k:text", "k", "!columns[0].type"),
        ("a:i64 b:text c:i64 k:text", "k", "!columns[2].type"),
        ("a:i64 b:text! c:f64 k:text", "k", "!columns[1].nullable"),
        ("a:i64 b:text c:f64 k:text d:i64!", "k", "!columns[4].nullable"),
        ("a:i64 b:text c:f64 k:text", "", "!key"),
        ("a:i64 b:text c:f64 k:text", "k a", "!key"),
        ("a:i64 b:text c:f64", "ts", "!key"),
        ("a:i64 b:text c:f64", "k", "key[0]"),
        ("a:i64 b>k:text c:f64", "k", "!key"),
        ("a:i64 b>c:text k:text", "k", "columns"),
        ("a:i64 a>x:i64 k:text", "k", "columns[1].name"),
        ("a:i64 B:text k:text", "k", "!columns[1].name"),
        ("a:i64 k:text-", "k", "columns[1].hidden"),
    ] {
        let found = put(&[first, (again, key)]);
        assert!(found.starts_with(field), "{again} by {key}: {found}");
    }
}

#[test]
fn the_order_in_which_a_key_is_said_is_no_change() {
    assert_eq!(put(&[("a:i64 b:text", "a b"), ("a:i64 b:text", "b ts a")]), "as it was");
}
