//! The outer form of a file, from its first lines: which separator, a header or none, how many
//! fields.

use super::lines::split;
use super::time::TimeFormat;

const SEPARATORS: [char; 4] = [',', ';', '\t', '|'];

/// How many lines the separator is told from.
const LINES_LOOKED_AT: usize = 50;

/// The first lines of a file with their numbers, blank ones left out.
pub(crate) type FirstLines = Vec<(u64, String)>;

/// The outer form of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// What stands between fields.
    pub(crate) separator: char,
    /// The names in the first line; `None` if it is a row already.
    pub(crate) header: Option<Vec<String>>,
    /// Fields of a row.
    pub(crate) width: usize,
}

impl Layout {
    /// The form of the file these lines begin; `None` if no separator splits them.
    pub(crate) fn detect(sample: &FirstLines) -> Option<Self> {
        let lines: Vec<&str> =
            sample.iter().take(LINES_LOOKED_AT).map(|(_, line)| line.as_str()).collect();
        let (separator, width) = separator(&lines)?;
        let mut fields = Vec::new();
        split(lines.first()?, separator, &mut fields);
        let first: Vec<String> = fields.iter().map(|field| field.text().to_owned()).collect();
        let is_row = first.iter().any(|text| {
            number(text).is_some() || TimeFormat::detect_text(&[text.as_str()]).is_some()
        });
        if !is_row {
            let width = first.len();
            return Some(Self { separator, header: Some(first), width });
        }
        Some(Self { separator, header: None, width })
    }

    /// The separator for a person.
    pub(crate) fn separator_name(&self) -> &'static str {
        match self.separator {
            ',' => "comma",
            ';' => "semicolon",
            '\t' => "tab",
            _ => "bar",
        }
    }
}

/// The separator that gives most lines the same number of fields, and that number.
fn separator(lines: &[&str]) -> Option<(char, usize)> {
    let mut best: Option<(usize, usize, char)> = None;
    for separator in SEPARATORS {
        let mut fields = Vec::new();
        let widths: Vec<usize> = lines
            .iter()
            .map(|line| {
                split(line, separator, &mut fields);
                fields.len()
            })
            .collect();
        let of_width = |width: usize| widths.iter().filter(|found| **found == width).count();
        let common = widths.iter().copied().max_by_key(|width| (of_width(*width), *width))?;
        let better =
            best.is_none_or(|(count, width, _)| (of_width(common), common) > (count, width));
        if common > 1 && better {
            best = Some((of_width(common), common, separator));
        }
    }
    best.map(|(_, width, separator)| (separator, width))
}

/// Reads a decimal number: the double nearest to it. `None` for anything else.
pub(crate) fn number(text: &str) -> Option<f64> {
    let shape = |byte: u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    if text.is_empty() || !text.bytes().all(shape) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let sample: FirstLines = (1..).zip(text.lines().map(str::to_owned)).collect();
        let got = Layout::detect(&sample).map_or("none".to_owned(), |layout| {
            let head = layout.header.as_ref().map_or("no header".to_owned(), |h| h.join("/"));
            format!("{} {} {head}", layout.separator_name(), layout.width)
        });
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn the_form_of_a_file_is_told_from_its_first_lines() {
        check("ts,open\n2024-01-01,1\n", "comma 2 ts/open");
        check(",Open,High\n2012-01-31,4.58,7.38\n", "comma 3 /Open/High");
        check("a;b;c\n1,5;2,5;3,5\n1;2,5;3,5\n", "semicolon 3 a/b/c");
        check("a\tb\n1\t2\n", "tab 2 a/b");
        check("a|b\n1|2\n", "bar 2 a/b");
        check("\"a,x\";b\n\"1,1\";2\n", "semicolon 2 a,x/b");
        check("20110103 090100;126.35;126.39;126.35;126.39;1579\n", "semicolon 6 no header");
        check(
            "1637971200000,0.1,0.2,0.1,0.2,36304.2,1637971259999,1.03,79,19523.0,0.55,0\n",
            "comma 12 no header",
        );
        check("2024-01-01 00:00:00,1,2,3\n", "comma 4 no header");
        check("nothing to split\nhere\n", "none");
        check("", "none");
    }

    #[test]
    fn a_number_is_decimal_text_and_nothing_else() {
        assert_eq!(number("1e-5"), Some(0.00001));
        assert_eq!(number("-0.00002853"), Some(-0.00002853));
        assert_eq!(number("1097630000000000000000000"), Some(1.09763e24));
        for text in ["", "nan", "inf", "1,5", "0x10", "1_000", "Infinity", "e", "--1"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
