//! What an episode did, for whoever reads its failure.

use std::collections::VecDeque;
use std::fmt::{Debug, Write as _};

use barrow_tests::curated_schedule::Timed;
use barrow_types::{DAY_NANOS, civil_from_days};

/// How many acts are told, if the episode is not run alone.
const NOTES_MAX: usize = 25;

/// The last acts, each with its number.
#[derive(Debug)]
pub(crate) struct Story {
    notes: VecDeque<(u64, Note)>,
    notes_max: usize,
    acts: u64,
}

#[derive(Debug)]
enum Note {
    Act(Timed),
    Happened(String),
}

impl Story {
    /// One that tells all of its acts, or the last ones.
    pub(crate) fn new(all: bool) -> Self {
        let notes_max = if all { usize::MAX } else { NOTES_MAX };
        Self { notes: VecDeque::new(), notes_max, acts: 0 }
    }

    /// The next act begins.
    pub(crate) fn begin(&mut self, act: &Timed) {
        self.acts += 1;
        self.push(Note::Act(act.clone()));
    }

    /// What was not in the schedule.
    pub(crate) fn happened(&mut self, what: impl Into<String>) {
        self.push(Note::Happened(what.into()));
    }

    fn push(&mut self, note: Note) {
        if self.notes.len() == self.notes_max {
            self.notes.pop_front();
        }
        self.notes.push_back((self.acts, note));
    }

    pub(crate) fn tell(&self) -> String {
        let mut text = format!("The last acts of {}:\n", self.acts);
        for (act, note) in &self.notes {
            let note = match note {
                Note::Act(act) => readable(act),
                Note::Happened(what) => what.clone(),
            };
            let _infallible = writeln!(text, "{act:>4}  {note}");
        }
        text
    }
}

/// Something as a person can read it: instants as times of day, doubles as numbers.
pub(crate) fn readable(what: &impl Debug) -> String {
    let text = format!("{what:?}");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let len = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        let (digits, after) = from.split_at(len);
        out += before;
        out += &match digits.parse::<u64>() {
            Ok(bits) if out.ends_with("F64(") => f64::from_bits(bits).to_string(),
            Ok(number) => instant(number).unwrap_or_else(|| digits.to_owned()),
            Err(_) => digits.to_owned(),
        };
        rest = after;
    }
    out + rest
}

/// The time, if the number is one that schedules have.
fn instant(number: u64) -> Option<String> {
    let at = i64::try_from(number).ok()?;
    let (year, month, day) = civil_from_days(at.div_euclid(DAY_NANOS));
    let of_day = at.rem_euclid(DAY_NANOS);
    let (seconds, nanos) = (of_day / 1_000_000_000, of_day % 1_000_000_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let fraction = if nanos == 0 { String::new() } else { format!(".{nanos:09}") };
    (2020..2030)
        .contains(&year)
        .then(|| format!("{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}{fraction}"))
}
