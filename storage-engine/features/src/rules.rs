//! What follows from an operator alone: its class, how many values it needs, when it begins.

use crate::definition::Options;
use crate::operator::{Class, Operator};

impl Operator {
    /// What its cells depend on, across contexts too.
    pub(crate) const fn reaches(self) -> Class {
        use Operator as Op;
        match self {
            Op::Field(_)
            | Op::Number
            | Op::Add
            | Op::Sub
            | Op::Mul
            | Op::Div
            | Op::Mod
            | Op::Neg
            | Op::Abs
            | Op::Sign
            | Op::Sqrt
            | Op::Log
            | Op::Log1p
            | Op::Exp
            | Op::Tanh
            | Op::Sigmoid
            | Op::Power
            | Op::SignedPower
            | Op::Greater
            | Op::Less
            | Op::Gt
            | Op::Ge
            | Op::Lt
            | Op::Le
            | Op::Eq
            | Op::Ne
            | Op::And
            | Op::Or
            | Op::Not
            | Op::If
            | Op::Coalesce
            | Op::IsNull
            | Op::IsValid
            | Op::Of => Class::Elementwise,
            Op::Ref
            | Op::Sum
            | Op::Mean
            | Op::Count
            | Op::CountIf
            | Op::Frac
            | Op::Var
            | Op::Std
            | Op::Sem
            | Op::Cv
            | Op::ZScore
            | Op::Skew
            | Op::Kurt
            | Op::Mad
            | Op::MedAd
            | Op::Max
            | Op::Min
            | Op::IdxMax
            | Op::IdxMin
            | Op::LastIdxMax
            | Op::LastIdxMin
            | Op::Quantile
            | Op::Rank
            | Op::Wma
            | Op::DecayExp
            | Op::Slope
            | Op::Rsquare
            | Op::Resi
            | Op::Fitted
            | Op::Intercept
            | Op::Prod
            | Op::BarsSince
            | Op::Beta
            | Op::Alpha
            | Op::ResiXy
            | Op::RsqXy
            | Op::Cov
            | Op::Corr
            | Op::RankCorr
            | Op::Vwap
            | Op::ValueWhen
            | Op::At => Class::Window,
            Op::Ema
            | Op::EwmVar
            | Op::Emas
            | Op::Wilder
            | Op::WilderSum
            | Op::Kama
            | Op::CumSum
            | Op::CumMax
            | Op::CumMin
            | Op::CumCount
            | Op::CumFirst
            | Op::PrevLast => Class::Recursive,
        }
    }

    /// Whether it looks at a window of N places.
    pub(crate) const fn has_window(self) -> bool {
        matches!(self.reaches(), Class::Window) && !matches!(self, Self::Ref | Self::At)
    }

    /// How many valid values it cannot do without; `numbers` are the node's.
    pub(crate) fn least_valid(self, numbers: &[f64]) -> f64 {
        let ddof = numbers.first().copied().unwrap_or_default();
        match self {
            Self::Count => 0.0,
            Self::Var | Self::Std => ddof + 1.0,
            Self::Cov => (ddof + 1.0).max(2.0),
            Self::Skew => 3.0,
            Self::Kurt => 4.0,
            Self::Sem
            | Self::Cv
            | Self::ZScore
            | Self::Slope
            | Self::Rsquare
            | Self::Resi
            | Self::Fitted
            | Self::Intercept
            | Self::Beta
            | Self::Alpha
            | Self::ResiXy
            | Self::RsqXy
            | Self::Corr
            | Self::RankCorr => 2.0,
            _ => 1.0,
        }
    }
}

/// What the options say of every window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    warmup: Option<u32>,
    min_valid: Option<u32>,
    /// Whether a lag delays the first cell.
    do_lags_count: bool,
}

impl Windows {
    pub(crate) fn of(options: &Options) -> Self {
        match *options {
            Options::Own { warmup, min_valid, .. } => {
                Self { warmup, min_valid, do_lags_count: true }
            }
            Options::Qlib => Self { warmup: Some(1), min_valid: Some(1), do_lags_count: false },
        }
    }

    /// W of an operator over `slots`, of arguments that begin behind `inputs`.
    pub(crate) fn warm_up(self, operator: Operator, inputs: u32, slots: u32) -> u32 {
        let window = self.warmup.unwrap_or(slots).saturating_sub(1);
        let own = match operator {
            Operator::At => return 0,
            Operator::Ref if self.do_lags_count => slots,
            Operator::Ema | Operator::EwmVar => window,
            Operator::Emas | Operator::Wilder | Operator::WilderSum => slots.saturating_sub(1),
            Operator::Kama => slots,
            _ if operator.has_window() => window,
            _ => 0,
        };
        inputs.saturating_add(own)
    }

    /// How many of `slots` places must be valid; `least`: without which there is no result.
    pub(crate) fn min_valid(self, operator: Operator, slots: u32, least: u32) -> u32 {
        if !operator.has_window() || operator == Operator::Count {
            return 0;
        }
        self.min_valid.unwrap_or(slots.div_ceil(2)).min(slots).max(least)
    }
}
