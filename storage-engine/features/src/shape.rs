//! What each operator takes, so that a graph can be checked before it is run.

use crate::definition::{LOOKBACK_MAX, WINDOW_MAX};
use crate::graph::Node;
use crate::operator::{Field, Operator};

/// What an operator takes.
pub(crate) struct Shape {
    pub(crate) inputs: usize,
    pub(crate) numbers: usize,
    /// The greatest N or k; 0 if it has neither.
    pub(crate) slots_max: u32,
}

const fn shape(inputs: usize, numbers: usize, slots_max: u32) -> Shape {
    Shape { inputs, numbers, slots_max }
}

impl Operator {
    pub(crate) const fn shape(self) -> Shape {
        match self {
            Self::Field(_) => shape(0, 0, 0),
            Self::Number => shape(0, 1, 0),
            Self::Neg
            | Self::Abs
            | Self::Sign
            | Self::Sqrt
            | Self::Log
            | Self::Log1p
            | Self::Exp
            | Self::Tanh
            | Self::Sigmoid
            | Self::Not
            | Self::IsNull
            | Self::IsValid
            | Self::At
            | Self::Of => shape(1, 0, 0),
            Self::Add
            | Self::Sub
            | Self::Mul
            | Self::Div
            | Self::Mod
            | Self::Power
            | Self::SignedPower
            | Self::Greater
            | Self::Less
            | Self::Gt
            | Self::Ge
            | Self::Lt
            | Self::Le
            | Self::Eq
            | Self::Ne
            | Self::And
            | Self::Or
            | Self::Coalesce
            | Self::CumSum
            | Self::CumMax
            | Self::CumMin
            | Self::CumCount
            | Self::CumFirst
            | Self::PrevLast => shape(2, 0, 0),
            Self::If => shape(3, 0, 0),
            Self::Ref => shape(1, 0, LOOKBACK_MAX),
            Self::Var | Self::Std | Self::Quantile | Self::DecayExp => shape(1, 1, WINDOW_MAX),
            Self::Cov => shape(2, 1, WINDOW_MAX),
            Self::Beta
            | Self::Alpha
            | Self::ResiXy
            | Self::RsqXy
            | Self::Corr
            | Self::RankCorr
            | Self::Vwap
            | Self::ValueWhen => shape(2, 0, WINDOW_MAX),
            Self::Sum
            | Self::Mean
            | Self::Count
            | Self::CountIf
            | Self::Frac
            | Self::Sem
            | Self::Cv
            | Self::ZScore
            | Self::Skew
            | Self::Kurt
            | Self::Mad
            | Self::MedAd
            | Self::Max
            | Self::Min
            | Self::IdxMax
            | Self::IdxMin
            | Self::LastIdxMax
            | Self::LastIdxMin
            | Self::Rank
            | Self::Wma
            | Self::Slope
            | Self::Rsquare
            | Self::Resi
            | Self::Fitted
            | Self::Intercept
            | Self::Prod
            | Self::BarsSince
            | Self::Ema
            | Self::EwmVar
            | Self::Emas
            | Self::Wilder
            | Self::WilderSum
            | Self::Kama => shape(1, 0, WINDOW_MAX),
        }
    }
}

impl Node {
    /// What is wrong with it by itself.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let shape = self.operator.shape();
        if self.inputs.len() != shape.inputs {
            return Some("has another number of inputs than its operator takes");
        }
        if self.numbers.len() != shape.numbers {
            return Some("has other numbers than its operator takes");
        }
        if self.numbers.iter().any(|number| !number.is_finite()) {
            return Some("has a number that is not finite");
        }
        if shape.slots_max > 0 && !(1..=shape.slots_max).contains(&self.slots) {
            return Some("has a window or lag of no slot or of too many");
        }
        match self.operator {
            Operator::Quantile if !(0.0..=1.0).contains(&self.numbers[0]) => {
                Some("has a quantile that is not in 0 to 1")
            }
            Operator::Var | Operator::Std | Operator::Cov
                if !(0.0..=f64::from(WINDOW_MAX)).contains(&self.numbers[0]) =>
            {
                Some("has a ddof that is negative or greater than a window")
            }
            _ => None,
        }
    }

    /// The field that it is, if it is one.
    pub(crate) const fn field(&self) -> Option<Field> {
        match self.operator {
            Operator::Field(field) => Some(field),
            _ => None,
        }
    }
}
