//! Checks files of masks: every checksum, and every mask against the rows it is made of.

use barrow_types::{Sequence, SeriesId};
use roaring::RoaringBitmap;

use crate::disk::Disk;
use crate::error::Error;
use crate::generation::Generation;
use crate::snapshot::Snapshot;

use super::mask_file::{self, Entry, Header};
use super::masks::{Asked, instants};
use super::stored::Stored;

/// What to do about any of it.
const REMEDY: &str = "stop the server, remove the file, start again: masks are made from the rows";

/// Before every mask.
const FIRST: (SeriesId, i64) = (SeriesId::new(0), i64::MIN);

/// What was read and what was wrong with it.
#[derive(Default)]
pub(crate) struct Verified {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) masks: u64,
    pub(crate) tiles: u64,
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
    for number in mask_file::KIND.list(disk)?.0 {
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
        if let Err(why) = stored.header.check(instance, last.unwrap_or(u64::MAX)) {
            verified.problem(&path, &why);
            continue;
        }
        for entry in &stored.entries {
            let found = stored.mask(disk, entry);
            compare(&path, &stored.header, entry, found, snapshot, &mut verified);
        }
    }
    Ok(verified)
}

/// Checks the masks that readers of an open store use, one at a time.
#[derive(Default)]
pub(crate) struct LiveMasks {
    file: Option<Copied>,
}

/// What was known of the file when it was last looked at.
struct Copied {
    number: u64,
    len: u64,
    header: Header,
    entries: Vec<Entry>,
}

/// What comes behind a mask.
pub(crate) enum NextMask {
    /// That of this block, or the first behind it.
    From(SeriesId, i64),
    /// Unknown: the masks are of rows that the snapshot does not know.
    Outdated,
    /// Nothing.
    None,
}

impl LiveMasks {
    /// Which share of the masks lies before `from`; `None` if there is no file.
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    pub(crate) fn share_before(snapshot: &Snapshot, from: (SeriesId, i64)) -> Option<f64> {
        snapshot.generation().masks.with_stored(|stored| {
            let before = before(&stored.entries, from);
            before as f64 / (stored.entries.len() as f64).max(1.0)
        })
    }

    /// Checks the first mask that does not lie before `from`.
    pub(crate) fn check_next(
        &mut self,
        snapshot: &Snapshot,
        from: (SeriesId, i64),
        verified: &mut Verified,
    ) -> NextMask {
        let Generation { masks, disk, .. } = snapshot.generation();
        loop {
            let file = match self.file.take() {
                Some(file) => file,
                None => match masks.with_stored(Copied::of) {
                    Some(file) => file,
                    None => return NextMask::None,
                },
            };
            if file.header.sequence > snapshot.sequence().get() {
                return NextMask::Outdated;
            }
            let is_first = from == FIRST;
            let entry = file.entries.get(before(&file.entries, from));
            // Asked for one by one: a new file that is installed meanwhile has to wait for none.
            let read = masks.with_stored(|stored| {
                (stored.number == file.number).then(|| {
                    let whole = is_first.then(|| Stored::open(&**disk, file.number));
                    (whole, entry.map(|entry| stored.mask(&**disk, entry)))
                })
            });
            // In place of this file there is another.
            let Some((whole, found)) = read.flatten() else { continue };
            if let Some(whole) = whole {
                verified.files += 1;
                verified.bytes += file.len;
                let error = whole.err();
                verified.problems.extend(error.map(|error| format!("{error}; {REMEDY}")));
            }
            let (Some(entry), Some(found)) = (entry, found) else { return NextMask::None };
            compare(&mask_file::path(file.number), &file.header, entry, found, snapshot, verified);
            let next = NextMask::From(entry.series, entry.block + 1);
            self.file = Some(file);
            return next;
        }
    }
}

impl Copied {
    fn of(stored: &Stored) -> Self {
        let Stored { number, len, header, ref entries, .. } = *stored;
        Self { number, len, header, entries: entries.clone() }
    }
}

/// How many entries lie before `from`.
fn before(entries: &[Entry], from: (SeriesId, i64)) -> usize {
    entries.partition_point(|entry| (entry.series, entry.block) < from)
}

/// Compares a mask with the rows.
fn compare(
    path: &str,
    header: &Header,
    entry: &Entry,
    found: Result<RoaringBitmap, Error>,
    snapshot: &Snapshot,
    verified: &mut Verified,
) {
    verified.masks += 1;
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            verified.problems.push(format!("{error}; {REMEDY}"));
            return;
        }
    };
    // After damage to a root the segments may be older than the masks; the log has the rest.
    if header.sequence > snapshot.sequence().get() {
        return;
    }
    let (series, block) = (entry.series.get(), entry.block);
    match right(entry, header, snapshot) {
        Ok(Some(right)) if right == found => {}
        Ok(Some(_)) => {
            let why =
                format!("the mask of series {series}, block {block}, is not what its rows say");
            verified.problem(path, &why);
        }
        Ok(None) => {
            verified.problem(path, &format!("it has a mask of series {series}, which has none"));
        }
        // Damage to rows is told where they are checked.
        Err(_) => {}
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
        at_sequence: Some(Sequence::new(header.sequence)),
    };
    asked.read(&instants(entry.step, entry.block), entry.block).map(Some)
}
