//! Every bit of a small store, flipped one at a time: found, or harmless.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use barrow_engine::disk::{Disk, MemoryDisk};
use barrow_engine::{Engine, Options, Scope, verify};
use barrow_tests::bar_store::{Act, BarStore, Expected, INSTANCE};
use barrow_tests::compare::{self, Trouble};
use barrow_tests::console::say;
use barrow_tests::loads::{random_load, run_of_bars};
use barrow_tests::model::Model;
use barrow_tests::random::Random;
use barrow_tests::volume::Image;
use barrow_tests::workers::on_all_cores;

const STORE_BYTES_MAX: usize = 32 << 10;

/// Bits that one piece of work flips.
const BITS_A_PIECE: usize = 1_024;

fn options() -> Options {
    Options { wal_file_bytes: 4_096, own_file_bytes: 500, ..Options::default() }
}

/// A store with compacted and other segments, an own file among them, revisions, a retraction,
/// masks, tiles, records in the log, and a seal.
fn store() -> Result<(Image, Model), Trouble> {
    let disk = MemoryDisk::new();
    let handle = Arc::new(disk.clone());
    let (mut store, _) = BarStore::open(handle, options(), Expected::default())?;
    let mut random = Random::new(3);
    for at in 0..10 {
        let (model, now) = (&store.expected().model, store.next_now());
        let load = random_load(format!("batch-{at}"), model, now, &mut random);
        let act = match at {
            3 | 5 | 7 => Act::Flush,
            6 => Act::Compact(Scope::All),
            _ => Act::Commit(vec![load]),
        };
        store.act(&act)?;
    }
    store.act(&Act::Masks)?;
    store.act(&Act::Tiles)?;
    let last = Act::Commit(vec![run_of_bars("last".to_owned(), "SPY", 3, 2)]);
    store.act(&last)?;
    let expected = store.close()?;
    Ok((Image::of(&disk), expected.model))
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    bits: usize,
    /// The store could not be opened, or something in it not read.
    stumbled: usize,
    /// Only `verify` noticed.
    only_verified: usize,
    /// The answers are right and nobody noticed: bytes that nobody reads.
    unnoticed: usize,
}

#[test]
fn every_flipped_bit_is_found_or_harmless() {
    let (image, model) = store().unwrap_or_else(|trouble| panic!("{trouble}"));
    let len: usize = image.files.values().map(|bytes| bytes.len()).sum();
    assert!(len <= STORE_BYTES_MAX, "the store takes {len} bytes");
    for (ending, what) in [(".masks", "masks"), (".tiles", "tiles")] {
        assert!(image.files.keys().any(|path| path.ends_with(ending)), "it has {what}");
    }
    let mut plain = image.clone();
    plain.files.retain(|path, _| !path.starts_with("derived/"));
    let (engine, _) = Engine::open(Arc::new(plain.disk()), options(), INSTANCE).unwrap();
    let bars = compare::made_bars(&engine.snapshot()).unwrap();
    assert!(bars.contains("F64"), "bars are made of others");
    let untouched = judge(&image, &model, &bars).unwrap();
    assert_eq!((untouched.stumbled, untouched.only_verified), (0, 0), "before any bit is flipped");

    let places: Vec<(&String, usize)> = image
        .files
        .iter()
        .flat_map(|(path, bytes)| (0..bytes.len()).map(move |at| (path, at)))
        .collect();
    let mut total = Tally::default();
    on_all_cores(
        (places.len() * 8).div_ceil(BITS_A_PIECE),
        |piece| {
            let mut tally = Tally::default();
            let first = piece * BITS_A_PIECE;
            for number in first..(first + BITS_A_PIECE).min(places.len() * 8) {
                let (path, at) = places[number / 8];
                let bit = 1_u8 << (number % 8);
                let mut flipped = image.clone();
                let content = flipped.files.get_mut(path).expect("invariant: a file of the image");
                Arc::make_mut(content)[at] ^= bit;
                tally.add(
                    judge(&flipped, &model, &bars)
                        .map_err(|what| format!("{path}, byte {at}, bit {bit:#04x}: {what}"))?,
                );
            }
            Ok(tally)
        },
        |tally| {
            total.add(tally);
            true
        },
    );
    say(&format!(
        "{} bits of {} files flipped: {} refused by opening or reading, {} more found by verify, \
         {} harmless; 0 wrong answers",
        total.bits,
        image.files.len(),
        total.stumbled,
        total.only_verified,
        total.unnoticed
    ));
    assert_eq!(total.bits, len * 8);
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.bits += other.bits;
        self.stumbled += other.stumbled;
        self.only_verified += other.only_verified;
        self.unnoticed += other.unnoticed;
    }
}

fn judge(image: &Image, model: &Model, bars: &str) -> Result<Tally, String> {
    let judged = catch_unwind(AssertUnwindSafe(|| {
        let disk: Arc<dyn Disk> = Arc::new(image.disk());
        let verified = match verify(&disk) {
            Ok(report) => report.problems.is_empty(),
            Err(_) => false,
        };
        let read = Engine::open(disk, options(), INSTANCE).map_err(Trouble::Failed).and_then(
            |(engine, _)| {
                compare::everything(&engine.snapshot(), model)?;
                match compare::made_bars(&engine.snapshot())? == bars {
                    true => Ok(()),
                    false => Err(Trouble::Wrong("bars that are made of others".to_owned())),
                }
            },
        );
        let mut tally = Tally { bits: 1, ..Tally::default() };
        match read {
            Ok(()) if verified => tally.unnoticed = 1,
            Ok(()) => tally.only_verified = 1,
            Err(Trouble::Failed(error)) if verified => {
                return Err(format!("verify finds nothing, but: {error}"));
            }
            Err(Trouble::Failed(_)) => tally.stumbled = 1,
            Err(trouble @ Trouble::Wrong(_)) => return Err(trouble.to_string()),
        }
        Ok(tally)
    }));
    judged.unwrap_or_else(|_| Err("panic".to_owned()))
}
