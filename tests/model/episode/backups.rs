//! Backups at random moments, and stores that are made of them, beside the model as it was then.

use std::ops::ControlFlow;
use std::sync::Arc;

use barrow_engine::disk::{Disk, MemoryDisk};
use barrow_engine::{CopyJob, Engine, StoreAtRest};
use barrow_types::Sequence;

use super::{Episode, assert_sound};

/// Most stores that are made of one backup.
const RESTORES_MAX: u64 = 3;

/// A backup on its way.
pub(super) enum Backup {
    Planned(CopyJob),
    /// And how many stores will still be made of it.
    Made(MemoryDisk, u64),
}

impl Episode {
    pub(super) fn back_up_a_step(&mut self) {
        match self.backup.take() {
            None => {
                let job = self.engine_mut().plan_backup();
                let sequences = job.sequences();
                self.trail.did(format!("plans a backup of {sequences:?}"));
                assert_eq!(sequences.end().get(), self.engine().snapshot().sequence().get());
                self.backup = Some(Backup::Planned(job));
            }
            Some(Backup::Planned(job)) => {
                self.trail.did("makes the backup");
                let backup = copy(job);
                assert_sound(&backup);
                let restores = 1 + self.random.below(RESTORES_MAX);
                self.backup = Some(Backup::Made(backup, restores));
            }
            Some(Backup::Made(backup, restores)) => {
                self.restore(&backup);
                if restores > 1 {
                    self.backup = Some(Backup::Made(backup, restores - 1));
                }
            }
        }
    }

    /// The process that was to make it is gone.
    pub(super) fn forget_planned_backup(&mut self) {
        if let Some(Backup::Planned(_)) = &self.backup {
            self.backup = None;
        }
    }

    /// Makes a store of a backup and asks it everything.
    fn restore(&mut self, backup: &MemoryDisk) {
        let disk: Arc<dyn Disk> = Arc::new(backup.clone());
        let backup = StoreAtRest::open(&disk).unwrap_or_else(|error| panic!("backup: {error}"));
        let sequences = backup.sequences();
        let (first, last) = (sequences.start().get(), sequences.end().get());
        let sequence = match self.random.below(4) {
            0 => first,
            1 => last,
            _ => first + self.random.below(last - first + 1),
        };
        self.trail.did(format!("brings the backup of {first} to {last} back to {sequence}"));
        let job = backup.plan_restore(Some(Sequence::new(sequence)), [9; 16]);
        let restored = copy(job.unwrap_or_else(|error| panic!("restore: {error}")));
        if self.random.chance(30) {
            assert_sound(&restored);
        }
        let (engine, _) = Engine::open(Arc::new(restored), self.options(), [7; 16])
            .unwrap_or_else(|error| panic!("open what was restored: {error}"));
        let snapshot = engine.snapshot();
        assert_eq!((snapshot.sequence().get(), engine.instance()), (sequence, [9; 16]));
        self.ask_everything(&snapshot);
        for _ in 0..3 {
            self.ask_of(&snapshot);
        }
        self.totals.restores += 1;
    }
}

fn copy(job: CopyJob) -> MemoryDisk {
    let target = MemoryDisk::new();
    let copied = job.run(&target, &mut |_| ControlFlow::Continue(()));
    copied.unwrap_or_else(|error| panic!("copy: {error}"));
    target
}
