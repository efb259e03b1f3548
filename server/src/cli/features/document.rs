//! The file of a group: YAML, of which JSON is a part, as the value that goes on the wire; and the
//! line that each field stands on, so that what the server finds wrong is shown where it is.

use std::collections::BTreeMap;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use serde_json::{Map, Number, Value};

/// What a file says.
#[derive(Debug)]
pub(crate) struct Document {
    /// The document as JSON.
    pub(crate) value: Value,
    lines: BTreeMap<String, usize>,
}

impl Document {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// What is wrong, with line and column.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let documents = MarkedYaml::load_from_str(text).map_err(|error| {
            let (line, column) = (error.marker().line(), error.marker().col() + 1);
            format!("line {line}, column {column}: {}", error.info())
        })?;
        let [document] = documents.as_slice() else {
            return Err(match documents.len() {
                0 => "is empty: write a document of kind: FeatureSet".to_owned(),
                count => format!("holds {count} documents: put each into a file of its own"),
            });
        };
        let mut lines = BTreeMap::new();
        let value = value(document, "", &mut lines)?;
        Ok(Self { value, lines })
    }

    /// The line of a field, or of the nearest that it is in, from 1.
    pub(super) fn line_of(&self, field: &str) -> Option<usize> {
        let mut place = field;
        loop {
            if let Some(line) = self.lines.get(place) {
                return Some(*line);
            }
            place = &place[..place.rfind(['.', '['])?];
        }
    }
}

fn at(node: &MarkedYaml<'_>, what: impl std::fmt::Display) -> String {
    let start = node.span.start;
    format!("line {}, column {}: {what}", start.line(), start.col() + 1)
}

/// The value of a node at `place`.
fn value(
    node: &MarkedYaml<'_>,
    place: &str,
    lines: &mut BTreeMap<String, usize>,
) -> Result<Value, String> {
    lines.entry(place.to_owned()).or_insert_with(|| node.span.start.line());
    match &node.data {
        YamlData::Value(scalar) => {
            number_or_text(scalar).ok_or_else(|| at(node, "a number must be finite"))
        }
        YamlData::Sequence(nodes) => {
            let nodes = nodes.iter().enumerate();
            let values = nodes.map(|(at, node)| value(node, &format!("{place}[{at}]"), lines));
            values.collect()
        }
        YamlData::Mapping(entries) => {
            let mut map = Map::new();
            for (key, node) in entries {
                let name = name(key)?;
                let place =
                    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
                lines.insert(place.clone(), key.span.start.line());
                map.insert(name.to_owned(), value(node, &place, lines)?);
            }
            Ok(Value::Object(map))
        }
        YamlData::Tagged(tag, _) => Err(at(node, format!("there are no tags here ({tag})"))),
        _ => Err(at(node, "cannot be read as a value")),
    }
}

/// What no name holds, but what is left of an expression that was cut at a comma.
const OF_EXPRESSIONS: [char; 3] = ['(', ')', '$'];

fn name<'n>(key: &'n MarkedYaml<'_>) -> Result<&'n str, String> {
    match &key.data {
        YamlData::Value(Scalar::String(name)) if name.contains(OF_EXPRESSIONS) => Err(at(
            key,
            format!(
                "'{name}' is no name of a field: between braces an expression with a comma stands \
                 in quotes"
            ),
        )),
        YamlData::Value(Scalar::String(name)) => Ok(name),
        YamlData::Value(other) => {
            let text = number_or_text(other).unwrap_or_default();
            Err(at(key, format!("{text} is no name of a field: put quotes around a name")))
        }
        _ => Err(at(key, "the name of a field is a text")),
    }
}

fn number_or_text(scalar: &Scalar<'_>) -> Option<Value> {
    Some(match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(is) => Value::Bool(*is),
        Scalar::Integer(number) => Value::from(*number),
        Scalar::FloatingPoint(number) => Value::Number(Number::from_f64(number.into_inner())?),
        Scalar::String(text) => Value::from(text.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GROUP: &str = r#"# a comment
kind: FeatureSet
name: no
bars: {every: 1m}
params:
  W: [5, 0.5, "x"]
features:
  - {name: "ROC{w}", for: {w: W}, expr: "Ref($close, {w})/$close"}
  - name: strength
    expr: |
      rsi14/50 -
        1
"#;

    #[test]
    fn yaml_becomes_json_and_every_field_has_its_line() {
        let document = Document::parse(GROUP).unwrap();
        let expected = json!({
            "kind": "FeatureSet",
            "name": "no",
            "bars": {"every": "1m"},
            "params": {"W": [5, 0.5, "x"]},
            "features": [
                {"name": "ROC{w}", "for": {"w": "W"}, "expr": "Ref($close, {w})/$close"},
                {"name": "strength", "expr": "rsi14/50 -\n  1\n"},
            ],
        });
        assert_eq!(document.value, expected);
        for (field, line) in [
            ("name", 3),
            ("bars.every", 4),
            ("bars.evry", 4),
            ("params.W[2]", 6),
            ("features", 7),
            ("features[0].for.w", 8),
            ("features[1]", 9),
            ("features[1].expr", 10),
            ("features[1].for", 9),
        ] {
            assert_eq!(document.line_of(field), Some(line), "{field}");
        }
    }

    #[test]
    fn json_is_read_as_it_is() {
        let text =
            "{\n\t\"name\": \"a\\u00e9\\/\",\n\t\"features\": [\n\t\t{\"expr\": \"-1\"}\n\t]\n}\n";
        let document = Document::parse(text).unwrap();
        assert_eq!(document.value, serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(document.line_of("features[0].expr"), Some(4));
    }

    #[test]
    fn what_cannot_be_read_is_told_with_line_and_column() {
        for (text, expected) in [
            ("name: a\nname: b\n", "line 2, column 1: duplicated key"),
            ("name: a\nfeatures: [1, 2\nbars: x\n", "line 3, column "),
            ("name: a: b\n", "line 1, column 8: "),
            ("a: 1\nb: .nan\n", "line 2, column 4: a number must be finite"),
            ("a: 1\n5: 2\n", "line 2, column 1: 5 is no name"),
            ("- {name: x, expr: Ref($close, 5)/$close}\n", "line 1, column 31: '5)/$close'"),
            ("a: !mine 3\n", "line 1, column "),
            ("a: *b\n", "line 1, column "),
            ("", "is empty"),
            ("a: 1\n---\nb: 2\n", "holds 2 documents"),
        ] {
            let error = Document::parse(text).unwrap_err();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
    }
}
