//! What an import will do with one file: everything that was detected or said, or the questions
//! that are left.
//!
//! Where a file does not show it and it matters (stamps at the start or the end, the zone, the
//! price side), there is no default: the plan is refused with what was seen and what to add.

mod ask;

use std::path::Path;

use barrow_types::{PriceSide, Step};
use jiff::tz::TimeZone;

use super::clock::{Clock, Order, Stamp};
use super::columns::{Columns, Dataset, Mapping, Names, Question, Role};
use super::form::{Form, Table};
use super::known::Known;
use super::rows::RowReader;
use super::spacing::Spacing;
use super::table::{Cell, Sampled};
use super::time::{TimeFormat, Written};

/// What a person said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) dataset: Option<Dataset>,
    pub(crate) timeframe: Option<Step>,
    pub(crate) symbol: Option<String>,
    pub(crate) source: String,
    pub(crate) price: Vec<PriceSide>,
    pub(crate) price_scale: Option<u64>,
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

/// What is done with one file, or with one price side of it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) form: Form,
    /// Names of the file's columns.
    pub(crate) names: Vec<String>,
    pub(crate) dataset: Dataset,
    pub(crate) columns: Columns,
    pub(crate) symbol: SymbolFrom,
    /// The symbol of the first row.
    pub(crate) first_symbol: String,
    pub(crate) ts_format: TimeFormat,
    pub(crate) known_at_format: Option<TimeFormat>,
    pub(crate) step: Step,
    pub(crate) stamp: Stamp,
    pub(crate) order: Order,
    /// The zone of times without an offset; `None` if it is not needed.
    pub(crate) time_zone: Option<(String, TimeZone)>,
    pub(crate) price: PriceSide,
    /// What prices in the file are divided by.
    pub(crate) price_scale: u64,
    pub(crate) source: String,
    pub(crate) known_at_policy: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) align: Option<String>,
    /// What a person should know, but need not answer.
    pub(crate) notes: Vec<String>,
    packing: &'static str,
    known: Option<Known>,
    first_time: String,
    stamp_shown_by: Option<&'static str>,
}

/// What keeps a file from being loaded: questions, each an option and why it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) questions: Vec<Question>,
}

impl Refusal {
    /// One question.
    pub(crate) fn new(option: impl Into<String>, why: impl Into<String>) -> Self {
        Self { questions: vec![(option.into(), why.into())] }
    }
}

/// A column of the rows that were looked at.
struct Sample<'t> {
    rows: Vec<&'t [Cell<'static>]>,
}

impl<'t> Sample<'t> {
    fn of(rows: &'t [Sampled]) -> Self {
        Self { rows: rows.iter().filter_map(|row| row.cells.as_deref().ok()).collect() }
    }

    fn column(&self, place: usize) -> Vec<&'t Cell<'static>> {
        self.rows.iter().map(|cells| &cells[place]).collect()
    }
}

impl Plan {
    /// The plans for the file at `path`, of which `table` is known: one a price side.
    pub(crate) fn make(path: &Path, table: &Table, said: &Said) -> Result<Vec<Self>, Refusal> {
        if table.is_nameless && said.map.is_empty() {
            return Err(ask::nameless(table));
        }
        let names = Names { names: &table.names, unnamed_first: table.unnamed_first };
        let dataset = match said.dataset {
            Some(dataset) => dataset,
            None => match names.dataset(&said.map) {
                Ok(dataset) => dataset,
                Err((option, why)) => return Err(Refusal::new(option, why)),
            },
        };
        let sides = ask::sides(&names, dataset, said)?;
        let mut plans = Vec::with_capacity(sides.len());
        for side in sides {
            plans.push(Self::make_side(path, table, &names, dataset, side, said)?);
        }
        Ok(plans)
    }

    fn make_side(
        path: &Path,
        table: &Table,
        names: &Names<'_>,
        dataset: Dataset,
        side: Option<PriceSide>,
        said: &Said,
    ) -> Result<Self, Refusal> {
        let columns =
            names.assign(dataset, &said.map, side).map_err(|questions| Refusal { questions })?;
        let (form, rows) = ask::fixed_point(table, &columns, said)?;
        let sample = Sample::of(&rows);
        let mut notes = Vec::new();
        let mut questions = Vec::new();

        let symbol = ask::symbol(path, table, &columns, said, &mut questions);
        let price = match side {
            Some(side) => Some(side),
            None if dataset == Dataset::Bars => ask::price(path, said, &mut questions),
            None => Some(PriceSide::Trade),
        };
        let price_scale = ask::price_scale(&form, &columns, &sample, said, &mut questions);

        let ts_place = columns.place(Role::Ts).expect("invariant: assign finds ts or asks");
        let ts_name = &table.names[ts_place];
        let times = sample.column(ts_place);
        let Some(first) = times.first() else {
            return Err(Refusal::new("another file", "it has no rows that can be read"));
        };
        let first_time = first.text().into_owned();
        let Some(ts_format) = TimeFormat::detect(&times) else {
            return Err(ask::unread_times(&form, ts_place, ts_name, &first_time));
        };
        ask::other_times(table, &columns, &sample, ts_format, &mut notes, &mut questions);
        let known_at_format = ask::known_at_format(&columns, &sample, &mut questions);
        let symbol_place = columns.place(Role::Symbol);
        let spacing = Spacing::of(sample.rows.iter().filter_map(|cells| {
            let name = symbol_place.map_or_else(String::new, |at| cells[at].text().into_owned());
            Some((name, ts_format.read(&cells[ts_place])?))
        }));
        let written: Vec<Written> = times.iter().filter_map(|cell| ts_format.read(cell)).collect();

        let step = match dataset {
            Dataset::Bars => {
                let ticks = ask::ticks_as_bars(&table.names, &columns, &sample, &spacing);
                ask::step(said, &spacing, ticks, &mut notes, &mut questions)
            }
            Dataset::Trades | Dataset::Quotes => {
                ask::no_length(dataset, said, &mut questions);
                Some(Step::Tick)
            }
        };
        // Everything that is missing is asked at once, as if the step were what it looks like.
        let likely = step.or(spacing.suggested());
        let about = ask::Times {
            name: ts_name,
            first: &first_time,
            written: &written,
            step: likely,
            known: table.known,
            typed_zone: match &form {
                Form::Batches(batches) => batches.zone(ts_place),
                Form::Delimited(_) | Form::Json(_) => None,
            },
        };
        let time_zone = ask::zone(said, &about, &mut notes, &mut questions);
        let (stamp, stamp_shown_by) = ask::stamp(said, &about, &spacing, &mut questions);
        let (Some(step), Some(symbol), Some(price), Some(stamp)) = (step, symbol, price, stamp)
        else {
            return Err(Refusal { questions });
        };
        if !questions.is_empty() {
            return Err(Refusal { questions });
        }
        let first_symbol = match &symbol {
            SymbolFrom::Fixed(symbol) => symbol.clone(),
            SymbolFrom::Column(place) => sample.rows[0][*place].text().into_owned(),
        };
        let plan = Self {
            form,
            names: table.names.clone(),
            dataset,
            columns,
            symbol,
            first_symbol,
            ts_format,
            known_at_format,
            step,
            stamp,
            order: spacing.order(),
            time_zone,
            price,
            price_scale,
            source: said.source.clone(),
            known_at_policy: said.known_at.clone(),
            session: said.session.clone(),
            align: said.align.clone(),
            notes,
            packing: table.packing,
            known: table.known,
            first_time,
            stamp_shown_by,
        };
        plan.try_on(&rows)?;
        Ok(plan)
    }

    /// Refuses the plan if most rows of the sample cannot be read by it.
    fn try_on(&self, rows: &[Sampled]) -> Result<(), Refusal> {
        let mut reader = RowReader::new(self);
        let mut first = None;
        let mut bad = 0;
        for row in rows {
            let read = match &row.cells {
                Ok(cells) => reader.read(cells).err().map(|refused| refused.error),
                Err(error) => Some(error.clone()),
            };
            if let Some(error) = read {
                bad += 1;
                let (unit, number) = (self.form.unit(), row.number);
                first.get_or_insert_with(|| format!("{unit} {number}: {}", error.detail));
            }
        }
        let count = rows.len();
        match first {
            Some(first) if bad * 2 > count => Err(Refusal::new(
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
            "import 2",
            self.dataset.name(),
            self.step.name(),
            &self.source,
            self.price.name(),
            symbol,
            &self.form.describe(),
            &roles.join(","),
            self.ts_format.describe(),
            self.known_at_format.map_or("", TimeFormat::describe),
            self.stamp.name(),
            &format!("{:?}", self.order),
            zone,
            &self.price_scale.to_string(),
            &said(&self.known_at_policy),
            &said(&self.session),
            &said(&self.align),
        ]
        .join("\n")
    }

    /// What was detected or said, a line each.
    pub(crate) fn describe(&self) -> Vec<String> {
        let known = self.known.map_or(String::new(), |known| format!(", {}", known.name()));
        let packing =
            if self.packing.is_empty() { String::new() } else { format!(", {}", self.packing) };
        let mut lines = vec![format!("form      {}{known}{packing}", self.form.describe())];
        let zone = match &self.time_zone {
            Some((name, _)) => format!(", {name}"),
            None => String::new(),
        };
        let stamp = match (self.step.is_dated(), self.stamp_shown_by) {
            _ if self.step == Step::Tick => String::new(),
            (true, None) if self.stamp == Stamp::Start => ", session date".to_owned(),
            (true, None) => ", dated at the end of the bar".to_owned(),
            (_, Some(by)) => format!(", {} of bar, shown by {by}", self.stamp.name()),
            (false, None) => format!(", {} of bar", self.stamp.name()),
        };
        let order = match self.order {
            Order::Forward => "oldest first",
            Order::Backward => "newest first",
            Order::Mixed => "not in order",
        };
        for (role, place) in &self.columns.of_role {
            let about = match role {
                Role::Ts => {
                    let format = match (&self.form, self.ts_format) {
                        (Form::Batches(batches), TimeFormat::Typed) => batches.type_of(*place),
                        (_, format) => format.describe().to_owned(),
                    };
                    let first = &self.first_time;
                    format!("   {first}: {format}{zone}{stamp}, {order}")
                }
                role if role.is_price() && self.price_scale > 1 => {
                    format!("   divided by {}", self.price_scale)
                }
                _ => String::new(),
            };
            lines.push(format!("{:<9} {}{about}", role.name(), self.names[*place]));
        }
        if let SymbolFrom::Fixed(symbol) = &self.symbol {
            lines.push(format!("symbol    {symbol} (all rows)"));
        }
        let (step, price, source) = (self.step.name(), self.price.name(), &self.source);
        lines.push(match self.dataset {
            Dataset::Bars => format!("series    {step} bars of {price} prices from {source}"),
            other => format!("series    {} from {source}", other.name()),
        });
        if !self.columns.ignored.is_empty() {
            lines.push(format!("ignored   {}", self.columns.ignored.join(", ")));
        }
        lines.extend(self.notes.iter().map(|note| format!("note      {note}")));
        lines
    }
}

#[cfg(test)]
mod tests;
