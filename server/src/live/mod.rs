//! Rows of features that are kept ready: the latest of each symbol, and news of them.
//!
//! | file | holds |
//! |---|---|
//! | `commits.rs` | what the writer has committed and nobody has looked at |
//! | `worker.rs` | the thread that makes rows of it |
//! | `group.rs` | a group's symbols and their latest rows |
//! | `cut.rs` | as of which record all of them are |
//! | `files.rs` | the same rows in files that clients map |
//! | `ring.rs` | the newest updates, for all who are told of them |
//! | `subscription.rs` | which of them a client is told of, and how far it is |
//!
//! Rows are stored before their updates are published: who reads the latest row after an update
//! finds it, or a newer one.

mod commits;
mod cut;
mod files;
pub(crate) mod group;
pub(crate) mod ring;
pub(crate) mod subscription;
pub(crate) mod worker;

use std::sync::Arc;

use parking_lot::RwLock;

pub(crate) use self::commits::Commits;
pub(crate) use self::cut::{Cut, Cuts, Needed};
pub(crate) use self::files::Folder;
pub(crate) use self::group::LiveGroup;
pub(crate) use self::ring::{Bounds, Publisher, Ring};

/// Which store this is, and which of its openings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The store's, for ever.
    pub(crate) instance: [u8; 16],
    /// Counts its openings: handles and numbers of symbols hold within one.
    pub(crate) epoch: u64,
}

/// All that is live.
pub(crate) struct Live {
    identity: Identity,
    /// In the order of their handles.
    groups: RwLock<Arc<[Arc<LiveGroup>]>>,
    cuts: Cuts,
    ring: Arc<Ring>,
}

impl Live {
    /// No group yet; everything up to and including the record `sequence` will be in the latest
    /// rows of those to come.
    pub(crate) fn new(identity: Identity, bounds: Bounds, sequence: u64) -> (Arc<Self>, Publisher) {
        let ring = Ring::new(bounds, sequence);
        let publisher = Publisher::new(Arc::clone(&ring));
        let (groups, cuts) = (RwLock::default(), Cuts::default());
        let live = Self { identity, groups, cuts, ring };
        (Arc::new(live), publisher)
    }

    /// Which store this is.
    pub(crate) const fn identity(&self) -> Identity {
        self.identity
    }

    /// News.
    pub(crate) const fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    /// As of which record the rows are.
    pub(crate) const fn cuts(&self) -> &Cuts {
        &self.cuts
    }

    /// Every version of a group that is live, in the order of their handles.
    pub(crate) fn groups(&self) -> Arc<[Arc<LiveGroup>]> {
        Arc::clone(&self.groups.read())
    }

    /// Replaces the groups.
    pub(crate) fn set_groups(&self, groups: impl Into<Vec<Arc<LiveGroup>>>) {
        let mut groups = groups.into();
        groups.sort_unstable_by_key(|group| group.handle);
        *self.groups.write() = groups.into();
    }

    /// A version of a group; without a version the promoted one.
    pub(crate) fn group(&self, name: &str, version: Option<&str>) -> Option<Arc<LiveGroup>> {
        let groups = self.groups.read();
        let found = groups.iter().find(|group| {
            group.name == name
                && version.map_or_else(|| group.is_promoted(), |version| group.version == version)
        });
        found.cloned()
    }

    /// The group that `NAME` or `NAME@VERSION` means.
    ///
    /// # Errors
    /// There is none; the text says which there are.
    pub(crate) fn named(&self, text: &str) -> Result<Arc<LiveGroup>, String> {
        let found = match text.split_once('@') {
            Some((name, version)) => self.group(name, Some(version)),
            None => self.group(text, None),
        };
        found.ok_or_else(|| {
            let groups = self.groups();
            let names = groups.iter().map(|group| format!("{}@{}", group.name, group.version));
            let names = names.collect::<Vec<_>>().join(", ");
            let names = if names.is_empty() { "none".to_owned() } else { names };
            format!("no live group '{text}' (there are: {names})")
        })
    }

    /// The group with this handle.
    pub(crate) fn by_handle(&self, handle: u32) -> Option<Arc<LiveGroup>> {
        let groups = self.groups.read();
        let place = groups.binary_search_by_key(&handle, |group| group.handle).ok()?;
        Some(Arc::clone(&groups[place]))
    }
}
