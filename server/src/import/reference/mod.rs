//! `barrow import --dataset instruments|actions`: files about instruments, which become facts.
//!
//! | form | told by | becomes |
//! |---|---|---|
//! | `attributes.rs` | a header with a symbol | attributes: security, sector, industry ... |
//! | `map_file.rs` | lines `yyyymmdd,ticker` | bindings and names with their dates |
//! | `factor_file.rs` | lines `yyyymmdd,number,number` | splits and dividends |
//!
//! Facts contradict each other more easily than rows: a file is read whole, and a line that cannot
//! be read refuses all of them.

mod attributes;
mod factor_file;
mod map_file;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use barrow_client::{ClientError, IngestAnswer};
use barrow_engine::calendar::Calendar;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::{ImportError, ImportOptions, Reading, Tally, Way, files};

/// Longest file.
const TEXT_LEN_MAX: u64 = 64 << 20;

/// Files shown in full; of more, only how many there are.
const FILES_SHOWN_MAX: usize = 20;

/// Facts that files are imported as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Facts {
    /// Attributes, names and bindings.
    Instruments,
    /// Splits and dividends.
    Actions,
}

impl Facts {
    /// Those of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "instruments" => Some(Self::Instruments),
            "actions" => Some(Self::Actions),
            _ => None,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Instruments => "instruments",
            Self::Actions => "actions",
        }
    }
}

/// What was read from one file.
struct FileFacts {
    path: PathBuf,
    /// What it is, for a person.
    form: String,
    /// Objects as `PUT /v1/instruments` takes them.
    instruments: Vec<Value>,
}

/// Files of facts, read.
pub(super) struct FactFiles {
    calendar: Option<String>,
    files: Vec<FileFacts>,
}

impl FactFiles {
    /// Reads the files whole.
    ///
    /// # Errors
    /// A line of a file cannot be read.
    pub(super) fn read(
        facts: Facts,
        files: &[PathBuf],
        options: &ImportOptions,
        reading: &Reading,
    ) -> Result<Self, ImportError> {
        let mut all = Vec::with_capacity(files.len());
        for path in files {
            let shown = path.display().to_string();
            let text = text(path, reading)
                .map_err(|error| ImportError::failed(format!("read {shown}: {error}")))?;
            let found = read(facts, path, &text, options).map_err(|fault| {
                ImportError::usage(format!("import {shown}: nothing was loaded: {fault}"))
            })?;
            all.push(found);
        }
        Ok(Self { calendar: options.calendar.clone(), files: all })
    }

    /// What was read, for a person.
    pub(super) fn describe(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for FileFacts { path, form, instruments } in self.files.iter().take(FILES_SHOWN_MAX) {
            lines.push(path.display().to_string());
            lines.push(format!("  {form}; {} instruments", instruments.len()));
        }
        if self.files.len() > FILES_SHOWN_MAX {
            lines.push(format!("and {} more files", self.files.len() - FILES_SHOWN_MAX));
        }
        lines
    }

    /// Counts what would be stated.
    pub(super) fn dry_run(&self, tally: &mut Tally) {
        for FileFacts { path, instruments, .. } in &self.files {
            let count = instruments.len() as u64;
            tally.add_unsent(&path.display().to_string(), "instrument", count, &[]);
        }
    }

    /// Each file and what it says, as text.
    pub(super) fn contents(&self) -> impl Iterator<Item = (&Path, String)> {
        let said = |file: &FileFacts| Value::from(file.instruments.clone()).to_string();
        self.files.iter().map(move |file| (file.path.as_path(), said(file)))
    }

    /// States all of it in one request; the id of its batch is `prefix` and a hash of what is
    /// stated, or a random one.
    ///
    /// # Errors
    /// As [`super::Import::send`].
    pub(super) async fn send(
        &self,
        way: &Way,
        prefix: Option<&str>,
    ) -> Result<IngestAnswer, ImportError> {
        let known = Known::ask(way).await?;
        let mut instruments: Vec<Value> =
            self.files.iter().flat_map(|file| file.instruments.iter().cloned()).collect();
        let ids: BTreeSet<String> =
            instruments.iter().map(|one| shown_id(one).to_owned()).collect();
        let earlier: Vec<Value> = instruments.iter().filter_map(map_file::earlier).collect();
        instruments.extend(earlier.into_iter().filter(|one| !ids.contains(shown_id(one))));
        let mut merged: BTreeMap<String, Value> = BTreeMap::new();
        for mut instrument in instruments {
            let id = known.id_of(shown_id(&instrument));
            instrument["id"] = json!(id);
            if let Some(calendar) = &self.calendar {
                match known.calendar_of(&id) {
                    None => instrument["calendar"] = json!(calendar),
                    Some(own) if own == calendar => {}
                    Some(own) => {
                        return Err(ImportError::failed(format!(
                            "--calendar: instrument {id} follows {own}, not {calendar}; say that, \
                             or give the instrument another calendar first"
                        )));
                    }
                }
            }
            if merged.insert(id.clone(), instrument).is_some() {
                return Err(ImportError::failed(format!(
                    "two files speak of {id}: nothing was loaded; import one after the other"
                )));
            }
        }
        let ids: Vec<String> = merged.keys().cloned().collect();
        let instruments: Value = merged.into_values().collect();
        let batch_id = prefix.map(|prefix| {
            let hash = xxh3_128(instruments.to_string().as_bytes());
            ("batch_id", format!("{prefix}{hash:032x}"))
        });
        let sent = way.put_instruments(batch_id.as_slice(), &instruments).await;
        sent.map_err(|error| match about(&error, &ids) {
            Some(id) => {
                ImportError::failed(format!("instrument {id}: nothing was loaded: {error}"))
            }
            None => ImportError::request("import", error),
        })
    }
}

/// Refuses what is said of rows.
pub(super) fn refuse_options(options: &ImportOptions) -> Result<(), ImportError> {
    let said = [
        ("--timeframe", options.timeframe.is_some()),
        ("--symbol", options.symbol.is_some()),
        ("--price", !options.price.is_empty()),
        ("--price-scale", options.price_scale.is_some()),
        ("--stamp", options.stamp.is_some()),
        ("--time-zone", options.time_zone.is_some()),
        ("--map", !options.map.is_empty()),
        ("--complete", options.complete),
        ("--known-at", options.known_at.is_some()),
        ("--session", options.session.is_some()),
        ("--align", options.align.is_some()),
    ];
    match said.into_iter().find(|(_, is_said)| *is_said) {
        Some((name, _)) => {
            Err(ImportError::usage(format!("{name}: is said of rows, and these are facts")))
        }
        None => Ok(()),
    }
}

fn text(path: &Path, reading: &Reading) -> io::Result<String> {
    let mut text = String::new();
    files::open(path, reading)?.take(TEXT_LEN_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > TEXT_LEN_MAX {
        return Err(io::Error::other("it is longer than 64 MiB: files of facts are read whole"));
    }
    Ok(text)
}

/// What the first line of a file shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Attributes,
    Map,
    Factors,
}

impl Form {
    fn detect(text: &str) -> Option<Self> {
        let line = text.lines().next()?;
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let is_number = |field: &&str| field.parse::<f64>().is_ok();
        if day(fields[0]).is_none() {
            return attributes::has_symbol(line).then_some(Self::Attributes);
        }
        match fields[1..] {
            [_, ..] if fields[1..].iter().take(2).filter(|f| is_number(f)).count() == 2 => {
                Some(Self::Factors)
            }
            [ticker, ..] if !ticker.is_empty() => Some(Self::Map),
            _ => None,
        }
    }
}

fn read(
    facts: Facts,
    path: &Path,
    text: &str,
    options: &ImportOptions,
) -> Result<FileFacts, String> {
    let form = Form::detect(text).ok_or(
        "its first line is neither a header with a symbol, nor yyyymmdd,ticker, nor \
         yyyymmdd,price factor,split factor",
    )?;
    let wants = if form == Form::Factors { Facts::Actions } else { Facts::Instruments };
    if facts != wants {
        return Err(format!("it holds {0}: say --dataset {0}", wants.name()));
    }
    if options.since.is_some() && form != Form::Attributes {
        return Err("--since: its lines have dates of their own".to_owned());
    }
    let calendar = options.calendar.as_deref();
    let (form, instruments) = match form {
        Form::Attributes => {
            let read = attributes::read(text, options.since.as_deref())?;
            let since = options.since.as_deref().unwrap_or("ever (--since says otherwise)");
            let ignored = match &read.ignored[..] {
                [] => String::new(),
                names => format!(", ignoring {}", names.join(", ")),
            };
            let names = read.columns.join(", ");
            (format!("attributes since {since}: {names}{ignored}"), read.instruments)
        }
        Form::Map => {
            let instrument = map_file::read(&id_of(path), text, &options.source)?;
            let bindings = count(&instrument, "bindings");
            let form = format!("map file: {} with {bindings} bindings", shown_id(&instrument));
            (form, vec![instrument])
        }
        Form::Factors => {
            let name = calendar.ok_or(
                "an action is of the first session after the date of its line: say which \
                 calendar, --calendar XNYS",
            )?;
            let calendar = Calendar::embedded(name)
                .ok_or_else(|| format!("--calendar {name}: ex-dates need an embedded calendar"))?;
            let instrument = factor_file::read(&id_of(path), text, &calendar)?;
            let actions = count(&instrument, "actions");
            let form = format!("factor file: {} with {actions} actions", shown_id(&instrument));
            (form, vec![instrument])
        }
    };
    Ok(FileFacts { path: path.to_owned(), form, instruments })
}

fn shown_id(instrument: &Value) -> &str {
    instrument["id"].as_str().unwrap_or_default()
}

fn count(instrument: &Value, name: &str) -> usize {
    instrument[name].as_array().map_or(0, Vec::len)
}

/// The instrument that a file is about, which its name tells: `twx.1.csv` is `TWX.1`.
fn id_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_uppercase();
    let name = name.trim_end_matches(".GZ").trim_end_matches(".ZST");
    name.trim_end_matches(".CSV").to_owned()
}

/// The instrument, by its place in what was sent, that the server refuses: whoever wrote the files
/// knows its id and no place.
fn about<'a>(error: &ClientError, ids: &'a [String]) -> Option<&'a str> {
    let ClientError::Problem(problem) = error else { return None };
    let place = problem.field.as_deref()?.strip_prefix('[')?.split_once(']')?.0;
    ids.get(place.parse::<usize>().ok()?).map(String::as_str)
}

/// The instruments there are.
struct Known {
    /// Id to the calendar in force.
    calendars: BTreeMap<String, Option<String>>,
    /// The name in force to its id.
    names: BTreeMap<String, String>,
}

impl Known {
    async fn ask(way: &Way) -> Result<Self, ImportError> {
        let list = way.instruments().await;
        let list = list.map_err(|error| ImportError::request("import", error))?;
        let mut known = Self { calendars: BTreeMap::new(), names: BTreeMap::new() };
        for row in list["rows"].as_array().into_iter().flatten() {
            let text = |name: &str| row[name].as_str().map(str::to_owned);
            let Some(id) = text("id") else { continue };
            if let Some(name) = text("name") {
                known.names.insert(name, id.clone());
            }
            known.calendars.insert(id, text("calendar"));
        }
        Ok(known)
    }

    /// The instrument that a file calls `name`.
    fn id_of(&self, name: &str) -> String {
        if self.calendars.contains_key(name) {
            return name.to_owned();
        }
        self.names.get(name).map_or(name, String::as_str).to_owned()
    }

    fn calendar_of(&self, id: &str) -> Option<&String> {
        self.calendars.get(id)?.as_ref()
    }
}

/// A date as `yyyymmdd`.
fn day(text: &str) -> Option<jiff::civil::Date> {
    if text.len() != 8 {
        return None;
    }
    jiff::civil::Date::strptime("%Y%m%d", text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_by_its_first_line() {
        for (line, form) in [
            ("Symbol,Security,GICS Sector", Some(Form::Attributes)),
            ("symbol,sector", Some(Form::Attributes)),
            ("19980102,aapl,Q", Some(Form::Map)),
            ("19980102,twx", Some(Form::Map)),
            ("19980102,0.86,0.0089,1", Some(Form::Factors)),
            ("sector,industry", None),
            ("19981302,aapl", None),
            ("19980102", None),
            ("", None),
        ] {
            assert_eq!(Form::detect(line), form, "{line}");
        }
        assert_eq!(id_of(Path::new("x/twx.1.csv")), "TWX.1");
        assert_eq!(id_of(Path::new("aapl.csv.gz")), "AAPL");
    }
}
