"""Windows of cells, cut out whole, and the sums over them that tests/operators.py is made of."""

import numpy as np


class Window:
    """Windows, one a row, the newest place last; values that are not valid are 0."""

    def __init__(self, *views, first=0):
        self.ok = ~np.isnan(views).any(axis=0)
        self.n = self.ok.sum(axis=1)
        self.x = np.where(self.ok, views[0], 0.0)
        self.y = np.where(self.ok, views[-1], 0.0)
        self.newest = views[0][:, -1]
        self.count = self.ok.shape[1]
        self.place = np.arange(1.0, self.count + 1)
        # How many places lie before the begin.
        self.before = np.maximum(self.count - 1 - first - np.arange(len(self.n)), 0)

    def sum(self, values):
        return np.where(self.ok, values, 0.0).sum(axis=1)

    def low(self, values):
        return np.where(self.ok, values, np.inf).min(axis=1)

    def high(self, values):
        return np.where(self.ok, values, -np.inf).max(axis=1)

    def mean(self, values):
        return np.clip(self.sum(values) / self.n, self.low(values), self.high(values))

    def off(self, values):
        """How far each value is from the mean."""
        return np.where(self.ok, values - self.mean(values)[:, None], 0.0)

    def flat(self, values):
        return self.low(values) == self.high(values)

    def var(self, ddof=1):
        found = self.sum(self.off(self.x) ** 2) / (self.n - ddof)
        return np.where(self.flat(self.x), 0.0, found)

    def std(self, ddof=1):
        return np.sqrt(self.var(ddof))

    def sorted(self):
        """The values in order, NaN behind them."""
        return np.sort(np.where(self.ok, self.x, np.nan), axis=1)

    def quantile(self, q):
        ordered = self.sorted()
        place = q * (self.n - 1)
        below = np.clip(np.floor(place), 0, self.count - 1).astype(int)
        above = np.minimum(below + 1, np.maximum(self.n - 1, 0))
        row = np.arange(len(ordered))
        low, high = ordered[row, below], ordered[row, above]
        return low + (high - low) * (place - below)

    def first_where(self, values, best):
        """The place, from 1, of the oldest of these values."""
        return np.argmax(self.ok & (values == best[:, None]), axis=1) + 1.0

    def last_where(self, values, best):
        hit = self.ok & (values == best[:, None])
        return self.count - np.argmax(hit[:, ::-1], axis=1).astype(float)

    def line(self, of, on):
        """Slope of `of` on `on`, the mean of each, r squared and whether `of` never changes."""
        on = np.broadcast_to(on, self.ok.shape)
        a, b = self.off(of), self.off(on)
        both, own = self.sum(a * b), self.sum(b * b)
        slope = np.where(self.flat(on), np.nan, both / own)
        flat = self.flat(of) | self.flat(on)
        square = np.where(flat, np.nan, both * both / (own * self.sum(a * a)))
        return slope, self.mean(of), self.mean(on), square

    def corr(self):
        a, b = self.off(self.x), self.off(self.y)
        found = self.sum(a * b) / np.sqrt(self.sum(a * a) * self.sum(b * b))
        flat = self.flat(self.x) | self.flat(self.y)
        return np.where(flat, np.nan, np.clip(found, -1, 1))

    def ranks(self, values):
        """The average rank of each value among the valid ones."""
        some = np.where(self.ok, values, np.nan)
        less = (some[:, None, :] < some[:, :, None]).sum(axis=2)
        same = (some[:, None, :] == some[:, :, None]).sum(axis=2)
        return less + (same + 1) / 2
