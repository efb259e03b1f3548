//! A tree as it was written into the tree that is meant: every argument in its place.
//!
//! Arguments by name come into their order, those left out are filled in, numbers are worked out,
//! durations become counts of slots, names of features are looked up. Whether numbers are in their
//! ranges is found out later, see `lower`.

use barrow_types::{Step, Symbol};

use crate::error::Fault;
use crate::expr::{Argument, Expr, Place, What};
use crate::lexer::Unit;
use crate::operator::{Field, Operator};
use crate::parse::shorten;
use crate::table::{self, Body, Entry, Kind, Param};

/// What a text is read in.
pub(crate) trait Scope {
    /// The step of the slots.
    fn step(&self) -> Step;
    /// An error if there is no earlier feature of that name.
    fn feature(&self, name: &str) -> Result<(), String>;
}

/// What an argument turned out to be.
#[derive(Clone, Copy)]
enum Bound {
    Given(usize),
    Default(f64),
    Implied(Field),
}

enum Task {
    /// Emit the tree of a place, as an argument of this kind, on this step.
    Enter(usize, Kind, Step),
    Leaf(What, usize),
    /// Emit an operator, of so many arguments that have been emitted.
    Apply(&'static Entry, usize, usize),
}

/// The tree that `expr` means.
pub(crate) fn resolve(expr: &Expr, scope: &impl Scope) -> Result<Expr, Fault> {
    let reader = Reader { expr, constants: constants(expr), scope };
    let mut emitted: Vec<Place> = Vec::with_capacity(expr.places.len());
    // What no operator has taken yet.
    let mut operands: Vec<usize> = Vec::new();
    let mut tasks = vec![Task::Enter(expr.root(), Kind::Series, scope.step())];
    while let Some(task) = tasks.pop() {
        let (what, at) = match task {
            Task::Enter(place, kind, step) => {
                reader.enter(place, kind, step, &mut tasks)?;
                continue;
            }
            Task::Leaf(what, at) => (what, at),
            Task::Apply(entry, count, at) => {
                let taken = operands.split_off(operands.len() - count);
                (What::Apply(entry, taken.into_iter().map(Argument::at).collect()), at)
            }
        };
        emitted.push(Place { what, at });
        operands.push(emitted.len() - 1);
    }
    Ok(Expr { places: emitted })
}

/// The number that each place is, if it is made of numbers only.
fn constants(expr: &Expr) -> Vec<Option<f64>> {
    let mut constants: Vec<Option<f64>> = Vec::with_capacity(expr.places.len());
    for place in &expr.places {
        let constant = match &place.what {
            What::Number(value) => Some(*value),
            What::Apply(entry, arguments) => {
                let values: Option<Vec<f64>> =
                    arguments.iter().map(|argument| constants[argument.place]).collect();
                values.and_then(|values| fold(entry, &values))
            }
            _ => None,
        };
        constants.push(constant);
    }
    constants
}

/// The operator's result of these numbers, where that is plain arithmetic and finite. The bits are
/// those of the kernels: the same operation, and no -0.
pub(crate) fn fold(entry: &Entry, values: &[f64]) -> Option<f64> {
    let Body::Kernel(operator) = entry.body else { return None };
    let value = match (operator, values) {
        (Operator::Neg, [x]) => -x,
        (Operator::Add, [x, y]) => x + y,
        (Operator::Sub, [x, y]) => x - y,
        (Operator::Mul, [x, y]) => x * y,
        (Operator::Div, [x, y]) => x / y,
        _ => return None,
    };
    value.is_finite().then_some(if value == 0.0 { 0.0 } else { value })
}

struct Reader<'r, S> {
    expr: &'r Expr,
    constants: Vec<Option<f64>>,
    scope: &'r S,
}

impl<S: Scope> Reader<'_, S> {
    fn enter(
        &self,
        place: usize,
        kind: Kind,
        step: Step,
        tasks: &mut Vec<Task>,
    ) -> Result<(), Fault> {
        let Place { what, at } = &self.expr.places[place];
        match (kind, what) {
            (Kind::Text, What::Text(_)) => tasks.push(Task::Leaf(what.clone(), *at)),
            (Kind::Text, _) => {
                return Err(Fault::new(*at, "a text in single quotes is expected here"));
            }
            (Kind::Series | Kind::Implied(_), What::Apply(entry, arguments)) => {
                self.apply(entry, arguments, *at, step, tasks)?;
            }
            (Kind::Series | Kind::Implied(_), _) => {
                self.check_series(what, *at)?;
                tasks.push(Task::Leaf(what.clone(), *at));
            }
            (Kind::Window | Kind::Slots | Kind::Lag | Kind::Number(_), _) => {
                let value = self.number(place, kind, step)?;
                // What is pushed last comes first.
                if value < 0.0 {
                    let negate = table::find("Neg").expect("invariant: it is in the table");
                    tasks.push(Task::Apply(negate, 1, *at));
                }
                tasks.push(Task::Leaf(What::Number(value.abs()), *at));
            }
        }
        Ok(())
    }

    fn check_series(&self, what: &What, at: usize) -> Result<(), Fault> {
        match what {
            What::Name(name) => self.scope.feature(name).map_err(|why| Fault::new(at, why)),
            What::Text(_) => {
                Err(Fault::new(at, "a text stands only as the first argument of At and Of"))
            }
            What::Duration(..) => {
                Err(Fault::new(at, "a duration stands only where a count of slots does"))
            }
            _ => Ok(()),
        }
    }

    fn number(&self, place: usize, kind: Kind, step: Step) -> Result<f64, Fault> {
        let Place { what, at } = &self.expr.places[place];
        if let Some(value) = self.constants[place] {
            return Ok(value);
        }
        match what {
            What::Duration(count, unit) if !matches!(kind, Kind::Number(_)) => {
                slots(*count, *unit, step).map_err(|why| Fault::new(*at, why))
            }
            _ => Err(Fault::new(*at, "a number is expected here, which no slot changes")),
        }
    }

    fn apply(
        &self,
        entry: &'static Entry,
        arguments: &[Argument],
        at: usize,
        step: Step,
        tasks: &mut Vec<Task>,
    ) -> Result<(), Fault> {
        let bound = self.bind(entry, arguments, at)?;
        let mut inner = step;
        if let (Body::At | Body::Of, Some(Bound::Given(first))) = (entry.body, bound.first()) {
            let Place { what, at } = &self.expr.places[*first];
            if let What::Text(text) = what {
                let read = if entry.body == Body::At {
                    longer(text, step).map(|longer| inner = longer)
                } else {
                    Symbol::new(text).map(drop).map_err(|why| format!("the instrument {why}"))
                };
                read.map_err(|why| Fault::new(*at, why))?;
            }
        }
        tasks.push(Task::Apply(entry, bound.len(), at));
        for (bound, param) in bound.iter().zip(entry.params).rev() {
            tasks.push(match bound {
                Bound::Given(place) => Task::Enter(*place, param.kind, inner),
                Bound::Default(value) => Task::Leaf(What::Number(*value), at),
                Bound::Implied(field) => Task::Leaf(What::Field(*field), at),
            });
        }
        Ok(())
    }

    /// What each of the operator's arguments is, in their order.
    fn bind(
        &self,
        entry: &'static Entry,
        arguments: &[Argument],
        at: usize,
    ) -> Result<Vec<Bound>, Fault> {
        let by_order = arguments.iter().take_while(|argument| argument.name.is_none()).count();
        let (by_order, by_name) = arguments.split_at(by_order);
        let leaves_out = self.leaves_fields_out(entry, by_order);
        let mut bound: Vec<Option<Bound>> = vec![None; entry.params.len()];
        let mut given = by_order.iter();
        for (param, bound) in entry.params.iter().zip(&mut bound) {
            *bound = match param.kind {
                Kind::Implied(field) if leaves_out => Some(Bound::Implied(field)),
                _ => given.next().map(|argument| Bound::Given(argument.place)),
            };
        }
        if let Some(extra) = given.next() {
            let at = self.first_character(extra.place);
            return Err(Fault::new(at, format!("too many arguments: {}", entry.signature())));
        }
        for argument in by_name {
            let name = argument.name.as_deref().unwrap_or_default();
            let place = self.named(entry, name, &bound).map_err(|why| {
                let at = self.first_character(argument.place);
                Fault::new(at, why)
            })?;
            bound[place] = Some(Bound::Given(argument.place));
        }
        let filled = bound.into_iter().zip(entry.params).map(|(bound, param)| {
            bound.or(param.default.map(Bound::Default)).ok_or_else(|| {
                Fault::new(at, format!("{} is missing: {}", param.name, entry.signature()))
            })
        });
        filled.collect()
    }

    /// Whether the arguments that are fields by themselves are left out: where the first of them
    /// should be, there is nothing, or the number that comes behind them, and all others fit.
    fn leaves_fields_out(&self, entry: &Entry, by_order: &[Argument]) -> bool {
        let is_field = |param: &Param| matches!(param.kind, Kind::Implied(_));
        let others = entry.params.iter().filter(|param| !is_field(param)).count();
        let Some(first) = entry.params.iter().position(is_field) else { return false };
        let Some(argument) = by_order.get(first) else { return true };
        let is_number = self.constants[argument.place].is_some()
            || matches!(self.expr.places[argument.place].what, What::Duration(..));
        is_number && by_order.len() <= others
    }

    /// The place of the argument of that name.
    fn named(&self, entry: &Entry, name: &str, bound: &[Option<Bound>]) -> Result<usize, String> {
        let is_it = |param: &Param| param.name.eq_ignore_ascii_case(name);
        let place = entry.params.iter().position(|param| is_it(param) && !param.kind.is_series());
        match place {
            None if entry.params.iter().any(is_it) => {
                Err(format!("{name} is a series, and given by its place: {}", entry.signature()))
            }
            None => Err(format!("there is no argument {}: {}", shorten(name), entry.signature())),
            Some(place) if bound[place].is_some() => Err(format!("{name} is given twice")),
            Some(place) => Ok(place),
        }
    }

    /// Where the text of a place begins: an operator between operands stands behind the first.
    fn first_character(&self, mut place: usize) -> usize {
        let mut at = self.expr.places[place].at;
        while let What::Apply(_, arguments) = &self.expr.places[place].what
            && let Some(first) = arguments.first()
        {
            place = first.place;
            at = at.min(self.expr.places[place].at);
        }
        at
    }
}

/// The step of that name, if it is longer than `step`.
pub(crate) fn longer(name: &str, step: Step) -> Result<Step, String> {
    match Step::parse(name) {
        Some(longer) if longer > step => Ok(longer),
        Some(_) => Err(format!("At takes a step longer than {}", step.name())),
        None => Err("At takes a step: 1m, 5m, 15m, 30m, 1h, 4h, 1d, 1w, 1mo".to_owned()),
    }
}

/// How many slots of `step` a duration is.
fn slots(count: u32, unit: Unit, step: Step) -> Result<f64, String> {
    let of_unit: u64 = match unit {
        Unit::Second => 1,
        Unit::Minute => 60,
        Unit::Hour => 3_600,
        Unit::Day if step == Step::D1 => return Ok(f64::from(count)),
        Unit::Week if step == Step::W1 => return Ok(f64::from(count)),
        Unit::Day | Unit::Week => {
            return Err(format!(
                "how many slots of {} a duration of {count}{} has, depends on the calendar: give \
                 their number",
                step.name(),
                unit.name()
            ));
        }
    };
    let width = step.width().filter(|_| !step.is_dated());
    let seconds = width.and_then(|width| u64::try_from(width.get()).ok()).unwrap_or_default();
    let seconds = seconds / 1_000_000_000;
    let span = u64::from(count) * of_unit;
    if seconds == 0 || !span.is_multiple_of(seconds) {
        let (step, unit) = (step.name(), unit.name());
        return Err(format!("the step {step} does not divide {count}{unit}"));
    }
    u32::try_from(span / seconds).map(f64::from).map_err(|_| "a duration too long".to_owned())
}
