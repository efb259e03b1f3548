//! Operators of one slot, and lags.

use super::{COND, Entry, Kind, LAG, Param, Range, X, Y, param};
use crate::operator::Operator as Op;

const LO: Param = param("lo", Kind::Number(Range::Any));
const HI: Param = param("hi", Kind::Number(Range::Any));
const A: Param = param("a", Kind::Number(Range::Any));

pub(super) static ENTRIES: &[Entry] = &[
    Entry::kernel("Add", &[X, Y], Op::Add),
    Entry::kernel("Sub", &[X, Y], Op::Sub),
    Entry::kernel("Mul", &[X, Y], Op::Mul),
    Entry::kernel("Div", &[X, Y], Op::Div),
    Entry::kernel("Mod", &[X, Y], Op::Mod),
    Entry::kernel("Neg", &[X], Op::Neg),
    Entry::kernel("Abs", &[X], Op::Abs),
    Entry::kernel("Sign", &[X], Op::Sign),
    Entry::kernel("Sqrt", &[X], Op::Sqrt),
    Entry::kernel("Log", &[X], Op::Log),
    Entry::kernel("Log1p", &[X], Op::Log1p),
    Entry::kernel("Exp", &[X], Op::Exp),
    Entry::kernel("Tanh", &[X], Op::Tanh),
    Entry::kernel("Sigmoid", &[X], Op::Sigmoid),
    Entry::kernel("Power", &[X, Y], Op::Power).also(&["pow"]),
    Entry::kernel("SignedPower", &[X, Y], Op::SignedPower).also(&["signed_power"]),
    Entry::kernel("Greater", &[X, Y], Op::Greater).also(&["max2"]),
    Entry::kernel("Less", &[X, Y], Op::Less).also(&["min2"]),
    Entry::expr("Clip", &[X, LO, HI], "Less(Greater(x, lo), hi)").also(&["winsor"]),
    Entry::kernel("Gt", &[X, Y], Op::Gt),
    Entry::kernel("Ge", &[X, Y], Op::Ge),
    Entry::kernel("Lt", &[X, Y], Op::Lt),
    Entry::kernel("Le", &[X, Y], Op::Le),
    Entry::kernel("Eq", &[X, Y], Op::Eq),
    Entry::kernel("Ne", &[X, Y], Op::Ne),
    Entry::kernel("And", &[X, Y], Op::And),
    Entry::kernel("Or", &[X, Y], Op::Or),
    Entry::kernel("Not", &[X], Op::Not),
    Entry::kernel("If", &[COND, X, Y], Op::If),
    Entry::kernel("Coalesce", &[X, Y], Op::Coalesce),
    Entry::expr("FillNull", &[X, A], "Coalesce(x, a)").also(&["fillna"]),
    Entry::kernel("IsNull", &[X], Op::IsNull),
    Entry::kernel("IsValid", &[X], Op::IsValid),
    Entry::kernel("Ref", &[X, LAG], Op::Ref).also(&["delay", "shift"]),
    Entry::expr("Delta", &[X, LAG], "x - Ref(x, k)").also(&["diff", "mom"]),
    Entry::expr("Ret", &[X, LAG], "x / Ref(x, k) - 1").also(&["pct_change", "rocp"]),
    Entry::expr("LogRet", &[X, LAG], "Log(x / Ref(x, k))"),
];
