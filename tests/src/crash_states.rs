//! What a loss of power may leave of a volume: states at random, or every one of a stated set.
//!
//! Whatever is not durable may be kept, lost, torn at a multiple of 512 bytes in the file, or
//! zeroed, each write and each change of a name by itself. [`Volume::random_crash_state`] draws
//! from all of that. [`Volume::crash_states`] is exhaustive over a smaller set: per file,
//! - the first `i` writes kept and the later ones lost, for every `i`;
//! - the same with write `i` torn (its head kept, or its tail) or zeroed;
//! - one write lost, torn or zeroed and all others, later ones too, kept;
//!
//! times, per change of a name, kept or lost. A write that touches at most [`SECTORS_FEW`]
//! sectors is torn at each boundary, a longer one at its first, middle and last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::random::Random;
use crate::volume::{Durability, Entry, File, Folder, Image, Inode, Names, Volume, Write};
use crate::volume::{join, overwrite};

/// What a disk writes whole or not at all.
pub const SECTOR_LEN: usize = 512;

/// Up to so many sectors a write is torn at each of their boundaries.
pub const SECTORS_FEW: usize = 8;

/// What becomes of one write that is not durable. Places are offsets in the write.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    Lost,
    /// The space is there, its bytes are zeros.
    Zeroed,
    /// Only what lies before this.
    Head(usize),
    /// Only what lies from here on.
    Tail(usize),
    /// Each sector by itself: kept, lost or zeroed.
    Sectors(Vec<Fate>),
}

impl Write {
    /// The places where it can be torn: the boundaries of sectors of the file inside it.
    fn cuts(&self) -> Vec<usize> {
        let first = SECTOR_LEN - self.at % SECTOR_LEN;
        (first..self.bytes.len()).step_by(SECTOR_LEN).collect()
    }

    /// Writes to `content` what `fate` leaves of it.
    fn apply(&self, fate: &Fate, content: &mut Vec<u8>) {
        match fate {
            Fate::Kept => overwrite(content, self.at, &self.bytes),
            Fate::Lost => {}
            Fate::Zeroed => overwrite(content, self.at, &vec![0; self.bytes.len()]),
            Fate::Head(end) => overwrite(content, self.at, &self.bytes[..*end]),
            Fate::Tail(start) => overwrite(content, self.at + start, &self.bytes[*start..]),
            Fate::Sectors(fates) => {
                let mut start = 0;
                for (end, fate) in self.cuts().into_iter().chain([self.bytes.len()]).zip(fates) {
                    let part = Self {
                        at: self.at + start,
                        bytes: self.bytes[start..end].into(),
                        durability: self.durability,
                    };
                    part.apply(fate, content);
                    start = end;
                }
            }
        }
    }

    /// Every fate of [`Volume::crash_states`] but kept.
    fn harms(&self) -> Vec<Fate> {
        let cuts = self.cuts();
        let torn_at = if cuts.len() < SECTORS_FEW {
            cuts
        } else {
            vec![cuts[0], cuts[cuts.len() / 2], cuts[cuts.len() - 1]]
        };
        let torn = torn_at.into_iter().flat_map(|at| [Fate::Head(at), Fate::Tail(at)]);
        [Fate::Lost, Fate::Zeroed].into_iter().chain(torn).collect()
    }

    fn random_fate(&self, random: &mut Random) -> Fate {
        let cuts = self.cuts();
        match random.below(if cuts.is_empty() { 70 } else { 100 }) {
            0..30 => Fate::Kept,
            30..55 => Fate::Lost,
            55..70 => Fate::Zeroed,
            70..83 => Fate::Head(cuts[random.place(cuts.len())]),
            83..88 => Fate::Tail(cuts[random.place(cuts.len())]),
            _ => {
                let sectors = 0..=cuts.len();
                let fate = |random: &mut Random| match random.below(4) {
                    0 | 1 => Fate::Kept,
                    2 => Fate::Lost,
                    _ => Fate::Zeroed,
                };
                Fate::Sectors(sectors.map(|_| fate(random)).collect())
            }
        }
    }
}

impl File {
    /// The content if write `i`, where it is not durable, has fate `fate(i)`. Numbers count only
    /// the writes that are not durable.
    fn survivor(&self, mut fate: impl FnMut(usize, &Write) -> Fate) -> Arc<Vec<u8>> {
        if self.writes.is_empty() {
            return Arc::clone(&self.base);
        }
        let mut content = self.base.as_ref().clone();
        let mut number = 0;
        for write in &self.writes {
            if write.durability == Durability::Synced {
                write.apply(&Fate::Kept, &mut content);
            } else {
                write.apply(&fate(number, write), &mut content);
                number += 1;
            }
        }
        Arc::new(content)
    }

    /// Every distinct content of [`Volume::crash_states`].
    fn survivors(&self) -> Vec<Arc<Vec<u8>>> {
        let mut contents = BTreeSet::from([self.survivor(|_, _| Fate::Kept)]);
        let loose = self.writes.iter().filter(|write| write.durability != Durability::Synced);
        for (harmed, write) in loose.enumerate() {
            for harm in write.harms() {
                for later in [Fate::Kept, Fate::Lost] {
                    contents.insert(self.survivor(|number, _| match number.cmp(&harmed) {
                        std::cmp::Ordering::Less => Fate::Kept,
                        std::cmp::Ordering::Equal => harm.clone(),
                        std::cmp::Ordering::Greater => later.clone(),
                    }));
                }
            }
        }
        contents.into_iter().collect()
    }
}

impl Folder {
    /// The names if change `i` is kept where `kept(i)`.
    fn survivor(&self, mut kept: impl FnMut(usize) -> bool) -> Names {
        let mut names = self.base.clone();
        for (number, change) in self.changes.iter().enumerate() {
            if kept(number) {
                change.apply(&mut names);
            }
        }
        names
    }

    /// Every distinct set of names, each change kept or lost.
    fn survivors(&self) -> Vec<Names> {
        let loose = self.changes.len();
        assert!(loose < 16, "{loose} changes of names without a sync are too many to try them all");
        let mut all = Vec::new();
        for kept in 0..1_u32 << loose {
            let names = self.survivor(|number| kept >> number & 1 == 1);
            if !all.contains(&names) {
                all.push(names);
            }
        }
        all
    }
}

/// The files that these names lead to; a folder whose own name is lost is lost with all in it.
fn assemble<'a>(
    folders: impl Iterator<Item = (&'a str, &'a Names)>,
    content: impl Fn(Inode) -> Arc<Vec<u8>>,
) -> Image {
    let mut image = Image::default();
    // Paths come sorted, so the folder above is decided first.
    for (dir, names) in folders {
        if !dir.is_empty() && !image.folders.contains(dir) {
            continue;
        }
        for (name, entry) in names {
            match entry {
                Entry::Folder => {
                    image.folders.insert(join(dir, name));
                }
                Entry::File(inode) => {
                    image.files.insert(join(dir, name), content(*inode));
                }
            }
        }
    }
    image
}

impl Volume {
    /// One state that a loss of power may leave.
    pub fn random_crash_state(&self, random: &mut Random) -> Image {
        // Real losses are often plain; the rest is anything.
        let mode = random.below(10);
        let fate = |write: &Write, random: &mut Random| match mode {
            0 => Fate::Kept,
            1 => Fate::Lost,
            2 => [Fate::Kept, Fate::Lost][random.place(2)].clone(),
            _ => write.random_fate(random),
        };
        let mut contents = BTreeMap::new();
        for (inode, file) in &self.files {
            contents.insert(*inode, file.survivor(|_, write| fate(write, random)));
        }
        let names_kept = [100, 0, 50, 80][random.place(4)];
        let mut names = BTreeMap::new();
        for (dir, folder) in &self.folders {
            names.insert(dir.as_str(), folder.survivor(|_| random.chance(names_kept)));
        }
        assemble(names.iter().map(|(dir, names)| (*dir, names)), |inode| {
            Arc::clone(&contents[&inode])
        })
    }

    /// Every state of the set in this module's text, each once.
    pub fn crash_states(&self) -> CrashStates {
        let mut files = Vec::new();
        let mut place_of = BTreeMap::new();
        for (inode, file) in &self.files {
            place_of.insert(*inode, files.len());
            files.push(file.survivors());
        }
        let mut folders = Vec::new();
        for (dir, folder) in &self.folders {
            folders.push((dir.clone(), folder.survivors()));
        }
        let choices = files.len() + folders.len();
        let chosen = Some(vec![0; choices]);
        CrashStates { files, place_of, folders, chosen, seen: BTreeSet::new(), combinations: 0 }
    }
}

/// Iterator over the states that a loss of power may leave.
#[derive(Debug)]
pub struct CrashStates {
    files: Vec<Vec<Arc<Vec<u8>>>>,
    place_of: BTreeMap<Inode, usize>,
    folders: Vec<(String, Vec<Names>)>,
    /// The next combination: a choice a file, then a choice a folder. `None` after the last.
    chosen: Option<Vec<usize>>,
    seen: BTreeSet<u128>,
    combinations: u64,
}

impl CrashStates {
    /// How many combinations were tried so far, those that led to an equal state included.
    pub const fn combinations(&self) -> u64 {
        self.combinations
    }

    fn step(&mut self) {
        let lens = self.files.iter().map(Vec::len).chain(self.folders.iter().map(|f| f.1.len()));
        let Some(chosen) = &mut self.chosen else { return };
        for (choice, len) in chosen.iter_mut().zip(lens) {
            *choice += 1;
            if *choice < len {
                return;
            }
            *choice = 0;
        }
        self.chosen = None;
    }
}

impl Iterator for CrashStates {
    type Item = Image;

    fn next(&mut self) -> Option<Image> {
        loop {
            let chosen = self.chosen.as_ref()?;
            let (of_file, of_folder) = chosen.split_at(self.files.len());
            let folders = self.folders.iter().zip(of_folder);
            let image = assemble(
                folders.map(|((dir, options), choice)| (dir.as_str(), &options[*choice])),
                |inode| {
                    let place = self.place_of[&inode];
                    Arc::clone(&self.files[place][of_file[place]])
                },
            );
            self.combinations += 1;
            self.step();
            if self.seen.insert(image.digest()) {
                return Some(image);
            }
        }
    }
}

#[cfg(test)]
mod tests;
