//! The elements of an array in a stream, found by their brackets and quotes, in bounded memory.

use std::io::{self, BufRead};

/// Longest element: rows of real files are below 1 KiB.
pub(super) const ELEMENT_LEN_MAX: usize = 1024 * 1024;

/// One element of the array.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// Its place, from 1.
    pub(super) number: u64,
    /// Its text; the first [`ELEMENT_LEN_MAX`] bytes if it is longer.
    pub(super) bytes: &'a [u8],
    /// What is wrong with it.
    pub(super) fault: Option<&'static str>,
}

/// Where the reader stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before the array.
    Before,
    /// Between elements.
    Between,
    /// Behind the array.
    Behind,
    /// At the end.
    End,
}

/// Finds elements one by one.
pub(super) struct Elements<R> {
    input: R,
    at: At,
    number: u64,
    element: Vec<u8>,
}

impl<R: BufRead> Elements<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, at: At::Before, number: 0, element: Vec::new() }
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return Ok(other?.first().copied()),
            }
        }
    }

    /// The next element; `None` behind the last. An array that is not closed, and text behind it,
    /// are elements with a fault.
    pub(super) fn next(&mut self) -> io::Result<Option<Element<'_>>> {
        self.element.clear();
        while self.at != At::End {
            let Some(byte) = self.peek()? else {
                let is_cut = self.at == At::Between;
                self.at = At::End;
                if is_cut {
                    return Ok(Some(
                        self.element(Some("the array is not closed: the file is cut")),
                    ));
                }
                break;
            };
            match (self.at, byte) {
                (_, b' ' | b'\t' | b'\r' | b'\n') => self.input.consume(1),
                (At::Before, 0xEF | 0xBB | 0xBF) => self.input.consume(1),
                (At::Before, b'[') => {
                    self.input.consume(1);
                    self.at = At::Between;
                }
                (At::Between, b',') => self.input.consume(1),
                (At::Between, b']') => {
                    self.input.consume(1);
                    self.at = At::Behind;
                }
                (At::Between, _) => {
                    let fault = self.read_element()?;
                    return Ok(Some(self.element(fault)));
                }
                (At::Before | At::Behind | At::End, _) => {
                    self.at = At::End;
                    return Ok(Some(self.element(Some("there is text outside the array"))));
                }
            }
        }
        Ok(None)
    }

    fn element(&mut self, fault: Option<&'static str>) -> Element<'_> {
        self.number += 1;
        Element { number: self.number, bytes: self.element.trim_ascii_end(), fault }
    }

    /// Reads up to the comma or bracket that ends the element.
    fn read_element(&mut self) -> io::Result<Option<&'static str>> {
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        let mut too_long = false;
        loop {
            let buffer = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if buffer.is_empty() && depth == 0 && !in_string {
                return Ok(None);
            }
            if buffer.is_empty() {
                self.at = At::End;
                return Ok(Some("the file ends inside it"));
            }
            let mut end = None;
            for (at, byte) in buffer.iter().enumerate() {
                if in_string {
                    in_string = escaped || *byte != b'"';
                    escaped = !escaped && *byte == b'\\';
                    continue;
                }
                match byte {
                    b'"' => in_string = true,
                    b'[' | b'{' => depth += 1,
                    b',' | b']' if depth == 0 => {
                        end = Some(at);
                        break;
                    }
                    b']' | b'}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
            }
            let piece = &buffer[..end.unwrap_or(buffer.len())];
            let room = ELEMENT_LEN_MAX - self.element.len();
            too_long |= piece.len() > room;
            self.element.extend_from_slice(&piece[..piece.len().min(room)]);
            let used = piece.len();
            self.input.consume(used);
            if end.is_some() {
                return Ok(too_long.then_some("it is longer than 1 MiB"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        for capacity in [1, 7, 4_096] {
            let input = io::BufReader::with_capacity(capacity, text.as_bytes());
            let mut elements = Elements::new(input);
            let mut got = Vec::new();
            while let Some(element) = elements.next().unwrap() {
                let text = String::from_utf8(element.bytes.to_vec()).unwrap();
                let fault = element.fault.map_or(String::new(), |fault| format!(" ({fault})"));
                got.push(format!("{} {text}{fault}", element.number));
            }
            assert_eq!(got, expected, "{text} by {capacity}");
        }
    }

    #[test]
    fn elements_end_where_their_brackets_and_quotes_are_closed() {
        check("[]", &[]);
        check(" [ [1, 2] ,[3] ] \n", &["1 [1, 2]", "2 [3]"]);
        check(
            r#"[{"a":"],\"}"},{"b":{"c":[1]}}]"#,
            &[r#"1 {"a":"],\"}"}"#, r#"2 {"b":{"c":[1]}}"#],
        );
        check("[1,\"x\"]", &["1 1", "2 \"x\""]);
        check("\u{FEFF}[[1]]", &["1 [1]"]);
    }

    #[test]
    fn what_is_broken_is_an_element_with_its_fault() {
        check("[[1],[2", &["1 [1]", "2 [2 (the file ends inside it)"]);
        check("[[1]", &["1 [1]", "2  (the array is not closed: the file is cut)"]);
        check("[[1]]]", &["1 [1]", "2  (there is text outside the array)"]);
        check("x", &["1  (there is text outside the array)"]);
        check("[[1]},[2]]", &["1 [1]}", "2 [2]"]);
    }

    #[test]
    fn a_very_long_element_is_cut_and_the_next_one_is_whole() {
        let text = format!("[\"{}\",[2]]", "x".repeat(ELEMENT_LEN_MAX * 2));
        let mut elements = Elements::new(text.as_bytes());
        let element = elements.next().unwrap().unwrap();
        assert_eq!(element.fault, Some("it is longer than 1 MiB"));
        assert_eq!(element.bytes.len(), ELEMENT_LEN_MAX);
        let element = elements.next().unwrap().unwrap();
        assert_eq!(element, Element { number: 2, bytes: b"[2]", fault: None });
        assert_eq!(elements.next().unwrap(), None);
    }
}
