//! Any bytes as a file of the log: recovery refuses it or reads it, and never panics.
#![no_main]

use barrow_engine::disk::MemoryDisk;
use barrow_engine::wal::file::WalFile;
use barrow_engine::wal::scan::{Expected, replay};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, &[u8])| {
    let (with_header, bytes) = input;
    let file = WalFile { epoch: 1, first: 1 };
    let mut content = Vec::new();
    if with_header {
        content.extend_from_slice(&file.encode([7; 16]));
    }
    content.extend_from_slice(bytes);
    let disk = MemoryDisk::new();
    disk.put(&file.path(), content);
    let expected = Expected { low: 1, durable: 0, instance: [7; 16], up_to: u64::MAX };
    let mut records = 0;
    let end = replay(&disk, &[file], expected, |_, _| {
        records += 1;
        Ok(())
    });
    if let Ok(end) = end {
        assert_eq!(end.records, records);
    }
});
