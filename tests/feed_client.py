#!/usr/bin/env python3
"""A client of the feature feed, written from docs/PROTOCOL.md alone: the second one, so that the
document is known to be enough. Only the standard library.

    feed_client.py HOST:PORT|SOCKET GROUP SYMBOL... [--key SECRET] [--updates N] [--after TOKEN]

Resolves the names, prints the newest row of each symbol, subscribes to them and prints N updates,
then the token to come back with; a JSON object a line.
"""

import argparse
import json
import socket
import struct

HELLO, RESOLVE, LATEST, AT, SUBSCRIBE, UNSUBSCRIBE, PING = range(1, 8)
WELCOME, RESOLVED, ROWS, SUBSCRIBED, UNSUBSCRIBED, PONG, ERROR = 129, 130, 131, 133, 134, 135, 143
UPDATE, RESYNC, PROGRESS, GOING = 193, 194, 195, 196
NO_SYMBOL = 2**32 - 1


def text(string):
    data = string.encode()
    return struct.pack("<H", len(data)) + data


class Body:
    """Takes fields off a body."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        found = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return found if len(found) > 1 else found[0]

    def text(self):
        return self.take(f"{self.take('H')}s").decode()


class Feed:
    def __init__(self, address, key=""):
        if "/" in address:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(address)
        else:
            host, port = address.rsplit(":", 1)
            self.socket = socket.create_connection((host, int(port)))
        self.request = 0
        body = self.ask(HELLO, b"BRWF" + struct.pack("<H", 1) + text(key) + text("py"), WELCOME)
        version, zero, *self.limits = body.take("HHIII")
        assert (version, zero) == (1, 0)
        self.instance, self.epoch = body.take("16sQ")
        self.newest, self.server = body.take("QI"), body.text()

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError("the server ended the connection")
            data += more
        return data

    def frame(self):
        length, kind, flags, zero, request = struct.unpack("<IBBHI", self.exactly(12))
        assert (flags, zero) == (0, 0)
        body = Body(self.exactly(length))
        if kind == ERROR:
            raise RuntimeError("error {}: {}".format(body.take("H"), body.text()))
        return kind, request, body

    def ask(self, kind, body, answer, flags=0):
        self.request += 1
        self.socket.sendall(struct.pack("<IBBHI", len(body), kind, flags, 0, self.request) + body)
        found, request, body = self.frame()
        assert (found, request) == (answer, self.request)
        return body

    def resolve(self, group, symbols):
        names = struct.pack("<I", len(symbols)) + b"".join(map(text, symbols))
        body = self.ask(RESOLVE, struct.pack("<H", 1) + text(group) + names, RESOLVED)
        assert body.take("H") == 1
        handle, promoted = body.take("IB")
        name, version = body.text(), body.text()
        features = [body.text() for _ in range(body.take("H"))]
        numbers = {}
        for _ in range(body.take("I")):
            number = body.take("I")
            numbers[body.text()] = number if number != NO_SYMBOL else None
        return handle, f"{name}@{version}", bool(promoted), features, numbers

    def row(self, body, count):
        """The cells of a row of so many features, and what stands before them."""
        ts, ts_end, available_at, known_at, sequence, at_sequence, session, flags = body.take(
            "qqqqQQiI"
        )
        reasons = body.take(f"{(count + 7) // 8 * 8}s")[:count]
        values = [body.take("d") for _ in range(count)]
        cells = [value if reason == 0 else None for value, reason in zip(values, reasons)]
        return {"ts": ts, "sequence": sequence, "at_sequence": at_sequence, "flags": flags, "cells": cells}

    def latest(self, handle, symbols, count, which=0):
        numbers = struct.pack(f"<{len(symbols)}I", *symbols)
        body = self.ask(LATEST, struct.pack("<II", handle, which) + numbers, ROWS)
        assert body.take("II") == (handle, 7 + (count + 7) // 8 + count)
        absent = body.take(f"{body.take('I')}s")
        return [None if why else self.row(body, count) for why in absent]

    def subscribe(self, handle, symbols, token=None):
        instance, sequence, index = token or (bytes(16), 0, 0)
        body = struct.pack("<I16sQI", handle, instance, sequence, index)
        body += struct.pack(f"<{len(symbols)}I", *symbols)
        body = self.ask(SUBSCRIBE, body, SUBSCRIBED, flags=2 if token else 0)
        assert body.take("I") == handle
        return body.take("QI")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("address")
    parser.add_argument("group")
    parser.add_argument("symbols", nargs="+")
    parser.add_argument("--key", default="")
    parser.add_argument("--updates", type=int, default=0)
    parser.add_argument("--after", help="INSTANCE:SEQUENCE:INDEX, as printed by an earlier run")
    args = parser.parse_args()

    def say(**what):
        print(json.dumps(what), flush=True)

    feed = Feed(args.address, args.key)
    handle, group, promoted, features, numbers = feed.resolve(args.group, args.symbols)
    say(server=feed.server, group=group, promoted=promoted, features=features, numbers=numbers)
    names = {number: name for name, number in numbers.items() if number is not None}
    for number, row in zip(names, feed.latest(handle, list(names), len(features))):
        say(latest=names[number], row=row)
    after = None
    if args.after:
        instance, sequence, index = args.after.split(":")
        after = (bytes.fromhex(instance), int(sequence), int(index))
    token = feed.subscribe(handle, list(names), after)
    say(subscribed=list(token))
    count = 0
    while count < args.updates:
        kind, request, body = feed.frame()
        assert request == 0
        if kind == GOING:
            say(going=True)
            break
        assert body.take("I") == handle
        if kind == UPDATE:
            number, *token = body.take("IQI")
            say(update=names[number], token=token, row=feed.row(body, len(features)))
            count += 1
        elif kind == RESYNC:
            reason, *token = body.take("IQI")
            say(resync=reason, token=token)
        else:
            assert kind == PROGRESS
            token = body.take("QI")
    say(after="{}:{}:{}".format(feed.instance.hex(), *token))


if __name__ == "__main__":
    main()
