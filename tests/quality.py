"""Counts, for every real daily and minute file, the rows on which each quality rule must fire.

Shares no code with Barrow; rows are read as by tests/gaps.py. A rule is a function of the rows of
one series (symbol, source, step, price side) as they are visible in the end, in the order of their
times, whether quarantined or not. The formulas, with the thresholds of the defaults:

ohlc_order            not (low <= min(open, close) and high >= max(open, close) and low <= high)
price_positive        one of the four prices <= 0
size_nonneg           volume < 0
vwap_in_range         vwap outside [low * (1 - 1e-9), high * (1 + 1e-9)], where low and high > 0
zero_volume_bar       volume = 0, the row's slot is expected in regular hours, and the series is one
                      whose volume is known: a volume other than 0 in a row of the same session date
                      or of the 20 sessions of the calendar before it; of dated steps in
                      the 20 rows before
volume_spike          steps of 1m and longer. volume > 50 * m, m > 0 the median of the volumes of
                      the 60 rows before, of which at least 20 have one
stale_price           at least the 30th of consecutive rows with equal close and a volume > 0, all
                      of one session date; of dated steps whatever their dates
spike                 |r| > 12 * sigma, |r| >= 0.01, and one of the next 3 rows has a close c > 0
                      with |ln(c / p)| < 0.5 * |r|. p is the close of the row before,
                      r = ln(close / p), sigma = 1.4826 * median(|x - median(x)|) > 0 over those
                      x = ln(close / close of the row before) of the 60 rows before that exist, at
                      least 20. A return exists if both closes are > 0. Windows go over session
                      bounds
split_suspect         dated steps. q = close of the row before / open lies within 2.5 % of n or 1/n
                      (|q / n - 1| <= 0.025), n of 2, 3, 4, 5, 7, 8, 10, 20; and the median volume
                      of this row and the 4 after it over that of the 5 before is > 2/3 if
                      q > 1, < 3/2 if q < 1 (fewer rows at the ends of the series, at least 1);
                      and no split is on record (the actions in the files are not loaded)
unit_error            a price over the close > 0 of the row before lies within 20 % of 100 or of
                      1/100 (|q / n - 1| <= 0.2), and no split is on record
duplicate_key         a row equal to the one that is visible at its key: counted where it comes in
conflicting_duplicate a row with other values than the one that is visible at its key, in one batch
off_session           the row's slot is not expected in extended hours
gap_vs_calendar       an empty slot expected in regular hours, counted by session date with at least
                      one, from that of the symbol's first row to that of its last

The median of an even number of values is the mean (a + b) / 2 of the middle two. The session date
of a row is that of the session whose extended hours hold it, else its date in UTC.

In brackets stand counts that are no rule: rows with volume 0, rows with |r| > 12 * sigma whether
reverted or not, rows whose sigma is 0, rows outside regular hours, empty slots.

With `--barrow` each file is loaded on a fresh server with `--calendar`, and each rule's number by
`GET /v1/quality/bars` must be the one counted here. What is known from elsewhere (`fires` in
tests/gaps.toml) is compared with and without a server.

Run: python tests/quality.py [--barrow target/release/barrow] [--rows RULE] [PART_OF_A_PATH ...]
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
from pathlib import Path

import gaps
import numpy as np
import recipes
import sessions
from recipes import DATA, Difference

PRICES = ("open", "high", "low", "close")
WINDOW, ENOUGH = 60, 20
SPIKE_K, SPIKE_M, SPIKE_MIN, REVERTED = 12.0, 3, 0.01, 0.5
VOLUME_K = 50.0
STALE = 30
KNOWN_VOLUME = 20
SPLITS, NEAR, AROUND = (2, 3, 4, 5, 7, 8, 10, 20), 0.025, 5
UNIT_NEAR = 0.2


class Series:
    """The rows of one symbol and side, and where they lie in the calendar."""

    def __init__(self, entry, recipe, rows):
        self.ts = rows["ts"].to_numpy(np.int64)
        self.dated = recipe["timeframe"] not in sessions.STEPS
        self.seconds = recipe["timeframe"] == "1s"
        self.value = {name: rows[name].to_numpy(float) for name in rows if name in VALUES}
        for name in VALUES:
            self.value.setdefault(name, np.full(len(rows), np.nan))
        name, step = entry["calendar"], recipe["timeframe"]
        align = entry.get("align", "session")
        self.number = sessions.number_of(self.ts, step)
        self.expected = {}
        for which in ("regular", "extended"):
            slots = sessions.slots(name, step, which, align, self.ts.min(), self.ts.max())
            self.expected[which] = np.isin(self.number, slots.number)
        self.date = self.ts // sessions.DAY if self.dated else sessions.dates_of(name, self.ts)
        self.rank = np.searchsorted(sessions.calendar(name)["date"], self.date, side="right")

    def __len__(self):
        return len(self.ts)


VALUES = (*PRICES, "volume", "vwap")


# --- windows ------------------------------------------------------------------------------------


def before(values, count):
    """Of each row the values of the `count` rows before it, NaN before the first."""
    padded = np.r_[np.full(count, np.nan), values]
    return np.lib.stride_tricks.sliding_window_view(padded, count)[:-1]


def median(window):
    """Along the rows: the median of what is no NaN, and how many these are."""
    ordered = np.sort(window, axis=1)
    count = (~np.isnan(ordered)).sum(axis=1)
    at = np.arange(len(ordered))
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, window.shape[1] - 1)
    return (ordered[at, low] + ordered[at, high]) / 2, count


def chunks(count, size=50_000):
    return [slice(at, min(at + size, count)) for at in range(0, count, size)]


# --- rules --------------------------------------------------------------------------------------


def ohlc_order(s):
    o, h, low, c = (s.value[name] for name in PRICES)
    return ~((low <= np.minimum(o, c)) & (h >= np.maximum(o, c)) & (low <= h))


def price_positive(s):
    return np.any([s.value[name] <= 0 for name in PRICES], axis=0)


def size_nonneg(s):
    return s.value["volume"] < 0


def vwap_in_range(s):
    vwap, low, high = (s.value[name] for name in ("vwap", "low", "high"))
    outside = (vwap < low * (1 - 1e-9)) | (vwap > high * (1 + 1e-9))
    return outside & (low > 0) & (high > 0)


def zero_volume_bar(s):
    zero = (s.value["volume"] == 0) & s.expected["regular"]
    some = s.value["volume"] > 0
    if s.dated:
        return zero & np.nan_to_num(before(some.astype(float), KNOWN_VOLUME)).any(axis=1)
    ranks = np.unique(s.rank[some])
    newest = np.searchsorted(ranks, s.rank, side="right") - 1
    has = newest >= 0
    near = has & (s.rank - np.r_[ranks, 0][newest] <= KNOWN_VOLUME)
    return zero & near


def volume_spike(s):
    fires = np.zeros(len(s), bool)
    if s.seconds:
        return fires
    for part in chunks(len(s)):
        middle, count = median(before(s.value["volume"], WINDOW)[part])
        high = s.value["volume"][part] > VOLUME_K * middle
        fires[part] = (count >= ENOUGH) & (middle > 0) & high
    return fires


def stale_price(s):
    close, traded = s.value["close"], s.value["volume"] > 0
    same = np.r_[False, (close[1:] == close[:-1]) & traded[1:] & traded[:-1]]
    if not s.dated:
        same &= np.r_[False, s.date[1:] == s.date[:-1]]
    at = np.arange(len(s))
    begin = np.maximum.accumulate(np.where(same, 0, at))
    return at - begin + 1 >= STALE


def returns(s):
    close = s.value["close"]
    out = np.full(len(s), np.nan)
    there = (close[1:] > 0) & (close[:-1] > 0)
    out[1:][there] = np.log(close[1:][there] / close[:-1][there])
    return out


def jumps(s):
    """Rows with |r| > k * sigma, and rows whose sigma is 0."""
    r = returns(s)
    far, flat = np.zeros(len(s), bool), np.zeros(len(s), bool)
    for part in chunks(len(s)):
        window = before(r, WINDOW)[part]
        middle, count = median(window)
        sigma = 1.4826 * median(np.abs(window - middle[:, None]))[0]
        enough = count >= ENOUGH
        far[part] = enough & (sigma > 0) & (np.abs(r[part]) > SPIKE_K * sigma)
        flat[part] = enough & (sigma == 0)
    return far, flat


def spike(s):
    r, close = returns(s), s.value["close"]
    fires = np.zeros(len(s), bool)
    for i in np.flatnonzero(jumps(s)[0] & (np.abs(r) >= SPIKE_MIN)):
        after = close[i + 1 : i + 1 + SPIKE_M]
        back = np.abs(np.log(after[after > 0] / close[i - 1])) < REVERTED * abs(r[i])
        fires[i] = back.any()
    return fires


def split_suspect(s):
    fires = np.zeros(len(s), bool)
    if not s.dated:
        return fires
    opened, close, volume = (s.value[name] for name in ("open", "close", "volume"))
    for i in range(1, len(s)):
        if not (opened[i] > 0 and close[i - 1] > 0):
            continue
        q = close[i - 1] / opened[i]
        if not any(abs(q / m - 1) <= NEAR for n in SPLITS for m in (n, 1 / n)):
            continue
        old, new = volume[max(i - AROUND, 0) : i], volume[i : i + AROUND]
        if len(old) and len(new) and np.median(old) > 0:
            scale = np.median(new) / np.median(old)
            fires[i] = scale > 2 / 3 if q > 1 else scale < 3 / 2
    return fires


def unit_error(s):
    last = np.r_[np.nan, s.value["close"][:-1]]
    last[~(last > 0)] = np.nan
    q = np.array([s.value[name] / last for name in PRICES])
    near = (np.abs(q / 100 - 1) <= UNIT_NEAR) | (np.abs(q / 0.01 - 1) <= UNIT_NEAR)
    return near.any(axis=0)


RULES = (
    ohlc_order,
    price_positive,
    size_nonneg,
    vwap_in_range,
    zero_volume_bar,
    volume_spike,
    stale_price,
    spike,
    split_suspect,
    unit_error,
)


# --- a file -------------------------------------------------------------------------------------


def count(entry, recipe, faces):
    """(face, number by rule, rows by rule) of each price side of the file."""
    expected = gaps.expect(entry, recipe, faces)
    for face in faces:
        numbers, fired = {}, {}
        for _, rows in face.rows.groupby("symbol", sort=False):
            s = Series(entry, recipe, rows)
            masks = {rule.__name__: rule(s) for rule in RULES}
            masks["off_session"] = ~s.expected["extended"]
            masks["(off regular)"] = ~s.expected["regular"]
            masks["(volume 0)"] = s.value["volume"] == 0
            masks["(jump)"], masks["(sigma 0)"] = jumps(s)
            gaps_here = sessions_with_gaps(entry, recipe, rows)
            numbers["gap_vs_calendar"] = numbers.get("gap_vs_calendar", 0) + gaps_here
            for name, mask in masks.items():
                numbers[name] = numbers.get(name, 0) + int(mask.sum())
                fired.setdefault(name, []).append(rows[mask])
        numbers["duplicate_key"] = face.counts["duplicates"]
        numbers["conflicting_duplicate"] = face.counts["corrected"]
        of = [e for e in expected if e.side == face.side and e.which == entry["sessions"][0]]
        numbers["(empty slots)"] = sum(e.missing for e in of)
        yield face, numbers, fired


def dates(entry, recipe, rows):
    """The session dates of the first and the last row."""
    times = rows["ts"].to_numpy(np.int64)[[0, -1]]
    dated = recipe["timeframe"] not in sessions.STEPS
    first, last = times // sessions.DAY if dated else sessions.dates_of(entry["calendar"], times)
    return int(first), int(last)


def sessions_with_gaps(entry, recipe, rows):
    """How many sessions from that of the first row to that of the last have an empty slot."""
    name, step = entry["calendar"], recipe["timeframe"]
    every, (first, last) = sessions.calendar(name), dates(entry, recipe, rows)
    asked = np.flatnonzero((first <= every["date"]) & (every["date"] <= last))
    if not len(asked):
        return 0
    ends = first * sessions.DAY, last * sessions.DAY
    if step in sessions.STEPS:
        ends = every["open"][asked[0]], every["close"][asked[-1]] - 1
    slots = sessions.slots(name, step, "regular", entry.get("align", "session"), *ends)
    numbers = sessions.number_of(rows["ts"].to_numpy(np.int64), step)
    return len(np.unique(slots.session[~np.isin(slots.number, numbers)]))


def known(entry, numbers):
    """Raises unless what is known from elsewhere was counted."""
    for rule, wanted in entry.get("fires", {}).items():
        if numbers[rule] != wanted:
            raise Difference(f"{rule}: {numbers[rule]} counted, known are {wanted}")


def answered(server, face, entry, recipe, numbers):
    """What the server says of each rule: the sum over symbols.

    Of each symbol it is asked about the session dates from that of the first row to that of the
    last.
    """
    found = {}
    for symbol, rows in face.rows.groupby("symbol", sort=False):
        first, last = dates(entry, recipe, rows)
        query = {
            "symbols": symbol,
            "start_date": np.datetime64(first, "D"),
            "end_date": np.datetime64(last + 1, "D"),
            "frequency": recipe["timeframe"],
            "align": entry.get("align", "session"),
            "price": face.side,
            "source": recipe["source"],
        }
        url = f"{server.url}/v1/quality/bars?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url) as reply:
                metrics = json.loads(reply.read())["metrics"]
        except urllib.error.HTTPError as error:
            raise Difference(f"GET {url}: {error.code} {error.read().decode()[:500]}") from error
        for metric in metrics:
            name = metric["metric_name"]
            if name in numbers:
                found[name] = found.get(name, 0) + metric["value"]
    return found


def check(barrow, path, entry, recipe, counted):
    """Loads the file on a fresh store and compares each rule's number."""
    with_calendar = recipe | {"args": recipe["args"] + gaps.calendar_args(entry)}
    folder = tempfile.TemporaryDirectory(prefix="barrow-quality-")
    with folder, recipes.Server(barrow, folder.name) as server:
        code, out, err = recipes.run_import(barrow, server, DATA / path, with_calendar)
        if code != 0:
            raise Difference(f"import ended with {code}: {(err or out).strip()}")
        for face, numbers, _ in counted:
            theirs = answered(server, face, entry, recipe, numbers)
            for rule, mine in numbers.items():
                if not rule.startswith("(") and theirs.get(rule) != mine:
                    told = f"{mine} counted, the server says {theirs.get(rule)}"
                    raise Difference(f"{face.side} {rule}: {told}")


def show(path, counted, options):
    for face, numbers, fired in counted:
        told = ", ".join(f"{name} {n}" for name, n in numbers.items() if n)
        print(f"{path} ({face.side}) {len(face.rows)} rows: {told or 'nothing'}", flush=True)
        for frame in (frame for rule in options.rows for frame in fired[rule]):
            if len(frame):
                shown = frame.head(options.at_most)
                print(shown.assign(ts=shown["ts"].map(gaps.moment)).to_string(header=False))


def main():
    parser = argparse.ArgumentParser(description="Counts where quality rules must fire.")
    parser.add_argument("--barrow", help="compare with this server; without: only count")
    parser.add_argument("--rows", action="append", default=[], help="show the rows of this rule")
    parser.add_argument("--at-most", type=int, default=20, help="so many of each symbol")
    parser.add_argument("parts", nargs="*", help="only files whose path contains one of these")
    options = parser.parse_args()
    if not DATA.is_dir():
        print(f"SKIPPED: no real data at {DATA}")
        return 0
    started, totals, rows, wrong = time.monotonic(), {}, 0, []
    for path, entry, recipe in gaps.loads(options.parts):
        counted = list(count(entry, recipe, gaps.read(path, recipe)))
        show(path, counted, options)
        for face, numbers, _ in counted:
            rows += len(face.rows)
            for name, n in numbers.items():
                totals[name] = totals.get(name, 0) + n
        try:
            for _, numbers, _ in counted:
                known(entry, numbers)
            if options.barrow:
                check(str(Path(options.barrow).resolve()), path, entry, recipe, counted)
        except Difference as difference:
            wrong.append((str(path), str(difference)))
            print("    DIFFERS", flush=True)
    print("\nIn all:")
    for name, n in totals.items():
        print(f"  {name:<24} {n:>8}")
    if wrong:
        print("\nDifferences:")
        for name, message in wrong:
            print(f"  {name}: {message}")
    told = "the server counts the same" if options.barrow else "counted"
    print(f"\n{rows} rows {told}; {len(wrong)} differ; {time.monotonic() - started:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
