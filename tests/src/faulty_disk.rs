//! A disk that fails and loses power on demand, the same way every time.
//!
//! Each call that changes something (all but list, read, length and map) has a number, its
//! *operation*. [`FaultyDisk::crash_at`] makes one of them the last;
//! [`FaultyDisk::record_crash_points`] keeps the volume as it would be found if the power failed
//! during each of them, so that one run gives all its crash points. A [`Fault`] makes calls of a
//! kind fail. A capacity makes the disk full. A map of a file is a copy of it, which lives as the
//! copy in the system's memory does; [`FaultyDisk::poison_maps`] makes all of them unreadable.

use std::fmt;
use std::sync::{Arc, Weak};

use barrow_engine::disk::{Disk, DiskError, DiskErrorKind, Mapped, check_path};
use parking_lot::Mutex;

use crate::volume::{Image, Volume};

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `create_dir`
    CreateDir,
    /// `list`
    List,
    /// `create`
    Create,
    /// `write_at`
    Write,
    /// `read_at`
    Read,
    /// `len`
    Len,
    /// `map`
    Map,
    /// `sync`
    Sync,
    /// `sync_dir`
    SyncDir,
    /// `rename`
    Rename,
    /// `remove`
    Remove,
}

impl Call {
    const fn changes(self) -> bool {
        !matches!(self, Self::List | Self::Read | Self::Len | Self::Map)
    }
}

/// One call as it was made.
#[derive(Clone, Debug)]
struct Operation {
    call: Call,
    path: String,
    /// Where a rename leads; empty else.
    target: String,
    at: u64,
    len: u64,
    failed: bool,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.call, self.path)?;
        match self.call {
            Call::Rename => write!(f, " to {}", self.target)?,
            Call::Create => write!(f, " of {}", self.len)?,
            Call::Write | Call::Read => write!(f, " {} at {}", self.len, self.at)?,
            _ => {}
        }
        if self.failed { f.write_str(" FAILED") } else { Ok(()) }
    }
}

/// How much of a call that fails is done all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// Nothing.
    Nothing,
    /// All of it.
    All,
    /// The first bytes of a write; of any other call nothing.
    Bytes(usize),
}

#[derive(Clone, Copy, Debug)]
enum Which {
    Call(Call),
    Operation(u64),
}

/// Calls that are to fail.
#[derive(Clone, Debug)]
pub struct Fault {
    which: Which,
    below: String,
    skipped: u64,
    lasting: bool,
    kind: DiskErrorKind,
    done: Done,
}

impl Fault {
    /// The next call of this kind fails with `kind`, once, having done nothing. A failed sync
    /// of a file leaves what it covered doubtful.
    pub const fn next(call: Call, kind: DiskErrorKind) -> Self {
        Self::of(Which::Call(call), kind)
    }

    /// The call of this number fails.
    pub const fn at(operation: u64, kind: DiskErrorKind) -> Self {
        Self::of(Which::Operation(operation), kind)
    }

    const fn of(which: Which, kind: DiskErrorKind) -> Self {
        let below = String::new();
        Self { which, below, skipped: 0, lasting: false, kind, done: Done::Nothing }
    }

    /// Only calls on paths that begin like this.
    #[must_use]
    pub fn below(mut self, path: &str) -> Self {
        path.clone_into(&mut self.below);
        self
    }

    /// The first `calls` of them go well.
    #[must_use]
    pub const fn after(mut self, calls: u64) -> Self {
        self.skipped = calls;
        self
    }

    /// All of them fail from then on.
    #[must_use]
    pub const fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }

    /// The call is done so far before it fails.
    #[must_use]
    pub const fn having_done(mut self, done: Done) -> Self {
        self.done = done;
        self
    }
}

/// The power fails during a call: the volume as it is then, the call done but not durable.
#[derive(Clone, Debug)]
pub struct CrashPoint {
    /// The number of the call.
    pub operation: u64,
    /// Its kind.
    pub call: Call,
    /// What is durable and what is not.
    pub volume: Volume,
}

#[derive(Debug, Default)]
struct State {
    volume: Volume,
    operations: u64,
    /// A bounded end of what was called.
    trace: Vec<(u64, Operation)>,
    crash: Option<(u64, Done)>,
    dead: bool,
    faults: Vec<Fault>,
    capacity: Option<u64>,
    points: Option<Vec<CrashPoint>>,
    maps: Vec<Weak<Mapped>>,
}

/// How much of the trace is kept: what a person would read.
const TRACE_MAX: usize = 400;

/// A disk over a [`Volume`]. A clone is another handle on the same disk.
#[derive(Clone, Debug, Default)]
pub struct FaultyDisk {
    state: Arc<Mutex<State>>,
}

impl FaultyDisk {
    /// An empty disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk that a computer finds when it starts: all of this is durable.
    pub fn over(image: &Image) -> Self {
        Self::with(Volume::of(image))
    }

    /// A disk over that volume: the process died, the computer did not.
    pub fn with(volume: Volume) -> Self {
        let disk = Self::new();
        disk.state.lock().volume = volume;
        disk
    }

    /// How many calls changed something so far: the number of the next one.
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// The call of number `operation` fails with "power lost", having done as much as `done`, and
    /// so does every call after it, reads too.
    pub fn crash_at(&self, operation: u64, done: Done) {
        self.state.lock().crash = Some((operation, done));
    }

    /// Whether the power was lost.
    pub fn is_dead(&self) -> bool {
        self.state.lock().dead
    }

    /// Adds a fault to those there are.
    pub fn fail(&self, fault: Fault) {
        self.state.lock().faults.push(fault);
    }

    /// No more faults.
    pub fn heal(&self) {
        self.state.lock().faults.clear();
    }

    /// The bytes all files together may take; `None` for as many as they like.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity = bytes;
    }

    /// Keeps a [`CrashPoint`] of every operation from now on.
    pub fn record_crash_points(&self) {
        self.state.lock().points = Some(Vec::new());
    }

    /// The crash points since the last call of this.
    pub fn take_crash_points(&self) -> Vec<CrashPoint> {
        self.state.lock().points.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Makes every map there is unreadable, as a disk that fails or a file that is cut does.
    /// Returns how many there were.
    pub fn poison_maps(&self) -> usize {
        let maps = std::mem::take(&mut self.state.lock().maps);
        let alive = maps.iter().filter_map(Weak::upgrade);
        alive.inspect(|map| map.poison_copy()).count()
    }

    /// The volume now.
    pub fn volume(&self) -> Volume {
        self.state.lock().volume.clone()
    }

    /// The last operations, one a line, for messages of failures.
    pub fn trace(&self) -> String {
        let state = self.state.lock();
        let lines = state.trace.iter().map(|(number, call)| format!("  {number:>5}  {call}\n"));
        lines.collect()
    }
}

impl State {
    /// Makes a call: counts it, fails it if it is to fail, else does it.
    fn call<T>(
        &mut self,
        mut operation: Operation,
        act: impl Fn(&mut Volume, Option<usize>) -> Result<T, DiskError>,
    ) -> Result<T, DiskError> {
        let number = self.operations;
        if self.dead {
            return Err(operation.error(DiskErrorKind::Io, "power lost"));
        }
        let changes = operation.call.changes();
        if changes {
            self.operations += 1;
            self.note_crash_point(number, &operation, &act);
        }
        let crash = self.crash.filter(|(at, _)| changes && *at <= number);
        let result = if let Some((_, done)) = crash {
            self.dead = true;
            self.do_partly(&operation, done, &act);
            Err(operation.error(DiskErrorKind::Io, "power lost"))
        } else if let Some(fault) = self.next_fault(number, &operation) {
            self.do_partly(&operation, fault.done, &act);
            if operation.call == Call::Sync && fault.done != Done::All {
                self.volume.fail_sync(&operation.path);
            }
            Err(operation.error(fault.kind, "injected fault"))
        } else if let Some(room) = self.room_if_too_small(&operation) {
            self.do_partly(&operation, Done::Bytes(room), &act);
            Err(operation.error(DiskErrorKind::Full, "no space left"))
        } else {
            act(&mut self.volume, None)
        };
        if changes {
            operation.failed = result.is_err();
            if self.trace.len() >= TRACE_MAX {
                self.trace.drain(..TRACE_MAX / 2);
            }
            self.trace.push((number, operation));
        }
        result
    }

    fn note_crash_point<T>(
        &mut self,
        number: u64,
        operation: &Operation,
        act: &impl Fn(&mut Volume, Option<usize>) -> Result<T, DiskError>,
    ) {
        if let Some(points) = &mut self.points {
            let mut volume = self.volume.clone();
            // A sync the power interrupts made nothing durable for sure.
            if !matches!(operation.call, Call::Sync | Call::SyncDir) {
                // A call that is refused leaves the volume as it was.
                let _refused = act(&mut volume, None);
            }
            points.push(CrashPoint { operation: number, call: operation.call, volume });
        }
    }

    fn do_partly<T>(
        &mut self,
        operation: &Operation,
        done: Done,
        act: &impl Fn(&mut Volume, Option<usize>) -> Result<T, DiskError>,
    ) {
        // What was done in part has no answer, and a call that is refused does nothing.
        match done {
            Done::Nothing => {}
            Done::All => drop(act(&mut self.volume, None)),
            Done::Bytes(bytes) if operation.call == Call::Write => {
                drop(act(&mut self.volume, Some(bytes)));
            }
            Done::Bytes(_) => {}
        }
    }

    /// The fault that this call meets, counted down.
    fn next_fault(&mut self, number: u64, operation: &Operation) -> Option<Fault> {
        let meets = |fault: &Fault| match fault.which {
            Which::Call(call) => call == operation.call && operation.path.starts_with(&fault.below),
            Which::Operation(wanted) => operation.call.changes() && wanted == number,
        };
        let mut met = None;
        for (place, fault) in self.faults.iter_mut().enumerate().filter(|(_, f)| meets(f)) {
            if fault.skipped > 0 {
                fault.skipped -= 1;
            } else if met.is_none() {
                met = Some(place);
            }
        }
        let place = met?;
        if self.faults[place].lasting {
            Some(self.faults[place].clone())
        } else {
            Some(self.faults.remove(place))
        }
    }

    /// If the disk has not the room for this call: how many bytes of it would still fit.
    fn room_if_too_small(&self, operation: &Operation) -> Option<usize> {
        let capacity = self.capacity?;
        let free = capacity.saturating_sub(self.volume.byte_len());
        let (needed, fits) = match operation.call {
            // One that is there is refused for that reason.
            Call::Create if self.volume.content("create", &operation.path).is_err() => {
                (operation.len, 0)
            }
            Call::Write => {
                let len = self.volume.content("write", &operation.path).ok()?.len() as u64;
                let end = operation.at.saturating_add(operation.len);
                let fits = (len + free).saturating_sub(operation.at).min(operation.len);
                (end.saturating_sub(len), fits)
            }
            _ => (0, 0),
        };
        let short = needed > 0 && needed > free;
        short.then(|| usize::try_from(fits).expect("invariant: it is at most a buffer's length"))
    }
}

impl Operation {
    fn new(call: Call, path: &str) -> Self {
        Self { call, path: path.to_owned(), target: String::new(), at: 0, len: 0, failed: false }
    }

    fn error(&self, kind: DiskErrorKind, why: &str) -> DiskError {
        DiskError::new(kind, &format!("{:?}", self.call), &self.path, why)
    }
}

fn address(path: &str, at: u64) -> Result<usize, DiskError> {
    let no_address = |_| DiskError::new(DiskErrorKind::Full, "address", path, "too large");
    usize::try_from(at).map_err(no_address)
}

impl Disk for FaultyDisk {
    fn create_dir(&self, dir: &str) -> Result<(), DiskError> {
        check_path("create folder", dir)?;
        let operation = Operation::new(Call::CreateDir, dir);
        self.state.lock().call(operation, |volume, _| volume.create_dir(dir))
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError> {
        let operation = Operation::new(Call::List, dir);
        self.state.lock().call(operation, |volume, _| Ok(volume.list(dir)))
    }

    fn create(&self, path: &str, len: u64) -> Result<(), DiskError> {
        check_path("create", path)?;
        let bytes = address(path, len)?;
        let operation = Operation { len, ..Operation::new(Call::Create, path) };
        self.state.lock().call(operation, |volume, _| volume.create(path, bytes))
    }

    fn write_at(&self, path: &str, at: u64, bytes: &[u8]) -> Result<(), DiskError> {
        check_path("write", path)?;
        let place = address(path, at)?;
        let len = bytes.len() as u64;
        let operation = Operation { at, len, ..Operation::new(Call::Write, path) };
        self.state.lock().call(operation, |volume, short| {
            let end = short.unwrap_or(bytes.len()).min(bytes.len());
            volume.write(path, place, &bytes[..end])
        })
    }

    fn read_at(&self, path: &str, at: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        check_path("read", path)?;
        let place = address(path, at)?;
        let len = buffer.len();
        let operation = Operation { at, len: len as u64, ..Operation::new(Call::Read, path) };
        let bytes = self.state.lock().call(operation, |volume, _| {
            let content = volume.content("read", path)?;
            if len == 0 {
                return Ok(Vec::new());
            }
            let end = place.checked_add(len);
            end.and_then(|end| content.get(place..end)).map(<[u8]>::to_vec).ok_or_else(|| {
                let why = format!("ends before {len} bytes at {at}");
                DiskError::new(DiskErrorKind::Io, "read", path, why)
            })
        })?;
        buffer.copy_from_slice(&bytes);
        Ok(())
    }

    fn len(&self, path: &str) -> Result<u64, DiskError> {
        check_path("length of", path)?;
        let operation = Operation::new(Call::Len, path);
        let count = |volume: &mut Volume, _| Ok(volume.content("length of", path)?.len() as u64);
        self.state.lock().call(operation, count)
    }

    fn sync(&self, path: &str) -> Result<(), DiskError> {
        check_path("sync", path)?;
        let operation = Operation::new(Call::Sync, path);
        self.state.lock().call(operation, |volume, _| volume.sync(path))
    }

    fn sync_dir(&self, dir: &str) -> Result<(), DiskError> {
        let operation = Operation::new(Call::SyncDir, dir);
        self.state.lock().call(operation, |volume, _| volume.sync_dir(dir))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        check_path("rename", from)?;
        check_path("rename", to)?;
        let operation = Operation { target: to.to_owned(), ..Operation::new(Call::Rename, from) };
        self.state.lock().call(operation, |volume, _| volume.rename(from, to))
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        check_path("remove", path)?;
        let operation = Operation::new(Call::Remove, path);
        self.state.lock().call(operation, |volume, _| volume.remove(path))
    }

    fn map(&self, path: &str, len: u64) -> Result<Option<Arc<Mapped>>, DiskError> {
        check_path("map", path)?;
        let operation = Operation::new(Call::Map, path);
        let mut state = self.state.lock();
        let bytes = state.call(operation, |volume, _| Ok(volume.content("map", path)?.to_vec()))?;
        if bytes.len() as u64 != len {
            let why = format!("is {} bytes long, not {len}", bytes.len());
            return Err(DiskError::new(DiskErrorKind::Io, "map", path, why));
        }
        let mapped = Arc::new(Mapped::of_copy(bytes));
        state.maps.retain(|map| map.strong_count() > 0);
        state.maps.push(Arc::downgrade(&mapped));
        Ok(Some(mapped))
    }
}

#[cfg(test)]
mod tests;
