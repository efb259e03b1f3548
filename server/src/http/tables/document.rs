//! The document that defines a table: `{"columns":[{"name","type","nullable","hidden","was"}...],
//! "key":[...],"extra":"reject" or "ignore"}`.

use barrow_engine::dataset::ValueType;
use barrow_engine::dataset::tables::{Asked, AskedColumn, COLUMNS_MAX, Extra};
use serde_json::Value;

use super::super::datasets::{EXTRA, VALUES};
use super::super::error::Problem;
use super::super::facts::json::{Fields, fault, text};
use super::super::openapi::{Field, Shape, Type};

/// The document.
pub(super) static DOCUMENT: Shape = Shape {
    name: "TableDefinition",
    about: "A table as it is to be",
    fields: &[
        Field::new("columns", Type::List(&Type::Object(&COLUMN)), "At least one"),
        Field::maybe(
            "key",
            Type::List(&Type::Text),
            "The columns that tell rows apart beside symbol and source: ts, and others. Left out: \
             rows are never matched",
        ),
        Field::maybe("extra", EXTRA, "What becomes of columns of rows that it does not have"),
    ],
};

static COLUMN: Shape = Shape {
    name: "ColumnDefinition",
    about: "A column as it is to be",
    fields: &[
        Field::new("name", Type::Text, "Letters, digits and _, a letter first"),
        Field::new("type", VALUES, "What it holds"),
        Field::maybe("nullable", Type::Flag, "Whether a row may have no value"),
        Field::maybe("hidden", Type::Flag, "Whether answers leave it out"),
        Field::maybe("was", Type::Text, "Its name up to now, if it is to be renamed"),
    ],
};

/// What a document asks for.
///
/// # Errors
/// A field of it is none, or says what it must not; the problem names it.
pub(super) fn read(value: &Value) -> Result<Asked, Problem> {
    let fields = Fields::of_shape(value, "", &DOCUMENT)?;
    let listed = fields.list("columns")?;
    if listed.is_empty() {
        let what = "is missing: list the columns as [{\"name\": ..., \"type\": ...}, ...]";
        return Err(fields.fault("columns", what));
    }
    // What follows looks at each column among all others.
    if listed.len() > COLUMNS_MAX {
        return Err(fields.fault("columns", format!("are more than {COLUMNS_MAX}")));
    }
    let columns = listed.into_iter().map(|(place, value)| column(value, place));
    let key = fields.list("key")?.into_iter();
    let key = key
        .map(|(place, value)| text(value).map(str::to_owned).map_err(|what| fault(&place, what)));
    let extra = fields.word("extra", &Extra::ALL.map(Extra::name))?;
    Ok(Asked {
        columns: columns.collect::<Result<_, _>>()?,
        key: key.collect::<Result<_, _>>()?,
        extra: extra.and_then(Extra::parse).unwrap_or_default(),
    })
}

fn column(value: &Value, place: String) -> Result<AskedColumn, Problem> {
    let fields = Fields::of_shape(value, place, &COLUMN)?;
    let holds = fields
        .required("type", |fields, name| fields.word(name, &ValueType::ALL.map(ValueType::name)))?;
    Ok(AskedColumn {
        name: fields.required("name", Fields::text)?.to_owned(),
        was: fields.text("was")?.map(str::to_owned),
        holds: ValueType::parse(holds).expect("invariant: it is one of these words"),
        nullable: fields.flag("nullable")?,
        hidden: fields.flag("hidden")?.unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_says_columns_a_key_and_what_becomes_of_others() {
        let asked = read(&json!({
            "columns": [
                {"name": "score", "type": "f64"},
                {"name": "id", "type": "text", "nullable": false, "was": "key"},
                {"name": "old", "type": "timestamp", "hidden": true},
            ],
            "key": ["ts", "id"],
            "extra": "ignore",
        }));
        let asked = asked.unwrap();
        assert_eq!(
            (asked.key.as_slice(), asked.extra),
            (&["ts".into(), "id".into()][..], { Extra::Ignore })
        );
        let column = |name: &str, holds| AskedColumn {
            name: name.to_owned(),
            was: None,
            holds,
            nullable: None,
            hidden: false,
        };
        let expected = [
            column("score", ValueType::F64),
            AskedColumn {
                was: Some("key".into()),
                nullable: Some(false),
                ..column("id", ValueType::Text)
            },
            AskedColumn { hidden: true, ..column("old", ValueType::Timestamp) },
        ];
        assert_eq!(asked.columns, expected);
        let least = read(&json!({"columns": [{"name": "a", "type": "i64"}]})).unwrap();
        assert_eq!((least.key.len(), least.extra), (0, Extra::Reject));
    }

    #[test]
    fn what_cannot_be_a_definition_names_its_field() {
        let one = json!({"name": "a", "type": "i64"});
        for (value, field) in [
            (json!([]), "body"),
            (json!({}), "columns"),
            (json!({"columns": []}), "columns"),
            (json!({"columns": {}}), "columns"),
            (json!({"columns": [one], "colour": 1}), "colour"),
            (json!({"columns": ["a"]}), "columns[0]"),
            (json!({"columns": [one, {"type": "i64"}]}), "columns[1].name"),
            (json!({"columns": [{"name": "a"}]}), "columns[0].type"),
            (json!({"columns": [{"name": "a", "type": "float"}]}), "columns[0].type"),
            (json!({"columns": [{"name": "a", "type": 1}]}), "columns[0].type"),
            (json!({"columns": [{"name": 1, "type": "i64"}]}), "columns[0].name"),
            (
                json!({"columns": [{"name": "a", "type": "i64", "nullable": 1}]}),
                "columns[0].nullable",
            ),
            (json!({"columns": [{"name": "a", "type": "i64", "x": 1}]}), "columns[0].x"),
            (json!({"columns": [one], "key": "a"}), "key"),
            (json!({"columns": [one], "key": [1]}), "key[0]"),
            (json!({"columns": [one], "extra": "drop"}), "extra"),
            (json!({"columns": vec![one.clone(); COLUMNS_MAX + 1]}), "columns"),
        ] {
            let problem = read(&value).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(field), "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_document_makes_the_reader_panic(text in r#"[\[\]{}:,"a-z0-9 ]{0,80}"#) {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                let _ = read(&value);
            }
        }
    }
}
