"""Every slot that a real file should fill is in the store, or is empty for exactly one reason.

For each file under ../shared/data/{daily,minute}, each load of it in tests/recipes.toml, each
symbol and each session set of tests/gaps.toml, pandas and the oracles of tests/sessions.py say
which slots are expected from the session of the symbol's first row to that of its last, which of
them hold a row, and which do not. A slot that holds several rows counts once; a row in a slot that
is not expected is off session. Then, on a fresh server, loaded with `--calendar`:
- `GET /v1/gaps` lists exactly those runs of empty slots, with their start, end, reason and count;
- `GET /v1/bars?layer=curated&gaps=true` answers exactly the expected slots, each with `is_gap` and
  `reason` as computed here.
Both once as loaded, where every empty slot is `missing`, and once with `--complete`, where the
slots of a symbol from that of its first row to that of its last are claimed: empty ones are
`no_trade`, but for those of a row that was turned away. What is known from elsewhere (counts,
holes and days of tests/gaps.toml) is compared with what pandas says, with and without a server.

Run: python tests/gaps.py --barrow target/release/barrow [PART_OF_A_PATH ...]
`--expect-only` needs no server, `--holes N` shows the N longest holes of each symbol. Needs
tests/requirements.txt. Ends with 1 on any difference; without the data it says so and ends with 0.
"""

import argparse
import io
import re
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import recipes
import sessions
from pyarrow import ipc
from recipes import DATA, ROOT, Difference

REASONS = {0: "ok", 4: "no_trade", 8: "missing"}
OK, NO_TRADE, MISSING = REASONS


# --- the files ----------------------------------------------------------------------------------


def entries():
    """The choices, which explain themselves at the top of their file."""
    return tomllib.loads((ROOT / "tests" / "gaps.toml").read_text())


def loads(parts):
    """(path, entry, recipe) of every load of bars under `daily` and `minute`."""
    every = recipes.load_recipes(ROOT / "tests" / "recipes.toml")
    files = entries()["file"]
    for path in recipes.data_files():
        if path.parts[0] == "ticks" or parts and not any(part in str(path) for part in parts):
            continue
        fitting = [entry for entry in files if recipes.fits(path, entry)]
        if len(fitting) != 1:
            raise SystemExit(f"{path}: {len(fitting)} entries in tests/gaps.toml, 1 is needed")
        for recipe in every:
            if recipes.fits(path, recipe) and recipe["expect"] == "load":
                yield path, fitting[0], recipe


@dataclass
class Face:
    """The rows of one price side: what is stored of each key at the end, and what is not."""

    side: str
    counts: dict
    rows: object  # symbol, ts (nanoseconds), the values; sorted by both
    turned_away: object  # symbol, ts


def read(path, recipe):
    """The faces of a file."""
    modules = (np, pd, None)
    whole = recipes.read_table(modules, DATA / path, recipe)
    out = []
    for side, columns in recipes.faces(recipe):
        frame = recipes.read_file(modules, DATA / path, whole, columns, recipe)
        counts, stored = recipes.expectation(np, frame, recipe)
        needed = frame[[name for name in recipes.NEEDED if name in frame]]
        away = frame[needed.isna().any(axis=1) | np.isinf(needed).any(axis=1)]
        if counts["rejected"] != len(away):
            raise Difference(f"{counts['rejected']} rows rejected, {len(away)} without a price")
        stored = stored.assign(ts=stored_times(stored["ts"], recipe))
        rows = stored.drop_duplicates(["symbol", "ts"], keep="last")
        away = away[["symbol", "ts"]].assign(ts=stored_times(away["ts"], recipe))
        rows = rows.sort_values(["symbol", "ts"], ignore_index=True)
        out.append(Face(side, counts, rows, away))
    return out


def stored_times(times, recipe):
    """Nanoseconds as the store keeps them: the bar's start; of dated bars their (first) date."""
    if not len(times):
        return []
    step = recipe["timeframe"]
    zone = recipes.argument(recipe, "--time-zone") or "UTC"
    if step not in sessions.STEPS:
        dates = pd.to_datetime(times.astype(str).str.slice(0, 10), format="%Y-%m-%d")
        if step == "1mo":
            dates = dates.dt.to_period("M").dt.start_time
        return sessions.nanos(dates)
    if not pd.api.types.is_datetime64_any_dtype(times.dtype):
        texts = times.astype(str)
        sample = texts.iloc[0]
        if sample.isdigit():
            unit = {10: "s", 13: "ms", 16: "us", 19: "ns"}[len(sample)]
            times = pd.to_datetime(texts.astype("int64"), unit=unit)
            zone = "UTC"
        elif re.fullmatch(r"\d{8} \d{6}", sample):
            times = pd.to_datetime(texts, format="%Y%m%d %H%M%S")
        else:
            offset = re.search(r"(Z|[+-]\d\d:?\d\d)$", sample) is not None
            times = pd.to_datetime(texts, format="ISO8601", utc=offset)
    if times.dt.tz is None:
        times = times.dt.tz_localize(zone)
    late = sessions.STEPS[step] if recipes.argument(recipe, "--stamp") == "end" else 0
    return sessions.nanos(times) - late


# --- what pandas says ---------------------------------------------------------------------------


@dataclass
class Expected:
    """The slots of one symbol, price side and session set."""

    symbol: str
    side: str
    which: str
    slots: object  # sessions.Slots
    there: object  # of each slot, whether it holds a row
    within: object  # of each slot, whether it lies between the first row of the file and the last
    refused: object  # of each slot, whether a row for it was turned away
    off_session: int
    several: int  # rows beyond the first of their slot

    def reasons(self, complete):
        """Of each slot the code of its reason."""
        claimed = self.within & ~self.refused if complete else False
        return np.where(self.there, OK, np.where(claimed, NO_TRADE, MISSING))

    def gaps(self, complete=False):
        """(start, end, reason, slots) of each run of empty slots of one reason, in order."""
        reasons, out = self.reasons(complete), []
        for code in np.unique(reasons):
            if code != OK:
                for first, last in sessions.runs(np.flatnonzero(reasons == code)):
                    start, end = self.slots.start[first], self.slots.end[last]
                    out.append((int(start), int(end), REASONS[code], int(last - first + 1)))
        return sorted(out)

    @property
    def missing(self):
        return int(len(self.slots) - self.there.sum())

    def holes(self):
        """(slots, start, end) of each run of empty slots between the first row and the last."""
        return [
            (int(last - first + 1), int(self.slots.start[first]), int(self.slots.end[last]))
            for first, last in sessions.runs(np.flatnonzero(self.within & ~self.there))
        ]

    @property
    def between(self):
        """Empty slots between the first row and the last."""
        return int((self.within & ~self.there).sum())


def expect(entry, recipe, faces):
    """What is expected of each symbol, price side and session set."""
    step, align = recipe["timeframe"], entry.get("align", "session")
    # What a claim covers: the slots of the clock from the first row to the last, stored or not.
    both = (rows for face in faces for rows in (face.rows, face.turned_away))
    every = pd.concat([rows[["symbol", "ts"]] for rows in both])
    bounds = every.astype({"ts": "int64"}).groupby("symbol")["ts"].agg(["min", "max"])
    out = []
    for face in faces:
        away = face.turned_away
        for symbol, rows in face.rows.groupby("symbol", sort=False):
            times = rows["ts"].to_numpy(np.int64)
            numbers = sessions.number_of(times, step)
            ends = sessions.number_of(bounds.loc[symbol, ["min", "max"]].to_numpy(np.int64), step)
            refused = away.loc[away["symbol"] == symbol, "ts"].to_numpy(np.int64)
            refused = sessions.number_of(refused, step)
            for which in entry["sessions"]:
                slots = sessions.slots(
                    entry["calendar"], step, which, align, times.min(), times.max()
                )
                there = np.isin(slots.number, numbers)
                within = (ends[0] <= slots.number) & (slots.number <= ends[1])
                away_here = np.isin(slots.number, refused)
                expected = np.isin(numbers, slots.number)
                off, several = int((~expected).sum()), int(expected.sum() - there.sum())
                known = (slots, there, within, away_here, off, several)
                out.append(Expected(symbol, face.side, which, *known))
    return out


def known(path, entry, found):
    """Raises unless what is known from elsewhere about the file is what pandas says."""
    which = entry["sessions"][0]
    missing = {e.symbol: e.between for e in found if e.which == which}
    for symbol, count in entry.get("missing", {}).items():
        if missing.get(symbol) != count:
            raise Difference(f"{symbol}: {missing.get(symbol)} slots empty, known are {count}")
    totals = {
        "all_missing": sum(missing.values()),
        "with_missing": sum(count > 0 for count in missing.values()),
    }
    for name, count in totals.items():
        if entry.get(name, count) != count:
            raise Difference(f"{name}: {count}, known are {entry[name]}")
    for hole in entries().get("hole", ()):
        if recipes.fits(path, hole):
            wanted = (hole["slots"], instant(hole["start"]), instant(hole["end"]))
            if not any(e.symbol == hole["symbol"] and wanted in e.holes() for e in found):
                raise Difference(f"{hole['symbol']}: no hole from {hole['start']} to {hole['end']}")
    for day in entries().get("day", ()):
        if recipes.fits(path, day):
            check_day(day, found)


def check_day(day, found):
    """Raises unless the session has as many slots and rows as are known."""
    start, end = instant(day["start"]), instant(day["end"])
    for e in found:
        if e.symbol == day["symbol"] and e.which == day["session"]:
            inside = (start <= e.slots.start) & (e.slots.end <= end)
            session = np.unique(e.slots.session[inside])
            of_it = np.isin(e.slots.session, session)
            counts = int(of_it.sum()), int(inside.sum()), int((e.there & inside).sum())
            wanted = day["expected"], day["expected"], day["present"]
            if counts != wanted:
                raise Difference(
                    f"{e.symbol} {day['start']} {e.which}: of the session, from start to end, and "
                    f"with a row {counts} slots, known are {wanted}"
                )


def instant(text):
    """Nanoseconds of an instant of tests/gaps.toml."""
    return pd.Timestamp(text).tz_convert("UTC").as_unit("ns").value


# --- what Barrow says ---------------------------------------------------------------------------


def ask(server, route, **query):
    """The answer as an Arrow table."""
    url = f"{server.url}/v1/{route}?{urllib.parse.urlencode(query | {'format': 'arrow'})}"
    try:
        with urllib.request.urlopen(url) as reply:
            return ipc.open_stream(io.BytesIO(reply.read())).read_all()
    except urllib.error.HTTPError as error:
        raise Difference(f"GET {url}: {error.code} {error.read().decode()[:500]}") from error


def times_of(table, name):
    """A column of times as nanoseconds."""
    return table.column(name).cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_numpy()


def texts_of(table, name):
    """A column of texts, in a dictionary or not."""
    return table.column(name).cast(pa.string()).to_pylist()


def compare(server, entry, recipe, e, complete):
    """Raises unless the server says of this symbol what pandas says."""
    query = {
        "symbols": e.symbol,
        # As nanoseconds: a bare date would be a session.
        "start": int(e.slots.start[0]),
        "end": int(e.slots.end[-1]),
        "frequency": recipe["timeframe"],
        "session": e.which,
        "align": entry.get("align", "session"),
        "price": e.side,
        "source": recipe["source"],
    }
    where = f"{e.symbol} {e.side} {e.which}" + (" --complete" if complete else "")
    table = ask(server, "gaps", **query)
    columns = (times_of(table, "start"), times_of(table, "end"), texts_of(table, "reason"))
    slots = table.column("slots").to_pylist()
    there = [(int(s), int(t), reason, n) for s, t, reason, n in zip(*columns, slots)]
    wanted = e.gaps(complete)
    for at, (mine, theirs) in enumerate(zip(wanted, there)):
        if mine != theirs:
            raise Difference(f"{where}: gap {at} is {mine}, /v1/gaps says {theirs}")
    if len(wanted) != len(there):
        raise Difference(f"{where}: {len(wanted)} gaps, /v1/gaps says {len(there)}")
    table = ask(server, "bars", **query, layer="curated", gaps="true", columns="ts,is_gap,reason")
    if table.num_rows != len(e.slots):
        raise Difference(f"{where}: {len(e.slots)} slots, /v1/bars answers {table.num_rows}")
    reasons = [REASONS[code] for code in e.reasons(complete).tolist()]
    for name, mine, theirs in (
        ("ts", e.slots.start, times_of(table, "ts")),
        ("is_gap", ~e.there, table.column("is_gap").to_pandas().to_numpy(dtype=bool)),
        ("reason", np.array(reasons), np.array(texts_of(table, "reason"))),
    ):
        if not np.array_equal(mine, theirs):
            at = int(np.argmax(mine != theirs))
            raise Difference(f"{where}: {name} of slot {at} is {mine[at]}, not {theirs[at]}")


def calendar_args(entry):
    """The options of the import that attach the calendar."""
    return [] if entry["calendar"] == "none" else ["--calendar", entry["calendar"]]


def check(barrow, path, entry, recipe, found, complete):
    """Loads one file on a fresh store, and compares it."""
    more = calendar_args(entry) + (["--complete"] if complete else [])
    recipe = recipe | {"args": recipe["args"] + more}
    folder = tempfile.TemporaryDirectory(prefix="barrow-gaps-")
    with folder, recipes.Server(barrow, folder.name) as server:
        code, out, err = recipes.run_import(barrow, server, DATA / path, recipe)
        if code != 0:
            raise Difference(f"import ended with {code}: {(err or out).strip()}")
        for e in found:
            compare(server, entry, recipe, e, complete)


# --- the command --------------------------------------------------------------------------------


LINE = "{:<52} {:>4} {:<8} {:<6} {:<8} {:>8} {:>8} {:>8} {:>8} {:>6} {:>4}  {}"


def longest(found):
    """The longest hole between two rows: its slots, where it starts and of whom."""
    holes = [(slots, start, e.symbol) for e in found for slots, start, _ in e.holes()]
    if not holes:
        return "none"
    slots, start, symbol = max(holes, key=lambda hole: hole[0])
    return f"{slots} from {moment(start)} {symbol}"


def moment(at):
    return pd.Timestamp(at).strftime("%Y-%m-%dT%H:%M:%SZ")


def show(path, entry, found):
    """A line for each session set and price side."""
    for which in entry["sessions"]:
        for side in dict.fromkeys(e.side for e in found):
            of = [e for e in found if e.which == which and e.side == side]
            expected = sum(len(e.slots) for e in of)
            missing = sum(e.missing for e in of)
            print(
                LINE.format(
                    str(path),
                    len(of),
                    entry["calendar"],
                    side,
                    which,
                    expected,
                    expected - missing,
                    missing,
                    sum(e.between for e in of),
                    sum(e.off_session for e in of),
                    sum(e.several for e in of),
                    longest(of),
                ),
                flush=True,
            )


def show_holes(found, count):
    for e in found:
        for slots, start, end in sorted(e.holes(), key=lambda hole: -hole[0])[:count]:
            where = f"{e.symbol} {e.side} {e.which}"
            print(f"    {where}: {slots} from {moment(start)} to {moment(end)}")


def main():
    parser = argparse.ArgumentParser(description="Compares gaps of real files with pandas.")
    parser.add_argument("--barrow", default=str(ROOT / "target/debug/barrow"))
    parser.add_argument("--expect-only", action="store_true", help="only what pandas says")
    parser.add_argument("--holes", type=int, default=0, help="show so many holes of each symbol")
    parser.add_argument("parts", nargs="*", help="only files whose path contains one of these")
    options = parser.parse_args()
    if not DATA.is_dir():
        print(f"SKIPPED: no real data at {DATA}")
        return 0
    if not options.expect_only and not Path(options.barrow).is_file():
        print(f"no {options.barrow}: run `cargo build -p barrow-server` or give --barrow")
        return 1
    barrow = str(Path(options.barrow).resolve())
    started, wrong, files, slots, empty = time.monotonic(), [], 0, 0, 0
    print(
        LINE.format(
            *("file", "syms", "calendar", "price", "session", "expected", "present", "missing"),
            *("between", "off", "more", "longest hole (slots)"),
        )
    )
    for path, entry, recipe in loads(options.parts):
        try:
            found = expect(entry, recipe, read(path, recipe))
            show(path, entry, found)
            show_holes(found, options.holes)
            known(path, entry, found)
            if not options.expect_only:
                for complete in (False, True):
                    check(barrow, path, entry, recipe, found, complete)
        except Difference as difference:
            wrong.append((str(path), str(difference)))
            print("    DIFFERS", flush=True)
            continue
        files += 1
        slots += sum(len(e.slots) for e in found)
        empty += sum(e.missing for e in found)
    if wrong:
        print("\nDifferences:")
        for name, message in wrong:
            print(f"  {name}: {message}")
    told = "computed" if options.expect_only else "equal to pandas, also with --complete"
    print(
        f"\n{files} loads, {slots} slots of which {empty} are empty: {told}; "
        f"{len(wrong)} differ; {time.monotonic() - started:.0f} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
