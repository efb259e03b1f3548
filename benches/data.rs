//! Generated market data, the same from run to run: a fixed seed, and the distributions below.
//!
//! **Bars.** A session is 390 one-minute bars from 14:30 UTC, one session a weekday from
//! 2024-01-02 on. Each symbol has a random stream of its own, so its rows do not depend on how
//! many symbols or sessions there are, nor on the order in which they are written.
//!
//! - Price level: lognormal, median 60, sigma 0.7, at least 5; it walks in whole cents.
//! - Open: the last close plus a normal number of cents, sigma a quarter of a minute's; overnight
//!   five times a minute's.
//! - Close: the open plus a normal number of cents, sigma 0.07 % of the price (22 % a year).
//! - High, low: beyond open and close by an exponential number of cents, mean half a sigma.
//! - Volume: whole shares, lognormal with sigma 0.7 around the symbol's median (itself lognormal,
//!   median 4,000, sigma 1) times the day (sigma 0.3) times a U over the session (0.55 at its
//!   middle, 1.9 at its ends).
//! - Vwap: low + (high - low) times the mean of four uniform numbers, rounded to 4 decimals.
//! - Trades: 1 + volume / (80 shares times lognormal, sigma 0.35), floored: correlated with volume.
//!
//! **Trades.** Prices walk in cents: three trades in four at the last price, the rest one or two
//! cents away; sizes are 100 shares half of the time, else 1 to 1,000; times are nanoseconds,
//! exponentially apart, spread over the session.
//!
//! Logarithms and cosines are the platform's: another platform may round a rare row otherwise.

/// Bars in a session.
pub const MINUTES: usize = 390;
/// Nanoseconds of a minute.
pub const MINUTE: i64 = 60_000_000_000;
/// Nanoseconds of a day.
pub const DAY: i64 = 1_440 * MINUTE;
/// 2024-01-02T14:30:00Z, a Tuesday: the first session's open.
pub const OPEN: i64 = 1_704_205_800_000_000_000;

const SEED: u64 = 0x6261_7272_6F77_0001;

/// The open of session `number`, in nanoseconds: weekdays only.
pub fn open_of(number: u32) -> i64 {
    // The first is a Tuesday: counted from its Monday.
    let weekday = i64::from(number) + 1;
    OPEN + (weekday / 5 * 7 + weekday % 5 - 1) * DAY
}

/// The name of symbol `number`.
pub fn symbol(number: u32) -> String {
    format!("S{number:04}")
}

/// Bars by columns; row by row the same length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bars {
    /// Numbers of symbols.
    pub symbol: Vec<u32>,
    /// Opens, nanoseconds.
    pub ts: Vec<i64>,
    /// Opening prices.
    pub open: Vec<f64>,
    /// Highest prices.
    pub high: Vec<f64>,
    /// Lowest prices.
    pub low: Vec<f64>,
    /// Closing prices.
    pub close: Vec<f64>,
    /// Shares.
    pub volume: Vec<f64>,
    /// Prices weighted by volume.
    pub vwap: Vec<f64>,
    /// Numbers of trades.
    pub trades: Vec<i64>,
}

impl Bars {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ts.is_empty()
    }

    /// Appends the row at `at` of `other`.
    pub fn push(&mut self, other: &Self, at: usize) {
        self.symbol.push(other.symbol[at]);
        self.ts.push(other.ts[at]);
        self.open.push(other.open[at]);
        self.high.push(other.high[at]);
        self.low.push(other.low[at]);
        self.close.push(other.close[at]);
        self.volume.push(other.volume[at]);
        self.vwap.push(other.vwap[at]);
        self.trades.push(other.trades[at]);
    }

    /// Takes all rows out, leaving the room.
    pub fn clear(&mut self) {
        self.symbol.clear();
        self.ts.clear();
        self.trades.clear();
        for prices in [&mut self.open, &mut self.high, &mut self.low, &mut self.close] {
            prices.clear();
        }
        self.volume.clear();
        self.vwap.clear();
    }
}

/// A random stream: xorshift64*, Vigna, "An experimental exploration of Marsaglia's xorshift
/// generators", seeded by splitmix64.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
    spare: Option<f64>,
}

impl Random {
    /// The stream of a number.
    pub fn new(stream: u64) -> Self {
        let mut state = SEED.wrapping_add(stream.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self { state: (state ^ (state >> 31)) | 1, spare: None }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Uniform in (0, 1).
    fn uniform(&mut self) -> f64 {
        let bits = u32::try_from(self.bits() >> 32).expect("invariant: 32 bits are left");
        (f64::from(bits) + 0.5) / 4_294_967_296.0
    }

    /// Standard normal: Box and Muller.
    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        let angle = std::f64::consts::TAU * self.uniform();
        self.spare = Some(radius * angle.sin());
        radius * angle.cos()
    }

    /// Exponential of mean 1.
    fn exponential(&mut self) -> f64 {
        -self.uniform().ln()
    }
}

/// The nearest whole number.
#[expect(clippy::cast_possible_truncation, reason = "far below 2^53 by the distributions above")]
fn whole(value: f64) -> i64 {
    value.round() as i64
}

/// A whole number below 2^53 as it is.
fn float(value: i64) -> f64 {
    value as f64
}

/// The bars of one symbol, session by session.
#[derive(Clone, Debug)]
pub struct Walk {
    symbol: u32,
    session: u32,
    random: Random,
    close: i64,
    shares: f64,
}

impl Walk {
    /// Before its first session.
    pub fn new(symbol: u32) -> Self {
        let mut random = Random::new(u64::from(symbol));
        let close = whole(6_000.0 * (0.7 * random.normal()).exp()).max(500);
        let shares = 4_000.0 * random.normal().exp();
        Self { symbol, session: 0, random, close, shares }
    }

    /// Appends the bars of the next session.
    pub fn session(&mut self, bars: &mut Bars) {
        let first = open_of(self.session);
        self.session += 1;
        let day = self.shares * (0.3 * self.random.normal()).exp();
        for minute in 0..MINUTES {
            let at = i64::try_from(minute).expect("invariant: a session is short");
            bars.symbol.push(self.symbol);
            bars.ts.push(first + at * MINUTE);
            self.bar(at, day, bars);
        }
    }

    fn bar(&mut self, minute: i64, day: f64, bars: &mut Bars) {
        let random = &mut self.random;
        let sigma = float(self.close) * 0.000_7;
        let gap = if minute == 0 { 5.0 } else { 0.25 };
        let open = (self.close + whole(random.normal() * sigma * gap)).max(500);
        let close = (open + whole(random.normal() * sigma)).max(500);
        let high = open.max(close) + whole((random.exponential() * sigma * 0.5).floor());
        let low = open.min(close) - whole((random.exponential() * sigma * 0.5).floor());
        let low = low.max(1);
        self.close = close;
        let from_middle = (float(minute) - 194.5) / 194.5;
        let u = 0.55 + 1.35 * from_middle * from_middle;
        let volume = whole(day * u * (0.7 * random.normal()).exp()).max(1);
        let place = (0..4).map(|_| random.uniform()).sum::<f64>() / 4.0;
        let vwap = low * 100 + whole(float((high - low) * 100) * place);
        let shares_a_trade = 80.0 * (0.35 * random.normal()).exp();
        let trades = 1 + whole((float(volume) / shares_a_trade).floor());
        bars.open.push(float(open) / 100.0);
        bars.high.push(float(high) / 100.0);
        bars.low.push(float(low) / 100.0);
        bars.close.push(float(close) / 100.0);
        bars.volume.push(float(volume));
        bars.vwap.push(float(vwap) / 10_000.0);
        bars.trades.push(trades);
    }
}

/// In which order rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A symbol after the other, all sessions of each.
    Symbol,
    /// A session after the other, all symbols of each.
    Session,
}

/// Calls `each` with the bars of `symbols` symbols over `sessions` sessions, in pieces of about
/// 195,000 rows that end with a symbol's or a session's.
pub fn bars(symbols: u32, sessions: u32, order: Order, mut each: impl FnMut(&Bars)) {
    let mut piece = Bars::default();
    match order {
        Order::Session => {
            let mut walks: Vec<Walk> = (0..symbols).map(Walk::new).collect();
            for _ in 0..sessions {
                for walk in &mut walks {
                    walk.session(&mut piece);
                }
                each(&piece);
                piece.clear();
            }
        }
        Order::Symbol => {
            let symbol_rows = sessions as usize * MINUTES;
            for symbol in 0..symbols {
                let mut walk = Walk::new(symbol);
                for _ in 0..sessions {
                    walk.session(&mut piece);
                }
                if piece.len() + symbol_rows > 195_000 || symbol + 1 == symbols {
                    each(&piece);
                    piece.clear();
                }
            }
        }
    }
}

/// Trades by columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ticks {
    /// Numbers of symbols.
    pub symbol: Vec<u32>,
    /// Times, nanoseconds.
    pub ts: Vec<i64>,
    /// Prices.
    pub price: Vec<f64>,
    /// Shares.
    pub size: Vec<f64>,
}

/// Calls `each` with the trades of one symbol in one session: `count` of them, symbol by symbol.
pub fn ticks(symbols: u32, sessions: u32, count: usize, mut each: impl FnMut(&Ticks)) {
    let length = 390.0 * 60e9;
    let apart = length / float(i64::try_from(count).expect("invariant: fits in memory") + 1);
    for symbol in 0..symbols {
        let mut random = Random::new(1 << 32 | u64::from(symbol));
        let mut price = whole(6_000.0 * (0.7 * random.normal()).exp()).max(500);
        for session in 0..sessions {
            let mut piece = Ticks::default();
            let mut ts = open_of(session);
            for _ in 0..count {
                ts += whole(random.exponential() * apart);
                if random.uniform() < 0.25 {
                    let step = if random.uniform() < 0.8 { 1 } else { 2 };
                    price += if random.uniform() < 0.5 { step } else { -step };
                    price = price.max(500);
                }
                let round = random.uniform() < 0.5;
                let odd = whole((random.uniform() * 1_000.0).ceil());
                piece.symbol.push(symbol);
                piece.ts.push(ts);
                piece.price.push(float(price) / 100.0);
                piece.size.push(float(if round { 100 } else { odd }));
            }
            each(&piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(symbols: u32, sessions: u32, order: Order) -> Bars {
        let mut all = Bars::default();
        bars(symbols, sessions, order, |piece| {
            all.symbol.extend(&piece.symbol);
            all.ts.extend(&piece.ts);
            all.open.extend(&piece.open);
            all.high.extend(&piece.high);
            all.low.extend(&piece.low);
            all.close.extend(&piece.close);
            all.volume.extend(&piece.volume);
            all.vwap.extend(&piece.vwap);
            all.trades.extend(&piece.trades);
        });
        all
    }

    /// Rows as (symbol, ts, close in cents, volume), sorted.
    fn keys(bars: &Bars) -> Vec<(u32, i64, i64, i64)> {
        let mut keys: Vec<_> = (0..bars.len())
            .map(|at| {
                (
                    bars.symbol[at],
                    bars.ts[at],
                    whole(bars.close[at] * 100.0),
                    whole(bars.volume[at]),
                )
            })
            .collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn both_orders_hold_the_same_rows() {
        let by_symbol = all(7, 3, Order::Symbol);
        assert_eq!(by_symbol.len(), 7 * 3 * MINUTES);
        assert_eq!(keys(&by_symbol), keys(&all(7, 3, Order::Session)));
    }

    #[test]
    fn more_symbols_leave_the_first_as_they_were() {
        let few = all(2, 2, Order::Symbol);
        let many = all(5, 2, Order::Symbol);
        assert_eq!(few.close[..], many.close[..few.len()]);
        assert_eq!(few.vwap[..], many.vwap[..few.len()]);
    }

    #[test]
    fn every_bar_is_possible() {
        let bars = all(20, 5, Order::Session);
        let on_grid = |value: f64, grid: f64| (float(whole(value * grid)) / grid) == value;
        for at in 0..bars.len() {
            let (low, high) = (bars.low[at], bars.high[at]);
            assert!(low <= bars.open[at].min(bars.close[at]), "row {at}");
            assert!(high >= bars.open[at].max(bars.close[at]), "row {at}");
            assert!((low..=high).contains(&bars.vwap[at]), "row {at}");
            assert!(bars.trades[at] >= 1 && bars.volume[at] >= 1.0, "row {at}");
            for price in [bars.open[at], high, low, bars.close[at]] {
                assert!(price > 0.0 && on_grid(price, 100.0), "row {at}: {price}");
            }
            assert!(on_grid(bars.vwap[at], 10_000.0), "row {at}: {}", bars.vwap[at]);
        }
    }

    #[test]
    fn volume_is_higher_at_both_ends_of_the_session() {
        let bars = all(50, 5, Order::Session);
        let mean = |minutes: std::ops::Range<usize>| {
            let rows = (0..bars.len()).filter(|at| minutes.contains(&(at % MINUTES)));
            let logs: Vec<f64> = rows.map(|at| bars.volume[at].ln()).collect();
            logs.iter().sum::<f64>() / logs.len() as f64
        };
        let middle = mean(180..210);
        assert!(mean(0..30) > middle + 0.5);
        assert!(mean(360..390) > middle + 0.5);
    }

    #[test]
    fn sessions_are_weekdays() {
        let days: Vec<i64> = (0..6).map(|number| (open_of(number) - OPEN) / DAY).collect();
        // Tuesday to Friday, then Monday and Tuesday.
        assert_eq!(days, [0, 1, 2, 3, 6, 7]);
    }

    #[test]
    fn trades_of_a_session_are_in_order_and_inside_it() {
        let mut rows = 0;
        ticks(3, 2, 1_000, |piece| {
            assert!(piece.ts.is_sorted());
            assert!(piece.ts[0] >= OPEN);
            assert!(piece.size.iter().all(|size| (1.0..=1_000.0).contains(size)));
            rows += piece.ts.len();
        });
        assert_eq!(rows, 6_000);
    }
}
