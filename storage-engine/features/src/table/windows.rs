//! Operators of the last N slots.

use super::{C, COND, Entry, H, Kind, L, LAG, N, O, Param, R, Range, V, X, Y, param};
use crate::operator::Operator as Op;

const DDOF: Param = param("ddof", Kind::Number(Range::Whole)).or(1.0);
const Q: Param = param("q", Kind::Number(Range::Share));
const LO: Param = param("lo", Kind::Number(Range::Share));
const HI: Param = param("hi", Kind::Number(Range::Share));
const A: Param = param("a", Kind::Number(Range::Decay));
/// Standard deviations on each side.
const WIDTH: Param = param("k", Kind::Number(Range::Positive)).or(2.0);

pub(super) static ENTRIES: &[Entry] = &[
    Entry::kernel("Sum", &[X, N], Op::Sum).also(&["ts_sum"]),
    Entry::kernel("Mean", &[X, N], Op::Mean).also(&["sma", "ma"]),
    Entry::kernel("Count", &[X, N], Op::Count),
    Entry::kernel("CountIf", &[COND, N], Op::CountIf),
    Entry::kernel("Frac", &[COND, N], Op::Frac),
    Entry::kernel("Var", &[X, N, DDOF], Op::Var),
    Entry::kernel("Std", &[X, N, DDOF], Op::Std).also(&["stddev"]),
    Entry::kernel("Sem", &[X, N], Op::Sem),
    Entry::kernel("CV", &[X, N], Op::Cv),
    Entry::kernel("ZScore", &[X, N], Op::ZScore),
    Entry::kernel("Skew", &[X, N], Op::Skew),
    Entry::kernel("Kurt", &[X, N], Op::Kurt),
    Entry::kernel("Mad", &[X, N], Op::Mad).also(&["avgdev"]),
    Entry::kernel("MedAD", &[X, N], Op::MedAd),
    Entry::kernel("Max", &[X, N], Op::Max).also(&["ts_max"]),
    Entry::kernel("Min", &[X, N], Op::Min).also(&["ts_min"]),
    Entry::kernel("IdxMax", &[X, N], Op::IdxMax),
    Entry::kernel("IdxMin", &[X, N], Op::IdxMin),
    Entry::kernel("LastIdxMax", &[X, N], Op::LastIdxMax).inner(),
    Entry::kernel("LastIdxMin", &[X, N], Op::LastIdxMin).inner(),
    Entry::expr("SinceMax", &[X, N], "N - IdxMax(x, N)").also(&["ts_argmax"]),
    Entry::expr("SinceMin", &[X, N], "N - IdxMin(x, N)").also(&["ts_argmin"]),
    Entry::expr("Range", &[H, L, N], "Max(h, N) - Min(l, N)"),
    Entry::expr("RSV", &[C, H, L, N], "(c - Min(l, N)) / (Max(h, N) - Min(l, N) + 1e-12)"),
    Entry::kernel("Quantile", &[X, N, Q], Op::Quantile),
    Entry::expr("Med", &[X, N], "Quantile(x, N, 0.5)").also(&["median"]),
    Entry::expr("IQR", &[X, N], "Quantile(x, N, 0.75) - Quantile(x, N, 0.25)"),
    Entry::expr("QRange", &[X, N, LO, HI], "Quantile(x, N, hi) - Quantile(x, N, lo)"),
    Entry::kernel("Rank", &[X, N], Op::Rank).also(&["ts_rank"]),
    Entry::expr(
        "WinsorT",
        &[X, N, LO, HI],
        "Less(Greater(x, Quantile(x, N, lo)), Quantile(x, N, hi))",
    ),
    Entry::kernel("WMA", &[X, N], Op::Wma).also(&["decay_linear"]),
    Entry::kernel("DecayExp", &[X, N, A], Op::DecayExp),
    Entry::kernel("Slope", &[X, N], Op::Slope).also(&["linearreg_slope"]),
    Entry::kernel("Rsquare", &[X, N], Op::Rsquare),
    Entry::kernel("Resi", &[X, N], Op::Resi),
    Entry::kernel("Fitted", &[X, N], Op::Fitted).also(&["linearreg"]),
    Entry::kernel("Intercept", &[X, N], Op::Intercept),
    Entry::kernel("Beta", &[Y, X, N], Op::Beta),
    Entry::kernel("Alpha", &[Y, X, N], Op::Alpha),
    Entry::kernel("ResiXY", &[Y, X, N], Op::ResiXy),
    Entry::kernel("RsqXY", &[Y, X, N], Op::RsqXy),
    Entry::kernel("Cov", &[X, Y, N, DDOF], Op::Cov).also(&["covariance"]),
    Entry::kernel("Corr", &[X, Y, N], Op::Corr).also(&["correlation"]),
    Entry::expr("AutoCorr", &[X, LAG, N], "Corr(x, Ref(x, k), N)"),
    Entry::kernel("RankCorr", &[X, Y, N], Op::RankCorr),
    Entry::kernel("Prod", &[X, N], Op::Prod).also(&["product"]),
    Entry::expr("CumRet", &[X, N], "Prod(1 + x, N) - 1"),
    Entry::kernel("VWAP", &[X, V, N], Op::Vwap),
    Entry::expr("RV", &[R, N], "Sum(r * r, N)"),
    Entry::expr("BPV", &[R, N], "1.5707963267948966 * Sum(Abs(r) * Abs(Ref(r, 1)), N - 1)"),
    // 4 ln 2.
    Entry::expr(
        "Parkinson",
        &[H, L, N],
        "Sqrt(Mean(Log(h / l) * Log(h / l), N) / 2.772588722239781)",
    ),
    // 2 ln 2 - 1.
    Entry::expr(
        "GarmanKlass",
        &[O, H, L, C, N],
        "Sqrt(Mean(0.5 * (Log(h / l) * Log(h / l))
            - 0.3862943611198906 * (Log(c / o) * Log(c / o)), N))",
    ),
    Entry::expr("RogersSatchell", &[O, H, L, C, N], "Sqrt(RogersMean(o, h, l, c, N))"),
    Entry::expr(
        "RogersMean",
        &[O, H, L, C, N],
        "Mean(Log(h / c) * Log(h / o) + Log(l / c) * Log(l / o), N)",
    )
    .inner(),
    Entry::expr(
        "YangZhang",
        &[O, H, L, C, N],
        "Sqrt(Var(Log(o / Ref(c, 1)), N, 1)
            + 0.34 / (1.34 + (N + 1) / (N - 1)) * Var(Log(c / o), N, 1)
            + (1 - 0.34 / (1.34 + (N + 1) / (N - 1))) * RogersMean(o, h, l, c, N))",
    ),
    Entry::expr("BBUp", &[X, N, WIDTH], "Mean(x, N) + k * Std(x, N, 0)"),
    Entry::expr("BBMid", &[X, N, WIDTH], "Mean(x, N)"),
    Entry::expr("BBLow", &[X, N, WIDTH], "Mean(x, N) - k * Std(x, N, 0)"),
    Entry::expr("BBPct", &[X, N, WIDTH], "(x - BBLow(x, N, k)) / (BBUp(x, N, k) - BBLow(x, N, k))"),
    Entry::expr("BBWidth", &[X, N, WIDTH], "(BBUp(x, N, k) - BBLow(x, N, k)) / Mean(x, N)"),
    Entry::expr("Typical", &[H, L, C], "(h + l + c) / 3").inner(),
    Entry::expr(
        "CCI",
        &[H, L, C, N],
        "(Typical(h, l, c) - Mean(Typical(h, l, c), N)) / (0.015 * Mad(Typical(h, l, c), N))",
    ),
    Entry::expr("WillR", &[H, L, C, N], "-100 * (Max(h, N) - c) / (Max(h, N) - Min(l, N))"),
    Entry::expr("StochF", &[H, L, C, N], "100 * (c - Min(l, N)) / (Max(h, N) - Min(l, N))"),
    Entry::expr("StochK", STOCH, "Mean(StochF(h, l, c, N), K)"),
    Entry::expr("StochD", STOCH, "Mean(StochK(h, l, c, N, K, D), D)"),
    Entry::expr("AroonUp", &[H, N], "100 * (LastIdxMax(h, N + 1) - 1) / N"),
    Entry::expr("AroonDown", &[L, N], "100 * (LastIdxMin(l, N + 1) - 1) / N"),
    Entry::expr(
        "MFI",
        &[H, L, C, V, N],
        "MoneyShare(Sum(MoneyUp(Typical(h, l, c), v), N), Sum(MoneyDown(Typical(h, l, c), v), N))",
    ),
    // Null where anything is, also where comparisons with null are 0.
    Entry::expr("MoneyUp", &[X, Y], "(Delta(x, 1) > 0) * (x * y) + 0 * Delta(x, 1)").inner(),
    Entry::expr("MoneyDown", &[X, Y], "(Delta(x, 1) < 0) * (x * y) + 0 * Delta(x, 1)").inner(),
    Entry::expr("MoneyShare", &[X, Y], "If(x + y == 0, 0, 100 * x / (x + y))").inner(),
    Entry::kernel("ValueWhen", &[COND, X, N], Op::ValueWhen),
    Entry::kernel("BarsSince", &[COND, N], Op::BarsSince),
];

const STOCH: &[Param] = &[
    H,
    L,
    C,
    param("N", Kind::Window).or(14.0),
    param("K", Kind::Window).or(3.0),
    param("D", Kind::Window).or(3.0),
];
