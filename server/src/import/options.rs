//! What a person says about files: options of a command, or fields of a job's parameters.

use barrow_types::{PriceSide, Step};
use clap::Args;
use serde_json::{Map, Value};

use super::clock::Stamp;
use super::columns::{self, Dataset, Mapping};
use super::plan::Said;
use super::reference::{self, Facts};
use super::{Beside, ImportError};
use crate::jobs::kinds::BadParam;

pub(crate) const SESSIONS: [&str; 3] = ["regular", "extended", "all"];
pub(crate) const ALIGNS: [&str; 2] = ["session", "clock"];

/// Who delivers, unless it is said.
const SOURCE: &str = "file";

/// How files are to be read.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct ImportOptions {
    /// The table: bars, trades, quotes; told from the columns if it is left out. Or facts:
    /// instruments, actions. Or a table of your own, by its name
    #[arg(long, value_parser = parse_dataset)]
    pub(super) dataset: Option<Target>,
    /// How long the bars are: 1s, 1m, 5m, 15m, 30m, 1h, 4h, 1d, 1w, 1mo
    #[arg(long, value_parser = parse_step)]
    pub(super) timeframe: Option<Step>,
    /// The symbol of all rows, if no column says it; {stem} is the file's name, {stem-part} its
    /// part before _ - or .
    #[arg(long)]
    pub(super) symbol: Option<String>,
    /// Who delivers: part of what tells series apart
    #[arg(long, default_value = SOURCE)]
    pub(super) source: String,
    /// Which price of bars: trade, bid, ask, mid; several where the file has columns of each
    #[arg(long, value_delimiter = ',', value_parser = parse_side)]
    pub(super) price: Vec<PriceSide>,
    /// What prices are multiplied by in the file: 10000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) price_scale: Option<u64>,
    /// Where in its bar a time stands: start, end
    #[arg(long, value_parser = parse_stamp)]
    pub(super) stamp: Option<Stamp>,
    /// The calendar that the instruments follow: XNYS; stated for those that have none
    #[arg(long)]
    pub(super) calendar: Option<String>,
    /// Zone of times that carry no offset: America/New_York, UTC
    #[arg(long)]
    pub(super) time_zone: Option<String>,
    /// Columns by name: ts=Date,open=Open; `-` leaves one out; numbers where there is no header
    #[arg(long, value_delimiter = ',', value_name = "COLUMN=COLUMN")]
    pub(super) map: Vec<String>,
    /// Claim that each file is all there is of its symbols, from the first bar to the last
    #[arg(long)]
    pub(super) complete: bool,
    /// Since when rows count as known: ingest, ts_end, ts_end+15m
    #[arg(long, value_name = "POLICY", value_parser = parse_policy)]
    pub(super) known_at: Option<String>,
    /// The session the source delivers: regular, extended, all
    #[arg(long, value_parser = SESSIONS)]
    pub(super) session: Option<String>,
    /// How bars are aligned: session, clock
    #[arg(long, value_parser = ALIGNS)]
    pub(super) align: Option<String>,
    /// Since when attributes hold that have no date of their own; ever, if it is left out
    #[arg(long, value_name = "DATE")]
    pub(super) since: Option<String>,
}

/// What files are loaded into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Rows(Dataset),
    Facts(Facts),
    /// A table of a user's own.
    Own(String),
}

impl Target {
    fn name(&self) -> &str {
        match self {
            Self::Rows(dataset) => dataset.name(),
            Self::Facts(facts) => facts.name(),
            Self::Own(name) => name,
        }
    }
}

/// A length of bars.
pub(crate) fn parse_step(text: &str) -> Result<Step, String> {
    Step::parse(text).ok_or_else(|| {
        let names: Vec<&str> = Step::ALL.into_iter().skip(1).map(Step::name).collect();
        format!("there are {}", names.join(", "))
    })
}

/// A price side.
pub(crate) fn parse_side(text: &str) -> Result<PriceSide, String> {
    PriceSide::parse(text).ok_or_else(|| {
        let names = PriceSide::ALL.map(PriceSide::name).join(", ");
        format!("there are {names}")
    })
}

fn parse_dataset(text: &str) -> Result<Target, String> {
    let rows = Dataset::parse(text).map(Target::Rows);
    let target = rows.or_else(|| Facts::parse(text).map(Target::Facts));
    let is_name = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    target.or_else(|| is_name.then(|| Target::Own(text.to_owned()))).ok_or_else(|| {
        "write bars, trades or quotes, instruments or actions, or the name of a table".to_owned()
    })
}

fn parse_stamp(text: &str) -> Result<Stamp, String> {
    match text {
        "start" => Ok(Stamp::Start),
        "end" => Ok(Stamp::End),
        _ => Err("write start or end".to_owned()),
    }
}

fn parse_policy(text: &str) -> Result<String, String> {
    let delay_is_read = |delay: &str| {
        let digits = delay.trim_end_matches(|unit: char| unit.is_ascii_lowercase());
        !digits.is_empty()
            && digits.len() < delay.len()
            && digits.bytes().all(|b| b.is_ascii_digit())
    };
    match text {
        "ingest" | "ts_end" => Ok(text.to_owned()),
        _ if text.strip_prefix("ts_end+").is_some_and(delay_is_read) => Ok(text.to_owned()),
        _ => Err("write ingest, ts_end or a delay after the bar's end: ts_end+15m".to_owned()),
    }
}

impl ImportOptions {
    /// What the files are loaded into, if it is said.
    pub(super) const fn target(&self) -> Option<&Target> {
        self.dataset.as_ref()
    }

    /// What is stated beside rows.
    pub(super) fn beside(&self) -> Beside {
        Beside { calendar: self.calendar.clone(), complete: self.complete }
    }

    /// Columns of market data and the columns of a file that fill them.
    fn mappings(&self) -> Result<Vec<Mapping>, ImportError> {
        let read = |text: &String| columns::parse_mapping(text).map_err(Self::wrong_map);
        self.map.iter().map(read).collect()
    }

    /// The same of a table of a user's own, of which nothing else is said than of any rows.
    pub(super) fn own_map(&self) -> Result<Vec<(String, String)>, ImportError> {
        let said = [
            ("--timeframe", self.timeframe.is_some()),
            ("--price", !self.price.is_empty()),
            ("--price-scale", self.price_scale.is_some()),
            ("--stamp", self.stamp.is_some()),
            ("--calendar", self.calendar.is_some()),
            ("--time-zone", self.time_zone.is_some()),
            ("--complete", self.complete),
            ("--session", self.session.is_some()),
            ("--align", self.align.is_some()),
            ("--since", self.since.is_some()),
        ];
        if let Some((option, _)) = said.into_iter().find(|(_, is_said)| *is_said) {
            let fault = format!("{option}: is said of market data, not of a table of your own");
            return Err(ImportError::usage(fault));
        }
        let read = |text: &String| match text.split_once('=') {
            Some((name, column)) => Ok((name.trim().to_owned(), column.trim().to_owned())),
            None => Err(Self::wrong_map(format!("'{text}': write it as ts=Date"))),
        };
        self.map.iter().map(read).collect()
    }

    /// Refuses what cannot be said of what the files are loaded into.
    ///
    /// # Errors
    /// `Usage`, beginning with the option.
    pub(crate) fn check(&self) -> Result<(), ImportError> {
        match &self.dataset {
            Some(Target::Facts(_)) => reference::refuse_options(self),
            Some(Target::Own(_)) => self.own_map().map(|_| ()),
            Some(Target::Rows(_)) | None => self.said().map(|_| ()),
        }
    }

    fn wrong_map(what: String) -> ImportError {
        ImportError::usage(format!("--map: {what}"))
    }

    pub(super) fn said(&self) -> Result<Said, ImportError> {
        if let Err(error) = barrow_types::Source::new(&self.source) {
            return Err(ImportError::usage(format!("--source '{}' {error}", self.source)));
        }
        if self.since.is_some() {
            return Err(ImportError::usage("--since: is said of attributes, and these are rows"));
        }
        if self.timeframe == Some(Step::Tick) {
            return Err(ImportError::usage("--timeframe tick: bars have a step: 1s, 1m, 1d"));
        }
        for (at, side) in self.price.iter().enumerate() {
            if self.price[..at].contains(side) {
                return Err(ImportError::usage(format!("--price: {} is there twice", side.name())));
            }
        }
        Ok(Said {
            dataset: match &self.dataset {
                None => None,
                Some(Target::Rows(dataset)) => Some(*dataset),
                Some(Target::Facts(_) | Target::Own(_)) => {
                    let fault = "--dataset: rows of bars, trades or quotes are meant here";
                    return Err(ImportError::usage(fault));
                }
            },
            timeframe: self.timeframe,
            symbol: self.symbol.clone(),
            source: self.source.clone(),
            price: self.price.clone(),
            price_scale: self.price_scale,
            stamp: self.stamp,
            time_zone: self.time_zone.clone(),
            map: self.mappings()?,
            known_at: self.known_at.clone(),
            session: self.session.clone(),
            align: self.align.clone(),
        })
    }
}

/// Fields of a job's parameters, taken one by one.
struct Fields<'v>(&'v Map<String, Value>);

impl Fields<'_> {
    fn bad(name: &str, fault: impl Into<String>) -> BadParam {
        BadParam { field: name.to_owned(), fault: fault.into() }
    }

    fn text(&self, name: &str) -> Result<Option<String>, BadParam> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(Self::bad(name, format!("{other} is not a text"))),
        }
    }

    fn read<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, BadParam> {
        let text = self.text(name)?;
        let read = text.map(|text| read(&text).map_err(|why| Self::bad(name, why)));
        read.transpose()
    }

    fn one_of(&self, name: &str, words: &[&str]) -> Result<Option<String>, BadParam> {
        self.read(name, |text| {
            let known = words.contains(&text).then(|| text.to_owned());
            known.ok_or_else(|| format!("'{text}' is none of {}", words.join(", ")))
        })
    }

    /// Texts with commas between them, or a list of them.
    fn list(&self, name: &str) -> Result<Vec<String>, BadParam> {
        match self.0.get(name) {
            Some(Value::Array(values)) => {
                let texts = values.iter().map(|value| value.as_str().map(str::to_owned));
                let texts: Option<Vec<String>> = texts.collect();
                texts.ok_or_else(|| Self::bad(name, "is a list of something else than texts"))
            }
            _ => {
                let text = self.text(name)?.unwrap_or_default();
                Ok(text.split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect())
            }
        }
    }

    /// The same, or an object: `{"ts":"Date"}` is `ts=Date`.
    fn pairs(&self, name: &str) -> Result<Vec<String>, BadParam> {
        let Some(Value::Object(pairs)) = self.0.get(name) else { return self.list(name) };
        let pair = |(to, from): (&String, &Value)| match from {
            Value::String(from) => Ok(format!("{to}={from}")),
            other => Err(Self::bad(name, format!("{other} is not the name of a column"))),
        };
        pairs.iter().map(pair).collect()
    }

    fn flag(&self, name: &str) -> Result<bool, BadParam> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(Self::bad(name, format!("{other} is neither true nor false"))),
        }
    }

    fn count(&self, name: &str) -> Result<Option<u64>, BadParam> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64() {
                Some(count) if count > 0 => Ok(Some(count)),
                _ => Err(Self::bad(name, format!("{value} is not a whole number above 0"))),
            },
        }
    }
}

impl ImportOptions {
    /// The options that a job's parameters say, each named as on the command line with `_` for `-`;
    /// other fields are left alone.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub(crate) fn of_params(params: &Map<String, Value>) -> Result<Self, BadParam> {
        let fields = Fields(params);
        let side = |text: &String| parse_side(text).map_err(|why| Fields::bad("price", why));
        let options = Self {
            dataset: fields.read("dataset", parse_dataset)?,
            timeframe: fields.read("timeframe", parse_step)?,
            symbol: fields.text("symbol")?,
            source: fields.text("source")?.unwrap_or_else(|| SOURCE.to_owned()),
            price: fields.list("price")?.iter().map(side).collect::<Result<_, _>>()?,
            price_scale: fields.count("price_scale")?,
            stamp: fields.read("stamp", parse_stamp)?,
            calendar: fields.text("calendar")?,
            time_zone: fields.text("time_zone")?,
            map: fields.pairs("map")?,
            complete: fields.flag("complete")?,
            known_at: fields.read("known_at", parse_policy)?,
            session: fields.one_of("session", &SESSIONS)?,
            align: fields.one_of("align", &ALIGNS)?,
            since: fields.text("since")?,
        };
        options.check().map_err(|error| bad_param(&error.to_string()))?;
        Ok(options)
    }
}

impl ImportOptions {
    /// The parameters of a job that says the same: what [`Self::of_params`] reads.
    pub(crate) fn to_params(&self) -> Vec<(&'static str, Value)> {
        let text = |text: &Option<String>| text.clone().map(Value::from);
        let list = |list: Vec<String>| (!list.is_empty()).then(|| Value::from(list));
        let sides = self.price.iter().map(|side| side.name().to_owned()).collect();
        let all = [
            ("dataset", self.dataset.as_ref().map(|target| target.name().into())),
            ("timeframe", self.timeframe.map(|step| step.name().into())),
            ("symbol", text(&self.symbol)),
            ("source", Some(self.source.clone().into())),
            ("price", list(sides)),
            ("price_scale", self.price_scale.map(Value::from)),
            ("stamp", self.stamp.map(|stamp| stamp.name().into())),
            ("calendar", text(&self.calendar)),
            ("time_zone", text(&self.time_zone)),
            ("map", list(self.map.clone())),
            ("complete", self.complete.then(|| true.into())),
            ("known_at", text(&self.known_at)),
            ("session", text(&self.session)),
            ("align", text(&self.align)),
            ("since", text(&self.since)),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// What is wrong with an option, said of the field of that name.
fn bad_param(fault: &str) -> BadParam {
    let rest = fault.strip_prefix("--").unwrap_or(fault);
    let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(rest.len());
    let (name, fault) = rest.split_at(end);
    Fields::bad(&name.replace('-', "_"), fault.trim_start_matches([':', ' ']))
}
