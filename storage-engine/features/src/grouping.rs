//! Nodes that share their work, put together into calls.

use std::collections::BTreeMap;

use crate::call::{
    Call, Each, Extreme, Extremes, Lag, Means, Moments, Need, Order, Out, Pair, Recursion, Single,
};
use crate::graph::Node;
use crate::kernels::lanes::LANES;
use crate::operator::{Class, Operator};

/// A window that is kept sorted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sorted {
    pub(crate) ring: usize,
    pub(crate) slots: usize,
    /// Where it is among all of them.
    pub(crate) at: usize,
}

/// What kernels share work: the same family over the same series and the same window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    Moments,
    Extremes(Extreme),
    Order,
    Pair,
}

/// Nodes, put together level by level.
#[derive(Debug, Default)]
pub(crate) struct Grouping {
    /// Nodes that windows look at, and how many cells before the newest they look back.
    pub(crate) rings: Vec<(usize, usize)>,
    pub(crate) recursion_len: usize,
    /// The windows that are kept sorted: their ring and length.
    pub(crate) sorted: Vec<Sorted>,
    /// How many extremes the state knows.
    pub(crate) extremes: usize,
    ring_of: BTreeMap<usize, usize>,
    each: BTreeMap<(usize, Operator), Vec<Each>>,
    lags: BTreeMap<usize, Vec<Lag>>,
    /// By level, family, window and series, so that calls of one kind follow each other.
    windows: BTreeMap<(usize, Family, usize, [usize; 2]), Vec<Out>>,
    singles: Vec<(usize, Single)>,
    recursions: Vec<(usize, Recursion)>,
}

impl Grouping {
    /// Adds a node that computes something of others.
    pub(crate) fn add(&mut self, level: usize, out: usize, node: &Node, inputs: &[usize]) {
        let slots = node.slots as usize;
        let number = node.numbers.first().copied().unwrap_or(0.0);
        let spec = Out {
            operator: node.operator,
            node: out,
            warm_up: u64::from(node.warm_up),
            min_valid: f64::from(node.min_valid).max(node.operator.least_valid(&node.numbers)),
            number,
        };
        match role(node.operator) {
            Role::Each => {
                let mut three = [inputs[0]; 3];
                three[..inputs.len()].copy_from_slice(inputs);
                let each = Each { out, inputs: three, warm_up: spec.warm_up };
                self.each.entry((level, node.operator)).or_default().push(each);
            }
            Role::Lag => {
                let ring = self.ring(inputs[0], slots);
                self.lags.entry(level).or_default().push(Lag { out, ring, slots });
            }
            Role::Window(family) => {
                // A sorted window is told which cell leaves it.
                let keep = if family == Family::Order { slots } else { slots - 1 };
                let mut rings = [self.ring(inputs[0], keep); 2];
                if let Some(second) = inputs.get(1) {
                    rings[1] = self.ring(*second, keep);
                }
                // Least squares of y on x name y first.
                if regression(node.operator) {
                    rings.swap(0, 1);
                }
                self.windows.entry((level, family, slots, rings)).or_default().push(spec);
            }
            Role::Single => {
                let keep = slots - 1;
                let first = self.ring(inputs[0], keep);
                let second = inputs.get(1).map_or(first, |input| self.ring(*input, keep));
                let weights = weights(node.operator, slots, number);
                let single = Single { rings: [first, second], slots, weights, out: spec };
                self.singles.push((level, single));
            }
            Role::Recursion => {
                let state_len = crate::kernels::recursions::state_len(node.operator, slots);
                let recursion = Recursion {
                    operator: node.operator,
                    out,
                    inputs: [inputs[0], inputs.get(1).copied().unwrap_or(inputs[0])],
                    slots,
                    warm_up: u64::from(node.warm_up),
                    state: self.recursion_len,
                    state_len,
                };
                self.recursion_len += state_len;
                self.recursions.push((level, recursion));
            }
        }
    }

    fn ring(&mut self, node: usize, keep: usize) -> usize {
        let ring = *self.ring_of.entry(node).or_insert_with(|| {
            self.rings.push((node, 0));
            self.rings.len() - 1
        });
        let kept = &mut self.rings[ring].1;
        *kept = keep.max(*kept);
        ring
    }

    /// The calls of each level. `count` has told the state what they keep.
    pub(crate) fn into_levels(self, levels: usize) -> Vec<Vec<Call>> {
        let mut calls: Vec<Vec<Call>> = (0..levels).map(|_| Vec::new()).collect();
        for ((level, operator), each) in self.each {
            calls[level].push(Call::Each(operator, each));
        }
        for (level, lags) in self.lags {
            calls[level].push(Call::Lag(lags));
        }
        let (mut sorted, mut found) = (0, 0);
        let mut simple: Vec<Vec<Means>> = vec![Vec::new(); levels];
        for ((level, family, slots, rings), outs) in self.windows {
            let ring = rings[0];
            if let Some(means) = means(family, ring, slots, &outs) {
                simple[level].push(means);
                continue;
            }
            calls[level].push(match family {
                Family::Moments => Call::Moments(moments(ring, slots, outs)),
                Family::Extremes(extreme) => {
                    found += 1;
                    Call::Extremes(Extremes { ring, slots, extreme, found: found - 1, outs })
                }
                Family::Order => {
                    sorted += 1;
                    Call::Order(Order { ring, slots, sorted: sorted - 1, outs })
                }
                Family::Pair => Call::Pair(Pair { rings, slots, outs }),
            });
        }
        for (calls, simple) in calls.iter_mut().zip(simple) {
            if !simple.is_empty() {
                calls.push(Call::Means(simple));
            }
        }
        for (level, single) in self.singles {
            calls[level].push(Call::Single(single));
        }
        for (level, recursion) in self.recursions {
            calls[level].push(Call::Recursion(recursion));
        }
        calls
    }

    /// Counts what the windows keep besides rings, in the order in which calls are made of them.
    pub(crate) fn count(&mut self) {
        for (_, family, slots, rings) in self.windows.keys() {
            match family {
                Family::Order => {
                    let at = self.sorted.last().map_or(0, |last| last.at + last.slots);
                    self.sorted.push(Sorted { ring: rings[0], slots: *slots, at });
                }
                Family::Extremes(_) => self.extremes += 1,
                Family::Moments | Family::Pair => {}
            }
        }
    }
}

enum Role {
    Each,
    Lag,
    Window(Family),
    Single,
    Recursion,
}

fn role(operator: Operator) -> Role {
    match operator {
        Operator::Ref => Role::Lag,
        Operator::Sum
        | Operator::Mean
        | Operator::Count
        | Operator::CountIf
        | Operator::Frac
        | Operator::Var
        | Operator::Std
        | Operator::Sem
        | Operator::Cv
        | Operator::ZScore
        | Operator::Skew
        | Operator::Kurt
        | Operator::Mad
        | Operator::Slope
        | Operator::Rsquare
        | Operator::Resi
        | Operator::Fitted
        | Operator::Intercept => Role::Window(Family::Moments),
        Operator::Max | Operator::IdxMax => Role::Window(Family::Extremes(Extreme::Greatest)),
        Operator::Min | Operator::IdxMin => Role::Window(Family::Extremes(Extreme::Least)),
        Operator::LastIdxMax => Role::Window(Family::Extremes(Extreme::LastGreatest)),
        Operator::LastIdxMin => Role::Window(Family::Extremes(Extreme::LastLeast)),
        Operator::Quantile | Operator::Rank | Operator::MedAd => Role::Window(Family::Order),
        Operator::Cov | Operator::Corr => Role::Window(Family::Pair),
        operator if regression(operator) => Role::Window(Family::Pair),
        Operator::Wma
        | Operator::DecayExp
        | Operator::Prod
        | Operator::BarsSince
        | Operator::RankCorr
        | Operator::Vwap
        | Operator::ValueWhen => Role::Single,
        operator if operator.reaches() == Class::Recursive => Role::Recursion,
        _ => Role::Each,
    }
}

const fn regression(operator: Operator) -> bool {
    matches!(operator, Operator::Beta | Operator::Alpha | Operator::ResiXy | Operator::RsqXy)
}

/// The nodes, if they are but a sum and a mean.
fn means(family: Family, ring: usize, slots: usize, outs: &[Out]) -> Option<Means> {
    if family != Family::Moments {
        return None;
    }
    let mut means = Means { ring, slots, sum: None, mean: None };
    for out in outs {
        let place = match out.operator {
            Operator::Sum => &mut means.sum,
            Operator::Mean => &mut means.mean,
            _ => return None,
        };
        // The same sum may be wanted with other rules for nulls.
        if place.replace(*out).is_some() {
            return None;
        }
    }
    Some(means)
}

fn moments(ring: usize, slots: usize, outs: Vec<Out>) -> Moments {
    let mut need = Need::default();
    for out in &outs {
        match out.operator {
            Operator::Count => {}
            Operator::CountIf | Operator::Frac => need.truths = true,
            Operator::Sum => need.sum = true,
            Operator::Mean => need.mean = true,
            Operator::Skew | Operator::Kurt => need.powers = true,
            Operator::Mad => need.absolute = true,
            Operator::Slope
            | Operator::Rsquare
            | Operator::Resi
            | Operator::Fitted
            | Operator::Intercept => need.line = true,
            _ => need.squares = true,
        }
    }
    need.squares |= need.powers || need.line;
    need.mean |= need.squares || need.absolute;
    need.sum |= need.mean;
    let n = slots as f64;
    // All sums of squares of these places are exact.
    let spread = n * (n * n - 1.0) / 12.0;
    let places = eights((1..=slots.next_multiple_of(LANES)).map(|place| place as f64));
    Moments { ring, slots, need, places, spread, spread_root: spread.sqrt(), outs }
}

/// The weights of places, the oldest first.
fn weights(operator: Operator, slots: usize, number: f64) -> Vec<[f64; LANES]> {
    let padded = slots.next_multiple_of(LANES);
    match operator {
        Operator::Wma => eights((1..=padded).map(|place| place as f64)),
        Operator::DecayExp => eights(
            (1..=padded).map(|place| libm::pow(number, slots.saturating_sub(place) as f64) + 0.0),
        ),
        _ => Vec::new(),
    }
}

fn eights(numbers: impl Iterator<Item = f64>) -> Vec<[f64; LANES]> {
    let numbers: Vec<f64> = numbers.collect();
    numbers.as_chunks().0.to_vec()
}
