//! Sealed files mapped into memory, and what happens when one cannot be read.
//!
//! A map is read like memory, so a page that the disk does not give, or that a person cut off the
//! file, cannot be answered with an error: the system sends the process a SIGBUS. The handler here
//! looks whether the address lies in a map of ours; if so it *poisons* the map and puts a page of
//! zeros there, and the reader goes on. Every reader therefore asks [`Mapped::is_poisoned`] *after*
//! it has decoded and *before* a value leaves; if the answer is yes it forgets what it has and
//! reads the same bytes through [`super::Disk::read_at`], which says what is wrong. A SIGBUS about
//! any other address goes to whoever had the signal before, by default to the end of the process.
//!
//! A file cut off inside its last page gives zeros without any signal. Such a cut takes the file's
//! last byte too, so that byte is compared as well; a file that ends with zero is not mapped.
//!
//! Not covered: a file whose bytes a person *writes over* in place after their checksum was tested.
//!
//! This is the only file of the engine with `unsafe` in it.

mod slots;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::{mem, ptr};

use libc::{c_int, c_void, siginfo_t};
use memmap2::{Mmap, MmapOptions};

use slots::Slots;

/// Most maps of a process. Each is one of the system's (65,530 by default on Linux), and the
/// signal handler looks through all of them.
pub const MAPS_MAX: usize = 4_096;

static SLOTS: Slots<MAPS_MAX> = Slots::new();
/// How often a page of a map could not be read.
static FAULTS: AtomicU64 = AtomicU64::new(0);
/// Who had SIGBUS before us; set before our handler is.
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();
static PAGE_LEN: AtomicUsize = AtomicUsize::new(0);

/// How often a page of a map could not be read since the process started: a file was cut off, or
/// the disk failed. The reads themselves were answered by another path, or with its error.
pub fn map_faults() -> u64 {
    FAULTS.load(Ordering::Relaxed)
}

/// A sealed file in memory, for as long as this lives: also after the file was removed.
#[derive(Debug)]
pub struct Mapped {
    bytes: Bytes,
    _permit: Option<Permit>,
}

#[derive(Debug)]
enum Bytes {
    /// The map and its slot.
    Map(Mmap, usize),
    /// A copy, and whether it was poisoned: for disks that are in memory anyway.
    Copy(Vec<u8>, AtomicBool),
}

/// How many maps a disk has.
#[derive(Debug, Default)]
pub(super) struct Count(Arc<AtomicUsize>);

/// Counts one map as long as it lives.
#[derive(Debug)]
pub(super) struct Permit(Arc<AtomicUsize>);

impl Count {
    /// For one more map, if that makes no more than `max`.
    pub(super) fn permit(&self, max: usize) -> Option<Permit> {
        let one_more = |count: usize| (count < max).then_some(count + 1);
        // Nothing else is published by the count.
        let counted = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        counted.ok().map(|_| Permit(Arc::clone(&self.0)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Mapped {
    /// Maps `file`, which has `len` bytes; `None` if the system or the table of the handler has no
    /// room for another map, or the file ends with zero.
    pub(super) fn of_file(file: &File, len: usize, permit: Permit) -> io::Result<Option<Self>> {
        handle_faults()?;
        let map = match map_file(file, len) {
            Err(error) if is_want_of_room(&error) => return Ok(None),
            map => map?,
        };
        let start = map.as_ptr().addr();
        let Some(slot) = SLOTS.enter(start..start + map.len()) else { return Ok(None) };
        // From here on the slot is given back when this is dropped.
        let mapped = Self { bytes: Bytes::Map(map, slot), _permit: Some(permit) };
        Ok(Some(mapped).filter(|mapped| !mapped.is_poisoned()))
    }

    /// Bytes that only look like a map: for disks in memory.
    pub fn of_copy(bytes: Vec<u8>) -> Self {
        Self { bytes: Bytes::Copy(bytes, AtomicBool::new(false)), _permit: None }
    }

    /// Poisons a copy, as a page that cannot be read poisons a map: for simulations.
    pub fn poison_copy(&self) {
        if let Bytes::Copy(_, poisoned) = &self.bytes {
            poisoned.store(true, Ordering::Relaxed);
        }
    }

    /// The file. What is made of it is worth nothing before [`Self::is_poisoned`] has denied.
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Map(map, _) => map,
            Bytes::Copy(bytes, _) => bytes,
        }
    }

    /// Whether anything that was read of [`Self::bytes`] before this call may be wrong. Once it
    /// may, it stays so.
    pub fn is_poisoned(&self) -> bool {
        match &self.bytes {
            // In this order: reading the last byte may be what poisons.
            Bytes::Map(map, slot) => last_byte(map) == 0 || SLOTS.is_poisoned(*slot),
            Bytes::Copy(_, poisoned) => poisoned.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if let Bytes::Map(_, slot) = self.bytes {
            SLOTS.remove(slot);
        }
    }
}

/// Whether the system refused a map for want of room: reading without one goes on.
fn is_want_of_room(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::EAGAIN | libc::ENFILE | libc::ENODEV))
}

fn map_file(file: &File, len: usize) -> io::Result<Mmap> {
    let mut options = MmapOptions::new();
    let options = options.len(len);
    // SAFETY: a map is sound while nobody changes the file's bytes. Callers of `Disk::map` name
    // sealed files only: they have their name since their last sync, and no code of ours opens one
    // for writing afterwards, cuts it, or does more than unlink it; the lock of the folder keeps a
    // second server out. A person who cuts the file, or a disk that fails, meets the handler below;
    // one who writes over it is not covered, see docs/OPERATIONS.md.
    #[expect(unsafe_code, reason = "mapping a sealed file")]
    unsafe {
        options.map(file)
    }
}

/// The last byte as it is now; 0 if there is none.
fn last_byte(bytes: &[u8]) -> u8 {
    let Some(last) = bytes.last() else { return 0 };
    // SAFETY: a reference to a byte of the map is valid for a read. It is volatile because a person
    // who cuts the file changes the byte behind the compiler's back.
    #[expect(unsafe_code, reason = "looking again at a byte that may have changed")]
    unsafe {
        ptr::read_volatile(last)
    }
}

/// Has SIGBUS come to [`on_sigbus`], from the first call on.
fn handle_faults() -> io::Result<()> {
    static HANDLED: OnceLock<Result<(), i32>> = OnceLock::new();
    let installed =
        HANDLED.get_or_init(|| install().map_err(|error| error.raw_os_error().unwrap_or(0)));
    installed.map_err(io::Error::from_raw_os_error)
}

fn install() -> io::Result<()> {
    // SAFETY: a question without arguments that lie in memory.
    #[expect(unsafe_code, reason = "the system's page size")]
    let page_len = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page_len = usize::try_from(page_len).map_err(|_| io::Error::last_os_error())?;
    // Pairs with nothing: the handler that reads it is installed by a later system call.
    PAGE_LEN.store(page_len, Ordering::Relaxed);
    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = on_sigbus;
    let mut action = no_action();
    action.sa_sigaction = handler as usize;
    // The alternate stack is where a thread of Rust takes its signals.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // Asked for first: our handler may be called before the call that installs it returns.
    let previous = set_action(None)?;
    let _ = PREVIOUS.set(previous);
    set_action(Some(&action)).map(|_| ())
}

/// Sets what becomes of SIGBUS, if that is said, and returns what became of it before.
fn set_action(action: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let mut previous = no_action();
    let action = action.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: both pointers lead to a `sigaction` of ours that outlives the call, or nowhere.
    #[expect(unsafe_code, reason = "signals are set by pointer")]
    let result = unsafe { libc::sigaction(libc::SIGBUS, action, &raw mut previous) };
    if result == 0 { Ok(previous) } else { Err(io::Error::last_os_error()) }
}

/// The default action, with an empty mask.
fn no_action() -> libc::sigaction {
    // SAFETY: `sigaction` is plain data of C for which all zeros are valid: the default action, no
    // flags, no signal masked.
    #[expect(unsafe_code, reason = "plain data of C")]
    unsafe {
        mem::zeroed()
    }
}

/// Called by the system on the thread that read what it could not give it. Everything here must be
/// safe in a signal handler: atomics and system calls, no locks, no memory from the heap, no panic.
extern "C" fn on_sigbus(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the system passes a `siginfo_t` that lives until we return, because SA_SIGINFO is
    // set.
    #[expect(unsafe_code, reason = "what the system says of the signal")]
    let info_now = unsafe { *info };
    // Above zero the system itself says so, not another process.
    if info_now.si_code > 0 {
        // SAFETY: a SIGBUS of the system has an address.
        #[expect(unsafe_code, reason = "what the system says of the signal")]
        let address = unsafe { info_now.si_addr() }.addr();
        // Poisoned first: another thread that reads the zeros must find the flag set.
        if SLOTS.poison_at(address) && cover_with_zeros(address) {
            FAULTS.fetch_add(1, Ordering::Relaxed);
            return;
        }
    }
    pass_on(signal, info, info_now.si_code, context);
}

/// Puts a page of zeros where `address` lies.
fn cover_with_zeros(address: usize) -> bool {
    let page_len = PAGE_LEN.load(Ordering::Relaxed);
    let page = ptr::without_provenance_mut::<c_void>(address - address % page_len);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: the page lies in a map of ours, which the thread that the signal interrupted holds
    // alive, and maps begin and end at pages. It is replaced by one that can be read as well; the
    // bytes change, which `Mapped::is_poisoned` tells from now on.
    #[expect(unsafe_code, reason = "replacing a page of our own map")]
    let mapped = unsafe { libc::mmap(page, page_len, libc::PROT_READ, flags, -1, 0) };
    mapped == page
}

/// Does with a SIGBUS that is not ours what would be done without us.
fn pass_on(signal: c_int, info: *mut siginfo_t, code: c_int, context: *mut c_void) {
    let Some(previous) = PREVIOUS.get() else { return };
    match previous.sa_sigaction {
        // Whoever ignores it may be sent it; an instruction that cannot go on ends the process.
        libc::SIG_IGN if code <= 0 => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            let _ = set_action(Some(&no_action()));
            if code <= 0 {
                // Sent, not caused: there is no instruction that would cause it again.
                // SAFETY: a call without arguments that lie in memory. The signal comes when we
                // have returned.
                #[expect(unsafe_code, reason = "sending the signal on to the default action")]
                let _ = unsafe { libc::raise(signal) };
            }
        }
        handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);
            // SAFETY: the system kept this value as a handler of that type, as its flag says, and
            // would have called it with these arguments.
            #[expect(unsafe_code, reason = "handlers are kept as numbers")]
            let handler = unsafe { mem::transmute::<usize, Handler>(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: as above, of the type that handlers without that flag have.
            #[expect(unsafe_code, reason = "handlers are kept as numbers")]
            let handler = unsafe { mem::transmute::<usize, extern "C" fn(c_int)>(handler) };
            handler(signal);
        }
    }
}
