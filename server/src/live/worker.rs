//! The thread that keeps features up to date: after each commit it computes what has changed,
//! writes the rows to the tables of their groups, then publishes the updates.
//!
//! It follows the writer and never holds it up: commits that come while it works are taken
//! together. Each row names the record up to which it knows everything.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use barrow_engine::features::{LiveFeatures, LiveRow, LiveUpdate};
use barrow_engine::{Error, ErrorKind, FeatureGroup, Reference, Snapshot};
use barrow_protocol::frame::Which;
use barrow_protocol::{RowFlags, RowHead};
use barrow_types::{SeriesId, Symbol};

use super::commits::{Commits, Next};
use super::files::{Folder, TableFile};
use super::group::LiveGroup;
use super::ring::{Publisher, UpdateKind};
use super::{Cut, Live};
use crate::clock;
use crate::http::features::{Ready, promoted};
use crate::metrics::Metrics;
use crate::threads::spawn;
use crate::writer::Intake;

/// How often tables get a sign of life.
const HEARTBEAT: Duration = Duration::from_millis(250);

/// How long after a slot's end the log is asked to go on, if nothing else brings the time.
const TICK_AFTER: Duration = Duration::from_millis(1);

/// How soon it is asked again: a log that has failed does not go on.
const TICK_AGAIN: Duration = Duration::from_millis(250);

/// What the thread works with.
pub(crate) struct Parts {
    pub(crate) live: Arc<Live>,
    pub(crate) publisher: Publisher,
    pub(crate) commits: Arc<Commits>,
    /// `None`: no tables in files.
    pub(crate) folder: Option<Folder>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) groups_max: usize,
    pub(crate) symbols_max: usize,
}

/// A group that is kept up to date.
struct Served {
    group: Arc<FeatureGroup>,
    live: Arc<LiveGroup>,
    file: Option<TableFile>,
    /// Whether clients may know of it: before, nobody is told of its rows.
    is_shown: bool,
    /// Whether it has been said that there are too many symbols.
    is_full: bool,
}

/// See the module.
pub(crate) struct Worker {
    parts: Parts,
    features: LiveFeatures,
    served: Vec<Served>,
    /// The facts that `served` is made of.
    reference: Option<Arc<Reference>>,
    ready: Ready,
    next_handle: u32,
    beaten: Instant,
    /// The log is not asked to go on before this.
    tick_from: Instant,
    words: Vec<u64>,
}

/// The running thread.
pub(crate) struct Handle {
    commits: Arc<Commits>,
    thread: JoinHandle<()>,
}

impl Handle {
    /// Lets it leave what it is at, close its tables and end; the next start makes all rows anew.
    /// Blocks.
    pub(crate) fn stop(self) {
        self.commits.end();
        self.thread.join().expect("invariant: the thread aborts, it does not unwind");
    }
}

impl Worker {
    /// Computes the features of all groups as of `snapshot`: whoever comes later finds them.
    pub(crate) fn new(parts: Parts, snapshot: &Snapshot) -> Self {
        let mut worker = Self {
            parts,
            features: LiveFeatures::default(),
            served: Vec::new(),
            reference: None,
            ready: Ready::default(),
            next_handle: 1,
            beaten: Instant::now(),
            tick_from: Instant::now(),
            words: Vec::new(),
        };
        worker.update(snapshot, BTreeSet::new());
        if let Some(folder) = &worker.parts.folder {
            let files = worker.served.iter().filter_map(|served| served.file.as_ref());
            match folder.retire(files) {
                Ok(removed) => tracing::debug!(removed, "tables of earlier servers removed"),
                Err(error) => tracing::warn!(%error, "tables of earlier servers were left"),
            }
        }
        worker
    }

    /// Starts to follow commits.
    pub(crate) fn start(self, intake: Intake) -> std::io::Result<Handle> {
        let commits = Arc::clone(&self.parts.commits);
        let thread = spawn("features", move || self.run(&intake))?;
        Ok(Handle { commits, thread })
    }

    fn run(mut self, intake: &Intake) {
        loop {
            match self.parts.commits.next(self.wake_at()) {
                Next::Commits(snapshot, touched) => self.update(&snapshot, touched),
                Next::Nothing => {}
                Next::End => break,
            }
            self.beat();
            if self.tick_in().is_some_and(|wait| wait.is_zero()) {
                intake.tick();
                self.tick_from = Instant::now() + TICK_AGAIN;
            }
        }
        let cuts = self.parts.live.cuts();
        cuts.end(cuts.change(), None);
        for served in self.served {
            if let Some(file) = served.file {
                file.close();
            }
        }
    }

    /// How long until the log is to be asked to go on, because a slot is due that nothing has
    /// closed yet.
    fn tick_in(&self) -> Option<Duration> {
        let due = self.features.next_due()?.nanos();
        let nanos = due.saturating_sub(clock::now().nanos());
        let until_due = Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
        Some(until_due.max(self.tick_from.saturating_duration_since(Instant::now())))
    }

    fn wake_at(&self) -> Instant {
        let beat = HEARTBEAT.saturating_sub(self.beaten.elapsed());
        let tick = self.tick_in().map(|wait| wait + TICK_AFTER);
        Instant::now() + tick.map_or(beat, |tick| tick.min(beat))
    }

    fn beat(&mut self) {
        if self.beaten.elapsed() < HEARTBEAT {
            return;
        }
        self.beaten = Instant::now();
        let now = clock::now().nanos();
        for file in self.served.iter_mut().filter_map(|served| served.file.as_mut()) {
            file.writer().heartbeat(now);
        }
    }

    /// Brings everything up to a snapshot.
    fn update(&mut self, snapshot: &Snapshot, touched: BTreeSet<SeriesId>) {
        let start = Instant::now();
        let reference = match Reference::at(snapshot, None, None) {
            Ok(reference) => reference,
            Err(error) => {
                let cuts = self.parts.live.cuts();
                cuts.end(cuts.change(), None);
                return self.begin_anew(&error);
            }
        };
        let is_new = self.reference.as_ref().is_none_or(|old| !Arc::ptr_eq(old, &reference));
        if is_new {
            self.choose(&reference);
            self.reference = Some(Arc::clone(&reference));
        }
        let mut features = std::mem::take(&mut self.features);
        let sequence = snapshot.sequence().get();
        let mut rows = 0;
        let live = Arc::clone(&self.parts.live);
        let mut changing = None;
        let commits = Arc::clone(&self.parts.commits);
        let mut pace = || match commits.has_ended() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let told = features.update(snapshot, touched, &mut pace, |update| {
            changing.get_or_insert_with(|| live.cuts().change());
            rows += update.closed.len() + update.corrected.len();
            self.tell(&update, sequence);
            self.beat();
        });
        self.features = features;
        let changing = changing.unwrap_or_else(|| live.cuts().change());
        if let Err(error) = told {
            live.cuts().end(changing, None);
            if error.kind() == ErrorKind::Stopped {
                tracing::debug!("an update of live features was left: the server stops");
            } else {
                self.begin_anew(&error);
            }
            return;
        }
        if is_new {
            self.show();
        }
        let due = self.features.next_due();
        live.cuts().end(changing, Some(Cut { sequence, due, reference }));
        self.parts.publisher.flush();
        self.parts.metrics.live_update(start.elapsed(), rows, sequence);
    }

    /// What has changed was not taken in: with the next commit all is computed from the begin.
    fn begin_anew(&mut self, error: &Error) {
        tracing::error!(%error, "live features stopped: the next commit begins them anew");
        (self.features, self.reference) = (LiveFeatures::default(), None);
    }

    /// Which groups are served: the promoted version of each.
    fn choose(&mut self, reference: &Reference) {
        let mut wanted: BTreeMap<(String, String), Arc<FeatureGroup>> = BTreeMap::new();
        for name in reference.defined() {
            if promoted(reference, name).is_none() && reference.definitions(name).len() > 1 {
                continue;
            }
            match self.ready.named(reference, name) {
                Ok(named) => {
                    let version = named.group.compiled.version.clone();
                    wanted.insert((named.name, version), named.group);
                }
                Err(problem) => tracing::warn!(group = name, %problem.detail, "not served live"),
            }
        }
        if wanted.len() > self.parts.groups_max {
            let (groups, groups_max) = (wanted.len(), self.parts.groups_max);
            tracing::error!(groups, groups_max, "[live] groups_max: the last groups are not live");
            while wanted.len() > groups_max {
                wanted.pop_last();
            }
        }
        let mut old = std::mem::take(&mut self.served);
        for ((name, version), group) in wanted {
            let is_it =
                |served: &Served| served.live.name == name && served.live.version == version;
            if let Some(place) = old.iter().position(is_it) {
                self.served.push(old.swap_remove(place));
                continue;
            }
            let features = group.graph().outputs.iter().map(|output| output.name.to_string());
            let live = LiveGroup::new(self.next_handle, &name, &version, features.collect());
            self.next_handle += 1;
            live.set_promoted(true);
            self.served.push(Served {
                group,
                live: Arc::new(live),
                file: None,
                is_shown: false,
                is_full: false,
            });
        }
        for served in old {
            if let Some(file) = served.file {
                file.close();
            }
        }
        self.features.set_groups(self.served.iter().map(|served| Arc::clone(&served.group)));
    }

    /// Shows the groups that are new, now that they have their rows.
    fn show(&mut self) {
        let now = clock::now().nanos();
        for served in self.served.iter_mut().filter(|served| !served.is_shown) {
            served.is_shown = true;
            let Some(folder) = &self.parts.folder else { continue };
            match folder.create(&served.live, now) {
                Ok(file) => served.file = Some(file),
                Err(error) => {
                    let group = &served.live.name;
                    tracing::error!(%error, group, "no latest table: clients use the feed");
                }
            }
        }
        let groups: Vec<Arc<LiveGroup>> =
            self.served.iter().map(|served| Arc::clone(&served.live)).collect();
        self.parts.live.set_groups(groups);
    }

    /// Stores and publishes what has become of one symbol.
    fn tell(&mut self, update: &LiveUpdate<'_>, sequence: u64) {
        if let Some(error) = update.failed {
            let (group, instrument) = (&self.served[update.group].live.name, update.instrument);
            tracing::warn!(%error, group, %instrument, "features cannot be computed");
        }
        let Some(index) = self.index_of(update) else { return };
        let Self { parts, served, words, .. } = self;
        let Served { live, file, is_shown, .. } = &mut served[update.group];
        let mut publisher = is_shown.then_some(&mut parts.publisher);
        words.resize(live.layout.words(), 0);
        let place = usize::try_from(index).expect("invariant: 32 bits fit an address");
        let of = (live.handle, index);
        let none = RowFlags::default();
        let newest = live.ts_of(index, Which::Newest);
        let was_there = update.closed.first().is_some_and(|row| Some(row.ts) <= newest);
        if update.skipped || was_there || update.newest.is_none() {
            for (which, row) in [(Which::Previous, update.previous), (Which::Newest, update.newest)]
            {
                match row {
                    Some(row) => {
                        live.store(index, which, encode(row, live, (sequence, none), words))
                    }
                    None => live.store(index, which, &[]),
                }
            }
            if let Some(file) = file {
                file.writer().clear(place);
                for row in [update.previous, update.newest].into_iter().flatten() {
                    let words = encode(row, live, (sequence, none), words);
                    file.writer().publish_closed(place, words);
                }
            }
            if let Some(publisher) = &mut publisher {
                publisher.rebuilt(sequence, live.handle);
            }
        } else {
            for row in update.corrected {
                let words = encode(row, live, (sequence, RowFlags::CORRECTED), words);
                for which in [Which::Previous, Which::Newest] {
                    if live.ts_of(index, which) != Some(row.ts) {
                        continue;
                    }
                    live.store(index, which, words);
                    if let Some(file) = file {
                        let writer = file.writer();
                        match which {
                            Which::Previous => writer.replace_previous(place, words),
                            _ => writer.replace_newest(place, words),
                        };
                    }
                }
                if let Some(publisher) = &mut publisher {
                    publisher.update(sequence, of, UpdateKind::Corrected, words);
                }
            }
            for row in update.closed {
                let words = encode(row, live, (sequence, none), words);
                live.push(index, words);
                if let Some(file) = file {
                    file.writer().publish_closed(place, words);
                }
                if let Some(publisher) = &mut publisher {
                    publisher.update(sequence, of, UpdateKind::Closed, words);
                }
            }
        }
        match update.forming {
            Some(row) => {
                let words = encode(row, live, (sequence, RowFlags::FORMING), words);
                if live.is_other(index, Which::Forming, words) {
                    live.store(index, Which::Forming, words);
                    if let Some(file) = file {
                        file.writer().publish_forming(place, words);
                    }
                    if let Some(publisher) = &mut publisher {
                        publisher.update(sequence, of, UpdateKind::Forming, words);
                    }
                }
            }
            None => {
                live.store(index, Which::Forming, &[]);
                if let Some(file) = file {
                    file.writer().clear_forming(place);
                }
            }
        }
    }

    /// The number of an update's symbol; `None` if it has none, and needs none or cannot get one.
    fn index_of(&mut self, update: &LiveUpdate<'_>) -> Option<u32> {
        let Served { live, file, is_full, .. } = &mut self.served[update.group];
        if let Some(index) = live.symbol(update.instrument) {
            return Some(index);
        }
        if update.newest.is_none() && update.forming.is_none()
            || Symbol::new(update.instrument).is_err()
        {
            return None;
        }
        if live.symbols().len() >= self.parts.symbols_max {
            if !*is_full {
                let (group, symbols_max) = (&live.name, self.parts.symbols_max);
                tracing::error!(group, symbols_max, "[live] symbols_max: more are not live");
            }
            *is_full = true;
            return None;
        }
        if let (Some(folder), Some(full)) =
            (&self.parts.folder, file.take_if(|file| !file.has_room()))
        {
            match folder.replace(full, live, clock::now().nanos()) {
                Ok(larger) => *file = Some(larger),
                Err(error) => {
                    let group = &live.name;
                    tracing::error!(%error, group, "no larger latest table: clients use the feed");
                }
            }
        }
        let index = live.add_symbol(update.instrument);
        if let Some(file) = file {
            file.add_symbol(update.instrument);
        }
        Some(index)
    }
}

/// The words of a row.
fn encode<'a>(
    row: &LiveRow,
    group: &LiveGroup,
    (at_sequence, flags): (u64, RowFlags),
    words: &'a mut [u64],
) -> &'a [u64] {
    let provisional = if row.provisional { RowFlags::PROVISIONAL } else { RowFlags::default() };
    let head = RowHead {
        ts: row.ts,
        ts_end: row.ts_end,
        available_at: row.available_at,
        known_at: row.known_at,
        sequence: row.sequence,
        at_sequence,
        session: row.session,
        flags: flags.with(provisional),
    };
    let cells = row.cells.iter().map(|cell| (cell.reason(), cell.value().unwrap_or(0.0)));
    head.encode(group.layout, cells, words);
    words
}
