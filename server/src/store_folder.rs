//! A folder that becomes a store: filled under another name, and given its own when it is whole.
//!
//! The other name ends with `.unfinished`. What is found there was broken off: whoever begins the
//! same folder again removes it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use barrow_engine::disk::OsDisk;
use barrow_engine::{Copied, CopyJob, Error, Moved};

/// The end of the name of a folder that is not whole.
const UNFINISHED: &str = ".unfinished";

/// All that a store that is being copied consists of.
const PARTS: [&str; 8] =
    ["LOCK", "FORMAT", "FORMAT.tmp", "wal", "manifest", "segments", "derived", "quarantine"];

/// A folder in the making; gone when it is dropped.
pub(crate) struct StoreFolder {
    place: PathBuf,
    unfinished: PathBuf,
    /// Holds the folder for this process.
    disk: OsDisk,
    is_whole: bool,
}

impl StoreFolder {
    /// Begins the folder `place`, which must not be there or be empty.
    ///
    /// # Errors
    /// Why it cannot become a store, for a person.
    pub(crate) fn begin(place: &Path) -> Result<Self, String> {
        let shown = place.display();
        let name = place.file_name().filter(|name| !ends_as_unfinished(Path::new(name)));
        let Some(name) = name else {
            return Err(format!("{shown}: give a folder's name, not ending with {UNFINISHED}"));
        };
        if place.ancestors().skip(1).any(|above| above.join("FORMAT").exists()) {
            return Err(format!("{shown} lies in a store; choose a folder elsewhere"));
        }
        match fs::read_dir(place).map(|mut entries| entries.next().is_some()) {
            Ok(false) => {}
            Ok(true) => {
                return Err(format!("{shown} is there already and is not empty; choose another"));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{shown}: {error}")),
        }
        let mut other: OsString = name.to_owned();
        other.push(UNFINISHED);
        let unfinished = place.with_file_name(other);
        check_left(&unfinished)?;
        let disk = OsDisk::open(&unfinished).map_err(|error| error.to_string())?;
        let folder = Self { place: place.to_owned(), unfinished, disk, is_whole: false };
        let cleared = folder.clear();
        cleared.map_err(|error| format!("clear {}: {error}", folder.unfinished.display()))?;
        Ok(folder)
    }

    /// Removes what an earlier attempt left.
    fn clear(&self) -> io::Result<()> {
        for part in PARTS.iter().filter(|part| **part != "LOCK") {
            let path = self.unfinished.join(part);
            let removed =
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes the copy in it. `pace` is told what came to be there and how far it is, from 0 to 1;
    /// it may take its time, and may end it. Long.
    ///
    /// # Errors
    /// As [`CopyJob::run`].
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    pub(crate) fn fill(
        &self,
        job: CopyJob,
        pace: &mut dyn FnMut(Moved, f64) -> ControlFlow<()>,
    ) -> Result<Copied, Error> {
        let (mut done, bytes) = (0, job.bytes().max(1));
        job.run(&self.disk, &mut |more| {
            done += more.bytes();
            pace(more, (done as f64 / bytes as f64).min(1.0))
        })
    }

    /// Gives it its name, which survives a loss of power.
    ///
    /// # Errors
    /// What the system says; if it is about the name, the folder is gone.
    pub(crate) fn publish(mut self) -> Result<(), String> {
        let named = fs::rename(&self.unfinished, &self.place);
        named.map_err(|error| format!("give {} its name: {error}", self.place.display()))?;
        self.is_whole = true;
        let above = match self.place.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        let synced = File::open(above).and_then(|above| above.sync_all());
        synced.map_err(|error| format!("sync {}: {error}", above.display()))
    }
}

impl Drop for StoreFolder {
    fn drop(&mut self) {
        if !self.is_whole
            && let Err(error) = fs::remove_dir_all(&self.unfinished)
        {
            let folder = self.unfinished.display();
            tracing::warn!(%folder, %error, "an unfinished copy of a store was not removed");
        }
    }
}

/// Whether a folder of that name is one that is not whole.
pub(crate) fn ends_as_unfinished(place: &Path) -> bool {
    place.as_os_str().to_string_lossy().ends_with(UNFINISHED)
}

/// What is there must be what a copy left that was broken off: it will be removed.
fn check_left(unfinished: &Path) -> Result<(), String> {
    let shown = unfinished.display();
    let entries = match fs::read_dir(unfinished) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| format!("{shown}: {error}"))?,
    };
    for entry in entries {
        let name = entry.map_err(|error| format!("{shown}: {error}"))?.file_name();
        if !PARTS.iter().any(|part| name == *part) {
            let name = name.to_string_lossy();
            return Err(format!("{shown} holds {name}, which no copy left there; move it away"));
        }
    }
    Ok(())
}
