//! What the server tells of groups of features.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct FeatureGroup {
    /// Its name.
    pub name: String,
    /// The version that the bare name means.
    pub promoted: Option<String>,
    /// All of them, in the order in which they were put.
    pub versions: Vec<FeatureVersion>,
}

/// A version of a group.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct FeatureVersion {
    /// Sixteen hexadecimal digits: the same for the same definition, wherever it is put.
    pub version: String,
    /// When it was put, RFC 3339 UTC.
    pub put_at: String,
    /// Since which sequence it is there.
    pub sequence: u64,
}

/// A version of a group in full.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct FeatureGroupInfo {
    /// Its name.
    pub name: String,
    /// The version that is described.
    pub version: String,
    /// The version that the bare name means.
    pub promoted: Option<String>,
    /// Whether that is this one.
    pub is_promoted: bool,
    /// All of them, in the order in which they were put.
    pub versions: Vec<FeatureVersion>,
    /// The document as it was put.
    pub document: Value,
    /// The text that decides the version: slots, options and each expression.
    pub canonical: String,
    /// What can be said of each feature, in the order of the columns.
    pub features: Vec<FeatureInfo>,
    /// How many nodes are computed for a slot.
    pub nodes: u64,
    /// The bytes of state that one instrument needs, estimated.
    pub state_bytes: u64,
    /// The greatest lookback, in slots; `None`: all since the first.
    pub lookback: Option<u32>,
    /// The greatest warm-up, in slots.
    pub warm_up: u32,
}

/// What can be said of a feature before one is computed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct FeatureInfo {
    /// Its name.
    pub name: String,
    /// Its expression, canonical.
    pub expr: String,
    /// What its cells depend on, at most.
    pub class: FeatureClass,
    /// How many slots before its own a cell depends on; `None`: on all since the first.
    pub lookback: Option<u32>,
    /// In how many slots from the first on it is null, whatever the data.
    pub warm_up: u32,
    /// What it reads.
    pub inputs: Vec<FeatureInput>,
}

/// What a feature reads of one instrument at one step.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct FeatureInput {
    /// Another instrument than the one that the feature is of.
    pub instrument: Option<String>,
    /// Another step than the group's, such as `1h`.
    pub every: Option<String>,
    /// Fields of its bars, without the `$`.
    pub fields: Vec<String>,
    /// How many of its slots are looked at before the one that is taken; `None`: all.
    pub lookback: Option<u32>,
}

/// What the cells of a feature depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FeatureClass {
    /// On their own slot.
    Elementwise,
    /// On so many slots before it.
    Window,
    /// On all slots since the first.
    Recursive,
}

impl fmt::Display for FeatureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Elementwise => "elementwise",
            Self::Window => "window",
            Self::Recursive => "recursive",
        })
    }
}

/// What became of computing cells again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The group.
    pub name: String,
    /// Its version.
    pub version: String,
    /// How many cells were compared.
    pub cells: u64,
    /// How many of them differ in a bit, in being null, or in their reason.
    pub mismatches: u64,
    /// A hash over what [`crate::Client::features`] gives.
    pub hash_stored: String,
    /// A hash over what was computed again.
    pub hash_recomputed: String,
    /// The same of each symbol.
    pub symbols: Vec<SymbolVerdict>,
}

/// What became of computing the cells of a symbol again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct SymbolVerdict {
    /// The symbol.
    pub symbol: String,
    /// How many cells were compared.
    pub cells: u64,
    /// How many of them differ.
    pub mismatches: u64,
    /// A hash over what [`crate::Client::features`] gives.
    pub hash_stored: String,
    /// A hash over what was computed again.
    pub hash_recomputed: String,
    /// The first sessions with differences.
    pub sessions: Vec<SessionMismatches>,
}

/// A session with cells that differ.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct SessionMismatches {
    /// Its date, `YYYY-MM-DD`.
    pub session: String,
    /// How many cells of it differ.
    pub mismatches: u64,
}

/// What became of leaving out past and future.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct LintReport {
    /// The group.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whether every feature is as it should be.
    pub is_ok: bool,
    /// Each of them.
    pub features: Vec<FeatureLint>,
}

/// What became of leaving out past and future of a feature.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct FeatureLint {
    /// Its name.
    pub name: String,
    /// How many slots before its own a cell may depend on; `None`: all since the first.
    pub lookback: Option<u32>,
    /// In how many slots from the first on it is null, whatever the data.
    pub warm_up: u32,
    /// Whether nothing changed that must not. A recursive feature may change with the past.
    pub is_ok: bool,
    /// Cells behind lookback and warm-up, without what was before.
    pub without_past: FeatureChanges,
    /// Cells without what came after them.
    pub without_future: FeatureChanges,
}

/// How many cells changed, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct FeatureChanges {
    /// How many were compared.
    pub cells: u64,
    /// How many of them differ.
    pub differ: u64,
    /// The greatest difference of two values, by the greater of both; 0 if nulls are all.
    pub max_relative: f64,
}
