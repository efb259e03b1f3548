//! Checks files of tiles: every checksum, and every tile against what rows and facts make.

use barrow_types::{Sequence, SeriesId};

use crate::aggregates::StoredTiles;
use crate::aggregates::tile_file::{self, Entry, KIND, Key};
use crate::derived::Header;
use crate::disk::Disk;
use crate::error::Error;
use crate::gaps::Verified;
use crate::generation::Generation;
use crate::snapshot::Snapshot;

use super::upkeep::{Makers, Unit};

/// What to do about any of it.
const REMEDY: &str = "stop the server, remove the file, start again: tiles are made from the rows";

/// What a file is compared with.
struct Right {
    makers: Makers,
    units: Vec<Unit>,
}

impl Right {
    /// `None` if it cannot be told: after damage to a root the segments may be older than the
    /// tiles, and damage to facts is told where they are checked.
    fn of(header: &Header, snapshot: &Snapshot) -> Option<Self> {
        if header.sequence > snapshot.sequence().get() {
            return None;
        }
        let makers = Makers::new(snapshot, Sequence::new(header.sequence), false).ok()?;
        let units = makers.units();
        Some(Self { makers, units })
    }

    /// Whether a tile is what rows and facts make.
    fn is(&self, entry: &Entry, found: &[u8]) -> bool {
        let Key { series, side, block, step, .. } = entry.key;
        let key = |unit: &Unit| (unit.series, unit.side, unit.block);
        let Ok(place) = self.units.binary_search_by_key(&(series, side, block), key) else {
            return false;
        };
        let unit = &self.units[place];
        let maker = self.makers.maker(unit, None);
        match maker.tile_of_block(unit.grid(&maker, step), series, block) {
            Ok(Some((right, bytes))) => Entry { at: entry.at, ..right } == *entry && bytes == found,
            Ok(None) => false,
            // Damage to rows is told where they are checked.
            Err(_) => true,
        }
    }
}

/// Checks the files of tiles of a store that nobody has open. `snapshot` holds what is in segments,
/// and `last` is the last record of the store, if its log can be read.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn verify_tile_files(
    disk: &dyn Disk,
    instance: [u8; 16],
    snapshot: &Snapshot,
    last: Option<u64>,
) -> Result<Verified, Error> {
    let mut verified = Verified::default();
    for number in KIND.list(disk)?.0 {
        verified.files += 1;
        let stored = match StoredTiles::open(disk, number) {
            Ok(stored) => stored,
            Err(error) => {
                verified.problems.push(format!("{error}; {REMEDY}"));
                continue;
            }
        };
        verified.bytes += stored.len;
        if let Err(why) = stored.header.check(instance, last.unwrap_or(u64::MAX)) {
            let path = tile_file::path(number);
            verified.problems.push(format!("{path}: {why}; {REMEDY}"));
            continue;
        }
        let right = Right::of(&stored.header, snapshot);
        for entry in &stored.entries {
            let found = stored.bytes(disk, entry);
            compare(number, entry, found, right.as_ref(), &mut verified);
        }
    }
    Ok(verified)
}

/// Checks the tiles that readers of an open store use, those of one series at a time.
#[derive(Default)]
pub(crate) struct LiveTiles {
    file: Option<Copied>,
}

/// What was known of the file when it was last looked at.
struct Copied {
    number: u64,
    len: u64,
    header: Header,
    entries: Vec<Entry>,
    right: Option<Right>,
}

/// What comes behind the tiles of a series.
pub(crate) enum NextTiles {
    /// Those of this series, or the first behind it.
    From(SeriesId),
    /// Unknown: the tiles are of rows that the snapshot does not know.
    Outdated,
    /// Nothing.
    None,
}

impl LiveTiles {
    /// Which share of the tiles lies before a series; `None` if there is no file.
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    pub(crate) fn share_before(snapshot: &Snapshot, series: SeriesId) -> Option<f64> {
        snapshot.generation().tiles.with_stored(|stored| {
            before(&stored.entries, series) as f64 / (stored.entries.len() as f64).max(1.0)
        })
    }

    /// Checks the tiles of the first series that does not lie before `series`.
    pub(crate) fn check_next(
        &mut self,
        snapshot: &Snapshot,
        series: SeriesId,
        verified: &mut Verified,
    ) -> NextTiles {
        let Generation { tiles, disk, .. } = snapshot.generation();
        'file: loop {
            let file = match self.file.take() {
                Some(file) => file,
                None => match tiles.with_stored(|stored| Copied::of(stored, snapshot)) {
                    Some(file) => file,
                    None => return NextTiles::None,
                },
            };
            if file.header.sequence > snapshot.sequence().get() {
                return NextTiles::Outdated;
            }
            let number = file.number;
            // Asked for one by one: a new file that is installed meanwhile has to wait for none.
            let is_first = series == SeriesId::new(0);
            let whole = tiles.with_stored(|stored| {
                let open = || is_first.then(|| StoredTiles::open(&**disk, number));
                (stored.number == number).then(open)
            });
            let Some(whole) = whole.flatten() else { continue };
            if let Some(whole) = whole {
                verified.files += 1;
                verified.bytes += file.len;
                let error = whole.err();
                verified.problems.extend(error.map(|error| format!("{error}; {REMEDY}")));
            }
            let rest = &file.entries[before(&file.entries, series)..];
            let Some(first) = rest.first() else { return NextTiles::None };
            let of = first.key.series;
            let mut found = Verified::default();
            for entry in rest.iter().take_while(|entry| entry.key.series == of) {
                let read = tiles.with_stored(|stored| {
                    (stored.number == number).then(|| stored.bytes(&**disk, entry))
                });
                // In place of this file there is another.
                let Some(read) = read.flatten() else { continue 'file };
                compare(number, entry, read, file.right.as_ref(), &mut found);
            }
            verified.tiles += found.tiles;
            verified.problems.extend(found.problems);
            self.file = Some(file);
            return NextTiles::From(SeriesId::new(of.get().saturating_add(1)));
        }
    }
}

impl Copied {
    fn of(stored: &StoredTiles, snapshot: &Snapshot) -> Self {
        let StoredTiles { number, len, header, ref entries, .. } = *stored;
        let right = Right::of(&header, snapshot);
        Self { number, len, header, entries: entries.clone(), right }
    }
}

/// How many entries lie before a series.
fn before(entries: &[Entry], series: SeriesId) -> usize {
    entries.partition_point(|entry| entry.key.series < series)
}

/// Compares a tile with what rows and facts make.
fn compare(
    number: u64,
    entry: &Entry,
    found: Result<Vec<u8>, Error>,
    right: Option<&Right>,
    verified: &mut Verified,
) {
    verified.tiles += 1;
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            verified.problems.push(format!("{error}; {REMEDY}"));
            return;
        }
    };
    if right.is_some_and(|right| !right.is(entry, &found)) {
        let Key { series, block, step, .. } = entry.key;
        let (path, series, block) = (tile_file::path(number), series.get(), block.get());
        verified.problems.push(format!(
            "{path}: the tile of {} of series {series}, block {block}, is not what rows and facts \
             say; {REMEDY}",
            step.name()
        ));
    }
}
