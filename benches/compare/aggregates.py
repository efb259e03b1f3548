"""Asks another system, in process, for the bars that Barrow makes; prints figures as peer.py.

    aggregates.py duckdb|chdb|polars|arcticdb load --arrow BARS --ticks TICKS --db DIR
    aggregates.py duckdb|chdb|polars|arcticdb hours|hour|all|minutes --db DIR [--seconds 2]

- hours: 1h bars, aligned with the session, of all symbols and sessions from 1-minute bars
- hour: the same of one symbol
- all: 5m, 15m, 30m, 1h, 4h and 1d bars of all symbols, each made once and stored durably
- minutes: 1-minute bars from all trades

A bar is what Barrow's is: first, greatest, least, last, sum of volume, vwap by volume, sum of
trades. DuckDB and chDB hold the rows as in peer.py; Polars reads a Parquet file (zstd) in order of
symbol and time; ArcticDB holds a symbol of its own for each, in LMDB. Answers are fetched as Arrow
tables, from ArcticDB as frames of pandas. `check` is the sum of all closes: of all systems alike.
"""

import argparse
import os
import shutil
import time

import pyarrow as pa
from peer import MINUTE, NANOS, OPEN, ChDb, DuckDb, cpu, figure, read

HOUR = 60 * MINUTE
STEPS = {"5m": 5 * MINUTE, "15m": 15 * MINUTE, "30m": 30 * MINUTE, "1h": HOUR, "4h": 4 * HOUR,
         "1d": 24 * HOUR}
# Sessions begin at that time of every day, so buckets do.
ORIGIN = OPEN % (24 * HOUR)


def buckets(step, sessions):
    """How many buckets of a session hold a minute of it."""
    return -(-390 * MINUTE // STEPS[step]) * sessions


class Sql:
    """What DuckDB and chDB have in common."""

    def load(self, bars, ticks):
        self.ingest(bars)
        self.ingest_ticks(ticks)
        self.rest()

    def of_bars(self, step, where=""):
        return (
            f"SELECT symbol, {self.bucket(STEPS[step])} AS bucket, {self.first('open')} AS o, "
            f"max(high) AS h, min(low) AS l, {self.last('close')} AS c, sum(volume) AS v, "
            "sum(vwap * volume) / sum(volume) AS w, sum(trades) AS n "
            f"FROM bars {where} GROUP BY symbol, bucket"
        )

    def hours(self):
        return self.table(f"{self.of_bars('1h')} ORDER BY symbol, bucket")

    def hour(self, symbol):
        bars = self.of_bars("1h", f"WHERE symbol = '{symbol}'")
        return self.table(f"{bars} ORDER BY bucket")

    def minutes(self):
        return self.table(
            f"SELECT symbol, {self.bucket(MINUTE)} AS bucket, {self.first('price')} AS o, "
            f"max(price) AS h, min(price) AS l, {self.last('price')} AS c, sum(size) AS v, "
            "sum(price * size) / sum(size) AS w, count(*) AS n "
            "FROM ticks GROUP BY symbol, bucket ORDER BY symbol, bucket"
        )

    @staticmethod
    def count(table):
        return table.num_rows, pa.compute.sum(table["c"]).as_py()


class Duck(Sql, DuckDb):
    def ingest_ticks(self, rows):
        rows = rows.set_column(rows.schema.get_field_index("ts"), "ts", rows["ts"].cast(NANOS))
        self.connection.execute("CREATE TABLE ticks AS SELECT * FROM rows")
        self.connection.execute("CHECKPOINT")

    def bucket(self, width):
        return f"(epoch_ns(ts) - {ORIGIN}) // {width}"

    def first(self, column):
        return f"arg_min({column}, ts)"

    def last(self, column):
        return f"arg_max({column}, ts)"

    def all(self):
        for step in STEPS:
            self.connection.execute(f"CREATE OR REPLACE TABLE b{step} AS {self.of_bars(step)}")
        self.connection.execute("CHECKPOINT")
        return [self.one(f"SELECT count(*), sum(c) FROM b{step}") for step in STEPS]

    def one(self, sql):
        return self.connection.sql(sql).fetchall()[0]


class Ch(Sql, ChDb):
    def ingest_ticks(self, rows):
        self.session.query(
            "CREATE TABLE b.ticks (symbol LowCardinality(String), "
            "ts DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(3)), price Float64 CODEC(ZSTD(3)), "
            "size Int64 CODEC(ZSTD(3))) ENGINE = MergeTree ORDER BY (symbol, ts) "
            "SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
        )
        self.session.query("INSERT INTO b.ticks SELECT * FROM Python(rows)")
        self.session.query("OPTIMIZE TABLE b.ticks FINAL")

    def table(self, sql):
        return super().table(sql.replace("FROM ticks", "FROM b.ticks"))

    def bucket(self, width):
        return f"intDiv(toUnixTimestamp64Nano(ts) - {ORIGIN}, {width})"

    def first(self, column):
        return f"argMin({column}, ts)"

    def last(self, column):
        return f"argMax({column}, ts)"

    def all(self):
        for step in STEPS:
            self.session.query(f"DROP TABLE IF EXISTS b.b{step}")
            self.session.query(
                f"CREATE TABLE b.b{step} ENGINE = MergeTree ORDER BY (symbol, bucket) "
                "SETTINGS fsync_after_insert = 1, fsync_part_directory = 1 AS "
                + self.of_bars(step).replace("FROM bars", "FROM b.bars")
            )
        return [self.one(f"SELECT count(*) AS n, sum(c) AS c FROM b.b{step}") for step in STEPS]

    def one(self, sql):
        row = self.table(sql).to_pylist()[0]
        return row["n"], row["c"]


class Polars:
    def __init__(self, db):
        self.db = db

    def path(self, name):
        return os.path.join(self.db, f"{name}.parquet")

    def load(self, bars, ticks):
        import polars as pl

        for name, rows in (("bars", bars), ("ticks", ticks)):
            frame = pl.from_arrow(rows).sort("symbol", "ts", maintain_order=True)
            frame.write_parquet(self.path(name), compression="zstd")

    def of_bars(self, step, where=True):
        import polars as pl

        column = pl.col
        bars = pl.scan_parquet(self.path("bars")).filter(where)
        return bars.group_by("symbol", self.bucket(STEPS[step])).agg(
            o=column("open").first(), h=column("high").max(), l=column("low").min(),
            c=column("close").last(), v=column("volume").sum(),
            w=(column("vwap") * column("volume")).sum() / column("volume").sum(),
            n=column("trades").sum(),
        )

    @staticmethod
    def bucket(width):
        import polars as pl

        return ((pl.col("ts").to_physical() - ORIGIN) // width).alias("bucket")

    def hours(self):
        return self.of_bars("1h").sort("symbol", "bucket").collect().to_arrow()

    def hour(self, symbol):
        import polars as pl

        return self.of_bars("1h", pl.col("symbol") == symbol).sort("bucket").collect().to_arrow()

    def all(self):
        out = []
        for step in STEPS:
            bars = self.of_bars(step).collect()
            with open(self.path(step), "wb") as file:
                bars.write_parquet(file, compression="zstd")
                file.flush()
                os.fsync(file.fileno())
            out.append((bars.height, bars["c"].sum()))
        return out

    def minutes(self):
        import polars as pl

        price, size = pl.col("price"), pl.col("size")
        ticks = pl.scan_parquet(self.path("ticks"))
        bars = ticks.group_by("symbol", self.bucket(MINUTE)).agg(
            o=price.first(), h=price.max(), l=price.min(), c=price.last(), v=size.sum(),
            w=(price * size).sum() / size.sum(), n=pl.len(),
        )
        return bars.sort("symbol", "bucket").collect().to_arrow()

    count = staticmethod(Sql.count)


class Arctic:
    def __init__(self, db):
        import arcticdb

        self.store = arcticdb.Arctic(f"lmdb://{db}?map_size=20GB")

    def library(self, name):
        return self.store.get_library(name, create_if_missing=True)

    def load(self, bars, ticks):
        from arcticdb import WritePayload

        for name, rows in (("bars", bars), ("ticks", ticks)):
            frame = rows.to_pandas().set_index("ts")
            by = frame.groupby("symbol", sort=True)
            payloads = [WritePayload(symbol, part.drop(columns="symbol")) for symbol, part in by]
            self.library(name).write_batch(payloads)

    def made(self, library, width, columns):
        """Bars of some symbols of a library."""
        from arcticdb import QueryBuilder, ReadRequest

        symbols, price, paid_for, volume, count = columns
        query = QueryBuilder()
        query = query.apply("paid", query[paid_for] * query[volume])
        query = query.resample(f"{width // 1_000_000_000}s", offset=f"{ORIGIN // 1_000_000_000}s")
        query = query.agg({
            "o": (price[0], "first"), "h": (price[1], "max"), "l": (price[2], "min"),
            "c": (price[3], "last"), "v": (volume, "sum"), "paid": ("paid", "sum"), "n": count,
        })
        requests = [ReadRequest(symbol, query_builder=query) for symbol in symbols]
        found = [item.data for item in self.library(library).read_batch(requests)]
        return [bars.assign(w=bars["paid"] / bars["v"]).drop(columns="paid") for bars in found]

    def of_bars(self, step, symbols=None):
        symbols = symbols or sorted(self.library("bars").list_symbols())
        columns = (symbols, ("open", "high", "low", "close"), "vwap", "volume", ("trades", "sum"))
        return self.made("bars", STEPS[step], columns)

    def hours(self):
        return self.of_bars("1h")

    def hour(self, symbol):
        return self.of_bars("1h", [symbol])

    def all(self):
        from arcticdb import WritePayload

        out, symbols = [], sorted(self.library("bars").list_symbols())
        for step in STEPS:
            bars = self.of_bars(step, symbols)
            payloads = [WritePayload(name, frame) for name, frame in zip(symbols, bars)]
            self.library(f"b{step}").write_batch(payloads)
            out.append(self.count(bars))
        return out

    def minutes(self):
        symbols = sorted(self.library("ticks").list_symbols())
        columns = (symbols, ("price",) * 4, "price", "size", ("price", "count"))
        return self.made("ticks", MINUTE, columns)

    @staticmethod
    def count(bars):
        return sum(len(frame) for frame in bars), sum(frame["c"].sum() for frame in bars)


SYSTEMS = dict(duckdb=Duck, chdb=Ch, polars=Polars, arcticdb=Arctic)


def ask(arguments):
    system, question = SYSTEMS[arguments.system](arguments.db), arguments.question
    unit, scale = ("us", 1e6) if question == "hour" else ("ms", 1e3)
    asked = getattr(system, question)
    samples, turn, before = [], 0, cpu()
    if question != "all":
        # Once to warm up: what is made once is asked for once.
        asked(*(["S0000"] if question == "hour" else []))
        before = cpu()
    end = time.perf_counter() + (0 if question == "all" else arguments.seconds)
    while not samples or turn < 3 and question != "all" or time.perf_counter() < end:
        symbol = [f"S{turn * 37 % arguments.symbols:04}"] if question == "hour" else []
        start = time.perf_counter()
        answer = asked(*symbol)
        samples.append((time.perf_counter() - start) * scale)
        turn += 1
    used = (cpu() - before) / len(samples) * scale
    found = answer if question == "all" else [system.count(answer)]
    figure(question, unit, samples)
    figure(f"{question}: CPU", unit, [used])
    check(arguments, [count for count, _ in found])
    figure(f"{question}: check", "sum", [sum(float(total) for _, total in found)])


def check(arguments, counts):
    """Every bucket is there, and no other."""
    sessions, symbols = arguments.sessions, arguments.symbols
    expected = {
        "hours": [buckets("1h", sessions) * symbols],
        "hour": [buckets("1h", sessions)],
        "all": [buckets(step, sessions) * symbols for step in STEPS],
        "minutes": counts,
    }[arguments.question]
    assert counts == expected, f"{counts} bars, not {expected}"


def load(arguments):
    shutil.rmtree(arguments.db, ignore_errors=True)
    os.makedirs(arguments.db)
    SYSTEMS[arguments.system](arguments.db).load(read(arguments.arrow), read(arguments.ticks))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("question", choices=["load", "hours", "hour", "all", "minutes"])
    parser.add_argument("--arrow")
    parser.add_argument("--ticks")
    parser.add_argument("--db", required=True)
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    (load if arguments.question == "load" else ask)(arguments)


if __name__ == "__main__":
    main()
