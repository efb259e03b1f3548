//! Reads the log: what recovery replays and `verify` checks.
//!
//! A record is good if its header and body pass their checksums, its `chain` is the checksum of
//! the record before it and its sequence is that one's plus one. Where the good records of a file
//! end, at sequence `s`:
//!
//! 1. A file of a later epoch that begins with `s`: the log goes on there. An earlier opening has
//!    come to the same end and dropped what follows it.
//! 2. Otherwise, if anything says that `s` was on disk — a later header (here or in a later file)
//!    with `durable` >= `s`, a file of a later epoch that begins after `s`, or the root — then
//!    acknowledged data is damaged: refused, nothing is changed.
//! 3. Otherwise it is the end: a torn tail that was never acknowledged, or none at all.

use crate::column::Damaged;
use crate::disk::Disk;
use crate::error::Error;

use super::file::{self, WalFile};
use super::record::{self, Header, Kind};

/// Where the log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Sequence of the last good record; the one before the first if there is none.
    pub last: u64,
    /// Checksum of the last good record's header; 0 if there is none.
    pub chain: u32,
    /// `now` of the last good record.
    pub now: Option<i64>,
    /// Good records read.
    pub records: u64,
    /// Bytes after the last good record that were not zero and are dropped.
    pub torn_bytes: u64,
}

/// What the rest of the store says about the log.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The first record that is not in segments.
    pub low: u64,
    /// The greatest sequence that the root says is on disk.
    pub durable: u64,
    /// The store.
    pub instance: [u8; 16],
}

/// The files of the log in the order they were written.
///
/// # Errors
/// The folder cannot be read, or holds a file with another name than a log file's.
pub fn files(disk: &dyn Disk) -> Result<Vec<WalFile>, Error> {
    let mut files = Vec::new();
    for name in disk.list(super::DIR)? {
        files.push(WalFile::from_name(&name).ok_or_else(|| {
            Error::corrupt(format!("wal/{name} is not a file of the log; move it elsewhere"))
        })?);
    }
    files.sort_unstable();
    Ok(files)
}

/// Hands every good record from the last file on that begins at or before `expected.low` to
/// `on_record`, in order.
///
/// # Errors
/// `Corrupt` if records that were acknowledged are damaged or missing; what `on_record` returns.
pub fn replay(
    disk: &dyn Disk,
    files: &[WalFile],
    expected: Expected,
    mut on_record: impl FnMut(&Header, &[u8]) -> Result<(), Error>,
) -> Result<End, Error> {
    let mut end = End { last: expected.low - 1, chain: 0, now: None, records: 0, torn_bytes: 0 };
    let Some(start) = files.iter().rposition(|file| file.first <= expected.low) else {
        if let Some(file) = files.first() {
            return Err(missing(expected.low, &format!("{} begins after it", file.path())));
        }
        if expected.durable >= expected.low {
            return Err(missing(expected.low, "the folder wal is empty"));
        }
        return Ok(end);
    };
    let mut stop: Option<Stop> = None;
    for (place, &file) in files.iter().enumerate().skip(start) {
        let mut next = end.last + 1;
        if place == start {
            next = file.first;
        } else if file.first != next {
            let stopped = stop.as_ref().expect("invariant: every file before stopped somewhere");
            if file.epoch > stopped.file.epoch && file.first > next {
                return Err(stopped.damage(next, &file.path()));
            }
            // Of the epoch that stopped, or an earlier one's leftover: never acknowledged.
            end.torn_bytes += witness(disk, file, 0, next, stop.as_ref())?;
            continue;
        }
        let bytes = read(disk, file)?;
        if let Err(why) = file.check(&bytes, expected.instance) {
            let stopped = Stop { file, at: 0, why };
            end.torn_bytes +=
                witness_in(&bytes, 0, next, &|path| stopped.damage(next, path), &file)?;
            stop = Some(stopped);
            continue;
        }
        let mut at = file::HEADER_LEN;
        if place == start {
            end.last = next - 1;
        }
        let why = loop {
            match record_at(&bytes, at, end.last + 1, end.chain, end.records > 0) {
                Ok((header, body, crc)) => {
                    on_record(&header, body)
                        .map_err(|error| error.within(&format!("{} at byte {at}", file.path())))?;
                    end.last = header.sequence;
                    end.chain = crc;
                    end.now = Some(header.now);
                    end.records += 1;
                    at += header.record_len();
                }
                Err(why) => break why,
            }
        };
        let stopped = Stop { file, at, why };
        let next = end.last + 1;
        // A later opening that begins here has already decided that the rest is a torn tail.
        let continued =
            files[place + 1..].iter().any(|later| later.epoch > file.epoch && later.first == next);
        if !continued {
            end.torn_bytes +=
                witness_in(&bytes, at, next, &|path| stopped.damage(next, path), &file)?;
        }
        stop = Some(stopped);
    }
    let next = end.last + 1;
    if expected.durable >= next || expected.low > next {
        let by = "the root of the manifest";
        return Err(stop.map_or_else(|| missing(next, by), |stopped| stopped.damage(next, by)));
    }
    Ok(end)
}

struct Stop {
    file: WalFile,
    at: usize,
    why: Damaged,
}

impl Stop {
    fn damage(&self, sequence: u64, witness: &str) -> Error {
        Error::corrupt(format!(
            "{} at byte {}: record {sequence} cannot be read ({}), but {witness} shows that it was \
             on disk: acknowledged data is damaged. Restore this file from a backup, or move the \
             store aside",
            self.file.path(),
            self.at,
            self.why
        ))
    }
}

fn missing(sequence: u64, why: &str) -> Error {
    Error::corrupt(format!(
        "record {sequence} of the log is missing: {why}. Restore the folder wal from a backup"
    ))
}

fn read(disk: &dyn Disk, file: WalFile) -> Result<Vec<u8>, Error> {
    let path = file.path();
    let len = crate::bytes::usize_from(disk.len(&path)?)
        .map_err(|damaged| Error::corrupt(format!("{path}: {damaged}")))?;
    Ok(disk.read(&path, 0, len)?)
}

fn record_at(
    bytes: &[u8],
    at: usize,
    sequence: u64,
    chain: u32,
    chained: bool,
) -> Result<(Header, &[u8], u32), Damaged> {
    let rest = bytes.get(at..).unwrap_or_default();
    let header = rest.first_chunk::<{ record::HEADER_LEN }>().ok_or(Damaged("the file ends"))?;
    let (header, crc) = Header::decode(header)?;
    if header.sequence != sequence {
        return Err(Damaged("its sequence is not the next one"));
    }
    if chained && header.chain != chain {
        return Err(Damaged("its chain does not lead to the record before it"));
    }
    let padded = rest
        .get(record::HEADER_LEN..header.record_len())
        .ok_or(Damaged("the file ends inside its body"))?;
    if crc32c::crc32c(padded) != header.body_crc {
        return Err(Damaged("the checksum of its body is wrong"));
    }
    let (body, padding) = padded.split_at(header.body_len as usize);
    if padding.iter().any(|&byte| byte != 0) {
        return Err(Damaged("padding is not zero"));
    }
    if header.kind == Kind::Seal && !body.is_empty() {
        return Err(Damaged("a seal has a body"));
    }
    Ok((header, body, crc))
}

fn witness(
    disk: &dyn Disk,
    file: WalFile,
    from: usize,
    sequence: u64,
    stop: Option<&Stop>,
) -> Result<u64, Error> {
    let bytes = read(disk, file)?;
    let damage = |path: &str| {
        stop.map_or_else(|| missing(sequence, path), |stopped| stopped.damage(sequence, path))
    };
    witness_in(&bytes, from, sequence, &damage, &file)
}

/// Looks behind the end of the good records for a header that says `sequence` was on disk; if
/// there is none, counts the bytes that are not zero.
fn witness_in(
    bytes: &[u8],
    from: usize,
    sequence: u64,
    damage: &dyn Fn(&str) -> Error,
    file: &WalFile,
) -> Result<u64, Error> {
    let rest = &bytes[from.min(bytes.len())..];
    for at in (0..rest.len()).step_by(record::ALIGNMENT) {
        let Some(header) = rest[at..].first_chunk::<{ record::HEADER_LEN }>() else { break };
        if header[4..8] == record::MAGIC
            && let Ok((header, _)) = Header::decode(header)
            && header.durable >= sequence
        {
            return Err(damage(&format!("{} at byte {}", file.path(), from + at)));
        }
    }
    Ok(rest.iter().filter(|&&byte| byte != 0).count() as u64)
}
