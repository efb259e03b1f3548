//! Times as they are written, and what is read.

use super::*;
use proptest::prelude::*;

/// Reads `text` by its own format and shows it as `seconds.nanos offset`.
fn shown(text: &str) -> String {
    let Some(format) = TimeFormat::detect_text(&[text]) else {
        return "no time".to_owned();
    };
    let Some(written) = format.read_text(text) else { return "unread".to_owned() };
    let (seconds, nanos) = (written.wall.div_euclid(SECOND), written.wall.rem_euclid(SECOND));
    let offset = match written.offset {
        Offset::Naive => "naive".to_owned(),
        Offset::Utc => "utc".to_owned(),
        Offset::Seconds(seconds) => format!("{seconds:+}"),
    };
    let date = if written.date_only { " date" } else { "" };
    let point = if seconds < 0 { " + 0." } else { "." };
    format!("{} {seconds}{point}{nanos:09} {offset}{date}", format.describe())
}

#[test]
fn each_way_of_writing_a_time_is_read_for_what_it_says() {
    // Seconds from `date -u -d '...' +%s`.
    for (text, expected) in [
        ("1970-01-01", "ISO 0.000000000 naive date"),
        ("1969-12-31 23:59:59.5", "ISO -1 + 0.500000000 naive"),
        ("2026-03-06T14:30:00.000+0000", "ISO 1772807400.000000000 utc"),
        ("2022-06-06 00:00:00+01:00", "ISO 1654473600.000000000 +3600"),
        ("2022-01-03 00:00:00-05:00", "ISO 1641168000.000000000 -18000"),
        ("2012-02-29 23:59:00Z", "ISO 1330559940.000000000 utc"),
        ("2012-02-29 23:59 Z", "ISO 1330559940.000000000 utc"),
        ("2021-12-31 23:01:00.000001", "ISO 1640991660.000001000 naive"),
        ("20110103 090100", "YYYYMMDD 1294045260.000000000 naive"),
        ("20110103", "YYYYMMDD 1294012800.000000000 naive date"),
        ("20110103T09:01:00", "YYYYMMDD 1294045260.000000000 naive"),
        ("20110103 090100065", "YYYYMMDD 1294045260.065000000 naive"),
        ("20110103 090100.065", "YYYYMMDD 1294045260.065000000 naive"),
        ("20110103 090100000065", "YYYYMMDD 1294045260.000065000 naive"),
        ("201101030901", "YYYYMMDD 1294045260.000000000 naive"),
        ("20110103090100", "YYYYMMDD 1294045260.000000000 naive"),
        ("1637971200000", "epoch milliseconds 1637971200.000000000 utc"),
        ("1637971200", "epoch seconds 1637971200.000000000 utc"),
        ("1637971200.123456789", "epoch seconds 1637971200.123456789 utc"),
        ("-1637971200.25", "epoch seconds -1637971201 + 0.750000000 utc"),
        ("1637971200000000", "epoch microseconds 1637971200.000000000 utc"),
        ("1637971200000000001", "epoch nanoseconds 1637971200.000000001 utc"),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_time_is_not_read() {
    for text in [
        "",
        "abc",
        "2023-02-29",
        "2024-13-01",
        "2024-01-00",
        "2024-01-01T24:00:00",
        "2024-01-01 10:60",
        "2024-01-01 10:00:60",
        "2024-01-01 10",
        "2024-01-01T10:00:00+25:00",
        "2024-01-01T10:00:00 Europe/Berlin",
        "01/02/2024",
        "12.5",
        "1",
        "2024-1-2",
        "20110103 0901000",
        "20110103 090",
        "20110103 0901000650000",
        "2024-01-01T10:00:00.",
        "2024-01-01T10:00:00.0000000001",
        "9999999999999999999",
        "2300-01-01",
    ] {
        assert_eq!(shown(text), "no time", "{text:?}");
    }
}

#[test]
fn a_column_of_mixed_units_or_formats_has_no_format() {
    let detect = TimeFormat::detect_text;
    assert_eq!(detect(&["1637971200", "1637971200000"]), None);
    assert_eq!(detect(&["2024-01-01", "20240101"]), None);
    assert_eq!(detect(&["2024-01-01", "2024-01-01 10:00"]), Some(TimeFormat::Iso));
    assert_eq!(detect(&[]), None);
}

#[test]
fn numbers_and_typed_times_are_read_as_their_texts_would_be() {
    let written = |wall, offset| Some(Written { wall, offset, date_only: false });
    let ms = TimeFormat::Epoch(1_000_000);
    let int = Cell::Int(1_637_971_200_123);
    assert_eq!(TimeFormat::detect(&[&int]), Some(ms));
    assert_eq!(ms.read(&int), written(1_637_971_200_123_000_000, Offset::Utc));
    assert_eq!(ms.read(&Cell::Int(i128::MAX)), None);
    let float = Cell::Float(1_546_383_600.078);
    let seconds = TimeFormat::detect(&[&float]).unwrap();
    assert_eq!(seconds.read(&float), written(1_546_383_600_078_000_000, Offset::Utc));
    let day = Cell::Int(20_240_102);
    assert_eq!(TimeFormat::detect(&[&day]), Some(TimeFormat::Compact));
    let time = Cell::Time(written(5, Offset::Naive).unwrap());
    assert_eq!(TimeFormat::detect(&[&Cell::Null, &time]), Some(TimeFormat::Typed));
    assert_eq!(TimeFormat::Typed.read(&time), written(5, Offset::Naive));
    assert_eq!(TimeFormat::Typed.read(&Cell::Null), None);
}

proptest! {
    #[test]
    fn what_is_shown_of_a_time_is_read_as_that_time(
        wall in -6_000_000_000_000_000_000_i64..6_000_000_000_000_000_000,
        minutes in -1_000_i64..1_000,
        naive in proptest::bool::ANY,
    ) {
        let offset = match (naive, minutes) {
            (true, _) => Offset::Naive,
            (false, 0) => Offset::Utc,
            (false, _) => Offset::Seconds(minutes * 60),
        };
        let written = Written { wall, offset, date_only: false };
        prop_assert_eq!(TimeFormat::Iso.read_text(&written.to_string()), Some(written));
    }

    #[test]
    fn an_instant_jiff_prints_is_read_as_that_instant(
        nanos in -6_000_000_000_000_000_000_i64..6_000_000_000_000_000_000
    ) {
        let instant = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap();
        let written = TimeFormat::Iso.read_text(&instant.to_string()).unwrap();
        let utc = Written { wall: nanos, offset: Offset::Utc, date_only: false };
        prop_assert_eq!(written, utc);
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in "[-+0-9:.TZ ]{0,32}") {
        let formats = [
            TimeFormat::Iso,
            TimeFormat::Compact,
            TimeFormat::Epoch(SECOND),
            TimeFormat::Epoch(1),
        ];
        for format in formats {
            let _ = format.read_text(&text);
        }
    }
}
