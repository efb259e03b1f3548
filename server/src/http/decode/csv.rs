//! CSV: a header line, then a row a line; commas, double quotes, UTF-8. An empty cell is no value.

use super::super::error::Problem;
use super::Plan;
use super::cells::{Cell, Fault};
use super::rows::{Builder, Incoming, Role, roles};
use super::unreadable;

/// The rows of a CSV body.
///
/// # Errors
/// There is no header line, or its columns are not those of the dataset.
pub(crate) fn decode(body: &[u8], plan: &Plan) -> Result<Incoming, Problem> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(body);
    let header = reader.headers().map_err(unreadable)?.clone();
    if header.is_empty() {
        return Err(unreadable("it is empty: the first line names the columns"));
    }
    let (roles, ignored) = roles(header.iter().map(str::trim), plan)?;
    let mut builder = Builder::new(plan);
    builder.ignore(ignored);
    let mut record = csv::ByteRecord::new();
    let mut cells = Vec::with_capacity(roles.len());
    for index in 0.. {
        let start = reader.position().byte();
        if !reader.read_byte_record(&mut record).map_err(unreadable)? {
            break;
        }
        let raw = line(body, start, reader.position().byte());
        match read(&record, &roles, &mut cells) {
            Ok(()) => builder.push(index, &cells, &raw)?,
            Err(fault) => builder.refuse_row(index, fault, &raw)?,
        }
        // The cells borrow the record, which the next row overwrites.
        cells = Vec::with_capacity(roles.len());
    }
    Ok(builder.finish())
}

fn line(body: &[u8], start: u64, end: u64) -> std::borrow::Cow<'_, str> {
    let at = |byte: u64| usize::try_from(byte).unwrap_or(usize::MAX).min(body.len());
    let bytes = body.get(at(start)..at(end)).unwrap_or_default();
    let bytes = bytes.trim_ascii_start();
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
    String::from_utf8_lossy(&bytes[..end])
}

fn read<'r>(
    record: &'r csv::ByteRecord,
    roles: &[Role],
    cells: &mut Vec<(Role, Cell<'r>)>,
) -> Result<(), Fault> {
    if record.len() != roles.len() {
        let (found, expected) = (record.len(), roles.len());
        let reason = if found < expected { "too_few_fields" } else { "too_many_fields" };
        let detail = format!("the line has {found} fields, the header {expected}");
        return Err(Fault { reason, detail });
    }
    for (role, bytes) in roles.iter().zip(record) {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Fault::new("not_utf8", role.name(), "is not UTF-8"))?;
        cells.push((*role, if text.is_empty() { Cell::Null } else { Cell::Text(text) }));
    }
    Ok(())
}
