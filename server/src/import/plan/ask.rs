//! What a file shows of each thing that a plan needs, and the question where it does not show it.

use std::path::Path;

use barrow_types::{PriceSide, Step};
use jiff::tz::TimeZone;

use super::{Refusal, Said, Sample, SymbolFrom};
use crate::import::batches;
use crate::import::clock::Stamp;
use crate::import::columns::{Columns, Dataset, Names, Question, Role, normal};
use crate::import::files;
use crate::import::form::{Form, Table};
use crate::import::known::Known;
use crate::import::spacing::Spacing;
use crate::import::table::{Cell, Sampled};
use crate::import::time::{Offset, TimeFormat, Written};

fn ask(option: impl Into<String>, why: impl Into<String>) -> Question {
    (option.into(), why.into())
}

/// What is asked of a file whose columns have no names and no form that is known.
pub(super) fn nameless(table: &Table) -> Refusal {
    let first = table.rows.iter().find_map(|row| row.cells.as_deref().ok()).unwrap_or_default();
    let shown: Vec<_> = first.iter().map(Cell::text).collect();
    let option = if table.names.len() < 5 {
        "--dataset trades --map ts=1,price=2,size=3, or --dataset quotes --map ts=1,bid=2,ask=3"
    } else {
        "--map ts=1,open=2,high=3,low=4,close=5,volume=6"
    };
    let first = shown.join(",");
    let why = format!("it has no header and no form that is known; columns count from 1: {first}");
    Refusal::new(option, why)
}

/// The price sides to load, each from columns of its own; `None` for rows that have one price or
/// no side.
pub(super) fn sides(
    names: &Names<'_>,
    dataset: Dataset,
    said: &Said,
) -> Result<Vec<Option<PriceSide>>, Refusal> {
    if dataset != Dataset::Bars {
        let is_fine = match dataset {
            Dataset::Trades => said.price.iter().all(|side| *side == PriceSide::Trade),
            _ => said.price.is_empty(),
        };
        let name = dataset.name();
        return if is_fine {
            Ok(vec![None])
        } else {
            let why = format!("{name} have no price side: leave out --price");
            Err(Refusal::new(format!("--dataset {name} without --price"), why))
        };
    }
    let maps_prices = said.map.iter().any(|(role, _)| role.is_bar_price());
    let there = if maps_prices { Vec::new() } else { names.sides() };
    if there.is_empty() {
        return match said.price.as_slice() {
            [] | [_] => Ok(vec![None]),
            _ => Err(Refusal::new("--price SIDE", "it has one open, high, low and close: say one")),
        };
    }
    let wanted = if said.price.is_empty() { &there } else { &said.price };
    let listed =
        |sides: &[PriceSide]| sides.iter().map(|side| side.name()).collect::<Vec<_>>().join(",");
    match wanted.iter().find(|side| !there.contains(side)) {
        None => Ok(wanted.iter().copied().map(Some).collect()),
        Some(missing) => Err(Refusal::new(
            format!("--price {}", listed(&there)),
            format!("it has columns of {}, and none of {}", listed(&there), missing.name()),
        )),
    }
}

/// The form and the sample with the scale of fixed-point columns settled.
pub(super) fn fixed_point(
    table: &Table,
    columns: &Columns,
    said: &Said,
) -> Result<(Form, Vec<Sampled>), Refusal> {
    let mut rows = table.rows.clone();
    let Form::Batches(form) = &table.form else { return Ok((table.form.clone(), rows)) };
    for (role, place) in &columns.of_role {
        if !form.is_read(*place) {
            let why = format!("its type {} is not read", form.type_of(*place));
            let name = &table.names[*place];
            return Err(Refusal::new(
                format!("--map {0}=COLUMN or {0}=-", role.name()),
                format!("column {name}: {why}"),
            ));
        }
    }
    let mut form = form.clone();
    if !columns.of_role.iter().any(|(_, place)| form.is_fixed(*place)) {
        return Ok((Form::Batches(form), rows));
    }
    if let Some(scale) = said.price_scale {
        let Some(power) = scale.checked_ilog10().filter(|power| 10_u64.pow(*power) == scale) else {
            let why = "fixed-point numbers are scaled by a power of ten";
            return Err(Refusal::new("--price-scale 10000", why));
        };
        form.fixed_scale = u8::try_from(power).ok();
    }
    match form.fixed_scale {
        Some(scale) => {
            batches::rescale(&form, &mut rows, scale);
            Ok((Form::Batches(form), rows))
        }
        None => Err(Refusal::new(
            "--price-scale 10000000000000000",
            "its prices are fixed-point numbers, and the file does not show how many units make \
             one: builds of Nautilus write ten to the power of 16, of 18, or of 9",
        )),
    }
}

pub(super) fn symbol(
    path: &Path,
    table: &Table,
    columns: &Columns,
    said: &Said,
    questions: &mut Vec<Question>,
) -> Option<SymbolFrom> {
    match (&said.symbol, columns.place(Role::Symbol), &table.symbol) {
        (None, Some(place), _) => Some(SymbolFrom::Column(place)),
        (Some(_), Some(place), _) => {
            let name = &table.names[place];
            let why = format!("column {name} says the symbol of each row; leave out --symbol, or");
            questions.push(ask("--map symbol=-", format!("{why} leave out the column with this")));
            None
        }
        (Some(text), None, _) | (None, None, Some(text)) => {
            let text = files::symbol_of(text, path);
            match barrow_types::Symbol::new(&text) {
                Ok(_) => Some(SymbolFrom::Fixed(text)),
                Err(error) => {
                    questions.push(ask("--symbol SYMBOL", format!("'{text}' {error}")));
                    None
                }
            }
        }
        (None, None, None) => {
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

/// The side of a file with one set of prices.
pub(super) fn price(path: &Path, said: &Said, questions: &mut Vec<Question>) -> Option<PriceSide> {
    if let Some(side) = said.price.first() {
        return Some(*side);
    }
    let name = files::stem(path).to_ascii_lowercase();
    let words: Vec<&str> = name.split(['_', '-', ' ']).collect();
    let hint = ["bid", "ask", "mid"].into_iter().find(|side| words.contains(side));
    match hint {
        Some(side) => {
            let why = format!("the file's name says {side}; if it is not, say --price trade");
            questions.push(ask(format!("--price {side}"), why));
            None
        }
        None => Some(PriceSide::Trade),
    }
}

/// What prices are divided by: as is said, or 1 unless they look scaled.
pub(super) fn price_scale(
    form: &Form,
    columns: &Columns,
    sample: &Sample<'_>,
    said: &Said,
    questions: &mut Vec<Question>,
) -> u64 {
    let is_fixed = |place: usize| matches!(form, Form::Batches(form) if form.is_fixed(place));
    let places = columns.of_role.iter().filter(|(role, _)| role.is_price());
    let places: Vec<usize> = places.map(|(_, place)| *place).collect();
    if places.iter().any(|place| is_fixed(*place)) {
        return 1;
    }
    if let Some(scale) = said.price_scale {
        return scale;
    }
    let mut first = None;
    let mut differ = false;
    for cell in sample.rows.iter().flat_map(|cells| places.iter().map(|place| &cells[*place])) {
        if cell.is_null() {
            continue;
        }
        let Some(value) = whole(cell) else { return 1 };
        // The side of a quote that is absent.
        if value == 0 {
            continue;
        }
        if value < 10_000 || value % 100 != 0 {
            return 1;
        }
        differ |= *first.get_or_insert(value) != value;
    }
    if let (Some(first), true) = (first, differ) {
        let why = format!(
            "all prices are whole hundreds (first: {first}): prices times 10,000, as Lean writes \
             them? --price-scale 1 takes them as they are"
        );
        questions.push(ask("--price-scale 10000 or --price-scale 1", why));
    }
    1
}

fn whole(cell: &Cell<'_>) -> Option<u64> {
    match cell {
        Cell::Int(value) => u64::try_from(*value).ok(),
        Cell::Text(text) => text.parse().ok(),
        _ => None,
    }
}

/// What is asked of a column of times that are not read.
pub(super) fn unread_times(form: &Form, place: usize, name: &str, first: &str) -> Refusal {
    let kind = match form {
        Form::Batches(form) => format!(", of type {}", form.type_of(place)),
        Form::Delimited(_) | Form::Json(_) => String::new(),
    };
    let why = format!(
        "column {name}{kind} is not read as times (first: {first}); there are 2024-01-31, \
         2024-01-31 09:30:00, 2024-01-31T09:30:00Z, 20240131 093000 and numbers since 1970"
    );
    Refusal::new("--map ts=COLUMN", why)
}

/// Several columns may be the time: they must say the same.
pub(super) fn other_times(
    table: &Table,
    columns: &Columns,
    sample: &Sample<'_>,
    format: TimeFormat,
    notes: &mut Vec<String>,
    questions: &mut Vec<Question>,
) {
    let taken = columns.place(Role::Ts).expect("invariant: assign finds ts or asks");
    let when = |format: TimeFormat, cell: &Cell<'_>| {
        format.read(cell).map(|written| (written.wall, written.offset))
    };
    for &other in &columns.other_times {
        let (name, other_name) = (&table.names[taken], &table.names[other]);
        let other_format = TimeFormat::detect(&sample.column(other));
        let is_same = other_format.is_some_and(|other_format| {
            let same = |cells: &&[Cell<'_>]| {
                when(format, &cells[taken]) == when(other_format, &cells[other])
            };
            sample.rows.iter().all(same)
        });
        if is_same {
            notes.push(format!("{other_name} says the same times as {name}"));
        } else {
            let why = format!("several columns may be meant: {name}, {other_name}");
            questions.push(ask("--map ts=COLUMN", why));
        }
    }
}

pub(super) fn known_at_format(
    columns: &Columns,
    sample: &Sample<'_>,
    questions: &mut Vec<Question>,
) -> Option<TimeFormat> {
    let mut cells = sample.column(columns.place(Role::KnownAt)?);
    cells.retain(|cell| !cell.is_null());
    let format = TimeFormat::detect(&cells);
    if format.is_none() {
        let first = cells.first().map_or("nothing".into(), |cell| cell.text());
        let why = format!("known_at is not read as times (first: {first})");
        questions.push(ask("--map known_at=COLUMN or known_at=-", why));
    }
    format
}

/// What to say where every row has one price and the times keep no step: ticks written as bars.
pub(super) fn ticks_as_bars(
    names: &[String],
    columns: &Columns,
    sample: &Sample<'_>,
    spacing: &Spacing,
) -> Option<String> {
    let place = |role| columns.place(role);
    let close = place(Role::Close)?;
    let others = [place(Role::Open)?, place(Role::High)?, place(Role::Low)?];
    let is_one = |cells: &&[Cell<'_>]| {
        others.iter().all(|other| cells[*other].number() == cells[close].number())
    };
    let ticks = spacing.suggested().is_none() && sample.rows.iter().all(is_one);
    let size = place(Role::Volume).map_or("COLUMN", |place| names[place].as_str());
    ticks.then(|| {
        let price = &names[close];
        let options = format!("--dataset trades --map price={price},size={size}");
        format!("every row has one price: for ticks, say {options}")
    })
}

pub(super) fn step(
    said: &Said,
    spacing: &Spacing,
    ticks: Option<String>,
    notes: &mut Vec<String>,
    questions: &mut Vec<Question>,
) -> Option<Step> {
    let looks_like = spacing.looks_like();
    let ticks = ticks.map_or(String::new(), |ticks| format!("; {ticks}"));
    let Some(step) = said.timeframe else {
        let seen = looks_like.map_or(String::new(), |text| format!("; they look like {text}"));
        let why = format!("how long the bars are{seen}{ticks}");
        questions.push(ask("--timeframe STEP", why));
        return None;
    };
    let percent = spacing.closer_percent(step);
    let seen = looks_like.unwrap_or_default();
    let name = step.name();
    if percent > 25 {
        let why = format!("{percent} % of the rows lie closer together than {name}: {seen}{ticks}");
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

/// Trades and quotes have no length.
pub(super) fn no_length(dataset: Dataset, said: &Said, questions: &mut Vec<Question>) {
    let name = dataset.name();
    let given = [
        ("--timeframe", said.timeframe.is_some()),
        ("--stamp", said.stamp.is_some()),
        ("--align", said.align.is_some()),
    ];
    for (option, _) in given.iter().filter(|(_, given)| *given) {
        let why = format!("it is about bars, and {name} have no length: leave it out");
        questions.push(ask(format!("--dataset {name} without {option}"), why));
    }
}

/// What is known of the column of times.
pub(super) struct Times<'t> {
    pub(super) name: &'t str,
    pub(super) first: &'t str,
    pub(super) written: &'t [Written],
    /// The step, or what it looks like.
    pub(super) step: Option<Step>,
    pub(super) known: Option<Known>,
    /// The zone that the column's type names.
    pub(super) typed_zone: Option<&'t str>,
}

pub(super) fn zone(
    said: &Said,
    times: &Times<'_>,
    notes: &mut Vec<String>,
    questions: &mut Vec<Question>,
) -> Option<(String, TimeZone)> {
    let (name, first) = (times.name, times.first);
    let dated = times.step.is_some_and(Step::is_dated);
    let is_naive = times.written.iter().any(|time| time.offset == Offset::Naive);
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
    if dated {
        let undated =
            times.written.iter().any(|time| time.offset == Offset::Utc && !time.is_midnight());
        let typed = times.typed_zone.filter(|zone| *zone != "UTC");
        if let (true, Some(zone)) = (undated, typed)
            && let Ok(found) = TimeZone::get(zone)
        {
            return Some((zone.to_owned(), found));
        }
        if undated {
            let why = format!(
                "times in {name} are UTC instants (first: {first}): in which zone are the sessions \
                 they belong to?"
            );
            questions.push(ask("--time-zone ZONE", why));
        }
        return None;
    }
    if !is_naive {
        return None;
    }
    if normal(name).split('_').any(|word| word == "utc") {
        return Some(("UTC".to_owned(), TimeZone::UTC));
    }
    let hint = times.known.and_then(Known::zone_hint);
    let hint = hint.unwrap_or("For example America/New_York, or UTC");
    let why =
        format!("times in {name} carry no offset (first: {first}): in which zone are they? {hint}");
    questions.push(ask("--time-zone ZONE", why));
    None
}

pub(super) fn stamp(
    said: &Said,
    times: &Times<'_>,
    spacing: &Spacing,
    questions: &mut Vec<Question>,
) -> (Option<Stamp>, Option<&'static str>) {
    if said.stamp.is_some() {
        return (said.stamp, None);
    }
    if let Some((stamp, by)) = times.known.and_then(Known::stamp) {
        return (Some(stamp), Some(by));
    }
    match normal(times.name).as_str() {
        "open_time" | "start" | "start_time" => return (Some(Stamp::Start), Some("its name")),
        "close_time" | "end" | "end_time" => return (Some(Stamp::End), Some("its name")),
        _ => {}
    }
    match times.step {
        None | Some(Step::D1 | Step::Tick) => (Some(Stamp::Start), None),
        Some(Step::Mo1) if spacing.all_month_ends() => {
            (Some(Stamp::End), Some("dates that all end a month"))
        }
        Some(step) => {
            let seen = match spacing.hours() {
                Some(hours) if !step.is_dated() => format!(
                    " In the file, days run: {hours}. A first time at which the market opens says \
                     start, one {} later says end",
                    step.name()
                ),
                _ => format!(" The file has {} dates or times", times.written.len()),
            };
            let why = format!("are the bars stamped at their start or at their end?{seen}");
            questions.push(ask("--stamp start or --stamp end", why));
            (None, None)
        }
    }
}
