#!/usr/bin/env python3
"""Builds Barrow and its measuring programs, runs them in turn with other systems, prints tables.

    python3 benches/run.py [--only limits,size,ingest,...] [--runs 5] [--scratch DIR] [--force]
                           [--small]

Sections: limits, size, ingest, reads, commits, writers, ranges, open, aggregates, repairs,
history, backup, latest_table, feed, feed_load, feed_hostile. With --small those from aggregates on have few rows or are short, to
see that they work: their figures mean nothing. The feed is compared with Redis if there is a
`redis-server` (Debian: apt-get install redis-server). The first run
installs the other systems (compare/requirements.txt) into ~/.cache/barrow. The scratch folder (default
~/.cache/barrow/bench) must lie on the disk to be measured; 25 GB are enough. Before each section
the machine must be quiet: other work on less than 0.15 of a processor, over two seconds; --force
only says how much it was.

A run of a program gives percentiles; a cell is the median of the runs' p50, with the median of
their p10 in brackets. Runs of systems that are compared take turns.
"""

import argparse
import gzip
import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPARE = ROOT / "benches" / "compare"
DATA = ROOT.parent / "shared" / "data"
QUIET_MAX = 0.15
ROWS = 500 * 50 * 390
YEAR = 252
# Who makes bars of others' rows, too.
AGGREGATING = ["duckdb", "chdb", "polars", "arcticdb"]
# Who computes features of them.
FEATURING = ["pandas", "polars", "duckdb", "chdb"]


def say(text):
    print(text, file=sys.stderr, flush=True)


def heading(text):
    print(f"\n### {text}\n", flush=True)


def table(head, rows):
    def line(cells):
        print("| " + " | ".join(str(cell) for cell in cells) + " |")

    line(head)
    print("|---|" + "---:|" * (len(head) - 1))
    for row in rows:
        line(row)
    sys.stdout.flush()


def number(value):
    if value == 0:
        return "0"
    if abs(value) >= 1e7:
        return f"{value / 1e6:,.1f}M"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


class Figures:
    """What several runs of one program said."""

    def __init__(self):
        self.lines = {}

    def add(self, lines):
        for line in lines:
            self.lines.setdefault(line["what"], []).append(line)

    def median(self, what, part="p50"):
        return statistics.median(line[part] for line in self.lines[what])

    def has(self, what):
        return what in self.lines

    def cell(self, what):
        lines, p50, p10 = self.lines[what], self.median(what), self.median(what, "p10")
        if len(lines) == 1 and lines[0]["n"] == 1:
            return number(p50)
        if all(line["n"] == 1 for line in lines):
            p10 = sorted(line["p50"] for line in lines)[(len(lines) - 1) // 10]
        return f"{number(p50)} ({number(p10)})"


def listing(figures):
    """A row for each figure: what, unit, p50, p99."""
    return [
        [what, lines[0]["unit"], *(number(figures.median(what, part)) for part in ["p50", "p99"])]
        for what, lines in figures.lines.items()
    ]


class Bench:
    def __init__(self, arguments):
        self.force, self.runs, self.small = arguments.force, arguments.runs, arguments.small
        self.scratch = Path(arguments.scratch).expanduser()
        self.scratch.mkdir(parents=True, exist_ok=True)
        self.programs, self.python = build(), venv()
        self.barrow = self.programs["barrow"]

    # ------------------------------------------------------------------ programs

    def rust(self, program, *arguments, **names):
        command = [self.programs[program], *arguments, "--barrow", self.barrow]
        for name, value in names.items():
            command += [f"--{name}", value]
        return figures_of(command)

    def peer(self, system, question, db, *arguments, script="peer.py", **names):
        command = [self.python, COMPARE / script, system, question, "--db", db, *arguments]
        for name, value in names.items():
            command += [f"--{name}", value]
        return figures_of(command)

    def compact(self, store):
        """Brings a store to rest: all rows in segments, those merged. Figures as a program's."""
        say(f"  barrow compact --data {store.name}")
        command = [self.barrow, "compact", "--data", store]
        before, start = children_seconds(), time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        took, used = time.perf_counter() - start, children_seconds() - before
        values = {"rest": took, "rest: CPU": used, "segments": folder_bytes(store / "segments")}
        units = {"segments": "bytes"}
        return [
            dict(what=what, unit=units.get(what, "s"), n=1, p10=value, p50=value, p99=value)
            for what, value in values.items()
        ]

    def arrow(self, order):
        path = self.scratch / f"bars-{order}.arrow"
        if not path.exists():
            self.rust("generate", out=path, order=order)
        return path

    def ticks(self):
        path = self.scratch / "ticks.arrow"
        if not path.exists():
            self.rust("generate", out=path, rows="ticks")
        return path

    def store(self, order, sessions=50):
        """A store of generated bars at rest; made once."""
        path = self.scratch / f"store-{order}-{sessions}"
        mark = self.scratch / f"store-{order}-{sessions}.made"
        if not mark.exists():
            self.rust("ingest", data=path, order=order, sessions=sessions)
            self.compact(path)
            mark.touch()
        return path

    # ------------------------------------------------------------------ the machine

    def quiet(self, section):
        wait = time.monotonic() + 60
        while (busy := others()) > QUIET_MAX and not self.force and time.monotonic() < wait:
            time.sleep(3)
        load = os.getloadavg()[0]
        say(f"{section}: others use {busy:.2f} of {os.cpu_count()} processors, load {load:.2f}")
        if busy > QUIET_MAX and not self.force:
            sys.exit(f"{section}: other work uses {busy:.2f} processors; wait, or say --force")
        return busy

    def cold(self, paths):
        """Drops what the system holds in memory of these folders; says how."""
        os.sync()
        try:
            Path("/proc/sys/vm/drop_caches").write_text("3\n")
            return "all caches dropped"
        except OSError:
            for path in paths:
                for name in [path, *path.rglob("*")]:
                    if name.is_file():
                        with open(name, "rb") as file:
                            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            return "posix_fadvise(DONTNEED) on every file"

    # ------------------------------------------------------------------ sections

    def limits(self):
        heading("The machine's limits")
        figures = Figures()
        figures.add(self.rust("limits", data=self.scratch / "limits"))
        rows = [
            [what, lines[0]["unit"], number(lines[0]["p50"]), number(lines[0]["p10"])]
            for what, lines in figures.lines.items()
        ]
        table(["what", "unit", "p50", "p10"], rows)

    def size(self):
        heading("Size, bytes a row")
        rows = [self.size_of_files(*family) for family in FAMILIES]
        rows.append(self.size_of_bars())
        table(["rows of", "rows", "Barrow", "Parquet zstd-9", "DuckDB", "chDB"], rows)

    def size_of_files(self, name, dataset, symbols, loads):
        store = self.scratch / "size"
        shutil.rmtree(store, ignore_errors=True)
        server, address = self.serve(store)
        try:
            for pattern, options in loads:
                for path in sorted(DATA.glob(pattern)):
                    if name == BARE:
                        path = self.bare_trades(path)
                    symbol = path.name.split("_")[0].split("-")[0]
                    named = [option.replace("{stem-part}", symbol) for option in options]
                    command = [self.barrow, "import", path, "--dataset", dataset, *named]
                    command += ["--server", f"http://{address}"]
                    done = subprocess.run(command, capture_output=True, text=True)
                    if done.returncode:
                        return [name, "-", f"not loaded: {done.stderr.strip()[:80]}", "", "", ""]
            rows = self.fetch(address, dataset, symbols)
        finally:
            server.terminate()
            server.wait()
        figures = Figures()
        figures.add(self.compact(store))
        sizes = self.peer_sizes(rows)
        count = int(sizes.pop("rows"))
        ours = figures.median("segments") / count
        return [name, f"{count:,}", f"{ours:.2f}", *sizes.values()]

    def bare_trades(self, path):
        """A file of trades without venue and conditions."""
        bare = self.scratch / "bare_trades.csv"
        with gzip.open(path, "rt") as rows, open(bare, "w") as out:
            for row in rows:
                out.write(",".join(row.split(",")[:4]).strip() + "\n")
        return bare

    def fetch(self, address, dataset, symbols):
        """Every row back out, as the other systems shall hold it."""
        path = self.scratch / "size.arrow"
        script = [self.python, COMPARE / "fetch.py", f"http://{address}", dataset, symbols, path]
        subprocess.run(script, check=True)
        return path

    def size_of_bars(self):
        path, store = self.arrow("symbol"), self.store("symbol")
        sizes = self.peer_sizes(path)
        ours = folder_bytes(store / "segments") / ROWS
        return ["generated bars", f"{ROWS:,}", f"{ours:.2f}", *list(sizes.values())[1:]]

    def peer_sizes(self, arrow):
        sizes = {}
        for system in ["parquet", "duckdb", "chdb"]:
            figures = Figures()
            figures.add(self.peer(system, "size", self.scratch / "peer-size", arrow=arrow))
            sizes.setdefault("rows", figures.median("bytes") / figures.median("size"))
            sizes[system] = f"{figures.median('size'):.2f}"
        sizes["rows"] = round(sizes["rows"])
        return sizes

    def serve(self, store):
        command = [self.barrow, "serve", "--data", store, "--http", "127.0.0.1:0"]
        command += ["--feed", "127.0.0.1:0"]
        environment = {**os.environ, "BARROW_LOG_LEVEL": "warn"}
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        ready = server.stdout.readline().split()
        return server, next(word[5:] for word in ready if word.startswith("http="))

    def ingest(self):
        for order in ["symbol", "session"]:
            heading(f"Bulk ingest of {ROWS:,} bars, {order} by {order}")
            arrow, store = self.arrow(order), self.scratch / "ingest"
            barrow, peers = Figures(), {system: Figures() for system in ["duckdb", "chdb"]}
            for run in range(self.runs):
                barrow.add(self.rust("ingest", data=store, order=order))
                barrow.add(self.compact(store))
                for system, figures in peers.items():
                    db = self.scratch / f"{system}-{order}"
                    figures.add(self.peer(system, "ingest", db, arrow=arrow))
            size = barrow.median("segments") / ROWS
            rest = barrow.median("acknowledged") + barrow.median("stop") + barrow.median("rest")
            acknowledged = barrow.median("acknowledged")
            rows = [[
                "Barrow over HTTP",
                f"{acknowledged:.2f}", number(ROWS / acknowledged),
                f"{barrow.median('acknowledged: server CPU'):.2f}"
                f" + {barrow.median('acknowledged: client CPU'):.2f} client",
                f"{rest:.2f}",
                number(barrow.median("acknowledged: server CPU") + barrow.median("rest: CPU")),
                f"{size:.2f}",
            ]]
            for system, figures in peers.items():
                took = figures.median("acknowledged")
                rows.append([
                    f"{system} in process",
                    f"{took:.2f}", number(ROWS / took),
                    f"{figures.median('acknowledged: CPU'):.2f}",
                    f"{figures.median('at rest'):.2f}",
                    f"{figures.median('at rest: CPU'):.2f}",
                    f"{figures.median('size'):.2f}",
                ])
            head = ["", "acknowledged, s", "rows/s", "CPU s", "at rest, s", "CPU s", "bytes/row"]
            table(head, rows)

    def reads(self):
        stores = {order: self.store(order) for order in ["symbol", "session"]}
        dbs = {}
        for order in stores:
            for system in ["duckdb", "chdb"]:
                dbs[system, order] = db = self.scratch / f"{system}-{order}"
                if not db.exists():
                    self.peer(system, "ingest", db, arrow=self.arrow(order))
        for once in [False, True]:
            kind = "cold" if once else "warm"
            how = f" ({self.cold([])}, new process)" if once else ""
            heading(f"Reads, {kind}{how}; rows loaded symbol by symbol / session by session")
            rows = []
            for question, threads in [("month", [""]), ("session", [1, 2]), ("spread", [1, 2])]:
                rows += self.read_rows(question, threads, once, stores, dbs)
            head = ["question", "unit", "Barrow", "CPU", "DuckDB", "CPU", "chDB", "CPU"]
            table(head, rows)

    def read_rows(self, question, threads, once, stores, dbs):
        flags = ["--once"] if once else []
        cells = {}
        for _ in range(self.runs):
            for order, store in stores.items():
                for thread in threads:
                    name = f"{question}, {thread} threads" if thread else question
                    if once:
                        self.cold([store])
                    ours = cells.setdefault(("barrow", order, thread), Figures())
                    ours.add(self.rust("scan", *flags, data=store, question=name))
                for system in ["duckdb", "chdb"]:
                    if once:
                        self.cold([dbs[system, order]])
                    theirs = cells.setdefault((system, order), Figures())
                    theirs.add(self.peer(system, question, dbs[system, order], *flags))
        rows = []
        for thread in threads:
            name = f"{question}, {thread} threads" if thread else question
            row = [name, "us" if question == "month" else "ms"]
            for system in ["barrow", "duckdb", "chdb"]:
                ours = system == "barrow"
                what = name if ours else question
                each = [cells[(system, order, thread) if ours else (system, order)] for order in stores]
                row.append(" / ".join(figures.cell(what) for figures in each))
                row.append(" / ".join(number(figures.median(f"{what}: CPU")) for figures in each))
            rows.append(row)
        if question == "month" and not once:
            figures = Figures()
            for _ in range(self.runs):
                what = "newest rows of all symbols"
                figures.add(self.rust("scan", data=stores["symbol"], question=what))
            rows.append(["newest row", "ns", number(figures.median(what) / 500), *[""] * 5])
        return rows

    def commits(self):
        heading("Durable commits, us")
        figures = Figures()
        for _ in range(self.runs):
            figures.add(self.rust("commit", data=self.scratch / "commit"))
        rows = []
        for ours in (what for what in figures.lines if ": " not in what):
            floor = next(what for what in figures.lines if what.startswith(f"{ours}: bare"))
            busy = f"{ours}: CPU"
            ratio = [figures.median(ours, part) / figures.median(floor, part) for part in ["p10", "p50"]]
            rows.append([
                ours, figures.cell(ours), floor.split(": ")[1], figures.cell(floor),
                f"{ratio[0]:.2f}", f"{ratio[1]:.2f}",
                figures.cell(busy) if figures.has(busy) else "",
            ])
        head = ["what", "p50 (p10)", "beside", "p50 (p10)", "ratio p10", "ratio p50", "CPU"]
        table(head, rows)

    def writers(self):
        heading("64 writers beside one, rows/s")
        figures = Figures()
        for _ in range(self.runs):
            figures.add(self.rust("writers", data=self.scratch / "writers"))
        names = list(figures.lines)
        rows = []
        for one, many in zip(names[::2], names[1::2]):
            ratio = figures.median(many) / figures.median(one)
            rows.append([many, figures.cell(many), figures.cell(one), f"{ratio:.1f}"])
        table(["what", "rows/s", "one writer", "ratio"], rows)

    def ranges(self):
        heading("A month of one symbol over HTTP beside a bare reply, and reading many rows")
        store, figures = self.store("symbol"), Figures()
        for run in range(self.runs):
            rows = 100_000_000 if run == 0 else 0
            figures.add(self.rust("ranges", data=store, rows=str(rows)))
        table(
            ["what", "unit", "p50 (p10)"],
            [[what, lines[0]["unit"], figures.cell(what)] for what, lines in figures.lines.items()],
        )

    def open(self):
        heading("Opening a store")
        year = self.store("session", YEAR)
        log = self.scratch / "log"
        figures = {"49 million bars, warm": (year, False), "49 million bars, cold": (year, True)}
        figures |= {"1 GiB of log, warm": (log, False), "1 GiB of log, cold": (log, True)}
        rows = []
        for name, (store, cold) in figures.items():
            found = Figures()
            for _ in range(self.runs):
                if store == log:
                    self.rust("open", "--write-log", "1024", data=log)
                if cold:
                    self.cold([store])
                found.add(self.rust("open", data=store))
            rows.append([
                name, found.cell("open"), number(found.median("open: CPU")),
                number(found.median("rows replayed")), number(found.median("files of segments")),
                number(found.median("VmHWM")),
            ])
        table(["what", "s", "CPU s", "rows replayed", "segments", "VmHWM MiB"], rows)

    # ------------------------------------------------------------------ bars made of others

    def aggregates(self):
        """Each in a process of its own; the peers' first answer warms up, but for `all`."""
        symbols, sessions, named, days = (20, 5, 3, 3) if self.small else (500, 50, 20, 5)
        scratch = self.scratch / ("aggregates-small" if self.small else "aggregates")
        scratch.mkdir(exist_ok=True)
        size = dict(symbols=str(symbols), sessions=str(sessions))
        of_ticks = dict(symbols=str(named), sessions=str(days))
        bars, ticks = scratch / "bars.arrow", scratch / "ticks.arrow"
        store, traded = scratch / "store", scratch / "traded"
        if not (scratch / ".complete").exists():
            shutil.rmtree(traded, ignore_errors=True)
            self.rust("generate", out=bars, **size)
            self.rust("generate", out=ticks, rows="ticks", **of_ticks)
            self.rust("ingest", data=store, **size)
            self.compact(store)
            for system in AGGREGATING:
                self.peer_aggregates(system, "load", scratch, arrow=bars, ticks=ticks)
            (scratch / ".complete").touch()
        ours, theirs = Figures(), {system: Figures() for system in AGGREGATING}
        for _ in range(min(self.runs, 3)):
            for question in ["all", "hours", "hour", "fives", "minutes"]:
                data, sizes = (traded, of_ticks) if question == "minutes" else (store, size)
                ours.add(self.rust("aggregates", data=data, question=question, **sizes))
                for system in AGGREGATING if question != "fives" else []:
                    sizes = of_ticks if question == "minutes" else size
                    made = self.peer_aggregates(system, question, scratch, **sizes)
                    theirs[system].add(made)
        self.aggregate_tables(ours, theirs, symbols * sessions * 390, named * days * 100_000)
        self.keeping(scratch, symbols, sessions)

    def peer_aggregates(self, system, question, scratch, **names):
        db = scratch / f"{system}-db"
        return self.peer(system, question, db, script="aggregates.py", **names)

    def aggregate_tables(self, ours, theirs, bars, ticks):
        heading(f"Bars made of {bars:,} minutes and of {ticks:,} trades; CPU in the same unit")
        asked = [
            ("stored 1h bars of all symbols", "hours", "ms", ["hours, 1 threads", "hours, 2 threads"]),
            ("stored 1h bars of one symbol", "hour", "us", ["hour"]),
            ("5m to 1d bars of all symbols, the first time", "all", "ms",
             ["all, stored", "all, answered, 1 threads", "all, answered, 2 threads"]),
            ("1-minute bars of all trades", "minutes", "ms",
             ["minutes, 1 threads", "minutes, 2 threads"]),
        ]
        rows = []
        for title, question, unit, names in asked:
            cells, best = [], None
            for figures in theirs.values():
                used = number(figures.median(f"{question}: CPU"))
                cells.append(f"{figures.cell(question)}, CPU {used}")
                took = figures.median(question)
                best = took if best is None else min(best, took)
                self.same(question, figures, ours, names)
            for name in names:
                used = number(ours.median(f"{name}: CPU"))
                ratio = f"{best / ours.median(name):.1f}"
                how = f"{title}: {name}" if len(names) > 1 else title
                rows.append([how, unit, f"{ours.cell(name)}, CPU {used}", *cells, ratio])
        table(["what", "unit", "Barrow", *AGGREGATING, "times faster than the fastest"], rows)
        alone = ("fives", "stored tiles", "hours, 1 threads, first time", "hour, first time")
        names = [name for name in ours.lines if name.startswith(alone)]
        rows = [[name, ours.lines[name][0]["unit"], ours.cell(name)] for name in names]
        table(["Barrow alone", "unit", "p50 (p10)"], rows)

    @staticmethod
    def same(question, theirs, ours, names):
        """All closes add up to the same: everybody made the same bars."""
        expected = theirs.median(f"{question}: check")
        for name in names:
            # One symbol is any of them, and what is stored is read by another question.
            if question != "hour" and ours.has(f"{name}: check"):
                found = ours.median(f"{name}: check")
                assert abs(found - expected) <= 1e-9 * expected, f"{name}: {found}, not {expected}"

    def keeping(self, scratch, symbols, sessions):
        heading("What it costs to keep all bars, beside the ingest of minutes")
        rows = []
        for order, days in [("symbol", sessions), ("session", sessions), ("minute", sessions // 5)]:
            figures = Figures()
            size = dict(symbols=str(symbols), sessions=str(days))
            store = scratch / "kept"
            figures.add(self.rust("aggregates", data=store, question="keep", order=order, **size))
            rows += [
                [f"{order} by {order}, {days} sessions: {what}", lines[0]["unit"], figures.cell(what)]
                for what, lines in figures.lines.items()
            ]
        table(["what", "unit", "figure"], rows)

    def repairs(self):
        heading("Bars put right after late rows; one symbol")
        years = [2] if self.small else [10]
        rows = []
        for question, each in [("late", years), ("spread", years), ("backfill", [*years, years[0] * 4])]:
            for count in each:
                figures, store = Figures(), self.scratch / "repairs"
                arguments = dict(question=question, years=str(count))
                figures.add(self.rust("repairs", data=store, **arguments))
                for what, *cells in listing(figures):
                    rows.append([f"{count} years: {what}", *cells])
        table(["what", "unit", "p50", "p99"], rows)

    def backup(self):
        heading("How long intake stands still while a store is backed up")
        scratch, memory = self.scratch / "backup", Path("/dev/shm")
        named = dict(scratch=scratch)
        if memory.is_dir():
            named["elsewhere"] = memory / "barrow-bench-backup"
        if self.small:
            named |= dict(times="1", seconds="0.5")
        figures = Figures()
        figures.add(self.rust("backup", data=self.store("session", 2 if self.small else YEAR), **named))
        table(["what", "unit", "p50", "p99"], listing(figures))
        for folder in [scratch, named.get("elsewhere", scratch)]:
            shutil.rmtree(folder, ignore_errors=True)

    # ------------------------------------------------------------------ the feed

    def feed(self):
        figures = Figures()
        seconds = "0.2" if self.small else "2"
        for _ in range(1 if self.small else self.runs):
            for part in ["lookups", "http", "arrivals"]:
                short = ["--bars", "20"] if self.small else []
                data = self.scratch / "feed"
                figures.add(self.rust("feed", *short, data=data, part=part, seconds=seconds))
        asked = {}
        for what in figures.lines:
            question, _, side = what.rpartition(": ")
            asked.setdefault(question, {})[side] = what
        alone = Figures()
        for question, sides in asked.items():
            floor = sides.get("echo, tokio") or sides.get("bare")
            if floor is None:
                alone.lines |= {what: figures.lines[what] for what in sides.values()}
                continue
            heading(f"{question}, us")
            rows = []
            for side, what in sides.items():
                p50, p99 = (figures.median(what, part) for part in ["p50", "p99"])
                ratio = p50 / figures.median(floor)
                rows.append([side, number(p50), number(p99), f"{ratio:.2f}"])
            table(["who", "p50", "p99", "p50 to the echo's"], rows)
        heading("From a bar's arrival to its features")
        table(["what", "unit", "p50", "p99"], listing(alone))

    def history(self):
        """Features from the store of `aggregates`, which must have run, and of one symbol."""
        small = self.small
        scratch = self.scratch / ("aggregates-small" if small else "aggregates")
        if not (scratch / ".complete").exists():
            sys.exit("history: the rows are not there; run the section aggregates before")
        sessions, named = (5, dict(seven=20, alpha=2)) if small else (50, dict(seven=500, alpha=20))
        ours, theirs = Figures(), {name: Figures() for name in FEATURING}
        for _ in range(min(self.runs, 3)):
            for question, symbols in named.items():
                sizes = dict(symbols=str(symbols), sessions=str(sessions))
                store = scratch / "store"
                ours.add(self.rust("history", data=store, question=question, **sizes))
                for system in FEATURING if question == "seven" else FEATURING[:2]:
                    db = scratch / f"{'polars' if system == 'pandas' else system}-db"
                    made = self.peer(system, question, db, script="features.py", **sizes)
                    theirs[system].add(made)
        heading("Features of stored minutes: CPU a row, ns; wall, ms")
        rows = []
        for question, symbols in named.items():
            used = ours.median(f"{question}, 1 threads: CPU a row")
            for system, figures in theirs.items():
                if not figures.has(question):
                    continue
                other = figures.median(f"{question}: CPU a row")
                took = [ours.cell(f"{question}, {n} threads") for n in (1, 2)]
                count = number(figures.median(f"{question}: features"))
                rows.append([f"{question}, {symbols} symbols", system, count, number(other),
                             number(used), f"{other / used:.1f}", figures.cell(question), *took])
        table(["what", "other", "its features", "its CPU a row", "Barrow's", "times", "its wall",
               "Barrow, 1 thread", "2 threads"], rows)
        heading("The same from files: `history: materialized`")
        rows = []
        for question in named:
            computed = ours.median(f"{question}, 1 threads: CPU a row")
            files = f"{question}, in files"
            read = ours.median(f"{files}: CPU a row")
            rows.append([question, number(read), f"{computed / read:.1f}",
                         number(ours.median(f"{files}: a cell")),
                         number(ours.median(f"{files}: written: a row"))])
        table(["what", "CPU a row, ns", "times less than computed", "bytes a cell",
               "written: ns a row"], rows)
        heading("Late rows and late ranges of features; many symbols")
        alone, years = Figures(), "2" if small else "10"
        data = self.scratch / "history"
        for question in ["late", "range"]:
            alone.add(self.rust("history", data=data, question=question, years=years))
        symbols = "100" if small else "10000"
        alone.add(self.rust("history", data=data, question="symbols", symbols=symbols))
        table(["what", "unit", "p50", "p99"], listing(alone))
        shutil.rmtree(data)

    def latest_table(self):
        short = ["--seconds", "1"] if self.small else []
        self.listed("Reads of the latest table", "latest_table", *short)

    def feed_load(self):
        short = ["--seconds", "2", "--rates", "500,1000"] if self.small else []
        self.listed("The feed under load", "feed_load", *short)

    def feed_hostile(self):
        short = ["--seconds", "2"] if self.small else []
        self.listed("The feed among hostile clients", "feed_hostile", *short)

    def listed(self, title, program, *arguments):
        """All figures of one run."""
        heading(title)
        figures = Figures()
        figures.add(self.rust(program, *arguments, data=self.scratch / "feed"))
        table(["what", "unit", "p50", "p99"], listing(figures))


# Which real files, and how they are loaded: options as in tests/recipes.toml.
NEW_YORK = ["--time-zone", "America/New_York"]
LEAN = (
    "minute/lean_us_equity_1min_trades.csv.gz",
    ["--timeframe", "1m", "--source", "lean", *NEW_YORK, "--map", "ts=ts_local", "--stamp", "start"],
)
IB = (
    "minute/ib_aapl_1min_2026-03_2026-04.csv.gz",
    ["--timeframe", "1m", "--symbol", "AAPL", "--source", "ib", "--stamp", "start"],
)
ALPHA_VANTAGE = (
    "minute/alphavantage_1min/*.csv.gz",
    ["--timeframe", "1m", "--symbol", "{stem-part}", "--source", "alphavantage", *NEW_YORK]
    + ["--stamp", "end"],
)
COINBASE = (
    "minute/lean_coinbase_1min_trades.csv.gz",
    ["--timeframe", "1m", "--source", "lean", "--time-zone", "UTC", "--stamp", "start"],
)
SPY_TRADES = ("ticks/lean_spy_trades_2013-10.csv.gz", ["--source", "lean", *NEW_YORK])
EQUITIES = "AAPL,GOOG,IBM,SPY,TWX"
FUNDS = "AAPL,AMZN,BAC,GLD,JPM,MSFT,PPLT,QQQ,SPY,TSLA,UGA,V,VIX,XLP"
FAMILIES = [
    ("Lean equities and IB, 1 minute", "bars", EQUITIES, [LEAN, IB]),
    ("Lean equities, 1 minute", "bars", EQUITIES, [LEAN]),
    ("IB AAPL, 1 minute", "bars", "AAPL", [IB]),
    ("Lean Coinbase, 1 minute", "bars", "BTCUSD,ETHUSD", [COINBASE]),
    ("Alpha Vantage, 1 minute", "bars", FUNDS, [ALPHA_VANTAGE]),
    ("SPY trades, all columns", "trades", "SPY", [SPY_TRADES]),
    ("SPY trades, time, price and size", "trades", "SPY", [SPY_TRADES]),
]
BARE = FAMILIES[-1][0]


def children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def folder_bytes(path):
    return sum(name.stat().st_size for name in path.rglob("*") if name.is_file())


def figures_of(command):
    command = [str(word) for word in command]
    say("  " + " ".join(Path(word).name if word.startswith("/") else word for word in command))
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"it ended with {done.returncode}: {' '.join(command)}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def others():
    """Processors that were busy over two seconds, while this program slept."""

    def ticks():
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
        values = [int(field) for field in fields]
        return sum(values) - values[3] - values[4]

    before = ticks()
    time.sleep(2)
    return (ticks() - before) / os.sysconf("SC_CLK_TCK") / 2


def build():
    """Names and paths of the release programs."""
    programs = {}
    for command in [
        ["build", "--release", "-p", "barrow-server", "--bins"],
        ["bench", "-p", "barrow-benches", "--no-run"],
    ]:
        command = ["cargo", *command, "--locked", "--message-format", "json-render-diagnostics"]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        for line in done.stdout.splitlines():
            message = json.loads(line)
            if message.get("executable"):
                programs[message["target"]["name"]] = message["executable"]
    return programs


def venv():
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "barrow"
    pins = (COMPARE / "requirements.txt").read_bytes()
    path = cache / f"bench-venv-{hashlib.sha256(pins).hexdigest()[:12]}"
    if not (path / ".complete").exists():
        shutil.rmtree(path, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", path], check=True)
        pip = [path / "bin" / "pip", "install", "--quiet", "-r", COMPARE / "requirements.txt"]
        subprocess.run(pip, check=True)
        (path / ".complete").touch()
    return path / "bin" / "python"


SECTIONS = [
    "limits", "size", "ingest", "reads", "commits", "writers", "ranges", "open", "aggregates",
    "repairs", "history", "backup", "latest_table", "feed", "feed_load", "feed_hostile",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default=",".join(SECTIONS))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scratch", default="~/.cache/barrow/bench")
    parser.add_argument("--force", action="store_true")
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    unknown = [name for name in chosen if name not in SECTIONS]
    if unknown:
        sys.exit(f"no such section: {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    bench = Bench(arguments)
    noise = {}
    for section in chosen:
        noise[section] = bench.quiet(section)
        getattr(bench, section)()
    busy = ", ".join(f"{section} {busy:.2f}" for section, busy in noise.items())
    print(f"\n{arguments.runs} runs. Processors used by others before each section: {busy}.")


main()
