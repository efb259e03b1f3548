//! Encoding `runs`: arithmetic runs, each a start, a step and a count: the times of bars, with a
//! new run after every gap.
//!
//! | at | size | field | meaning |
//! |---:|-----:|-------|---------|
//! | 0 | 1–10 | `first` | signed number: the value of the first row |
//! | | 1–10 | `unit` | number, at least 1: what all jumps and steps are multiples of |
//! | | 1–2 | `run_count` | number, 1 to n |
//! | | | `runs` | for each run the three numbers below |
//!
//! | size | field | meaning |
//! |-----:|-------|---------|
//! | 1–10 | `jump` | signed number: (start - last value before) / `unit`; not in the first run |
//! | 1–10 | `step` | signed number: difference between the run's neighbours / `unit` |
//! | 1–2 | `count` | number, at least 1: rows of the run |
//!
//! All arithmetic is modulo 2^64. Counts that do not add up to n are damage.

use super::Damaged;
use super::divisor::{self, Divisor};
use super::number::{self, Reader};

/// What [`encode`] will do, and how many bytes it takes.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    unit: Divisor,
    runs: Vec<Run>,
    /// Bytes of the encoding.
    pub(super) len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    jump: i64,
    step: i64,
    count: usize,
}

/// The runs of `values`, whose differences are given; `None` if there are too many to pay.
pub(super) fn plan(values: &[i64], differences: &[i64]) -> Option<Plan> {
    let first = *values.first()?;
    // A run takes three bytes or more; packed differences rarely need more than a byte a row.
    let run_count_max = values.len() / 4 + 1;
    let mut runs = Vec::new();
    let mut at = 0;
    while at < values.len() {
        if runs.len() == run_count_max {
            return None;
        }
        let jump = if at == 0 { 0 } else { differences[at] };
        let rest = differences.get(at + 1..).unwrap_or_default();
        let step = rest.first().copied().unwrap_or(0);
        let count = 1 + rest.iter().take_while(|&&difference| difference == step).count();
        runs.push(Run { jump, step, count });
        at += count;
    }
    let unit = divisor::common(
        runs.iter().flat_map(|run| [run.jump.unsigned_abs(), run.step.unsigned_abs()]),
    );
    let mut len = number::len_signed(first) + number::len(unit.get());
    len += number::len(runs.len() as u64);
    for (index, run) in runs.iter().enumerate() {
        let jump_len = if index == 0 { 0 } else { number::len_signed(in_units(run.jump, unit)) };
        len += jump_len + number::len_signed(in_units(run.step, unit));
        len += number::len(run.count as u64);
    }
    Some(Plan { unit, runs, len })
}

fn in_units(difference: i64, unit: Divisor) -> i64 {
    let quotient = unit.quotient(difference.unsigned_abs()).cast_signed();
    if difference < 0 { quotient.wrapping_neg() } else { quotient }
}

/// Appends the encoding of the values that `plan` was made for.
pub(super) fn encode(values: &[i64], plan: &Plan, out: &mut Vec<u8>) {
    number::put_signed(values[0], out);
    number::put(plan.unit.get(), out);
    number::put_count(plan.runs.len(), out);
    for (index, run) in plan.runs.iter().enumerate() {
        if index > 0 {
            number::put_signed(in_units(run.jump, plan.unit), out);
        }
        number::put_signed(in_units(run.step, plan.unit), out);
        number::put_count(run.count, out);
    }
}

/// Fills `out`.
pub(super) fn decode(reader: &mut Reader<'_>, out: &mut [i64]) -> Result<(), Damaged> {
    let mut value = reader.signed()?;
    let unit = reader.number()?.cast_signed();
    if unit == 0 {
        return Err(Damaged("the unit of runs is 0"));
    }
    let run_count = reader.count(out.len())?;
    let mut rest = out;
    for index in 0..run_count {
        if index > 0 {
            value = value.wrapping_add(unit.wrapping_mul(reader.signed()?));
        }
        let step = unit.wrapping_mul(reader.signed()?);
        let count = reader.count(rest.len())?;
        let (run, after) = rest.split_at_mut(count);
        value = value.wrapping_sub(step);
        for to in run {
            value = value.wrapping_add(step);
            *to = value;
        }
        rest = after;
    }
    if rest.is_empty() { Ok(()) } else { Err(Damaged("the runs end before the vector does")) }
}

#[cfg(test)]
mod tests {
    use super::super::{VECTOR_LEN, delta};
    use super::*;

    #[test]
    fn golden_bytes() {
        let values = [0, 60, 120, 1000, 1060];
        let mut buffer = [0; VECTOR_LEN];
        let plan = plan(&values, delta::differences(&values, &mut buffer)).unwrap();
        let mut out = Vec::new();
        encode(&values, &plan, &mut out);
        // From 0, in units of 20, two runs: step 3, 3 rows; jump 44, step 3, 2 rows.
        assert_eq!(out, [0, 20, 2, 6, 3, 88, 6, 2]);
        assert_eq!(plan.len, out.len());
    }

    #[test]
    fn many_runs_are_not_tried() {
        let values: Vec<i64> = (0..100).map(|i| i * i).collect();
        let mut buffer = [0; VECTOR_LEN];
        assert!(plan(&values, delta::differences(&values, &mut buffer)).is_none());
    }

    #[test]
    fn damage_is_refused() {
        for body in [
            [0, 0, 1, 2, 3].as_slice(),   // unit
            &[0, 1, 0],                   // no run
            &[0, 1, 4, 2, 1, 2, 2, 1, 2], // more runs than rows
            &[0, 1, 1, 2, 0],             // a run of no rows
            &[0, 1, 1, 2, 4],             // longer than the vector
            &[0, 1, 1, 2, 2],             // shorter
        ] {
            assert!(decode(&mut Reader::new(body), &mut [0; 3]).is_err(), "{body:?}");
        }
        let mut out = [0; 3];
        decode(&mut Reader::new(&[0, 1, 1, 2, 3]), &mut out).unwrap();
        assert_eq!(out, [0, 1, 2], "what is refused above is refused for what it says");
    }
}
