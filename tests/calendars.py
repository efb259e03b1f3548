"""Compares the calendars that a server answers with the oracles, day by day.

For each calendar of `/v1/calendars` and each date from 1990-01-01 to 2035-12-31 that its oracle
knows: whether there is a session, its open, its close, start and end of its break, whether it
closes early or opens late, and what is traded before the open and after the close. The oracles, and
why these: docs/decisions/0015-calendars.md. The hours of FX and crypto days have none but their
definition, which is computed here on its own.

Run by .ci/run, or: python tests/calendars.py --barrow target/release/barrow [NAME ...]
Needs storage-engine/src/calendar/tables/requirements.txt. Ends with 1 on any difference.
"""

import argparse
import csv
import io
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parent.parent
FIRST, LAST = date(1990, 1, 1), date(2035, 12, 31)
# Differences of a calendar that are shown; all are counted.
SHOWN_MAX = 10
TIMES = ("open", "close", "break_start", "break_end", "pre_open", "post_close")
NEW_YORK = ZoneInfo("America/New_York")


class Server:
    """A `barrow serve` on an empty folder, for as long as the `with` lasts."""

    def __init__(self, barrow, folder):
        command = [barrow, "serve", "--data", str(Path(folder) / "data"), "--http", "127.0.0.1:0"]
        command += ["--feed", "127.0.0.1:0"]
        self.process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for line in self.process.stdout:
            found = re.match(r"ready\b.*\bhttp=(\S+)", line)
            if found:
                self.url = "http://" + found.group(1).removeprefix("http://")
                return
        raise SystemExit("`barrow serve` ended before it was ready")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def table(self, path):
        """The rows of a CSV answer; what is empty is None."""
        with urllib.request.urlopen(self.url + path) as answer:
            rows = csv.DictReader(io.StringIO(answer.read().decode()))
            return [{name: cell or None for name, cell in row.items()} for row in rows]


def answered(server, name):
    """By date what the server says: TIMES and kind."""
    path = f"/v1/calendars/{name}/sessions?start={FIRST}&end={LAST + timedelta(days=1)}&format=csv"
    instant = lambda cell: cell and datetime.fromisoformat(cell)
    return {
        date.fromisoformat(row["session"]): (
            *(instant(row[column]) for column in TIMES),
            row["kind"],
        )
        for row in server.table(path)
    }


def by_columns(schedule, columns, early, late):
    """A schedule of pandas as `answered` gives it."""
    import pandas as pd

    early, late = ({at.date() for at in dates} for dates in (early, late))
    found = {}
    for at, row in schedule.iterrows():
        cells = [row[column] if column in schedule else None for column in columns]
        times = [None if pd.isna(cell) else cell.to_pydatetime() for cell in cells]
        session = at.date()
        kind = "late_open" if session in late else "regular"
        # Nothing is traded before the open and after the close.
        around = times[0], times[1]
        found[session] = (*times, *around, "early_close" if session in early else kind)
    return found


def exchange(name):
    """First and last date that exchange_calendars knows, and its sessions."""
    import exchange_calendars

    bounds = exchange_calendars.get_calendar(name)
    first = max(FIRST, bounds.bound_min().date()) if bounds.bound_min() else FIRST
    last = min(LAST, bounds.bound_max().date()) if bounds.bound_max() else LAST
    calendar = exchange_calendars.get_calendar(name, start=str(first), end=str(last))
    columns = ("open", "close", "break_start", "break_end")
    early, late = calendar.early_closes, calendar.late_opens
    return first, last, by_columns(calendar.schedule, columns, early, late)


def globex():
    """CME's equity futures by pandas_market_calendars."""
    import pandas_market_calendars

    calendar = pandas_market_calendars.get_calendar("CME Globex Equity")
    schedule = calendar.schedule(str(FIRST), str(LAST))
    columns = ("market_open", "market_close", "break_start", "break_end")
    early, late = calendar.early_closes(schedule).index, calendar.late_opens(schedule).index
    return FIRST, LAST, by_columns(schedule, columns, early, late)


def new_york():
    """NYSE by exchange_calendars, with the hours around it by pandas_market_calendars, whose
    NYSE opens later or closes at another time on some days, and so says nothing of these."""
    import pandas_market_calendars

    first, last, found = exchange("XNYS")
    calendar = pandas_market_calendars.get_calendar("NYSE")
    around = calendar.schedule(str(first), str(last), market_times="all")
    around.index = [at.date() for at in around.index]
    for day, (opens, closes, *pause, _, _, kind) in found.items():
        row = around.loc[day]
        hours = (row["pre"].to_pydatetime(), row["post"].to_pydatetime())
        if (opens, closes) != (row["market_open"], row["market_close"]):
            evening = 20 if kind == "regular" else 17
            hours = (
                datetime(day.year, day.month, day.day, hour, tzinfo=NEW_YORK)
                for hour in (4, evening)
            )
        found[day] = (opens, closes, *pause, *hours, kind)
    return first, last, found


def defined(name, hours):
    """Sessions on the dates that exchange_calendars has, with the open and close of `hours`."""
    first, last, sessions = exchange(name)
    times = {day: hours(day) for day in sessions}
    whole = {day: (*found, None, None, *found, "regular") for day, found in times.items()}
    return first, last, whole


def fx_day(day):
    """17:00 New York of the day before to 17:00 New York."""
    days = day - timedelta(days=1), day
    return tuple(datetime(at.year, at.month, at.day, 17, tzinfo=NEW_YORK) for at in days)


def crypto_day(day):
    """Midnight to midnight, UTC."""
    opens = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
    return opens, opens + timedelta(days=1)


ORACLES = {
    "CMES": globex,
    "CRYPTO": lambda: defined("24/7", crypto_day),
    "FX": lambda: defined("24/5", fx_day),
    "XHKG": lambda: exchange("XHKG"),
    "XLON": lambda: exchange("XLON"),
    # NASDAQ keeps the days and hours of NYSE.
    "XNAS": new_york,
    "XNYS": new_york,
    "XTKS": lambda: exchange("XTKS"),
}


def show(session):
    if session is None:
        return "no session"
    *times, kind = session
    clock = lambda at: at.astimezone(timezone.utc).strftime("%m-%dT%H:%M:%SZ") if at else "-"
    return " ".join([*map(clock, times), kind])


def compare(name, server):
    """Prints what there is to say of one calendar; returns days compared and differences."""
    first, last, oracle = ORACLES[name]()
    ours = answered(server, name)
    days = [first + timedelta(days=day) for day in range((last - first).days + 1)]
    differ = [day for day in days if oracle.get(day) != ours.get(day)]
    # What lies outside the oracle's range must not be answered at all.
    beyond = sorted(day for day in ours if not first <= day <= last)
    short = sum(session[-1] != "regular" for session in oracle.values())
    print(
        f"{name:<7} {first} to {last}: {len(days)} days, {len(oracle)} sessions, "
        f"{short} of them short: {len(differ) + len(beyond)} differ",
        flush=True,
    )
    for day in (differ + beyond)[:SHOWN_MAX]:
        print(f"  {day}: oracle {show(oracle.get(day))}, barrow {show(ours.get(day))}")
    return len(days), len(differ) + len(beyond)


def main():
    parser = argparse.ArgumentParser(description="Compares calendars with their oracles.")
    parser.add_argument("--barrow", default=str(ROOT / "target/debug/barrow"))
    parser.add_argument("names", nargs="*", help="only these calendars")
    options = parser.parse_args()
    if not Path(options.barrow).is_file():
        print(f"no {options.barrow}: run `cargo build -p barrow-server` or give --barrow")
        return 1
    started, days, differences = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory(prefix="barrow-calendars-") as folder:
        with Server(str(Path(options.barrow).resolve()), folder) as server:
            names = [row["name"] for row in server.table("/v1/calendars?format=csv")]
            unknown = sorted(set(names) ^ set(ORACLES))
            if unknown:
                print(f"calendars with an oracle and those of the server differ: {unknown}")
                return 1
            for name in names:
                if not options.names or name in options.names:
                    compared, differ = compare(name, server)
                    days, differences = days + compared, differences + differ
    seconds = time.monotonic() - started
    print(f"\n{days} days compared, {differences} differ; {seconds:.0f} s")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
