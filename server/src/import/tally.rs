//! What became of the rows, counted and shown.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use barrow_client::IngestAnswer;
use serde::{Deserialize, Serialize};

use super::part::Unread;

/// How many rows of one reason are shown.
const EXAMPLES_MAX: usize = 3;

/// How many notes are kept; of more, how many there are.
const NOTES_MAX: usize = 50;

/// Rows rejected for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Rejected {
    count: u64,
    examples: Vec<String>,
}

/// What became of the rows of some files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) read: u64,
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    pub(crate) corrected: u64,
    pub(crate) superseded: u64,
    pub(crate) rejected: u64,
    /// Batches that the server had before.
    pub(crate) repeated: u64,
    pub(crate) batches: u64,
    /// Claims that were taken.
    pub(crate) claims: u64,
    notes: Vec<String>,
    /// Notes that are not kept.
    more_notes: u64,
    reasons: BTreeMap<String, Rejected>,
    /// The record up to which batches count as there before; all do without one.
    #[serde(skip)]
    since: Option<u64>,
}

impl Tally {
    /// The same, with batches behind record `since` counted as its own, even if they are there
    /// already: it was broken off, and goes on.
    pub(crate) const fn since(mut self, since: u64) -> Self {
        self.since = Some(since);
        self
    }

    /// Whether the batch of `answer` was there before the import began.
    fn is_repeated(&self, answer: &IngestAnswer) -> bool {
        let is_own = |since| answer.sequence.parse().is_ok_and(|sequence: u64| sequence > since);
        answer.repeated && !self.since.is_some_and(is_own)
    }

    /// Adds the answer to one part of `file`, which had `rows` rows, these unread ones among them;
    /// `unit` is what they are counted by.
    pub(crate) fn add(
        &mut self,
        file: &str,
        unit: &str,
        rows: u64,
        unread: &[Unread],
        answer: &IngestAnswer,
    ) {
        self.read += rows;
        self.accepted += answer.accepted;
        self.duplicates += answer.duplicates;
        self.corrected += answer.corrected;
        self.superseded += answer.superseded;
        self.rejected += answer.rejected;
        self.repeated += u64::from(self.is_repeated(answer));
        self.batches += 1;
        for line in unread {
            self.reject(file, unit, line.line, line.reason, &line.detail);
        }
        let is_unread = |row: u64| unread.binary_search_by_key(&row, |line| line.line).is_ok();
        let mut named = unread.len() as u64;
        for error in answer.errors.iter().filter(|error| !is_unread(error.row)) {
            named += 1;
            self.reject(file, unit, error.row, &error.reason, &error.detail);
        }
        if let Some(more) = answer.rejected.checked_sub(named).filter(|more| *more > 0) {
            let rest = self.reasons.entry("others".to_owned()).or_default();
            rest.count += more;
            let id = &answer.batch_id;
            rest.examples.truncate(EXAMPLES_MAX - 1);
            rest.examples.push(format!("see `barrow dead-letters list --batch {id}`"));
        }
    }

    /// Adds what a person should know.
    pub(crate) fn note(&mut self, note: String) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push(note);
        } else {
            self.more_notes += 1;
        }
    }

    /// Adds a part that is not sent.
    pub(crate) fn add_unsent(&mut self, file: &str, unit: &str, rows: u64, unread: &[Unread]) {
        self.read += rows;
        self.rejected += unread.len() as u64;
        for line in unread {
            self.reject(file, unit, line.line, line.reason, &line.detail);
        }
    }

    fn reject(&mut self, file: &str, unit: &str, line: u64, reason: &str, detail: &str) {
        let rejected = self.reasons.entry(reason.to_owned()).or_default();
        rejected.count += 1;
        if rejected.examples.len() < EXAMPLES_MAX {
            rejected.examples.push(format!("{file} {unit} {line}: {detail}"));
        }
    }

    /// Rows of which the server said what became of them.
    pub(crate) fn answered(&self) -> u64 {
        self.accepted + self.duplicates + self.corrected + self.superseded + self.rejected
    }

    /// Writes the summary.
    pub(crate) fn write(&self, out: &mut dyn Write, elapsed: Duration) -> io::Result<()> {
        let counts = [
            ("read", self.read),
            ("accepted", self.accepted),
            ("duplicate", self.duplicates),
            ("corrected", self.corrected),
            ("superseded", self.superseded),
            ("rejected", self.rejected),
        ];
        self.write_counts(out, &counts)?;
        if self.claims > 0 {
            let claims = grouped(self.claims);
            writeln!(out, "{:<12} {claims:>12}", "claimed")?;
        }
        for note in &self.notes {
            writeln!(out, "{note}")?;
        }
        if self.more_notes > 0 {
            writeln!(out, "and {} more notes", grouped(self.more_notes))?;
        }
        if self.repeated > 0 {
            let (repeated, batches) = (self.repeated, self.batches);
            writeln!(
                out,
                "{repeated} of {batches} batches were imported before: nothing new was stored of \
                 them, the counts are those of the first time"
            )?;
        }
        self.write_rate(out, elapsed)
    }

    /// Writes what was read and not sent.
    pub(crate) fn write_unsent(&self, out: &mut dyn Write, elapsed: Duration) -> io::Result<()> {
        let counts = [("read", self.read), ("not readable", self.rejected)];
        self.write_counts(out, &counts)?;
        self.write_rate(out, elapsed)
    }

    fn write_counts(&self, out: &mut dyn Write, counts: &[(&str, u64)]) -> io::Result<()> {
        for (name, count) in counts {
            writeln!(out, "{name:<12} {:>12}", grouped(*count))?;
        }
        for (reason, rejected) in &self.reasons {
            writeln!(out, "  {reason:<20} {:>8}", grouped(rejected.count))?;
            for example in &rejected.examples {
                writeln!(out, "      {example}")?;
            }
        }
        Ok(())
    }

    fn write_rate(&self, out: &mut dyn Write, elapsed: Duration) -> io::Result<()> {
        let seconds = elapsed.as_secs_f64().max(0.001);
        let rate = self.read as f64 / seconds;
        writeln!(out, "{seconds:.2} s, {rate:.0} rows/s")
    }
}

/// `12952` as `12,952`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use barrow_client::RowError;

    #[test]
    fn rows_are_rejected_once_whoever_said_so() {
        let detail = "open 'x' is not a number".to_owned();
        let unread = [Unread { line: 3, reason: "bad_number", detail, is_told: true }];
        let error = |row, reason: &str| RowError { row, reason: reason.into(), detail: "d".into() };
        let answer = IngestAnswer {
            batch_id: "b".into(),
            accepted: 5,
            rejected: 4,
            errors: vec![error(3, "bad_number"), error(7, "future_ts")],
            ..IngestAnswer::default()
        };
        let mut tally = Tally::default();
        tally.add("a.csv", "line", 9, &unread, &answer);
        assert_eq!((tally.read, tally.answered()), (9, 9));
        let mut out = Vec::new();
        tally.write(&mut out, Duration::from_secs(3)).unwrap();
        let text = String::from_utf8(out).unwrap();
        for expected in [
            "bad_number                  1",
            "a.csv line 3: open 'x' is not a number",
            "future_ts                   1",
            "others                      2",
            "barrow dead-letters list --batch b",
            "3.00 s, 3 rows/s",
        ] {
            assert!(text.contains(expected), "{expected:?} not in\n{text}");
        }
    }

    #[test]
    fn batches_behind_the_begin_of_an_import_are_its_own() {
        let answer = |sequence: &str| IngestAnswer {
            sequence: sequence.to_owned(),
            repeated: true,
            ..IngestAnswer::default()
        };
        let repeated = |mut tally: Tally| {
            for sequence in ["7", "8", "9"] {
                tally.add("a.csv", "line", 1, &[], &answer(sequence));
            }
            tally.repeated
        };
        assert_eq!(repeated(Tally::default()), 3);
        assert_eq!(repeated(Tally::default().since(8)), 2);
    }

    #[test]
    fn notes_beyond_a_bound_are_counted() {
        let mut tally = Tally::default();
        (0..NOTES_MAX + 3).for_each(|number| tally.note(format!("note {number}")));
        let mut out = Vec::new();
        tally.write(&mut out, Duration::from_secs(1)).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("note 49\nand 3 more notes"), "{text}");
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
