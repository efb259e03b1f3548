//! The formulas, row by row over the whole series.

use super::*;

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let len = values.len();
    if len % 2 == 1 { values[len / 2] } else { (values[len / 2 - 1] + values[len / 2]) / 2.0 }
}

fn log_return(bars: &[Bar], at: usize) -> Option<f64> {
    let (before, own) = (bars[at.checked_sub(1)?].close, bars[at].close);
    (before > 0.0 && own > 0.0).then(|| (own / before).ln())
}

fn sigma(bars: &[Bar], at: usize) -> Option<f64> {
    let window = at.saturating_sub(60)..at;
    let returns: Vec<f64> = window.filter_map(|at| log_return(bars, at)).collect();
    if returns.len() < 20 {
        return None;
    }
    let middle = median(&returns);
    let distances: Vec<f64> = returns.iter().map(|x| (x - middle).abs()).collect();
    Some(1.4826 * median(&distances)).filter(|sigma| *sigma > 0.0)
}

fn spike(bars: &[Bar], at: usize, k: f64, m: usize) -> bool {
    const LEAST: f64 = 0.01;
    let Some((own, sigma)) = log_return(bars, at).zip(sigma(bars, at)) else { return false };
    let after = &bars[at + 1..bars.len().min(at + 1 + m)];
    own.abs() >= LEAST
        && own.abs() > k * sigma
        && after.iter().any(|later| {
            later.close > 0.0 && (later.close / bars[at - 1].close).ln().abs() < 0.5 * own.abs()
        })
}

fn volume_spike(bars: &[Bar], at: usize, k: f64) -> bool {
    let before = bars[at.saturating_sub(60)..at].iter().filter_map(|bar| bar.volume);
    let before: Vec<f64> = before.collect();
    before.len() >= 20
        && median(&before) > 0.0
        && bars[at].volume.is_some_and(|volume| volume > k * median(&before))
}

fn stale(bars: &[Bar], placed: &[Place], at: usize, n: usize, dated: bool) -> bool {
    let goes_on = |other: &usize| {
        bars[*other].close == bars[at].close
            && bars[*other].volume.is_some_and(|volume| volume > 0.0)
            && (dated || placed[*other].date == placed[at].date)
    };
    (0..=at).rev().take_while(goes_on).count() >= n
}

fn zero_volume(bars: &[Bar], placed: &[Place], at: usize, before: i64, dated: bool) -> bool {
    let traded = |at: usize| bars[at].volume.is_some_and(|volume| volume > 0.0);
    let is_near = |other: usize| {
        if dated {
            other < at && at - other <= usize::try_from(before).unwrap()
        } else {
            (placed[at].rank - before..=placed[at].rank).contains(&placed[other].rank)
        }
    };
    bars[at].volume == Some(0.0)
        && placed[at].regular
        && (0..bars.len()).any(|other| traded(other) && is_near(other))
}

fn split(bars: &[Bar], at: usize) -> bool {
    let Some(before) = at.checked_sub(1) else { return false };
    let ratio = bars[before].close / bars[at].open;
    let usual = [2.0, 3.0, 4.0, 5.0, 7.0, 8.0, 10.0, 20.0];
    let near = usual
        .iter()
        .any(|n| (ratio / n - 1.0).abs() <= 0.025 || (ratio / (1.0 / n) - 1.0).abs() <= 0.025);
    let volumes = |bars: &[Bar]| bars.iter().map(|bar| bar.volume).collect::<Option<Vec<_>>>();
    let old = volumes(&bars[at.saturating_sub(5)..at]);
    let new = volumes(&bars[at..bars.len().min(at + 5)]);
    let Some((old, new)) = old.zip(new) else { return false };
    let scale = median(&new) / median(&old);
    near && bars[before].close > 0.0
        && bars[at].open > 0.0
        && median(&old) > 0.0
        && if ratio > 1.0 { scale > 2.0 / 3.0 } else { scale < 1.5 }
}

fn unit(bars: &[Bar], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|before| bars[before].close) else { return false };
    let Bar { open, high, low, close, .. } = bars[at];
    let near = |price: f64, n: f64| (price / before / n - 1.0).abs() <= 0.2;
    before > 0.0
        && [open, high, low, close].iter().any(|price| near(*price, 100.0) || near(*price, 0.01))
}

pub(super) struct Thresholds {
    pub(super) spike: (f64, usize),
    pub(super) volume: f64,
    pub(super) stale: usize,
    pub(super) zero: i64,
}

pub(super) fn fired(
    bars: &[Bar],
    placed: &[Place],
    at: usize,
    dated: bool,
    thresholds: &Thresholds,
) -> Fired {
    let Bar { open, high, low, close, volume, vwap, .. } = bars[at];
    let ordered = low <= open && low <= close && high >= open && high >= close && low <= high;
    let outside = |vwap: f64| vwap < low * (1.0 - 1e-9) || vwap > high * (1.0 + 1e-9);
    let off = low > 0.0 && high > 0.0 && vwap.is_some_and(outside);
    let verdicts = [
        (RuleId::OhlcOrder, !ordered),
        (RuleId::PricePositive, [open, high, low, close].iter().any(|price| *price <= 0.0)),
        (RuleId::SizeNonneg, volume.is_some_and(|volume| volume < 0.0)),
        (RuleId::VwapInRange, off),
        (RuleId::Spike, spike(bars, at, thresholds.spike.0, thresholds.spike.1)),
        (RuleId::VolumeSpike, volume_spike(bars, at, thresholds.volume)),
        (RuleId::StalePrice, stale(bars, placed, at, thresholds.stale, dated)),
        (RuleId::ZeroVolumeBar, zero_volume(bars, placed, at, thresholds.zero, dated)),
        (RuleId::OffSession, !placed[at].extended),
        (RuleId::SplitSuspect, dated && split(bars, at)),
        (RuleId::UnitError, unit(bars, at)),
    ];
    verdicts.into_iter().filter(|verdict| verdict.1).map(|verdict| verdict.0).collect()
}
