"""The features that tests/features.py compares, each a name and its expression.

- `ALPHA158`: as Qlib's loader writes them (microsoft/qlib, qlib/contrib/data/loader.py), in its
  order.
- `BROAD`: every operator and field of docs/FEATURES.md at least once, on nulls of every kind that
  the data has. `at(step)` and `of(symbol)` are those that look at other slots.
- `TALIB`: what TA-Lib has too, with its function.
"""

import numpy as np
import pandas as pd

WINDOWS = (5, 10, 20, 30, 60)


def alpha158():
    """Name and expression of each, in Qlib's order."""
    body, span = "$close-$open", "($high-$low+1e-12)"
    up, low = "$high-Greater($open, $close)", "Less($open, $close)-$low"
    shift = "2*$close-$high-$low"
    found = {
        "KMID": f"({body})/$open", "KLEN": "($high-$low)/$open", "KMID2": f"({body})/{span}",
        "KUP": f"({up})/$open", "KUP2": f"({up})/{span}",
        "KLOW": f"({low})/$open", "KLOW2": f"({low})/{span}",
        "KSFT": f"({shift})/$open", "KSFT2": f"({shift})/{span}",
        "OPEN0": "$open/$close", "HIGH0": "$high/$close", "LOW0": "$low/$close",
        "VWAP0": "$vwap/$close",
    }
    before, volume = "Ref($close, 1)", "Ref($volume, 1)"
    change, size = f"$close/{before}", f"Abs($close/{before}-1)*$volume"
    families = {
        "ROC": "Ref($close, N)/$close",
        "MA": "Mean($close, N)/$close",
        "STD": "Std($close, N)/$close",
        "BETA": "Slope($close, N)/$close",
        "RSQR": "Rsquare($close, N)",
        "RESI": "Resi($close, N)/$close",
        "MAX": "Max($high, N)/$close",
        "MIN": "Min($low, N)/$close",
        "QTLU": "Quantile($close, N, 0.8)/$close",
        "QTLD": "Quantile($close, N, 0.2)/$close",
        "RANK": "Rank($close, N)",
        "RSV": "($close-Min($low, N))/(Max($high, N)-Min($low, N)+1e-12)",
        "IMAX": "IdxMax($high, N)/N",
        "IMIN": "IdxMin($low, N)/N",
        "IMXD": "(IdxMax($high, N)-IdxMin($low, N))/N",
        "CORR": "Corr($close, Log($volume+1), N)",
        "CORD": f"Corr({change}, Log($volume/{volume}+1), N)",
        "CNTP": f"Mean($close>{before}, N)",
        "CNTN": f"Mean($close<{before}, N)",
        "CNTD": f"Mean($close>{before}, N)-Mean($close<{before}, N)",
        **sums("SUM", "$close", before),
        "VMA": "Mean($volume, N)/($volume+1e-12)",
        "VSTD": "Std($volume, N)/($volume+1e-12)",
        "WVMA": f"Std({size}, N)/(Mean({size}, N)+1e-12)",
        **sums("VSUM", "$volume", volume),
    }
    for name, text in families.items():
        found |= {f"{name}{n}": text.replace("N", str(n)) for n in WINDOWS}
    return found


def sums(name, now, before):
    """The share of rises and of falls in all changes, and their difference."""
    up = f"Sum(Greater({now}-{before}, 0), N)"
    down = f"Sum(Greater({before}-{now}, 0), N)"
    total = f"(Sum(Abs({now}-{before}), N)+1e-12)"
    return {f"{name}P": f"{up}/{total}", f"{name}N": f"{down}/{total}",
            f"{name}D": f"({up}-{down})/{total}"}


ALPHA158 = alpha158()

FIELDS = (
    "open", "high", "low", "close", "volume", "vwap", "trades", "amount", "session", "slot",
    "slots", "minute", "to_close", "weekday", "half_day",
)

BROAD = {
    **{f"field_{name}": f"${name}" for name in FIELDS},
    # Elementwise, and how tightly signs bind.
    "signs": "1 + 2 * $close - -$open / 2 ^ 2", "minus_power": "-2 ^ 2 + 0 * $close",
    "power_right": "2 ^ 3 ^ 2 + 0 * $close", "divided": "$high / $low / 2 - 1 - 2",
    "mod": "Mod($close, 3)", "mod_minus": "Mod(-$close, 0.7)",
    "over_zero": "$close / ($open - $open)",
    "neg": "Neg($close)", "abs": "Abs(Ret($close, 1))", "sign": "Sign(Delta($close, 1))",
    "sqrt": "Sqrt($close - Ref($close, 1))", "log": "Log($close)", "log_volume": "Log($volume)",
    "log1p": "Log1p(Ret($close, 1))", "exp": "Exp(Ret($close, 5))", "exp_large": "Exp($volume)",
    "tanh": "Tanh(100 * Ret($close, 1))", "sigmoid": "Sigmoid(1000 * Ret($close, 1))",
    "power": "$close ^ 0.5", "power_minus": "Power(Delta($close, 1), -1.5)",
    "signed": "SignedPower(Ret($close, 1), 0.5)", "greater": "Greater($open, $close)",
    "less": "min2($open, $close)", "clip": "Clip(Ret($close, 1), -0.0005, 0.0005)",
    "gt": "$close > Ref($close, 1)", "ge": "$close >= Ref($close, 1)", "lt": "Lt($close, $open)",
    "le": "$close <= $open", "eq": "$close == Ref($close, 1)", "ne": "$close != $open",
    "and": "$volume > 0 & $close > Ref($close, 3)", "or": "$volume > 0 || Ref($close, 3) > $close",
    "and_null": "And($close > 0, Ref($close, 7) > 0)", "or_null": "Or($close > 0, Ref($close, 7))",
    "not": "!($close > $open)", "not_null": "Not(Ref($close, 2) - $close)",
    "mixed": "$close > $open & $close > Ref($close, 1) | $volume == 0",
    "if": "$close > $open ? $high : $low", "if_null": "If(Ret($close, 1) > 0, 1, Ref($close, 9))",
    "chained": "$close > $open ? 1 : $close < $open ? -1 : 0",
    "coalesce": "Coalesce(Ref($close, 10), $open)", "fill": "FillNull(Ret($close, 1), 0)",
    "is_null": "IsNull(Ref($close, 3))", "is_valid": "IsValid($volume)",
    "ref": "Ref($close, 4)", "ref_ref": "Ref(Ref($volume, 2), 3)", "delta": "Delta($close, 3)",
    "ret": "Ret($close, 1)", "logret": "LogRet($close, 12)",
    # Windows.
    "sum": "Sum($volume, 7)", "mean": "Mean($close, 20)", "mean_one": "Mean($close, 1)",
    "mean_ret": "Mean(Ret($close, 3), 10)", "mean_long": "Mean($close, 200)",
    "count": "Count(Ret($close, 1), 15)", "count_if": "CountIf($close > $open, 20)",
    "frac": "Frac(Delta($close, 1), 20)", "var": "Var($close, 10)",
    "std": "Std(Ret($close, 1), 20)",
    "std_ddof": "Std($close, 12, ddof=0)", "var_ddof": "Var($close, 12, 2)",
    "std_long": "Std(Ret($close, 1), 150)", "sem": "Sem($close, 9)", "cv": "CV($volume, 30)",
    "zscore": "ZScore($close, 60)", "skew": "Skew(Ret($close, 1), 30)",
    "kurt": "Kurt(Ret($close, 1), 30)", "skew_short": "Skew($close, 3)",
    "kurt_short": "Kurt($close, 4)", "mad": "Mad($close, 11)", "medad": "MedAD($close, 14)",
    "max": "Max($high, 20)", "min": "ts_min($low, 20)", "max_long": "Max($high, 500)",
    "idxmax": "IdxMax($high, 10)", "idxmin": "IdxMin($low, 10)", "since_max": "SinceMax($high, 25)",
    "since_min": "ts_argmin($low, 25)", "range": "Range(10)",
    "range_of": "Range($close, $open, 10)",
    "rsv": "RSV(9)", "quantile": "Quantile($close, 20, 0.3)",
    "quantile_end": "Quantile($low, 8, 1)",
    "med": "Med($close, 10)", "iqr": "IQR(Ret($close, 1), 40)",
    "qrange": "QRange($close, 20, 0.1, 0.6)",
    "rank": "Rank($close, 20)", "rank_volume": "ts_rank($volume, 33)",
    "winsor": "WinsorT(Ret($close, 1), 50, 0.05, 0.95)", "wma": "WMA($close, 10)",
    "wma_volume": "decay_linear($volume, 13)", "decay": "DecayExp($close, 12, 0.8)",
    "slope": "Slope($close, 24)", "rsquare": "Rsquare($close, 24)", "resi": "Resi($close, 24)",
    "fitted": "Fitted($close, 24)", "intercept": "Intercept($close, 24)",
    "slope_long": "Slope($close, 130)", "beta": "Beta(Ret($close, 1), Ret($open, 1), 30)",
    "alpha": "Alpha(Ret($close, 1), Ret($open, 1), 30)", "resi_xy": "ResiXY($close, $volume, 20)",
    "rsq_xy": "RsqXY($close, $open, 20)", "cov": "Cov($close, $volume, 20)",
    "cov_ddof": "Cov($high, $low, 6, ddof=0)", "corr": "Corr($close, $volume, 20)",
    "corr_short": "Corr($close, $open, 2)", "autocorr": "AutoCorr(Ret($close, 1), 2, 30)",
    "rank_corr": "RankCorr($close, $volume, 15)", "prod": "Prod($close / $open, 10)",
    "cumret": "CumRet(Ret($close, 1), 10)", "vwap_of": "VWAP($close, $volume, 15)",
    "vwap_left_out": "VWAP($close, 15)", "rv": "RV(LogRet($close, 1), 20)",
    "bpv": "BPV(LogRet($close, 1), 20)", "parkinson": "Parkinson(20)", "garman": "GarmanKlass(20)",
    "rogers": "RogersSatchell(20)", "yang": "YangZhang(20)",
    "yang_of": "YangZhang($open, $high, $low, $close, 10)", "bb_up": "BBUp($close, 20)",
    "bb_mid": "BBMid($close, 20)", "bb_low": "BBLow($close, 20, k=1.5)",
    "bb_pct": "BBPct($close, 20)",
    "bb_width": "BBWidth($close, 20, 2.5)", "cci": "CCI(20)", "willr": "WillR(14)",
    "stoch_f": "StochF(14)", "stoch_k": "StochK()", "stoch_d": "StochD(10, 4, 5)",
    "aroon_up": "AroonUp(14)", "aroon_down": "AroonDown($low, 14)", "mfi": "MFI(14)",
    "value_when": "ValueWhen($close > Ref($close, 1), $volume, 10)",
    "value_when_never": "ValueWhen($close < 0, $volume, 10)",
    "bars_since": "BarsSince($close > Ref($close, 1), 10)",
    "bars_since_null": "BarsSince(Ref($close, 1) > $open, 4)",
    # Recursions.
    "ema": "EMA($close, 26)", "ema_short": "EMA($volume, 3)", "ewm_std": "EWMStd($close, 20)",
    "ewm_var": "EWMVar(Ret($close, 1), 10)", "emas": "EMAs($close, 12)",
    "wilder": "Wilder($close, 14)",
    "dema": "DEMA($close, 10)", "tema": "TEMA($close, 8)", "trix": "TRIX($close, 6)",
    "macd": "MACD($close)", "macd_signal": "MACDSignal($close)",
    "macd_hist": "MACDHist($close, 5, 10, 4)",
    "rsi": "RSI($close, 14)", "cmo": "CMO($close, 14)", "tr": "TR()", "atr": "ATR(14)",
    "natr": "NATR(14)", "plus_di": "PlusDI(14)", "minus_di": "MinusDI(14)", "dx": "DX(14)",
    "adx": "ADX(7)", "kama": "KAMA($close, 10)", "strength": "rsi/50 - 1",
    # Of the session.
    "cum_sum": "CumSum($volume)", "cum_ret": "CumSum(Ret($close, 1))", "cum_max": "CumMax($close)",
    "cum_min": "CumMin($low)", "cum_count": "CumCount($close)", "obv": "OBV()", "ad": "AD()",
    "session_open": "SessionOpen()", "session_high": "SessionHigh()", "session_low": "SessionLow()",
    "session_vwap": "SessionVWAP()", "prev_close": "PrevClose()", "gap_pct": "GapPct()",
    "minute_of": "MinuteOfSession()", "day_of": "DayOfWeek()", "is_half": "IsHalfDay()",
    "bars_to_close": "BarsToClose()", "off_open": "$close / SessionOpen() - 1",
    "mean_dev": "Mean(Abs($close - SessionVWAP()), 10)",
}

# The longer steps that each step is asked on.
LONGER = {"1m": ("5m", "1h", "1d"), "5m": ("1h", "1d"), "1h": ("1d",), "1d": ("1w", "1mo")}


def at(step):
    """Features on a longer step."""
    return {
        f"at_{step}_close": f"At('{step}', $close)",
        f"at_{step}_ret": f"At('{step}', Ret($close, 1))",
        f"at_{step}_rsi": f"At('{step}', RSI($close, 5))",
        f"at_{step}_mean": f"$close / At('{step}', Mean($close, 4)) - 1",
    }


def of(symbol):
    """Features of another instrument."""
    other = f"Of('{symbol}', Ret($close, 1))"
    return {
        "of_close": f"Of('{symbol}', $close)",
        "of_ret": other,
        "of_rsi": f"Of('{symbol}', RSI($close, 14))",
        "of_spread": f"$close / Of('{symbol}', $close)",
        "of_beta": f"Beta(Ret($close, 1), {other}, 60)",
        "of_corr": f"Corr(Ret($close, 1), {other}, 30)",
    }


# Each is compared from the first value of TA-Lib on: all are seeded as it does.
TALIB = {
    "RSI14": ("RSI($close, 14)", lambda t, b: t.RSI(b["close"], 14)),
    "RSI2": ("RSI($close, 2)", lambda t, b: t.RSI(b["close"], 2)),
    "CMO14": ("CMO($close, 14)", lambda t, b: t.CMO(b["close"], 14)),
    "TRANGE": ("TR()", lambda t, b: t.TRANGE(b["high"], b["low"], b["close"])),
    "ATR14": ("ATR(14)", lambda t, b: t.ATR(b["high"], b["low"], b["close"], 14)),
    "NATR14": ("NATR(14)", lambda t, b: t.NATR(b["high"], b["low"], b["close"], 14)),
    "PLUS_DI14": ("PlusDI(14)", lambda t, b: t.PLUS_DI(b["high"], b["low"], b["close"], 14)),
    "MINUS_DI14": ("MinusDI(14)", lambda t, b: t.MINUS_DI(b["high"], b["low"], b["close"], 14)),
    "DX14": ("DX(14)", lambda t, b: t.DX(b["high"], b["low"], b["close"], 14)),
    "ADX14": ("ADX(14)", lambda t, b: t.ADX(b["high"], b["low"], b["close"], 14)),
    "EMA10": ("EMAs($close, 10)", lambda t, b: t.EMA(b["close"], 10)),
    "EMA26": ("EMAs($close, 26)", lambda t, b: t.EMA(b["close"], 26)),
    "DEMA10": ("DEMA($close, 10)", lambda t, b: t.DEMA(b["close"], 10)),
    "TEMA10": ("TEMA($close, 10)", lambda t, b: t.TEMA(b["close"], 10)),
    "TRIX9": ("TRIX($close, 9)", lambda t, b: t.TRIX(b["close"], 9)),
    "KAMA10": ("KAMA($close, 10)", lambda t, b: t.KAMA(b["close"], 10)),
    "MACD": ("MACD($close)", lambda t, b: t.MACD(b["close"], 12, 26, 9)[0]),
    "MACDSIGNAL": ("MACDSignal($close)", lambda t, b: t.MACD(b["close"], 12, 26, 9)[1]),
    "MACDHIST": ("MACDHist($close)", lambda t, b: t.MACD(b["close"], 12, 26, 9)[2]),
    "BBUP": ("BBUp($close, 20)", lambda t, b: t.BBANDS(b["close"], 20, 2, 2, 0)[0]),
    "BBMID": ("BBMid($close, 20)", lambda t, b: t.BBANDS(b["close"], 20, 2, 2, 0)[1]),
    "BBLOW": ("BBLow($close, 20)", lambda t, b: t.BBANDS(b["close"], 20, 2, 2, 0)[2]),
    "STOCHK": ("StochK(14, 3, 3)", lambda t, b: stoch(t, b)[0]),
    "STOCHD": ("StochD(14, 3, 3)", lambda t, b: stoch(t, b)[1]),
    "STOCHF": (
        "StochF(14)", lambda t, b: t.STOCHF(b["high"], b["low"], b["close"], 14, 1, 0)[0]
    ),
    "CCI20": ("CCI(20)", lambda t, b: t.CCI(b["high"], b["low"], b["close"], 20)),
    "WILLR14": ("WillR(14)", lambda t, b: t.WILLR(b["high"], b["low"], b["close"], 14)),
    "AROONUP": ("AroonUp(14)", lambda t, b: t.AROON(b["high"], b["low"], 14)[1]),
    "AROONDOWN": ("AroonDown(14)", lambda t, b: t.AROON(b["high"], b["low"], 14)[0]),
    "MFI14": ("MFI(14)", lambda t, b: mfi(t, b, 14)),
    "LINEARREG14": ("Fitted($close, 14)", lambda t, b: t.LINEARREG(b["close"], 14)),
    "LINEARREG_SLOPE14": ("Slope($close, 14)", lambda t, b: t.LINEARREG_SLOPE(b["close"], 14)),
    # TA-Lib counts the places from 0, here from 1.
    "LINEARREG_INTERCEPT14": (
        "Intercept($close, 14) + Slope($close, 14)",
        lambda t, b: t.LINEARREG_INTERCEPT(b["close"], 14),
    ),
    "STDDEV20": ("Std($close, 20, ddof=0)", lambda t, b: t.STDDEV(b["close"], 20)),
    "VAR20": ("Var($close, 20, ddof=0)", lambda t, b: t.VAR(b["close"], 20)),
    "CORREL30": ("Corr($high, $low, 30)", lambda t, b: t.CORREL(b["high"], b["low"], 30)),
    "BETA5": (
        "Beta(Ret($low, 1), Ret($high, 1), 5)", lambda t, b: t.BETA(b["high"], b["low"], 5)
    ),
    "WMA9": ("WMA($close, 9)", lambda t, b: t.WMA(b["close"], 9)),
    "SMA30": ("Mean($close, 30)", lambda t, b: t.SMA(b["close"], 30)),
    "SUM9": ("Sum($volume, 9)", lambda t, b: t.SUM(b["volume"], 9)),
    "MAX30": ("Max($high, 30)", lambda t, b: t.MAX(b["high"], 30)),
    "MIN30": ("Min($low, 30)", lambda t, b: t.MIN(b["low"], 30)),
    "ROCP10": ("Ret($close, 10)", lambda t, b: t.ROCP(b["close"], 10)),
    "MOM10": ("Delta($close, 10)", lambda t, b: t.MOM(b["close"], 10)),
    "AVGDEV14": ("Mad($close, 14)", lambda t, b: t.AVGDEV(b["close"], 14)),
}


def mfi(talib, bars, count):
    """NaN where the typical price moved by a rounding: TA-Lib calls some of these no change."""
    prices = (bars["high"], bars["low"], bars["close"])
    typical = sum(prices) / 3
    move = np.abs(np.diff(typical, prepend=typical[:1])) / typical
    unsure = np.convolve((0 < move) & (move < 1e-14), np.ones(count))[: len(move)] > 0
    return np.where(unsure, np.nan, talib.MFI(*prices, bars["volume"], count))


def stoch(talib, bars):
    prices = (bars["high"], bars["low"], bars["close"])
    return talib.STOCH(*prices, 14, 3, 0, 3, 0)


def is_flat(bars, count=14):
    """Whether no price moved over so many rows: TA-Lib goes on with 0 for 0/0 then."""
    high, low = (pd.Series(bars[name]).rolling(count) for name in ("high", "low"))
    return bool((high.max() == low.min()).any())


def indicators(talib, bars):
    """What TA-Lib says: of each name its values, NaN where it has none."""
    return {name: np.array(of(talib, bars), float) for name, (_, of) in TALIB.items()}
