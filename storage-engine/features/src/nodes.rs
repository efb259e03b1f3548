//! The graph while it grows: what is equal is kept once.

use std::collections::BTreeMap;

use crate::definition::{LOOKBACK_MAX, Options};
use crate::graph::{Context, ContextId, Graph, Node, NodeId, Output};
use crate::operator::Operator;
use crate::rules::Windows;

/// Most distinct nodes of a group.
pub const NODES_MAX: usize = 32_768;

/// Most instruments and steps of a group together.
pub const CONTEXTS_MAX: usize = 256;

/// All that tells nodes apart; numbers by their bits.
type Key = (Operator, ContextId, Vec<NodeId>, u32, Vec<u64>, u32);

/// A bit for each context.
type ContextSet = [u64; CONTEXTS_MAX / 64];

pub(crate) struct Nodes {
    windows: Windows,
    is_qlib: bool,
    contexts: Vec<Context>,
    /// For each context those that it reads, directly or not.
    reads: Vec<ContextSet>,
    nodes: Vec<Node>,
    /// Slots before its own that each looks at, recursions not counted.
    lookbacks: Vec<u32>,
    known: BTreeMap<Key, NodeId>,
}

impl Nodes {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            windows: Windows::of(options),
            is_qlib: *options == Options::Qlib,
            contexts: vec![Context { instrument: None, step: None }],
            reads: vec![ContextSet::default()],
            nodes: Vec::new(),
            lookbacks: Vec::new(),
            known: BTreeMap::new(),
        }
    }

    pub(crate) fn context(&self, id: ContextId) -> &Context {
        &self.contexts[usize::from(id.0)]
    }

    /// The context of these slots, as one that `reader` reads.
    ///
    /// Contexts are computed one after the other, so none may read another that reads it: then the
    /// same slots make a second context (A of B, and B of A: another A each time).
    pub(crate) fn read_context(
        &mut self,
        reader: ContextId,
        context: Context,
    ) -> Result<ContextId, String> {
        if *self.context(reader) == context {
            return Ok(reader);
        }
        let reader = usize::from(reader.0);
        let may_read =
            |place: &usize| self.contexts[*place] == context && !has(&self.reads[*place], reader);
        let read = match (0..self.contexts.len()).find(may_read) {
            Some(place) => place,
            None if self.contexts.len() == CONTEXTS_MAX => {
                return Err(format!("At and Of of a group lead to at most {CONTEXTS_MAX} places"));
            }
            None => {
                self.contexts.push(context);
                self.reads.push(ContextSet::default());
                self.contexts.len() - 1
            }
        };
        if !has(&self.reads[reader], read) {
            let mut added = self.reads[read];
            added[read / 64] |= 1 << (read % 64);
            for (place, reads) in self.reads.iter_mut().enumerate() {
                if place == reader || has(reads, reader) {
                    reads.iter_mut().zip(added).for_each(|(reads, added)| *reads |= added);
                }
            }
        }
        Ok(context_number(read))
    }

    pub(crate) fn warm_up(&self, id: NodeId) -> u32 {
        self.nodes[place(id)].warm_up
    }

    /// The node that applies `operator` so.
    pub(crate) fn apply(
        &mut self,
        operator: Operator,
        context: ContextId,
        inputs: Vec<NodeId>,
        slots: u32,
        numbers: Vec<f64>,
    ) -> Result<NodeId, String> {
        let least = operator.least_valid(&numbers);
        if operator.has_window() && f64::from(slots) < least {
            return Err(format!("N is at least {least}: with less there is no value"));
        }
        let begun = inputs.iter().map(|input| self.warm_up(*input)).max().unwrap_or(0);
        // Not above the slots of a window, of which there are at most WINDOW_MAX.
        let least = (0..=slots).find(|count| f64::from(*count) >= least).unwrap_or(0);
        self.insert(Node {
            operator,
            context,
            inputs,
            slots,
            numbers,
            warm_up: self.windows.warm_up(operator, begun, slots),
            min_valid: self.windows.min_valid(operator, slots, least),
        })
    }

    /// The same as `id`, but not null in its first slots beyond the first `warm_up`.
    pub(crate) fn at_once(&mut self, id: NodeId, warm_up: u32) -> Result<NodeId, String> {
        let node = Node { warm_up, ..self.nodes[place(id)].clone() };
        self.insert(node)
    }

    fn insert(&mut self, node: Node) -> Result<NodeId, String> {
        let bits = node.numbers.iter().map(|number| number.to_bits()).collect();
        // What it needs follows from the rest.
        let key: Key =
            (node.operator, node.context, node.inputs.clone(), node.slots, bits, node.warm_up);
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        if self.nodes.len() == NODES_MAX {
            return Err(format!("a group has at most {NODES_MAX} distinct nodes"));
        }
        let lookback = self.lookback(&node);
        if lookback > LOOKBACK_MAX {
            return Err(format!("looks back {lookback} slots, of at most {LOOKBACK_MAX}"));
        }
        let id = u32::try_from(self.nodes.len()).expect("invariant: at most NODES_MAX");
        self.nodes.push(node);
        self.lookbacks.push(lookback);
        self.known.insert(key, NodeId(id));
        Ok(NodeId(id))
    }

    fn lookback(&self, node: &Node) -> u32 {
        let inputs = node.inputs.iter().map(|input| self.lookbacks[place(*input)]);
        let inputs = inputs.max().unwrap_or(0);
        match node.operator {
            // Counted in other slots.
            Operator::At => 0,
            Operator::Ref => inputs.saturating_add(node.slots),
            operator if operator.has_window() => inputs.saturating_add(node.slots - 1),
            _ => inputs,
        }
    }

    /// The graph of these features, without what none of them needs.
    pub(crate) fn finish(self, outputs: Vec<Output>) -> Graph {
        let mut is_needed = vec![false; self.nodes.len()];
        for output in &outputs {
            is_needed[place(output.node)] = true;
        }
        for (at, node) in self.nodes.iter().enumerate().rev() {
            if is_needed[at] {
                for input in &node.inputs {
                    is_needed[place(*input)] = true;
                }
            }
        }
        let mut contexts = vec![self.contexts[0].clone()];
        let mut moved_contexts = vec![None; self.contexts.len()];
        moved_contexts[0] = Some(ContextId(0));
        let mut moved = Vec::with_capacity(self.nodes.len());
        let mut nodes = Vec::new();
        for (node, is_needed) in self.nodes.into_iter().zip(is_needed) {
            let id = u32::try_from(nodes.len()).expect("invariant: at most NODES_MAX");
            moved.push(NodeId(id));
            if !is_needed {
                continue;
            }
            let was = usize::from(node.context.0);
            let context = *moved_contexts[was].get_or_insert_with(|| {
                contexts.push(self.contexts[was].clone());
                context_number(contexts.len() - 1)
            });
            let inputs = node.inputs.iter().map(|input| moved[place(*input)]).collect();
            nodes.push(Node { context, inputs, ..node });
        }
        let outputs = outputs
            .into_iter()
            .map(|output| Output { node: moved[place(output.node)], ..output })
            .collect();
        Graph { contexts, nodes, outputs, qlib: self.is_qlib }
    }
}

fn has(set: &ContextSet, place: usize) -> bool {
    set[place / 64] & (1 << (place % 64)) != 0
}

fn context_number(place: usize) -> ContextId {
    ContextId(u16::try_from(place).expect("invariant: at most CONTEXTS_MAX"))
}

fn place(id: NodeId) -> usize {
    usize::try_from(id.0).expect("invariant: a graph is in memory")
}
