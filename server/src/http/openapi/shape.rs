//! What values look like, declared once: bodies are checked against the names of a [`Shape`], and
//! the document shows it as a JSON Schema.

use serde_json::{Map, Value, json};

/// What a value is.
#[derive(Clone, Copy)]
pub(crate) enum Type {
    /// A text.
    Text,
    /// A whole number.
    Whole,
    /// A whole number between two others, these included.
    Within(u64, u64),
    /// A number.
    Number,
    /// A number, or the text of one.
    Decimal,
    /// `true` or `false`.
    Flag,
    /// An instant as answers write it.
    Instant,
    /// A date.
    Date,
    /// A time in a request: an instant, or a date that means a session.
    When,
    /// An instant in a request.
    Time,
    /// A text that looks so, as a regular expression says.
    Pattern(&'static str),
    /// One of these words.
    Words(fn() -> Vec<&'static str>),
    /// Values of one type; in a query they are joined by commas.
    List(&'static Type),
    /// Values of one type by names of the user's.
    Map(&'static Type),
    /// A value of one of these types.
    Either(&'static [Type]),
    /// Null, or a value.
    OrNull(&'static Type),
    /// An object.
    Object(&'static Shape),
    /// Any JSON.
    Any,
}

/// Whether a field is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Always,
    OrNull,
    Maybe,
}

/// A field of an object.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    /// Its name.
    pub(crate) name: &'static str,
    of: Type,
    presence: Presence,
    about: &'static str,
}

impl Field {
    /// One that is always there.
    pub(crate) const fn new(name: &'static str, of: Type, about: &'static str) -> Self {
        Self { name, of, presence: Presence::Always, about }
    }

    /// One that is always there and may be null.
    pub(crate) const fn or_null(name: &'static str, of: Type, about: &'static str) -> Self {
        Self { name, of, presence: Presence::OrNull, about }
    }

    /// The same, which means something more special.
    pub(crate) const fn meaning(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    /// One that may be left out, which null says too.
    pub(crate) const fn maybe(name: &'static str, of: Type, about: &'static str) -> Self {
        Self { name, of, presence: Presence::Maybe, about }
    }
}

/// An object: its fields, and no others.
pub(crate) struct Shape {
    /// Its name in the document.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) about: &'static str,
    /// Its fields.
    pub(crate) fields: &'static [Field],
}

impl Shape {
    /// The names of its fields.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.fields.iter().map(|field| field.name).collect()
    }

    /// As a JSON Schema.
    pub(super) fn schema(&self) -> Value {
        let mut properties = Map::new();
        for field in self.fields {
            let mut schema = match field.presence {
                Presence::Always => field.of.schema(),
                Presence::OrNull | Presence::Maybe => nullable(field.of.schema()),
            };
            describe(&mut schema, field.about);
            properties.insert(field.name.to_owned(), schema);
        }
        let required = self.fields.iter().filter(|field| field.presence != Presence::Maybe);
        let mut schema = json!({
            "type": "object",
            "properties": properties,
            "required": required.map(|field| field.name).collect::<Vec<_>>(),
            "additionalProperties": false,
        });
        describe(&mut schema, self.about);
        schema
    }

    /// Hands every shape that is named within to `see`, and this one.
    pub(super) fn visit(&'static self, see: &mut impl FnMut(&'static Self)) {
        see(self);
        for field in self.fields {
            field.of.visit(see);
        }
    }
}

/// Adds what is to be said of a value, if anything is.
pub(super) fn describe(schema: &mut Value, about: &str) {
    if !about.is_empty() {
        schema["description"] = about.into();
    }
}

/// The schema of a value or null.
fn nullable(schema: Value) -> Value {
    match schema.get("type") {
        _ if schema == json!({}) => schema,
        Some(Value::String(kind)) if schema.get("enum").is_none() => {
            let kinds = json!([kind, "null"]);
            let mut schema = schema;
            schema["type"] = kinds;
            schema
        }
        _ => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}

impl Type {
    /// As a JSON Schema.
    pub(super) fn schema(self) -> Value {
        let instant = json!({"type": "string", "format": "date-time"});
        let nanos = json!({
            "type": ["integer", "string"],
            "pattern": "^-?[0-9]{18,19}$",
            "description": "nanoseconds since 1970",
        });
        match self {
            Self::Text => json!({"type": "string"}),
            Self::Whole => json!({"type": "integer"}),
            Self::Within(min, max) => json!({"type": "integer", "minimum": min, "maximum": max}),
            Self::Number => json!({"type": "number"}),
            Self::Decimal => json!({"type": ["number", "string"], "pattern": "^[-+0-9.eE]+$"}),
            Self::Flag => json!({"type": "boolean"}),
            Self::Instant => instant,
            Self::Date => json!({"type": "string", "format": "date"}),
            Self::When => {
                let date = json!({"type": "string", "format": "date"});
                json!({"anyOf": [instant, date, nanos]})
            }
            Self::Time => json!({"anyOf": [instant, nanos]}),
            Self::Pattern(pattern) => json!({"type": "string", "pattern": pattern}),
            Self::Words(words) => json!({"type": "string", "enum": words()}),
            Self::List(of) => json!({"type": "array", "items": of.schema()}),
            Self::Map(of) => json!({"type": "object", "additionalProperties": of.schema()}),
            Self::Either(all) => {
                json!({"anyOf": all.iter().map(|of| of.schema()).collect::<Vec<_>>()})
            }
            Self::OrNull(of) => nullable(of.schema()),
            Self::Object(shape) => {
                json!({"$ref": format!("#/components/schemas/{}", shape.name)})
            }
            Self::Any => json!({}),
        }
    }

    /// See [`Shape::visit`].
    pub(super) fn visit(self, see: &mut impl FnMut(&'static Shape)) {
        match self {
            Self::List(of) | Self::Map(of) | Self::OrNull(of) => of.visit(see),
            Self::Either(all) => all.iter().for_each(|of| of.visit(see)),
            Self::Object(shape) => shape.visit(see),
            _ => {}
        }
    }
}
