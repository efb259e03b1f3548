"""Bars that no source delivered, computed with pandas, against Barrow's.

Shares no code with Barrow; what a bar is follows docs/AGGREGATES.md. Files are read as by
tests/gaps.py, sessions and slots come from tests/sessions.py. For each bar file under
../shared/data/{daily,minute}, each file of TICKS and each mixture of MIXED (several files of one
source on one server), each symbol, price side, session set and alignment, every coarser step that
the rows allow is computed: 1m (from ticks and from 1s), 5m, 15m, 30m, 1h, 4h, 1d, 1w, 1mo.

Always, with and without a server, what is known from elsewhere is compared:
- days from hours of the Lean file are those of its daily file, on all 5,849 of AAPL and of SPY, if
  sessions are as Lean has them, which knows of no early closes until 2008; else on all but 23;
- minutes from EURUSD quotes are the bid side of the Lean minute file, on all 9,552;
- 15 minutes from Alpha Vantage's minutes are its own, to 1e-5, in 130 of 130 (SPY), 10 of 130
  (AAPL), 112 of 118 (UGA);
- where a calendar is the UTC clock, hours and days are those of pandas' own `resample`.

With `--barrow` each file is loaded on a fresh server with `--calendar`, and `GET /v1/bars` must
answer exactly these bars and columns, none missing and none too many: prices exact, volumes exact
where they are whole numbers, else to 1e-12, as vwap and coverage are.

`--vendor` tells how many of Lean's own IBM and SPY minutes are those of its ticks, with the
conditions preset `lean`, with what the tapes' plans say, and with none, and where the rest lie.

Run: python tests/aggregates.py [--barrow target/release/barrow] [--vendor] [PART_OF_A_PATH ...]
Needs tests/requirements.txt. Ends with 1 on any difference; without the data it says so and ends
with 0.
"""

import argparse
import json
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field, replace
from pathlib import Path

import gaps
import numpy as np
import pandas as pd
import recipes
import sessions
from recipes import DATA, ROOT, Difference

PRICES = ["open", "high", "low", "close"]
COLUMNS = [*PRICES, "volume", "vwap", "trades", "coverage"]
# From fine to coarse.
STEPS = ["1s", "1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "1mo"]
EPSILON = 1e-12

# Tick files, the calendar of their symbols, and the session sets that are asked.
TICKS = (
    ("ticks/lean_*_trades_*", "XNYS", ("regular", "extended")),
    ("ticks/lean_ibm_quotes_*", "XNYS", ("regular",)),
    ("ticks/taq_xxx_*", "XNYS", ("regular",)),
    ("ticks/lean_oanda_eurusd_quotes_*", "FX", ("regular",)),
    ("ticks/histdata_*", "FX", ("regular",)),
    ("ticks/quote_tick_eurusd_*", "FX", ("regular",)),
    ("ticks/truefx_*", "FX", ("regular",)),
    ("ticks/crypto_xrp_eth_trades.parquet", "CRYPTO", ("regular",)),
    ("ticks/bitstamp_*", "CRYPTO", ("regular",)),
    ("ticks/binance_*", "CRYPTO", ("regular",)),
)
# Files that are loaded together: (name, paths).
LEAN = "minute/lean_us_equity_1"
MIXED = (
    ("lean equities, all steps", (f"{LEAN}hour.csv.gz", f"{LEAN}min_trades.csv.gz",
     f"{LEAN}second_trades_2013-10.csv.gz", "daily/lean_us_daily_unadjusted.csv.gz")),
    ("lean equities, ticks beside hours", (f"{LEAN}hour.csv.gz",
     "ticks/lean_ibm_trades_2013-10.csv.gz")),
    ("lean EURUSD, quotes and minutes", ("ticks/lean_oanda_eurusd_quotes_2014-05.csv.gz",
     "minute/lean_oanda_eurusd_1min_quotes.csv.gz")),
)
# A calendar by which a file is asked again, after the days that differ are told.
EDITED = {f"{LEAN}hour.csv.gz": sessions.WHOLE}
# What sources that do not begin their bars with the session say of it.
ALIGNMENT = {"lean": "clock"}

# --- trades and their conditions ----------------------------------------------------------------

ALL = ("last", "range", "volume")
# Flags of Lean: what a trade that has the flag updates; those left out update all.
FLAGS = {0x1000000: (), 0x4000000: (), **dict.fromkeys((0x20, 0x20000000, 0x80000000), ALL[2:])}
# These do not count beside one of those.
WEAK, STRONG = 0x20 | 0x20000000 | 0x80000000, 1 | 2 | 4 | 0x40 | 0x80 | 0x400 | 0x2000
OPENING, CLOSING = 0x40, 0x80
# The same by the guidelines of the tapes, for `--vendor`.
TAPES = {
    **dict.fromkeys((0x1000000, 0x4000000), ()),
    **dict.fromkeys((2, 4, 8, 0x4000, 0x40000, 0x100000, 0x400000, 0x80000000), ALL[2:]),
    **dict.fromkeys((0x200, 0x2000000), ALL[1:]),
}


def flags_of(texts):
    """The numbers that are written in hexadecimal; 0, which says nothing, for what is none."""
    codes, known = pd.factorize(pd.Series(texts, dtype=object))

    def number(text):
        try:
            return int(text, 16)
        except ValueError:
            return 0

    return np.array([*map(number, known), 0], dtype=np.int64)[codes]


def conditions(trades, preset):
    """The trades with a column for each that they update, and whether they are auctions."""
    flags = np.zeros(len(trades), np.int64)
    if "conditions" in trades:
        flags = flags_of(trades["conditions"])
    table = {"lean": FLAGS, "tapes": TAPES, "none": {}}[preset]
    weak = (flags & STRONG == 0) if preset == "lean" else True
    out = trades.assign(**dict.fromkeys(ALL, True))
    for flag, updates in table.items():
        has = flags & flag != 0
        has &= weak if flag & WEAK else True
        for name in set(ALL) - set(updates):
            out.loc[has, name] = False
    auctions = preset != "none"
    return out.assign(opening=auctions & (flags & OPENING != 0),
                      closing=auctions & (flags & CLOSING != 0))


def of_quotes(quotes, side):
    """The prices of one side as if each were a trade."""
    if side == "mid":
        price = (quotes["bid"] + quotes["ask"]) / 2
    else:
        price = quotes[side]
    out = pd.DataFrame({"ts": quotes["ts"], "price": price, "size": np.nan})
    flags = {"last": True, "range": True, "volume": False, "opening": False, "closing": False}
    return out[out["price"].notna()].assign(**flags)


# --- bars ---------------------------------------------------------------------------------------


@dataclass
class Bars:
    """Expected slots, and the bars of some: the index of `rows` are places of slots."""

    slots: object
    rows: object


def slots_of(name, step, which, align, bounds):
    """The expected slots of the sessions that go on from the first of two instants to the last."""
    if step not in sessions.STEPS:
        known = sessions.calendar(name)
        dates = known["date"][(known["close"] > bounds[0]) & (known["open"] <= bounds[1])]
        bounds = (dates[0] * sessions.DAY, dates[-1] * sessions.DAY) if len(dates) else (0, -1)
    return sessions.slots(name, step, which, align, *bounds)


def own(rows, slots, step):
    """Delivered bars in their slots; of several in one the last counts."""
    numbers = sessions.number_of(rows["ts"].to_numpy(np.int64), step)
    place = np.minimum(np.searchsorted(slots.number, numbers), len(slots) - 1)
    rows = rows.assign(place=place)[slots.number[place] == numbers]
    rows = rows.drop_duplicates("place", keep="last").set_index("place")
    return Bars(slots, rows.reindex(columns=COLUMNS).assign(coverage=1.0))


def holding(slots, times):
    """The place of the slot that holds each time, by start and end; -1 for none."""
    at = np.searchsorted(slots.start, times, side="right") - 1
    return np.where((at >= 0) & (times < slots.end[at]), at, -1)


def fold(fine, slots):
    """Bars of these slots from finer ones."""
    place = holding(slots, fine.slots.begin)
    count = np.bincount(place[place >= 0], minlength=len(slots))
    rows = fine.rows.reset_index(drop=True).assign(bucket=place[fine.rows.index])
    rows = rows[rows["bucket"] >= 0]
    traded = rows[rows["volume"] > 0]
    by, by_traded = rows.groupby("bucket"), traded.groupby("bucket")
    out = pd.DataFrame({
        "open": by["open"].first(),
        "high": by["high"].max(),
        "low": by["low"].min(),
        "close": by["close"].last(),
        "volume": by["volume"].sum(min_count=1),
        "trades": by["trades"].sum(min_count=1),
        "coverage": by.size(),
    })
    paid = (traded["vwap"] * traded["volume"]).groupby(traded["bucket"]).sum()
    paid = paid.where(by_traded["vwap"].count() == by_traded.size())
    out["vwap"] = paid / by_traded["volume"].sum()
    out["coverage"] /= count[out.index]
    return Bars(slots, out[COLUMNS])


def from_ticks(ticks, slots, name, which):
    """Bars of these slots from trades, or prices of quotes."""
    known = sessions.calendar(name)
    begin, end = sessions.hours(known, which)
    times = ticks["ts"].to_numpy(np.int64)
    at = np.minimum(np.searchsorted(end, times, side="right"), len(end) - 1)
    inside = begin[at] <= times
    inside &= ~((known["break_start"][at] <= times) & (times < known["break_end"][at]))
    when = np.where(inside, times, sessions.NONE)
    if which == "regular" and name != "none":
        first, last = sessions.hours(known, "extended")
        at = np.minimum(np.searchsorted(last, times, side="right"), len(last) - 1)
        early = (first[at] <= times) & (times < known["open"][at])
        late = known["close"][at] <= times
        when = np.where(ticks["opening"] & early, known["open"][at], when)
        when = np.where(ticks["closing"] & late, known["close"][at] - 1, when)
    ticks = ticks.assign(place=holding(slots, when))
    ticks = ticks[ticks["place"] >= 0]
    last, volume = ticks[ticks["last"]], ticks[ticks["volume"]]
    by, by_range = last.groupby("place")["price"], ticks[ticks["last"] | ticks["range"]]
    by_range = by_range.groupby("place")["price"]
    by_volume = volume.groupby("place")["size"]
    out = pd.DataFrame({"open": by.first(), "close": by.last()})
    paid = (volume["price"] * volume["size"]).groupby(volume["place"]).sum()
    of_none = np.nan if ticks["size"].isna().all() else 0
    out = out.assign(
        high=by_range.max(),
        low=by_range.min(),
        volume=by_volume.sum().reindex(out.index, fill_value=of_none),
        trades=by_volume.size().reindex(out.index, fill_value=of_none).astype(float),
        coverage=1.0,
    )
    out["vwap"] = (paid / out["volume"]).where(out["volume"] != 0)
    return Bars(slots, out[COLUMNS])


def nesting(fine, coarse):
    """Of each coarse slot whether none of its bounds lies inside a finer slot."""
    nests = np.ones(len(coarse), bool)
    for bound in (coarse.begin, coarse.end):
        at = np.searchsorted(fine.begin, bound, side="left") - 1
        nests &= ~((at >= 0) & (bound < fine.end[at]))
    return nests


@dataclass
class Source:
    """What one source delivered of one symbol and price side, and what follows from it."""

    symbol: str
    side: str
    source: str
    calendar: str
    delivered: dict = field(default_factory=dict)  # by step
    ticks: object = None
    memo: dict = field(default_factory=dict)

    def by(self, calendar):
        """The same by another calendar."""
        return replace(self, calendar=calendar, memo={})

    def bounds(self, coarsest="1mo"):
        """Instants before and after which there is no row of this step or a finer one."""
        found = []
        for step, rows in [*self.delivered.items(), ("1s", self.ticks)]:
            if rows is not None and STEPS.index(step) <= STEPS.index(coarsest):
                # A dated row is of some time of its date.
                whole = 0 if step in sessions.STEPS else sessions.DAY - 1
                found += [rows["ts"].min(), rows["ts"].max() + whole]
        return int(min(found)), int(max(found))

    def finest(self):
        first = "1s" if self.ticks is not None else min(self.delivered, key=STEPS.index)
        return STEPS.index(first)

    def origins(self, step):
        """From which steps bars of this one come, the first first."""
        at = STEPS.index(step)
        if step in ("1s", "1m"):
            return ["1s"][: at * (self.ticks is None)]
        shorter = STEPS[1:at]
        return ["1d", *(s for s in shorter if s != "1d")] if step in ("1w", "1mo") else shorter

    def bars(self, step, which, align, bounds=None):
        """The bars of this step."""
        key = step, which, align, bounds or self.bounds()
        if key not in self.memo:
            self.memo[key] = self.computed(*key)
        return self.memo[key]

    def computed(self, step, which, align, bounds):
        slots = slots_of(self.calendar, step, which, align, bounds)
        found = self.delivered.get(step)
        out = [own(found, slots, step).rows] if found is not None else []
        settled = slots.session[out[0].index] if out else []
        open_ = ~np.isin(slots.session, settled)
        if step in ("1s", "1m") and self.ticks is not None:
            rows = from_ticks(self.ticks, slots, self.calendar, which).rows
            out.append(rows[open_[rows.index]])
            open_ &= ~np.isin(slots.session, slots.session[out[-1].index])
        inner = "regular" if step not in sessions.STEPS else which
        for origin in self.origins(step):
            if not open_.any() or STEPS.index(origin) < self.finest():
                continue
            inner_align = ALIGNMENT.get(self.source, "session")
            # The finer slots of every bucket that has a row, but not those of many years of seconds.
            low, high = self.bounds(origin)
            around = (
                int(max(slots.start[0], low - 40 * sessions.DAY)),
                int(min(slots.end[-1] - 1, high + 40 * sessions.DAY)),
            )
            fine = self.bars(origin, inner, inner_align, around)
            nests = open_
            if origin not in ("1s", "1m", "1d"):
                bad = slots.session[~nesting(fine.slots, slots)]
                nests = open_ & ~np.isin(slots.session, bad)
            rows = fold(fine, slots).rows
            out.append(rows[nests[rows.index]])
            open_ &= ~np.isin(slots.session, slots.session[out[-1].index])
        rows = pd.concat([frame for frame in out if len(frame)] or [pd.DataFrame(columns=COLUMNS)])
        return Bars(slots, rows.sort_index())


# --- the files ----------------------------------------------------------------------------------


def entries():
    """(path, calendar, session sets, recipe) of every file, of bars and of ticks."""
    for path, entry, recipe in gaps.loads(()):
        yield path, entry["calendar"], entry["sessions"], recipe
    every = recipes.load_recipes(ROOT / "tests" / "recipes.toml")
    for path in recipes.data_files():
        for glob, calendar, sets in TICKS:
            if recipes.fits(path, {"glob": glob}):
                found = [r for r in every if recipes.fits(path, r) and r["expect"] == "load"]
                yield path, calendar, sets, found[0]


def read_ticks(path, recipe, preset):
    """(symbol, side, ticks) of each symbol and side, in the order of their times."""
    modules = (np, pd, None)
    whole = recipes.read_table(modules, DATA / path, recipe)
    frame = recipes.read_file(modules, DATA / path, whole, recipes.faces(recipe)[0][1], recipe)
    _, frame = recipes.expectation(np, frame, recipe)
    times = recipes.instants(pd, frame["ts"], recipe)
    frame = frame.assign(ts=sessions.nanos(times)).sort_values("ts", kind="stable")
    for symbol, rows in frame.groupby("symbol", sort=False):
        rows = rows.reset_index(drop=True)
        if recipe["dataset"] == "trades":
            yield symbol, "trade", conditions(rows, preset)
            continue
        for side in ("bid", "ask", "mid"):
            ticks = of_quotes(rows, side)
            if len(ticks):
                yield symbol, side, ticks


def sources(loads):
    """What the files hold together, by symbol, price side and source."""
    out = {}
    for path, calendar, _, recipe in loads:
        source = recipe["source"]
        if recipe.get("dataset", "bars") == "bars":
            for face in gaps.read(path, recipe):
                for symbol, rows in face.rows.groupby("symbol", sort=False):
                    of = Source(symbol, face.side, source, calendar)
                    of = out.setdefault((symbol, face.side, source), of)
                    of.delivered[recipe["timeframe"]] = rows
            continue
        for symbol, side, ticks in read_ticks(path, recipe, preset_of(source)):
            of = out.setdefault((symbol, side, source), Source(symbol, side, source, calendar))
            of.ticks = ticks
    return list(out.values())


def preset_of(source):
    return "lean" if source == "lean" else "none"


def questions(of, sets):
    """(step, session set, alignment) of every question about what is not delivered as it is."""
    for at in range(of.finest(), len(STEPS)):
        step = STEPS[at]
        years = np.diff(of.bounds())[0] / sessions.DAY / 365
        if step == "1s" and years > 2 or step == "1m" and years > 10:
            continue
        only = of.ticks is None and list(of.delivered) == [step]
        long = step not in sessions.STEPS
        for which in sets if not only else ():
            # What is longer than a session is the same whatever is asked.
            if long and which != sets[0]:
                continue
            # Without a calendar the session is the clock.
            for align in ("session",) if long or step in ("1s", "1m") else ("session", "clock"):
                yield step, which, align


# --- what Barrow says ---------------------------------------------------------------------------


def put(server, route, body):
    request = urllib.request.Request(
        f"{server.url}/v1/{route}", json.dumps(body).encode(), method="PUT",
        headers={"Content-Type": "application/json"},
    )
    try:
        urllib.request.urlopen(request).close()
    except urllib.error.HTTPError as error:
        raise Difference(f"PUT {route}: {error.code} {error.read().decode()[:500]}") from error


def compare(server, of, bars, step, which, align):
    """Raises unless the server answers these bars."""
    query = {
        "symbols": of.symbol,
        "start": int(bars.slots.start[0]),
        "end": int(bars.slots.end[-1]),
        "frequency": step,
        "session": which,
        "align": align,
        "price": of.side,
        "source": of.source,
        "layer": "curated",
    }
    table = gaps.ask(server, "bars", **query)
    where = f"{of.symbol} {of.side} {step} {which} {align}"
    place = bars.rows.index.to_numpy()
    times = gaps.times_of(table, "ts")
    mine = bars.slots.start[place]
    if not np.array_equal(mine, times):
        few, many = np.setdiff1d(mine, times), np.setdiff1d(times, mine)
        told = f"{len(few)} missing, {len(many)} too many"
        for name, some in (("missing", few), ("too many", many)):
            told += f"; {name}: {', '.join(gaps.moment(at) for at in some[:3])}" if len(some) else ""
        raise Difference(f"{where}: {len(mine)} bars, {len(times)} in the answer: {told}")
    dates = sessions.calendar(of.calendar)["date"][bars.slots.session[place]]
    theirs = table.column("session").cast("int32").to_numpy()
    for name, mine, theirs in (
        ("ts_end", bars.slots.end[place], gaps.times_of(table, "ts_end")),
        ("session", dates, theirs),
    ):
        equal(where, name, times, mine, theirs, exact=True)
    for name in COLUMNS:
        theirs = table.column(name).to_pandas().to_numpy(dtype=float, na_value=np.nan)
        mine = bars.rows[name].to_numpy(float)
        whole = all(np.all(np.isnan(of) | (of == np.floor(of))) for of in (mine, theirs))
        exact = name in (*PRICES, "trades") or name == "volume" and whole
        equal(where, name, times, mine, theirs, exact)
    for name, value in (("source", of.source), ("stale", "false")):
        theirs = set(gaps.texts_of(table, name)) - {value}
        if theirs:
            raise Difference(f"{where}: {name} is {theirs}, not {value}")


def equal(where, name, times, mine, theirs, exact):
    if exact:
        same = (mine == theirs) | (mine != mine) & (theirs != theirs)
    else:
        same = np.isclose(mine, theirs, rtol=EPSILON, atol=0, equal_nan=True)
    if not same.all():
        at = int(np.argmin(same))
        told = f"{name} of {gaps.moment(times[at])} is {mine[at]!r}, not {theirs[at]!r}"
        raise Difference(f"{where}: {told} ({int((~same).sum())} of {len(same)} differ)")


def check(barrow, loads, asked, edited):
    """Loads the files on a fresh store, compares every question, and those after an edit."""
    folder = tempfile.TemporaryDirectory(prefix="barrow-aggregates-")
    with folder, recipes.Server(barrow, folder.name) as server:
        for path, calendar, _, recipe in loads:
            more = gaps.calendar_args({"calendar": calendar})
            done = recipes.run_import(
                barrow, server, DATA / path, recipe | {"args": recipe["args"] + more}
            )
            if done[0] != 0:
                raise Difference(f"import ended with {done[0]}: {(done[2] or done[1]).strip()}")
        for source in {recipe["source"] for *_, recipe in loads} & set(ALIGNMENT):
            put(server, "sources/bars", {"alignment": {source: ALIGNMENT[source]}})
            put(server, "sources/trades", {"conditions": {source: preset_of(source)}})
        for question in asked:
            compare(server, *question)
        if edited:
            closes = sessions.calendar("XNYS")["date"][sessions.early_until_2008()]
            put(server, "calendars/XNYS/days", [
                {"date": str(day.date()), "kind": "regular", "open": "09:30", "close": "16:00"}
                for day in sessions.dates(closes)
            ])
        for question in edited:
            compare(server, *question)


# --- what is known ------------------------------------------------------------------------------


def load_of(part):
    """The only file whose path contains this, as `entries` has it."""
    (found,) = [load for load in entries() if part in str(load[0])]
    return found


def agree(mine, other, columns, rtol=0):
    """On how many places both have a bar, and on how many of these all columns are equal."""
    both = mine.rows.index.intersection(other.rows.index)
    pairs = (bars.rows.loc[both, columns].to_numpy(float) for bars in (mine, other))
    same = np.isclose(*pairs, rtol=rtol, atol=0).all(axis=1)
    return len(both), int(same.sum()), both[~same]


def known():
    """Raises unless what others say of the files is what is computed here."""
    days = {of.symbol: of for of in sources([load_of("lean_us_daily")])}
    for of in sources([load_of("lean_us_equity_1hour")]):
        bounds, columns = of.bounds(), [*PRICES, "volume"]
        for calendar, same in ((of.calendar, 5826), (sessions.WHOLE, 5849)):
            mine = of.by(calendar).bars("1d", "regular", "session", bounds)
            theirs = days[of.symbol].by(calendar).bars("1d", "regular", "session", bounds)
            expect(f"{of.symbol} days from hours", agree(mine, theirs, columns), 5849, same)
    bid, *_ = sources([load_of("lean_oanda_eurusd_quotes")])
    minutes, *_ = sources([load_of("lean_oanda_eurusd_1min")])
    bounds = bid.bounds()
    mine = bid.bars("1m", "regular", "session", bounds)
    theirs = minutes.bars("1m", "regular", "session", bounds)
    expect("EURUSD minutes from quotes", agree(mine, theirs, PRICES), 9552, 9552)
    for symbol, count, same in (("SPY", 130, 130), ("AAPL", 130, 10), ("UGA", 118, 112)):
        own_15, = sources([load_of(f"{symbol}_15min")])
        own_1, = sources([load_of(f"{symbol}_1min")])
        bounds = own_1.bounds()
        mine = own_1.bars("15m", "regular", "session", bounds)
        theirs = own_15.bars("15m", "regular", "session", bounds)
        expect(f"{symbol} 15 minutes", agree(mine, theirs, PRICES, 1e-5), count, same)
    for part in ("ftx_btcperp", "unittest_btc_1min.feather", "crypto_eth_btc_5min"):
        of, = sources([load_of(part)])
        for step, rule in (("1h", "1h"), ("4h", "4h"), ("1d", "1D"), ("1mo", "MS")):
            resampled(of, step, rule)
    print("known: days from hours, minutes from quotes, 15 minutes, resampled: as they should be")


def resampled(of, step, rule):
    """Raises unless pandas' own resample says the same where the calendar is the clock."""
    (rows,) = of.delivered.values()
    frame = rows.set_index(pd.to_datetime(rows["ts"], utc=True))
    by = frame.resample(rule)
    theirs = by.agg({"open": "first", "high": "max", "low": "min", "close": "last",
                     "volume": "sum"})[by["open"].count() > 0]
    bars = of.bars(step, "regular", "clock")
    mine = bars.rows
    where = f"{of.symbol} {step} resampled"
    equal(where, "ts", bars.slots.start, bars.slots.start[mine.index],
          sessions.nanos(theirs.index), True)
    for name in (*PRICES, "volume"):
        columns = mine[name].to_numpy(), theirs[name].to_numpy()
        equal(where, name, bars.slots.start, *columns, name != "volume")


def expect(what, found, count, same):
    if found[:2] != (count, same):
        raise Difference(f"{what}: {found[1]} of {found[0]} are equal, known are {same} of {count}")


def vendor():
    """Tells which of Lean's minutes are those of its ticks, and where the others lie."""
    minutes = {of.symbol: of for of in sources([load_of("lean_us_equity_1min_trades")])}
    for part in ("lean_ibm_trades", "lean_spy_trades"):
        path, calendar, _, recipe = load_of(part)
        for preset in ("lean", "tapes", "none"):
            ((symbol, side, ticks),) = read_ticks(path, recipe, preset)
            mine = Source(symbol, side, "lean", calendar, ticks=ticks)
            for which in ("regular", "extended"):
                bounds = mine.bounds()
                bars = mine.bars("1m", which, "session", bounds)
                theirs = minutes[symbol].bars("1m", which, "session", bounds)
                count, prices, _ = agree(bars, theirs, PRICES)
                _, both, rest = agree(bars, theirs, [*PRICES, "volume"])
                alone = bars.rows.index.symmetric_difference(theirs.rows.index)
                print(f"{symbol} {which:<8} {preset:<5}: of {count} minutes {both} are equal, the "
                      f"prices of {prices}; {len(alone)} are only of one")
                if preset == "lean":
                    show_rest(bars, theirs, rest)


def show_rest(bars, theirs, rest):
    for place in rest:
        at = pd.Timestamp(bars.slots.start[place], tz="UTC").tz_convert(sessions.NEW_YORK)
        names = [n for n in (*PRICES, "volume")
                 if bars.rows.loc[place, n] != theirs.rows.loc[place, n]]
        told = (f"{n} {bars.rows.loc[place, n]:g}, Lean {theirs.rows.loc[place, n]:g}" for n in names)
        print(f"    {at:%Y-%m-%d %H:%M}: {'; '.join(told)}")


# --- the command --------------------------------------------------------------------------------


def answers(found, sets):
    """Every question, and the bars that are its answer."""
    for of in found:
        for step, which, align in questions(of, sets):
            bars = of.bars(step, which, align)
            if len(bars.slots):
                yield of, bars, step, which, align


def run(name, loads, barrow):
    """The number of bars that were computed, and compared if there is a server."""
    found = sources(loads)
    sets = max((load[2] for load in loads), key=len)
    asked, edited, told = list(answers(found, sets)), [], {}
    if name in EDITED:
        edited = list(answers([of.by(EDITED[name]) for of in found], sets))
    for _, bars, step, *_ in asked + edited:
        told[step] = told.get(step, 0) + len(bars.rows)
    print(f"{name}: " + ", ".join(f"{step} {count}" for step, count in told.items()), flush=True)
    if barrow and asked:
        check(barrow, loads, asked, edited)
    return sum(told.values())


def main():
    parser = argparse.ArgumentParser(description="Compares aggregates of real files with pandas.")
    parser.add_argument("--barrow", help="compare with this server; without: only compute")
    parser.add_argument("--vendor", action="store_true", help="Lean's minutes and its ticks")
    parser.add_argument("parts", nargs="*", help="only files whose path contains one of these")
    options = parser.parse_args()
    if not DATA.is_dir():
        print(f"SKIPPED: no real data at {DATA}")
        return 0
    barrow = options.barrow and str(Path(options.barrow).resolve())
    started, wrong, bars, files = time.monotonic(), [], 0, 0
    groups = [(str(load[0]), [load]) for load in entries()]
    by_path = {str(load[0]): load for load in entries()}
    groups += [(name, [by_path[path] for path in paths]) for name, paths in MIXED]
    if options.parts:
        groups = [g for g in groups if any(part in g[0] for part in options.parts)]
    try:
        if options.vendor:
            vendor()
        known()
    except Difference as difference:
        wrong.append(("known", str(difference)))
    for name, loads in groups:
        try:
            bars += run(name, loads, barrow)
        except Difference as difference:
            wrong.append((name, str(difference)))
            print("    DIFFERS", flush=True)
        files += 1
    if wrong:
        print("\nDifferences:")
        for name, message in wrong:
            print(f"  {name}: {message}")
    told = "equal to pandas" if barrow else "computed"
    seconds = time.monotonic() - started
    print(f"\n{files} loads, {bars} bars {told}; {len(wrong)} differ; {seconds:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
