"""Bars and features as they were known when they could first be had, against numpy.

A real file of minutes comes in as a feed would have delivered it: most bars a second after they
end, some of them minutes late, some corrected hours later, each row with the time at which it was
known. What `vintage=live` answers must be what a program knew that lived then: this one goes
through the slots in order, takes in what was known by the time at which each could be had, and
computes its cells from that alone.

- bars: every slot, with its close or without, and none that came later;
- `Mean` over 60 slots and the least and greatest place of a window, from the values known then;
- `EMA`, which remembers every slot since the first, with a null that ages its weights.

Run: python tests/vintage.py [--barrow target/release/barrow] [--slots N]
Needs tests/requirements.txt. Ends with 1 on any difference; without the data it says so and ends
with 0.
"""

import argparse
import io
import json
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import pandas as pd
import pyarrow.ipc as ipc
from recipes import DATA, Server

FILE = "minute/ftx_btcperp_1min_2022-01.csv.gz"
SECOND, MINUTE = 1_000_000_000, 60_000_000_000
# How long after a bar's end its source publishes it.
DELAY = 2 * SECOND
WINDOW, SPAN, RANKED = 60, 26, 30
GROUP = {
    "kind": "FeatureSet",
    "name": "g",
    "bars": {"every": "1m"},
    "options": {"warmup": 1, "min_valid": 1},
    "features": [
        {"name": "close", "expr": "$close"},
        {"name": "mean", "expr": f"Mean($close, {WINDOW})"},
        {"name": "rank", "expr": f"Rank($close, {RANKED})"},
        {"name": "ema", "expr": f"EMA($close, {SPAN})"},
    ],
}


def arrivals(slots, seed):
    """Rows of the file as they may have come: slot, when known, close."""
    bars = pd.read_csv(DATA / FILE, nrows=slots)
    times = pd.DatetimeIndex(bars["timestamp"]).as_unit("ns").asi8
    closes = bars["close"].astype(float).tolist()
    draw = np.random.default_rng(seed)
    rows = []
    for ts, close in zip(times.tolist(), closes):
        chance = draw.random()
        late = draw.integers(3 * SECOND, 40 * MINUTE) if chance < 0.02 else draw.integers(DELAY)
        known_at = ts + MINUTE + int(late)
        rows.append((ts, known_at, close))
        if chance > 0.98:
            rows.append((ts, known_at + int(draw.integers(1, 600 * MINUTE)), close * 1.01))
    return rows


def post(url, rows):
    """Sends the rows, in the order in which they were known."""
    text = io.StringIO()
    text.write("ts,open,high,low,close,known_at\n")
    for ts, known_at, close in sorted(rows, key=lambda row: row[1]):
        text.write(f"{ts},{close!r},{close!r},{close!r},{close!r},{known_at}\n")
    query = urllib.parse.urlencode({"symbol": "BTC", "timeframe": "1m", "source": "feed"})
    send("POST", f"{url}/v1/datasets/bars/rows?{query}", text.getvalue(), "text/csv")


def send(method, url, body, kind="application/json"):
    request = urllib.request.Request(url, body.encode(), {"Content-Type": kind}, method=method)
    try:
        urllib.request.urlopen(request).read()
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{method} {url}: {error.code} {error.read().decode()[:500]}") from error


def answer(url, path, **query):
    """An answer as a table, and how long it took."""
    query = urllib.parse.urlencode(query | {"symbols": "BTC", "format": "arrow"})
    began = time.perf_counter()
    with urllib.request.urlopen(f"{url}{path}?{query}") as reply:
        body = reply.read()
    took = time.perf_counter() - began
    table = ipc.open_stream(io.BytesIO(body)).read_all()
    ts = np.array(table["ts"].cast("int64"))
    floats = (name for name in table.column_names if str(table[name].type) == "double")
    return {"ts": ts} | {name: table[name].to_numpy() for name in floats}, took


def lived(rows):
    """What somebody knew at each slot who lived through it: slots, and a column of each cell."""
    first, last = min(ts for ts, _, _ in rows), max(ts for ts, _, _ in rows)
    slots = np.arange(first, last + MINUTE, MINUTE)
    known = np.full(len(slots), np.nan)
    coming = sorted(rows, key=lambda row: row[1])
    cells = {name: np.full(len(slots), np.nan) for name in ("close", "mean", "rank", "ema")}
    ages = (1 - 2 / (SPAN + 1)) ** np.arange(len(slots))
    next_row, begin, begins = 0, None, len(slots)
    for at, ts in enumerate(slots):
        while next_row < len(coming) and coming[next_row][1] <= ts + MINUTE + DELAY:
            of, _, close = coming[next_row]
            place = (of - first) // MINUTE
            known[place], begins = close, min(begins, place)
            next_row += 1
        if begins > at:
            continue
        begin = at if begin is None else begin
        cells["close"][at] = known[at]
        window = known[max(begins, at + 1 - WINDOW) : at + 1]
        window = window[~np.isnan(window)]
        cells["mean"][at] = window.mean() if len(window) else np.nan
        ranked = known[max(begins, at + 1 - RANKED) : at + 1]
        ranked = ranked[~np.isnan(ranked)]
        if not np.isnan(known[at]):
            less, same = (ranked < known[at]).sum(), (ranked == known[at]).sum()
            cells["rank"][at] = (less + (same + 1) / 2) / len(ranked)
        past = known[begins : at + 1]
        weights = ages[: len(past)][::-1][~np.isnan(past)]
        cells["ema"][at] = (weights * past[~np.isnan(past)]).sum() / weights.sum()
    return slots[begin:], {name: column[begin:] for name, column in cells.items()}


def differences(what, slots, right, found):
    """How many cells differ, of which the first is told."""
    if not np.array_equal(found["ts"], slots):
        print(f"{what}: {len(found['ts'])} slots, not {len(slots)}")
        return 1
    count = 0
    for name in right.keys() & found.keys():
        mine, theirs = found[name], right[name]
        near = np.abs(mine - theirs) <= 1e-9 * np.nanmax(np.abs(theirs))
        wrong = ~(near | (np.isnan(mine) & np.isnan(theirs)))
        if wrong.any():
            at = int(np.argmax(wrong))
            print(f"{what}: {name} of {slots[at]} is {mine[at]!r}, not {theirs[at]!r}")
        count += int(wrong.sum())
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--barrow", default="target/release/barrow")
    parser.add_argument("--slots", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if not (DATA / FILE).exists():
        print(f"SKIPPED: no {DATA / FILE}")
        return 0
    rows = arrivals(arguments.slots, arguments.seed)
    slots, right = lived(rows)
    with tempfile.TemporaryDirectory() as folder, Server(arguments.barrow, folder) as server:
        post(server.url, rows)
        delay = {"publish_delay": {"feed": f"{DELAY // SECOND}s"}}
        send("PUT", f"{server.url}/v1/sources/bars", json.dumps(delay))
        send("PUT", f"{server.url}/v1/feature-groups/g", json.dumps(GROUP))
        bars, bars_took = answer(
            server.url, "/v1/bars", frequency="1m", vintage="live", gaps="true"
        )
        after = bars["ts"] >= slots[0]
        bars = {name: column[after] for name, column in bars.items()}
        cells, cells_took = answer(server.url, "/v1/features", groups="g", vintage="live")
        final, final_took = answer(server.url, "/v1/features", groups="g")
    wrong = differences("bars", slots, {"close": right["close"]}, bars)
    wrong += differences("features", slots, right, cells)
    changed = int((final["mean"][-len(slots) :] != cells["mean"]).sum())
    late = sum(known_at > ts + MINUTE + DELAY for ts, known_at, _ in rows)
    print(
        f"{len(rows)} rows, {late} of them later than their slot could be had: {len(slots)} bars"
        f" and {sum(len(column) for column in right.values())} cells as they were known then,"
        f" {wrong} differ; {changed} means are others now. Bars took {bars_took * 1e3:.0f} ms,"
        f" features {cells_took * 1e3:.0f} ms, as they are known now {final_took * 1e3:.0f} ms."
    )
    if changed == 0:
        print("nothing was late: that proves nothing")
    return int(wrong > 0 or changed == 0)


if __name__ == "__main__":
    sys.exit(main())
