"""Operators of one slot and of windows, as docs/FEATURES.md defines them, in plain numpy.

Windows are folded in two passes: first the mean, then what depends on it. Recursions are in
tests/recursions.py. What FEATURES.md leaves open and is taken here and there:
- an operator that the table gives as an expression of others is that expression, so it is null
  where that is, and what it says of several series (`StochF`) of each alone;
- of the reasons of a window `warm_up` goes before `too_few`, that before that of the newest place;
- the newest place is looked at by `Rank`, `ZScore`, `Resi` and `ResiXY`;
- in a slot without trade `$vwap` is a price; the last close is that of the last row;
- an operator over the session is null, `warm_up`, before its first value in a session, but
  `CumCount` is 0; `PrevClose` is the last close of the last session before this one that has any;
- `EWMVar` is seeded by two values, `KAMA` steps over nulls as if they were not there;
- `ValueWhen` is null, `too_few`, where c is true nowhere; `MFI` does not count changes without v;
- `$minute` and `$to_close` count from the regular open and to the regular close.
"""

import math

import numpy as np
from cells import NON_FINITE, NUMBERS, OPERATORS, TOO_FEW, Cells, Evaluator, operator
from windows import Window


# --- elementwise --------------------------------------------------------------------------------


def plain(names, params, compute):
    operator(names, params)(lambda e, *series: e.elementwise(compute, *series))


plain("Add", "x y", np.add)
plain("Sub", "x y", np.subtract)
plain("Mul", "x y", np.multiply)
plain("Div", "x y", np.divide)
plain("Mod", "x y", np.fmod)
plain("Neg", "x", np.negative)
plain("Abs", "x", np.abs)
plain("Sign", "x", np.sign)
plain("Sqrt", "x", np.sqrt)
plain("Log", "x", np.log)
plain("Log1p", "x", np.log1p)
plain("Exp", "x", np.exp)
plain("Tanh", "x", np.tanh)
plain("Sigmoid", "x", lambda x: 1 / (1 + np.exp(-x)))
plain("Power pow", "x y", np.power)
plain("SignedPower signed_power", "x y", lambda x, y: np.sign(x) * np.abs(x) ** y)
plain("Greater max2", "x y", np.maximum)
plain("Less min2", "x y", np.minimum)
plain("Not", "x", lambda x: np.where(x == 0, 1.0, 0.0))
operator("Clip winsor", "x lo hi")(
    lambda e, x, lo, hi: e.elementwise(lambda v: np.clip(v, lo, hi), x)
)


def comparison(name, compute):
    def compare(e, x, y):
        out = e.elementwise(lambda a, b: compute(a, b).astype(float), x, y)
        if e.inputs.options.qlib:
            null = out.reason != 0
            out = Cells(np.where(null, 0.0, out.value), np.zeros(len(null), int), out.lead)
        return out

    operator(name, "x y")(compare)


comparison("Gt", np.greater)
comparison("Ge", np.greater_equal)
comparison("Lt", np.less)
comparison("Le", np.less_equal)
comparison("Eq", np.equal)
comparison("Ne", np.not_equal)


def logic(name, decides):
    """And, Or: a valid argument that is `decides` settles it, whatever the other."""

    def compute(e, x, y):
        settled = np.zeros(len(e.inputs), bool)
        for of in (x, y):
            settled |= (of.reason == 0) & ((of.value != 0) == decides)
        both = e.elementwise(lambda a, b: np.full(len(a), float(not decides)), x, y)
        value = np.where(settled, float(decides), both.value)
        return e.passing(value, np.where(settled, 0, both.reason), x, y)

    operator(name, "x y")(compute)


logic("And", False)
logic("Or", True)


@operator("If", "cond x y")
def choice(e, c, x, y):
    value = np.where(c.value != 0, x.value, y.value)
    reason = np.where(c.value != 0, x.reason, y.reason)
    null = c.reason != 0
    return e.passing(value, np.where(null, c.reason, reason), c, x, y)


@operator("Coalesce", "x y")
def coalesce(e, x, y):
    null = x.reason != 0
    return e.passing(np.where(null, y.value, x.value), np.where(null, y.reason, 0), x, y)


operator("FillNull fillna", "x a")("Coalesce(x, a)")
operator("IsNull", "x")(lambda e, x: e.passing((x.reason != 0) * 1.0, x.reason * 0, x))
operator("IsValid", "x")(lambda e, x: e.passing((x.reason == 0) * 1.0, x.reason * 0, x))
operator("Ref delay shift", "x k")(Evaluator.lag)
operator("Delta diff mom", "x k")("x - Ref(x, k)")
operator("Ret pct_change rocp", "x k")("x / Ref(x, k) - 1")
operator("LogRet", "x k")("Log(x / Ref(x, k))")


# --- windows ------------------------------------------------------------------------------------


def folds(names, kernel, params="x N", need=1, newest=False):
    """An operator whose kernel takes the window and the numbers behind N."""

    def compute(e, *args):
        split = [param in NUMBERS for param, _ in OPERATORS[names.lower().split()[0]].params]
        series = args[: split.index(True)]
        count, *numbers = args[len(series):]
        wanted = need(*numbers) if callable(need) else need
        return e.window(series, count, lambda w: kernel(w, *numbers), wanted,
                        series[:1] if newest else ())

    operator(names, params)(compute)


folds("Sum ts_sum", lambda w: w.sum(w.x))
folds("Mean sma ma", lambda w: w.mean(w.x))
operator("Count", "x N")(lambda e, x, n: e.window([x], n, lambda w: w.n, waits=False))
folds("CountIf", lambda w: w.sum(w.x != 0), "cond N")
folds("Frac", lambda w: w.sum(w.x != 0) / w.n, "cond N")
folds("Var", Window.var, "x N ddof=1", need=lambda ddof: ddof + 1)
folds("Std stddev", Window.std, "x N ddof=1", need=lambda ddof: ddof + 1)
folds("Sem", lambda w: w.std() / np.sqrt(w.n), need=2)
folds("CV", lambda w: w.std() / w.mean(w.x), need=2)
folds("ZScore", lambda w: (w.newest - w.mean(w.x)) / w.std(), need=2, newest=True)
folds("Mad avgdev", lambda w: w.sum(np.abs(w.off(w.x))) / w.n)
folds("Max ts_max", lambda w: w.high(w.x))
folds("Min ts_min", lambda w: w.low(w.x))
folds("Quantile", Window.quantile, "x N q")
operator("Med median", "x N")("Quantile(x, N, 0.5)")
operator("IQR", "x N")("Quantile(x, N, 0.75) - Quantile(x, N, 0.25)")
operator("QRange", "x N lo hi")("Quantile(x, N, hi) - Quantile(x, N, lo)")
folds("WMA decay_linear", lambda w: w.sum(w.x * w.place) / w.sum(w.place))
folds("DecayExp", lambda w, a: w.sum(w.x * a ** (w.count - w.place)) /
      w.sum(a ** (w.count - w.place)), "x N a")
folds("Prod product", lambda w: np.where(w.ok, w.x, 1.0).prod(axis=1))
operator("CumRet", "x N")("Prod(1 + x, N) - 1")
folds("VWAP", lambda w: w.sum(w.x * w.y) / w.sum(w.y), "x v N")


@operator("Skew", "x N")
def skew(e, x, count):
    def kernel(w):
        n, d = w.n, w.off(w.x)
        second, third = w.sum(d**2) / n, w.sum(d**3) / n
        g = np.sqrt(n * (n - 1)) / (n - 2) * third / second**1.5
        return np.where(w.flat(w.x), np.nan, g)

    return e.window([x], count, kernel, need=3)


@operator("Kurt", "x N")
def kurt(e, x, count):
    def kernel(w):
        n, d = w.n, w.off(w.x)
        second, fourth = w.sum(d**2) / n, w.sum(d**4) / n
        g = fourth / second**2 - 3
        corrected = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * g + 6)
        return np.where(w.flat(w.x), np.nan, corrected)

    return e.window([x], count, kernel, need=4)


@operator("MedAD", "x N")
def median_deviation(e, x, count):
    def kernel(w):
        off = np.where(w.ok, np.abs(w.x - w.quantile(0.5)[:, None]), np.nan)
        return Window(off).quantile(0.5)

    return e.window([x], count, kernel)


def extreme(name, best):
    """IdxMax, IdxMin: with `compat: qlib` places are counted from the begin."""

    def compute(e, x, count):
        def kernel(w):
            return w.first_where(w.x, best(w)) - (w.before if e.inputs.options.qlib else 0)

        return e.window([x], count, kernel)

    operator(name, "x N")(compute)


extreme("IdxMax", lambda w: w.high(w.x))
extreme("IdxMin", lambda w: w.low(w.x))
operator("SinceMax ts_argmax", "x N")("N - IdxMax(x, N)")
operator("SinceMin ts_argmin", "x N")("N - IdxMin(x, N)")
operator("Range", "h l N")("Max(h, N) - Min(l, N)")
operator("RSV", "c h l N")("(c - Min(l, N)) / (Max(h, N) - Min(l, N) + 1e-12)")


@operator("Rank ts_rank", "x N")
def rank(e, x, count):
    def kernel(w):
        newest = w.newest[:, None]
        less, same = w.sum(w.x < newest), w.sum(w.x == newest)
        return (less + (same + 1) / 2) / w.n

    return e.window([x], count, kernel, newest=[x])


operator("WinsorT", "x N lo hi")(
    "Less(Greater(x, Quantile(x, N, lo)), Quantile(x, N, hi))"
)


def line(names, pick, newest=False, need=2):
    """Least squares on the places."""

    def kernel(w):
        slope, of, on, square = w.line(w.x, w.place)
        return pick(w, slope, of - slope * on, square)

    folds(names, kernel, need=need, newest=newest)


line("Slope linearreg_slope", lambda w, slope, base, square: slope)
line("Rsquare", lambda w, slope, base, square: square)
line("Fitted linearreg", lambda w, slope, base, square: base + slope * w.count)
line("Intercept", lambda w, slope, base, square: base)
line("Resi", lambda w, slope, base, square: w.newest - (base + slope * w.count), newest=True)


def pair(names, pick, newest=False):
    """Least squares of the first series on the second."""

    def compute(e, y, x, count):
        def kernel(w):
            slope, of, on, square = w.line(w.x, w.y)
            return pick(w, slope, of - slope * on, square)

        return e.window([y, x], count, kernel, 2, [y, x] if newest else ())

    operator(names, "y x N")(compute)


pair("Beta", lambda w, slope, base, square: slope)
pair("Alpha", lambda w, slope, base, square: base)
pair("RsqXY", lambda w, slope, base, square: square)
pair("ResiXY", lambda w, slope, base, square: w.newest - (base + slope * w.y[:, -1]), newest=True)
folds("Cov covariance", lambda w, ddof: w.sum(w.off(w.x) * w.off(w.y)) / (w.n - ddof),
      "x y N ddof=1", need=lambda ddof: max(2, ddof + 1))
folds("Corr correlation", Window.corr, "x y N", need=2)
operator("AutoCorr", "x k N")("Corr(x, Ref(x, k), N)")


@operator("RankCorr", "x y N")
def rank_corr(e, x, y, count):
    def kernel(w):
        w.x, w.y = w.ranks(w.x), w.ranks(w.y)
        return w.corr()

    return e.window([x, y], count, kernel, need=2)


operator("RV", "x N")("Sum(x * x, N)")


@operator("BPV", "x N")
def bipower(e, x, count):
    paired = e.elementwise(lambda a, b: np.abs(a) * np.abs(b), x, e.lag(x, 1))
    return e.window([paired], count - 1, lambda w: math.pi / 2 * w.sum(w.x))


def volatility(names, params, each, scale=1.0):
    """The root of the mean of `each` over the window."""

    def compute(e, *args):
        *series, count = args
        daily = e.elementwise(each, *series)
        mean = e.window([daily], count, lambda w: w.mean(w.x) * scale)
        return e.elementwise(np.sqrt, mean)

    operator(names, params)(compute)


def rogers(o, h, l, c):
    return np.log(h / c) * np.log(h / o) + np.log(l / c) * np.log(l / o)


volatility("Parkinson", "h l N", lambda h, l: np.log(h / l) ** 2, 1 / (4 * math.log(2)))
volatility("GarmanKlass", "o h l c N", lambda o, h, l, c: 0.5 * np.log(h / l) ** 2 -
           (2 * math.log(2) - 1) * np.log(c / o) ** 2)
volatility("RogersSatchell", "o h l c N", rogers)


@operator("YangZhang", "o h l c N")
def yang_zhang(e, o, h, l, c, count):
    k = 0.34 / (1.34 + (count + 1) / (count - 1))
    night = e.elementwise(lambda o, before: np.log(o / before), o, e.lag(c, 1))
    day = e.elementwise(lambda c, o: np.log(c / o), c, o)
    range_ = e.elementwise(rogers, o, h, l, c)
    parts = [e.window([night], count, Window.var, 2), e.window([day], count, Window.var, 2),
             e.window([range_], count, lambda w: w.mean(w.x))]
    return e.elementwise(lambda a, b, c: np.sqrt(a + k * b + (1 - k) * c), *parts)


operator("BBMid", "x N width=2")("Mean(x, N)")
operator("BBUp", "x N width=2")("Mean(x, N) + width * Std(x, N, 0)")
operator("BBLow", "x N width=2")("Mean(x, N) - width * Std(x, N, 0)")
operator("BBPct", "x N width=2")(
    "(x - BBLow(x, N, width)) / (BBUp(x, N, width) - BBLow(x, N, width))"
)
operator("BBWidth", "x N width=2")("(BBUp(x, N, width) - BBLow(x, N, width)) / BBMid(x, N, width)")
operator("CCI", "h l c N")(
    "((h + l + c) / 3 - Mean((h + l + c) / 3, N)) / (0.015 * Mad((h + l + c) / 3, N))"
)
operator("WillR", "h l c N")("-100 * (Max(h, N) - c) / (Max(h, N) - Min(l, N))")
operator("StochF", "h l c N")("100 * (c - Min(l, N)) / (Max(h, N) - Min(l, N))")
operator("StochK", "h l c N=14 K=3 D=3")("Mean(StochF(h, l, c, N), K)")
operator("StochD", "h l c N=14 K=3 D=3")("Mean(Mean(StochF(h, l, c, N), K), D)")


def aroon(name, param, best):
    def compute(e, x, count):
        def kernel(w):
            return 100 * (count - (w.count - w.last_where(w.x, best(w)))) / count

        return e.window([x], count + 1, kernel)

    operator(name, f"{param} N")(compute)


aroon("AroonUp", "h", lambda w: w.high(w.x))
aroon("AroonDown", "l", lambda w: w.low(w.x))


@operator("MFI", "h l c v N")
def money_flow(e, h, l, c, v, count):
    typical = e.elementwise(lambda h, l, c: (h + l + c) / 3, h, l, c)
    change = e.elementwise(np.subtract, typical, e.lag(typical, 1))
    flow = e.elementwise(np.multiply, typical, v)

    def kernel(w):
        up, down = w.sum(np.where(w.x > 0, w.y, 0)), w.sum(np.where(w.x < 0, w.y, 0))
        return np.where(up + down == 0, 0.0, 100 * up / (up + down))

    return e.window([change, flow], count, kernel)


@operator("ValueWhen", "cond x N")
def value_when(e, c, x, count):
    def kernel(w):
        hit = w.ok & (w.x != 0)
        newest = w.count - 1 - np.argmax(hit[:, ::-1], axis=1)
        return np.where(hit.any(axis=1), w.y[np.arange(len(newest)), newest], np.nan)

    out = e.window([c, x], count, kernel)
    return Cells(out.value, np.where(out.reason == NON_FINITE, TOO_FEW, out.reason), out.lead)


@operator("BarsSince", "cond N")
def bars_since(e, c, count):
    def kernel(w):
        hit = w.ok & (w.x != 0)
        return np.where(hit.any(axis=1), np.argmax(hit[:, ::-1], axis=1), count)

    return e.window([c], count, kernel)
