"""Reads every row of some symbols out of a running server and writes one Arrow file.

    fetch.py http://HOST:PORT bars|trades SYMBOLS FILE

Bars are those of one minute. Only the columns that some row fills are kept, and the source only if
there are several, so that no other system pays for columns that say nothing.
"""

import sys
import urllib.parse
import urllib.request

import pyarrow as pa
import pyarrow.ipc

PARAMETERS = dict(
    bars=dict(
        columns="symbol,source,ts,open,high,low,close,volume,vwap,trades",
        frequency="1m",
        layer="raw",
    ),
    trades=dict(columns="symbol,source,ts,price,size,venue,conditions,trade_id"),
)


def main():
    server, dataset, symbols, path = sys.argv[1:]
    query = urllib.parse.urlencode(dict(symbols=symbols, format="arrow") | PARAMETERS[dataset])
    with urllib.request.urlopen(f"{server}/v1/{dataset}?{query}") as body:
        table = pa.ipc.open_stream(body).read_all().unify_dictionaries().combine_chunks()
    says_something = [name for name in table.column_names if table[name].null_count < len(table)]
    if len(table["source"].unique()) == 1:
        says_something.remove("source")
    table = table.select(says_something)
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table)


main()
