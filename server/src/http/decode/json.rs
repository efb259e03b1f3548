//! JSON: an array of objects, or an object a line. Numbers are read as they are written, so none
//! loses a digit on the way; strings may hold numbers, as some vendors send them.

use std::borrow::Cow;

use serde::Deserializer as _;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::super::error::Problem;
use super::Plan;
use super::cells::{Cell, Fault, shown};
use super::rows::{Builder, Incoming, Role, refuse_unknown, require};
use super::unreadable;

/// How many unknown columns a refusal or an answer lists.
const UNKNOWN_MAX: usize = 20;

/// The rows of a JSON array.
///
/// # Errors
/// The body is not an array of JSON values, or the objects' members are not columns of the dataset.
pub(crate) fn decode_array(body: &[u8], plan: &Plan) -> Result<Incoming, Problem> {
    let mut rows = Rows::new(plan);
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = reader.deserialize_seq(Array { rows: &mut rows }).and_then(|()| reader.end());
    // A problem of our own ends the reading too; it says more than the reader's error.
    if let Some(problem) = rows.problem.take() {
        return Err(problem);
    }
    read.map_err(unreadable)?;
    rows.finish()
}

/// The rows of NDJSON.
///
/// # Errors
/// The objects' members are not columns of the dataset.
pub(crate) fn decode_lines(body: &[u8], plan: &Plan) -> Result<Incoming, Problem> {
    let mut rows = Rows::new(plan);
    for line in body.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        match std::str::from_utf8(line) {
            Ok(text) => rows.push(text)?,
            Err(_) => {
                let fault = Fault { reason: "not_utf8", detail: "the line is not UTF-8".into() };
                rows.refuse(fault, &String::from_utf8_lossy(line))?;
            }
        }
    }
    rows.finish()
}

struct Rows<'p> {
    plan: &'p Plan,
    builder: Builder<'p>,
    index: u64,
    seen: Vec<Role>,
    unknown: Vec<String>,
    objects: u64,
    problem: Option<Problem>,
}

impl<'p> Rows<'p> {
    fn new(plan: &'p Plan) -> Self {
        Self {
            plan,
            builder: Builder::new(plan),
            index: 0,
            seen: Vec::new(),
            unknown: Vec::new(),
            objects: 0,
            problem: None,
        }
    }

    fn push(&mut self, text: &str) -> Result<(), Problem> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let members = reader.deserialize_map(Object).and_then(|all| reader.end().map(|()| all));
        let members = match members {
            Ok(members) => members,
            Err(error) => {
                let detail = format!("{} is no JSON object: {error}", shown(text));
                return self.refuse(Fault { reason: "unreadable", detail }, text);
            }
        };
        self.objects += 1;
        let mut roles: Vec<Role> = Vec::with_capacity(members.len());
        let mut texts: Vec<Cow<'_, str>> = Vec::with_capacity(members.len());
        let mut twice = None;
        for (name, value) in &members {
            match Role::of(name, self.plan.schema) {
                Some(role) => {
                    if roles.contains(&role) {
                        twice = Some(role);
                    }
                    if !self.seen.contains(&role) {
                        self.seen.push(role);
                    }
                    roles.push(role);
                    texts.push(unquoted(value.get()));
                }
                None if self.unknown.len() < UNKNOWN_MAX
                    && !self.unknown.iter().any(|other| other == name) =>
                {
                    self.unknown.push(name.clone().into_owned());
                }
                None => {}
            }
        }
        if let Some(role) = twice {
            return self.refuse(Fault::new("field_twice", role.name(), "is there twice"), text);
        }
        let schema = self.plan.schema;
        let values = members.iter().filter(|(name, _)| Role::of(name, schema).is_some());
        let cells: Vec<(Role, Cell<'_>)> = roles
            .iter()
            .zip(values.zip(&texts))
            .map(|(role, ((_, value), text))| (*role, cell(value.get(), text)))
            .collect();
        self.builder.push(self.index, &cells, text)?;
        self.index += 1;
        Ok(())
    }

    fn refuse(&mut self, fault: Fault, raw: &str) -> Result<(), Problem> {
        self.builder.refuse_row(self.index, fault, raw)?;
        self.index += 1;
        Ok(())
    }

    fn finish(mut self) -> Result<Incoming, Problem> {
        refuse_unknown(&self.unknown, self.plan)?;
        self.builder.ignore(self.unknown);
        if self.objects > 0 {
            require(&self.seen, self.plan)?;
        }
        Ok(self.builder.finish())
    }
}

/// The text in a JSON string; anything else as it is written.
fn unquoted(json: &str) -> Cow<'_, str> {
    if !json.starts_with('"') {
        return Cow::Borrowed(json);
    }
    let inner = &json[1..json.len() - 1];
    if inner.contains('\\') {
        serde_json::from_str(json).map_or(Cow::Borrowed(inner), Cow::Owned)
    } else {
        Cow::Borrowed(inner)
    }
}

fn cell<'t>(json: &'t str, text: &'t str) -> Cell<'t> {
    match json.as_bytes().first() {
        Some(b'"') => Cell::Text(text),
        Some(b'n') => Cell::Null,
        Some(b'-' | b'0'..=b'9') => Cell::Number(json),
        _ => Cell::Other(json),
    }
}

struct Array<'r, 'p> {
    rows: &'r mut Rows<'p>,
}

impl<'de> Visitor<'de> for Array<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<&RawValue>()? {
            if let Err(problem) = self.rows.push(element.get()) {
                self.rows.problem = Some(problem);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

/// Reads the members of one object.
struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            members.push((name, map.next_value()?));
        }
        Ok(members)
    }
}

/// A member's name, borrowed where it has no escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
