//! JSON bodies, field by field: none unknown, none twice, none of another type, each fault with its
//! place and what to do about it.

use barrow_engine::calendar::{DATE_MAX, DATE_MIN};
use barrow_types::{DAY_NANOS, Source, Symbol, Timestamp};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::super::error::{Code, Problem};
use super::super::openapi::Shape;
use super::super::time::{self, When, parse_when};

/// Field `field` of the body says what it must not.
pub(crate) fn fault(field: &str, fault: impl std::fmt::Display) -> Problem {
    Problem::new(Code::InvalidBody, format!("{field}: {fault}")).about(field)
}

/// The value that a body is.
///
/// # Errors
/// It is not JSON, or names a field twice, of which only one could count.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    let mut twice = None;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = Once { place: String::new(), twice: &mut twice }.deserialize(&mut reader);
    let read = read.and_then(|value| reader.end().map(|()| value));
    read.map_err(|error| match twice {
        Some(place) => fault(&place, format!("{error}: say it once")),
        None => fault("body", format!("is not JSON: {error}")),
    })
}

/// Reads a value whose objects have each field once.
struct Once<'a> {
    /// Where it stands in the body.
    place: String,
    /// The field that is there twice.
    twice: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        let Self { place, twice } = self;
        loop {
            let place = format!("{place}[{}]", values.len());
            match array.next_element_seed(Once { place, twice: &mut *twice })? {
                Some(value) => values.push(value),
                None => return Ok(Value::Array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        let Self { place, twice } = self;
        while let Some(name) = object.next_key::<String>()? {
            let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            if map.contains_key(&name) {
                *twice = Some(place);
                return Err(A::Error::custom("is there twice"));
            }
            let value = object.next_value_seed(Once { place, twice: &mut *twice })?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

/// An object, and where it stands in the body: empty, or such as `bindings[0]`.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    place: String,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The object `value` at `place`, of which only fields of these names are allowed.
    pub(crate) fn of(
        value: &'a Value,
        place: impl Into<String>,
        known: &[&str],
    ) -> Result<Self, Problem> {
        let place = place.into();
        let Value::Object(map) = value else {
            let place = if place.is_empty() { "body" } else { &place };
            return Err(fault(place, format!("is not an object of {}", known.join(", "))));
        };
        let fields = Self { place, map };
        if let Some(name) = map.keys().find(|name| !known.contains(&name.as_str())) {
            let detail = format!("there is no such field here (there are: {})", known.join(", "));
            return Err(fault(&fields.named(name), detail));
        }
        Ok(fields)
    }

    /// The object `value` at `place`, which looks as `shape` says: the names of its fields are
    /// checked here, their values by who reads them.
    pub(crate) fn of_shape(
        value: &'a Value,
        place: impl Into<String>,
        shape: &Shape,
    ) -> Result<Self, Problem> {
        Self::of(value, place, &shape.names())
    }

    /// Where a field stands in the body.
    pub(crate) fn named(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) }
    }

    /// A fault of the field.
    pub(crate) fn fault(&self, name: &str, what: impl std::fmt::Display) -> Problem {
        fault(&self.named(name), what)
    }

    /// The value of a field; null is as good as none.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// Whether the field is there, be it null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// A text without control characters.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, Problem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        text(value).map(Some).map_err(|what| self.fault(name, what))
    }

    /// The value of a field that must be there, as `read` gets it.
    pub(crate) fn required<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Self, &str) -> Result<Option<T>, Problem>,
    ) -> Result<T, Problem> {
        read(self, name)?.ok_or_else(|| self.fault(name, "is missing"))
    }

    /// A text that can be the name of an instrument or a symbol.
    pub(crate) fn symbol(&self, name: &str) -> Result<Option<Symbol>, Problem> {
        let symbol = self.text(name)?.map(Symbol::new).transpose();
        symbol.map_err(|what| self.fault(name, what))
    }

    /// A text that can be the name of a source.
    pub(crate) fn source(&self, name: &str) -> Result<Option<Source>, Problem> {
        let source = self.text(name)?.map(Source::new).transpose();
        source.map_err(|what| self.fault(name, what))
    }

    /// A time that may be a bare date.
    pub(crate) fn when(&self, name: &str) -> Result<Option<When>, Problem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let when = match value {
            Value::String(text) => parse_when(text),
            Value::Number(number) => parse_when(&number.to_string()),
            other => Err(format!("{other} is no time: write 2013-10-07, or {TIME_EXAMPLE}")),
        };
        let in_range = |when: When| match when {
            When::Instant(at) => instant_in_range(at).map(|()| when),
            When::Date(date) => date_in_range(date).map(|()| when),
        };
        when.and_then(in_range).map(Some).map_err(|what| self.fault(name, what))
    }

    /// An instant.
    pub(crate) fn instant(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let at = match value {
            Value::String(text) if matches!(parse_when(text), Ok(When::Date(_))) => {
                Err(format!("'{text}' is a date: write a time, {TIME_EXAMPLE}"))
            }
            Value::String(text) => time::parse(text, false),
            Value::Number(number) => time::parse(&number.to_string(), false),
            other => Err(format!("{other} is no time: write {TIME_EXAMPLE}")),
        };
        let in_range = |at: Timestamp| instant_in_range(at).map(|()| at);
        at.and_then(in_range).map(Some).map_err(|what| self.fault(name, what))
    }

    /// A publication time: an instant that has come.
    pub(crate) fn known_at(&self, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
        let known_at = self.instant("known_at")?;
        match known_at {
            Some(at) if at > now => {
                let what = "lies in the future: leave it out if it is known since now";
                Err(self.fault("known_at", what))
            }
            _ => Ok(known_at),
        }
    }

    /// A date, in days since 1970.
    pub(crate) fn date(&self, name: &str) -> Result<Option<i32>, Problem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_str().map(parse_when) {
            Some(Ok(When::Date(date))) => {
                date_in_range(date).map_err(|what| self.fault(name, what))?;
                Ok(Some(date))
            }
            _ => Err(self.fault(name, format!("{value} is not a date: write YYYY-MM-DD"))),
        }
    }

    /// A finite number, also written as a text.
    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, Problem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        match number.filter(|number| number.is_finite()) {
            Some(number) => Ok(Some(number)),
            None => Err(self.fault(name, format!("{value} is not a number: write 1.5"))),
        }
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_bool() {
            Some(flag) => Ok(Some(flag)),
            None => {
                Err(self
                    .fault(name, format!("{value} is neither true nor false: write one of them")))
            }
        }
    }

    /// One of these words.
    pub(crate) fn word(&self, name: &str, words: &[&str]) -> Result<Option<&'a str>, Problem> {
        match self.text(name)? {
            Some(word) if !words.contains(&word) => {
                Err(self.fault(name, format!("'{word}' is none of {}", words.join(", "))))
            }
            word => Ok(word),
        }
    }

    /// The elements of an array, each with its place.
    pub(crate) fn list(&self, name: &str) -> Result<Vec<(String, &'a Value)>, Problem> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => {
                let place = |at: usize| format!("{}[{at}]", self.named(name));
                Ok(values.iter().enumerate().map(|(at, value)| (place(at), value)).collect())
            }
            Some(_) => Err(self.fault(name, "is not an array: write [...]")),
        }
    }

    /// The members of an object, each with its place.
    pub(crate) fn members(&self, name: &str) -> Result<Vec<(&'a str, String, &'a Value)>, Problem> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Object(map)) => {
                let place = |key: &str| format!("{}.{key}", self.named(name));
                Ok(map.iter().map(|(key, value)| (key.as_str(), place(key), value)).collect())
            }
            Some(_) => Err(self.fault(name, "is not an object: write {\"NAME\": ...}")),
        }
    }
}

/// A text without control characters that is not empty.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn text(value: &Value) -> Result<&str, String> {
    match value.as_str() {
        None => Err(format!("{value} is not a text: write it in quotes")),
        Some("") => Err("is empty: leave it out, or say null".to_owned()),
        Some(text) if text.chars().any(char::is_control) => {
            Err("holds a control character: take it out".to_owned())
        }
        Some(text) if text.len() > TEXT_LEN_MAX => {
            Err(format!("is longer than {TEXT_LEN_MAX} bytes: shorten it"))
        }
        Some(text) => Ok(text),
    }
}

/// Refuses what cannot be the time of a fact: calendars end before instants do.
fn date_in_range(date: i32) -> Result<(), String> {
    match (DATE_MIN..=DATE_MAX).contains(&date) {
        true => Ok(()),
        false => Err("is outside the years 1678 to 2261".to_owned()),
    }
}

fn instant_in_range(at: Timestamp) -> Result<(), String> {
    let date = i32::try_from(at.nanos().div_euclid(DAY_NANOS));
    date_in_range(date.expect("invariant: instants are some hundred years from 1970"))
}

/// How an instant is written.
const TIME_EXAMPLE: &str = "2013-10-07T09:30:00-04:00";

/// Longest text of a fact, in bytes.
const TEXT_LEN_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_is_read_as_serde_json_reads_it_but_no_field_twice() {
        for text in ["null", "[1, -2, 3.5, \"a\\u00e4\", true, {\"b\": {\"c\": []}}]", " {} "] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(parse(text.as_bytes()), Ok(value), "{text}");
        }
        for (text, field) in [
            ("", "body"),
            ("[1", "body"),
            ("{} x", "body"),
            ("{\"a\": 1, \"b\": 2, \"a\": 1}", "a"),
            ("[{}, {\"a\": {\"b\": 1, \"b\": 2}}]", "[1].a.b"),
        ] {
            let problem = parse(text.as_bytes()).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(field), "{text}: {}", problem.detail);
        }
    }

    #[test]
    fn every_fault_names_the_place_of_its_field() {
        let now = Timestamp::from_nanos(1_400_000_000_000_000_000);
        let check = |value: Value| {
            let known = ["name", "since", "known_at", "value", "on", "kind", "list", "of", "date"];
            let fields = Fields::of(&value, "x[1]", &known)?;
            fields.required("name", Fields::symbol)?;
            fields.when("since")?;
            fields.known_at(now)?;
            fields.number("value")?;
            fields.flag("on")?;
            fields.date("date")?;
            fields.word("kind", &["a", "b"])?;
            fields.list("list")?;
            fields.members("of").map(|_| ())
        };
        assert_eq!(check(json!({"name": "A", "since": "2013-10-07", "value": "1.5"})), Ok(()));
        for (value, field) in [
            (json!(1), "x[1]"),
            (json!({"name": "A", "colour": 1}), "x[1].colour"),
            (json!({}), "x[1].name"),
            (json!({"name": 1}), "x[1].name"),
            (json!({"name": ""}), "x[1].name"),
            (json!({"name": "a,b"}), "x[1].name"),
            (json!({"name": "a\u{7}"}), "x[1].name"),
            (json!({"name": "A", "since": "soon"}), "x[1].since"),
            (json!({"name": "A", "since": "2262-04-01"}), "x[1].since"),
            (json!({"name": "A", "since": "2262-04-01T00:00:00Z"}), "x[1].since"),
            (json!({"name": "A", "date": "1677-12-31"}), "x[1].date"),
            (json!({"name": "A", "since": 1_381_152_600}), "x[1].since"),
            (json!({"name": "A", "known_at": "2013-10-07"}), "x[1].known_at"),
            (json!({"name": "A", "known_at": "2023-10-07T00:00:00Z"}), "x[1].known_at"),
            (json!({"name": "A", "value": "x"}), "x[1].value"),
            (json!({"name": "A", "value": "inf"}), "x[1].value"),
            (json!({"name": "A", "on": "yes"}), "x[1].on"),
            (json!({"name": "A", "date": "2013-10-07T00:00:00Z"}), "x[1].date"),
            (json!({"name": "A", "kind": "c"}), "x[1].kind"),
            (json!({"name": "A", "list": {}}), "x[1].list"),
            (json!({"name": "A", "of": []}), "x[1].of"),
        ] {
            let problem = check(value.clone()).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(field), "{value}");
            assert_eq!(problem.code, Code::InvalidBody);
        }
    }
}
