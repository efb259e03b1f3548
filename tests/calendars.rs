//! The embedded calendars against tables of sessions that others made, with exchange_calendars.
//!
//! These files lie beside the source and not in it; without them there is nothing to compare, and
//! the test says so. `tests/calendars.py` compares with the libraries themselves, and further.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use barrow_engine::calendar::{Calendar, Session, SessionKind};
use barrow_types::{DAY_NANOS, civil_from_days, days_from_civil};
use flate2::read::GzDecoder;

/// A line of a table: session, open, break start, break end, close, early close, late open.
fn lines(name: &str) -> Option<Vec<Vec<String>>> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/reference/calendars");
    let path = folder.join(format!("{name}_sessions.csv.gz"));
    let Ok(file) = File::open(&path) else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no reference table of {name}");
        return None;
    };
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).expect("gzip of UTF-8");
    let cells = |line: &str| line.split(',').map(str::to_owned).collect();
    Some(text.lines().skip(1).map(cells).collect())
}

fn date(text: &str) -> i32 {
    let part = |from: usize, to: usize| text[from..to].parse().expect("digits");
    let days = days_from_civil(part(0, 4), part(5, 7), part(8, 10));
    i32::try_from(days).expect("a date of our time")
}

/// `2013-10-07T13:30:00Z`, as the tables write it.
fn shown(at: i64) -> String {
    let (year, month, day) = civil_from_days(at.div_euclid(DAY_NANOS));
    let seconds = at.rem_euclid(DAY_NANOS) / 1_000_000_000;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn line_of(session: &Session) -> Vec<String> {
    let flag = |is: bool| if is { "1" } else { "0" }.to_owned();
    let pause = |at: Option<i64>| at.map_or_else(String::new, shown);
    vec![
        shown(i64::from(session.date) * DAY_NANOS)[..10].to_owned(),
        shown(session.open),
        pause(session.pause.map(|(from, _)| from)),
        pause(session.pause.map(|(_, to)| to)),
        shown(session.close),
        flag(session.kind == SessionKind::EarlyClose),
        flag(session.kind == SessionKind::LateOpen),
    ]
}

/// exchange_calendars knows one calendar for all of CME's products, with Good Fridays closed and a
/// close at 17:00 in Chicago. Ours is that of the equity futures, which trade on some of these days
/// and close at 16:00, so only dates, opens and the days that end early can be compared.
#[test]
fn every_session_of_the_reference_table_of_cme_is_ours_with_the_same_open() {
    let Some(expected) = lines("CMES") else { return };
    assert!(expected.len() > 5_000, "{} lines", expected.len());
    let calendar = Calendar::embedded("CMES").expect("an embedded calendar");
    for theirs in &expected {
        let session = calendar.session(date(&theirs[0]));
        let ours = session.map(|session| line_of(&session)).unwrap_or_default();
        assert_eq!(ours.get(..2), theirs.get(..2));
        let closes = |line: &[String]| line[4].clone();
        assert!(closes(&ours) <= closes(theirs) || theirs[5] == "1", "{ours:?} {theirs:?}");
        assert!(theirs[5] == "0" || ours[5] == "1", "{ours:?} {theirs:?}");
    }
}

#[test]
fn every_session_of_the_reference_tables_is_ours_and_none_is_more() {
    for name in ["XNYS", "XLON"] {
        let Some(expected) = lines(name) else { continue };
        let calendar = Calendar::embedded(name).expect("an embedded calendar");
        let (first, last) = (date(&expected[0][0]), date(&expected[expected.len() - 1][0]));
        let found: Vec<_> = calendar.sessions(first, last + 1).map(|s| line_of(&s)).collect();
        assert!(expected.len() > 5_000, "{name}: {} lines", expected.len());
        for (ours, theirs) in found.iter().zip(&expected) {
            assert_eq!(ours, theirs, "{name}");
        }
        assert_eq!(found.len(), expected.len(), "{name}");
    }
}
