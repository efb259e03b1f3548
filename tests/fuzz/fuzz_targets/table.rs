//! Any words as a latest table: refused, or every row of it read in a bounded number of tries.
#![no_main]

use std::sync::Arc;

use barrow_protocol::table::{ReadError, TableReader, TableSpec, TableWord, TableWriter, Which};
use barrow_types::Symbol;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

type Memory = Arc<[TableWord]>;

#[derive(Arbitrary, Debug)]
enum Input {
    Words(Vec<u64>),
    /// A right table of which some words are changed: a right header need not be searched.
    Changed { features: u8, capacity: u8, changes: Vec<(u16, u64)> },
}

fuzz_target!(|input: Input| {
    let memory: Memory = match input {
        Input::Words(words) => words.into_iter().map(TableWord::new).collect(),
        Input::Changed { features, capacity, changes } => {
            let memory = table(features.into(), usize::from(capacity) % 4 + 1);
            for (at, value) in changes {
                let word = &memory[usize::from(at) % memory.len()];
                word.store(value, std::sync::atomic::Ordering::Relaxed);
            }
            memory
        }
    };
    let Ok(reader) = TableReader::open(memory) else { return };
    let mut out = vec![0; reader.layout().row().words()];
    let _ = reader.check_alive(0);
    for index in 0..=reader.layout().capacity() {
        let name = reader.symbol(index);
        assert!(name.is_none() || index < reader.count());
        for which in Which::ALL {
            if let Ok(row) = reader.read(index, which, &mut out) {
                assert_eq!(row.len(), reader.spec().features.len());
                let _ = (row.head(), row.coverage());
            }
        }
    }
    let mut seen = 0;
    match reader.read_slot(0, &mut out, |_, _| seen += 1) {
        Ok(count) => assert_eq!(count.present + count.missing + count.busy, seen),
        Err(error) => assert!(matches!(error, ReadError::Closed { .. })),
    }
});

fn table(features: usize, capacity: usize) -> Memory {
    let spec = TableSpec {
        group: "group".to_owned(),
        version: "0123456789abcdef".to_owned(),
        features: (0..features).map(|at| format!("feature{at}")).collect(),
        capacity,
        instance: [1; 16],
        epoch: 1,
        generation: 1,
        heartbeat_limit: 1,
    };
    let layout = spec.layout().expect("the bounds are kept");
    let memory: Memory = (0..layout.words()).map(|_| TableWord::new(0)).collect();
    let mut writer = TableWriter::init(Arc::clone(&memory), &spec, 0).expect("it is as long");
    let row = vec![0; layout.row().words()];
    let index = writer.add_symbol(&Symbol::new("A").expect("a name")).expect("there is room");
    for _ in 0..3 {
        writer.publish_closed(index, &row);
    }
    writer.publish_forming(index, &row);
    memory
}
