//! Graphs by hand, made-up inputs, and a plain evaluator to compare with.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test that cannot go on fails"
)]

pub(crate) mod alpha158;
pub(crate) mod naive;
pub(crate) mod random;

use barrow_features::{
    Cell, Column, Context, ContextId, Field, Graph, History, Inputs, Node, NodeId, Operator,
    Output, Plan, Row,
};

/// Adds nodes to a graph; a node that is there already is not added twice.
pub(crate) struct Builder {
    pub(crate) graph: Graph,
}

impl Builder {
    pub(crate) fn new() -> Self {
        let own = Context { instrument: None, step: None };
        let graph =
            Graph { contexts: vec![own], nodes: Vec::new(), outputs: Vec::new(), qlib: false };
        Self { graph }
    }

    pub(crate) fn context(&mut self, name: &str) -> ContextId {
        self.graph.contexts.push(Context { instrument: Some(name.into()), step: None });
        ContextId(u16::try_from(self.graph.contexts.len() - 1).unwrap())
    }

    pub(crate) fn node(&mut self, node: Node) -> NodeId {
        let known = self.graph.nodes.iter().position(|other| *other == node);
        let at = known.unwrap_or_else(|| {
            self.graph.nodes.push(node);
            self.graph.nodes.len() - 1
        });
        NodeId(u32::try_from(at).unwrap())
    }

    pub(crate) fn field(&mut self, field: Field) -> NodeId {
        self.op(Operator::Field(field), &[], 0, &[])
    }

    pub(crate) fn number(&mut self, number: f64) -> NodeId {
        self.op(Operator::Number, &[], 0, &[number])
    }

    /// A node of the first context, with the W and least number of valid places that
    /// `docs/FEATURES.md` gives it for `warmup: 1` and `min_valid: 1`.
    pub(crate) fn op(
        &mut self,
        op: Operator,
        inputs: &[NodeId],
        slots: u32,
        numbers: &[f64],
    ) -> NodeId {
        self.node(Node {
            operator: op,
            context: ContextId(0),
            inputs: inputs.to_vec(),
            slots,
            numbers: numbers.to_vec(),
            warm_up: 0,
            min_valid: u32::from(op != Operator::Count),
        })
    }

    pub(crate) fn two(&mut self, op: Operator, x: NodeId, y: NodeId) -> NodeId {
        self.op(op, &[x, y], 0, &[])
    }

    pub(crate) fn output(&mut self, name: &str, node: NodeId) {
        self.graph.outputs.push(Output { name: name.into(), node });
    }

    pub(crate) fn plan(&self) -> Plan {
        Plan::new(&self.graph).unwrap()
    }
}

/// Rows whose only field is `$close`: numbers, or letters for nulls: `.` missing, `n` no trade.
pub(crate) fn closes(text: &str) -> Vec<Row> {
    columns(&[(Field::Close, text)])
}

pub(crate) fn columns(fields: &[(Field, &str)]) -> Vec<Row> {
    let len = fields[0].1.split_whitespace().count();
    let mut rows = vec![Row::null(barrow_types::Reason::Missing); len];
    for (field, text) in fields {
        for (row, word) in rows.iter_mut().zip(text.split_whitespace()) {
            row.set(*field, cell(word));
        }
    }
    rows
}

pub(crate) fn cell(word: &str) -> Cell {
    use barrow_types::Reason;
    match word {
        "." => Cell::null(Reason::Missing),
        "n" => Cell::null(Reason::NoTrade),
        "w" => Cell::null(Reason::WarmUp),
        "f" => Cell::null(Reason::TooFew),
        "inf" => Cell::null(Reason::NonFinite),
        number => Cell::number(number.parse().unwrap()),
    }
}

pub(crate) fn inputs(rows: &[Row]) -> Inputs {
    let mut inputs = Inputs::default();
    rows.iter().for_each(|row| inputs.push(row));
    inputs
}

/// All slots at once.
pub(crate) fn history(plan: &Plan, rows: &[Row]) -> Vec<Column> {
    let context = ContextId(0);
    let mut out = vec![Column::new(); plan.exports(context)];
    History::new(plan, context).run_part(plan, &inputs(rows), &[], 0..rows.len(), &mut out);
    out
}
