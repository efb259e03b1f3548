//! What can be said of features before one is computed.

use std::collections::BTreeMap;

use crate::graph::{ContextId, Graph, Node, NodeId};
use crate::operator::{Class, Field, Operator};

/// What can be said of a feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analysis {
    /// Its name.
    pub name: String,
    /// Its expression, canonical.
    pub expr: String,
    /// What its cells depend on, at most.
    pub class: Class,
    /// How many slots before its own a cell depends on, besides what `At` and `Of` take from other
    /// contexts; `None`: on all since the begin, here or there.
    pub lookback: Option<u32>,
    /// In how many slots from the begin it is null, `warm_up`, whatever the data.
    pub warm_up: u32,
    /// What it reads, by context; the first is the group's own if it reads that.
    pub inputs: Vec<Reads>,
}

/// What a feature reads of one context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reads {
    /// Whose slots.
    pub context: ContextId,
    /// Which fields of them.
    pub fields: Vec<Field>,
    /// How many slots before the one that `At` or `Of` takes (or the cell's own) are looked at;
    /// `None`: all since the begin.
    pub lookback: Option<u32>,
}

/// What can be said of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// How many nodes are computed for a slot.
    pub nodes: usize,
    /// The bytes of state that one instrument needs, estimated: 9 for each slot that the windows
    /// and lags over a node keep of it (the longest counts), 16 for the last cell of each node, and
    /// 64 for each recursion.
    pub state_bytes: u64,
    /// The greatest lookback; `None`: a feature depends on all slots since the begin.
    pub lookback: Option<u32>,
    /// The greatest warm-up.
    pub warm_up: u32,
}

/// What a node depends on.
#[derive(Clone, Debug)]
struct Reach {
    class: Class,
    by_context: BTreeMap<ContextId, Read>,
}

/// What a node reads of a context.
#[derive(Clone, Copy, Debug, Default)]
struct Read {
    /// A bit for each field.
    fields: u32,
    lookback: u32,
    is_unbounded: bool,
}

impl Read {
    fn slots(self) -> Option<u32> {
        (!self.is_unbounded).then_some(self.lookback)
    }

    fn join(&mut self, other: Self) {
        self.fields |= other.fields;
        self.lookback = self.lookback.max(other.lookback);
        self.is_unbounded |= other.is_unbounded;
    }
}

/// What can be said of the features of a graph, whose names and expressions are `features`.
pub(crate) fn analyse(graph: &Graph, features: Vec<(String, String)>) -> (Vec<Analysis>, Totals) {
    let mut reaches: Vec<Reach> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let reach = reach(node, &reaches);
        reaches.push(reach);
    }
    let analyses: Vec<Analysis> = graph
        .outputs
        .iter()
        .zip(features)
        .map(|(output, (name, expr))| {
            let reach = &reaches[place(output.node)];
            let own = reach.by_context.get(&ContextId(0)).copied().unwrap_or_default();
            let is_bounded = reach.by_context.values().all(|read| !read.is_unbounded);
            let inputs = reach.by_context.iter().filter(|(_, read)| read.fields != 0);
            Analysis {
                name,
                expr,
                class: reach.class,
                lookback: is_bounded.then_some(own.lookback),
                warm_up: graph.nodes[place(output.node)].warm_up,
                inputs: inputs
                    .map(|(context, read)| Reads {
                        context: *context,
                        fields: fields(read.fields),
                        lookback: read.slots(),
                    })
                    .collect(),
            }
        })
        .collect();
    let lookbacks: Option<Vec<u32>> = analyses.iter().map(|feature| feature.lookback).collect();
    let totals = Totals {
        nodes: graph.nodes.len(),
        state_bytes: state_bytes(graph),
        lookback: lookbacks.map(|lookbacks| lookbacks.into_iter().max().unwrap_or(0)),
        warm_up: analyses.iter().map(|feature| feature.warm_up).max().unwrap_or(0),
    };
    (analyses, totals)
}

fn reach(node: &Node, before: &[Reach]) -> Reach {
    let own = match node.operator {
        Operator::Ref => node.slots,
        operator if operator.has_window() => node.slots - 1,
        _ => 0,
    };
    let class = node.operator.reaches();
    let mut found = Reach { class, by_context: BTreeMap::new() };
    let read = Read { lookback: own, is_unbounded: class == Class::Recursive, fields: 0 };
    found.by_context.insert(node.context, read);
    if let Operator::Field(field) = node.operator {
        let read = Read { fields: 1 << field.place(), ..read };
        found.by_context.insert(node.context, read);
    }
    for input in &node.inputs {
        let input = &before[place(*input)];
        found.class = found.class.max(input.class);
        for (context, read) in &input.by_context {
            // Behind `At` and `Of` slots are others, and counted from the one that is taken.
            let is_own = *context == node.context;
            let read = Read {
                lookback: read.lookback.saturating_add(if is_own { own } else { 0 }),
                is_unbounded: read.is_unbounded || (is_own && class == Class::Recursive),
                ..*read
            };
            found.by_context.entry(*context).or_default().join(read);
        }
    }
    found
}

fn fields(bits: u32) -> Vec<Field> {
    Field::ALL.into_iter().filter(|field| bits & (1 << field.place()) != 0).collect()
}

fn state_bytes(graph: &Graph) -> u64 {
    let mut kept = vec![0u32; graph.nodes.len()];
    let mut bytes = 0u64;
    for node in &graph.nodes {
        bytes += 16;
        if node.operator.reaches() == Class::Recursive {
            bytes += 64;
        }
        if node.operator == Operator::Ref || node.operator.has_window() {
            for input in &node.inputs {
                let kept = &mut kept[place(*input)];
                *kept = (*kept).max(node.slots);
            }
        }
    }
    bytes + kept.into_iter().map(|slots| 9 * u64::from(slots)).sum::<u64>()
}

fn place(id: NodeId) -> usize {
    usize::try_from(id.0).expect("invariant: a graph is in memory")
}
