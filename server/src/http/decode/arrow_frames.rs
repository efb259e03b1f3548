//! Looks over an Arrow IPC stream before it is decoded: that its frames are all there, and that
//! its compressed buffers do not become more than they may. The decoder itself allocates what the
//! frames claim, so the claims are weighed here, where nothing is allocated.
//!
//! A stream ends with a marker; one without it was cut off, even if between two messages.

use arrow::ipc::{Message, MessageHeader, RecordBatch, root_as_message};

const CONTINUATION: u32 = 0xFFFF_FFFF;
/// Before each compressed buffer stands its length after decompression; this: it is not compressed.
const NOT_COMPRESSED: i64 = -1;

/// Checks the frames of `stream`, whose buffers may become `bytes_max` bytes together.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(stream: &[u8], bytes_max: u64) -> Result<(), String> {
    let mut at = 0;
    let mut decoded = 0_u64;
    loop {
        let metadata_len = match word(stream, &mut at)? {
            CONTINUATION => word(stream, &mut at)?,
            legacy => legacy,
        };
        if metadata_len == 0 {
            return match stream.len() - at {
                0 => Ok(()),
                more => Err(format!("{more} bytes follow the end of the Arrow stream")),
            };
        }
        let metadata = take(stream, &mut at, metadata_len.into())?;
        let message = root_as_message(metadata)
            .map_err(|error| format!("it holds something that is no Arrow message: {error}"))?;
        let body_len = u64::try_from(message.bodyLength())
            .map_err(|_| "an Arrow message has a length below zero".to_owned())?;
        let body = take(stream, &mut at, body_len)?;
        decoded = decoded.saturating_add(decoded_len(&message, body)?);
        if decoded > bytes_max {
            return Err(format!("its compressed buffers become more than {bytes_max} bytes"));
        }
    }
}

fn take<'s>(stream: &'s [u8], at: &mut usize, len: u64) -> Result<&'s [u8], String> {
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let end = at.checked_add(len).filter(|end| *end <= stream.len());
    let end = end.ok_or_else(|| {
        format!("the Arrow stream is cut off: at byte {at} it needs {len} bytes and has not")
    })?;
    let taken = &stream[*at..end];
    *at = end;
    Ok(taken)
}

fn word(stream: &[u8], at: &mut usize) -> Result<u32, String> {
    let bytes = take(stream, at, 4)?;
    Ok(u32::from_le_bytes(bytes.try_into().expect("invariant: four bytes were taken")))
}

/// What the buffers of a message are after decompression.
fn decoded_len(message: &Message<'_>, body: &[u8]) -> Result<u64, String> {
    let batch = match message.header_type() {
        MessageHeader::RecordBatch => message.header_as_record_batch(),
        MessageHeader::DictionaryBatch => {
            message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data())
        }
        _ => None,
    };
    let Some(batch) = batch else { return Ok(0) };
    if batch.compression().is_none() {
        return Ok(body.len() as u64);
    }
    compressed_len(batch, body).ok_or_else(|| "an Arrow buffer lies outside its message".to_owned())
}

fn compressed_len(batch: RecordBatch<'_>, body: &[u8]) -> Option<u64> {
    let mut all = 0_u64;
    for buffer in batch.buffers()? {
        let start = usize::try_from(buffer.offset()).ok()?;
        let len = usize::try_from(buffer.length()).ok()?;
        let bytes = body.get(start..start.checked_add(len)?)?;
        if bytes.is_empty() {
            continue;
        }
        let claimed = i64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
        let claimed = if claimed == NOT_COMPRESSED { len.try_into().ok()? } else { claimed };
        all = all.saturating_add(u64::try_from(claimed).ok()?);
    }
    Some(all)
}
