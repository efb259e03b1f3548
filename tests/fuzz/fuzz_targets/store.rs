//! A whole small store with some bytes changed: opening, reading and verifying it never panic.
#![no_main]

use std::sync::Arc;

use barrow_engine::disk::{Disk, MemoryDisk};
use barrow_engine::{CuratedScan, Engine, Options, Revisions, Scan, verify};
use barrow_fuzz::small_store;
use barrow_types::{ColumnId, DatasetId, SeriesKey, SessionSet, Timestamp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|changes: Vec<(u8, u16, u8)>| {
    let mut files = small_store();
    for (file, at, byte) in changes.into_iter().take(16) {
        let place = usize::from(file) % files.len();
        let content = files.values_mut().nth(place).expect("the place is one of them");
        if !content.is_empty() {
            let at = usize::from(at) % content.len();
            content[at] ^= byte;
        }
    }
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::from_files(files));
    let _ = verify(&disk);
    let options = Options { wal_file_bytes: 4_096, ..Options::default() };
    let Ok((engine, _)) = Engine::open(disk, options, [7; 16]) else { return };
    let snapshot = engine.snapshot();
    for (series, key) in snapshot.series(DatasetId::BARS, None) {
        let scan = Scan {
            series,
            start: Timestamp::MIN,
            end: Timestamp::MAX,
            columns: (1..=7).map(ColumnId::new).collect(),
            as_of: None,
            at_sequence: None,
            revisions: Revisions::All,
        };
        let Ok(mut scanner) = snapshot.scan(scan) else { continue };
        while let Ok(Some(_)) = scanner.next() {}
        let Ok(mut gaps) = snapshot.gaps(gaps_of(&key)) else { continue };
        while let Ok(Some(_)) = gaps.next() {}
    }
});

fn gaps_of(key: &SeriesKey) -> CuratedScan {
    CuratedScan {
        instrument: key.symbol.as_str().into(),
        step: key.step,
        side: key.side,
        start: Timestamp::from_nanos(0),
        end: Timestamp::from_nanos(3_600_000_000_000),
        session: SessionSet::All,
        align: None,
        columns: Vec::new(),
        source: None,
        fallback: None,
        as_of: None,
        at_sequence: None,
        due: Timestamp::MAX,
        empty: true,
        flags: false,
        coverage: true,
    }
}
