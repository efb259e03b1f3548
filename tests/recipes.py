"""Loads every file under ../shared/data/{daily,minute,ticks} and compares the store with pandas.

For each file and each recipe of tests/recipes.toml that fits it: a fresh server on an empty
folder, one `barrow import`, and then
- accepted + duplicates + corrected + superseded + rejected = rows in the file (for each price side
  that is loaded), and each of them is what pandas counts;
- over `revisions=all`, the mapped columns hold the same values as pandas reads from the file,
  less the duplicates: minimum, maximum, exact sum, nulls, and every value as a multiset;
- bars: the first and last time, where the recipe leaves no question about the time zone;
- trades and quotes: every row, in the order of time and within an instant in that of the file.
Recipes that expect a refusal must be refused with their message. A file without a recipe fails.

Run by .ci/run, or: python tests/recipes.py --barrow target/release/barrow [PART_OF_A_PATH ...]
Needs tests/requirements.txt. Ends with 1 on any difference; without the data it says so and
ends with 0.
"""

import argparse
import fnmatch
import gzip
import io
import json
import math
import re
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.parse
import urllib.request
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
FOLDERS = ("daily", "minute", "ticks")
# Columns that a row cannot be without, and columns of text.
NEEDED = ("open", "high", "low", "close", "price", "size")
TEXTS = ("venue", "conditions", "trade_id")
# A quote's prices, each with the size that goes with it.
QUOTE_SIDES = (("bid", "bid_size"), ("ask", "ask_size"))
COUNTS = ("accepted", "duplicates", "corrected", "superseded", "rejected")
# How the summary of the import writes them, where not so.
SUMMARY_WORDS = {"duplicates": "duplicate"}


class Difference(Exception):
    """What the store says is not what pandas says."""


# --- recipes ------------------------------------------------------------------------------------


def load_recipes(path):
    """The recipes, which explain themselves at the top of their file."""
    return tomllib.loads(path.read_text())["recipe"]


def data_files():
    """Every file, as paths from DATA, in order."""
    found = []
    for folder in FOLDERS:
        found.extend(p.relative_to(DATA) for p in sorted((DATA / folder).rglob("*")) if p.is_file())
    return found


def fits(path, recipe):
    """Whether the recipe is for this file; `*` in its glob also crosses folders."""
    return fnmatch.fnmatchcase(path.as_posix(), recipe["glob"].replace("**/", "*"))


def stem_part(path):
    """The file's name up to its first `_`, `-` or `.`, which some recipes take as the symbol."""
    return re.split(r"[_.-]", path.name)[0]


def argument(recipe, name):
    """The value of an option of the import, if the recipe gives it."""
    args = recipe["args"]
    return args[args.index(name) + 1] if name in args else None


# --- what pandas says ---------------------------------------------------------------------------


def faces(recipe):
    """What one import loads: the price side and its columns, for each side."""
    columns = {name: str(source) for name, source in recipe["columns"].items()}
    if "sides" not in recipe:
        return [(recipe.get("price", "trade"), columns)]
    sides = recipe["sides"].items()
    return [(side, columns | {n: str(s) for n, s in more.items()}) for side, more in sides]


def read_table(modules, path, recipe):
    """The file as it stands: text of CSV and JSON as text, typed columns as they are."""
    _, pd, _ = modules
    if path.suffix in (".parquet", ".feather"):
        from pyarrow import feather, parquet

        table = (parquet if path.suffix == ".parquet" else feather).read_table(path)
        return pd.DataFrame({name: table.column(name).to_pandas() for name in table.column_names})
    if ".json" in path.name:
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        # Numbers stay text: to be read once.
        frame = pd.DataFrame(json.loads(text, parse_float=str, parse_int=str), dtype=object)
    else:
        header = 0 if recipe["header"] else None
        frame = pd.read_csv(path, sep=recipe["sep"], header=header, dtype=str, index_col=False)
    # pandas calls a column without a name `Unnamed: 0`; without a header they are numbers.
    frame.columns = ["" if name == "Unnamed: 0" else str(name) for name in frame.columns]
    return frame


def read_file(modules, path, table, columns, recipe):
    """The mapped columns: `symbol` and `ts` as they stand, numbers as doubles, texts as text."""
    _, pd, _ = modules
    columns = dict(columns)
    symbol = columns.pop("symbol", None)
    out = pd.DataFrame(index=table.index)
    fixed = recipe["symbol"].replace("{stem-part}", stem_part(path))
    out["symbol"] = fixed if symbol is None else table[symbol]
    out["ts"] = table[str(recipe["ts"])]
    for name, source in columns.items():
        if name in TEXTS:
            out[name] = [None if pd.isna(cell) else str(cell) for cell in table[source]]
        else:
            out[name] = [number(cell, recipe.get("decimals")) for cell in table[source]]
    return out


def number(cell, decimals):
    """The nearest double, as Python's own parser defines it; NaN for what is no number."""
    try:
        if isinstance(cell, bytes):
            return float(Fraction(int.from_bytes(cell, "little", signed=True), 10**decimals))
        return math.nan if cell is None else float(cell)
    except ValueError:
        return math.nan


def expectation(np, frame, recipe):
    """Counts by outcome and the rows that must be stored, by the design's rule of identity."""
    values = [name for name in frame.columns if name not in ("symbol", "ts", *TEXTS)]
    frame = frame.copy()
    whole = frame["symbol"].notna() & frame["ts"].notna()
    for name in values:
        column = frame[name]
        whole &= ~np.isinf(column)
        if name in NEEDED:
            whole &= column.notna()
    if recipe.get("dataset") == "quotes":
        sides = [side for side in QUOTE_SIDES if side[0] in frame]
        any_side = False
        for price, size in sides:
            absent = frame[price].isna() | (frame[price] == 0)
            any_side |= ~absent
            for name in (price, size):
                if name in frame:
                    frame.loc[absent, name] = math.nan
        whole &= any_side
    counts = dict.fromkeys(COUNTS, 0)
    counts["rejected"] = int((~whole).sum())
    rows = frame[whole]
    keys = ["symbol", "ts"]
    if recipe.get("dataset", "bars") != "bars":
        keys += ["venue", "trade_id"]
        if "trade_id" not in rows:
            # Without a number rows are never matched with each other.
            counts["accepted"] = len(rows)
            return counts, rows
        if rows["trade_id"].isna().any():
            raise Difference("some trades have a number and some have none: count them apart")
    # As bits, so that -0.0 is not 0.0; every null alike.
    bits = {
        name: np.where(rows[name].isna(), np.int64(-1), rows[name].to_numpy().view(np.int64))
        for name in values
    }
    visible, keep = {}, []
    columns = [bits[name] for name in values]
    columns += [rows[name].to_numpy() for name in TEXTS if name in rows]
    for at, key in enumerate(zip(*(rows[name] for name in keys if name in rows))):
        row = tuple(column[at] for column in columns)
        known = visible.get(key)
        if known == row:
            counts["duplicates"] += 1
            keep.append(False)
            continue
        counts["accepted" if known is None else "corrected"] += 1
        visible[key] = row
        keep.append(True)
    return counts, rows[np.array(keep, dtype=bool)]


def instants(pd, times, recipe):
    """The times as UTC instants, or None where the recipe leaves more than one reading."""
    if argument(recipe, "--stamp") == "end":
        return None
    zone = argument(recipe, "--time-zone")

    def local(times):
        return times.dt.tz_localize(zone).dt.tz_convert("UTC")

    if pd.api.types.is_datetime64_any_dtype(times.dtype):
        times = times.astype(times.dtype)
        return times.dt.tz_convert("UTC") if times.dt.tz is not None else local(times)
    texts = times.astype(str)
    sample = texts.iloc[0]
    if recipe.get("timeframe") in ("1d", "1w"):
        try:
            return pd.to_datetime(texts.str.slice(0, 10), format="%Y-%m-%d", utc=True)
        except ValueError:
            return None
    try:
        if sample.isdigit() and len(sample) in (10, 13, 16, 19):
            unit = {10: "s", 13: "ms", 16: "us", 19: "ns"}[len(sample)]
            return pd.to_datetime(texts.astype("int64"), unit=unit, utc=True)
        if re.search(r"(Z|[+-]\d\d:?\d\d)$", sample):
            return pd.to_datetime(texts, format="ISO8601", utc=True)
        if zone is None:
            return None
        if re.fullmatch(r"\d{8} \d{9}", sample):
            return local(pd.to_datetime(texts, format="%Y%m%d %H%M%S%f"))
        if not re.match(r"\d{4}-\d\d-\d\d[ T]\d", sample):
            return None
        return local(pd.to_datetime(texts, format="ISO8601"))
    except ValueError:
        return None


# --- what Barrow says ---------------------------------------------------------------------------


class Server:
    """A `barrow serve` on an empty folder, for as long as the `with` lasts."""

    def __init__(self, barrow, folder):
        self.log = open(Path(folder) / "server.log", "w+")
        command = [barrow, "serve", "--data", str(Path(folder) / "data"), "--http", "127.0.0.1:0"]
        command += ["--feed", "127.0.0.1:0"]
        self.process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        for line in self.process.stdout:
            found = re.match(r"ready\b.*\bhttp=(\S+)", line)
            if found:
                self.url = "http://" + found.group(1).removeprefix("http://")
                feed = re.search(r"\bfeed=(\S+)", line)
                self.feed = feed.group(1) if feed else None
                return
        self.log.seek(0)
        raise SystemExit(f"`barrow serve` ended before it was ready:\n{self.log.read()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def rows(self, ipc, symbols, recipe, side):
        """All stored rows of these symbols as one Arrow table."""
        dataset = recipe.get("dataset", "bars")
        query = {
            "symbols": ",".join(symbols),
            "start": "1900-01-01T00:00:00Z",
            "end": "2200-01-01T00:00:00Z",
            "layer": "raw",
            "revisions": "all",
            "format": "arrow",
        }
        if dataset == "bars":
            query |= {"frequency": recipe["timeframe"], "price": side}
        url = f"{self.url}/v1/{dataset}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url) as reply:
                return ipc.open_stream(io.BytesIO(reply.read())).read_all()
        except urllib.error.HTTPError as error:
            raise Difference(f"GET {url}: {error.code} {error.read().decode()[:500]}") from error


def run_import(barrow, server, path, recipe):
    """Exit code, standard output and standard error of the import."""
    args = [arg.replace("{stem-part}", stem_part(path)) for arg in recipe["args"]]
    command = [barrow, "import", str(path), *args, "--server", server.url]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def summary(text):
    """The numbers of the import's summary."""
    found = {}
    for name in ("read", *COUNTS):
        word = SUMMARY_WORDS.get(name, name)
        hit = re.search(rf"^{word} +([\d,]+)$", text, re.MULTILINE)
        if hit is None:
            raise Difference(f"no {name} in the summary:\n{text}")
        found[name] = int(hit.group(1).replace(",", ""))
    return found


# --- the comparison -----------------------------------------------------------------------------


def compare_column(np, name, file, store):
    """Raises if the two columns differ as multisets; says where in the words of the check."""
    file, store = np.sort(file[~np.isnan(file)]), np.sort(store[~np.isnan(store)])
    for what, of in (("values", len), ("exact sum", math.fsum)):
        mine, theirs = of(file), of(store)
        if mine != theirs:
            raise Difference(f"{name}: {what} {mine!r} in the file, {theirs!r} in the store")
    for what, at in (("minimum", 0), ("maximum", -1)):
        if len(file) and file[at] != store[at]:
            raise Difference(f"{name}: {what} {file[at]!r} in the file, {store[at]!r} in the store")
    if not np.array_equal(file, store):
        at = int(np.argmax(file != store))
        raise Difference(f"{name}: {file[at]!r} in the file, {store[at]!r} in the store")


def compare_ticks(np, times, stored, table):
    """Raises unless the store has exactly these rows, in the order of their times."""
    there = table.column("ts").to_pandas().astype("datetime64[ns, UTC]").astype("int64").to_numpy()
    order = np.argsort(times, kind="stable")
    if not np.array_equal(times[order], there):
        at = int(np.argmax(times[order] != there))
        raise Difference(f"ts {at}: {times[order][at]} in the file, {there[at]} in the store")
    for name in stored.columns.drop(["ts"]):
        file, store = stored[name].to_numpy()[order], table.column(name)
        if name in TEXTS or name == "symbol":
            same = file.tolist() == store.to_pylist()
        else:
            store = store.to_pandas().to_numpy(dtype="float64", na_value=np.nan)
            same = np.array_equal(file, store, equal_nan=True)
        if not same:
            raise Difference(f"{name}: the rows are not in the order of the file")


def compare(modules, server, stored, recipe, side):
    """Raises unless the store holds these rows; says whether times were compared."""
    np, pd, ipc = modules
    symbols = sorted(stored["symbol"].unique())
    table = server.rows(ipc, symbols, recipe, side)
    if table.num_rows != len(stored):
        raise Difference(f"{len(stored)} rows to store, {table.num_rows} in the store")
    for name in stored.columns.drop(["symbol", "ts"]):
        if name not in TEXTS:
            store = table.column(name).to_pandas().to_numpy(dtype="float64", na_value=np.nan)
            compare_column(np, name, stored[name].to_numpy(), store)
    times = instants(pd, stored["ts"], recipe)
    if recipe.get("dataset", "bars") != "bars":
        if stored["symbol"].nunique() != 1:
            raise Difference("ticks of several symbols: their order is not compared, so add it")
        nanos = times.astype("datetime64[ns, UTC]").astype("int64").to_numpy()
        compare_ticks(np, nanos, stored, table)
        return True
    if times is None or not len(stored):
        return False
    store = table.column("ts").to_pandas()
    file, there = (times.min(), times.max()), (store.min(), store.max())
    if file != there:
        raise Difference(f"ts from {file[0]} to {file[1]}, in the store {there[0]}, {there[1]}")
    return True


def check_load(modules, barrow, server, path, recipe):
    """Imports and compares; returns the summary."""
    np = modules[0]
    code, out, err = run_import(barrow, server, path, recipe)
    if code != 0:
        raise Difference(f"import ended with {code}: {(err or out).strip()}")
    found = summary(out)
    whole = read_table(modules, path, recipe)
    sides = faces(recipe)
    rows, total = len(whole) * len(sides), sum(found[name] for name in COUNTS)
    if total != rows or found["read"] != rows:
        raise Difference(f"{rows} rows in the file, read {found['read']}, counted {total}")
    counts, timed = dict.fromkeys(COUNTS, 0), True
    for side, columns in sides:
        frame = read_file(modules, path, whole, columns, recipe)
        of_side, stored = expectation(np, frame, recipe)
        counts = {name: counts[name] + of_side[name] for name in COUNTS}
        timed &= compare(modules, server, stored, recipe, side)
    wrong = {name: (counts[name], found[name]) for name in COUNTS if counts[name] != found[name]}
    if wrong:
        raise Difference(f"counts (pandas, barrow): {wrong}")
    if timed:
        found["times"] = True
    return found


def check_refusal(barrow, server, path, recipe):
    """Imports, expects to be refused; returns the message."""
    code, out, err = run_import(barrow, server, path, recipe)
    message = " ".join(err.replace(f"{DATA}/", "").split())
    if code != 2:
        raise Difference(f"ended with {code}, the recipe expects a refusal: {out.strip()} {message}")
    if recipe["message"] not in message:
        raise Difference(f"refused with {message!r}, not with {recipe['message']!r}")
    return message


def check(modules, barrow, path, recipe):
    """One file by one recipe on a fresh store."""
    with tempfile.TemporaryDirectory(prefix="barrow-recipes-") as folder:
        with Server(barrow, folder) as server:
            if recipe["expect"] == "refuse":
                return check_refusal(barrow, server, DATA / path, recipe)
            return check_load(modules, barrow, server, DATA / path, recipe)


def show(path, recipe):
    price = recipe.get("price") or ",".join(recipe.get("sides", ()))
    return f"{path} ({price})" if price else str(path)


def main():
    parser = argparse.ArgumentParser(description="Compares imports of real files with pandas.")
    parser.add_argument("--barrow", default=str(ROOT / "target/debug/barrow"))
    parser.add_argument("parts", nargs="*", help="only files whose path contains one of these")
    options = parser.parse_args()
    if not DATA.is_dir():
        print(f"SKIPPED: no real data at {DATA}")
        return 0
    if not Path(options.barrow).is_file():
        print(f"no {options.barrow}: run `cargo build -p barrow-server` or give --barrow")
        return 1
    import numpy as np
    import pandas as pd
    from pyarrow import ipc

    modules = (np, pd, ipc)
    barrow = str(Path(options.barrow).resolve())
    recipes = load_recipes(ROOT / "tests" / "recipes.toml")
    started = time.monotonic()
    loaded, refused, wrong, rows, timed = 0, [], [], 0, 0
    line = "{:<62} {:>8} {:>8} {:>6} {:>6} {:>6} {:>6} {}"
    print(line.format("file", "rows", "accept", "dup", "corr", "super", "reject", ""))
    for path in data_files():
        if options.parts and not any(part in str(path) for part in options.parts):
            continue
        fitting = [recipe for recipe in recipes if fits(path, recipe)]
        if not fitting:
            wrong.append((str(path), "no recipe in tests/recipes.toml: add one"))
        for recipe in fitting:
            name = show(path, recipe)
            try:
                found = check(modules, barrow, path, recipe)
            except Difference as difference:
                wrong.append((name, str(difference)))
                print(line.format(name, *[""] * 6, "DIFFERS"), flush=True)
                continue
            if recipe["expect"] == "refuse":
                refused.append((name, found))
                print(line.format(name, *[""] * 6, "refused, rightly"), flush=True)
                continue
            loaded += 1
            rows += found["read"]
            timed += "times" in found
            numbers = [found["read"], *(found[count] for count in COUNTS)]
            print(line.format(name, *numbers, "ok"), flush=True)
    if refused:
        print("\nRefused, as the recipes say:")
        for name, message in refused:
            print(f"  {name}: {message}")
    if wrong:
        print("\nDifferences:")
        for name, message in wrong:
            print(f"  {name}: {message}")
    seconds = time.monotonic() - started
    print(
        f"\n{loaded} loads of {rows} rows equal to pandas ({timed} with first and last time), "
        f"{len(refused)} refused, {len(wrong)} differ; {seconds:.0f} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
