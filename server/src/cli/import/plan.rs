//! What an import will do with one file: everything that was detected or said, or the questions
//! that are left.
//!
//! Where a file does not show it and it matters (stamps at the start or the end, the zone, the
//! price side), there is no default: the plan is refused with what was seen and what to add.

use std::path::Path;

use barrow_types::{PriceSide, Step};
use jiff::tz::TimeZone;

use super::clock::{Clock, Order, Stamp};
use super::columns::{self, Columns, Mapping, Question, Role, normal};
use super::files;
use super::layout::{Layout, Sample};
use super::rows::RowReader;
use super::spacing::Spacing;
use super::time::{Offset, TimeFormat, Written};

/// What a person said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) timeframe: Option<Step>,
    pub(crate) symbol: Option<String>,
    pub(crate) source: String,
    pub(crate) price: Option<PriceSide>,
    pub(crate) stamp: Option<Stamp>,
    pub(crate) time_zone: Option<String>,
    pub(crate) map: Vec<Mapping>,
    pub(crate) known_at: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) align: Option<String>,
}

/// Where the symbol of a row comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SymbolFrom {
    /// All rows have this one.
    Fixed(String),
    /// The field at this place.
    Column(usize),
}

/// What is done with one file.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) layout: Layout,
    pub(crate) columns: Columns,
    pub(crate) symbol: SymbolFrom,
    pub(crate) ts_format: TimeFormat,
    pub(crate) known_at_format: Option<TimeFormat>,
    pub(crate) step: Step,
    pub(crate) stamp: Stamp,
    pub(crate) order: Order,
    /// The zone of times without an offset; `None` if it is not needed.
    pub(crate) time_zone: Option<(String, TimeZone)>,
    pub(crate) price: PriceSide,
    pub(crate) source: String,
    pub(crate) known_at_policy: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) align: Option<String>,
    /// What a person should know, but need not answer.
    pub(crate) notes: Vec<String>,
    first_time: String,
    stamp_shown_by: Option<&'static str>,
}

/// What keeps a file from being loaded: questions, each an option and why it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) questions: Vec<Question>,
}

fn ask(option: impl Into<String>, why: impl Into<String>) -> Question {
    (option.into(), why.into())
}

fn refuse(option: &str, why: impl Into<String>) -> Refusal {
    Refusal { questions: vec![ask(option, why)] }
}

impl Plan {
    /// Makes the plan for the file at `path`, which begins with `sample`.
    pub(crate) fn make(path: &Path, sample: &Sample, said: &Said) -> Result<Self, Refusal> {
        let layout = Layout::detect(sample).ok_or_else(|| {
            refuse("another file", "it has no lines that comma, semicolon, tab or bar would split")
        })?;
        if layout.header.is_none() && layout.known.is_none() && said.map.is_empty() {
            let first = &sample[0].1;
            return Err(refuse(
                "--map ts=1,open=2,high=3,low=4,close=5,volume=6",
                format!(
                    "it has no header and no form that is known; columns count from 1: {first}"
                ),
            ));
        }
        let side = quote_side(&layout, said)?;
        let columns =
            columns::assign(&layout, &said.map, side).map_err(|questions| Refusal { questions })?;
        let rows = layout.rows(sample);
        let mut questions = Vec::new();

        let symbol = symbol(path, &layout, &columns, said, &mut questions);
        let price = price(path, side.is_some(), said, &mut questions);

        let ts_place = columns.place(Role::Ts).expect("invariant: assign finds ts or asks");
        let texts: Vec<&str> = rows.iter().map(|(_, fields)| fields[ts_place].text()).collect();
        let names = columns::names(&layout);
        let ts_name = &names[ts_place];
        let Some(&first_time) = texts.first() else {
            return Err(refuse("another file", "it has a header but no rows"));
        };
        let ts_format = TimeFormat::detect(&texts).ok_or_else(|| {
            refuse(
                "--map ts=COLUMN",
                format!(
                    "column {ts_name} is not read as times (first: {first_time}); there are \
                     2024-01-31, 2024-01-31 09:30:00, 2024-01-31T09:30:00Z, 20240131 093000 and \
                     numbers since 1970"
                ),
            )
        })?;
        let known_at_format = known_at_format(&columns, &rows, &mut questions);
        let symbol_place = columns.place(Role::Symbol);
        let spacing = Spacing::of(rows.iter().filter_map(|(_, fields)| {
            let name = symbol_place.map_or("", |place| fields[place].text());
            Some((name, ts_format.read(fields[ts_place].text())?))
        }));
        let written: Vec<Written> = texts.iter().filter_map(|text| ts_format.read(text)).collect();

        let mut notes = Vec::new();
        let step = step(said, &spacing, &mut notes, &mut questions);
        // Everything that is missing is asked at once, as if the step were what it looks like.
        let likely = step.or(spacing.suggested());
        let time_zone =
            zone(said, ts_name, &written, first_time, likely, &mut notes, &mut questions);
        let (stamp, stamp_shown_by) =
            stamp(said, &layout, ts_name, likely, &spacing, &written, &mut questions);
        let (Some(step), Some(symbol), Some(price), Some(stamp)) = (step, symbol, price, stamp)
        else {
            return Err(Refusal { questions });
        };
        if !questions.is_empty() {
            return Err(Refusal { questions });
        }
        let plan = Self {
            layout,
            columns,
            symbol,
            ts_format,
            known_at_format,
            step,
            stamp,
            order: spacing.order(),
            time_zone,
            price,
            source: said.source.clone(),
            known_at_policy: said.known_at.clone(),
            session: said.session.clone(),
            align: said.align.clone(),
            notes,
            first_time: first_time.to_owned(),
            stamp_shown_by,
        };
        plan.try_on(sample)?;
        Ok(plan)
    }

    /// Refuses the plan if most rows of the sample cannot be read by it.
    fn try_on(&self, sample: &Sample) -> Result<(), Refusal> {
        let mut reader = RowReader::new(self);
        let mut first = None;
        let mut bad = 0;
        let rows = sample.iter().skip(usize::from(self.layout.header.is_some()));
        let count = rows.len();
        for (number, line) in rows {
            if let Err(error) = reader.read(line) {
                bad += 1;
                first.get_or_insert_with(|| format!("line {number}: {}", error.detail));
            }
        }
        match first {
            Some(first) if bad * 2 > count => Err(refuse(
                "--map ROLE=COLUMN",
                format!("{bad} of the first {count} rows cannot be read; {first}"),
            )),
            _ => Ok(()),
        }
    }

    /// The clock that reads this file's times.
    pub(crate) fn clock(&self) -> Clock {
        let zone = self.time_zone.as_ref().map(|(_, zone)| zone.clone());
        Clock::new(self.step, self.stamp, self.order, zone)
    }

    /// Everything that decides what the rows become, as text: part of the batch's identity. Its
    /// first number changes whenever the same plan would give other rows or other parts.
    pub(crate) fn identity(&self) -> String {
        let roles: Vec<String> = self
            .columns
            .of_role
            .iter()
            .map(|(role, place)| format!("{}={place}", role.name()))
            .collect();
        let symbol = match &self.symbol {
            SymbolFrom::Fixed(symbol) => symbol.as_str(),
            SymbolFrom::Column(_) => "",
        };
        let zone = self.time_zone.as_ref().map_or("", |(name, _)| name.as_str());
        let said = |text: &Option<String>| text.clone().unwrap_or_default();
        [
            "bars 1",
            self.step.name(),
            &self.source,
            self.price.name(),
            symbol,
            self.layout.separator_name(),
            if self.layout.header.is_some() { "header" } else { "rows" },
            &roles.join(","),
            self.ts_format.describe(),
            self.known_at_format.map_or("", TimeFormat::describe),
            self.stamp.name(),
            &format!("{:?}", self.order),
            zone,
            &said(&self.known_at_policy),
            &said(&self.session),
            &said(&self.align),
        ]
        .join("\n")
    }

    /// What was detected or said, a line each.
    pub(crate) fn describe(&self) -> Vec<String> {
        let names = columns::names(&self.layout);
        let header = match (&self.layout.header, self.layout.known) {
            (Some(_), _) => "header in the first line".to_owned(),
            (None, Some(known)) => format!("no header, {}", known.name()),
            (None, None) => "no header".to_owned(),
        };
        let mut lines =
            vec![format!("form      {} between fields, {header}", self.layout.separator_name())];
        let zone = match &self.time_zone {
            Some((name, _)) => format!(", {name}"),
            None => String::new(),
        };
        let stamp = match (self.step.is_dated(), self.stamp_shown_by) {
            (true, None) if self.stamp == Stamp::Start => "session date".to_owned(),
            (true, None) => "dated at the end of the bar".to_owned(),
            (_, Some(by)) => format!("{} of bar, shown by {by}", self.stamp.name()),
            (false, None) => format!("{} of bar", self.stamp.name()),
        };
        let order = match self.order {
            Order::Forward => "oldest first",
            Order::Backward => "newest first",
            Order::Mixed => "not in order",
        };
        for (role, place) in &self.columns.of_role {
            let about = if *role == Role::Ts {
                let (format, first) = (self.ts_format.describe(), &self.first_time);
                format!("   {first}: {format}{zone}, {stamp}, {order}")
            } else {
                String::new()
            };
            lines.push(format!("{:<9} {}{about}", role.name(), names[*place]));
        }
        if let SymbolFrom::Fixed(symbol) = &self.symbol {
            lines.push(format!("symbol    {symbol} (all rows)"));
        }
        let (step, price, source) = (self.step.name(), self.price.name(), &self.source);
        lines.push(format!("series    {step} bars of {price} prices from {source}"));
        if !self.columns.ignored.is_empty() {
            lines.push(format!("ignored   {}", self.columns.ignored.join(", ")));
        }
        lines.extend(self.notes.iter().map(|note| format!("note      {note}")));
        lines
    }
}

/// The side whose columns are taken from a file of quotes; `None` for any other file.
fn quote_side(layout: &Layout, said: &Said) -> Result<Option<&'static str>, Refusal> {
    let maps_prices = said.map.iter().any(|(role, _)| role.is_price());
    if maps_prices || !columns::has_quote_sides(layout) {
        return Ok(None);
    }
    match said.price {
        Some(side @ (PriceSide::Bid | PriceSide::Ask)) => Ok(Some(side.name())),
        Some(PriceSide::Trade | PriceSide::Mid) => Err(refuse(
            "--price bid (then again with --price ask)",
            "it has columns of bid and ask; the two are stored as they are, the mid is not \
             imported",
        )),
        None => Err(refuse(
            "--price bid (then again with --price ask)",
            "it has columns of both bid and ask",
        )),
    }
}

fn symbol(
    path: &Path,
    layout: &Layout,
    columns: &Columns,
    said: &Said,
    questions: &mut Vec<Question>,
) -> Option<SymbolFrom> {
    match (&said.symbol, columns.place(Role::Symbol)) {
        (None, Some(place)) => Some(SymbolFrom::Column(place)),
        (Some(_), Some(place)) => {
            let name = &columns::names(layout)[place];
            let why = format!("column {name} says the symbol of each row; leave out --symbol, or");
            questions.push(ask("--map symbol=-", format!("{why} leave out the column with this")));
            None
        }
        (Some(text), None) => {
            let text = text
                .replace("{stem-part}", &files::stem_part(path))
                .replace("{stem}", &files::stem(path));
            match barrow_types::Symbol::new(&text) {
                Ok(_) => Some(SymbolFrom::Fixed(text)),
                Err(error) => {
                    questions.push(ask("--symbol SYMBOL", format!("'{text}' {error}")));
                    None
                }
            }
        }
        (None, None) => {
            let guess = files::stem_part(path);
            let why = format!(
                "no column says the symbol; by the file's name it may be {guess} \
                 (--symbol {guess}, \
                 or --symbol {{stem-part}} for a folder of such files)"
            );
            questions.push(ask("--symbol SYMBOL", why));
            None
        }
    }
}

fn price(
    path: &Path,
    is_quote: bool,
    said: &Said,
    questions: &mut Vec<Question>,
) -> Option<PriceSide> {
    if said.price.is_some() {
        return said.price;
    }
    let name = files::stem(path).to_ascii_lowercase();
    let words: Vec<&str> = name.split(['_', '-', ' ']).collect();
    let hint = ["bid", "ask", "mid"].into_iter().find(|side| words.contains(side));
    match hint {
        Some(side) if !is_quote => {
            let why = format!("the file's name says {side}; if it is not, say --price trade");
            questions.push(ask(format!("--price {side}"), why));
            None
        }
        _ => Some(PriceSide::Trade),
    }
}

fn known_at_format(
    columns: &Columns,
    rows: &[(u64, Vec<super::lines::Field<'_>>)],
    questions: &mut Vec<Question>,
) -> Option<TimeFormat> {
    let place = columns.place(Role::KnownAt)?;
    let texts: Vec<&str> =
        rows.iter().map(|(_, fields)| fields[place].text()).filter(|t| !t.is_empty()).collect();
    let format = TimeFormat::detect(&texts);
    if format.is_none() {
        let first = texts.first().unwrap_or(&"nothing");
        let why = format!("known_at is not read as times (first: {first})");
        questions.push(ask("--map known_at=COLUMN or known_at=-", why));
    }
    format
}

fn step(
    said: &Said,
    spacing: &Spacing,
    notes: &mut Vec<String>,
    questions: &mut Vec<Question>,
) -> Option<Step> {
    let looks_like = spacing.looks_like();
    let Some(step) = said.timeframe else {
        let seen = looks_like.map_or(String::new(), |text| format!("; they look like {text}"));
        questions.push(ask("--timeframe STEP", format!("how long the bars are{seen}")));
        return None;
    };
    let percent = spacing.closer_percent(step);
    let seen = looks_like.unwrap_or_default();
    let name = step.name();
    if percent > 25 {
        let why = format!("{percent} % of the rows lie closer together than {name}: {seen}");
        questions.push(ask("--timeframe STEP", why));
        return None;
    }
    if percent > 0 {
        notes.push(format!("{percent} % of the first rows lie closer together than {name}"));
    }
    if let Some(coarser) = spacing.coarser(step) {
        notes.push(format!("the rows look like {}, not {name}", coarser.name()));
    }
    Some(step)
}

fn zone(
    said: &Said,
    ts_name: &str,
    written: &[Written],
    first_time: &str,
    step: Option<Step>,
    notes: &mut Vec<String>,
    questions: &mut Vec<Question>,
) -> Option<(String, TimeZone)> {
    let dated = step.is_some_and(Step::is_dated);
    let is_naive = written.iter().any(|time| time.offset == Offset::Naive);
    if let Some(name) = &said.time_zone {
        return match TimeZone::get(name) {
            Ok(zone) => {
                if !is_naive && !dated {
                    notes.push("the times carry their own offsets; --time-zone is not used".into());
                }
                Some((name.clone(), zone))
            }
            Err(_) => {
                let why = format!("there is no zone '{name}'; write America/New_York or UTC");
                questions.push(ask("--time-zone ZONE", why));
                None
            }
        };
    }
    let says_utc = normal(ts_name).split('_').any(|word| word == "utc");
    if dated {
        let undated = written.iter().any(|time| time.offset == Offset::Utc && !time.is_midnight());
        if undated {
            let why = format!(
                "times in {ts_name} are UTC instants (first: {first_time}): in which zone are the \
                 sessions they belong to?"
            );
            questions.push(ask("--time-zone ZONE", why));
        }
        return None;
    }
    if !is_naive {
        return None;
    }
    if says_utc {
        return Some(("UTC".to_owned(), TimeZone::UTC));
    }
    let why = format!(
        "times in {ts_name} carry no offset (first: {first_time}): in which zone are they? For \
         example America/New_York, or UTC"
    );
    questions.push(ask("--time-zone ZONE", why));
    None
}

fn stamp(
    said: &Said,
    layout: &Layout,
    ts_name: &str,
    step: Option<Step>,
    spacing: &Spacing,
    written: &[Written],
    questions: &mut Vec<Question>,
) -> (Option<Stamp>, Option<&'static str>) {
    if said.stamp.is_some() {
        return (said.stamp, None);
    }
    if layout.known == Some(super::layout::Known::BinanceKlines) {
        return (Some(Stamp::Start), Some("the close time beside it"));
    }
    match normal(ts_name).as_str() {
        "open_time" | "start" | "start_time" => return (Some(Stamp::Start), Some("its name")),
        "close_time" | "end" | "end_time" => return (Some(Stamp::End), Some("its name")),
        _ => {}
    }
    match step {
        None | Some(Step::D1) => (Some(Stamp::Start), None),
        Some(Step::Mo1) if spacing.all_month_ends() => {
            (Some(Stamp::End), Some("dates that all end a month"))
        }
        Some(step) => {
            let seen = match spacing.hours() {
                Some(hours) if !step.is_dated() => format!(
                    "; in the file, days run: {hours}. A first time at which the market opens says \
                     start, one {} later says end",
                    step.name()
                ),
                _ => format!("; the file has {} dates or times", written.len()),
            };
            let why = format!("are the bars stamped at their start or at their end?{seen}");
            questions.push(ask("--stamp start or --stamp end", why));
            (None, None)
        }
    }
}

#[cfg(test)]
mod tests;
