"""Features of real files, computed with numpy from the definitions, against Barrow's.

Shares no code with Barrow; docs/FEATURES.md says what a feature is, tests/operators.py computes it,
tests/feature_sets.py lists those that are compared. Files are read as by tests/gaps.py.

Always, with and without a server, what is computed here is compared with others:
- Alpha158 with pandas' own rolling windows, to 1e-6;
- `EMA`, `EWMVar` and `EWMStd` with pandas' `ewm(span=N)`, to 1e-9;
- indicators with TA-Lib, to 1e-9, from its first value on: all are seeded as it does.

With `--barrow` each file is loaded on a fresh server with `--calendar`, once as it is and, where it
has holes, once with `--complete`, and of each symbol and price side:
- `qlib.alpha158` with `compat: qlib` (over the rows, no warm-up, a null compares as 0);
- the set BROAD with the default options (`gap: by_reason`), with `gap: skip`, and with `warmup: 20,
  min_valid: 3`, at each slot since the first row; on longer steps (`At`), and of another instrument
  of the file (`Of`);
- the set TALIB with `gap: rows`, against TA-Lib itself, on daily files whose rows have no holes.
What the server has to compute from is what `GET /v1/bars?gaps=true` answers. Of each cell the value
must be within 1e-9 of the greater of itself and the column's scale (the median of its absolute
values that are not 0), null where it is null here, and for the same reason; no value may be -0.
`GET /v1/features` is asked once for all slots and once from their middle on.

Run: python tests/features.py [--barrow target/release/barrow] [--quick] [PART_OF_A_PATH ...]
Needs tests/requirements.txt. Ends with 1 on any difference; without the data it says so and ends
with 0.
"""

import argparse
import json
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import aggregates
import cells
import expressions
import feature_sets
import gaps
import numpy as np
import operators
import pandas as pd
import pyarrow as pa
import recipes
import recursions
import sessions
import talib
from cells import REASONS, Evaluator, Inputs, Options, Slots
from recipes import DATA, Difference

NEAR = 1e-9
# What pandas' running sums are good for.
NEAR_PANDAS = 1e-6
COLUMNS = ("open", "high", "low", "close", "volume", "vwap", "trades")
# Sessions after the last row, at least so long, are asked too.
TAIL = 2 * sessions.DAY
# Longer steps are asked from so long before: the first slot may begin earlier than the first row.
AROUND = 45 * sessions.DAY

# What cells are computed with.
assert operators and recursions
# Of empty slots that count, at least so many from the first row on are asked, in whole sessions.
SLOTS = 6_000

# What the tallies of a group are told as.
KINDS, OPERATORS = {"a158": "Alpha158", "TA-Lib": "TA-Lib"}, "operators"
QLIB = {"compat": "qlib"}
ROWS = {"gap": "rows"}
BROAD = {
    "default": {},
    "skip": {"gap": "skip"},
    "numbers": {"warmup": 20, "min_valid": 3},
}


@dataclass(frozen=True)
class Case:
    """What is asked of the files with `part` in their path."""

    part: str
    symbols: tuple = ()  # all, if none are named
    broad: tuple = ()  # names of BROAD
    sessions: tuple = ("regular",)
    complete: bool = False  # also with --complete
    other: str = ""  # the symbol that `Of` takes
    indicators: bool = False
    facts: bool = False  # a halt, an outage and quarantined rows are stated first
    # The names of BROAD that --quick asks, of these symbols; None: it leaves the file out.
    quick: tuple | None = None
    quick_symbols: tuple = ()


# Every other file: Alpha158 of all symbols, by the sessions that tests/gaps.toml names.
CASES = (
    Case("daily/sp500_daily", indicators=True),
    Case("daily/lean_us_daily", broad=("default",), indicators=True, other="SPY"),
    Case("daily/alphavantage_daily/V_", broad=("numbers", "default"), indicators=True,
         quick=("numbers",)),
    Case("daily/yahoo_raw_csv/JNJ", broad=("default",), indicators=True, quick=("default",)),
    Case("daily/yahoo_raw_csv", indicators=True),
    Case("daily/us_5stocks", indicators=True),
    Case("minute/lean_us_equity_1min_trades", broad=tuple(BROAD), complete=True, other="SPY",
         sessions=("regular", "extended"), quick=("default",), quick_symbols=("GOOG",)),
    Case("minute/alphavantage_1min/UGA", broad=tuple(BROAD), complete=True, facts=True,
         quick=("default",)),
    Case("minute/alphavantage_1min/PPLT", broad=("skip", "default"), complete=True,
         quick=("skip",)),
    Case("minute/lean_us_equity_1hour", broad=("default",)),
    Case("minute/eurusd_1hour", broad=("skip", "default"), complete=True, quick=()),
    Case("minute/fxcm_gbpusd_1min_bid", broad=("default",)),
    Case("minute/crypto_eth_btc_5min", broad=("default",)),
    Case("minute/crypto_unittest_btc_1min.feather", broad=tuple(BROAD), complete=True),
    Case("ticks/crypto_xrp_eth", broad=("default",), quick=("default",)),
    Case("ticks/lean_ibm_trades", broad=("default",)),
    Case("minute/spy_1min_2011", broad=("default",), sessions=("extended",), complete=True),
)
# Trades, whose bars have an average price: path, calendar, step.
TICKS = (
    ("ticks/crypto_xrp_eth_trades.parquet", "CRYPTO", "1m"),
    ("ticks/lean_ibm_trades_2013-10.csv.gz", "XNYS", "1m"),
)


# --- tallies ------------------------------------------------------------------------------------


@dataclass
class Tally:
    """Of one feature: how many cells were compared, and how they differ."""

    cells: int = 0
    nulls: int = 0
    differ: int = 0
    worst: float = 0.0  # of the differences that are near enough too, against the scale
    first: str = ""

    def add(self, other):
        self.cells += other.cells
        self.nulls += other.nulls
        self.differ += other.differ
        self.worst = max(self.worst, other.worst)
        self.first = self.first or other.first


@dataclass
class Report:
    """Tallies by feature of everything, and what differs in one file."""

    by_feature: dict = field(default_factory=dict)
    wrong: list = field(default_factory=list)
    is_long: bool = False

    def section(self, where, group, kind, tallies):
        """Takes in the tallies of one file and group, and tells them."""
        whole, where = Tally(), f"{where}: {group}"
        for name, tally in tallies.items():
            whole.add(tally)
            self.by_feature.setdefault((kind, name), Tally()).add(tally)
            if self.is_long:
                print(line(f"    {name}", tally))
            if tally.differ:
                self.wrong.append(f"{where} {name}: {tally.differ} of {tally.cells}: {tally.first}")
        print(line(where, whole), flush=True)


def line(name, tally):
    return (f"{name:<72} {tally.cells:>10} {tally.nulls:>10} {tally.differ:>8} "
            f"{tally.worst:>9.1e}")


def scale_of(values):
    """The median of the absolute values that are not 0."""
    some = np.abs(values[np.isfinite(values) & (values != 0)])
    return float(np.median(some)) if len(some) else 0.0


def tally(mine, theirs, near, at, reasons=None):
    """Compares columns of values, NaN where null, and (code, word) of the reasons."""
    null = np.isnan(mine)
    scale = np.maximum(np.abs(mine), scale_of(mine))
    with np.errstate(all="ignore"):
        off = np.where(mine == theirs, 0.0, np.abs(mine - theirs) / scale)
    wrong = (null != np.isnan(theirs)) | (~null & ~(off <= near))
    if reasons is not None:
        wrong |= reasons[0] != reasons[1]
    both = ~null & ~np.isnan(theirs)
    out = Tally(len(mine), int(null.sum()), int(wrong.sum()), float(off[both].max(initial=0.0)))
    if out.differ:
        place = int(np.argmax(wrong))
        words = ("", "")
        if reasons is not None:
            words = tuple(f" {REASONS[of[place]]}" for of in reasons)
        out.first = (f"slot {place} at {at[place]}: {mine[place]!r}{words[0]}, "
                     f"not {theirs[place]!r}{words[1]}")
    return out


# --- slots --------------------------------------------------------------------------------------


def slots_of(entry, recipe, which, first, last):
    """The expected slots of the sessions from that of one instant to that of another."""
    step = recipe["timeframe"]
    align = entry.get("align", "session")
    if step not in sessions.STEPS:
        first, last = first // sessions.DAY * sessions.DAY, last // sessions.DAY * sessions.DAY
    return sessions.slots(entry["calendar"], step, which, align, first, last)


def usual_length(calendar):
    """How long most sessions are."""
    lengths, counts = np.unique(calendar["close"] - calendar["open"], return_counts=True)
    return int(lengths[np.argmax(counts)])


def with_sessions(entry, start, end, date, reason, column):
    """Slots, with what the calendar says of their sessions."""
    calendar = sessions.calendar(entry["calendar"])
    place = np.minimum(np.searchsorted(calendar["date"], date), len(calendar["date"]) - 1)
    hours = calendar["open"][place], calendar["close"][place]
    return Slots(start, end, date, reason, column, *hours, usual_length(calendar))


def slots_of_file(entry, recipe, rows, which):
    """The slots from the session of the first row of a symbol to that of the last."""
    times = rows["ts"].to_numpy(np.int64)
    found = slots_of(entry, recipe, which, times.min(), times.max())
    number = sessions.number_of(times, recipe["timeframe"])
    place = np.minimum(np.searchsorted(found.number, number), len(found) - 1)
    rows = rows.assign(place=place)[found.number[place] == number]
    rows = rows.drop_duplicates("place", keep="last").set_index("place")
    rows = rows.reindex(index=range(len(found)), columns=COLUMNS)
    column = {name: rows[name].to_numpy(float) for name in COLUMNS}
    reason = np.where(np.isnan(column["close"]), cells.MISSING, 0)
    date = sessions.calendar(entry["calendar"])["date"][found.session]
    return with_sessions(entry, found.start, found.end, date, reason, column)


# --- the oracle against others ------------------------------------------------------------------


class Pandas:
    """Alpha158 with pandas: rows as they come, no warm-up, a null compares as 0."""

    ROLLING = {
        "sum": lambda of: of.sum(), "mean": lambda of: of.mean(), "std": lambda of: of.std(),
        "max": lambda of: of.max(), "min": lambda of: of.min(),
        "rank": lambda of: of.rank(pct=True),
        "idxmax": lambda of: of.apply(lambda w: np.argmax(w) + 1.0, raw=True),
        "idxmin": lambda of: of.apply(lambda w: np.argmin(w) + 1.0, raw=True),
        "slope": lambda of: of.apply(lambda w: fitted(w)[0], raw=True),
        "rsquare": lambda of: of.apply(lambda w: fitted(w)[1], raw=True),
        "resi": lambda of: of.apply(lambda w: fitted(w)[2], raw=True),
    }
    PLAIN = {
        "add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y,
        "div": lambda x, y: x / y, "gt": lambda x, y: (x > y) * 1.0,
        "lt": lambda x, y: (x < y) * 1.0, "greater": np.maximum, "less": np.minimum,
        "abs": np.abs, "log": np.log,
    }

    def __init__(self, bars):
        self.bars = {name: pd.Series(values) for name, values in bars.items()}

    def of(self, node):
        kind, name = node[:2]
        if kind == "number":
            return name
        if kind == "field":
            return self.bars[name]
        args = [self.of(arg) for arg in node[2]]
        if name in self.PLAIN:
            with np.errstate(all="ignore"):
                return self.PLAIN[name](*args)
        if name == "ref":
            return args[0].shift(int(args[1]))
        *series, count = args[:-1] if name == "quantile" else args
        # What is no number is none to pandas, and an infinity spoils the rest of the column.
        series = [x.replace([np.inf, -np.inf], np.nan) for x in series]
        rolling = series[0].rolling(int(count), min_periods=1)
        if name == "quantile":
            return rolling.quantile(args[-1])
        if name == "corr":
            return rolling.corr(series[1])
        return self.ROLLING[name](rolling)


def fitted(window):
    """Slope, r squared and the last residual of the values of a window on their places."""
    y = window[~np.isnan(window)]
    x = np.flatnonzero(~np.isnan(window)).astype(float)
    if len(y) < 2:
        return (np.nan,) * 3
    slope, base = np.polyfit(x - x.mean(), y, 1)
    square = np.nan if np.ptp(y) == 0 else np.corrcoef(x, y)[0, 1] ** 2
    newest = window[-1] - (base + slope * (len(window) - 1 - x.mean()))
    return slope, square, newest


def against_pandas(report, name, slots, count):
    """Compares the first rows with pandas."""
    kept = np.flatnonzero(slots.reason == 0)[:count]
    slots = cut(slots, kept)
    evaluator = Evaluator(Inputs(slots, Options.of(QLIB)))
    other = Pandas(slots.column)
    tallies = {}
    for feature, text in feature_sets.ALPHA158.items():
        node = expressions.parse(text)
        mine = evaluator.of(node).value
        theirs = np.asarray(other.of(node), dtype=float)
        theirs = np.where(np.isfinite(theirs), theirs, np.nan)
        tallies[feature] = tally(mine, theirs, NEAR_PANDAS, slots.start.astype("M8[ns]"))
    report.section(name, "Alpha158 and pandas", "numpy and pandas", tallies)


def cut(slots, kept):
    arrays = (slots.start, slots.end, slots.date, slots.reason)
    column = {name: values[kept] for name, values in slots.column.items()}
    hours = slots.open[kept], slots.close[kept]
    return Slots(*(array[kept] for array in arrays), column, *hours, slots.usual)


def known_to_talib(theirs, value, reason):
    """Where TA-Lib has a value: the 0 that it says for 0/0, which is null here, is none."""
    zero_over_zero = np.isnan(value) & (reason == cells.NON_FINITE) & (theirs == 0)
    return ~np.isnan(theirs) & ~zero_over_zero


def against_talib(report, name, slots):
    """Compares the rows, as if there were no holes, with TA-Lib."""
    slots = cut(slots, np.flatnonzero(slots.reason == 0))
    if feature_sets.is_flat(slots.column):
        return
    evaluator = Evaluator(Inputs(slots, Options.of(ROWS)))
    theirs = feature_sets.indicators(talib, slots.column)
    tallies = {}
    for feature, (text, _) in feature_sets.TALIB.items():
        found = evaluator.cells(text)
        mine, there = found.value, known_to_talib(theirs[feature], found.value, found.reason)
        at = slots.start[there].astype("M8[ns]")
        tallies[feature] = tally(mine[there], theirs[feature][there], NEAR, at)
    report.section(name, "indicators and TA-Lib", "numpy and TA-Lib", tallies)


def against_ewm(report, name, slots, count):
    """Compares the first rows with pandas' exponential windows."""
    slots = cut(slots, np.flatnonzero(slots.reason == 0)[:count])
    evaluator = Evaluator(Inputs(slots, Options("rows", warmup=1)))
    tallies = {}
    for span in (3, 20, 100):
        of = pd.Series(slots.column["close"]).ewm(span=span)
        for feature, theirs in (("EMA", of.mean()), ("EWMVar", of.var()), ("EWMStd", of.std())):
            mine = evaluator.cells(f"{feature}($close, {span})").value
            at = slots.start.astype("M8[ns]")
            tallies[f"{feature} {span}"] = tally(mine, theirs.to_numpy(), NEAR, at)
    report.section(name, "exponential windows", "numpy and pandas", tallies)


def check_oracle(report, quick):
    """The oracle against pandas and TA-Lib, on some files."""
    count = 200 if quick else 700
    for part, symbol in (("daily/yahoo_raw_csv/JNJ", "JNJ"), ("minute/eurusd_1hour", "EURUSD"),
                         ("minute/crypto_eth_btc_5min", "ETH/BTC"),
                         ("minute/alphavantage_1min/UGA", "UGA")):
        for path, entry, recipe in gaps.loads([part]):
            rows = gaps.read(path, recipe)[0].rows
            slots = slots_of_file(entry, recipe, rows[rows["symbol"] == symbol], "regular")
            against_pandas(report, f"{path} {symbol}", slots, count)
            against_ewm(report, f"{path} {symbol}", slots, count)
            if recipe["timeframe"] == "1d":
                against_talib(report, f"{path} {symbol}", slots)


# --- what Barrow says ---------------------------------------------------------------------------


def send(server, method, route, body):
    """States something as JSON."""
    url = f"{server.url}/v1/{route}"
    kind = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), kind, method=method)
    try:
        with urllib.request.urlopen(request) as reply:
            reply.read()
    except urllib.error.HTTPError as error:
        raise Difference(f"{method} {url}: {error.code} {error.read().decode()[:500]}") from error


def put(server, name, document):
    """Puts a group."""
    body = {"kind": "FeatureSet", "name": name} | document
    send(server, "PUT", f"feature-groups/{name}", body)


def state_facts(server, recipe, side, times):
    """A halt of an hour, an outage of two, and three rows in quarantine, of each symbol."""
    hour = sessions.HOUR
    for symbol, of in times.items():
        halted, out = int(of[len(of) // 3]), int(of[len(of) * 2 // 3])
        send(server, "POST", "halts", {"symbol": symbol, "start": halted, "end": halted + hour})
        send(server, "POST", "outages", {"source": recipe["source"], "symbol": symbol,
                                         "start": out, "end": out + 2 * hour})
        for time_ in of[len(of) // 2 :][:3]:
            send(server, "POST", "quality/verdicts", {
                "symbol": symbol, "source": recipe["source"], "timeframe": recipe["timeframe"],
                "price": side, "ts": int(time_), "act": "quarantine",
            })


def features(server, group, symbol, start, end):
    """The answer of the group as an Arrow table."""
    query = {"groups": group, "symbols": symbol, "start": int(start), "end": int(end),
             "reasons": "true"}
    return gaps.ask(server, "features", **query)


def cells_of(table, name):
    """Values, NaN for null, and codes of reasons of one column."""
    values = table.column(name)
    value = values.to_pandas().to_numpy(dtype=float, na_value=np.nan)
    words = table.column(f"{name}__reason").cast(pa.string()).fill_null("ok")
    words = words.combine_chunks().dictionary_encode()
    codes = np.array([cells.CODE[word] for word in words.dictionary.to_pylist()] or [0])
    reason = codes[words.indices.to_numpy()]
    # A null without a reason, or a value with one, is no answer.
    null = np.asarray(values.is_null())
    if not np.array_equal(null, reason != 0):
        at = int(np.argmax(null != (reason != 0)))
        raise Difference(f"{name}: slot {at} is {value[at]}, and its reason {REASONS[reason[at]]}")
    if np.any(np.signbit(value) & (value == 0)):
        raise Difference(f"{name}: some value is -0")
    if not np.array_equal(np.isnan(value), null) or np.isinf(value).any():
        raise Difference(f"{name}: some value is no finite number")
    return value, reason


@dataclass
class Asked:
    """The slots that a server is asked about, and its bars there."""

    server: object
    entry: dict
    recipe: dict
    side: str
    which: str
    first: dict  # by symbol: the time of the first row
    memo: dict = field(default_factory=dict)
    evaluators: dict = field(default_factory=dict)

    @property
    def bars(self):
        """As a group says it."""
        return {"every": self.recipe["timeframe"], "session": self.which, "price": self.side,
                "align": self.entry.get("align", "session"), "source": self.recipe["source"]}

    def slots(self, symbol, end, step=None):
        """What `GET /v1/bars` answers, from the session of the first row on."""
        key = symbol, end, step
        if key not in self.memo:
            self.memo[key] = self.fetched(*key)
        return self.memo[key]

    def fetched(self, symbol, end, step):
        start = self.first[symbol]
        if start >= end:
            none = np.empty(0, np.int64)
            return with_sessions(self.entry, *[none] * 4, dict.fromkeys(COLUMNS, np.empty(0)))
        if step is None:
            # The session of the first row, or the next.
            start = int(slots_of(self.entry, self.recipe, self.which, start, end).start[0])
        else:
            start, end = start - AROUND, end + AROUND
        bars = self.bars
        table = gaps.ask(
            self.server, "bars", symbols=symbol, start=start, end=end,
            frequency=step or bars["every"], session=self.which, align=bars["align"],
            price=self.side, source=bars["source"], layer="curated", gaps="true",
            columns=",".join(("ts", "ts_end", "session", "reason", *COLUMNS)),
        )
        column = {name: table.column(name).to_pandas().to_numpy(dtype=float, na_value=np.nan)
                  for name in COLUMNS}
        words = gaps.texts_of(table, "reason")
        reason = np.array([cells.CODE[word] for word in words], dtype=int)
        date = table.column("session").cast(pa.int32()).to_numpy().astype(np.int64)
        times = gaps.times_of(table, "ts"), gaps.times_of(table, "ts_end")
        return with_sessions(self.entry, *times, date, reason, column)

    def evaluator(self, symbol, end, options, texts, step=None):
        """The oracle over these slots."""
        key = symbol, end, options, id(texts), step
        if key not in self.evaluators:
            self.evaluators[key] = Evaluator(
                Inputs(self.slots(symbol, end, step), options), texts,
                longer=lambda step: self.evaluator(symbol, end, options, texts, step),
                other=lambda symbol: self.evaluator(symbol, end, options, texts, step),
            )
        return self.evaluators[key]


# --- the comparison -----------------------------------------------------------------------------


def compare(asked, group, symbol, end, options, texts):
    """Tallies of one group and symbol."""
    oracle = asked.evaluator(symbol, end, Options.of(options), texts)
    start = oracle.inputs.start
    if not len(start):
        return {}
    tables = [(0, features(asked.server, group, symbol, asked.slots(symbol, end).start[0], end))]
    half = len(start) // 2
    tables.append((half, features(asked.server, group, symbol, start[half], end)))
    tallies = {}
    for first, table in tables:
        there = gaps.times_of(table, "ts")
        if not np.array_equal(start[first:], there):
            raise Difference(
                f"{group} {symbol}: {len(start) - first} slots from {gaps.moment(start[first])}, "
                f"/v1/features has {len(there)}" + (f" from {gaps.moment(there[0])}"
                                                    if len(there) else "")
            )
        for name, text in texts.items():
            mine = oracle.cells(text)
            value, reason = cells_of(table, name)
            found = tally(mine.value[first:], value, NEAR, start[first:].astype("M8[ns]"),
                          (mine.reason[first:], reason))
            tallies.setdefault(name, Tally()).add(found)
    return tallies


def compare_talib(asked, group, symbol, end):
    """Tallies of what the server and TA-Lib say of the rows."""
    slots = asked.slots(symbol, end)
    slots = cut(slots, np.flatnonzero(slots.reason == 0))
    if feature_sets.is_flat(slots.column):
        return {}
    table = features(asked.server, group, symbol, slots.start[0], end)
    theirs = feature_sets.indicators(talib, slots.column)
    tallies = {}
    for name in feature_sets.TALIB:
        there = known_to_talib(theirs[name], *(found := cells_of(table, name)))
        value = found[0]
        at = slots.start[there].astype("M8[ns]")
        tallies[name] = tally(theirs[name][there], value[there], NEAR, at)
    return tallies


def loads(parts):
    """(path, entry, recipe) of every file of bars, and of TICKS."""
    yield from gaps.loads(parts)
    every = recipes.load_recipes(recipes.ROOT / "tests" / "recipes.toml")
    for name, calendar, step in TICKS:
        if not parts or any(part in name for part in parts):
            fitting = (r for r in every if recipes.fits(Path(name), r) and r["expect"] == "load")
            entry = {"calendar": calendar, "sessions": ["regular"]}
            yield Path(name), entry, next(fitting) | {"timeframe": step}


def times_of_file(path, recipe):
    """By price side and symbol the times of the rows."""
    if recipe.get("dataset") == "trades":
        ticks = aggregates.read_ticks(path, recipe, "none")
        return {"trade": {symbol: rows["ts"].to_numpy(np.int64) for symbol, _, rows in ticks}}
    return {face.side: {symbol: rows["ts"].to_numpy(np.int64)
                        for symbol, rows in face.rows.groupby("symbol", sort=False)}
            for face in gaps.read(path, recipe)}


def case_of(path):
    """What is asked of a file."""
    found = [case for case in CASES if case.part in path.as_posix()]
    return found[0] if found else Case(path.as_posix(), sessions=())


def check(report, barrow, path, entry, recipe, case, quick, complete):
    """Loads one file on a fresh server, and compares it."""
    args = recipe["args"] + gaps.calendar_args(entry) + (["--complete"] if complete else [])
    sides = times_of_file(path, recipe)
    folder = tempfile.TemporaryDirectory(prefix="barrow-features-")
    with folder, recipes.Server(barrow, folder.name) as server:
        code, out, err = recipes.run_import(
            barrow, server, DATA / path, recipe | {"args": args}
        )
        if code != 0:
            raise Difference(f"import ended with {code}: {(err or out).strip()}")
        for side, times in list(sides.items())[: 1 if quick else None]:
            if case.facts:
                state_facts(server, recipe, side, times)
            first = {symbol: int(of.min()) for symbol, of in times.items()}
            which_sets = case.sessions or entry["sessions"]
            for which in which_sets[:1] if quick else which_sets:
                asked = Asked(server, entry, recipe, side, which, first)
                wanted = (case.quick_symbols if quick else ()) or case.symbols or first
                last = {symbol: int(times[symbol].max()) for symbol in wanted}
                where = " ".join([str(path), side, which, *(["--complete"] * complete)])
                broad = case.quick if quick else case.broad
                check_face(report, asked, case, broad, last, where, not complete)


def check_face(report, asked, case, broad, last, where, alpha):
    """Compares the sets that are asked of the symbols of one price side and session set."""
    groups, step = {}, asked.recipe["timeframe"]
    suffix = f"{asked.side}_{asked.which}"
    if alpha:
        groups[f"a158_{suffix}"] = (QLIB, feature_sets.ALPHA158)
    for name in broad:
        texts = dict(feature_sets.BROAD)
        for longer in feature_sets.LONGER.get(step, ()):
            texts |= feature_sets.at(longer)
        if case.other:
            texts |= feature_sets.of(case.other)
        groups[f"{name}_{suffix}"] = (BROAD[name], texts)
    for name, (options, texts) in groups.items():
        document = {"bars": asked.bars, "options": options}
        if texts is feature_sets.ALPHA158:
            document["presets"] = ["qlib.alpha158"]
        else:
            document["features"] = [{"name": n, "expr": text} for n, text in texts.items()]
        put(asked.server, name, document)
    if case.indicators and alpha:
        listed = [{"name": n, "expr": text} for n, (text, _) in feature_sets.TALIB.items()]
        put(asked.server, "indicators",
            {"bars": asked.bars, "options": ROWS, "features": listed})
    whole = {}
    for symbol, time_of_last in last.items():
        found = slots_of(asked.entry, asked.recipe, asked.which, asked.first[symbol],
                         time_of_last + TAIL)
        if not len(found):
            continue
        end = int(found.end[-1])
        beyond = found.session > found.session[min(SLOTS, len(found)) - 1]
        near = int(found.end[~beyond][-1])
        for name, (options, texts) in groups.items():
            until = end if options == QLIB else near
            for feature, of in compare(asked, name, symbol, until, options, texts).items():
                whole.setdefault(name, {}).setdefault(feature, Tally()).add(of)
        if case.indicators and alpha:
            for feature, of in compare_talib(asked, "indicators", symbol, end).items():
                whole.setdefault("TA-Lib", {}).setdefault(feature, Tally()).add(of)
        asked.memo.clear()
        asked.evaluators.clear()
    for name, tallies in whole.items():
        name = name.partition("_")[0]
        report.section(where, name, KINDS.get(name, OPERATORS), tallies)


# --- the command --------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description="Compares features of real files with numpy.")
    parser.add_argument("--barrow", help="compare with this server; without: only the oracle")
    parser.add_argument("--quick", action="store_true", help="a few files, for CI")
    parser.add_argument("--each", action="store_true", help="a line for each feature and file")
    parser.add_argument("parts", nargs="*", help="only files whose path contains one of these")
    options = parser.parse_args()
    if not DATA.is_dir():
        print(f"SKIPPED: no real data at {DATA}")
        return 0
    barrow = options.barrow and str(Path(options.barrow).resolve())
    started, report, files = time.monotonic(), Report(is_long=options.each), 0
    print(f"{'file, set':<72} {'cells':>10} {'nulls':>10} {'differ':>8} {'worst':>9}")
    if not options.parts:
        try:
            check_oracle(report, options.quick)
        except Difference as difference:
            report.wrong.append(f"the oracle: {difference}")
    for path, entry, recipe in loads(options.parts) if barrow else ():
        case = case_of(path)
        if options.quick and case.quick is None:
            continue
        files += 1
        both = case.complete and (case.facts or not options.quick)
        for complete in (False, True) if both else (False,):
            try:
                check(report, barrow, path, entry, recipe, case, options.quick, complete)
            except Difference as difference:
                report.wrong.append(f"{path}: {difference}")
                print(f"    DIFFERS: {difference}", flush=True)
    print(f"\n{'feature, all files':<72} {'cells':>10} {'nulls':>10} {'differ':>8} {'worst':>9}")
    whole = Tally()
    for (kind, name), of in report.by_feature.items():
        print(line(f"{kind}: {name}", of))
        whole.add(of)
    if report.wrong:
        print("\nDifferences:")
        for message in report.wrong:
            print(f"  {message}")
    print(f"\n{files} loads, {whole.cells} cells, {whole.nulls} of them null; {whole.differ} cells "
          f"differ, {len(report.wrong)} faults; {time.monotonic() - started:.0f} s")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
