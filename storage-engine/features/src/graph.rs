//! What is computed, once each: the nodes of all features of a group.

use barrow_types::Step;

use crate::operator::Operator;

/// A place in [`Graph::nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// A place in [`Graph::contexts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextId(pub u16);

/// Whose slots a node's cells belong to. Two contexts may be of the same slots; none reads, through
/// `At` or `Of` or further ones, itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Context {
    /// The instrument, as `Of` names it; `None`: the one that is asked for.
    pub instrument: Option<String>,
    /// The step, as `At` says; `None`: the group's.
    pub step: Option<Step>,
}

/// An operator applied to nodes before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What is computed.
    pub operator: Operator,
    /// On whose slots.
    pub context: ContextId,
    /// Of what; each comes before the node in [`Graph::nodes`].
    pub inputs: Vec<NodeId>,
    /// N or k; 0 if the operator has neither.
    pub slots: u32,
    /// Its other numbers.
    pub numbers: Vec<f64>,
    /// W: the first slots in which it is null, `warm_up`.
    pub warm_up: u32,
    /// How many places of its window must be valid.
    pub min_valid: u32,
}

/// A feature: the cells of a node of the first context.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// Its cells.
    pub node: NodeId,
}

/// The nodes of a group, in an order in which they can be computed; no two are equal.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// The first is the group's own: the instrument that is asked for, on the group's step.
    pub contexts: Vec<Context>,
    /// What is computed.
    pub nodes: Vec<Node>,
    /// The features, in the group's order.
    pub outputs: Vec<Output>,
    /// Whether it follows Qlib where that differs (`compat: qlib`).
    pub qlib: bool,
}
