//! Operators of all slots since the begin, or since the session's.

use super::{Body, C, Entry, H, Kind, L, Param, SPAN, V, X, Y, param};
use crate::operator::Operator as Op;

const MACD: &[Param] = &[
    X,
    param("fast", Kind::Slots).or(12.0),
    param("slow", Kind::Slots).or(26.0),
    param("signal", Kind::Slots).or(9.0),
];

const HLC: &[Param] = &[H, L, C, SPAN];

const fn of_session(name: &'static str, operator: Op) -> Entry {
    Entry::new(name, &[X], Body::OfSession(operator))
}

pub(super) static ENTRIES: &[Entry] = &[
    Entry::kernel("EMA", &[X, SPAN], Op::Ema).also(&["ewm"]),
    Entry::kernel("EWMVar", &[X, SPAN], Op::EwmVar),
    Entry::expr("EWMStd", &[X, SPAN], "Sqrt(EWMVar(x, N))"),
    Entry::kernel("EMAs", &[X, SPAN], Op::Emas),
    Entry::kernel("Wilder", &[X, SPAN], Op::Wilder).also(&["rma"]),
    Entry::kernel("WilderSum", &[X, SPAN], Op::WilderSum).inner(),
    Entry::expr("EMAs2", &[X, SPAN], "EMAs(EMAs(x, N), N)").inner(),
    Entry::expr("EMAs3", &[X, SPAN], "EMAs(EMAs2(x, N), N)").inner(),
    Entry::expr("DEMA", &[X, SPAN], "2 * EMAs(x, N) - EMAs2(x, N)"),
    Entry::expr("TEMA", &[X, SPAN], "3 * EMAs(x, N) - 3 * EMAs2(x, N) + EMAs3(x, N)"),
    Entry::expr("TRIX", &[X, SPAN], "100 * (EMAs3(x, N) / Ref(EMAs3(x, N), 1) - 1)"),
    // Both begin at the same slot: the fast one does not see what comes before (like TA-Lib's).
    Entry::expr("MACD", MACD, "EMAs(If(1, x, Ref(x, slow - fast)), fast) - EMAs(x, slow)"),
    Entry::expr("MACDSignal", MACD, "EMAs(MACD(x, fast, slow, signal), signal)"),
    Entry::expr(
        "MACDHist",
        MACD,
        "MACD(x, fast, slow, signal) - MACDSignal(x, fast, slow, signal)",
    ),
    Entry::expr("Gain", &[X, SPAN], "Wilder(Greater(Delta(x, 1), 0), N)").inner(),
    Entry::expr("Loss", &[X, SPAN], "Wilder(Greater(-Delta(x, 1), 0), N)").inner(),
    Entry::expr(
        "RSI",
        &[X, SPAN],
        "If(Gain(x, N) + Loss(x, N) == 0, 0, 100 * Gain(x, N) / (Gain(x, N) + Loss(x, N)))",
    ),
    Entry::expr(
        "CMO",
        &[X, SPAN],
        "If(Gain(x, N) + Loss(x, N) == 0, 0,
            100 * (Gain(x, N) - Loss(x, N)) / (Gain(x, N) + Loss(x, N)))",
    ),
    Entry::expr(
        "TR",
        &[H, L, C],
        "Greater(Greater(h - l, Abs(h - Ref(c, 1))), Abs(l - Ref(c, 1)))",
    ),
    Entry::expr("ATR", HLC, "Wilder(TR(h, l, c), N)"),
    Entry::expr("NATR", HLC, "100 * ATR(h, l, c, N) / c"),
    // x if it is a rise, and a greater one than y; null if one is, also where comparisons with null
    // are 0.
    Entry::expr("Directed", &[X, Y], "(x > 0 & x > y) * x + 0 * y").inner(),
    Entry::expr("Rise", &[H], "h - Ref(h, 1)").inner(),
    Entry::expr("Fall", &[L], "Ref(l, 1) - l").inner(),
    Entry::expr(
        "PlusDI",
        HLC,
        "100 * WilderSum(Directed(Rise(h), Fall(l)), N) / WilderSum(TR(h, l, c), N)",
    ),
    Entry::expr(
        "MinusDI",
        HLC,
        "100 * WilderSum(Directed(Fall(l), Rise(h)), N) / WilderSum(TR(h, l, c), N)",
    ),
    Entry::expr(
        "DX",
        HLC,
        "100 * Abs(PlusDI(h, l, c, N) - MinusDI(h, l, c, N))
            / (PlusDI(h, l, c, N) + MinusDI(h, l, c, N))",
    ),
    Entry::expr("ADX", HLC, "Wilder(DX(h, l, c, N), N)"),
    Entry::kernel("KAMA", &[X, SPAN], Op::Kama),
    of_session("CumSum", Op::CumSum),
    of_session("CumMax", Op::CumMax),
    of_session("CumMin", Op::CumMin),
    of_session("CumCount", Op::CumCount),
    of_session("CumFirst", Op::CumFirst).inner(),
    of_session("PrevLast", Op::PrevLast).inner(),
    Entry::new("AtOnce", &[X], Body::AtOnce).inner(),
    // Whether the slot before is of the same session; 0 at the begin.
    Entry::expr("Inside", &[], "AtOnce(Coalesce($session == Ref($session, 1), 0))").inner(),
    Entry::expr("OBV", &[C, V], "CumSum(AtOnce(If(Inside(), Sign(Delta(c, 1)) * v, v)))"),
    Entry::expr("AD", &[H, L, C, V], "CumSum(If(h == l, 0, v * ((c - l) - (h - c)) / (h - l)))"),
    Entry::expr("SessionOpen", &[], "CumFirst($open)"),
    Entry::expr("SessionHigh", &[], "CumMax($high)"),
    Entry::expr("SessionLow", &[], "CumMin($low)"),
    // Volume without an average price does not count.
    Entry::expr(
        "SessionVWAP",
        &[],
        "CumSum($amount) / CumSum(If(IsValid($amount), $volume, $amount))",
    ),
    Entry::expr("PrevClose", &[], "PrevLast($close)"),
    Entry::expr("GapPct", &[], "SessionOpen() / PrevClose() - 1"),
];
