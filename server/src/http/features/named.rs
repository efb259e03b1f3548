//! Groups by name: `NAME` is the version that is promoted, `NAME@VERSION` that one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use barrow_engine::features::Storage;
use barrow_engine::{DefinitionFact, FeatureGroup, Reference};
use parking_lot::Mutex;

use super::super::error::{Code, Problem};
use super::super::params::Params;
use super::document;

/// What settings of groups are of.
pub(crate) const FEATURES: &str = "features";

/// Groups that are kept ready; the oldest goes first.
const READY_MAX: usize = 256;

/// Groups of one answer.
pub(super) const GROUPS_MAX: usize = 16;

/// The key of the setting that says which version of a group is promoted.
pub(crate) fn promoted_key(name: &str) -> String {
    format!("promoted:{name}")
}

/// The promoted version of a group.
pub(crate) fn promoted<'a>(reference: &'a Reference, name: &str) -> Option<&'a str> {
    reference.setting(FEATURES, &promoted_key(name))
}

/// The key of the setting that says how the history of a group is kept.
pub(super) fn history_key(name: &str) -> String {
    format!("history:{name}")
}

/// How the history of a group is kept, whichever version.
pub(super) fn history(reference: &Reference, name: &str) -> Storage {
    let setting = reference.setting(FEATURES, &history_key(name));
    setting.and_then(Storage::parse).unwrap_or_default()
}

/// Whether cells of a group are wanted in files.
pub(crate) fn is_materialized(reference: &Reference, name: &str) -> bool {
    history(reference, name) == Storage::Materialized
}

/// A version of a group, ready to be computed.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    /// The group's name.
    pub(crate) name: String,
    /// The group.
    pub(crate) group: Arc<FeatureGroup>,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.group.compiled.version)
    }
}

/// Groups that were asked for, ready.
#[derive(Default)]
pub(crate) struct Ready(Mutex<BTreeMap<(String, String), Arc<FeatureGroup>>>);

impl Ready {
    /// The group that `text` names.
    ///
    /// # Errors
    /// There is none; its document cannot be read.
    pub(crate) fn named(&self, reference: &Reference, text: &str) -> Result<Named, Problem> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let fact = fact(reference, (name, version), "groups")?;
        let key = (name.to_owned(), fact.version.to_string());
        let kept = self.0.lock().get(&key).cloned();
        let group = match kept {
            Some(group) => group,
            None => {
                let group = Arc::new(read(name, fact)?);
                let mut kept = self.0.lock();
                if kept.len() >= READY_MAX {
                    kept.pop_first();
                }
                kept.insert(key, Arc::clone(&group));
                group
            }
        };
        Ok(Named { name: name.to_owned(), group })
    }

    /// The groups that `groups` names, which can stand side by side.
    ///
    /// # Errors
    /// One of them is none; one is named twice; their slots differ.
    pub(crate) fn of(&self, reference: &Reference, params: &Params) -> Result<Vec<Named>, Problem> {
        let mut groups: Vec<Named> = Vec::new();
        for text in params.required("groups")?.split(',') {
            let named = self.named(reference, text)?;
            let fault = |fault: String| Err(Problem::parameter("groups", fault));
            if groups.iter().any(|other| other.name == named.name) {
                return fault(format!("'{}' is named twice", named.name));
            }
            if let Some(first) = groups.first()
                && !have_same_slots(&first.group, &named.group)
            {
                let (first, name) = (&first.name, &named.name);
                return fault(format!(
                    "{first} and {name} have other slots (bars or gap: rows): ask for each alone"
                ));
            }
            groups.push(named);
        }
        if groups.len() > GROUPS_MAX {
            return Err(Problem::parameter("groups", format!("are more than {GROUPS_MAX}")));
        }
        Ok(groups)
    }
}

fn have_same_slots(a: &FeatureGroup, b: &FeatureGroup) -> bool {
    let counts_rows = |group: &FeatureGroup| group.gap() == barrow_engine::features::Gap::Rows;
    a.definition.bars == b.definition.bars && counts_rows(a) == counts_rows(b)
}

/// The definition of a version of a group; of the promoted one if none is named. `field` is what
/// named it.
pub(crate) fn fact<'a>(
    reference: &'a Reference,
    (name, version): (&str, Option<&str>),
    field: &str,
) -> Result<&'a DefinitionFact, Problem> {
    let versions = reference.definitions(name);
    let missing =
        |what: String| Err(Problem::new(Code::NotFound, format!("{field}: {what}")).about(field));
    if versions.is_empty() {
        let names: Vec<&str> = reference.defined().collect();
        let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return missing(format!("there is no group '{name}' (there are: {there})"));
    }
    let wanted = version.or_else(|| promoted(reference, name));
    let found = versions.iter().find(|fact| wanted.is_none_or(|wanted| *fact.version == *wanted));
    match (found, wanted) {
        (Some(fact), _) => Ok(fact),
        (None, wanted) => {
            let all: Vec<&str> = versions.iter().map(|fact| &*fact.version).collect();
            let wanted = wanted.unwrap_or_default();
            missing(format!("{name} has no version '{wanted}' (it has: {})", all.join(", ")))
        }
    }
}

/// The group that a stored document says.
pub(crate) fn read(name: &str, fact: &DefinitionFact) -> Result<FeatureGroup, Problem> {
    let broken = |what: String| {
        let version = &fact.version;
        Problem::new(Code::Internal, format!("stored definition {name}@{version}: {what}"))
    };
    let value = serde_json::from_str(&fact.document).map_err(|error| broken(error.to_string()))?;
    let definition = document::read(&value, name).map_err(|problem| broken(problem.detail))?;
    let group = FeatureGroup::new(definition).map_err(|error| broken(error.to_string()))?;
    if *group.compiled.version != *fact.version {
        let version = &group.compiled.version;
        return Err(broken(format!(
            "is {version} to this build, whose kernels are others; put it anew"
        )));
    }
    Ok(group)
}
