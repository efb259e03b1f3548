//! How long does a read of the latest table take from another process, while 100,000 rows a second
//! are written?
//!
//! `--data DIR` is the folder of the table; `--seconds` how long each part takes. The writer is a
//! process of its own that spins until the next row is due; the reader spins, too: each wants a
//! processor for itself, and `writer: CPU` says whether it had one. Each sample is one read between
//! two looks at the clock; what two looks cost with nothing between them is a figure of its own,
//! not subtracted. `a thousand reads` is the mean of a thousand without looks between them.

use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use barrow_benches::{arguments, figure, machine};
use barrow_client::latest_table::publish::{NewTable, next_generation};
use barrow_client::latest_table::{LatestTable, ReadError, RowHead, TableSpec, Which};
use barrow_types::{Reason, Symbol};

const GROUP: &str = "bench";
const SYMBOLS: usize = 500;
const ROWS_PER_SECOND: u64 = 100_000;
const FEATURES: [usize; 2] = [16, 158];

/// Most reads of a part that are kept.
const SAMPLES_MAX: usize = 5_000_000;

const READY: &str = "ready";

fn main() {
    let Some(dir) = arguments::optional::<PathBuf>("--data") else { return };
    if let Some(features) = arguments::optional::<usize>("--write") {
        return write(&dir, features);
    }
    std::fs::create_dir_all(&dir).expect("the folder can be made");
    let time = Duration::from_secs(arguments::value("--seconds", 5));
    figure::many("clock: two looks", "ns", samples(time / 5, || Ok(())).0);
    for features in FEATURES {
        let mut writer = start_writer(&dir, features);
        let mut table = LatestTable::open_dir(&dir, GROUP, Some(&version(features)))
            .expect("the writer made it");
        wait_for_rows(&table);
        parts(&mut table, features, time, writer.id());
        writer.kill().expect("it runs");
        writer.wait().expect("it is ours");
    }
}

fn version(features: usize) -> String {
    format!("of{features}")
}

/// Until every symbol has the two rows that are read.
fn wait_for_rows(table: &LatestTable) {
    while (0..SYMBOLS).any(|index| table.closed_slots(index) < 2) {
        std::hint::spin_loop();
    }
}

fn parts(table: &mut LatestTable, features: usize, time: Duration, writer: u32) {
    let name = |what: &str| format!("latest table, {features} features, {what}");
    let names: Vec<String> = (0..SYMBOLS).map(symbol).collect();
    let before = (machine::cpu_seconds(writer), Instant::now());
    let written: u64 = (0..SYMBOLS).map(|index| table.closed_slots(index)).sum();

    let mut turn = 0_usize;
    let mut next = || {
        // Far from each other, so that the caches of the processor get no help.
        turn = (turn + 263) % SYMBOLS;
        turn
    };
    for (what, which) in [("newest", Which::Newest), ("previous", Which::Previous)] {
        let (took, busy) = samples(time, || table.read_at(next(), which).map(|row| used(row)));
        figure::many(&name(&format!("{what} by index")), "ns", took);
        figure::one(&name(&format!("{what} by index: busy")), "reads", busy as f64);
    }
    let (took, _) = samples(time, || {
        let row = table.latest(&names[next()]).map(|row| used(row));
        row.map_err(|error| error.read().expect("only a row can be missing"))
    });
    figure::many(&name("newest by name"), "ns", took);
    let means = figure::repeat(time, || {
        for _ in 0..1_000 {
            let _ = black_box(table.read_at(next(), Which::Newest).map(|row| used(row)));
        }
    });
    figure::many(&name("newest by index, a thousand reads"), "ns", means);

    let seconds = before.1.elapsed().as_secs_f64();
    let now: u64 = (0..SYMBOLS).map(|index| table.closed_slots(index)).sum();
    figure::one(&name("writer"), "rows/s", (now - written) as f64 / seconds);
    let cpu = (machine::cpu_seconds(writer) - before.0) / seconds;
    figure::one(&name("writer: CPU"), "processors", cpu);
}

/// Looks at a row as a strategy would: at the slot and one feature.
fn used(row: barrow_client::latest_table::Row<'_>) {
    black_box((row.head().ts, row.value(0)));
}

/// The nanoseconds of each read that found a row, and how many found none.
fn samples(time: Duration, mut read: impl FnMut() -> Result<(), ReadError>) -> (Vec<f64>, usize) {
    let mut took = Vec::with_capacity(SAMPLES_MAX);
    let mut busy = 0;
    let end = Instant::now() + time;
    let mut start = Instant::now();
    while start < end && took.len() < SAMPLES_MAX {
        start = Instant::now();
        let found = read();
        let elapsed = start.elapsed();
        match found {
            Ok(()) => took.push(elapsed.as_nanos() as f64),
            Err(ReadError::Busy) => busy += 1,
            Err(error) => panic!("{error}"),
        }
    }
    (took, busy)
}

fn symbol(index: usize) -> String {
    format!("S{index:03}")
}

fn start_writer(dir: &Path, features: usize) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.arg("--data").arg(dir).args(["--write", &features.to_string()]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the writer starts");
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    output.read_line(&mut line).expect("the writer says so");
    assert_eq!(line.trim(), READY);
    child
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set");
    i64::try_from(now.as_nanos()).expect("before 2262")
}

/// The writer: a row every 10 us, for one symbol after the other, until it is killed.
fn write(dir: &Path, features: usize) {
    let parent = std::os::unix::process::parent_id();
    let version = version(features);
    let spec = TableSpec {
        group: GROUP.to_owned(),
        generation: next_generation(dir, GROUP, &version).expect("the folder is there"),
        version,
        features: (0..features).map(|at| format!("f{at}")).collect(),
        capacity: SYMBOLS,
        instance: [1; 16],
        epoch: now().unsigned_abs(),
        heartbeat_limit: 1_000_000_000,
    };
    let mut table = NewTable::create(dir, &spec, now()).expect("the disk has room");
    for index in 0..SYMBOLS {
        let symbol = Symbol::new(&symbol(index)).expect("a name");
        table.writer().add_symbol(&symbol).expect("there is room");
    }
    let mut writer = table.publish().expect("it can be renamed");
    writeln!(std::io::stdout(), "{READY}").expect("the parent listens");
    let layout = writer.layout().row();
    let mut row = vec![0; layout.words()];
    let begin = Instant::now();
    for number in 0_u64.. {
        let due = Duration::from_nanos(number * 1_000_000_000 / ROWS_PER_SECOND);
        while begin.elapsed() < due {
            std::hint::spin_loop();
        }
        let ts = i64::try_from(number).expect("it does not run that long");
        let cells = (0..features).map(|at| (Reason::Ok, at as f64));
        RowHead { ts, ..RowHead::default() }.encode(layout, cells, &mut row);
        writer.publish_closed(usize::try_from(number).expect("64 bits") % SYMBOLS, &row);
        if number.is_multiple_of(ROWS_PER_SECOND / 100) {
            writer.heartbeat(now());
            if std::os::unix::process::parent_id() != parent {
                return;
            }
        }
    }
}
