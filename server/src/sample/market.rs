//! What trades in the sample market, when, and at which prices: whole cents, walked at random.

use super::random::Random;

const SECOND: i64 = 1_000_000_000;
/// A minute in nanoseconds.
pub(crate) const MINUTE: i64 = 60 * SECOND;
const SEED: u64 = 20_241_125;

/// The symbols: trees. Any likeness to listed companies is by accident.
pub(crate) const SYMBOLS: [&str; 40] = [
    "ALDR", "ASHE", "ASPN", "BAMB", "BECH", "BIRC", "CEDR", "CHRY", "CYPR", "DOGW", "EBNY", "ELDR",
    "ELMS", "FERN", "FIRR", "GNKO", "HAZL", "HEML", "HICK", "HOLY", "IRON", "JNPR", "KAPK", "LARC",
    "LIND", "MAGN", "MAPL", "MYRT", "NEEM", "OAKS", "OLIV", "PALM", "PEAR", "PINE", "PLUM", "POPL",
    "ROWN", "SPRC", "TEAK", "WLLW",
];

/// One day of trading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// Its date.
    pub(crate) date: &'static str,
    /// 09:30 in New York, which is 14:30 UTC in November.
    pub(crate) open: i64,
    /// How long it lasts: 390 minutes, or 210 on a half day.
    pub(crate) minutes: i64,
}

/// 2024-11-25T14:30:00Z.
const FIRST_OPEN: i64 = 1_732_545_000 * SECOND;
const DAY: i64 = 24 * 60 * MINUTE;

/// The sessions of the week: Thursday is Thanksgiving, Friday ends at 13:00.
pub(crate) const SESSIONS: [Session; 4] = [
    Session { date: "2024-11-25", open: FIRST_OPEN, minutes: 390 },
    Session { date: "2024-11-26", open: FIRST_OPEN + DAY, minutes: 390 },
    Session { date: "2024-11-27", open: FIRST_OPEN + 2 * DAY, minutes: 390 },
    Session { date: "2024-11-29", open: FIRST_OPEN + 4 * DAY, minutes: 210 },
];

/// One minute of one symbol. Prices in cents, `vwap` in hundredths of a cent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) symbol: usize,
    pub(crate) ts: i64,
    pub(crate) open: i64,
    pub(crate) high: i64,
    pub(crate) low: i64,
    pub(crate) close: i64,
    pub(crate) volume: i64,
    pub(crate) vwap: i64,
    pub(crate) trades: i64,
    /// When it was published.
    pub(crate) known_at: i64,
}

/// How many minutes in a hundred pass without a trade.
const fn idle_percent(symbol: usize) -> i64 {
    match symbol % 4 {
        0 | 1 => 0,
        2 => 5,
        _ => 30,
    }
}

/// The bars of `symbol` over the whole week, published two seconds after their end. `is_halted`
/// says in which minutes of which session nothing trades.
pub(crate) fn walk(symbol: usize, is_halted: impl Fn(usize, i64) -> bool) -> Vec<Bar> {
    let mut random = Random::new(SEED, symbol as u64);
    let mut price = random.between(900, 40_000);
    let mut bars = Vec::new();
    for (at, session) in SESSIONS.iter().enumerate() {
        // Overnight.
        price = (price + random.between(-price / 60, price / 60)).max(100);
        for minute in 0..session.minutes {
            let idle = random.happens(idle_percent(symbol));
            let bar = minute_bar(&mut random, symbol, session.open + minute * MINUTE, price);
            price = bar.close;
            if !idle && !is_halted(at, minute) {
                bars.push(bar);
            }
        }
    }
    bars
}

fn minute_bar(random: &mut Random, symbol: usize, ts: i64, before: i64) -> Bar {
    let reach = (before / 800).max(2);
    let open = (before + random.between(-1, 1)).max(100);
    let close = (open + random.between(-reach, reach)).max(100);
    let high = open.max(close) + random.between(0, reach);
    let low = open.min(close) - random.between(0, reach);
    let trades = random.between(1, 120);
    Bar {
        symbol,
        ts,
        open,
        high,
        low,
        close,
        volume: trades * random.between(20, 200),
        vwap: (open + high + low + close) * 25,
        trades,
        known_at: ts + MINUTE + 2 * SECOND,
    }
}
