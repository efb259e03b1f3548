//! The latest table, written by one process and read by another: no row is ever torn, and a writer
//! that is killed is told.
//!
//! The child is this program again. It writes flat out, every kind of write there is; each word of
//! a row is computed from one counter, so that a row of two writes is seen at once.
//!
//! `BARROW_TORN_READS` says how many rows are read (300,000 unless set), `BARROW_TABLE_KILLS` how
//! many writers are killed (10 unless set).

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use barrow_client::latest_table::publish::{NewTable, name_of, next_generation, retire};
use barrow_client::latest_table::{LatestTable, ReadError, Row, TableSpec, Which};
use barrow_tests::random::Random;
use barrow_types::Symbol;

const READS_DEFAULT: u64 = 300_000;
const KILLS_DEFAULT: u64 = 10;

/// Tell the child where to write, since when it runs, and how old its heartbeat may become.
const CHILD_DIR: &str = "BARROW_TABLE_CHILD_DIR";
const CHILD_EPOCH: &str = "BARROW_TABLE_CHILD_EPOCH";
const CHILD_LIMIT: &str = "BARROW_TABLE_CHILD_LIMIT";

/// What the child says when its table can be read.
const READY: &str = "the table is there";

const GROUP: &str = "torn";
const VERSION: &str = "0123456789abcdef";
const SYMBOLS: usize = 4;
const FEATURES: usize = 16;

/// After how many writes there is a heartbeat.
const WRITES_PER_BEAT: u64 = 256;

/// Long enough that a child that waits for a processor does not count as gone.
const LONG: i64 = 3_600_000_000_000;
/// Short enough that a test can wait for the end of one that was killed.
const SHORT: i64 = 200_000_000;

/// A word of the row that was written as that number.
fn word(number: u64, at: usize) -> u64 {
    if at == 0 { number } else { (number ^ (at as u64) << 56).wrapping_mul(0x9e37_79b9_7f4a_7c15) }
}

/// The number of a row; fails if it is torn.
fn number_of(row: Row<'_>) -> u64 {
    let number = row.words()[0];
    for (at, found) in row.words().iter().enumerate() {
        assert_eq!(*found, word(number, at), "word {at} of row {number} is torn: {row:?}");
    }
    number
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set");
    i64::try_from(now.as_nanos()).expect("before 2262")
}

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}: cannot read {text:?}")),
        Err(_) => default,
    }
}

/// A process that writes until it is killed.
struct Writer(Child);

impl Writer {
    /// Starts one and waits until its table is there. `test` is the test that calls.
    fn start(test: &str, dir: &Path, epoch: u64, limit: i64) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.args(["--exact", test, "--nocapture"]).env(CHILD_DIR, dir);
        command.env(CHILD_EPOCH, epoch.to_string()).env(CHILD_LIMIT, limit.to_string());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the child starts");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let writer = Self(child);
        let is_ready = |line: std::io::Result<String>| line.is_ok_and(|line| line.contains(READY));
        assert!(lines.into_iter().any(is_ready), "the child ended without a table");
        writer
    }

    fn kill(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it is ours");
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Writes flat out for ever, if this process is the child.
fn write_if_child() {
    let Some(dir) = std::env::var_os(CHILD_DIR).map(PathBuf::from) else { return };
    let parent = parent_id();
    let limit = setting(CHILD_LIMIT, 0);
    let spec = TableSpec {
        group: GROUP.to_owned(),
        version: VERSION.to_owned(),
        features: (0..FEATURES).map(|at| format!("f{at}")).collect(),
        capacity: SYMBOLS,
        instance: [1; 16],
        epoch: setting(CHILD_EPOCH, 0),
        generation: next_generation(&dir, GROUP, VERSION).expect("the folder is there"),
        heartbeat_limit: i64::try_from(limit).expect("it came from an i64"),
    };
    let mut table = NewTable::create(&dir, &spec, now()).expect("the disk has room");
    for index in 0..SYMBOLS {
        let symbol = Symbol::new(&format!("S{index}")).expect("a name");
        table.writer().add_symbol(&symbol).expect("there is room");
    }
    let mut writer = table.publish().expect("it can be renamed");
    retire(&dir, &[name_of(&spec)]).expect("the folder is ours");
    writeln!(std::io::stdout(), "{READY}").expect("the parent listens");
    let mut row = vec![0; writer.layout().row().words()];
    for number in 1.. {
        for (at, place) in row.iter_mut().enumerate() {
            *place = word(number, at);
        }
        let index = usize::try_from(number % SYMBOLS as u64).expect("it is small");
        match number / SYMBOLS as u64 % 8 {
            0 => {
                writer.replace_newest(index, &row);
            }
            1 => {
                writer.replace_previous(index, &row);
            }
            2 | 3 => writer.publish_forming(index, &row),
            4 => writer.clear_forming(index),
            _ => writer.publish_closed(index, &row),
        }
        if number.is_multiple_of(WRITES_PER_BEAT) {
            writer.heartbeat(now());
            if parent_id() != parent {
                std::process::exit(0);
            }
        }
    }
}

/// A reader that checks all that it reads.
struct Reader {
    table: LatestTable,
    random: Random,
    /// The number of the last newest row, for each symbol.
    newest: [u64; SYMBOLS],
}

impl Reader {
    fn open(dir: &Path) -> Self {
        let table = LatestTable::open_dir(dir, GROUP, Some(VERSION)).expect("there is a table");
        Self { table, random: Random::new(7), newest: [0; SYMBOLS] }
    }

    fn read_any(&mut self) -> Result<u64, ReadError> {
        let index = self.random.place(SYMBOLS);
        let which = Which::ALL[self.random.place(Which::ALL.len())];
        self.read(index, which)
    }

    fn read(&mut self, index: usize, which: Which) -> Result<u64, ReadError> {
        let number = number_of(self.table.read_at(index, which)?);
        if which == Which::Newest {
            assert!(number >= self.newest[index], "{number} after {}", self.newest[index]);
            self.newest[index] = number;
        }
        Ok(number)
    }

    /// What every row of the table is now.
    fn all(&mut self) -> Vec<Result<u64, ReadError>> {
        let rows = (0..SYMBOLS).flat_map(|index| Which::ALL.map(|which| (index, which)));
        rows.map(|(index, which)| self.read(index, which)).collect()
    }
}

#[test]
fn another_process_never_reads_a_row_that_is_half_written() {
    write_if_child();
    let dir = tempfile::TempDir::new().unwrap();
    let test = "another_process_never_reads_a_row_that_is_half_written";
    let _writer = Writer::start(test, dir.path(), 1, LONG);
    let mut reader = Reader::open(dir.path());
    let reads = setting("BARROW_TORN_READS", READS_DEFAULT);
    let (mut rows, mut busy, mut absent) = (0_u64, 0_u64, 0_u64);
    // Until the writer has certainly written meanwhile, too.
    while rows < reads || reader.newest.iter().any(|&newest| newest < 10_000) {
        match reader.read_any() {
            Ok(_) => rows += 1,
            Err(ReadError::Busy) => busy += 1,
            Err(ReadError::Absent) => absent += 1,
            Err(error) => panic!("{error}"),
        }
    }
    let writes = reader.newest.iter().max().unwrap();
    let _ = writeln!(
        std::io::stderr(),
        "{rows} rows read while {writes} were written: 0 torn, {busy} busy, {absent} absent"
    );
}

#[test]
fn a_writer_killed_in_mid_write_leaves_whole_rows_or_busy_and_is_told() {
    write_if_child();
    let dir = tempfile::TempDir::new().unwrap();
    let test = "a_writer_killed_in_mid_write_leaves_whole_rows_or_busy_and_is_told";
    let mut reader: Option<Reader> = None;
    let mut random = Random::new(11);
    let (mut in_mid_write, kills) = (0, setting("BARROW_TABLE_KILLS", KILLS_DEFAULT));
    for epoch in 1..=kills {
        let mut writer = Writer::start(test, dir.path(), epoch, SHORT);
        let reader = reader.get_or_insert_with(|| Reader::open(dir.path()));
        // A name leads to the table of the writer that lives, from the second on; under load that
        // one may be late with its heartbeat.
        let _ = reader.table.latest("S0").map(number_of);
        assert_eq!(reader.table.spec().epoch, epoch);
        reader.newest = [0; SYMBOLS];
        for _ in 0..random.below(2_000) {
            let _ = reader.read_any();
        }
        writer.kill();
        let mut last = reader.all();
        in_mid_write += u64::from(last.contains(&Err(ReadError::Busy)));
        // Nothing changes any more but that the writer is found to be gone.
        loop {
            let all = reader.all();
            for (now, before) in all.iter().zip(&last) {
                let gone = matches!(now, Err(ReadError::WriterGone { .. }));
                assert!(gone || now == before, "{now:?} after {before:?}");
            }
            if all.iter().all(|row| matches!(row, Err(ReadError::WriterGone { .. }))) {
                break;
            }
            last = all;
        }
        assert!(!reader.table.is_alive());
    }
    let _ = writeln!(
        std::io::stderr(),
        "{kills} writers killed, {in_mid_write} of them while they wrote a row: 0 torn"
    );
}
