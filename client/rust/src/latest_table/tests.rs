use std::fs;

use barrow_protocol::table::{TableFileName, TableWriter};
use barrow_types::{Reason, Symbol};
use tempfile::TempDir;

use super::publish::{NewTable, WriteMap, name_of, next_generation, retire};
use super::*;

const GROUP: &str = "alpha";
const SECOND: i64 = 1_000_000_000;

fn folder() -> TempDir {
    TempDir::new().expect("a folder for a test")
}

fn spec(version: &str, generation: u64) -> TableSpec {
    TableSpec {
        group: GROUP.to_owned(),
        version: version.to_owned(),
        features: vec!["mean".to_owned(), "spread".to_owned()],
        capacity: 3,
        instance: [7; 16],
        epoch: 1,
        generation,
        heartbeat_limit: 60 * SECOND,
    }
}

/// The first slot of the symbols with that value.
fn publish(folder: &TempDir, spec: &TableSpec, value: f64) -> TableWriter<WriteMap> {
    let mut table = NewTable::create(folder.path(), spec, clock::now()).expect("it can be made");
    table.writer().set_promoted(true);
    for name in ["A", "B"] {
        close_slot(table.writer(), name, 60, value);
    }
    table.publish().expect("it can be renamed")
}

fn close_slot(writer: &mut TableWriter<WriteMap>, name: &str, ts: i64, value: f64) {
    let index = match name {
        "A" => 0,
        "B" => 1,
        _ => 2,
    };
    if index == writer.count() {
        let symbol = Symbol::new(name).expect("a name");
        writer.add_symbol(&symbol).expect("there is room");
    }
    let layout = writer.layout().row();
    let mut row = vec![0; layout.words()];
    let cells = [(Reason::Ok, value), (Reason::WarmUp, 0.0)];
    RowHead { ts, ..RowHead::default() }.encode(layout, cells, &mut row);
    writer.publish_closed(index, &row);
}

fn value(table: &mut LatestTable, symbol: &str) -> Result<f64, TableError> {
    table.latest(symbol).map(|row| row.value(0).expect("it has a number"))
}

fn check_error(result: Result<f64, TableError>, expected: ReadError) {
    assert_eq!(result.unwrap_err().read(), Some(expected));
}

#[test]
fn a_table_is_read_by_file_by_version_and_by_the_bare_name_of_its_group() {
    let folder = folder();
    let _writer = publish(&folder, &spec("01", 1), 1.5);
    let path = folder.path().join("alpha-01.1.latest");
    for mut table in [
        LatestTable::open(&path).unwrap(),
        LatestTable::open_dir(folder.path(), GROUP, Some("01")).unwrap(),
        LatestTable::open_dir(folder.path(), GROUP, None).unwrap(),
    ] {
        assert_eq!(table.spec(), &spec("01", 1));
        let row = table.latest("B").unwrap();
        assert_eq!((row.head().ts, row.value(0)), (60, Some(1.5)));
        assert_eq!(row.reason(1), Some(Reason::WarmUp));
        assert_eq!(table.previous("B").unwrap_err().read(), Some(ReadError::Absent));
        assert_eq!(table.forming("B").unwrap_err().read(), Some(ReadError::Absent));
        assert!(table.is_alive());
    }
}

#[test]
fn a_symbol_is_found_as_soon_as_it_is_added() {
    let folder = folder();
    let mut writer = publish(&folder, &spec("01", 1), 1.0);
    let mut table = LatestTable::open_dir(folder.path(), GROUP, None).unwrap();
    let error = table.latest("C").unwrap_err();
    assert_eq!(error.to_string(), "the table has no symbol 'C' yet");
    close_slot(&mut writer, "C", 60, 3.0);
    assert_eq!(value(&mut table, "C").unwrap(), 3.0);
    let index = table.index("C").unwrap();
    assert_eq!((table.count(), table.symbol(index).unwrap().as_str()), (3, "C"));
    assert_eq!(table.closed_slots(index), 1);
    assert_eq!(table.read_at(index, Which::Newest).unwrap().value(0), Some(3.0));
}

#[test]
fn a_closed_generation_is_left_for_its_successor_but_not_by_index() {
    let folder = folder();
    let old = publish(&folder, &spec("01", 1), 1.0);
    let mut by_name = LatestTable::open_dir(folder.path(), GROUP, Some("01")).unwrap();
    let mut by_index = LatestTable::open_dir(folder.path(), GROUP, Some("01")).unwrap();
    let index = by_index.index("B").unwrap();
    let generation = next_generation(folder.path(), GROUP, "01").unwrap();
    assert_eq!(generation, 2);
    let _new = publish(&folder, &TableSpec { capacity: 9, ..spec("01", generation) }, 2.0);
    assert_eq!(value(&mut by_name, "A").unwrap(), 1.0, "the old one is still written");
    old.close(Some(generation));
    assert_eq!(value(&mut by_name, "A").unwrap(), 2.0);
    assert_eq!((by_name.spec().generation, by_name.spec().capacity), (2, 9));
    let closed = ReadError::Closed { successor: Some(2) };
    assert_eq!(by_index.read_at(index, Which::Newest).unwrap_err(), closed);
    assert!(!by_index.is_alive());
    assert!(by_index.follow().unwrap());
    assert!(by_index.read_at(index, Which::Newest).is_ok());
    assert!(!by_index.follow().unwrap(), "there is no other");
}

#[test]
fn a_server_that_stopped_is_told_until_the_next_one_shares() {
    let folder = folder();
    publish(&folder, &spec("01", 1), 1.0).close(None);
    let error = LatestTable::open_dir(folder.path(), GROUP, None).unwrap_err();
    assert!(error.to_string().starts_with("no server shares a promoted version of alpha in "));
    let mut table = LatestTable::open(&folder.path().join("alpha-01.1.latest")).unwrap();
    check_error(value(&mut table, "A"), ReadError::Closed { successor: None });
    let _writer = publish(&folder, &TableSpec { epoch: 2, ..spec("01", 2) }, 5.0);
    assert_eq!(value(&mut table, "A").unwrap(), 5.0);
    assert_eq!(table.spec().epoch, 2);
}

#[test]
fn a_server_that_was_killed_is_told_and_its_files_are_cleared_by_the_next() {
    let folder = folder();
    let killed = publish(&folder, &spec("01", 1), 1.0);
    let mut table = LatestTable::open_dir(folder.path(), GROUP, None).unwrap();
    let since = clock::now() - 61 * SECOND;
    killed.heartbeat(since);
    check_error(value(&mut table, "A"), ReadError::WriterGone { since });
    assert_eq!(table.slot(60).unwrap_err().read(), Some(ReadError::WriterGone { since }));
    assert!(!table.is_alive());
    let other = killed_of_another_group(&folder);

    let spec = TableSpec { epoch: 2, ..spec("01", 2) };
    let _writer = publish(&folder, &spec, 5.0);
    assert_eq!(value(&mut table, "A").unwrap(), 5.0, "even before the old one is closed");
    assert_eq!(retire(folder.path(), &[name_of(&spec)]).unwrap(), 2);
    let old = TableWriter::memory(&killed).as_ref();
    assert_eq!(old[18].load(std::sync::atomic::Ordering::Relaxed), 2, "its successor");
    let old = TableWriter::memory(&other).as_ref();
    assert_eq!(old[18].load(std::sync::atomic::Ordering::Relaxed), u64::MAX, "none");
    assert_eq!(files(&folder), ["alpha-01.2.latest"]);
    assert_eq!(value(&mut table, "A").unwrap(), 5.0);
}

fn killed_of_another_group(folder: &TempDir) -> TableWriter<WriteMap> {
    let spec = TableSpec { group: "beta".to_owned(), ..spec("01", 4) };
    let hidden = TableFileName { generation: 5, ..name_of(&spec) };
    fs::write(folder.path().join(format!("{hidden}.tmp")), "half").expect("room");
    publish(folder, &spec, 1.0)
}

fn files(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).expect("it can be listed");
    entries.map(|entry| entry.expect("listed").file_name().into_string().expect("text")).collect()
}

#[test]
fn a_table_opened_by_the_bare_name_goes_with_the_promoted_version() {
    let folder = folder();
    let mut old = publish(&folder, &spec("01", 1), 1.0);
    let mut bare = LatestTable::open_dir(folder.path(), GROUP, None).unwrap();
    let mut exact = LatestTable::open_dir(folder.path(), GROUP, Some("01")).unwrap();
    let mut new = publish(&folder, &spec("02", 1), 2.0);
    assert_eq!(value(&mut bare, "A").unwrap(), 1.0, "both are promoted");
    old.set_promoted(false);
    assert_eq!(value(&mut bare, "A").unwrap(), 2.0);
    assert_eq!(bare.spec().version, "02");
    assert_eq!(value(&mut exact, "A").unwrap(), 1.0);
    new.set_promoted(false);
    let error = value(&mut bare, "A").unwrap_err().to_string();
    assert!(error.starts_with("no server shares a promoted version of alpha in "), "{error}");
}

#[test]
fn all_rows_of_a_slot_come_at_once_with_who_is_missing() {
    let folder = folder();
    let mut writer = publish(&folder, &spec("01", 1), 1.0);
    close_slot(&mut writer, "A", 120, 2.0);
    let mut table = LatestTable::open_dir(folder.path(), GROUP, None).unwrap();
    for (ts, present, missing) in
        [(60, &[(0, 1.0), (1, 1.0)][..], &[][..]), (120, &[(0, 2.0)], &[1]), (180, &[], &[0, 1])]
    {
        let rows = table.slot(ts).unwrap();
        let found: Vec<_> = rows.rows().map(|(at, row)| (at, row.value(0).unwrap())).collect();
        assert_eq!(found, present, "{ts}");
        assert_eq!((rows.missing(), rows.busy()), (missing, &[][..]), "{ts}");
        assert_eq!(rows.symbol(0).unwrap().as_str(), "A");
    }
}

#[test]
fn files_that_are_no_tables_say_so() {
    let folder = folder();
    let path = folder.path().join("alpha-01.1.latest");
    let missing = LatestTable::open(&path).unwrap_err().to_string();
    assert!(missing.starts_with("map ") && missing.contains("No such file"), "{missing}");
    for bytes in [&b""[..], b"short", &[0; 8192]] {
        fs::write(&path, bytes).unwrap();
        let error = LatestTable::open(&path).unwrap_err().to_string();
        assert_eq!(error, format!("{}: this is no latest table", path.display()));
    }
    let good = publish(&folder, &spec("01", 1), 1.0);
    let words = TableWriter::memory(&good).as_ref();
    let bytes =
        words.iter().flat_map(|word| word.load(std::sync::atomic::Ordering::Relaxed).to_le_bytes());
    let cut: Vec<u8> = bytes.take(words.len() * 8 - 3).collect();
    fs::write(&path, &cut).unwrap();
    let error = LatestTable::open_dir(folder.path(), GROUP, None).unwrap_err().to_string();
    assert!(error.contains("the table says that it has"), "{error}");
}
