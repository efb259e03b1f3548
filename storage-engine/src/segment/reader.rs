//! Reads a segment: the directory when the store is opened, blocks when they are asked for.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use barrow_types::{ColumnId, Step, Timestamp};

use crate::bytes::{Fields, usize_from};
use crate::column::{self, Damaged};
use crate::dataset::{self, Schema};
use crate::disk::{Disk, DiskErrorKind};
use crate::error::Error;
use crate::manifest::edit::SegmentEntry;
use crate::rows::{Column, ColumnType, Rows, flags};

use super::layout::{self, Block, ExtentKind, ExtentMeta, Role};
use super::touched::Touched;

/// A sealed file and its directory.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    /// The run it is part of: see [`crate::manifest::edit`].
    pub(crate) run: u64,
    pub(crate) len: u64,
    pub(crate) footer_crc: u32,
    pub(crate) extents: Vec<ExtentMeta>,
    /// The bloom filter of each extent, once it was asked for: a byte a batch id.
    blooms: Vec<OnceLock<Vec<u8>>>,
    touched: Touched,
}

impl Segment {
    pub(crate) fn new(
        number: u64,
        run: u64,
        len: u64,
        footer_crc: u32,
        extents: Vec<ExtentMeta>,
    ) -> Self {
        let blooms = extents.iter().map(|_| OnceLock::new()).collect();
        let touched = Touched::new(extents.len());
        Self { number, run, len, footer_crc, extents, blooms, touched }
    }

    /// What the manifest says of it.
    pub(crate) fn entry(&self) -> SegmentEntry {
        SegmentEntry {
            number: self.number,
            run: self.run,
            len: self.len,
            rows: self.extents.iter().map(|extent| u64::from(extent.rows)).sum(),
            footer_crc: self.footer_crc,
        }
    }

    /// Whether all its extents are of one series.
    pub(crate) fn is_own_file(&self) -> bool {
        self.extents.windows(2).all(|pair| pair[0].series == pair[1].series)
    }

    /// Reads the directory of the file that the manifest describes.
    pub(crate) fn open(disk: &dyn Disk, entry: &SegmentEntry) -> Result<Self, Error> {
        let SegmentEntry { number, run, len, footer_crc, .. } = *entry;
        let path = super::path(number);
        let actual = match disk.len(&path) {
            Err(error) if error.kind == DiskErrorKind::NotFound => {
                return Err(damage(&path, "the manifest names it, but it is not there"));
            }
            other => other?,
        };
        if actual != len {
            return Err(damage(&path, &format!("{actual} bytes long, not {len}")));
        }
        let directory = || -> Result<Result<Vec<ExtentMeta>, Damaged>, Error> {
            let ends = (layout::HEADER_LEN + layout::TRAILER_LEN) as u64;
            if len < ends {
                return Ok(Err(Damaged("the file is too short")));
            }
            let header = disk.read(&path, 0, layout::HEADER_LEN)?;
            let trailer_at = len - layout::TRAILER_LEN as u64;
            let trailer = disk.read(&path, trailer_at, layout::TRAILER_LEN)?;
            let place = layout::check_header(&header, number)
                .and_then(|()| layout::decode_trailer(&trailer))
                .and_then(|(footer_len, crc)| {
                    if crc != footer_crc || footer_len > len - ends {
                        return Err(Damaged("its trailer is not the one the manifest knows"));
                    }
                    usize_from(footer_len)
                });
            let footer_len = match place {
                Ok(footer_len) => footer_len,
                Err(damaged) => return Ok(Err(damaged)),
            };
            let footer_at = trailer_at - footer_len as u64;
            let footer = disk.read(&path, footer_at, footer_len)?;
            if crc32c::crc32c(&footer) != footer_crc {
                return Ok(Err(Damaged("the checksum of its footer is wrong")));
            }
            Ok(layout::decode_footer(&footer, layout::HEADER_LEN as u64..footer_at))
        };
        let extents = directory()?.map_err(|damaged| damage(&path, damaged.0))?;
        Ok(Self::new(number, run, len, footer_crc, extents))
    }
}

fn damage(path: &str, why: &str) -> Error {
    Error::corrupt(format!("{path} is damaged ({why}); restore it from a backup"))
}

/// One extent of a segment.
#[derive(Clone, Debug)]
pub(crate) struct Extent {
    pub(crate) segment: Arc<Segment>,
    pub(crate) place: usize,
}

impl Extent {
    pub(crate) fn meta(&self) -> &ExtentMeta {
        &self.segment.extents[self.place]
    }

    pub(crate) fn is_history(&self) -> bool {
        self.meta().kind == ExtentKind::History
    }

    fn path(&self) -> String {
        super::path(self.segment.number)
    }

    fn damage(&self, damaged: &Damaged) -> Error {
        damage(&self.path(), damaged.0)
    }

    /// The bytes of a block as the disk gives them now, checked.
    pub(crate) fn block_bytes(&self, disk: &dyn Disk, block: &Block) -> Result<Vec<u8>, Error> {
        let bytes = disk.read(&self.path(), block.at, block.len as usize)?;
        if crc32c::crc32c(&bytes) != block.crc {
            let at = block.at;
            return Err(damage(&self.path(), &format!("the checksum of the block at byte {at}")));
        }
        Ok(bytes)
    }

    /// What `decode` makes of block `place` of the extent, which it is given from the file's map or
    /// from the disk. It may be asked twice: what it makes of a map that turns out to be poisoned
    /// is thrown away.
    fn decode_block<T>(
        &self,
        disk: &dyn Disk,
        place: usize,
        decode: impl Fn(&[u8]) -> Result<T, Damaged>,
    ) -> Result<T, Error> {
        let block = &self.meta().blocks[place];
        let segment = &*self.segment;
        let place = (self.place, place);
        if let Some(map) = segment.touched.map(place, disk, &self.path(), segment.len)? {
            let at = usize_from(block.at).map_err(|damaged| self.damage(&damaged))?;
            let decoded = decode(&map.bytes()[at..at + block.len as usize]);
            // Asked only now: the page may have been lost while it was decoded.
            if !map.is_poisoned() {
                return decoded.map_err(|damaged| self.damage(&damaged));
            }
        }
        let bytes = self.block_bytes(disk, block)?;
        segment.touched.passed(place);
        decode(&bytes).map_err(|damaged| self.damage(&damaged))
    }

    /// As [`Self::decode_block`], of a block that must be there.
    fn decode_required<T>(
        &self,
        disk: &dyn Disk,
        role: Role,
        column: ColumnId,
        decode: impl Fn(&[u8]) -> Result<T, Damaged>,
    ) -> Result<T, Error> {
        let place = self.meta().block(role, column);
        let place = place.ok_or_else(|| self.damage(&Damaged("an extent lacks a column")))?;
        self.decode_block(disk, place, decode)
    }

    fn words(&self, disk: &dyn Disk, role: Role, range: Range<usize>) -> Result<Vec<i64>, Error> {
        self.decode_required(disk, role, ColumnId::new(0), |chunk| {
            column::decode_i64(chunk, self.rows(), range.clone())
        })
    }

    fn rows(&self) -> usize {
        self.meta().rows as usize
    }

    /// Event times of all rows.
    pub(crate) fn ts(&self, disk: &dyn Disk) -> Result<Vec<i64>, Error> {
        let ts = self.words(disk, Role::Ts, 0..self.rows())?;
        if !ts.is_sorted() {
            return Err(self.damage(&Damaged("the rows of an extent are not in order of ts")));
        }
        Ok(ts)
    }

    /// The rows whose `ts` lies in `ts_min..=ts_max`, with the user columns at `places` of the
    /// schema, in that order.
    pub(crate) fn read(
        &self,
        disk: &dyn Disk,
        step: Step,
        schema: &Schema,
        places: &[usize],
        ts_min: i64,
        ts_max: i64,
    ) -> Result<Rows, Error> {
        self.check_schema(schema)?;
        let (ts, range) = self.ts_within(disk, ts_min, ts_max)?;
        let sequence: Vec<u64> = self
            .words(disk, Role::Sequence, range.clone())?
            .into_iter()
            .map(i64::cast_unsigned)
            .collect();
        // Times that rows have of their own lie one after the other: all have to be counted.
        let own_times = self.meta().flags & (flags::STATED | flags::ASSUMED) != 0;
        let (counted, first) =
            if own_times { (0..self.rows(), range.start) } else { (range.clone(), 0) };
        let counted_flags = self.flags(disk, counted)?;
        let known_at = self.known_at(disk, step, &ts, &sequence, &counted_flags, first)?;
        let row_flags = counted_flags[first..first + ts.len()].to_vec();
        let columns = self.columns(disk, schema, places, range)?;
        Ok(Rows { ts, sequence, known_at, flags: row_flags, columns })
    }

    fn flags(&self, disk: &dyn Disk, range: Range<usize>) -> Result<Vec<u8>, Error> {
        if self.meta().flags == 0 {
            return Ok(vec![0; range.len()]);
        }
        let known = |row: i64| u8::try_from(row).ok().filter(|row| row & !self.meta().flags == 0);
        let words = self.words(disk, Role::Flags, range)?;
        words.into_iter().map(known).collect::<Option<Vec<u8>>>().ok_or_else(|| {
            self.damage(&Damaged("a row has a flag that its extent's directory does not know"))
        })
    }

    /// The user columns at `places` of the schema of some rows.
    pub(crate) fn read_columns(
        &self,
        disk: &dyn Disk,
        schema: &Schema,
        places: &[usize],
        rows: Range<usize>,
    ) -> Result<Vec<Column>, Error> {
        self.check_schema(schema)?;
        self.columns(disk, schema, places, rows)
    }

    /// The event times in `ts_min..=ts_max`, and which rows they are.
    pub(crate) fn ts_within(
        &self,
        disk: &dyn Disk,
        ts_min: i64,
        ts_max: i64,
    ) -> Result<(Vec<i64>, Range<usize>), Error> {
        let range = self.rows_within(disk, ts_min, ts_max)?;
        let ts = self.words(disk, Role::Ts, range.clone())?;
        let inside = |&t: &i64| (ts_min..=ts_max).contains(&t);
        if !ts.is_sorted() || !ts.first().is_none_or(inside) || !ts.last().is_none_or(inside) {
            return Err(self.damage(&Damaged("the rows of an extent are not in order of ts")));
        }
        Ok((ts, range))
    }

    /// Which rows have a `ts` in `ts_min..=ts_max`, if they are in order.
    pub(crate) fn rows_within(
        &self,
        disk: &dyn Disk,
        ts_min: i64,
        ts_max: i64,
    ) -> Result<Range<usize>, Error> {
        let zone = self.meta().zone.ts;
        if ts_min <= zone.min && zone.max <= ts_max {
            return Ok(0..self.rows());
        }
        self.decode_required(disk, Role::Ts, ColumnId::new(0), |chunk| {
            let start = column::locate_i64(chunk, self.rows(), ts_min)?;
            let end = match ts_max.checked_add(1) {
                Some(end) => column::locate_i64(chunk, self.rows(), end)?,
                None => self.rows(),
            };
            Ok(start..end.max(start))
        })
    }

    fn check_schema(&self, schema: &Schema) -> Result<(), Error> {
        if self.meta().schema_version == schema.version {
            return Ok(());
        }
        Err(self.damage(&Damaged("this build does not know the schema's version")))
    }

    /// The `known_at` of rows with these times and sequences. Their flags lie among
    /// `counted_flags` from place `first` on; if any row of the extent has a time of its own, these
    /// are of all rows.
    fn known_at(
        &self,
        disk: &dyn Disk,
        step: Step,
        ts: &[i64],
        sequence: &[u64],
        counted_flags: &[u8],
        first: usize,
    ) -> Result<Vec<i64>, Error> {
        let row_flags = &counted_flags[first..first + ts.len()];
        let count = |rows: &[u8], flag| rows.iter().filter(|&&row| row & flag != 0).count();
        let of_flag = |role, flag| -> Result<std::vec::IntoIter<i64>, Error> {
            let before = count(&counted_flags[..first], flag);
            let inside = count(row_flags, flag);
            if inside == 0 {
                return Ok(Vec::new().into_iter());
            }
            let all = count(counted_flags, flag);
            let values = self.decode_required(disk, role, ColumnId::new(0), |chunk| {
                column::decode_i64(chunk, all, before..before + inside)
            })?;
            Ok(values.into_iter())
        };
        let mut stated = of_flag(Role::Stated, flags::STATED)?;
        let mut assumed = of_flag(Role::Assumed, flags::ASSUMED)?;
        let ingest_times = self.ingest_times(disk)?;
        let next = |values: &mut std::vec::IntoIter<i64>| {
            values.next().expect("invariant: as many were decoded as rows have the flag")
        };
        // Rows of one record lie together as a rule.
        let mut last = None;
        (0..ts.len())
            .map(|at| {
                if row_flags[at] & flags::STATED != 0 {
                    return Ok(next(&mut stated));
                }
                if row_flags[at] & flags::ASSUMED != 0 {
                    let end = step.ts_end(Timestamp::from_nanos(ts[at]));
                    return Ok(end.nanos().wrapping_add(next(&mut assumed)));
                }
                if let Some((of, time)) = last
                    && of == sequence[at]
                {
                    return Ok(time);
                }
                let found = ingest_times
                    .binary_search_by_key(&sequence[at], |&(sequence, _)| sequence)
                    .map_err(|_| self.damage(&Damaged("a row's ingest time is missing")))?;
                last = Some(ingest_times[found]);
                Ok(ingest_times[found].1)
            })
            .collect()
    }

    /// The ingest time of each sequence, sorted by sequence.
    fn ingest_times(&self, disk: &dyn Disk) -> Result<Vec<(u64, i64)>, Error> {
        let Some(block) = self.meta().block(Role::IngestTimes, ColumnId::new(0)) else {
            return Ok(Vec::new());
        };
        self.decode_block(disk, block, |bytes| {
            let mut fields = Fields::new(bytes);
            let count = fields.u32()? as usize;
            if count > self.rows() {
                return Err(Damaged("an extent has more ingest times than rows"));
            }
            let mut chunk = || -> Result<Vec<i64>, Damaged> {
                let len = fields.u32()? as usize;
                column::decode_i64(fields.bytes(len)?, count, 0..count)
            };
            let (sequences, times) = (chunk()?, chunk()?);
            fields.end()?;
            Ok(sequences.into_iter().map(i64::cast_unsigned).zip(times).collect())
        })
    }

    fn columns(
        &self,
        disk: &dyn Disk,
        schema: &Schema,
        places: &[usize],
        range: Range<usize>,
    ) -> Result<Vec<Column>, Error> {
        let first = usize::from(dataset::OPEN.get()) - 1;
        let candle = self.meta().block(Role::Candle, ColumnId::new(0));
        let is_price = |place: usize| candle.is_some() && (first..first + 4).contains(&place);
        let is_average =
            |place: usize| candle.is_some() && schema.columns[place].id == dataset::VWAP;
        let mut prices = [None, None, None, None];
        if let Some(block) = candle
            && places.iter().any(|&place| is_price(place) || is_average(place))
        {
            let mut wanted = [0, 1, 2, 3].map(|price| places.contains(&(first + price)));
            if places.iter().any(|&place| is_average(place)) {
                wanted[1] = true;
                wanted[2] = true;
            }
            prices = self.decode_block(disk, block, |chunk| {
                column::decode_candle(chunk, self.rows(), range.clone(), wanted)
            })?;
        }
        let average = |chunk: &[u8]| match &prices {
            [_, Some(high), Some(low), _] if column::is_beside(chunk) => {
                column::decode_beside(chunk, self.rows(), range.clone(), high, low)
            }
            _ => column::decode(chunk, ColumnType::F64, self.rows(), range.clone()),
        };
        let mut others = places
            .iter()
            .filter(|&&place| !is_price(place))
            .map(|&place| {
                let definition = &schema.columns[place];
                self.decode_required(disk, Role::Column, definition.id, |chunk| {
                    if is_average(place) {
                        average(chunk)
                    } else {
                        column::decode(chunk, definition.kind(), self.rows(), range.clone())
                    }
                })
            })
            .collect::<Result<Vec<_>, Error>>()?
            .into_iter();
        let column = |(at, &place): (usize, &usize)| {
            if !is_price(place) {
                return others.next().expect("invariant: every other column was decoded");
            }
            let price = &mut prices[place - first];
            let again = places[at + 1..].contains(&place);
            let column = if again { price.clone() } else { price.take() };
            column.expect("invariant: every wanted price was decoded")
        };
        Ok(places.iter().enumerate().map(column).collect())
    }

    /// Whether the text `id` may be among the values of user column `column`; `true` if there is
    /// no filter.
    pub(crate) fn may_hold(
        &self,
        disk: &dyn Disk,
        column: ColumnId,
        id: &str,
    ) -> Result<bool, Error> {
        let Some(block) = self.meta().block(Role::Bloom, column) else { return Ok(true) };
        let kept = &self.segment.blooms[self.place];
        let filter = match kept.get() {
            Some(filter) => filter,
            None => {
                // Once for as long as the file is open.
                let filter = self.block_bytes(disk, &self.meta().blocks[block])?;
                if filter.is_empty() {
                    return Err(self.damage(&Damaged("a bloom filter is empty")));
                }
                kept.get_or_init(|| filter)
            }
        };
        let bits = filter.len() as u64 * 8;
        Ok(layout::bloom_positions(id, bits).into_iter().all(|bit| {
            let at = usize::try_from(bit / 8).expect("invariant: a position inside the filter");
            filter[at] >> (bit % 8) & 1 == 1
        }))
    }
}

#[cfg(test)]
mod tests {
    use barrow_types::SeriesId;

    use super::super::writer::Writer;
    use super::*;
    use crate::disk::MemoryDisk;
    use crate::rows::Values;

    #[test]
    fn average_prices_are_read_whichever_columns_are_asked_for() {
        let count = 1_500_u32;
        let cents = |offset: u32, step: u32| -> Vec<f64> {
            (0..count).map(|row| f64::from(10_000 + offset + row * 7 % step) / 100.0).collect()
        };
        let average = (0..count).map(|row| f64::from(1_000_700 + row % 40) / 10_000.0).collect();
        let columns = [cents(5, 3), cents(12, 3), cents(0, 3), cents(4, 3), cents(9, 900), average]
            .map(|values| Column::new(Values::F64(values)));
        let trades = Column::new(Values::I64((0..i64::from(count)).collect()));
        let ts: Vec<i64> = (0..i64::from(count)).map(|minute| minute * 60_000_000_000).collect();
        let rows = Rows {
            sequence: vec![1; ts.len()],
            known_at: ts.clone(),
            flags: vec![flags::STATED; ts.len()],
            columns: columns.into_iter().chain([trades]).collect(),
            ts,
        };
        let disk = MemoryDisk::new();
        disk.create_dir(crate::segment::DIR).unwrap();
        let mut writer = Writer::new(&disk, 1, 1).unwrap();
        let (series, schema) = (SeriesId::new(1), &dataset::BARS);
        writer.add(series, Step::M1, schema, layout::ExtentKind::Base, &rows).unwrap();
        let extent = Extent { segment: Arc::new(writer.seal().unwrap()), place: 0 };
        let range = 1_000..1_400;
        let (first, last) = (rows.ts[range.start], rows.ts[range.end - 1]);
        for places in [
            [5].as_slice(),
            &[5, 1],
            &[2, 5, 2],
            &[4, 5, 6],
            &[0, 1, 2, 3, 4, 5, 6],
            &[6, 5, 4, 3, 2, 1, 0],
        ] {
            let found = extent.rows_within(&disk, first, last).unwrap();
            assert_eq!(found, range);
            let read = extent.read_columns(&disk, schema, places, found).unwrap();
            for (column, &place) in read.iter().zip(places) {
                let mut pairs = range.clone().enumerate();
                assert!(
                    pairs.all(|(at, row)| rows.columns[place].same(row, column, at)),
                    "column {place} of {places:?}"
                );
            }
        }
    }
}
