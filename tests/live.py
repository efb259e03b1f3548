"""What is served live, against what history says of the same records.

A client of the feature feed that shares no code with Barrow (feed_client.py) subscribes to all
symbols, with corrections and forming rows, and logs what it is told while real ticks come in as
they came: in small batches, some of them late, with pauses in which the server falls behind
nothing. Then every row that it was told is asked for with `GET /v1/features?at_sequence=` of the
record that the row names: slot, clocks, sequence, every cell and every reason must be equal to the
bit. The newest row of each symbol, asked for at the end over the feed, must be the last one told.

Run: python tests/live.py [--barrow target/release/barrow] [--batches N]
Needs nothing but the standard library. Ends with 1 on any difference; without the data it says so
and ends with 0.
"""

import argparse
import calendar
import csv
import gzip
import io
import json
import random
import struct
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from datetime import date

from feed_client import GOING, PROGRESS, RESOLVE, RESOLVED, RESYNC, SUBSCRIBE, SUBSCRIBED, UPDATE, Feed
from recipes import DATA, Server

FILES = {"IBM": "ticks/lean_ibm_trades_2013-10.csv.gz", "SPY": "ticks/lean_spy_trades_2013-10.csv.gz"}
GROUPS = {
    "windows": {
        "bars": {"every": "1m"},
        "features": [
            {"name": "close", "expr": "$close"},
            {"name": "volume", "expr": "$volume"},
            {"name": "mean", "expr": "Mean($close, 20)"},
            {"name": "std", "expr": "Std($close, 60)"},
            {"name": "rank", "expr": "Rank($vwap, 30)"},
            {"name": "ret", "expr": "LogRet($close, 5)"},
        ],
    },
    "recursions": {
        "bars": {"every": "1m", "session": "extended"},
        "features": [
            {"name": "ema", "expr": "EMA($close, 26)"},
            {"name": "rsi", "expr": "RSI($close, 14)"},
            {"name": "vwap", "expr": "SessionVWAP()"},
            {"name": "gap", "expr": "GapPct()"},
        ],
    },
    "others": {
        "bars": {"every": "5m"},
        "features": [
            {"name": "spread", "expr": "$close - Of('SPY', $close)"},
            {"name": "hour", "expr": "At('1h', Mean($close, 2))"},
        ],
    },
}
ALL, CORRECTIONS, FORMING = 1, 4, 8
PROVISIONAL = 1
REASONS = (
    "ok closed not_listed not_due no_trade halted outage quarantined missing warm_up too_few "
    "non_finite not_in_universe dependency_null"
).split()


class Log(threading.Thread):
    """What one subscription is told."""

    def __init__(self, address, group):
        super().__init__(daemon=True)
        self.feed = Feed(address)
        self.group = group
        self.handle, self.version, _, self.features, _ = self.feed.resolve(group, [])
        body = struct.pack("<I16sQI", self.handle, bytes(16), 0, 0)
        flags = ALL | CORRECTIONS | FORMING
        self.feed.ask(SUBSCRIBE, body, SUBSCRIBED, flags=flags)
        self.told, self.resyncs, self.order = [], 0, []

    def has(self, latest):
        """Whether it was told of these rows."""
        told = {(row["ts"], row["at_sequence"]) for _, row in self.told}
        return all((row["ts"], row["at_sequence"]) in told for row in latest if row)

    def run(self):
        while True:
            kind, request, body = self.feed.frame()
            assert request == 0
            if kind == GOING:
                return
            _, symbol = body.take("II") if kind in (UPDATE, RESYNC) else (body.take("I"), None)
            token = list(body.take("QI"))
            if kind == RESYNC:
                self.resyncs += 1
            elif kind == UPDATE:
                self.order.append(tuple(token))
                self.told.append((symbol, row_of(body, len(self.features))))
            else:
                assert kind == PROGRESS


def row_of(body, count):
    """A row with all that stands before its cells."""
    names = ["ts", "ts_end", "available_at", "known_at", "sequence", "at_sequence", "session", "flags"]
    row = dict(zip(names, body.take("qqqqQQiI")))
    row["reasons"] = list(body.take(f"{(count + 7) // 8 * 8}s")[:count])
    row["values"] = [body.take("d") for _ in range(count)]
    return row


def get(url):
    with urllib.request.urlopen(url) as reply:
        return json.load(reply)


def send(method, url, body, kind="application/json"):
    request = urllib.request.Request(url, data=body, method=method, headers={"Content-Type": kind})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def nanos(text):
    """Nanoseconds since 1970 of an instant as JSON has it."""
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    whole = time.strptime(seconds, "%Y-%m-%dT%H:%M:%S")
    return calendar.timegm(whole) * 10**9 + int((fraction + "0" * 9)[:9])


def batches(count, size, seed):
    """So many batches of ticks of all files, in the order in which they come: some come late."""
    ticks = []
    for symbol, path in FILES.items():
        with gzip.open(DATA / path, "rt") as lines:
            for line in csv.DictReader(lines):
                # All of the file is of summer time.
                at = line["ts_local"] + "-04:00"
                ticks.append((at, symbol, line["price"], line["size"], line["exchange"]))
    # One of ten is enough for bars that change.
    ticks = sorted(ticks, key=lambda tick: tick[0])[::10]
    # From some time before the open on.
    first = next(at for at, tick in enumerate(ticks) if "T09:25" in tick[0])
    random.seed(seed)
    waiting = []
    for number in range(count):
        batch = ticks[first + number * size : first + (number + 1) * size]
        late = [tick for tick in batch if random.random() < 0.02]
        waiting.append((number + random.randint(1, 60), late))
        now = [tick for tick in batch if tick not in late]
        for due, more in [it for it in waiting if it[0] <= number]:
            now += more
            waiting.remove((due, more))
        yield now


def replay(url, count, size):
    """Sends the ticks; the record of the last batch."""
    sequence = 0
    for number, ticks in enumerate(batches(count, size, seed=7)):
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["ts", "symbol", "price", "size", "venue"])
        writer.writerows(ticks)
        path = f"{url}/v1/datasets/trades/rows?source=lean&batch_id=replay-{number}"
        answer = send("POST", path, text.getvalue().encode(), "text/csv")
        assert answer["accepted"] == len(ticks), answer
        sequence = answer["sequence"]
    return sequence


def wait_for(what, is_there):
    deadline = time.monotonic() + 60
    while not is_there():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited a minute for {what}")
        time.sleep(0.01)


def live_sequence(url):
    with urllib.request.urlopen(f"{url}/metrics") as reply:
        for line in reply.read().decode().splitlines():
            if line.startswith("barrow_live_sequence_count "):
                return int(float(line.split()[1]))
    raise SystemExit("there is no metric barrow_live_sequence_count")


def compare(url, log, names):
    """How many cells were told that history has otherwise, of how many."""
    cells = wrong = 0
    for symbol, row in log.told:
        query = {
            "groups": log.version,
            "symbols": names[symbol],
            "start": row["ts"],
            "end": row["ts"] + 1,
            "at_sequence": row["at_sequence"],
            "reasons": "true",
        }
        answer = get(f"{url}/v1/features?{urllib.parse.urlencode(query)}")
        found = answer["rows"]
        if len(found) != 1:
            print(f"{log.version} {names[symbol]} {row['ts']}: history has {len(found)} rows")
            wrong += len(log.features)
            continue
        [found] = found
        days = (date.fromisoformat(found["session"]) - date(1970, 1, 1)).days
        expected = {
            "ts": nanos(found["ts"]),
            "ts_end": nanos(found["ts_end"]),
            "available_at": nanos(found["available_at"]),
            "known_at": nanos(found["known_at"]),
            "sequence": found["sequence"],
            "session": days,
            "provisional": found["provisional"],
        }
        told = {name: row[name] for name in expected if name != "provisional"}
        told["provisional"] = bool(row["flags"] & PROVISIONAL)
        if told != expected:
            print(f"{log.version} {names[symbol]} {row['ts']}: told {told}, history {expected}")
            wrong += 1
        for place, feature in enumerate(log.features):
            cells += 1
            code = row["reasons"][place]
            value = row["values"][place] if code == 0 else None
            right = (found[feature], REASONS.index(found[f"{feature}__reason"]))
            if (value, code) != right:
                print(f"{log.version} {names[symbol]} {row['ts']} {feature}: {(value, code)} {right}")
                wrong += 1
    return wrong, cells


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--barrow", default="target/release/barrow")
    parser.add_argument("--batches", type=int, default=120)
    parser.add_argument("--ticks", type=int, default=60, help="of a batch")
    args = parser.parse_args()
    if not all((DATA / path).exists() for path in FILES.values()):
        print(f"SKIPPED: no tick files below {DATA}")
        return 0
    with tempfile.TemporaryDirectory() as folder, Server(args.barrow, folder) as server:
        for symbol in FILES:
            body = json.dumps({"calendar": "XNYS"}).encode()
            send("PUT", f"{server.url}/v1/instruments/{symbol}", body)
        for name, document in GROUPS.items():
            document = {"kind": "FeatureSet", "name": name, **document}
            body = json.dumps(document).encode()
            send("PUT", f"{server.url}/v1/feature-groups/{name}", body)
        wait_for("the groups", lambda: len(resolved(server.feed)) == len(GROUPS))
        logs = [Log(server.feed, name) for name in GROUPS]
        for log in logs:
            log.start()
        last = replay(server.url, args.batches, args.ticks)
        wait_for("live features", lambda: live_sequence(server.url) >= last)
        control = Feed(server.feed)
        for log in logs:
            handle, *_, numbers = control.resolve(log.group, list(FILES))
            symbols = list(numbers.values())
            wait_for("the updates", lambda: log.has(control.latest(handle, symbols, len(log.features))))
        failed = False
        for log in logs:
            handle, *_, numbers = control.resolve(log.group, list(FILES))
            names = {number: name for name, number in numbers.items()}
            if log.order != sorted(set(log.order)):
                print(f"{log.version}: updates came twice or out of order")
                failed = True
            wrong, cells = compare(server.url, log, names)
            latest = control.latest(handle, list(names), len(log.features))
            for symbol, row in zip(names, latest):
                ends = max((it for it in log.told if it[0] == symbol), key=newest_first)
                if row["cells"] != cells_of(ends[1]):
                    print(f"{log.version} {names[symbol]}: latest is {row}, told was {ends[1]}")
                    failed = True
            corrected = sum(1 for _, row in log.told if row["flags"] & 2)
            print(
                f"{log.version}: {len(log.told)} rows told ({corrected} corrected, {log.resyncs} "
                f"resyncs), {cells} cells, {wrong} differ"
            )
            failed |= wrong > 0 or cells == 0 or log.resyncs > 0
    return 1 if failed else 0


def newest_first(told):
    """Of rows of one slot the one told last."""
    _, row = told
    return row["ts"], row["at_sequence"]


def resolved(address):
    """The groups that are live."""
    feed = Feed(address)
    body = feed.ask(RESOLVE, struct.pack("<HI", 0, 0), RESOLVED)
    return [None] * body.take("H")


def cells_of(row):
    return [value if code == 0 else None for value, code in zip(row["values"], row["reasons"])]


if __name__ == "__main__":
    sys.exit(main())
