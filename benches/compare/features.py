"""Asks another system, in process, for features that Barrow computes; prints figures as peer.py.

    features.py pandas|polars|duckdb|chdb seven --db DIR [--symbols 500] [--seconds 2]
    features.py pandas|polars alpha --db DIR [--symbols 20]

- seven: 1-bar return, standard deviation over 20 bars, mean over 20 and 60, z-score over 60,
  RSI 14 (Wilder's), EMA 26, of all bars of the first symbols. DuckDB and chDB have no RSI: it
  goes on from bar to bar; DuckDB has no EMA either. They answer the rest.
- alpha: Alpha158, from the formulas that Barrow reads. Polars leaves out what it has no rolling
  expression for (slopes, places of extremes, ranks); --queries prints what it runs.

The rows are those that aggregates.py loaded: DuckDB and chDB in their tables, Polars and pandas in
a Parquet file. Answers are fetched as Arrow tables, from pandas as frames, symbol by symbol; the
first symbols are asked once to warm up. `check` is the sum of the mean over 20 bars.
"""

import argparse
import os
import re
import time
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
from peer import ChDb, DuckDb, cpu, figure

ALPHA = Path(__file__).parents[2] / "storage-engine/features/src/presets/alpha158.txt"
FIELDS = ["open", "high", "low", "close", "volume", "vwap"]
# Polars has no rolling expression for these.
NOT_IN_POLARS = ("Slope", "Rsquare", "Resi", "IdxMax", "IdxMin", "Rank")


def formulas():
    """Name and formula of each feature of Alpha158, as an expression of Python."""
    lines = (line.split(None, 2) for line in ALPHA.read_text().splitlines())
    return [(name, re.sub(r"\$(\w+)", r"\1", text.strip())) for _, name, text in lines]


class Pandas:
    """Qlib's operators as it has them: rows, one is enough, comparisons with null are false."""

    def __init__(self, db):
        self.path = os.path.join(db, "bars.parquet")

    def frames(self, symbols):
        names = [f"S{number:04}" for number in range(symbols)]
        rows = pq.read_table(self.path, columns=["symbol", *FIELDS], filters=[("symbol", "in", names)])
        for _, frame in rows.to_pandas().groupby("symbol", sort=False):
            frame = frame.drop(columns="symbol").astype("float64")
            yield frame.reset_index(drop=True)

    def seven(self, symbols):
        for frame in self.frames(symbols):
            close = frame["close"]
            rise = close.diff()
            yield {
                "ret1": close / close.shift(1) - 1,
                "std20": close.rolling(20).std(),
                "mean20": close.rolling(20).mean(),
                "mean60": (mean := close.rolling(60).mean()),
                "z60": (close - mean) / close.rolling(60).std(),
                "rsi14": self.rsi(rise),
                "ema26": close.ewm(span=26, min_periods=26).mean(),
            }

    @staticmethod
    def rsi(rise):
        """Wilder's means begin with the mean of the first 14 changes."""
        def wilder(changes):
            seeded = changes.copy()
            seeded.iloc[14] = changes.iloc[1:15].mean()
            return seeded.iloc[14:].ewm(alpha=1 / 14, adjust=False).mean().reindex(changes.index)

        gains, losses = wilder(rise.clip(lower=0)), wilder((-rise).clip(lower=0))
        return 100 * gains / (gains + losses)

    def alpha(self, symbols):
        import numpy as np

        compiled = [(name, compile(text, name, "eval")) for name, text in formulas()]
        for frame in self.frames(symbols):
            time_of = frame["close"] * 0 + np.arange(len(frame), dtype=float)
            names = dict(self.operators(np, time_of), **{field: frame[field] for field in FIELDS})
            yield {name: eval(code, names) for name, code in compiled}

    @staticmethod
    def operators(np, time_of):
        def rolling(x, n):
            return x.rolling(n, min_periods=1)

        def slope(x, n):
            return rolling(x, n).cov(time_of) / rolling(time_of, n).var()

        def place(x, n, pick):
            padded = np.concatenate([np.full(n - 1, np.nan), x.to_numpy()])
            windows = np.lib.stride_tricks.sliding_window_view(padded, n)
            found = x.copy()
            found[:] = pick(windows, axis=1) + 1.0
            return found

        return {
            "Ref": lambda x, n: x.shift(n), "Abs": abs, "Log": np.log,
            "Greater": np.maximum, "Less": np.minimum,
            "Mean": lambda x, n: rolling(x, n).mean(), "Sum": lambda x, n: rolling(x, n).sum(),
            "Std": lambda x, n: rolling(x, n).std(), "Max": lambda x, n: rolling(x, n).max(),
            "Min": lambda x, n: rolling(x, n).min(),
            "Quantile": lambda x, n, q: rolling(x, n).quantile(q),
            "Rank": lambda x, n: rolling(x, n).rank(pct=True),
            "Corr": lambda x, y, n: rolling(x, n).corr(y),
            "Slope": slope, "Rsquare": lambda x, n: rolling(x, n).corr(time_of) ** 2,
            "Resi": lambda x, n: x - rolling(x, n).mean()
            - slope(x, n) * (time_of - rolling(time_of, n).mean()),
            "IdxMax": lambda x, n: place(x, n, np.nanargmax),
            "IdxMin": lambda x, n: place(x, n, np.nanargmin),
        }

    @staticmethod
    def fetch(parts, mean):
        """Rows, columns, and the sum of the mean."""
        rows, columns, total = 0, 0, 0.0
        for part in parts:
            rows, columns = rows + len(part[mean]), len(part)
            total += float(part[mean].sum())
        return rows, columns, total


class Polars:
    def __init__(self, db):
        self.path = os.path.join(db, "bars.parquet")

    def rows(self, symbols):
        import polars as pl

        names = [f"S{number:04}" for number in range(symbols)]
        rows = pl.scan_parquet(self.path).select("symbol", *FIELDS)
        fields = [pl.col(field).cast(pl.Float64) for field in FIELDS]
        return rows.filter(pl.col("symbol").is_in(names)).with_columns(fields)

    def seven(self, symbols):
        import polars as pl

        close = pl.col("close")
        rise = close.diff()
        mean = close.rolling_mean(60)

        def wilder(changes):
            place = pl.int_range(pl.len())
            seeded = pl.when(place < 14).then(None).when(place == 14)
            seeded = seeded.then(changes.rolling_mean(14)).otherwise(changes)
            return seeded.ewm_mean(alpha=1 / 14, adjust=False)

        gains, losses = wilder(rise.clip(lower_bound=0)), wilder((-rise).clip(lower_bound=0))
        return self.of(symbols, {
            "ret1": close / close.shift(1) - 1, "std20": close.rolling_std(20),
            "mean20": close.rolling_mean(20), "mean60": mean,
            "z60": (close - mean) / close.rolling_std(60),
            "rsi14": 100 * gains / (gains + losses), "ema26": close.ewm_mean(span=26, min_samples=26),
        })

    def of(self, symbols, features):
        named = [feature.over("symbol").alias(name) for name, feature in features.items()]
        return self.rows(symbols).select(*named)

    def features(self):
        import polars as pl

        least = dict(min_samples=1)
        operators = {
            "Ref": lambda x, n: x.shift(n), "Abs": lambda x: x.abs(), "Log": lambda x: x.log(),
            "Greater": lambda x, y: pl.max_horizontal(x, y),
            "Less": lambda x, y: pl.min_horizontal(x, y),
            "Mean": lambda x, n: x.cast(pl.Float64).rolling_mean(n, **least),
            "Sum": lambda x, n: x.rolling_sum(n, **least),
            "Std": lambda x, n: x.rolling_std(n, **least),
            "Max": lambda x, n: x.rolling_max(n, **least),
            "Min": lambda x, n: x.rolling_min(n, **least),
            "Quantile": lambda x, n, q: x.rolling_quantile(q, "linear", n, **least),
            "Corr": lambda x, y, n: pl.rolling_corr(x, y, window_size=n, **least),
        }
        names = dict(operators, **{field: pl.col(field) for field in FIELDS})
        known = [of for of in formulas() if not any(f"{op}(" in of[1] for op in NOT_IN_POLARS)]
        return {name: eval(text, names) for name, text in known}

    def alpha(self, symbols):
        return self.of(symbols, self.features())

    @staticmethod
    def fetch(query, mean):
        table = query.collect().to_arrow()
        return table.num_rows, table.num_columns, pc.sum(table[mean]).as_py()


class Sql:
    def seven(self, symbols):
        over = "OVER (PARTITION BY symbol ORDER BY ts ROWS BETWEEN {} PRECEDING AND CURRENT ROW)"
        last = {n: over.format(n - 1) for n in (2, 20, 60)}
        std, features = self.std, self.more()
        return self.table(
            f"SELECT symbol, ts, close / first_value(close) {last[2]} - 1 AS ret1, "
            f"{std}(close) {last[20]} AS std20, avg(close) {last[20]} AS mean20, "
            f"avg(close) {last[60]} AS mean60, (close - avg(close) {last[60]}) / "
            f"{std}(close) {last[60]} AS z60{features} "
            f"FROM bars WHERE symbol < 'S{symbols:04}' ORDER BY symbol, ts"
        )

    @staticmethod
    def fetch(table, mean):
        return table.num_rows, table.num_columns - 2, pc.sum(table[mean]).as_py()


class Duck(Sql, DuckDb):
    std = "stddev_samp"

    @staticmethod
    def more():
        return ""


class Ch(Sql, ChDb):
    std = "stddevSamp"

    @staticmethod
    def more():
        over = "OVER (PARTITION BY symbol ORDER BY ts ROWS UNBOUNDED PRECEDING)"
        minutes = "toUnixTimestamp64Nano(ts) / 60000000000"
        # A weight halves after ln 2 / -ln(1 - 2/27) bars.
        return f", exponentialMovingAverage(9.0056)(close, {minutes}) {over} AS ema26"


SYSTEMS = dict(pandas=Pandas, polars=Polars, duckdb=Duck, chdb=Ch)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("question", choices=["seven", "alpha"])
    parser.add_argument("--db", required=True)
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--queries", action="store_true")
    arguments = parser.parse_args()
    system, question = SYSTEMS[arguments.system](arguments.db), arguments.question
    if arguments.queries:
        print(getattr(system, question)(arguments.symbols).explain())
        return
    mean = "mean20" if question == "seven" else "MA20"

    def ask(symbols):
        return system.fetch(getattr(system, question)(symbols), mean)

    ask(max(1, arguments.symbols // 20))
    samples, before = [], cpu()
    end = time.perf_counter() + arguments.seconds
    while not samples or time.perf_counter() < end:
        start = time.perf_counter()
        rows, columns, total = ask(arguments.symbols)
        samples.append((time.perf_counter() - start) * 1e3)
    used = (cpu() - before) / len(samples)
    assert rows == arguments.symbols * arguments.sessions * 390, f"{rows} rows"
    figure(question, "ms", samples)
    figure(f"{question}: CPU", "ms", [used * 1e3])
    figure(f"{question}: CPU a row", "ns", [used / rows * 1e9])
    figure(f"{question}: features", "features", [columns])
    figure(f"{question}: check", "sum", [total])


if __name__ == "__main__":
    main()
