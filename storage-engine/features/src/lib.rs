//! What a feature is: the language that groups are written in, and the kernels that compute them.
//!
//! `docs/FEATURES.md` says what each word means. This package knows neither stores nor sockets:
//! text becomes a [`Graph`], and a graph turns columns of inputs into columns of cells, whole
//! ranges at once or slot by slot, to the same bits.
//!
//! ```
//! use barrow_features::{Bars, Definition, FeatureRule};
//! use barrow_types::Step;
//!
//! let mut group = Definition::new("core_1m", Bars::every(Step::M1));
//! group.features.push(FeatureRule::new("rsi14", "RSI($close, 14)"));
//! let compiled = group.compile().unwrap();
//! assert_eq!(compiled.features[0].warm_up, 14);
//!
//! group.features.push(FeatureRule::new("next", "Ref($close, -1)"));
//! let error = group.compile().unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "features[1].expr: feature next: k of Ref: a negative lag looks ahead (character 13)
//!   Ref($close, -1)
//!               ^"
//! );
//! ```

mod analysis;
mod call;
mod canonical;
mod cell;
mod columns;
mod definition;
mod error;
mod expand;
mod expr;
mod graph;
mod grouping;
mod history;
mod kernels;
mod lexer;
mod live;
mod lower;
mod nodes;
mod operator;
mod parse;
mod plan;
mod presets;
mod resolve;
mod rules;
mod saved;
mod shape;
mod state;
mod table;
mod version;

pub use analysis::{Analysis, Reads, Totals};
pub use cell::{Cell, Column, FIELDS, Inputs, Row};
pub use columns::Scratch;
pub use definition::{
    Bars, Compiled, Definition, FEATURES_MAX, FeatureRule, Gap, LOOKBACK_MAX, NAME_LEN_MAX,
    Options, Storage,
};
pub use error::{DefinitionError, ExprError};
pub use expr::Expr;
pub use graph::{Context, ContextId, Graph, Node, NodeId, Output};
pub use history::{History, Link, align};
pub use lexer::TEXT_LEN_MAX;
pub use live::{Cells, Live};
pub use nodes::{CONTEXTS_MAX, NODES_MAX};
pub use operator::{Class, Field, Operator};
pub use parse::{NESTING_MAX, parse};
pub use plan::{Import, Plan, PlanError};
pub use presets::NAMES as PRESETS;
pub use saved::Damaged;
