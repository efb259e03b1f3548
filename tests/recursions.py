"""Operators of all slots since the begin, as docs/FEATURES.md defines them, slot by slot.

`EMA` is pandas' own; `EWMVar` is not, because pandas takes the difference of two sums of weights,
of which nothing is left where all but one are small (behind a hole): tests/features.py compares the
two where there are no holes.
"""

import math

import numpy as np
import pandas as pd
from cells import OPERATORS, WARM_UP, Cells, operator


@operator("EMA ewm", "x N")
def ema(e, x, count):
    found = pd.Series(x.value).ewm(span=count).mean().to_numpy(copy=True)
    return e.seeded(found, x.lead + int(e.inputs.options.warmup or count) - 1)


@operator("EWMVar", "x N")
def ewm_var(e, x, count):
    kept = 1 - 2 / (count + 1)
    # The sums of the weights, of the products of each two, of the squares off the mean; the mean.
    weights = pairs = off = mean = 0.0
    out, last = np.empty(len(x.value)), math.nan
    for place, value in enumerate(x.value.tolist()):
        weights, pairs, off = weights * kept, pairs * kept**2, off * kept
        if value == value:
            pairs += 2 * weights
            off += weights / (weights + 1) * (value - mean) ** 2
            mean += (value - mean) / (weights + 1)
            weights += 1
            last = off * weights / pairs if pairs else math.nan
        out[place] = last
    return e.seeded(out, x.lead + int(e.inputs.options.warmup or count) - 1)


operator("EWMStd", "x N")("Sqrt(EWMVar(x, N))")


def smoothed(names, step, seeds=0, seed=None):
    """A recursion that begins with the mean of the first N values, or what `seed` makes of them."""

    def compute(e, x, count):
        first, last = [], math.nan

        def on(value):
            nonlocal last
            if len(first) < count:
                first.append(value)
                if len(first) == count:
                    last = seed(first, count) if seed else math.fsum(first) / count
            else:
                last = step(last, value, count)
            return last

        return e.recursion(x, count - 1, on)

    operator(names, "x N")(compute)


smoothed("EMAs", lambda last, x, n: last + 2 / (n + 1) * (x - last))
smoothed("Wilder rma", lambda last, x, n: (last * (n - 1) + x) / n)
# TA-Lib's: the sum of all but one, then the first step.
smoothed("(sum)", lambda last, x, n: last - last / n + x,
         seed=lambda first, n: (s := math.fsum(first[:-1])) - s / n + first[-1])
operator("DEMA", "x N")("2 * EMAs(x, N) - EMAs(EMAs(x, N), N)")
operator("TEMA", "x N")(
    "3 * EMAs(x, N) - 3 * EMAs(EMAs(x, N), N) + EMAs(EMAs(EMAs(x, N), N), N)"
)
operator("TRIX", "x N")("100 * Ret(EMAs(EMAs(EMAs(x, N), N), N), 1)")


@operator("MACD", "x fast=12 slow=26 signal=9")
def macd(e, x, fast, slow, _):
    late = x.lead + int(slow - fast)
    begun = np.arange(len(x.value)) >= late
    delayed = Cells(np.where(begun, x.value, np.nan), np.where(begun, x.reason, WARM_UP), late)
    emas = OPERATORS["emas"].compute
    return e.elementwise(np.subtract, emas(e, delayed, fast), emas(e, x, slow))


operator("MACDSignal", "x fast=12 slow=26 signal=9")("EMAs(MACD(x, fast, slow), signal)")
operator("MACDHist", "x fast=12 slow=26 signal=9")(
    "MACD(x, fast, slow) - MACDSignal(x, fast, slow, signal)"
)


def gains(name, of):
    def compute(e, x, count):
        change = e.elementwise(np.subtract, x, e.lag(x, 1))
        wilder = OPERATORS["wilder"].compute
        up = wilder(e, e.elementwise(lambda d: np.maximum(d, 0), change), count)
        down = wilder(e, e.elementwise(lambda d: np.maximum(-d, 0), change), count)
        return e.elementwise(
            lambda u, d: np.where(u + d == 0, 0.0, 100 * of(u, d) / (u + d)), up, down
        )

    operator(name, "x N")(compute)


gains("RSI", lambda u, d: u)
gains("CMO", lambda u, d: u - d)


@operator("TR", "h l c")
def true_range(e, h, l, c):
    return e.elementwise(
        lambda h, l, before: np.maximum(h - l, np.maximum(np.abs(h - before), np.abs(l - before))),
        h, l, e.lag(c, 1),
    )


operator("ATR", "h l c N")("Wilder(TR(h, l, c), N)")
operator("NATR", "h l c N")("100 * ATR(h, l, c, N) / c")


def directed(e, h, l, c, count):
    """s(P), s(M) and s(TR)."""
    rise = e.elementwise(np.subtract, h, e.lag(h, 1))
    fall = e.elementwise(np.subtract, e.lag(l, 1), l)
    plus = e.elementwise(lambda up, down: np.where((up > 0) & (up > down), up, 0), rise, fall)
    minus = e.elementwise(lambda up, down: np.where((down > 0) & (down > up), down, 0), rise, fall)
    total = OPERATORS["(sum)"].compute
    return [total(e, x, count) for x in (plus, minus, true_range(e, h, l, c))]


@operator("PlusDI", "h l c N")
def plus_di(e, h, l, c, count):
    plus, _, size = directed(e, h, l, c, count)
    return e.elementwise(lambda p, t: 100 * p / t, plus, size)


@operator("MinusDI", "h l c N")
def minus_di(e, h, l, c, count):
    _, minus, size = directed(e, h, l, c, count)
    return e.elementwise(lambda m, t: 100 * m / t, minus, size)


operator("DX", "h l c N")(
    "100 * Abs(PlusDI(h, l, c, N) - MinusDI(h, l, c, N)) /"
    " (PlusDI(h, l, c, N) + MinusDI(h, l, c, N))"
)
operator("ADX", "h l c N")("Wilder(DX(h, l, c, N), N)")


@operator("KAMA", "x N")
def kama(e, x, count):
    seen, last, fast, slow = [], math.nan, 2 / 3, 2 / 31

    def on(value):
        nonlocal last
        seen.append(value)
        if len(seen) <= count:
            return math.nan
        del seen[: -int(count) - 1]
        last = seen[-2] if last != last else last
        change = abs(seen[-1] - seen[0])
        path = math.fsum(abs(b - a) for a, b in zip(seen, seen[1:]))
        ratio = 1.0 if path <= change or path == 0 else change / path
        last += (ratio * (fast - slow) + slow) ** 2 * (value - last)
        return last

    return e.recursion(x, count, on)


# --- of the session -----------------------------------------------------------------------------

operator("CumSum", "x")(lambda e, x: e.of_session(x, lambda last, value: last + value))
operator("CumMax", "x")(lambda e, x: e.of_session(x, max))
operator("CumMin", "x")(lambda e, x: e.of_session(x, min))


@operator("CumCount", "x")
def cum_count(e, x):
    ones = Cells(np.where(x.reason == 0, 1.0, np.nan), x.reason, x.lead)
    out = e.of_session(ones, lambda last, value: last + value)
    late = np.arange(len(out.value)) >= x.lead
    return Cells(np.where(late, np.nan_to_num(out.value), np.nan),
                 np.where(late, 0, WARM_UP), x.lead)


@operator("OBV", "c v")
def obv(e, c, v):
    opens = np.r_[True, e.inputs.date[1:] != e.inputs.date[:-1]]
    moved = e.elementwise(lambda c, before, v: np.sign(c - before) * v, c, e.lag(c, 1), v)
    first = Cells(np.where(opens, v.value, moved.value), np.where(opens, v.reason, moved.reason))
    return e.of_session(Cells(first.value, first.reason, max(c.lead, v.lead)),
                        lambda last, value: last + value)


operator("AD", "h l c v")("CumSum(h == l ? 0 : v * ((c - l) - (h - c)) / (h - l))")


@operator("SessionOpen")
def session_open(e):
    return e.of_session(e.inputs.field["open"], lambda last, value: last)


operator("SessionHigh")("CumMax($high)")
operator("SessionLow")("CumMin($low)")
operator("SessionVWAP")("CumSum($amount) / CumSum(If(IsValid($amount), $volume, $amount))")


@operator("PrevClose")
def prev_close(e):
    close, date = e.inputs.field["close"].value.tolist(), e.inputs.date.tolist()
    out, before, last = np.empty(len(close)), math.nan, math.nan
    for place, value in enumerate(close):
        if place and date[place] != date[place - 1]:
            before = last
        if value == value:
            last = value
        out[place] = before
    return e.seeded(out, 0)


operator("GapPct")("SessionOpen() / PrevClose() - 1")
operator("MinuteOfSession")("$minute")
operator("DayOfWeek")("$weekday")
operator("IsHalfDay")("$half_day")
operator("BarsToClose")("$slots - $slot - 1")
