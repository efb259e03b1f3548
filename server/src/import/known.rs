//! Files without names of columns that can be told by their form: whose they are, and what their
//! columns are.

use super::clock::Stamp;
use super::table::{Cell, Sampled};
use super::time::TimeFormat;

/// A form without names that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Twelve columns: open time, open, high, low, close, volume, close time, and five more.
    /// <https://github.com/binance/binance-public-data>
    BinanceKlines,
    /// `YYYYMMDD HHMMSS;open;high;low;close;volume`, or `YYYYMMDD;…` for days.
    /// <https://ninjatrader.com/support/helpGuides/nt8/importing.htm>
    NinjaTrader,
    /// Six columns: a time since 1970, then open, high, low, close, volume, of which in every row
    /// the third is the highest price and the fourth the lowest.
    /// <https://docs.ccxt.com/#/?id=ohlcv-structure>
    CcxtBars,
    /// Seven columns: time, id, type, side, price, amount, cost, where cost is price times amount.
    /// <https://www.freqtrade.io/en/stable/data-download/>
    FreqtradeTrades,
    /// `YYYYMMDD HHMMSSmmm,bid,ask,volume`.
    /// <https://www.histdata.com/f-a-q/data-files-detailed-specification/>
    HistDataQuotes,
}

impl Known {
    /// The form of these rows, each with `width` cells.
    pub(crate) fn detect(separator: Option<char>, width: usize, rows: &[Sampled]) -> Option<Self> {
        let rows: Vec<&[Cell<'_>]> =
            rows.iter().filter_map(|row| row.cells.as_deref().ok()).collect();
        let first = *rows.first()?;
        let is_epoch =
            |at: usize| matches!(TimeFormat::detect(&[&first[at]]), Some(TimeFormat::Epoch(_)));
        let is_compact = || TimeFormat::Compact.read(&first[0]).is_some();
        match width {
            12 if is_epoch(0) && is_epoch(6) => Some(Self::BinanceKlines),
            6 if separator == Some(';') && is_compact() => Some(Self::NinjaTrader),
            6 if is_epoch(0) && are_bars(&rows) => Some(Self::CcxtBars),
            7 if is_epoch(0) && are_trades(&rows) => Some(Self::FreqtradeTrades),
            4 if is_compact() && first[0].text().len() == 18 && are_quotes(&rows) => {
                Some(Self::HistDataQuotes)
            }
            _ => None,
        }
    }

    /// The columns in order; those without use keep a name to be listed by.
    pub(crate) const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::BinanceKlines => &[
                "open_time",
                "open",
                "high",
                "low",
                "close",
                "volume",
                "close_time",
                "quote_volume",
                "trades",
                "taker_buy_volume",
                "taker_buy_quote_volume",
                "unused",
            ],
            Self::NinjaTrader | Self::CcxtBars => &["ts", "open", "high", "low", "close", "volume"],
            Self::FreqtradeTrades => &["ts", "id", "type", "side", "price", "amount", "cost"],
            Self::HistDataQuotes => &["ts", "bid", "ask", "volume"],
        }
    }

    /// For a person.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::BinanceKlines => "Binance klines",
            Self::NinjaTrader => "NinjaTrader",
            Self::CcxtBars => "bars as ccxt writes them",
            Self::FreqtradeTrades => "trades as freqtrade writes them",
            Self::HistDataQuotes => "HistData quotes",
        }
    }

    /// Where in its bar a time stands, and by what that is shown.
    pub(crate) const fn stamp(self) -> Option<(Stamp, &'static str)> {
        match self {
            Self::BinanceKlines => Some((Stamp::Start, "the close time beside it")),
            Self::CcxtBars => Some((Stamp::Start, "the form of ccxt")),
            Self::NinjaTrader | Self::FreqtradeTrades | Self::HistDataQuotes => None,
        }
    }

    /// What its makers say of its zone, to be said to a person who is asked for it.
    pub(crate) const fn zone_hint(self) -> Option<&'static str> {
        match self {
            Self::HistDataQuotes => Some("HistData writes Eastern Standard Time all year: EST"),
            _ => None,
        }
    }
}

/// Whether most rows satisfy `fits`, which says `None` of rows without the numbers it needs.
fn most(rows: &[&[Cell<'_>]], fits: impl Fn(&[Cell<'_>]) -> Option<bool>) -> bool {
    let fitting = rows.iter().filter(|row| fits(row) == Some(true)).count();
    fitting * 10 >= rows.len() * 9
}

fn are_bars(rows: &[&[Cell<'_>]]) -> bool {
    let mut is_told = false;
    let all = rows.iter().all(|row| {
        let numbers: Option<Vec<f64>> = row[1..].iter().map(Cell::number).collect();
        numbers.is_some_and(|numbers| {
            let [open, high, low, close, volume] = numbers[..] else { return false };
            is_told |= high > low;
            high >= open.max(close) && low <= open.min(close) && volume >= 0.0
        })
    });
    all && is_told
}

fn are_trades(rows: &[&[Cell<'_>]]) -> bool {
    most(rows, |row| {
        let side = row[3].text();
        let [price, amount, cost] = [row[4].number()?, row[5].number()?, row[6].number()?];
        let is_cost = (price * amount - cost).abs() <= cost.abs() * 1e-6;
        Some(matches!(side.as_ref(), "buy" | "sell") && is_cost)
    })
}

fn are_quotes(rows: &[&[Cell<'_>]]) -> bool {
    most(rows, |row| {
        let (bid, ask) = (row[1].number()?, row[2].number()?);
        Some(bid > 0.0 && bid <= ask && ask <= bid * 1.1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<Known>) {
        let (layout, rows) = crate::import::delimited::look(text.as_bytes()).unwrap().unwrap();
        let found = Known::detect(Some(layout.separator), layout.width, &rows);
        assert_eq!(found, expected, "{text}");
        if let Some(known) = found {
            assert_eq!(known.columns().len(), layout.width);
        }
    }

    #[test]
    fn a_form_is_known_by_what_its_values_must_be() {
        check(
            "1637971200000,0.1,0.2,0.1,0.2,36304.2,1637971259999,1.03,79,19523.0,0.55,0\n",
            Some(Known::BinanceKlines),
        );
        check("20110103 090100;126.35;126.39;126.35;126.39;1579\n", Some(Known::NinjaTrader));
        check("1509836520,1,3,1,2,10\n1509836580,2,2,2,2,1\n", Some(Known::CcxtBars));
        // Open, close, high, low.
        check("1509836520,1,2,3,1,10\n1509836580,2,3,3,1,1\n", None);
        // Nothing tells the prices apart.
        check("1509836520,2,2,2,2,10\n1509836580,2,2,2,2,1\n", None);
        let trade = "1570752011620,13519807,,sell,0.5,23.0,11.5\n";
        check(trade, Some(Known::FreqtradeTrades));
        check(&trade.replace("11.5", "12.5"), None);
        let quotes = "20200101 170000065,1.121200,1.121720,0\n";
        check(quotes, Some(Known::HistDataQuotes));
        check(&quotes.replace("1.121720", "7"), None);
        check(&quotes.replace("065", ""), None);
        check("1315922016,5.8,1.0\n", None);
    }
}
