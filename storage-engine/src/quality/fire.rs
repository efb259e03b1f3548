//! Runs the rules over rows.

use std::collections::BTreeSet;
use std::ops::Range;

use barrow_types::{ColumnId, DatasetId, Step};

use crate::rows::Column;

use super::Fired;
use super::judge::Subject;
use super::settings::RuleSet;
use super::table::{Action, RuleId};
use super::view::View;
use super::{single, spike, split, stale, unit, volume};

/// Calls `hit` with the rows among `rows` on which rules about rows by themselves fire.
fn each_alone(
    view: &View<'_>,
    rules: &RuleSet,
    wanted: Fired,
    rows: &Range<usize>,
    hit: &mut impl FnMut(usize, RuleId),
) {
    for rule in wanted.iter() {
        let hit = |at| hit(at, rule);
        match rule {
            RuleId::OhlcOrder => each(rows, |at| single::ohlc_order(view, at), hit),
            RuleId::PricePositive => each(rows, |at| single::price_positive(view, at), hit),
            RuleId::SizeNonneg => each(rows, |at| single::size_nonneg(view, at), hit),
            RuleId::VwapInRange => {
                let tolerance = rules.get(rule).number("tolerance");
                each(rows, |at| single::vwap_in_range(view, at, tolerance), hit);
            }
            RuleId::CrossedLocked => each(rows, |at| single::crossed_locked(view, at), hit),
            _ => {}
        }
    }
}

fn each(rows: &Range<usize>, fires: impl Fn(usize) -> bool, hit: impl FnMut(usize)) {
    rows.clone().filter(|&at| fires(at)).for_each(hit);
}

/// Calls `hit` with the rows among `rows`, all of which `view` holds with their context, on which
/// the wanted rules fire. `ranks` are those of sessions with volume.
pub(super) fn fire(
    view: &View<'_>,
    rules: &RuleSet,
    wanted: Fired,
    subject: &Subject,
    ranks: &BTreeSet<i64>,
    rows: &Range<usize>,
    hit: &mut impl FnMut(usize, RuleId),
) {
    each_alone(view, rules, wanted, rows, hit);
    for rule in wanted.iter().filter(|rule| rule.is_of(view.step)) {
        let setting = rules.get(rule);
        let hit = |at| hit(at, rule);
        match rule {
            RuleId::TickSize => {
                let tolerance = setting.number("tolerance");
                let fires = |at| single::tick_size(view, at, &subject.ticks, tolerance);
                each(rows, fires, hit);
            }
            RuleId::OffSession => each(rows, |at| !view.places[at].extended, hit),
            RuleId::ZeroVolumeBar => {
                let before = setting.count("sessions");
                if view.step.is_dated() {
                    volume::zero_volume_dated(view, rows.clone(), before, hit);
                } else {
                    volume::zero_volume(view, rows.clone(), before, ranks, hit);
                }
            }
            RuleId::VolumeSpike => {
                volume::volume_spike(view, rows.clone(), setting.number("k"), hit);
            }
            RuleId::StalePrice => {
                stale::stale_price(view, rows.clone(), setting.count("n"), hit);
            }
            RuleId::Spike => {
                let (k, m) = (setting.number("k"), setting.count("m"));
                spike::spike(view, rows.clone(), k, m, setting.number("min"), hit);
            }
            RuleId::SplitSuspect => {
                let tolerance = setting.number("tolerance");
                split::split_suspect(view, rows.clone(), tolerance, &subject.splits, hit);
            }
            RuleId::AdjContinuity => {
                let k = setting.number("k");
                split::adj_continuity(view, rows.clone(), k, &subject.splits, hit);
            }
            RuleId::UnitError => {
                let tolerance = setting.number("tolerance");
                unit::unit_error(view, rows.clone(), tolerance, &subject.splits, hit);
            }
            _ => {}
        }
    }
}

/// The rows of a batch, among its first `count`, that rules turn away, each with the first such
/// rule; in order. `columns` are all of the dataset's.
pub(crate) fn turned_away(
    rules: &RuleSet,
    ids: &[ColumnId],
    columns: &[Column],
    count: usize,
) -> Vec<(usize, RuleId)> {
    let rejecting = rules.with_action(&[Action::Reject]);
    let mut found: Vec<(usize, RuleId)> = Vec::new();
    if !rejecting.is_empty() {
        let view = View::new(rules.dataset(), Step::Tick, &[], ids, columns, &[]);
        let mut hit = |at, rule| found.push((at, rule));
        each_alone(&view, rules, rejecting, &(0..count), &mut hit);
        found.retain(|&(at, rule)| !is_mild(&view, rule, at));
        found.sort_unstable();
        found.dedup_by_key(|(at, _)| *at);
    }
    found
}

/// Those of `wanted` rules that have what they need to judge a row.
pub(super) fn tested(view: &View<'_>, wanted: Fired, subject: &Subject, at: usize) -> Fired {
    let has_size = view.sizes.iter().any(|sizes| !sizes[at].is_nan());
    let has = |rule: &RuleId| match rule {
        RuleId::SizeNonneg
        | RuleId::ZeroVolumeBar
        | RuleId::VolumeSpike
        | RuleId::StalePrice
        | RuleId::SplitSuspect => has_size,
        RuleId::VwapInRange => !view.vwap[at].is_nan(),
        RuleId::CrossedLocked => view.prices.iter().all(|prices| !prices[at].is_nan()),
        RuleId::TickSize => single::tick_in_force(&subject.ticks, view.ts[at]).is_some(),
        _ => true,
    };
    wanted.iter().filter(has).collect()
}

/// Whether what a rule fires on is a warning at most, whatever its severity.
pub(super) fn is_mild(view: &View<'_>, rule: RuleId, at: usize) -> bool {
    rule == RuleId::CrossedLocked && single::is_locked(view, at)
}

/// Whether a rule looks at a column of rows of a dataset.
pub(super) fn looks_at(rule: RuleId, dataset: DatasetId, column: &str) -> bool {
    let is_bar = dataset == DatasetId::BARS;
    let is_size = matches!(column, "volume" | "size" | "bid_size" | "ask_size");
    let is_price = !is_size && column != "vwap";
    match rule {
        RuleId::OhlcOrder
        | RuleId::PricePositive
        | RuleId::TickSize
        | RuleId::UnitError
        | RuleId::CrossedLocked => is_price,
        RuleId::SizeNonneg | RuleId::ZeroVolumeBar | RuleId::VolumeSpike => is_size,
        RuleId::VwapInRange => matches!(column, "vwap" | "high" | "low"),
        RuleId::StalePrice => matches!(column, "close" | "volume"),
        RuleId::Spike | RuleId::AdjContinuity => is_bar && column == "close",
        RuleId::SplitSuspect => matches!(column, "open" | "close" | "volume"),
        _ => false,
    }
}
