"""Cells of features: what slots hold, what the options make of it, how expressions are computed.

Shares no code with Barrow; docs/FEATURES.md says what a cell is. `Evaluator(Inputs(slots, options))
.cells(text)` are the cells of an expression: of each slot from the begin on a value, or null and
the reason for it. Every window is cut out whole and given to a kernel of tests/operators.py,
recursions are loops over the slots. Used by tests/features.py.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from expressions import parse
from windows import Window

REASONS = (
    "ok", "closed", "not_listed", "not_due", "no_trade", "halted", "outage", "quarantined",
    "missing", "warm_up", "too_few", "non_finite", "not_in_universe", "dependency_null",
)
CODE = {word: code for code, word in enumerate(REASONS)}
NO_TRADE, MISSING, WARM_UP = CODE["no_trade"], CODE["missing"], CODE["warm_up"]
TOO_FEW, NON_FINITE = CODE["too_few"], CODE["non_finite"]
PRICES = ("open", "high", "low", "close", "vwap")
AMOUNTS = ("volume", "trades", "amount")
# Places of windows that are looked at at once.
CHUNK = 1 << 21


# --- slots and inputs ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Options:
    """Those of a group."""

    gap: str = "by_reason"
    warmup: int | None = None
    min_valid: int | None = None
    qlib: bool = False

    @staticmethod
    def of(document):
        if document.get("compat") == "qlib":
            return Options("rows", 1, 1, True)
        return Options(**document)


@dataclass
class Cells:
    """Of each slot the value, NaN if it is null, and the code of the reason; W of the operator."""

    value: np.ndarray
    reason: np.ndarray
    lead: int = 0


NONE = Cells(np.empty(0), np.empty(0, int))


@dataclass
class Slots:
    """Expected slots, whole sessions: where they lie, why they are empty, and their rows."""

    start: np.ndarray
    end: np.ndarray
    date: np.ndarray  # of the session, days since 1970
    reason: np.ndarray  # codes
    column: dict  # by name, NaN where there is none
    # Of each slot, in nanoseconds: the open and the close of the session.
    open: np.ndarray
    close: np.ndarray
    usual: int  # length of the usual session


class Inputs:
    """The slots that have cells, and what the fields are there."""

    def __init__(self, slots, options):
        row = slots.reason == 0
        begin = int(np.argmax(row)) if row.any() else len(row)
        counted = (np.arange(len(row)) >= begin) & (slots.reason != CODE["not_due"])
        if options.gap == "rows":
            counted &= row
        self.options = options
        self.start, self.end = slots.start[counted], slots.end[counted]
        self.date, self.reason = slots.date[counted], slots.reason[counted]
        column = dict(slots.column)
        column["amount"] = column["vwap"] * column["volume"]
        self.field = {name: self.of_bar(name, column[name][counted], column["close"][counted])
                      for name in (*PRICES, *AMOUNTS)}
        for name, values in of_session(slots).items():
            self.field[name] = Cells(values[counted].astype(float), np.zeros(counted.sum(), int))

    def __len__(self):
        return len(self.start)

    def of_bar(self, name, values, closes):
        reason = np.where(self.reason == 0, np.where(np.isnan(values), MISSING, 0), self.reason)
        if self.options.gap == "by_reason":
            quiet = self.reason == NO_TRADE
            last = pd.Series(np.where(self.reason == 0, closes, np.nan)).ffill().to_numpy()
            values = np.where(quiet, last if name in PRICES else 0.0, values)
            reason = np.where(quiet, 0, reason)
        return Cells(np.where(reason == 0, values, np.nan), reason)


def of_session(slots):
    """What the calendar says of each slot."""
    first = np.r_[[True] * (len(slots.date) > 0), slots.date[1:] != slots.date[:-1]]
    begin, place = np.flatnonzero(first), np.cumsum(first) - 1
    count = np.diff(np.r_[begin, len(first)])
    minute = 60_000_000_000
    return {
        "session": slots.date,
        "slot": np.arange(len(first)) - begin[place],
        "slots": count[place],
        "minute": (slots.start - slots.open) / minute,
        "to_close": (slots.close - slots.end) / minute,
        "weekday": (slots.date + 3) % 7 + 1,
        "half_day": slots.close - slots.open != slots.usual,
    }


# --- the evaluator ------------------------------------------------------------------------------


@dataclass
class Operator:
    """A function of the evaluator and the arguments, and what these are."""

    params: list  # (name, default or None)
    compute: object


OPERATORS = {}
# Series that may be left out, and arguments that are no series.
IMPLIED = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}
NUMBERS = ("N", "K", "D", "k", "ddof", "q", "lo", "hi", "a", "width", "fast", "slow", "signal")


def operator(names, params=""):
    """Makes a function, or a text in which the arguments stand by their names, an operator."""
    listed = [param.partition("=") for param in params.split()]
    listed = [(name, float(default) if default else None) for name, _, default in listed]

    def add(compute):
        for name in names.lower().split():
            OPERATORS[name] = Operator(listed, compute)
        return compute

    return add


@dataclass
class Evaluator:
    """Cells of expressions over the slots of one instrument."""

    inputs: Inputs
    features: dict = field(default_factory=dict)  # text of each feature by name
    longer: object = None  # the evaluator of a longer step
    other: object = None  # the evaluator of another instrument
    memo: dict = field(default_factory=dict)

    def cells(self, text):
        return self.of(parse(text))

    def of(self, node):
        if node not in self.memo:
            self.memo[node] = self.computed(node)
        return self.memo[node]

    def computed(self, node):
        kind, content = node[:2]
        if kind == "number":
            count = len(self.inputs)
            return Cells(np.full(count, content), np.zeros(count, int))
        if kind == "field":
            return self.inputs.field[content]
        if kind == "feature":
            return self.cells(self.features[content])
        name, args, named = node[1:]
        if name == "at":
            return self.at(args[0][1], args[1])
        if name == "of":
            return self.of_other(args[0][1], args[1])
        found = OPERATORS[name]
        bound = self.bind(found, name, args, dict(named))
        if isinstance(found.compute, str):
            return self.of(substitute(parse(found.compute), bound))
        values = [self.of(node) if param not in NUMBERS else number(node)
                  for param, node in bound.items()]
        return found.compute(self, *values)

    def bind(self, found, name, args, named):
        """The node of each parameter."""
        names = [param for param, _ in found.params]
        bound = {}
        if len(args) + len(named) <= len(names) - sum(param in IMPLIED for param in names):
            bound = {param: ("field", IMPLIED[param]) for param in names if param in IMPLIED}
        free = [param for param in names if param not in bound]
        bound |= dict(zip(free, args)) | {self.named(names, key): v for key, v in named.items()}
        for param, default in found.params:
            if param not in bound:
                if default is None:
                    raise ValueError(f"{name}: no {param}")
                bound[param] = ("number", default)
        return {param: bound[param] for param in names}

    @staticmethod
    def named(names, key):
        key = "width" if key == "k" and "width" in names else key
        return next(name for name in names if name.lower() == key)

    def at(self, step, node):
        """The cell of the last longer slot that has ended."""
        longer = self.longer(step)
        cells = longer.of(node) if len(longer.inputs) else NONE
        place = np.searchsorted(longer.inputs.end, self.inputs.end, side="right") - 1
        return picked(cells, place, WARM_UP)

    def of_other(self, symbol, node):
        """The cell of the other instrument's slot with the same start."""
        other = self.other(symbol)
        cells = other.of(node) if len(other.inputs) else NONE
        place = np.searchsorted(other.inputs.start, self.inputs.start)
        there = np.append(other.inputs.start, -1)[place] == self.inputs.start
        out = picked(cells, np.where(there, place, -1), CODE["dependency_null"])
        return Cells(out.value, out.reason, cells.lead)

    # What operators are made of.

    def window(self, series, count, kernel, need=1, newest=(), waits=True):
        """Folds the last `count` places of the series, which are valid where all are."""
        options, places = self.inputs.options, int(count)
        lead = max(x.lead for x in series) + (options.warmup or places) - 1
        least = min(-(-places // 2) if options.min_valid is None else options.min_valid, places)
        length = len(self.inputs)
        value, enough = np.empty(length), np.empty(length, bool)
        padded = [np.r_[np.full(places - 1, np.nan), x.value] for x in series]
        views = [np.lib.stride_tricks.sliding_window_view(x, places) for x in padded]
        size = max(CHUNK // places, 1)
        for begin in range(0, length, size):
            part = slice(begin, begin + size)
            window = Window(*(view[part] for view in views), first=begin)
            with np.errstate(all="ignore"):
                value[part] = kernel(window)
            enough[part] = window.n >= (max(least, need) if waits else 0)
        reason = np.where(np.isfinite(value), 0, NON_FINITE)
        for x in newest:
            reason = np.where(x.reason != 0, x.reason, reason)
        reason[~enough] = TOO_FEW
        reason[:lead] = WARM_UP
        return Cells(np.where(reason == 0, value, np.nan), reason, lead)

    def elementwise(self, compute, *series):
        """Null where one of the series is, for the least reason."""
        with np.errstate(all="ignore"):
            value = compute(*(x.value for x in series))
        reasons = np.array([np.where(x.reason == 0, len(REASONS), x.reason) for x in series])
        least = reasons.min(axis=0)
        reason = np.where(least < len(REASONS), least, np.where(np.isfinite(value), 0, NON_FINITE))
        return Cells(np.where(reason == 0, value, np.nan), reason, max(x.lead for x in series))

    @staticmethod
    def passing(value, reason, *series):
        """Of an operator that does not pass every null on: null in the first W slots."""
        lead = max(x.lead for x in series)
        reason = np.where(np.arange(len(reason)) < lead, WARM_UP, reason)
        return Cells(np.where(reason == 0, value, np.nan), reason, lead)

    def lag(self, x, k):
        k = min(int(k), len(x.value))
        value = np.r_[np.full(k, np.nan), x.value[: len(x.value) - k]]
        reason = np.r_[np.full(k, WARM_UP), x.reason[: len(x.reason) - k]]
        return Cells(value, reason, x.lead + (0 if self.inputs.options.qlib else k))

    def recursion(self, x, more, step):
        """What `step` answers to each valid value, repeated at nulls; NaN until it is seeded."""
        out, last = np.empty(len(x.value)), math.nan
        for place, value in enumerate(x.value.tolist()):
            if value == value:
                last = step(value)
            out[place] = last
        return self.seeded(out, x.lead + int(more))

    @staticmethod
    def seeded(value, lead):
        reason = np.where(np.isnan(value), WARM_UP, 0)
        reason[:lead] = WARM_UP
        return Cells(np.where(reason == 0, value, np.nan), reason, lead)

    def of_session(self, x, step):
        """`step(before, value)` over the valid values of the session so far."""
        out, last, of = np.empty(len(x.value)), math.nan, None
        dates = self.inputs.date.tolist()
        for place, value in enumerate(x.value.tolist()):
            if dates[place] != of:
                last, of = math.nan, dates[place]
            if value == value:
                last = value if last != last else step(last, value)
            out[place] = last
        return self.seeded(out, x.lead)


def number(node):
    """The value of a node that is a number, with or without a sign."""
    return -number(node[2][0]) if node[:2] == ("call", "neg") else node[1]


def substitute(node, bound):
    """The node with arguments in the place of their names."""
    if node[0] == "feature":
        return bound.get(node[1], node)
    if node[0] != "call":
        return node
    args = tuple(substitute(arg, bound) for arg in node[2])
    return ("call", node[1], args, tuple((k, substitute(arg, bound)) for k, arg in node[3]))


def picked(cells, place, without):
    """The cells at these places; null for the reason `without` at -1."""
    there = place >= 0
    value, reason = np.append(cells.value, np.nan)[place], np.append(cells.reason, 0)[place]
    return Cells(np.where(there, value, np.nan), np.where(there, reason, without))
