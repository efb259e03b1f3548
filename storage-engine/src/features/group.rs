//! A group of features, ready to be computed.

use barrow_features::{Compiled, Definition, DefinitionError, Gap, Graph, Plan};

/// What its document says, and what became of it.
#[derive(Clone, Debug)]
pub struct FeatureGroup {
    /// What its document says.
    pub definition: Definition,
    /// What was made of it.
    pub compiled: Compiled,
    pub(super) plan: Plan,
}

impl FeatureGroup {
    /// Makes a definition ready.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn new(definition: Definition) -> Result<Self, DefinitionError> {
        let compiled = definition.compile()?;
        let plan = Plan::new(&compiled.graph).expect("invariant: a compiled graph can be run");
        Ok(Self { definition, compiled, plan })
    }

    /// What is computed.
    pub fn graph(&self) -> &Graph {
        &self.compiled.graph
    }

    /// What fields are in slots without a row.
    pub fn gap(&self) -> Gap {
        self.definition.options.gap()
    }
}
