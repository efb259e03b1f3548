"""Asks another system, in process, what the Rust programs ask Barrow; prints figures as they do.

    peer.py duckdb|chdb ingest --arrow FILE --db DIR
    peer.py duckdb|chdb session|spread|month --db DIR [--once] [--seconds 2]
    peer.py parquet|duckdb|chdb size --arrow FILE --db DIR

Every system holds the same rows in its own best table for them: DuckDB with its automatic
compression, chDB a MergeTree ordered by (symbol, ts), ZSTD(3), whole numbers as integers. Ingest
begins with the Arrow table in memory and ends when it is durable: a checkpoint, or fsync after
insert. Answers are fetched as Arrow tables.
"""

import argparse
import json
import os
import resource
import shutil
import time

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet

MINUTE = 60_000_000_000
DAY = 1_440 * MINUTE
OPEN = 1_704_205_800_000_000_000
NANOS = pa.timestamp("ns")
COLUMNS = "ts, open, high, low, close, volume, vwap, trades"


def figure(what, unit, samples):
    samples = sorted(samples)
    at = lambda part: samples[(len(samples) - 1) * part // 100]
    line = dict(what=what, unit=unit, n=len(samples), p10=at(10), p50=at(50), p99=at(99))
    print(json.dumps(line), flush=True)


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def folder_bytes(path):
    if os.path.isfile(path):
        return os.path.getsize(path)
    files = (os.path.join(top, name) for top, _, names in os.walk(path) for name in names)
    return sum(os.path.getsize(name) for name in files)


def open_of(session):
    weekday = session + 1
    return OPEN + (weekday // 5 * 7 + weekday % 5 - 1) * DAY


def sessions(first, count):
    return open_of(first), open_of(first + count - 1) + DAY // 2


def read(path):
    with pa.memory_map(path) as file:
        table = pa.ipc.open_file(file).read_all()
    # Plain text: DuckDB and chDB make their own dictionaries.
    columns = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(pa.string())
        # Whole numbers as integers are the smaller form for these systems.
        if name in ("volume", "size") and pc.all(pc.equal(pc.round(column), column)).as_py():
            column = column.cast(pa.int64())
        columns[name] = column.combine_chunks()
    return pa.table(columns)


class DuckDb:
    def __init__(self, db):
        import duckdb

        self.path = os.path.join(db, "bars.duckdb")
        self.connection = duckdb.connect(self.path)

    def ingest(self, rows):
        # Without a zone: DuckDB keeps nanoseconds only so.
        rows = rows.set_column(rows.schema.get_field_index("ts"), "ts", rows["ts"].cast(NANOS))
        self.connection.execute("CREATE TABLE bars AS SELECT * FROM rows")
        self.connection.execute("CHECKPOINT")

    def rest(self):
        """A checkpoint is all there is to do."""

    def bytes(self):
        return os.path.getsize(self.path)

    def table(self, sql):
        return self.connection.sql(sql).to_arrow_table()

    @staticmethod
    def instant(nanos):
        return f"make_timestamp_ns({nanos})"


class ChDb:
    def __init__(self, db):
        from chdb import session

        self.path = db
        self.session = session.Session(db)

    def ingest(self, rows):
        kinds = {pa.string(): "LowCardinality(String)", pa.int64(): "Int64", pa.float64(): "Float64"}
        columns = []
        for field in rows.schema:
            if pa.types.is_timestamp(field.type):
                columns.append(f"{field.name} DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(3))")
            else:
                columns.append(f"{field.name} {kinds[field.type]} CODEC(ZSTD(3))")
        self.session.query(
            f"CREATE DATABASE IF NOT EXISTS b; CREATE TABLE b.bars ({', '.join(columns)}) "
            "ENGINE = MergeTree ORDER BY (symbol, ts) "
            "SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
        )
        self.session.query("INSERT INTO b.bars SELECT * FROM Python(rows)")

    def rest(self):
        self.session.query("OPTIMIZE TABLE b.bars FINAL")

    def bytes(self):
        sql = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'bars'"
        return int(self.session.query(sql, "CSV").bytes())

    def table(self, sql):
        answer = self.session.query(sql.replace("FROM bars", "FROM b.bars"), "ArrowStream")
        return pa.ipc.open_stream(answer.bytes()).read_all()

    @staticmethod
    def instant(nanos):
        return f"fromUnixTimestamp64Nano({nanos})"


class Parquet:
    def __init__(self, db):
        self.path = os.path.join(db, "bars.parquet")

    def ingest(self, rows):
        # Pages of a dictionary where that pays; pyarrow decides for each column.
        pyarrow.parquet.write_table(
            rows, self.path, compression="zstd", compression_level=9, row_group_size=1 << 20
        )

    def rest(self):
        """A file never changes."""

    def bytes(self):
        return os.path.getsize(self.path)


SYSTEMS = dict(duckdb=DuckDb, chdb=ChDb, parquet=Parquet)


def ingest(arguments):
    table = read(arguments.arrow)
    shutil.rmtree(arguments.db, ignore_errors=True)
    os.makedirs(arguments.db)
    before, start = cpu(), time.perf_counter()
    system = SYSTEMS[arguments.system](arguments.db)
    system.ingest(table)
    acknowledged, used = time.perf_counter() - start, cpu() - before
    system.rest()
    rest, used_at_rest = time.perf_counter() - start, cpu() - before
    if arguments.question == "ingest":
        figure("acknowledged", "s", [acknowledged])
        figure("acknowledged: CPU", "s", [used])
        figure("at rest", "s", [rest])
        figure("at rest: CPU", "s", [used_at_rest])
    figure("bytes", "bytes", [system.bytes()])
    figure("size", "bytes/row", [system.bytes() / table.num_rows])


def ask(arguments):
    start = time.perf_counter()
    system = SYSTEMS[arguments.system](arguments.db)
    figure("open", "ms", [(time.perf_counter() - start) * 1e3])
    instant = system.instant

    def month(turn):
        first, end = map(instant, sessions(0, 20))
        symbol = f"S{turn * 37 % arguments.symbols:04}"
        where = f"symbol = '{symbol}' AND ts >= {first} AND ts < {end}"
        assert system.table(f"SELECT {COLUMNS} FROM bars WHERE {where}").num_rows == 7_800

    def session(turn):
        first, end = map(instant, sessions(turn * 7 % arguments.sessions, 1))
        where = f"ts >= {first} AND ts < {end}"
        table = system.table(f"SELECT symbol, {COLUMNS} FROM bars WHERE {where}")
        assert table.num_rows == arguments.symbols * 390

    def spread(_):
        assert system.table("SELECT max(high - low) AS most FROM bars")["most"][0].as_py() > 0

    question = dict(month=month, session=session, spread=spread)[arguments.question]
    unit, scale = ("us", 1e6) if arguments.question == "month" else ("ms", 1e3)
    samples, end, turn, before = [], time.perf_counter() + arguments.seconds, 0, cpu()
    if not arguments.once:
        question(0)
        before = cpu()
    while not samples or (not arguments.once and (turn < 3 or time.perf_counter() < end)):
        start = time.perf_counter()
        question(turn)
        samples.append((time.perf_counter() - start) * scale)
        turn += 1
    figure(arguments.question, unit, samples)
    figure(f"{arguments.question}: CPU", unit, [(cpu() - before) / len(samples) * scale])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("question", choices=["ingest", "size", "month", "session", "spread"])
    parser.add_argument("--arrow")
    parser.add_argument("--db", required=True)
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--once", action="store_true")
    arguments = parser.parse_args()
    (ingest if arguments.question in ("ingest", "size") else ask)(arguments)


if __name__ == "__main__":
    main()
