//! Checks files of masks: every checksum, and every mask against the rows it is made of.

use roaring::RoaringBitmap;

use crate::disk::Disk;
use crate::error::Error;
use crate::snapshot::Snapshot;

use super::mask_file::{self, Entry, Header};
use super::masks::{Asked, instants};
use super::stored::{self, Stored};

/// What to do about any of it.
const REMEDY: &str = "stop the server, remove the file, start again: masks are made from the rows";

/// What was read and what was wrong with it.
#[derive(Default)]
pub(crate) struct Verified {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) problems: Vec<String>,
}

impl Verified {
    fn problem(&mut self, path: &str, why: &str) {
        self.problems.push(format!("{path}: {why}; {REMEDY}"));
    }
}

/// Checks the files of a store that nobody has open. `snapshot` holds what is in segments, and
/// `last` is the last record of the store, if its log can be read.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn verify_files(
    disk: &dyn Disk,
    instance: [u8; 16],
    snapshot: &Snapshot,
    last: Option<u64>,
) -> Result<Verified, Error> {
    let mut verified = Verified::default();
    for number in stored::list(disk)?.0 {
        let path = mask_file::path(number);
        verified.files += 1;
        let stored = match Stored::open(disk, number) {
            Ok(stored) => stored,
            Err(error) => {
                verified.problems.push(format!("{error}; {REMEDY}"));
                continue;
            }
        };
        verified.bytes += stored.len;
        if let Err(why) = stored::check(&stored.header, instance, last.unwrap_or(u64::MAX)) {
            verified.problem(&path, &why);
            continue;
        }
        let read = |entry: &Entry| Some(stored.mask(disk, entry));
        compare(&path, &stored.header, &stored.entries, snapshot, read, &mut verified);
    }
    Ok(verified)
}

/// Checks the file that the readers of `snapshot` use, of a store that is open.
pub(crate) fn verify(snapshot: &Snapshot) -> Verified {
    let mut verified = Verified::default();
    let generation = snapshot.generation();
    let copied = generation
        .masks
        .with_stored(|stored| (stored.number, stored.len, stored.header, stored.entries.clone()));
    let Some((number, len, header, entries)) = copied else { return verified };
    (verified.files, verified.bytes) = (1, len);
    // Asked for one by one: a new file that is installed meanwhile has to wait for none of it.
    let read = |entry: &Entry| {
        let mask = generation.masks.with_stored(|stored| {
            (stored.number == number).then(|| stored.mask(&*generation.disk, entry))
        });
        mask.flatten()
    };
    compare(&mask_file::path(number), &header, &entries, snapshot, read, &mut verified);
    verified
}

/// Compares masks with the rows; ends where `read` finds that the file is not in use any more.
fn compare(
    path: &str,
    header: &Header,
    entries: &[Entry],
    snapshot: &Snapshot,
    read: impl Fn(&Entry) -> Option<Result<RoaringBitmap, Error>>,
    verified: &mut Verified,
) {
    for entry in entries {
        let (series, block) = (entry.series.get(), entry.block);
        let found = match read(entry) {
            Some(Ok(found)) => found,
            Some(Err(error)) => {
                verified.problems.push(format!("{error}; {REMEDY}"));
                continue;
            }
            None => return,
        };
        // After damage to a root the segments may be older than the masks; the log has the rest.
        if header.sequence > snapshot.sequence().get() {
            continue;
        }
        match right(entry, header, snapshot) {
            Ok(Some(right)) if right == found => {}
            Ok(Some(_)) => {
                let why =
                    format!("the mask of series {series}, block {block}, is not what its rows say");
                verified.problem(path, &why);
            }
            Ok(None) => {
                verified
                    .problem(path, &format!("it has a mask of series {series}, which has none"));
            }
            // Damage to rows is told where they are checked.
            Err(_) => {}
        }
    }
}

/// The mask that an entry should have; `None` if its series is not one of such bars.
fn right(
    entry: &Entry,
    header: &Header,
    snapshot: &Snapshot,
) -> Result<Option<RoaringBitmap>, Error> {
    let key = snapshot.generation().catalog.key(entry.series);
    if key.is_none_or(|key| key.step != entry.step) {
        return Ok(None);
    }
    let asked = Asked {
        snapshot,
        series: entry.series,
        step: entry.step,
        as_of: None,
        at_sequence: Some(barrow_types::Sequence::new(header.sequence)),
    };
    asked.read(&instants(entry.step, entry.block), entry.block).map(Some)
}
