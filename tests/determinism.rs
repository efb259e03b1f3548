//! The same calls give the same bytes.

use std::sync::Arc;

use barrow_engine::disk::{Disk, MemoryDisk};
use barrow_engine::{Options, Scope};
use barrow_tests::bar_store::{Act, BarStore, Expected};
use barrow_tests::compare::Trouble;
use barrow_tests::faulty_disk::FaultyDisk;
use barrow_tests::loads::random_load;
use barrow_tests::random::Random;
use barrow_tests::volume::Image;

/// Plays the history of a seed.
fn play(seed: u64, disk: Arc<dyn Disk>) -> Result<(), Trouble> {
    let mut random = Random::new(seed);
    let options = Options {
        wal_file_bytes: 8_192,
        manifest_bytes_max: 150,
        compact_fan_out: 2,
        own_file_bytes: 500,
        ..Options::default()
    };
    let (mut store, _) = BarStore::open(disk, options, Expected::default())?;
    for at in 0..40 {
        let (model, now) = (&store.expected().model, store.next_now());
        let act = match random.below(13) {
            0 => Act::Flush,
            1 => Act::Seal,
            2 => Act::Reopen,
            3 => Act::Abandon,
            4 => Act::Compact(if random.chance(50) { Scope::Due } else { Scope::All }),
            5 => Act::Spare,
            6 => Act::Masks,
            7 => Act::Tiles,
            _ => Act::Commit(vec![random_load(format!("batch-{at}"), model, now, &mut random)]),
        };
        store.act(&act)?;
    }
    store.close()?;
    Ok(())
}

#[test]
fn the_same_commits_give_the_same_bytes_of_all_files() {
    for seed in 0..20 {
        let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
        play(seed, Arc::new(first.clone()))
            .unwrap_or_else(|trouble| panic!("seed {seed}: {trouble}"));
        play(seed, Arc::new(second.clone()))
            .unwrap_or_else(|trouble| panic!("seed {seed}: {trouble}"));
        let (first, second) = (Image::of(&first), Image::of(&second));
        let paths = |image: &Image| image.files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(paths(&first), paths(&second), "seed {seed}");
        for (path, bytes) in &first.files {
            assert!(*bytes == second.files[path], "seed {seed}: {path} differs");
        }
    }
}

#[test]
fn another_disk_gets_the_same_bytes() {
    for seed in 0..5 {
        let (memory, faulty) = (MemoryDisk::new(), FaultyDisk::new());
        play(seed, Arc::new(memory.clone()))
            .unwrap_or_else(|trouble| panic!("seed {seed}: {trouble}"));
        play(seed, Arc::new(faulty.clone()))
            .unwrap_or_else(|trouble| panic!("seed {seed}: {trouble}"));
        assert_eq!(Image::of(&memory), faulty.volume().current(), "seed {seed}");
    }
}
