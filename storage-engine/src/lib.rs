//! Barrow's storage engine: the truth about market data, and when it was known.
//!
//! Synchronous, single-writer, deterministic: the same calls give the same bytes. No clock, no
//! threads, no environment, no logging, no randomness, no sockets; time comes in as an argument
//! and files through [`disk::Disk`].
//!
//! ```text
//!            prepare (any thread)      commit (the one writer)
//! Batch ───▶ decode, door, look up ───▶ log ─▶ sync ─▶ memtable ─▶ Snapshot
//!            keys, encode the record                     │
//!                                                plan / run / install
//!                                                        ▼
//!                                            segments, named by the manifest
//! ```

pub mod aggregates;
pub mod batch;
mod bytes;
pub mod calendar;
mod catalog;
pub mod column;
mod compact;
mod copy;
mod curate;
pub mod dataset;
mod derived;
pub mod disk;
mod engine;
mod error;
pub mod features;
mod flush;
pub mod gaps;
mod generation;
mod inspect;
pub mod manifest;
mod memtable;
mod options;
mod prepare;
pub mod quality;
mod reference;
mod remembered;
pub mod report;
pub mod rows;
pub mod segment;
mod snapshot;
mod verify;
mod vintage;
mod visible;
pub mod wal;

pub use aggregates::{Conditions, TileStats};
pub use compact::{CompactDone, CompactJob, Lost, Scope};
pub use copy::{Copied, CopyJob, Moved, StoreAtRest};
pub use curate::{
    Adjust, Adjustment, Anchor, Candidate, Content, Curated, CuratedScan, Fallback, Newest, Piece,
    SlotSpan, State, TilesDone, TilesJob,
};
pub use engine::{Engine, Reader, Recovery, Stats};
pub use error::{Error, ErrorKind};
pub use features::{
    FeatureGroup, FeaturePiece, FeatureScan, Features, LiveFeatures, LiveRow, LiveUpdate, Way,
};
pub use flush::{FlushDone, FlushJob};
pub use gaps::{MaskStats, MasksDone, MasksJob};
pub use inspect::{Inspection, inspect};
pub use memtable::{Span, Zone};
pub use options::Options;
pub use prepare::{Prepared, prepare, retraction_of};
pub use reference::{Action, DefinitionFact, Reference, RuleFact, Since};
pub use snapshot::{
    BatchEntry, DeadLetter, LetterId, Revisions, Scan, Scanner, Snapshot, SourceFactRow,
};
pub use verify::{Stepped, Verifier, VerifyPlace, VerifyReport, verify, verify_live};
pub use vintage::{LateRows, Load, View, Views, Vintage};
pub use wal::spare::{SpareDone, SpareJob};
