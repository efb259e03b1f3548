//! Makes a segment: extents in, one sealed file out.

use std::collections::BTreeMap;

use barrow_types::{ColumnId, DatasetId, SeriesId, Step};

use crate::bytes::{Put, u32_len};
use crate::column;
use crate::dataset::{self, Schema};
use crate::disk::Disk;
use crate::error::Error;
use crate::memtable::Zone;
use crate::rows::{Column, Rows, Values, flags};

use super::layout::{self, Block, ExtentKind, ExtentMeta, Role};
use super::reader::Segment;

/// Bytes gathered before they are written.
const WRITE_BYTES: usize = 1 << 20;

/// A segment in the making. The file is called `.tmp` until it is whole and synced.
pub(crate) struct Writer<'a> {
    disk: &'a dyn Disk,
    number: u64,
    run: u64,
    temporary: String,
    buffer: Vec<u8>,
    written: u64,
    extents: Vec<ExtentMeta>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(disk: &'a dyn Disk, number: u64, run: u64) -> Result<Self, Error> {
        let temporary = format!("{}.tmp", super::path(number));
        disk.create_anew(&temporary, 0)?;
        let buffer = layout::encode_header(number);
        Ok(Self { disk, number, run, temporary, buffer, written: 0, extents: Vec::new() })
    }

    /// Adds rows of one series as one extent. They are sorted, at least one and at most
    /// [`super::EXTENT_ROWS_MAX`], with all columns of the schema.
    pub(crate) fn add(
        &mut self,
        series: SeriesId,
        step: Step,
        schema: &Schema,
        kind: ExtentKind,
        rows: &Rows,
    ) -> Result<(), Error> {
        let mut blocks = Vec::new();
        let none = ColumnId::new(0);
        self.block(&mut blocks, Role::Ts, none, |out| column::encode_i64(&rows.ts, out))?;
        let sequences: Vec<i64> = rows.sequence.iter().map(|word| word.cast_signed()).collect();
        self.block(&mut blocks, Role::Sequence, none, |out| column::encode_i64(&sequences, out))?;
        let row_flags: Vec<i64> = rows.flags.iter().map(|&row| i64::from(row)).collect();
        self.block(&mut blocks, Role::Flags, none, |out| column::encode_i64(&row_flags, out))?;
        self.add_known_at(&mut blocks, step, rows)?;
        let candle = schema.dataset == DatasetId::BARS;
        if candle {
            let [open, high, low, close, ..] = rows.columns.as_slice() else {
                unreachable!("invariant: bars have four price columns")
            };
            self.block(&mut blocks, Role::Candle, none, |out| {
                column::encode_candle([open, high, low, close], out);
            })?;
        }
        for (definition, column) in schema.columns.iter().zip(&rows.columns) {
            if candle && definition.id < ColumnId::new(dataset::OPEN.get() + 4) {
                continue;
            }
            self.block(&mut blocks, Role::Column, definition.id, |out| {
                if candle && definition.id == dataset::VWAP {
                    let [_, high, low, ..] = rows.columns.as_slice() else {
                        unreachable!("invariant: bars have four price columns")
                    };
                    column::encode_beside(column, high, low, out);
                } else {
                    column::encode(column, out);
                }
            })?;
        }
        if schema.dataset == DatasetId::BATCHES {
            let definition = &schema.columns[0];
            let ids = &rows.columns[0];
            self.block(&mut blocks, Role::Bloom, definition.id, |out| encode_bloom(ids, out))?;
        }
        self.extents.push(ExtentMeta {
            series,
            dataset: schema.dataset,
            schema_version: schema.version,
            kind,
            flags: rows.flags.iter().fold(0, |all, row| all | row),
            rows: u32_len(rows.len()),
            zone: Zone::of(rows),
            blocks,
        });
        Ok(())
    }

    /// Where each row's `known_at` comes from: its batch's ingest time, itself, or a policy.
    fn add_known_at(
        &mut self,
        blocks: &mut Vec<Block>,
        step: Step,
        rows: &Rows,
    ) -> Result<(), Error> {
        let none = ColumnId::new(0);
        let mut ingest_times = BTreeMap::new();
        let mut stated = Vec::new();
        let mut assumed = Vec::new();
        for (at, &row) in rows.flags.iter().enumerate() {
            let known_at = rows.known_at[at];
            if row & flags::STATED != 0 {
                stated.push(known_at);
            } else if row & flags::ASSUMED != 0 {
                let end = step.ts_end(barrow_types::Timestamp::from_nanos(rows.ts[at]));
                assumed.push(known_at.wrapping_sub(end.nanos()));
            } else {
                ingest_times.insert(rows.sequence[at], known_at);
            }
        }
        if !ingest_times.is_empty() {
            let sequences: Vec<i64> = ingest_times.keys().map(|word| word.cast_signed()).collect();
            let times: Vec<i64> = ingest_times.values().copied().collect();
            self.block(blocks, Role::IngestTimes, none, |out| {
                out.put_u32(u32_len(times.len()));
                for values in [&sequences, &times] {
                    let mut chunk = Vec::new();
                    column::encode_i64(values, &mut chunk);
                    out.put_u32(u32_len(chunk.len()));
                    out.extend_from_slice(&chunk);
                }
            })?;
        }
        if !stated.is_empty() {
            self.block(blocks, Role::Stated, none, |out| column::encode_i64(&stated, out))?;
        }
        if !assumed.is_empty() {
            self.block(blocks, Role::Assumed, none, |out| column::encode_i64(&assumed, out))?;
        }
        Ok(())
    }

    fn block(
        &mut self,
        blocks: &mut Vec<Block>,
        role: Role,
        column: ColumnId,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Error> {
        self.buffer.pad_to(layout::HEADER_LEN);
        let start = self.buffer.len();
        encode(&mut self.buffer);
        let bytes = &self.buffer[start..];
        blocks.push(Block {
            role,
            column,
            at: self.written + start as u64,
            len: u32_len(bytes.len()),
            crc: crc32c::crc32c(bytes),
        });
        if self.buffer.len() >= WRITE_BYTES {
            self.buffer.pad_to(layout::HEADER_LEN);
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), Error> {
        self.disk.write_at(&self.temporary, self.written, &self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Writes the footer, syncs, and gives the file its name, which needs [`Disk::sync_dir`].
    pub(crate) fn seal(mut self) -> Result<Segment, Error> {
        self.buffer.pad_to(layout::HEADER_LEN);
        let (footer, footer_crc) = layout::encode_footer(&self.extents);
        self.buffer.extend_from_slice(&footer);
        self.write()?;
        self.disk.sync(&self.temporary)?;
        self.disk.rename(&self.temporary, &super::path(self.number))?;
        Ok(Segment::new(self.number, self.run, self.written, footer_crc, self.extents))
    }
}

fn encode_bloom(ids: &Column, out: &mut Vec<u8>) {
    let Values::Text(ids) = &ids.values else { unreachable!("invariant: batch ids are texts") };
    let start = out.len();
    let bytes = (ids.len() * layout::BLOOM_BITS_PER_TEXT).div_ceil(8);
    out.resize(start + bytes, 0);
    let filter = &mut out[start..];
    for id in ids.iter() {
        for bit in layout::bloom_positions(id, bytes as u64 * 8) {
            let at = usize::try_from(bit / 8).expect("invariant: a position inside the filter");
            filter[at] |= 1 << (bit % 8);
        }
    }
}
