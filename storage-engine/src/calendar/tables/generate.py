"""Makes the embedded calendars, XNYS.txt and so on beside this file, from what others know.

Run: python generate.py          writes the tables
     python generate.py --check  writes nothing; ends with 1 if a table would change

Needs requirements.txt beside it. The same versions give the same bytes. The form of the tables is
described in storage-engine/src/calendar/table.rs; that the server says what the oracles say is
tests/calendars.py's to prove, which shares no code with this program.

| calendar | sessions, opens, closes and breaks from |
|---|---|
| XNYS, XLON, XTKS, XHKG | exchange_calendars |
| XNAS | exchange_calendars' XNYS, for which NASDAQ is another name there |
| CMES | pandas_market_calendars' "CME Globex Equity" |
| FX | dates of exchange_calendars' "24/5"; 17:00 New York of the day before to 17:00 of the date |
| CRYPTO | dates of exchange_calendars' "24/7"; 00:00 to 24:00 UTC |

Where the two libraries differ, and what was chosen, is in docs/decisions/0015-calendars.md.

Hours outside open to close: XNYS and XNAS trade from 04:00 to 20:00 New York, to 17:00 after a
close at 13:00, and not at all after one at 14:00 (before 1993), as pandas_market_calendars has it.
Neither library knows such hours of the others.

A table covers 1990-01-01 to 2035-12-31, or as much of it as the oracle knows.
"""

import argparse
import importlib.metadata
import string
import sys
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo, reset_tzpath

import exchange_calendars
import pandas_market_calendars

# Zones from the package tzdata, whose version is pinned, and never from the system.
reset_tzpath(to=[])

FIRST, LAST = date(1990, 1, 1), date(2035, 12, 31)
# Higher whenever a table says something else than before.
VERSION = 1
HERE = Path(__file__).resolve().parent
LETTERS = string.ascii_lowercase + string.ascii_uppercase + string.digits
NEW_YORK = ZoneInfo("America/New_York")


def version_of(library):
    """`exchange_calendars 4.13.2`."""
    return f"{library} {importlib.metadata.version(library)}"


def minutes(instant, session):
    """Whole minutes from 00:00 UTC of the session's date; None stays None."""
    if instant is None or instant != instant:
        return None
    instant = instant.astimezone(timezone.utc)
    midnight = datetime.combine(session, time(), timezone.utc)
    whole, rest = divmod(instant - midnight, timedelta(minutes=1))
    if rest:
        raise SystemExit(f"{session}: {instant} is not a whole minute")
    return whole


def local(session, hour, zone, days=0):
    """An hour of a zone's clock on a session's date, or some days from it."""
    return datetime.combine(session + timedelta(days=days), time(hour), zone)


def shape(session, opens, closes, pause=(None, None), outer=None, kind=None):
    """The words of a `shape` line, without its letter."""
    words = [minutes(opens, session), minutes(closes, session)]
    pause = [minutes(at, session) for at in pause]
    if None not in pause:
        words += ["break", *pause]
    if outer is not None:
        words += ["extended", *(minutes(at, session) for at in outer)]
    if kind is not None:
        words.append(kind)
    return " ".join(map(str, words))


def kind_of(session, early, late):
    if session in early:
        return "early_close"
    return "late_open" if session in late else None


def bounded(name):
    """exchange_calendars' calendar of that name over as much of the range as it knows."""
    known = exchange_calendars.get_calendar(name)
    first = FIRST if known.bound_min() is None else max(FIRST, known.bound_min().date())
    last = LAST if known.bound_max() is None else min(LAST, known.bound_max().date())
    return first, last, exchange_calendars.get_calendar(name, start=str(first), end=str(last))


def extended(session, closes, early):
    """From 04:00 New York; to 20:00, or to 17:00 after a close at 13:00."""
    ends = local(session, 20, NEW_YORK)
    if session in early:
        at_one = closes == local(session, 13, NEW_YORK)
        ends = local(session, 17, NEW_YORK) if at_one else closes
    return local(session, 4, NEW_YORK), ends


def exchange(name, has_extended=False):
    """A venue as exchange_calendars knows it."""
    first, last, calendar = bounded(name)
    early = {at.date() for at in calendar.early_closes}
    late = {at.date() for at in calendar.late_opens}
    shapes = {}
    for row in calendar.schedule.itertuples():
        session, closes = row.Index.date(), row.close.to_pydatetime()
        outer = extended(session, closes, early) if has_extended else None
        pause = (row.break_start.to_pydatetime(), row.break_end.to_pydatetime())
        opens = row.open.to_pydatetime()
        kind = kind_of(session, early, late)
        shapes[session] = shape(session, opens, closes, pause, outer, kind)
    return first, last, shapes


def globex():
    """CME's equity futures as pandas_market_calendars knows them."""
    calendar = pandas_market_calendars.get_calendar("CME Globex Equity")
    schedule = calendar.schedule(str(FIRST), str(LAST))
    early = {at.date() for at in calendar.early_closes(schedule).index}
    late = {at.date() for at in calendar.late_opens(schedule).index}
    shapes = {}
    for row in schedule.itertuples():
        session, kind = row.Index.date(), kind_of(row.Index.date(), early, late)
        opens, closes = row.market_open.to_pydatetime(), row.market_close.to_pydatetime()
        shapes[session] = shape(session, opens, closes, kind=kind)
    return FIRST, LAST, shapes


def round_the_clock(name, opens, closes):
    """The dates of one of exchange_calendars' calendars without holidays, with these hours."""
    first, last, calendar = bounded(name)
    sessions = [at.date() for at in calendar.sessions]
    return first, last, {at: shape(at, opens(at), closes(at)) for at in sessions}


def calendars():
    """Each table: name, zone, oracle, first and last date, shapes by date."""
    exchanges, markets = version_of("exchange_calendars"), version_of("pandas_market_calendars")
    utc, evening = timezone.utc, lambda at, days=0: local(at, 17, NEW_YORK, days)
    yield "XNYS", "America/New_York", exchanges, *exchange("XNYS", has_extended=True)
    yield "XNAS", "America/New_York", exchanges, *exchange("NASDAQ", has_extended=True)
    yield "XLON", "Europe/London", exchanges, *exchange("XLON")
    yield "XTKS", "Asia/Tokyo", exchanges, *exchange("XTKS")
    yield "XHKG", "Asia/Hong_Kong", exchanges, *exchange("XHKG")
    yield "CMES", "America/Chicago", markets, *globex()
    days = round_the_clock("24/5", lambda at: evening(at, -1), evening)
    yield "FX", "America/New_York", exchanges, *days
    days = round_the_clock("24/7", lambda at: local(at, 0, utc), lambda at: local(at, 0, utc, 1))
    yield "CRYPTO", "UTC", exchanges, *days


def text_of(name, zone, oracle, first, last, shapes):
    """A table as it stands in its file."""
    letters = dict(zip(dict.fromkeys(shapes[at] for at in sorted(shapes)), LETTERS))
    used = set(shapes.values())
    if len(used) > len(LETTERS):
        raise SystemExit(f"{name}: {len(used)} shapes, and {len(LETTERS)} letters")
    lines = [
        "# Made by generate.py: change that, not this.",
        f"calendar {name}",
        f"zone {zone}",
        f"version {VERSION}",
        f"oracle {oracle}",
        f"covers {first} {last}",
        *(f"shape {letter} {words}" for words, letter in letters.items()),
    ]
    month = first.replace(day=1)
    while month <= last:
        following = (month + timedelta(days=31)).replace(day=1)
        dates = (month + timedelta(days=day) for day in range((following - month).days))
        days = "".join(letters[shapes[at]] if at in shapes else "." for at in dates)
        lines.append(f"{month:%Y-%m} {days}")
        month = following
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description="Makes the embedded calendars.")
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    options = parser.parse_args()
    changed = []
    for name, *rest in calendars():
        path, text = HERE / f"{name}.txt", text_of(name, *rest)
        same = path.is_file() and path.read_text() == text
        changed += [] if same else [name]
        if not options.check:
            path.write_text(text)
        outcome = "same" if same else "CHANGED"
        print(f"{name}: {len(rest[-1])} sessions, {rest[2]} to {rest[3]}, {outcome}")
    return 1 if options.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
