//! Trees into nodes: macros are expanded, numbers are checked, what is equal is computed once.

use std::collections::BTreeMap;
use std::rc::Rc;

use barrow_types::Step;

use crate::canonical;
use crate::definition::{LOOKBACK_MAX, Options, WINDOW_MAX};
use crate::error::Fault;
use crate::expr::{Expr, What};
use crate::graph::{Context, ContextId, Graph, NodeId, Output};
use crate::nodes::Nodes;
use crate::operator::{Field, Operator};
use crate::parse::{Author, parse_by};
use crate::resolve::{fold, longer};
use crate::table::{Body, Entry, Kind, Param, Range};

/// Most places of all trees of a group, counted again wherever a macro or a reference to a feature
/// on another step repeats them: it bounds the time that a hostile group takes.
const PLACES_MAX: usize = 1 << 20;

/// How often `At` and `Of` may lead from feature to feature.
const HOPS_MAX: usize = 8;

/// What a place of a tree stands for.
#[derive(Clone, Copy, Debug)]
enum Value {
    Node(NodeId),
    /// Not a node until a series is asked for.
    Number(f64),
    Text,
}

/// What names mean in the text of a macro.
type Arguments = BTreeMap<&'static str, Value>;

/// A macro, the bits of its arguments, and on whose slots it is.
type Expansion = (&'static str, Vec<(bool, u64)>, ContextId);

/// Trees that became nodes, feature by feature.
pub(crate) struct Lowering {
    every: Step,
    nodes: Nodes,
    features: Vec<Rc<Expr>>,
    by_name: BTreeMap<String, usize>,
    outputs: Vec<Output>,
    /// Features on the slots of other contexts.
    elsewhere: BTreeMap<(usize, ContextId), Value>,
    macros: BTreeMap<&'static str, Rc<Expr>>,
    expanded: BTreeMap<Expansion, Value>,
    places: usize,
    hops: usize,
}

const OWN: ContextId = ContextId(0);

impl Lowering {
    pub(crate) fn new(every: Step, options: &Options) -> Self {
        Self {
            every,
            nodes: Nodes::new(options),
            features: Vec::new(),
            by_name: BTreeMap::new(),
            outputs: Vec::new(),
            elsewhere: BTreeMap::new(),
            macros: BTreeMap::new(),
            expanded: BTreeMap::new(),
            places: 0,
            hops: 0,
        }
    }

    /// Adds a feature, whose names have been looked up.
    pub(crate) fn add(&mut self, name: &str, tree: Expr) -> Result<(), Fault> {
        let value = self.tree(&tree, OWN, &Arguments::new())?;
        let node = self.series(value, OWN).map_err(|why| Fault::new(0, why))?;
        self.by_name.insert(name.to_owned(), self.features.len());
        self.features.push(Rc::new(tree));
        self.outputs.push(Output { name: name.to_owned(), node });
        Ok(())
    }

    pub(crate) fn finish(self) -> Graph {
        self.nodes.finish(self.outputs)
    }

    fn tree(
        &mut self,
        tree: &Expr,
        context: ContextId,
        arguments: &Arguments,
    ) -> Result<Value, Fault> {
        self.places += tree.places.len();
        if self.places > PLACES_MAX {
            let message = format!("the group has more than {PLACES_MAX} parts, all written out");
            return Err(Fault::new(0, message));
        }
        let contexts = self.contexts(tree, context)?;
        let mut values: Vec<Value> = Vec::with_capacity(tree.places.len());
        for (place, context) in tree.places.iter().zip(&contexts) {
            let value = match &place.what {
                What::Number(value) => Ok(Value::Number(*value)),
                What::Text(_) => Ok(Value::Text),
                What::Field(field) => self.field(*field, *context).map(Value::Node),
                What::Name(name) => match arguments.get(name.as_str()) {
                    Some(value) => Ok(*value),
                    None => self.feature(name, *context),
                },
                What::Duration(..) => unreachable!("invariant: durations are slots by now"),
                What::Apply(entry, given) => {
                    let inner = given.last().map_or(*context, |last| contexts[last.place]);
                    let values = given.iter().map(|argument| values[argument.place]).collect();
                    let call = Call { entry, values, inner };
                    call.check(|argument| tree.places[given[argument].place].at)?;
                    self.apply(&call, *context, arguments)
                }
            };
            values.push(value.map_err(|why| Fault::new(place.at, why))?);
        }
        Ok(values.pop().expect("invariant: a tree has a root"))
    }

    /// On whose slots each place of the tree is.
    fn contexts(&mut self, tree: &Expr, context: ContextId) -> Result<Vec<ContextId>, Fault> {
        let mut contexts = vec![context; tree.places.len()];
        for (at, place) in tree.places.iter().enumerate().rev() {
            let What::Apply(entry, arguments) = &place.what else { continue };
            let inner = match (entry.body, arguments.first().map(|a| &tree.places[a.place].what)) {
                (Body::At, Some(What::Text(step))) => self.longer(contexts[at], step),
                (Body::Of, Some(What::Text(instrument))) => self.of(contexts[at], instrument),
                _ => Ok(contexts[at]),
            };
            let inner = inner.map_err(|why| Fault::new(place.at, why))?;
            for argument in arguments {
                contexts[argument.place] = inner;
            }
        }
        Ok(contexts)
    }

    fn longer(&mut self, context: ContextId, step: &str) -> Result<ContextId, String> {
        let Context { instrument, step: own } = self.nodes.context(context).clone();
        let step = longer(step, own.unwrap_or(self.every))?;
        self.nodes.read_context(context, Context { instrument, step: Some(step) })
    }

    fn of(&mut self, context: ContextId, instrument: &str) -> Result<ContextId, String> {
        let step = self.nodes.context(context).step;
        let inner = Context { instrument: Some(instrument.to_owned()), step };
        self.nodes.read_context(context, inner)
    }

    fn field(&mut self, field: Field, context: ContextId) -> Result<NodeId, String> {
        self.nodes.apply(Operator::Field(field), context, Vec::new(), 0, Vec::new())
    }

    fn series(&mut self, value: Value, context: ContextId) -> Result<NodeId, String> {
        match value {
            Value::Node(id) => Ok(id),
            Value::Number(number) => {
                self.nodes.apply(Operator::Number, context, Vec::new(), 0, vec![number])
            }
            Value::Text => unreachable!("invariant: a text is no series"),
        }
    }

    /// The cells of a feature on the slots of `context`.
    fn feature(&mut self, name: &str, context: ContextId) -> Result<Value, String> {
        let feature = *self.by_name.get(name).expect("invariant: names have been looked up");
        if context == OWN {
            return Ok(Value::Node(self.outputs[feature].node));
        }
        if let Some(value) = self.elsewhere.get(&(feature, context)) {
            return Ok(*value);
        }
        if self.hops == HOPS_MAX {
            return Err(format!("At and Of lead over more than {HOPS_MAX} features"));
        }
        self.hops += 1;
        let tree = Rc::clone(&self.features[feature]);
        let value = self
            .tree(&tree, context, &Arguments::new())
            .map_err(|fault| format!("{name} here: {}", fault.message))?;
        self.hops -= 1;
        self.elsewhere.insert((feature, context), value);
        Ok(value)
    }

    fn apply(
        &mut self,
        call: &Call,
        context: ContextId,
        outer: &Arguments,
    ) -> Result<Value, String> {
        if let Some(number) = call.folded() {
            return Ok(Value::Number(number));
        }
        let operator = match call.entry.body {
            Body::Kernel(operator) | Body::OfSession(operator) => operator,
            // Whoever is meant already need not be looked for.
            Body::At | Body::Of if call.inner == context => return Ok(call.values[1]),
            Body::At => Operator::At,
            Body::Of => Operator::Of,
            Body::Macro(text) => return self.expand(text, call, context),
            Body::AtOnce => return self.at_once(call, context, outer),
            Body::LooksAhead | Body::NotYet(_) => {
                unreachable!("invariant: refused when the text was read")
            }
        };
        let mut inputs = Vec::with_capacity(call.values.len());
        let mut slots = 0;
        let mut numbers = Vec::new();
        for (param, value) in call.entry.params.iter().zip(&call.values) {
            match (param.kind, *value) {
                (Kind::Series | Kind::Implied(_), value) => {
                    inputs.push(self.series(value, call.inner)?);
                }
                (Kind::Window | Kind::Slots | Kind::Lag, Value::Number(number)) => {
                    slots = whole(number, LOOKBACK_MAX)?;
                }
                (Kind::Number(_), Value::Number(number)) => numbers.push(number),
                (Kind::Text, _) => {}
                _ => unreachable!("invariant: numbers were worked out when the text was read"),
            }
        }
        if matches!(call.entry.body, Body::OfSession(_)) {
            inputs.push(self.field(Field::Session, context)?);
        }
        self.nodes.apply(operator, context, inputs, slots, numbers).map(Value::Node)
    }

    fn expand(&mut self, text: &str, call: &Call, context: ContextId) -> Result<Value, String> {
        let name = call.entry.name;
        let bits = call.values.iter().map(|value| match value {
            Value::Node(id) => (true, u64::from(id.0)),
            Value::Number(number) => (false, number.to_bits()),
            Value::Text => unreachable!("invariant: macros take no texts"),
        });
        let expansion = (name, bits.collect(), context);
        if let Some(value) = self.expanded.get(&expansion) {
            return Ok(*value);
        }
        let body = self.macros.entry(name).or_insert_with(|| {
            let body = parse_by(text, Author::Macro).expect("invariant: macros are expressions");
            Rc::new(body)
        });
        let body = Rc::clone(body);
        let params = call.entry.params.iter().map(|param| param.name);
        let arguments: Arguments = params.zip(call.values.iter().copied()).collect();
        let value = self
            .tree(&body, context, &arguments)
            .map_err(|fault| format!("{name}: {}", fault.message))?;
        self.expanded.insert(expansion, value);
        Ok(value)
    }

    fn at_once(
        &mut self,
        call: &Call,
        context: ContextId,
        outer: &Arguments,
    ) -> Result<Value, String> {
        let begun = outer.values().map(|value| match value {
            Value::Node(id) => self.nodes.warm_up(*id),
            Value::Number(_) | Value::Text => 0,
        });
        let begun = begun.max().unwrap_or(0);
        let node = self.series(call.values[0], context)?;
        self.nodes.at_once(node, begun).map(Value::Node)
    }
}

/// An operator and what it is applied to, in order.
struct Call {
    entry: &'static Entry,
    values: Vec<Value>,
    /// On whose slots its series are.
    inner: ContextId,
}

impl Call {
    /// Its result, if that is a number.
    fn folded(&self) -> Option<f64> {
        let number = |value: &Value| match value {
            Value::Number(number) => Some(*number),
            Value::Node(_) | Value::Text => None,
        };
        let numbers: Option<Vec<f64>> = self.values.iter().map(number).collect();
        fold(self.entry, &numbers?)
    }

    /// Whether its numbers are what they may be; `at` tells where an argument stands.
    fn check(&self, at: impl Fn(usize) -> usize) -> Result<(), Fault> {
        let mut lesser = None;
        for (place, (param, value)) in self.entry.params.iter().zip(&self.values).enumerate() {
            let Value::Number(number) = *value else { continue };
            let fault = |why: String| {
                Fault::new(at(place), format!("{} of {}: {why}", param.name, self.entry.name))
            };
            check(*param, number).map_err(fault)?;
            match param.name {
                "lo" | "fast" => lesser = Some(number),
                "hi" if lesser.is_some_and(|lo| lo > number) => {
                    return Err(fault("is less than lo".to_owned()));
                }
                "slow" if lesser.is_some_and(|fast| fast >= number) => {
                    return Err(fault("is not greater than fast".to_owned()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether the number may be this argument.
fn check(param: Param, number: f64) -> Result<(), String> {
    let is_allowed = match param.kind {
        Kind::Series | Kind::Implied(_) | Kind::Text => true,
        Kind::Lag if number < 0.0 => return Err("a negative lag looks ahead".to_owned()),
        Kind::Lag => return whole(number, LOOKBACK_MAX).map(drop),
        Kind::Window | Kind::Slots => return whole(number, WINDOW_MAX).map(drop),
        Kind::Number(Range::Any) => true,
        Kind::Number(Range::Positive) => number >= 0.0,
        Kind::Number(Range::Share) => (0.0..=1.0).contains(&number),
        Kind::Number(Range::Decay) => number > 0.0 && number <= 1.0,
        Kind::Number(Range::Whole) => number >= 0.0 && number.fract() == 0.0,
    };
    let wanted = match param.kind {
        Kind::Number(Range::Share) => "is from 0 to 1",
        Kind::Number(Range::Decay) => "is above 0 and at most 1",
        Kind::Number(Range::Whole) => "is 0, 1, 2, ...",
        _ => "is not negative",
    };
    if is_allowed { Ok(()) } else { Err(format!("{wanted}, not {}", canonical::number(number))) }
}

/// The whole number from 1 to `max` that it is.
fn whole(number: f64, max: u32) -> Result<u32, String> {
    let wrong = || format!("is a whole number from 1 to {max}, not {}", canonical::number(number));
    if number.fract() != 0.0 || number < 1.0 || number > f64::from(max) {
        return Err(wrong());
    }
    // Exact: there are so few that the text of each is read back as it is.
    number.to_string().parse().map_err(|_| wrong())
}
