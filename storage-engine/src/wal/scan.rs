//! Reads the log: what recovery replays and `verify` checks.
//!
//! A record is good if its header and body pass their checksums, its epoch is its file's, its
//! `chain` is the checksum of the record before it in its epoch, and its sequence is that one's
//! plus one. A file whose header is damaged has no good records; if anything follows the header,
//! that is damage to acknowledged data, because the header is on disk before the first record is
//! written. Where the good records of a file end, at sequence `s`:
//!
//! 1. A file of a later epoch that begins with `s`: the log goes on there. Records of an earlier
//!    epoch from there on are not read, good or not: that opening has dropped or copied them.
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
    /// The greatest sequence that a record or the root says was on disk.
    pub witnessed: u64,
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
    /// Nothing is read behind this record: whoever reads a log that is being written asks for what
    /// was on disk before. `u64::MAX` for the whole log.
    pub up_to: u64,
}

/// The files of the log in the order they were written.
///
/// # Errors
/// The folder cannot be read, or holds a file with another name than a log file's.
pub fn files(disk: &dyn Disk) -> Result<Vec<WalFile>, Error> {
    let mut files = Vec::new();
    for name in disk.list(super::DIR)? {
        if name.ends_with(super::TEMPORARY) {
            continue;
        }
        files.push(WalFile::from_name(&name).ok_or_else(|| {
            Error::corrupt(format!("wal/{name} is not a file of the log; move it elsewhere"))
        })?);
    }
    files.sort_unstable();
    Ok(files)
}

/// Hands every good record from the last file on that begins at or before `expected.low` to
/// `on_record`, in order, up to `expected.up_to`.
///
/// # Errors
/// `Corrupt` if records that were acknowledged are damaged or missing; what `on_record` returns.
pub fn replay(
    disk: &dyn Disk,
    files: &[WalFile],
    expected: Expected,
    mut on_record: impl FnMut(&Header, &[u8]) -> Result<(), Error>,
) -> Result<End, Error> {
    let mut end =
        End { last: expected.low - 1, witnessed: expected.durable, records: 0, torn_bytes: 0 };
    if expected.up_to < expected.low {
        return Ok(end);
    }
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
    // Epoch and checksum of the last good record.
    let mut previous: Option<(u64, u32)> = None;
    for (place, &file) in files.iter().enumerate().skip(start) {
        let mut next = end.last + 1;
        if place == start {
            next = file.first;
        } else if file.first != next {
            let stopped = stop.as_ref().expect("invariant: every file before stopped somewhere");
            if file.epoch > stopped.file.epoch && file.first > next {
                return Err(stopped.damage(next, &file.path()));
            }
            // Left by the epoch that stopped.
            if begins_later(files, place, next).is_none() {
                let bytes = read(disk, file)?;
                end.torn_bytes +=
                    witness_in(&bytes, 0, next, &|path| stopped.damage(next, path), &file)?;
            }
            continue;
        }
        let bytes = read(disk, file)?;
        let limit = begins_later(files, place, u64::MAX);
        if let Err(why) = file.check(&bytes, expected.instance) {
            let stopped = Stop { file, at: 0, why };
            // The header is on disk before the first record is written.
            if bytes.iter().skip(file::HEADER_LEN).any(|&byte| byte != 0) && limit != Some(next) {
                return Err(stopped.damage(next, "what follows the header"));
            }
            end.torn_bytes += bytes.iter().filter(|&&byte| byte != 0).count() as u64;
            stop = Some(stopped);
            continue;
        }
        let mut at = file::HEADER_LEN;
        if place == start {
            end.last = next - 1;
        }
        let why = loop {
            // The first record of an epoch has no chain; of the first file read it is not known.
            let chain = previous.map(|(epoch, crc)| if epoch == file.epoch { crc } else { 0 });
            if limit == Some(end.last + 1) {
                break Damaged("the log goes on in a file of a later epoch");
            }
            match record_at(&bytes, at, file.epoch, end.last + 1, chain) {
                Ok((header, body, crc)) => {
                    on_record(&header, body)
                        .map_err(|error| error.within(&format!("{} at byte {at}", file.path())))?;
                    end.last = header.sequence;
                    end.witnessed = end.witnessed.max(header.durable);
                    end.records += 1;
                    previous = Some((file.epoch, crc));
                    at += header.record_len();
                    if end.last == expected.up_to {
                        return Ok(end);
                    }
                }
                Err(why) => break why,
            }
        };
        let stopped = Stop { file, at, why };
        let next = end.last + 1;
        if limit != Some(next) {
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

/// The smallest first sequence, up to `max`, of the files of later epochs than that of file
/// `place`: an opening that begins there has decided that what earlier epochs have from there on
/// is not part of the log.
fn begins_later(files: &[WalFile], place: usize, max: u64) -> Option<u64> {
    let epoch = files[place].epoch;
    let later = files[place + 1..].iter().filter(|file| file.epoch > epoch);
    later.map(|file| file.first).filter(|&first| first <= max).min()
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
    epoch: u64,
    sequence: u64,
    chain: Option<u32>,
) -> Result<(Header, &[u8], u32), Damaged> {
    let rest = bytes.get(at..).unwrap_or_default();
    let header = rest.first_chunk::<{ record::HEADER_LEN }>().ok_or(Damaged("the file ends"))?;
    let (header, crc) = Header::decode(header)?;
    if header.sequence != sequence {
        return Err(Damaged("its sequence is not the next one"));
    }
    if header.epoch != epoch {
        return Err(Damaged("its epoch is not that of its file"));
    }
    if chain.is_some_and(|chain| header.chain != chain) {
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
            && header.epoch == file.epoch
            && header.durable >= sequence
            && header.durable < header.sequence
        {
            return Err(damage(&format!("{} at byte {}", file.path(), from + at)));
        }
    }
    Ok(rest.iter().filter(|&&byte| byte != 0).count() as u64)
}
