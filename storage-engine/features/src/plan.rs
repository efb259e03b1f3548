//! A graph made ready to be run: calls of kernels in order, and where their state is.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};

use crate::call::{Call, Push};
use crate::graph::{ContextId, Graph, Node};
use crate::grouping::{Grouping, Sorted};
use crate::operator::{Class, Field, Operator};
use crate::version::KERNELS;

/// A graph that cannot be run: our own fault, text does not become such a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// Which node is wrong.
    pub node: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plan features: node {} {}", self.node, self.what)
    }
}

impl std::error::Error for PlanError {}

/// Cells of another context that a context reads, through `At` or `Of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Import {
    /// Whose cells.
    pub context: ContextId,
    /// Which of its exports.
    pub export: usize,
    /// `At` or `Of`: which slot of the other context is meant.
    pub operator: Operator,
}

/// What is to be done for the slots of each context of a graph.
#[derive(Clone, Debug)]
pub struct Plan {
    contexts: Vec<ContextPlan>,
    order: Vec<ContextId>,
    fingerprint: u64,
}

/// The part of a plan that is about one context. Columns are numbered in the order of its nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct ContextPlan {
    pub(crate) columns: usize,
    pub(crate) constants: Vec<(usize, f64)>,
    pub(crate) fields: Vec<(Field, usize)>,
    pub(crate) imports: Vec<(Import, usize)>,
    pub(crate) exports: Vec<usize>,
    pub(crate) rings: Vec<Ring>,
    /// Cells that all rings keep.
    pub(crate) kept: usize,
    pub(crate) calls: Vec<Call>,
    pub(crate) recursion_len: usize,
    pub(crate) sorted: Vec<Sorted>,
    pub(crate) extremes: usize,
    pub(crate) lookback: Option<u64>,
    pub(crate) qlib: bool,
    pub(crate) fingerprint: u64,
}

/// The newest cells of a node, for windows and lags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring {
    /// How many cells before those at hand are kept.
    pub(crate) keep: usize,
    /// How many cells the rings before it keep.
    pub(crate) before: usize,
}

impl Plan {
    /// Plans a graph.
    ///
    /// # Errors
    /// If a node is not what its operator takes, if nodes are not in order, or if contexts read
    /// each other in a circle.
    pub fn new(graph: &Graph) -> Result<Self, PlanError> {
        check(graph)?;
        let order = order_of(graph)?;
        let mut places = vec![0; graph.nodes.len()];
        let mut counts = vec![0; graph.contexts.len()];
        for (node, place) in graph.nodes.iter().zip(&mut places) {
            let count = &mut counts[usize::from(node.context.0)];
            *place = *count;
            *count += 1;
        }
        let mut exports: Vec<Vec<usize>> = vec![Vec::new(); graph.contexts.len()];
        exports[0].extend(graph.outputs.iter().map(|output| places[output.node.0 as usize]));
        let mut imports: Vec<Vec<Import>> = vec![Vec::new(); graph.contexts.len()];
        let mut known = BTreeMap::new();
        for node in graph.nodes.iter().filter(|node| is_import(node)) {
            let input = node.inputs[0];
            let context = graph.nodes[input.0 as usize].context;
            let export = *known.entry(input).or_insert_with(|| {
                let exports = &mut exports[usize::from(context.0)];
                exports.push(places[input.0 as usize]);
                exports.len() - 1
            });
            let import = Import { context, export, operator: node.operator };
            imports[usize::from(node.context.0)].push(import);
        }
        let digest = fingerprint(graph);
        let contexts = (0..graph.contexts.len())
            .map(|context| {
                let nodes: Vec<&Node> = (graph.nodes.iter())
                    .filter(|node| usize::from(node.context.0) == context)
                    .collect();
                let mut plan = ContextPlan {
                    columns: nodes.len(),
                    exports: std::mem::take(&mut exports[context]),
                    qlib: graph.qlib,
                    fingerprint: digest.wrapping_add(context as u64),
                    ..ContextPlan::default()
                };
                plan.fill(&nodes, &places, std::mem::take(&mut imports[context]));
                plan
            })
            .collect();
        Ok(Self { contexts, order, fingerprint: digest })
    }

    /// The contexts in an order in which each comes after those that it reads.
    pub fn order(&self) -> &[ContextId] {
        &self.order
    }

    /// The fields that a context reads.
    pub fn fields(&self, context: ContextId) -> impl Iterator<Item = Field> {
        self.context(context).fields.iter().map(|(field, _)| *field)
    }

    /// What a context reads of others.
    pub fn imports(&self, context: ContextId) -> impl ExactSizeIterator<Item = Import> {
        self.context(context).imports.iter().map(|(import, _)| *import)
    }

    /// How many columns of cells a run of a context gives: of the first, those of the graph's
    /// outputs in their order come first; then, as of all others, what other contexts read.
    pub fn exports(&self, context: ContextId) -> usize {
        self.context(context).exports.len()
    }

    /// How many slots before a slot decide its cells, besides what is imported; `None` if all
    /// since the begin do.
    pub fn lookback(&self, context: ContextId) -> Option<u64> {
        self.context(context).lookback
    }

    /// Tells plans apart whose states do not fit each other.
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub(crate) fn context(&self, context: ContextId) -> &ContextPlan {
        &self.contexts[usize::from(context.0)]
    }
}

impl ContextPlan {
    fn fill(&mut self, nodes: &[&Node], places: &[usize], imports: Vec<Import>) {
        let mut imports = imports.into_iter();
        let mut grouping = Grouping::default();
        let mut levels = vec![0; nodes.len()];
        let mut lookbacks = vec![Some(0_u64); nodes.len()];
        for (out, node) in nodes.iter().enumerate() {
            if is_import(node) {
                let import = imports.next().expect("invariant: an import for each such node");
                self.imports.push((import, out));
                continue;
            }
            if let Some(field) = node.field() {
                self.fields.push((field, out));
                continue;
            }
            if node.operator == Operator::Number {
                self.constants.push((out, node.numbers[0] + 0.0));
                continue;
            }
            let inputs: Vec<usize> =
                node.inputs.iter().map(|input| places[input.0 as usize]).collect();
            levels[out] = 1 + inputs.iter().map(|input| levels[*input]).max().unwrap_or(0);
            lookbacks[out] = (inputs.iter())
                .try_fold(0, |most, input| Some(lookbacks[*input]?.max(most)))
                .and_then(|most| Some(most + own_lookback(node)?));
            grouping.add(levels[out], out, node, &inputs);
        }
        self.lookback =
            self.exports.iter().try_fold(0, |most, out| Some(lookbacks[*out]?.max(most)));
        self.arrange(grouping, &levels);
    }

    /// Puts calls in order: level by level, and after each level the cells that windows look at
    /// go to their rings.
    fn arrange(&mut self, mut grouping: Grouping, levels: &[usize]) {
        let deepest = levels.iter().copied().max().unwrap_or(0);
        let mut pushes: Vec<Vec<Push>> = vec![Vec::new(); deepest + 1];
        for (ring, (node, keep)) in grouping.rings.iter().enumerate() {
            self.rings.push(Ring { keep: *keep, before: self.kept });
            self.kept += keep;
            pushes[levels[*node]].push(Push { node: *node, ring });
        }
        grouping.count();
        self.recursion_len = grouping.recursion_len;
        self.sorted.clone_from(&grouping.sorted);
        self.extremes = grouping.extremes;
        let mut calls = grouping.into_levels(deepest + 1);
        for (calls, pushes) in calls.iter_mut().zip(pushes) {
            self.calls.append(calls);
            if !pushes.is_empty() {
                self.calls.push(Call::Push(pushes));
            }
        }
    }
}

const fn is_import(node: &Node) -> bool {
    matches!(node.operator, Operator::At | Operator::Of)
}

fn own_lookback(node: &Node) -> Option<u64> {
    match (node.operator, node.operator.reaches()) {
        (_, Class::Recursive) => None,
        (_, Class::Elementwise) => Some(0),
        (Operator::Ref, _) => Some(u64::from(node.slots)),
        (_, Class::Window) => Some(u64::from(node.slots) - 1),
    }
}

fn check(graph: &Graph) -> Result<(), PlanError> {
    if graph.contexts.is_empty() {
        return Err(PlanError { node: 0, what: "has no context" });
    }
    for (at, node) in graph.nodes.iter().enumerate() {
        let fault = |what| Err(PlanError { node: at, what });
        if let Some(what) = node.fault() {
            return fault(what);
        }
        if usize::from(node.context.0) >= graph.contexts.len() {
            return fault("is of a context that does not exist");
        }
        for input in &node.inputs {
            let Some(input) = graph.nodes[..at].get(input.0 as usize) else {
                return fault("has an input that does not come before it");
            };
            if (input.context == node.context) == is_import(node) {
                return fault("has an input of the wrong context");
            }
        }
    }
    match graph.outputs.iter().find(|output| {
        graph.nodes.get(output.node.0 as usize).is_none_or(|node| node.context != ContextId(0))
    }) {
        Some(output) => Err(PlanError {
            node: output.node.0 as usize,
            what: "is no output of the first context",
        }),
        None => Ok(()),
    }
}

/// The contexts, each after those that it reads.
fn order_of(graph: &Graph) -> Result<Vec<ContextId>, PlanError> {
    let mut reads = vec![Vec::new(); graph.contexts.len()];
    for node in graph.nodes.iter().filter(|node| is_import(node)) {
        let read = graph.nodes[node.inputs[0].0 as usize].context;
        reads[usize::from(node.context.0)].push(usize::from(read.0));
    }
    let mut order = Vec::new();
    let mut done = vec![false; graph.contexts.len()];
    while order.len() < graph.contexts.len() {
        let next = (0..graph.contexts.len())
            .find(|context| !done[*context] && reads[*context].iter().all(|read| done[*read]));
        let Some(next) = next else {
            return Err(PlanError { node: 0, what: "is of contexts that read each other" });
        };
        done[next] = true;
        order.push(ContextId(u16::try_from(next).expect("invariant: contexts have u16 numbers")));
    }
    Ok(order)
}

fn fingerprint(graph: &Graph) -> u64 {
    let mut hash = Sha256::new();
    hash.update(KERNELS.to_le_bytes());
    hash.update(format!("{:?}{:?}{:?}", graph.contexts, graph.nodes, graph.qlib));
    for output in &graph.outputs {
        hash.update(output.node.0.to_le_bytes());
    }
    let digest = hash.finalize();
    u64::from_le_bytes(*digest.first_chunk().expect("invariant: 32 bytes"))
}
