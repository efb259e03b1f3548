//! A vector of 64-bit integers: the number of its [`Encoding`], then what that says.
//!
//! | at | size | field      | meaning                                    |
//! |---:|-----:|------------|--------------------------------------------|
//! |  0 |    1 | `encoding` | 1 to 6: see [`Encoding`]                   |
//! |  1 |      | `body`     | the values as the encoding's module says   |

use super::encoding::Encoding;
use super::number::Reader;
use super::{Damaged, VECTOR_LEN, constant, delta, dictionary, packed, raw, runs};

/// The cheapest encoding of a vector, and how many bytes it takes.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    way: Way,
    /// Bytes of the vector.
    pub(super) len: usize,
}

#[derive(Clone, Debug)]
enum Way {
    Constant,
    Runs(runs::Plan),
    Packed(packed::Plan),
    Delta(delta::Plan),
    Dictionary(dictionary::Plan),
    Raw,
}

/// Sizes every encoding that fits and takes the smallest; of equal ones the first tried, which
/// are tried fastest decoding first.
pub(super) fn plan(values: &[i64]) -> Plan {
    let mut best = Plan { way: Way::Raw, len: 1 + raw::plan(values) };
    if let Some(len) = constant::plan(values) {
        // Only the raw bytes of a single value can be shorter.
        return best.or(len, || Way::Constant);
    }
    let mut buffer = [0; VECTOR_LEN];
    let differences = delta::differences(values, &mut buffer);
    if let Some(plan) = runs::plan(values, differences) {
        best = best.or(plan.len, || Way::Runs(plan));
    }
    let plan = packed::plan(values);
    best = best.or(plan.len, || Way::Packed(plan));
    if let Some(plan) = delta::plan(values, differences) {
        best = best.or(plan.len, || Way::Delta(plan));
    }
    // Two distinct values already need a bit a row.
    if best.len > values.len() / 8
        && let Some(plan) = dictionary::plan(values)
    {
        best = best.or(plan.len, || Way::Dictionary(plan));
    }
    best
}

impl Plan {
    fn or(self, body_len: usize, way: impl FnOnce() -> Way) -> Self {
        if 1 + body_len < self.len { Self { way: way(), len: 1 + body_len } } else { self }
    }

    const fn encoding(&self) -> Encoding {
        match self.way {
            Way::Constant => Encoding::Constant,
            Way::Runs(_) => Encoding::Runs,
            Way::Packed(_) => Encoding::Packed,
            Way::Delta(_) => Encoding::Delta,
            Way::Dictionary(_) => Encoding::Dictionary,
            Way::Raw => Encoding::Raw,
        }
    }

    /// Appends the vector of the values that the plan was made for.
    pub(super) fn encode(&self, values: &[i64], out: &mut Vec<u8>) {
        let start = out.len();
        out.push(self.encoding().code());
        match &self.way {
            Way::Constant => constant::encode(values, out),
            Way::Runs(plan) => runs::encode(values, plan, out),
            Way::Packed(plan) => packed::encode(values, plan, out),
            Way::Delta(plan) => {
                let mut buffer = [0; VECTOR_LEN];
                delta::encode(values, delta::differences(values, &mut buffer), plan, out);
            }
            Way::Dictionary(plan) => dictionary::encode(values, plan, out),
            Way::Raw => raw::encode(values, out),
        }
        debug_assert_eq!(out.len() - start, self.len, "invariant: sizes are exact: {self:?}");
    }
}

/// The value of the first row of a body written in `encoding`, if the encoding begins with it.
pub(super) fn first(encoding: Encoding, reader: &mut Reader<'_>) -> Result<Option<i64>, Damaged> {
    match encoding {
        Encoding::Constant | Encoding::Runs | Encoding::Delta => reader.signed().map(Some),
        _ => Ok(None),
    }
}

/// Fills `out` from a body written in `encoding`.
pub(super) fn decode_body(
    encoding: Encoding,
    reader: &mut Reader<'_>,
    out: &mut [i64],
) -> Result<(), Damaged> {
    match encoding {
        Encoding::Constant => constant::decode(reader, out),
        Encoding::Runs => runs::decode(reader, out),
        Encoding::Packed => packed::decode(reader, out),
        Encoding::Delta => delta::decode(reader, out),
        Encoding::Dictionary => dictionary::decode(reader, out),
        Encoding::Raw => raw::decode(reader, out),
        Encoding::Decimal | Encoding::TextDictionary | Encoding::TextRaw | Encoding::Beside => {
            Err(Damaged("integers have an encoding of another type"))
        }
    }
}

/// Fills `out`.
pub(super) fn decode(reader: &mut Reader<'_>, out: &mut [i64]) -> Result<(), Damaged> {
    let encoding = Encoding::from_code(reader.byte()?)?;
    decode_body(encoding, reader, out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::integer_rows;
    use super::*;

    /// Every way that can write `values`, whether it is the best or not.
    fn ways(values: &[i64]) -> Vec<Plan> {
        let mut buffer = [0; VECTOR_LEN];
        let differences = delta::differences(values, &mut buffer);
        let packed = packed::plan(values);
        let sized = |body_len: usize, way| Plan { way, len: 1 + body_len };
        [
            constant::plan(values).map(|len| sized(len, Way::Constant)),
            runs::plan(values, differences).map(|plan| sized(plan.len, Way::Runs(plan))),
            Some(sized(packed.len, Way::Packed(packed))),
            delta::plan(values, differences).map(|plan| sized(plan.len, Way::Delta(plan))),
            dictionary::plan(values).map(|plan| sized(plan.len, Way::Dictionary(plan))),
            Some(sized(raw::plan(values), Way::Raw)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    proptest! {
        #[test]
        fn every_encoding_brings_every_value_back_in_the_size_it_said(rows in integer_rows()) {
            let mut values: Vec<i64> = rows.into_iter().flatten().take(VECTOR_LEN).collect();
            if values.is_empty() {
                values.push(0);
            }
            let chosen = plan(&values).len;
            for way in ways(&values) {
                let mut out = Vec::new();
                way.encode(&values, &mut out);
                prop_assert_eq!(out.len(), way.len, "{:?}", &way);
                let mut back = vec![1; values.len()];
                let mut reader = Reader::new(&out);
                decode(&mut reader, &mut back).unwrap();
                prop_assert_eq!(reader.end(), Ok(()));
                prop_assert_eq!(&back, &values, "{:?}", &way);
                let is_dictionary = matches!(way.way, Way::Dictionary(_));
                let is_tried = !is_dictionary || chosen > values.len() / 8;
                prop_assert!(chosen <= way.len || !is_tried, "{:?}", &way);
            }
        }
    }
}
