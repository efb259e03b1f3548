"""The language of features, as docs/FEATURES.md gives its grammar. Used by tests/cells.py.

`parse` answers tuples that begin with their kind: ("number", value), ("text", text), ("duration",
text), ("field", name), ("feature", name), ("call", operator, arguments, named arguments). Signs are
calls of their operators; names of operators and fields are in lower case.
"""

import re

TOKEN = re.compile(
    r"\s*(?:(?P<duration>\d+[smhdw]\b)|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<word>\$?[A-Za-z_]\w*)|'(?P<text>[^']*)'|(?P<sign>\|\||&&|[<>=!]=|[-+*/^()<>=?:,|&!]))"
)
SIGNS = {
    "+": "add", "-": "sub", "*": "mul", "/": "div", "^": "power", ">": "gt", ">=": "ge", "<": "lt",
    "<=": "le", "==": "eq", "!=": "ne", "|": "or", "||": "or", "&": "and", "&&": "and",
}
# Infix signs from the loosest to the tightest, and how often each may follow itself.
LEVELS = (
    (("|", "||"), True), (("&", "&&"), True), ((">", ">=", "<", "<=", "==", "!="), False),
    (("+", "-"), True), (("*", "/"), True),
)


class Parser:
    """Reads one expression; nodes are tuples that begin with their kind."""

    def __init__(self, text):
        self.tokens, at, text = [], 0, text.rstrip()
        while at < len(text):
            found = TOKEN.match(text, at)
            if not found:
                raise ValueError(f"{text!r}: nothing known at {at}")
            self.tokens.append((found.lastgroup, found.group(found.lastgroup)))
            at = found.end()
        self.at = 0

    def whole(self):
        node = self.expression()
        if self.at != len(self.tokens):
            raise ValueError(f"{self.tokens[self.at][1]!r} is too much")
        return node

    def is_next(self, *signs):
        kind, text = self.tokens[self.at] if self.at < len(self.tokens) else (None, None)
        return kind == "sign" and text in signs

    def take(self, *signs):
        """The next token, if it is one of these."""
        if self.is_next(*signs):
            self.at += 1
            return self.tokens[self.at - 1][1]
        return None

    def need(self, sign):
        if not self.take(sign):
            raise ValueError(f"{sign} is missing")

    def expression(self):
        node = self.level(0)
        if self.take("?"):
            then = self.expression()
            self.need(":")
            node = ("call", "if", (node, then, self.expression()), ())
        return node

    def level(self, place):
        if place == len(LEVELS):
            return self.unary()
        signs, repeats = LEVELS[place]
        node = self.level(place + 1)
        while sign := self.take(*signs):
            node = ("call", SIGNS[sign], (node, self.level(place + 1)), ())
            if not repeats:
                break
        return node

    def unary(self):
        if sign := self.take("-", "!"):
            return ("call", "neg" if sign == "-" else "not", (self.unary(),), ())
        node = self.atom()
        return ("call", "power", (node, self.unary()), ()) if self.take("^") else node

    def atom(self):
        if self.take("("):
            node = self.expression()
            self.need(")")
            return node
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return ("number", float(text))
        if kind in ("duration", "text"):
            return (kind, text)
        if kind != "word":
            raise ValueError(f"{text!r} begins nothing")
        if text.startswith("$"):
            return ("field", text[1:].lower())
        if not self.take("("):
            return ("feature", text)
        args, named = [], []
        while not self.take(")"):
            following = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else None
            if self.tokens[self.at][0] == "word" and following == ("sign", "="):
                name = self.tokens[self.at][1].lower()
                self.at += 2
                named.append((name, self.atom()))
            else:
                args.append(self.expression())
            if not self.is_next(")"):
                self.need(",")
        return ("call", text.lower(), tuple(args), tuple(named))


def parse(text):
    try:
        return Parser(text).whole()
    except (ValueError, IndexError) as error:
        raise ValueError(f"{text}: {error}") from error
