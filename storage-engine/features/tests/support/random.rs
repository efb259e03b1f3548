//! Graphs and inputs at random, from a seed.

use barrow_features::{Cell, ContextId, Field, Node, NodeId, Operator, Row};
use barrow_types::Reason;

use super::Builder;

/// Numbers that follow from a seed (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

pub(crate) const ELEMENTWISE: [Operator; 29] = [
    Operator::Add,
    Operator::Sub,
    Operator::Mul,
    Operator::Div,
    Operator::Mod,
    Operator::Neg,
    Operator::Abs,
    Operator::Sign,
    Operator::Sqrt,
    Operator::Log,
    Operator::Log1p,
    Operator::Exp,
    Operator::Tanh,
    Operator::Sigmoid,
    Operator::Power,
    Operator::SignedPower,
    Operator::Greater,
    Operator::Less,
    Operator::Gt,
    Operator::Ge,
    Operator::Lt,
    Operator::Le,
    Operator::Eq,
    Operator::Ne,
    Operator::And,
    Operator::Or,
    Operator::Not,
    Operator::Coalesce,
    Operator::IsNull,
];

pub(crate) const WINDOWS: [Operator; 42] = [
    Operator::Ref,
    Operator::Sum,
    Operator::Mean,
    Operator::Count,
    Operator::CountIf,
    Operator::Frac,
    Operator::Var,
    Operator::Std,
    Operator::Sem,
    Operator::Cv,
    Operator::ZScore,
    Operator::Skew,
    Operator::Kurt,
    Operator::Mad,
    Operator::MedAd,
    Operator::Max,
    Operator::Min,
    Operator::IdxMax,
    Operator::IdxMin,
    Operator::LastIdxMax,
    Operator::LastIdxMin,
    Operator::Quantile,
    Operator::Rank,
    Operator::Wma,
    Operator::DecayExp,
    Operator::Slope,
    Operator::Rsquare,
    Operator::Resi,
    Operator::Fitted,
    Operator::Intercept,
    Operator::Prod,
    Operator::BarsSince,
    Operator::Beta,
    Operator::Alpha,
    Operator::ResiXy,
    Operator::RsqXy,
    Operator::Cov,
    Operator::Corr,
    Operator::RankCorr,
    Operator::Vwap,
    Operator::ValueWhen,
    Operator::IsValid,
];

pub(crate) const RECURSIONS: [Operator; 12] = [
    Operator::Ema,
    Operator::EwmVar,
    Operator::Emas,
    Operator::Wilder,
    Operator::WilderSum,
    Operator::Kama,
    Operator::CumSum,
    Operator::CumMax,
    Operator::CumMin,
    Operator::CumCount,
    Operator::CumFirst,
    Operator::PrevLast,
];

/// How many inputs an operator has.
fn arity(operator: Operator) -> usize {
    use Operator as O;
    match operator {
        O::If => 3,
        O::Add | O::Sub | O::Mul | O::Div | O::Mod | O::Power | O::SignedPower | O::Greater => 2,
        O::Less | O::Gt | O::Ge | O::Lt | O::Le | O::Eq | O::Ne | O::And | O::Or => 2,
        O::Coalesce | O::Beta | O::Alpha | O::ResiXy | O::RsqXy | O::Cov | O::Corr => 2,
        O::RankCorr | O::Vwap | O::ValueWhen | O::CumSum | O::CumMax | O::CumMin => 2,
        O::CumCount | O::CumFirst | O::PrevLast => 2,
        _ => 1,
    }
}

/// A graph of one context; without recursions its cells depend on the last slots only.
pub(crate) fn graph(random: &mut Random, recursive: bool) -> Builder {
    let mut builder = Builder::new();
    builder.graph.qlib = random.below(4) == 0;
    let session = builder.field(Field::Session);
    let mut nodes =
        vec![builder.field(Field::Close), builder.field(Field::High), builder.field(Field::Volume)];
    let number = random.share() * 4.0 - 2.0;
    nodes.push(builder.number(number));
    for _ in 0..4 + random.below(28) {
        let operator = match random.below(10) {
            0..3 => random.pick(&ELEMENTWISE),
            3 => Operator::If,
            4 if recursive => random.pick(&RECURSIONS),
            _ => random.pick(&WINDOWS),
        };
        let node = node(random, &builder, operator, &nodes, session);
        let id = builder.node(node);
        if !nodes.contains(&id) {
            nodes.push(id);
        }
    }
    for (at, node) in nodes.iter().enumerate() {
        builder.output(&format!("f{at}"), *node);
    }
    builder
}

fn node(
    random: &mut Random,
    builder: &Builder,
    operator: Operator,
    nodes: &[NodeId],
    session: NodeId,
) -> Node {
    use Operator as O;
    let mut inputs: Vec<NodeId> = (0..arity(operator))
        .map(|_| {
            // Often fields, so that windows share their work.
            if random.below(3) > 0 { nodes[random.below(3)] } else { random.pick(nodes) }
        })
        .collect();
    let windowed = WINDOWS.contains(&operator) && operator != O::IsValid;
    let mut slots = 0_u32;
    if windowed || RECURSIONS[..6].contains(&operator) {
        slots = random.pick(&[1, 2, 3, 4, 5, 7, 8, 9, 10, 16, 20, 31]);
    }
    let numbers = match operator {
        O::Var | O::Std | O::Cov => vec![random.pick(&[0.0, 1.0, 1.5])],
        O::Quantile => vec![random.pick(&[0.0, 0.2, 0.5, 0.8, 1.0])],
        O::DecayExp => vec![random.pick(&[0.5, 0.94, 1.0])],
        _ => Vec::new(),
    };
    if RECURSIONS[6..].contains(&operator) {
        inputs[1] = session;
    }
    let below =
        inputs.iter().map(|input| builder.graph.nodes[input.0 as usize].warm_up).max().unwrap_or(0);
    let extra = match random.below(3) {
        _ if !windowed && slots == 0 => 0,
        0 => 0,
        1 => slots.saturating_sub(1),
        _ => u32::try_from(random.below(6)).unwrap(),
    };
    let min_valid = match random.below(3) {
        0 => 1,
        1 => slots.div_ceil(2),
        _ => slots,
    };
    let context = ContextId(0);
    Node { operator, context, inputs, slots, numbers, warm_up: below + extra, min_valid }
}

/// How wild the numbers of a series are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Prices and volumes, walking.
    Market,
    /// Few different whole numbers, many of them equal.
    Ties,
    /// The same number, mostly.
    Constant,
    /// Great, tiny, and zero of both signs.
    Extreme,
    /// Hardly any numbers.
    Empty,
}

/// Rows with gaps: sessions of a few slots, nulls in runs.
pub(crate) fn rows(random: &mut Random, kind: Kind, len: usize) -> Vec<Row> {
    let mut price = 100.0;
    let mut session = 19_000.0;
    let mut gap = 0;
    let mut rows = Vec::new();
    let nulls = random.pick(&[0, 0, 30, 8, 3]);
    for _ in 0..len {
        if random.below(9) == 0 {
            session += 1.0;
        }
        price *= 1.0 + (random.share() - 0.5) * 0.02;
        let mut number = || match kind {
            Kind::Market | Kind::Empty => (price * 100.0).round() / 100.0,
            Kind::Ties => random.below(4) as f64,
            Kind::Constant => {
                if random.below(40) == 0 {
                    0.3
                } else {
                    0.1
                }
            }
            Kind::Extreme => random.pick(&[
                0.0, -0.0, 5e-324, -1e-310, 1e-300, 1.0, -1.0, 1e16, 1e150, -1e160, 1e308, -1e308,
            ]),
        };
        let (close, high) = (Cell::number(number()), Cell::number(number()));
        let volume = if kind == Kind::Market { random.below(5000) as f64 } else { number() };
        let mut row = Row::null(Reason::Missing);
        row.set(Field::Session, Cell::number(session));
        gap = match gap {
            0 if kind == Kind::Empty && random.below(20) > 0 => 1,
            0 if nulls > 0 && random.below(nulls) == 0 => 1 + random.below(6),
            0 => 0,
            left => left - 1,
        };
        let reason = random.pick(&[Reason::Missing, Reason::Halted, Reason::Quarantined]);
        let volume = match (gap, random.below(25)) {
            (0, 0) => Cell::number(0.0),
            (0, 1) => Cell::null(Reason::NoTrade),
            (0, _) => Cell::number(volume),
            _ => Cell::null(reason),
        };
        let null = Cell::null(reason);
        row.set(Field::Close, if gap > 0 { null } else { close });
        row.set(Field::High, if gap > 0 { null } else { high });
        row.set(Field::Volume, volume);
        rows.push(row);
    }
    rows
}
