//! The last operations of an episode, told when it fails.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write as _;

use barrow_tests::model::{Load, Value};

/// How many operations are told.
const NOTES_MAX: usize = 40;

/// How many rows of one batch are told.
const ROWS_MAX: usize = 60;

/// Something the episode did.
pub(crate) enum Note {
    Did(String),
    Offered(&'static str, Load),
}

/// Prints itself if the thread panics while it is alive.
pub(crate) struct Trail {
    title: String,
    repeat: String,
    step: u64,
    notes: VecDeque<(u64, Note)>,
}

impl Trail {
    /// The trail of an episode that `repeat` repeats.
    pub(crate) const fn new(title: String, repeat: String) -> Self {
        Self { title, repeat, step: 0, notes: VecDeque::new() }
    }

    /// The next operation begins.
    pub(crate) const fn advance(&mut self) {
        self.step += 1;
    }

    pub(crate) fn did(&mut self, what: impl Into<String>) {
        self.push(Note::Did(what.into()));
    }

    pub(crate) fn offered(&mut self, how: &'static str, load: &Load) {
        self.push(Note::Offered(how, load.clone()));
    }

    fn push(&mut self, note: Note) {
        if self.notes.len() == NOTES_MAX {
            self.notes.pop_front();
        }
        self.notes.push_back((self.step, note));
    }

    fn tell(&self) -> String {
        let mut text =
            format!("{} failed at operation {}. The last ones:\n", self.title, self.step);
        for (step, note) in &self.notes {
            let _ = match note {
                Note::Did(what) => writeln!(text, "{step:>6}  {what}"),
                Note::Offered(how, load) => writeln!(text, "{step:>6}  {how} {}", show(load)),
            };
        }
        let _ = writeln!(text, "Again: {}", self.repeat);
        text
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = std::io::stderr().write_all(self.tell().as_bytes());
        }
    }
}

fn show(load: &Load) -> String {
    let act = if load.retract { "retract" } else { "insert" };
    let (step, side) = (load.step.name(), load.side.name());
    let mut text = format!(
        "batch {} {act} {:?} {} {step} {side} policy {:?} unreadable {}",
        load.id, load.table, load.source, load.policy, load.refused
    );
    for (place, row) in load.rows.iter().take(ROWS_MAX).enumerate() {
        let _ = write!(text, "\n        #{place} {:?} ts {:?}", row.symbol, row.ts);
        if let Some(known_at) = row.known_at {
            let _ = write!(text, " known_at {known_at}");
        }
        for value in &row.values {
            let _ = match value {
                Value::Null => write!(text, " -"),
                Value::F64(bits) => write!(text, " {:?}", f64::from_bits(*bits)),
                Value::I64(value) => write!(text, " {value}"),
                Value::Text(value) => write!(text, " {value:?}"),
            };
        }
    }
    if load.rows.len() > ROWS_MAX {
        let _ = write!(text, "\n        ... {} rows in all", load.rows.len());
    }
    text
}
