//! Arrow IPC streams.

use arrow::ipc::reader::StreamReader;

use super::super::error::Problem;
use super::arrow_rows::{Rows, roles_of};
use super::rows::Incoming;
use super::{Plan, arrow_frames, unreadable};

/// The rows of an Arrow stream.
///
/// # Errors
/// The stream is not whole, or its columns are not those of the dataset.
pub(crate) fn decode(body: &[u8], plan: &Plan) -> Result<Incoming, Problem> {
    arrow_frames::check(body, plan.decoded_bytes_max).map_err(unreadable)?;
    let reader = StreamReader::try_new(body, None).map_err(unreadable)?;
    let (roles, ignored) = roles_of(&reader.schema(), plan)?;
    let mut rows = Rows::new(plan);
    rows.all.ignored = ignored;
    for batch in reader {
        rows.add(&batch.map_err(unreadable)?, &roles)?;
    }
    Ok(rows.all)
}
