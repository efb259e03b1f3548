//! What was tried.

use std::fmt;

use barrow_tests::curated_model::view::{Cell, Reason};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) episodes: u64,
    pub(crate) schedules: u64,
    pub(crate) batches: u64,
    pub(crate) flushes: u64,
    pub(crate) compactions: u64,
    pub(crate) mask_files: u64,
    pub(crate) masks_loaded: u64,
    pub(crate) tile_files: u64,
    pub(crate) tiles_loaded: u64,
    /// Questions that a tile answered as it was.
    pub(crate) tiles_used: u64,
    /// Sessions whose bars were made for tiles.
    pub(crate) tile_sessions: u64,
    /// Ranges of features that went on from a state.
    pub(crate) checkpoints_used: u64,
    /// Files of cells that were written, and that were read.
    pub(crate) cell_files: u64,
    pub(crate) cell_files_used: u64,
    pub(crate) openings: u64,
    pub(crate) crashes: u64,
    pub(crate) questions: u64,
    pub(crate) asked_again: u64,
    pub(crate) refused: u64,
    /// Cells of features.
    pub(crate) features: u64,
    /// Cells of live features.
    pub(crate) live: u64,
    /// Slots of the live vintage, bars and features.
    pub(crate) vintage: u64,
    /// Cells by the number of their reason.
    cells: [u64; 9],
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.episodes += other.episodes;
        self.schedules += other.schedules;
        self.batches += other.batches;
        self.flushes += other.flushes;
        self.compactions += other.compactions;
        self.mask_files += other.mask_files;
        self.masks_loaded += other.masks_loaded;
        self.tile_files += other.tile_files;
        self.tiles_loaded += other.tiles_loaded;
        self.tiles_used += other.tiles_used;
        self.tile_sessions += other.tile_sessions;
        self.checkpoints_used += other.checkpoints_used;
        self.cell_files += other.cell_files;
        self.cell_files_used += other.cell_files_used;
        self.openings += other.openings;
        self.crashes += other.crashes;
        self.questions += other.questions;
        self.asked_again += other.asked_again;
        self.refused += other.refused;
        self.features += other.features;
        self.live += other.live;
        self.vintage += other.vintage;
        self.cells.iter_mut().zip(other.cells).for_each(|(all, more)| *all += more);
    }

    pub(crate) fn answered(&mut self, cells: &[Cell]) {
        self.questions += 1;
        for cell in cells {
            self.cells[cell.reason as usize] += 1;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} schedules in {} episodes: {} batches, {} flushes, {} compactions, {} files of \
             masks ({} taken from them), {} files of tiles ({} taken from them), {} sessions made \
             for tiles, {} answers from tiles as they were, {} openings, {} crashes; {} questions \
             ({} asked again), {} of them refused as they must be, {} cells of features \
             ({} ranges went on from a state, {} files of cells were written and {} read), {} of \
             live features, {} slots of the live vintage, {} cells compared:",
            self.schedules,
            self.episodes,
            self.batches,
            self.flushes,
            self.compactions,
            self.mask_files,
            self.masks_loaded,
            self.tile_files,
            self.tiles_loaded,
            self.tile_sessions,
            self.tiles_used,
            self.openings,
            self.crashes,
            self.questions,
            self.asked_again,
            self.refused,
            self.features,
            self.checkpoints_used,
            self.cell_files,
            self.cell_files_used,
            self.live,
            self.vintage,
            self.cells.iter().sum::<u64>()
        )?;
        let reasons = [
            Reason::Ok,
            Reason::NotListed,
            Reason::NotDue,
            Reason::NoTrade,
            Reason::Halted,
            Reason::Outage,
            Reason::Quarantined,
            Reason::Missing,
        ];
        for reason in reasons {
            write!(f, " {} {reason:?}", self.cells[reason as usize])?;
        }
        Ok(())
    }
}
