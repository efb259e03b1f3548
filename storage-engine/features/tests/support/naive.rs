//! `docs/FEATURES.md` as plainly as can be: each cell by itself, of all cells of its inputs.

use barrow_features::{Cell, Field, Graph, Link, Node, Operator, Row};
use barrow_types::Reason;

/// The cells of all nodes. `rows` are those of each context, `links(reader, read)` say which slot
/// of the read context each slot of the reader sees.
pub(crate) fn evaluate(
    graph: &Graph,
    rows: &[Vec<Row>],
    links: &dyn Fn(usize, usize) -> Vec<Link>,
) -> Vec<Vec<Cell>> {
    let mut cells: Vec<Vec<Cell>> = Vec::new();
    for node in &graph.nodes {
        let context = usize::from(node.context.0);
        let inputs: Vec<&[Cell]> =
            node.inputs.iter().map(|input| cells[input.0 as usize].as_slice()).collect();
        let column = match node.operator {
            Operator::Field(field) => fields(&rows[context], field),
            Operator::Number => vec![Cell::number(node.numbers[0]); rows[context].len()],
            Operator::At | Operator::Of => {
                let read = usize::from(graph.nodes[node.inputs[0].0 as usize].context.0);
                let cell = |link: &Link| match link {
                    Link::Place(place) => inputs[0][*place],
                    Link::Null(reason) => Cell::null(*reason),
                };
                links(context, read).iter().map(cell).collect()
            }
            _ => (0..rows[context].len())
                .map(|slot| {
                    let past: Vec<&[Cell]> = inputs.iter().map(|x| &x[..=slot]).collect();
                    compute(node, graph.qlib, &past)
                })
                .collect(),
        };
        cells.push(column);
    }
    cells
}

fn fields(rows: &[Row], field: Field) -> Vec<Cell> {
    rows.iter().map(|row| row.get(field)).collect()
}

fn compute(node: &Node, qlib: bool, past: &[&[Cell]]) -> Cell {
    let newest: Vec<Cell> = past.iter().map(|x| *x.last().unwrap()).collect();
    if let Some(cell) = elementwise(node.operator, qlib, &newest) {
        use Operator as O;
        let compares =
            matches!(node.operator, O::Gt | O::Ge | O::Lt | O::Le | O::Eq | O::Ne) && qlib;
        let passes_nulls_on =
            !matches!(node.operator, O::And | O::Or | O::If | O::Coalesce | O::IsNull | O::IsValid)
                && !compares;
        let begun = past[0].len() > node.warm_up as usize;
        return if begun || passes_nulls_on { cell } else { Cell::null(Reason::WarmUp) };
    }
    let slots = node.slots as usize;
    let slot = past[0].len();
    if node.operator == Operator::Ref {
        return if slot > slots { past[0][slot - 1 - slots] } else { Cell::null(Reason::WarmUp) };
    }
    if slot <= node.warm_up as usize {
        return Cell::null(Reason::WarmUp);
    }
    if let Some(cell) = recursion(node, past) {
        return cell;
    }
    let window = Window::new(node, qlib, past);
    if window.n() < f64::from(node.min_valid).max(needs(node)) {
        return Cell::null(Reason::TooFew);
    }
    if matches!(
        node.operator,
        Operator::Rank | Operator::ZScore | Operator::Resi | Operator::ResiXy
    ) && let Some(reason) = least(&newest)
    {
        return Cell::null(reason);
    }
    window.result(node).map_or(Cell::null(Reason::TooFew), Cell::number)
}

fn least(cells: &[Cell]) -> Option<Reason> {
    cells.iter().map(|cell| cell.reason()).filter(|reason| *reason != Reason::Ok).min()
}

fn truth(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

fn elementwise(operator: Operator, qlib: bool, cells: &[Cell]) -> Option<Cell> {
    use Operator as O;
    let known = |at: usize| cells[at].value().map(|value| value != 0.0);
    let null = Cell::null(least(cells).unwrap_or(Reason::Ok));
    let compared = |f: fn(&f64, &f64) -> bool| match (cells[0].value(), cells[1].value()) {
        (Some(x), Some(y)) => Cell::number(truth(f(&x, &y))),
        _ if qlib => Cell::number(0.0),
        _ => null,
    };
    let one = |f: fn(f64) -> f64| cells[0].value().map_or(null, |x| Cell::number(f(x)));
    let two = |f: fn(f64, f64) -> f64| match (cells[0].value(), cells[1].value()) {
        (Some(x), Some(y)) => Cell::number(f(x, y)),
        _ => null,
    };
    let sign = |x: f64| if x == 0.0 { 0.0 } else { x.signum() };
    Some(match operator {
        O::Add => two(|x, y| x + y),
        O::Sub => two(|x, y| x - y),
        O::Mul => two(|x, y| x * y),
        O::Div => two(|x, y| x / y),
        O::Mod => two(|x, y| x % y),
        O::Power => two(libm::pow),
        O::SignedPower => {
            two(|x, y| if x == 0.0 { 0.0 } else { x.signum() } * libm::pow(x.abs(), y))
        }
        O::Greater => two(f64::max),
        O::Less => two(f64::min),
        O::Neg => one(|x| -x),
        O::Abs => one(f64::abs),
        O::Sign => cells[0].value().map_or(null, |x| Cell::number(sign(x))),
        O::Sqrt => one(f64::sqrt),
        O::Log => one(libm::log),
        O::Log1p => one(libm::log1p),
        O::Exp => one(libm::exp),
        O::Tanh => one(libm::tanh),
        O::Sigmoid => one(|x| 1.0 / (1.0 + libm::exp(-x))),
        O::Not => known(0).map_or(null, |x| Cell::number(truth(!x))),
        O::Gt => compared(f64::gt),
        O::Ge => compared(f64::ge),
        O::Lt => compared(f64::lt),
        O::Le => compared(f64::le),
        O::Eq => compared(f64::eq),
        O::Ne => compared(f64::ne),
        O::And if known(0) == Some(false) || known(1) == Some(false) => Cell::number(0.0),
        O::Or if known(0) == Some(true) || known(1) == Some(true) => Cell::number(1.0),
        O::And | O::Or => match (known(0), known(1)) {
            (Some(_), Some(_)) => Cell::number(truth(operator == O::And)),
            _ => null,
        },
        O::If => match known(0) {
            Some(true) => cells[1],
            Some(false) => cells[2],
            None => Cell::null(cells[0].reason()),
        },
        O::Coalesce if cells[0].value().is_some() => cells[0],
        O::Coalesce => cells[1],
        O::IsNull => Cell::number(truth(cells[0].value().is_none())),
        O::IsValid => Cell::number(truth(cells[0].value().is_some())),
        _ => return None,
    })
}

fn needs(node: &Node) -> f64 {
    use Operator as O;
    match node.operator {
        O::Count => 0.0,
        O::Var | O::Std => node.numbers[0] + 1.0,
        O::Cov => (node.numbers[0] + 1.0).max(2.0),
        O::Sem | O::Cv | O::ZScore | O::Slope | O::Rsquare | O::Resi | O::Fitted => 2.0,
        O::Intercept | O::Beta | O::Alpha | O::ResiXy | O::RsqXy | O::Corr | O::RankCorr => 2.0,
        O::Skew => 3.0,
        O::Kurt => 4.0,
        _ => 1.0,
    }
}

/// A valid place: its lane's place from 0, its number, the values of the series.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    number: f64,
    x: f64,
    y: f64,
}

struct Window {
    slots: usize,
    /// The number of the newest place.
    last: f64,
    valid: Vec<Place>,
    newest: (f64, f64),
}

impl Window {
    fn new(node: &Node, qlib: bool, past: &[&[Cell]]) -> Self {
        let slots = node.slots as usize;
        let slot = past[0].len();
        let before = slots.saturating_sub(slot);
        let uncounted = if qlib { before as f64 } else { 0.0 };
        let second = past.get(1).unwrap_or(&past[0]);
        let valid = (before..slots)
            .filter_map(|at| {
                let x = past[0][slot + at - slots].value()?;
                let y = second[slot + at - slots].value()?;
                Some(Place { at, number: at as f64 + 1.0 - uncounted, x, y })
            })
            .collect();
        let of = |x: &[Cell]| x.last().unwrap().value().unwrap_or(0.0);
        let newest = (of(past[0]), of(second));
        Self { slots, last: slots as f64 - uncounted, valid, newest }
    }

    fn n(&self) -> f64 {
        self.valid.len() as f64
    }

    fn sum(&self, f: impl Fn(&Place) -> f64) -> f64 {
        let mut a = [0.0; 8];
        for place in &self.valid {
            a[place.at % 8] += f(place);
        }
        ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]))
    }

    fn mean(&self, f: impl Fn(&Place) -> f64) -> f64 {
        let mean = self.sum(&f) / self.n();
        let least = self.valid.iter().map(&f).fold(f64::INFINITY, f64::min);
        let greatest = self.valid.iter().map(&f).fold(f64::NEG_INFINITY, f64::max);
        if mean < least {
            least
        } else if mean > greatest {
            greatest
        } else {
            mean
        }
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted: Vec<f64> = self.valid.iter().map(|place| place.x).collect();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    fn rank(&self, of: f64, f: impl Fn(&Place) -> f64) -> f64 {
        let less = self.valid.iter().filter(|place| f(place) < of).count() as f64;
        let equal = self.valid.iter().filter(|place| f(place) == of).count() as f64;
        less + (equal + 1.0) / 2.0
    }

    fn result(&self, node: &Node) -> Option<f64> {
        use Operator as O;
        let n = self.n();
        let m = self.mean(|p| p.x);
        let squares = self.sum(|p| (p.x - m) * (p.x - m));
        let std = || (squares / (n - 1.0)).sqrt();
        let place = self.sum(|p| p.number) / n;
        let slope = self.sum(|p| (p.number - place) * (p.x - m))
            / self.sum(|p| (p.number - place) * (p.number - place));
        let number = node.numbers.first().copied().unwrap_or(0.0);
        let pick = |best: fn(f64, f64) -> bool, equal: bool| {
            let mut found = self.valid[0];
            for place in &self.valid {
                if best(place.x, found.x) || (equal && place.x == found.x) {
                    found = *place;
                }
            }
            found
        };
        Some(match node.operator {
            O::Sum => self.sum(|p| p.x),
            O::Mean => m,
            O::Count => n,
            O::CountIf => self.valid.iter().filter(|p| p.x != 0.0).count() as f64,
            O::Frac => self.valid.iter().filter(|p| p.x != 0.0).count() as f64 / n,
            O::Var => squares / (n - number),
            O::Std => (squares / (n - number)).sqrt(),
            O::Sem => std() / n.sqrt(),
            O::Cv => std() / m,
            O::ZScore => (self.newest.0 - m) / std(),
            O::Skew => {
                let third = self.sum(|p| (p.x - m) * (p.x - m) * (p.x - m)) / n;
                let second = squares / n;
                ((n * (n - 1.0)).sqrt() / (n - 2.0)) * (third / (second * second.sqrt()))
            }
            O::Kurt => {
                let fourth = self.sum(|p| ((p.x - m) * (p.x - m)) * ((p.x - m) * (p.x - m))) / n;
                let second = squares / n;
                let excess = fourth / (second * second) - 3.0;
                ((n - 1.0) / ((n - 2.0) * (n - 3.0))) * ((n + 1.0) * excess + 6.0)
            }
            O::Mad => self.mean(|p| (p.x - m).abs()),
            O::MedAd => {
                let median = quantile(&self.sorted(), 0.5);
                let mut away: Vec<f64> = self.valid.iter().map(|p| (p.x - median).abs()).collect();
                away.sort_by(f64::total_cmp);
                quantile(&away, 0.5)
            }
            O::Max => pick(|x, y| x > y, false).x,
            O::Min => pick(|x, y| x < y, false).x,
            O::IdxMax => pick(|x, y| x > y, false).number,
            O::IdxMin => pick(|x, y| x < y, false).number,
            O::LastIdxMax => pick(|x, y| x > y, true).at as f64 + 1.0,
            O::LastIdxMin => pick(|x, y| x < y, true).at as f64 + 1.0,
            O::Quantile => quantile(&self.sorted(), number),
            O::Rank => self.rank(self.newest.0, |p| p.x) / n,
            O::Wma => self.sum(|p| (p.at as f64 + 1.0) * p.x) / self.sum(|p| p.at as f64 + 1.0),
            O::DecayExp => {
                let weight = |p: &Place| libm::pow(number, (self.slots - 1 - p.at) as f64);
                self.sum(|p| weight(p) * p.x) / self.sum(weight)
            }
            O::Slope => slope,
            O::Fitted => m + slope * (self.last - place),
            O::Resi => self.newest.0 - (m + slope * (self.last - place)),
            O::Intercept => m - slope * place,
            O::Rsquare => {
                let places = self.sum(|p| (p.number - place) * (p.number - place));
                let both = self.sum(|p| (p.number - place) * (p.x - m));
                let r = (both / (places.sqrt() * squares.sqrt())).clamp(-1.0, 1.0);
                r * r
            }
            O::Prod => {
                let mut a = [1.0; 8];
                self.valid.iter().for_each(|p| a[p.at % 8] *= p.x);
                ((a[0] * a[4]) * (a[2] * a[6])) * ((a[1] * a[5]) * (a[3] * a[7]))
            }
            O::BarsSince => {
                let newest = self.valid.iter().rfind(|p| p.x != 0.0);
                newest.map_or(self.slots as f64, |p| (self.slots - 1 - p.at) as f64)
            }
            O::ValueWhen => self.valid.iter().rfind(|p| p.x != 0.0)?.y,
            O::Vwap => self.sum(|p| p.x * p.y) / self.sum(|p| p.y),
            O::Cov => moments(self, |p| p.x, |p| p.y).2 / (n - number),
            O::Corr => correlation(moments(self, |p| p.x, |p| p.y)),
            O::RankCorr => {
                correlation(moments(self, |p| self.rank(p.x, |q| q.x), |p| self.rank(p.y, |q| q.y)))
            }
            // Least squares of the first series on the second.
            O::Beta | O::Alpha | O::ResiXy => {
                let (xx, _, xy) = moments(self, |p| p.y, |p| p.x);
                let beta = xy / xx;
                let alpha = m - beta * self.mean(|p| p.y);
                match node.operator {
                    O::Beta => beta,
                    O::Alpha => alpha,
                    _ => self.newest.0 - (alpha + beta * self.newest.1),
                }
            }
            O::RsqXy => {
                let r = correlation(moments(self, |p| p.y, |p| p.x));
                r * r
            }
            other => panic!("{other:?} is no window"),
        })
    }
}

fn moments(
    window: &Window,
    x: impl Fn(&Place) -> f64,
    y: impl Fn(&Place) -> f64,
) -> (f64, f64, f64) {
    let (mx, my) = (window.mean(&x), window.mean(&y));
    (
        window.sum(|p| (x(p) - mx) * (x(p) - mx)),
        window.sum(|p| (y(p) - my) * (y(p) - my)),
        window.sum(|p| (x(p) - mx) * (y(p) - my)),
    )
}

fn correlation((xx, yy, xy): (f64, f64, f64)) -> f64 {
    (xy / (xx.sqrt() * yy.sqrt())).clamp(-1.0, 1.0)
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let low = sorted[place.floor() as usize];
    let high = sorted[(place.floor() as usize + 1).min(sorted.len() - 1)];
    low + (high - low) * (place - place.floor())
}

/// The recursions, each from the begin again.
fn recursion(node: &Node, past: &[&[Cell]]) -> Option<Cell> {
    use Operator as O;
    let n = f64::from(node.slots);
    let rate = 2.0 / (n + 1.0);
    let values = || past[0].iter().filter_map(|cell| cell.value());
    let newest_is_valid = past[0].last().unwrap().value().is_some();
    // What became of the last step.
    let refused = std::cell::Cell::new(false);
    let try_step = |old: f64, new: f64| {
        refused.set(!new.is_finite());
        if refused.get() { old } else { new }
    };
    let seeded: Option<f64> = match node.operator {
        O::Ema => {
            let (mut mean, mut weights) = (None, 0.0);
            for cell in past[0] {
                let old = weights * (1.0 - rate);
                let Some(x) = cell.value() else {
                    weights = old;
                    continue;
                };
                let Some(before) = mean else {
                    (mean, weights) = (Some(x), 1.0);
                    continue;
                };
                let next = before + (x - before) / (old + 1.0);
                if try_step(before, next) == next {
                    (mean, weights) = (Some(next), old + 1.0);
                }
            }
            mean
        }
        O::Emas | O::Wilder => {
            let (mut count, mut mean) = (0.0, 0.0);
            for x in values() {
                if count >= n {
                    let next = if node.operator == O::Emas {
                        mean + rate * (x - mean)
                    } else {
                        (mean * (n - 1.0) + x) / n
                    };
                    mean = try_step(mean, next);
                } else {
                    mean = try_step(mean, mean + x);
                    count += truth(!refused.get());
                    mean = if count >= n { mean / n } else { mean };
                }
            }
            (count >= n).then_some(mean)
        }
        O::WilderSum => {
            let (mut count, mut sum) = (0.0, 0.0);
            for x in values() {
                let kept = if count + 1.0 >= n { sum - sum / n } else { sum };
                sum = try_step(sum, kept + x);
                count += truth(!refused.get());
            }
            (count >= n).then_some(sum)
        }
        O::EwmVar => return Some(ewm_var(past[0], rate)),
        O::Kama => return Some(kama(past[0], node.slots as usize)),
        O::CumSum | O::CumMax | O::CumMin | O::CumCount | O::CumFirst | O::PrevLast => {
            return Some(session(node.operator, past[0], past[1]));
        }
        _ => return None,
    };
    Some(match seeded {
        _ if refused.get() && newest_is_valid => Cell::null(Reason::NonFinite),
        Some(value) => Cell::number(value),
        None => Cell::null(Reason::WarmUp),
    })
}

fn ewm_var(x: &[Cell], rate: f64) -> Cell {
    let kept = 1.0 - rate;
    let (mut seen, mut mean, mut biased) = (false, 0.0, 0.0);
    let (mut weights, mut products) = (0.0, 0.0);
    let mut known = None;
    let mut cell = Cell::null(Reason::WarmUp);
    for x in x {
        let (aged, aged_products) = (weights * kept, products * (kept * kept));
        let Some(x) = x.value() else {
            (weights, products) = (aged, aged_products);
            cell = known.map_or(Cell::null(Reason::WarmUp), Cell::number);
            continue;
        };
        if !seen {
            (seen, mean, weights, products) = (true, x, 1.0, 0.0);
            continue;
        }
        let next: f64 = mean + (x - mean) / (aged + 1.0);
        let spread = (mean - next) * (mean - next);
        let variance = (aged * (biased + spread) + (x - next) * (x - next)) / (aged + 1.0);
        if !next.is_finite() || !variance.is_finite() {
            cell = Cell::null(Reason::NonFinite);
            continue;
        }
        (mean, biased) = (next, variance);
        (weights, products) = (aged + 1.0, aged_products + 2.0 * aged);
        let square = weights * weights;
        cell = Cell::number(square / products * biased);
        known = cell.value();
    }
    cell
}

fn kama(x: &[Cell], slots: usize) -> Cell {
    let mut taken: Vec<f64> = Vec::new();
    let mut average = 0.0;
    let mut refused = false;
    for cell in x {
        refused = false;
        let Some(x) = cell.value() else { continue };
        let mut next = if taken.len() + 1 == slots { x } else { average };
        if taken.len() >= slots {
            let last: Vec<f64> = taken[taken.len() - slots..].iter().copied().chain([x]).collect();
            let mut a = [0.0; 8];
            for at in 0..slots {
                a[at % 8] += (last[at + 1] - last[at]).abs();
            }
            let path = ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
            let way = (x - last[0]).abs();
            let efficiency = if way >= path { 1.0 } else { way / path };
            let rate = efficiency * (2.0 / 3.0 - 2.0 / 31.0) + 2.0 / 31.0;
            next = average + (x - average) * (rate * rate);
        }
        refused = !f64::is_finite(next);
        if !refused {
            average = next;
            taken.push(x);
        }
    }
    match taken.len() > slots {
        _ if refused => Cell::null(Reason::NonFinite),
        true => Cell::number(average),
        false => Cell::null(Reason::WarmUp),
    }
}

fn session(operator: Operator, x: &[Cell], session: &[Cell]) -> Cell {
    use Operator as O;
    let Some(now) = session.last().unwrap().value() else {
        return Cell::null(session.last().unwrap().reason());
    };
    let of = |own: bool| -> Vec<f64> {
        let begin = session.iter().rposition(|s| s.value().is_some_and(|s| s != now));
        let begin = begin.map_or(0, |at| at + 1);
        let cells = if own { begin..x.len() } else { 0..begin };
        // A slot of no known session is not of any.
        cells.filter(|at| session[*at].value().is_some()).filter_map(|at| x[at].value()).collect()
    };
    let values = of(true);
    let mut sum = 0.0;
    let mut refused = false;
    for value in &values {
        refused = !f64::is_finite(sum + value);
        sum = if refused { sum } else { sum + value };
    }
    let found = match operator {
        O::CumSum if refused && x.last().unwrap().value().is_some() => {
            return Cell::null(Reason::NonFinite);
        }
        O::CumSum => (!values.is_empty()).then_some(sum),
        O::CumMax => values.iter().copied().reduce(f64::max),
        O::CumMin => values.iter().copied().reduce(f64::min),
        O::CumCount => Some(values.len() as f64),
        O::CumFirst => values.first().copied(),
        _ => of(false).last().copied(),
    };
    found.map_or(Cell::null(Reason::WarmUp), Cell::number)
}
