"""Sessions of exchanges as programs of others know them, and the slots that are expected in them.

Shares no code with Barrow: sessions come from exchange_calendars, for CME products from
pandas_market_calendars, for FX and crypto from the clocks of New York and UTC; slots are computed
with numpy as docs/CURATION.md, "Slots", says. Used by tests/gaps.py and tests/quality.py.

A calendar is a table of arrays, one entry a session, in order:
- date: days since 1970
- open, close: regular hours, nanoseconds since 1970
- break_start, break_end: NONE for no break
- pre_open, post_close: extended hours; open and close where the venue has no more

What the oracles do not say and is taken here: extended hours of US equities are 04:00 to 20:00
in New York, on early closes to four hours after the close (13:00: to 17:00). An FX day is 17:00
to 17:00 in New York, Monday to Friday, without holidays. A crypto day is a day of UTC.
"""

import functools

import numpy as np
import pandas as pd

NONE = np.iinfo(np.int64).min
HOUR = 3_600_000_000_000
DAY = 24 * HOUR
# Steps below a day, in nanoseconds.
STEPS = {
    "1s": HOUR // 3600,
    "1m": HOUR // 60,
    "5m": HOUR // 12,
    "15m": HOUR // 4,
    "30m": HOUR // 2,
    "1h": HOUR,
    "4h": 4 * HOUR,
}
# The range of dates that is asked of the oracles.
FIRST, LAST = "1994-01-01", "2026-12-31"
# Where exchange_calendars begins later.
BEGINS = {"XTKS": "1997-01-01"}
NEW_YORK = "America/New_York"
# XNYS as Lean has it until 2008: days on which it closed early go on to 16:00.
WHOLE = "XNYS with whole days until 2008"
# How pandas_market_calendars calls the calendars that are asked of it.
CME = {"CMES": "CME Globex Equity"}


def nanos(times):
    """Nanoseconds since 1970 of times with or without a zone (then UTC); NONE for none."""
    index = pd.DatetimeIndex(times)
    index = index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")
    return np.where(index.isna(), NONE, index.as_unit("ns").asi8)


def local(dates, hours, zone):
    """That hour of those dates (naive midnights) on the clocks of the zone, as nanoseconds."""
    return nanos((dates + pd.Timedelta(hours=hours)).tz_localize(zone))


@functools.cache
def calendar(name):
    """The sessions of the calendar; of `none` every day of UTC, whole."""
    days = pd.date_range(FIRST, LAST)
    if name == WHOLE:
        whole = calendar("XNYS").copy()
        whole["close"] = whole["close"].copy()
        early = early_until_2008()
        whole["close"][early] = local(dates(whole["date"][early]), 16, NEW_YORK)
        return whole
    if name in ("none", "CRYPTO"):
        return table(days, nanos(days), nanos(days) + DAY)
    if name == "FX":
        days = days[days.dayofweek < 5]
        eve = local(days - pd.Timedelta(days=1), 17, NEW_YORK)
        return table(days, eve, local(days, 17, NEW_YORK))
    if name in CME:
        import pandas_market_calendars

        found = pandas_market_calendars.get_calendar(CME[name]).schedule(FIRST, LAST)
        names = [n for n in ("market_open", "market_close", "break_start", "break_end")]
    else:
        import exchange_calendars

        begin = BEGINS.get(name, FIRST)
        found = exchange_calendars.get_calendar(name, start=begin, end=LAST).schedule
        names = ["open", "close", "break_start", "break_end"]
    out = table(found.index, *(nanos(found[n]) for n in names if n in found))
    if name in ("XNYS", "XNAS"):
        early = out["close"] < local(found.index, 16, NEW_YORK)
        out["pre_open"] = local(found.index, 4, NEW_YORK)
        out["post_close"] = np.where(
            early, out["close"] + 4 * HOUR, local(found.index, 20, NEW_YORK)
        )
    return out


def early_until_2008():
    """The places of the sessions of XNYS that closed early, until 2008."""
    known = calendar("XNYS")
    close = local(dates(known["date"]), 16, NEW_YORK)
    return np.flatnonzero((known["close"] < close) & (dates(known["date"]) < "2009-01-01"))


def dates(days):
    """Midnights of days since 1970."""
    return pd.DatetimeIndex(days.astype("datetime64[D]"))


def table(days, begin, end, break_start=None, break_end=None):
    """A calendar without more than regular hours."""
    none = np.full(len(days), NONE)
    return {
        "date": nanos(days) // DAY,
        "open": begin,
        "close": end,
        "break_start": none if break_start is None else break_start,
        "break_end": none if break_end is None else break_end,
        "pre_open": begin,
        "post_close": end,
    }


def hours(sessions, which):
    """Begin and end of each session of the set `regular` or `extended`."""
    if which == "regular":
        return sessions["open"], sessions["close"]
    return sessions["pre_open"], sessions["post_close"]


class Slots:
    """Expected slots, in order: number, start, end, the place of their session, and when they
    begin: at their start, or with their session."""

    def __init__(self, number, start, end, session, begin):
        self.number, self.start, self.end = number, start, end
        self.session, self.begin = session, begin

    def __len__(self):
        return len(self.number)

    def take(self, keep):
        columns = (self.number, self.start, self.end, self.session, self.begin)
        return Slots(*(column[keep] for column in columns))


def number_of(times, step):
    """The slot in which each time lies; dated rows stand at midnight of a date of theirs."""
    if step in STEPS:
        return times // STEPS[step]
    date = times // DAY
    if step == "1d":
        return date
    # Weeks begin on Mondays; 1970-01-05 was one.
    return (date - 4) // 7 if step == "1w" else months(date)


def months(date):
    """Months since 1970-01 of days since 1970."""
    return date.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def slots(name, step, which, align, first, last):
    """The expected slots from the session of the row at `first` to that of the row at `last`.

    A row outside every session stands for the next session, at the end for the one before.
    """
    sessions = calendar(name)
    if step not in STEPS:
        number = number_of(sessions["date"] * DAY, step)
        low, high = number_of(np.array([first, last]), step)
        return dated(sessions, number, (low <= number) & (number <= high))
    size = STEPS[step]
    begin, end = hours(sessions, which)
    # A bucket on the clock may begin before its session does.
    base = begin if align == "session" else begin // size * size
    places = np.flatnonzero((end > first) & (base <= last))
    if len(places) and places[0] and end[places[0] - 1] > base[places[0]]:
        # The first bucket is also of the session before.
        places = np.r_[places[0] - 1, places]
    begin, end, base = begin[places], end[places], base[places]
    count = -((base - end) // size)
    k = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    session = np.repeat(places, count)
    start = np.repeat(base, count) + k * size
    low = np.maximum(start, np.repeat(begin, count))
    high = np.minimum(start + size, np.repeat(end, count))
    break_start, break_end = sessions["break_start"][session], sessions["break_end"][session]
    closed = (break_start != NONE) & (break_start <= low) & (high <= break_end)
    found = Slots(start // size, start, high, session, low).take(~closed)
    # Of two sessions that share a slot the earlier has it, until the later's share ends.
    later = np.flatnonzero(found.number[1:] == found.number[:-1]) + 1
    found.end[later - 1] = found.end[later]
    return found.take(~np.isin(np.arange(len(found)), later))


def dated(sessions, number, wanted):
    """One slot for each day, week or month that has a session: first open to last close."""
    first = np.flatnonzero(np.r_[True, number[1:] != number[:-1]])
    last = np.r_[first[1:], len(number)] - 1
    begin, end = sessions["open"][first], sessions["close"][last]
    all_slots = Slots(number[first], begin, end, first, begin)
    return all_slots.take(wanted[first])


def dates_of(name, times):
    """The session date of each row, by extended hours; of a row outside them the date of UTC."""
    sessions = calendar(name)
    begin, end = hours(sessions, "extended")
    at = np.minimum(np.searchsorted(end, times, side="right"), len(end) - 1)
    inside = (begin[at] <= times) & (times < end[at])
    return np.where(inside, sessions["date"][at], times // DAY)


def runs(places):
    """First and last of each run of consecutive places; they come sorted."""
    if not len(places):
        return []
    cut = np.flatnonzero(np.diff(places) != 1)
    return list(zip(places[np.r_[0, cut + 1]], places[np.r_[cut, len(places) - 1]]))
