//! The body of a rows record: one batch after it passed the door, with the outcome of every row.
//!
//! Replay validates nothing and reads no segment: what is here is what `apply` does.
//!
//! ```text
//! batch_id text, source text, body_hash 16,
//! policy u8 (0 ingest, 1 ts_end), policy_nanos i64, counts 5 x u64, claims u64, retracted u64,
//! facts u8 (0 none, 1: session text, align text),
//! sections: count u32, each
//!     dataset u16, schema_version u16, step u8, side u8,
//!     columns u16, only if the dataset is a user's table (1024 and above): how many
//!     new series: count u32, symbol text each      (ids are given in this order by `apply`)
//!     blocks: count u32, each series u32 (high bit: place among the new series), rows u32
//!     rows, those of the first block first:
//!         ts i64 x rows, in order within a block,
//!         flags u8 (0: all zero, 1: u8 x rows, 2: u8, of every row),
//!         known_at i64 x (rows with STATED or ASSUMED),
//!         columns in the schema's order, each
//!             kind u8, form u8 (0 all valid, 1 validity bitmap follows, 2 all null, no more)
//!             F64, I64: 8 bytes x rows; Text: end among the bytes u32 x rows, length u32, bytes
//! dead letters: count u32, each row u64, reason text, detail text, raw text
//!
//! Columns of a built-in dataset are those of its schema; a record says of a user's table how many
//! it has, and needs no definition to be read. Rows times columns of one are at most 16,777,216.
//!
//! The first section is of the batch's own dataset and always there; what it takes away of that
//! dataset, claims and marks of rejected rows follow.
//! ```
//!
//! A text is its length as u32 and its bytes. Little-endian. Nothing follows the last field.

use std::ops::Range;

use barrow_types::{DatasetId, Nanos, PriceSide, SeriesKey, Source, Step, Symbol};

use crate::batch::{Counts, KnownAt, Refused, SourceFacts};
use crate::bytes::{Fields, Put, u32_len};
use crate::column::Damaged;
use crate::dataset::schema;
use crate::dataset::tables::COLUMNS_MAX;
use crate::rows::{Bitmap, Column, ColumnType, Rows, Texts, Values, flags};

/// The high bit of a block's series: the rest is a place among the record's new series.
const NEW_SERIES: u32 = 1 << 31;

/// Most cells, rows times columns, of a section of a user's table: a column of nulls takes two
/// bytes in a record and eight a row in memory.
pub const CELLS_MAX: usize = 1 << 24;

/// Which series a block belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesRef {
    /// A series of the store, by its number.
    Known(u32),
    /// A series that this record brings, by its place in `new_symbols`.
    New(u32),
}

/// Which rows of a body are of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Whose rows they are.
    pub series: SeriesRef,
    /// Where they are; the first block's begin at 0, each other's where the one before ends.
    pub rows: Range<usize>,
}

/// Rows of one dataset, step and side in a record.
#[derive(Clone, Debug)]
pub struct Section {
    /// The table.
    pub dataset: DatasetId,
    /// By which version of its schema.
    pub schema_version: u16,
    /// Which step.
    pub step: Step,
    /// Which price.
    pub side: PriceSide,
    /// Symbols of the series that begin here.
    pub new_symbols: Vec<Symbol>,
    /// Stored rows, sorted within each block. Until `apply`, `sequence` is empty and `known_at`
    /// counts only for rows that state or assume it.
    pub rows: Rows,
    /// Whose they are.
    pub blocks: Vec<Block>,
}

/// One batch as the log holds it.
#[derive(Clone, Debug)]
pub struct RowsBody {
    /// The sender's id.
    pub batch_id: String,
    /// Who delivered.
    pub source: Source,
    /// XXH3-128 of the content.
    pub body_hash: [u8; 16],
    /// The policy its rows came under.
    pub policy: KnownAt,
    /// What became of the rows.
    pub counts: Counts,
    /// How many of its claims were taken.
    pub claims: u64,
    /// How many stored rows it takes away.
    pub retracted: u64,
    /// Facts about the source.
    pub facts: Option<SourceFacts>,
    /// Its rows; the first section is of its own dataset.
    pub sections: Vec<Section>,
    /// Rejected rows.
    pub dead: Vec<Refused>,
}

impl Section {
    /// The key of the series of `symbol` from `source`.
    pub(crate) fn key(&self, symbol: Symbol, source: &Source) -> SeriesKey {
        SeriesKey {
            dataset: self.dataset,
            symbol,
            step: self.step,
            side: self.side,
            source: source.clone(),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u16(self.dataset.get());
        out.put_u16(self.schema_version);
        out.put_u8(self.step.code());
        out.put_u8(self.side.code());
        if self.dataset.is_table() {
            let columns = u16::try_from(self.rows.columns.len());
            out.put_u16(columns.expect("invariant: a table has at most COLUMNS_MAX columns"));
        }
        out.put_u32(u32_len(self.new_symbols.len()));
        for symbol in &self.new_symbols {
            out.put_text(symbol.as_str());
        }
        out.put_u32(u32_len(self.blocks.len()));
        for block in &self.blocks {
            out.put_u32(match block.series {
                SeriesRef::Known(id) => id,
                SeriesRef::New(place) => NEW_SERIES | place,
            });
            out.put_u32(u32_len(block.rows.len()));
        }
        encode_rows(&self.rows, out);
    }

    fn decode(fields: &mut Fields<'_>) -> Result<Self, Damaged> {
        let dataset = DatasetId::new(fields.u16()?);
        let schema_version = fields.u16()?;
        let step = Step::from_code(fields.u8()?).ok_or(Damaged("there is no such step"))?;
        let side = PriceSide::from_code(fields.u8()?).ok_or(Damaged("there is no such side"))?;
        let shape = Shape::decode(dataset, schema_version, fields)?;
        let new_symbols = (0..fields.count(4)?)
            .map(|_| Symbol::new(fields.text()?).map_err(|_| Damaged("a symbol is not a name")))
            .collect::<Result<Vec<_>, _>>()?;
        let mut row_count = 0;
        let blocks = (0..fields.count(8)?)
            .map(|_| decode_block(&mut row_count, new_symbols.len(), fields))
            .collect::<Result<Vec<_>, _>>()?;
        let rows = decode_rows(&shape, row_count, fields)?;
        if !blocks.iter().all(|block| rows.ts[block.rows.clone()].is_sorted()) {
            return Err(Damaged("the rows of a block are not in order of ts"));
        }
        Ok(Self { dataset, schema_version, step, side, new_symbols, rows, blocks })
    }
}

/// Which columns the rows of a section have.
enum Shape {
    /// Those of a built-in dataset.
    Kinds(Vec<ColumnType>),
    /// So many, of whatever kind.
    Count(usize),
}

impl Shape {
    fn decode(
        dataset: DatasetId,
        schema_version: u16,
        fields: &mut Fields<'_>,
    ) -> Result<Self, Damaged> {
        if dataset.is_table() {
            let count = usize::from(fields.u16()?);
            if count > COLUMNS_MAX {
                return Err(Damaged("a table has more columns than there can be"));
            }
            return Ok(Self::Count(count));
        }
        let schema = schema(dataset).ok_or(Damaged("this build does not know the dataset"))?;
        if schema_version != schema.version {
            return Err(Damaged("this build does not know the schema's version"));
        }
        Ok(Self::Kinds(schema.kinds().collect()))
    }
}

impl RowsBody {
    /// The section of its own dataset.
    pub fn own(&self) -> &Section {
        self.sections.first().expect("invariant: a body has a section")
    }

    /// Rows that it stores, without claims and marks.
    pub fn row_count(&self) -> usize {
        self.own().rows.ts.len()
    }

    /// The bytes of the body.
    pub fn encode(&self) -> Vec<u8> {
        let len = |section: &Section| section.rows.byte_len() + section.blocks.len() * 8;
        let rows_len: usize = self.sections.iter().map(len).sum();
        let mut out = Vec::with_capacity(rows_len + 512);
        out.put_text(&self.batch_id);
        out.put_text(self.source.as_str());
        out.extend_from_slice(&self.body_hash);
        let (policy, nanos) = match self.policy {
            KnownAt::Ingest => (0, 0),
            KnownAt::TsEnd(delay) => (1, delay.get()),
        };
        out.put_u8(policy);
        out.put_i64(nanos);
        let counts = &self.counts;
        for count in [
            counts.accepted,
            counts.duplicates,
            counts.corrected,
            counts.superseded,
            counts.rejected,
            self.claims,
            self.retracted,
        ] {
            out.put_u64(count);
        }
        match &self.facts {
            None => out.put_u8(0),
            Some(facts) => {
                out.put_u8(1);
                out.put_text(&facts.session);
                out.put_text(&facts.align);
            }
        }
        out.put_u32(u32_len(self.sections.len()));
        for section in &self.sections {
            section.encode(&mut out);
        }
        out.put_u32(u32_len(self.dead.len()));
        for dead in &self.dead {
            out.put_u64(dead.row);
            out.put_text(&dead.reason);
            out.put_text(&dead.detail);
            out.put_text(&dead.raw);
        }
        out
    }

    /// Reads a body.
    ///
    /// # Errors
    /// The bytes are not a body of a dataset and schema version that this build knows. Allocates
    /// no more than a small multiple of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut fields = Fields::new(bytes);
        let batch_id = fields.text()?.to_owned();
        let source =
            Source::new(fields.text()?).map_err(|_| Damaged("the source is not a name"))?;
        let body_hash = fields.bytes(16)?.try_into().expect("invariant: 16 bytes were taken");
        let policy = match (fields.u8()?, fields.i64()?) {
            (0, _) => KnownAt::Ingest,
            (1, nanos) => KnownAt::TsEnd(Nanos::new(nanos)),
            _ => return Err(Damaged("there is no such known_at policy")),
        };
        let counts = Counts {
            accepted: fields.u64()?,
            duplicates: fields.u64()?,
            corrected: fields.u64()?,
            superseded: fields.u64()?,
            rejected: fields.u64()?,
        };
        let claims = fields.u64()?;
        let retracted = fields.u64()?;
        let facts = match fields.u8()? {
            0 => None,
            1 => Some(SourceFacts {
                session: fields.text()?.to_owned(),
                align: fields.text()?.to_owned(),
            }),
            _ => return Err(Damaged("the mark of facts is neither 0 nor 1")),
        };
        let sections = (0..fields.count(15)?)
            .map(|_| Section::decode(&mut fields))
            .collect::<Result<Vec<_>, _>>()?;
        if sections.is_empty() {
            return Err(Damaged("it has no section"));
        }
        let dead = (0..fields.count(20)?)
            .map(|_| {
                Ok(Refused {
                    row: fields.u64()?,
                    reason: fields.text()?.to_owned(),
                    detail: fields.text()?.to_owned(),
                    raw: fields.text()?.to_owned(),
                    key: None,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        fields.end()?;
        Ok(Self {
            batch_id,
            source,
            body_hash,
            policy,
            counts,
            claims,
            retracted,
            facts,
            sections,
            dead,
        })
    }
}

fn put_words<T: Copy>(values: &[T], to_bytes: impl Fn(T) -> [u8; 8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + values.len() * 8, 0);
    for (slot, value) in out[start..].chunks_exact_mut(8).zip(values) {
        slot.copy_from_slice(&to_bytes(*value));
    }
}

fn take_words<T>(
    count: usize,
    from_bytes: impl Fn([u8; 8]) -> T,
    fields: &mut Fields<'_>,
) -> Result<Vec<T>, Damaged> {
    let len =
        count.checked_mul(8).ok_or(Damaged("a count is larger than the bytes that follow"))?;
    let bytes = fields.bytes(len)?;
    let words = bytes.chunks_exact(8);
    Ok(words.map(|word| from_bytes(word.try_into().expect("invariant: 8 bytes"))).collect())
}

/// Whether a row with these flags has a `known_at` of its own.
pub(crate) const fn has_known_at(row_flags: u8) -> bool {
    row_flags & (flags::STATED | flags::ASSUMED) != 0
}

fn encode_rows(rows: &Rows, out: &mut Vec<u8>) {
    put_words(&rows.ts, i64::to_le_bytes, out);
    match rows.flags.first() {
        Some(&first) if rows.flags.iter().any(|&row| row != first) => {
            out.put_u8(1);
            out.extend_from_slice(&rows.flags);
        }
        None | Some(0) => out.put_u8(0),
        Some(&first) => {
            out.put_u8(2);
            out.put_u8(first);
        }
    }
    for (&row_flags, &known_at) in rows.flags.iter().zip(&rows.known_at) {
        if has_known_at(row_flags) {
            out.put_i64(known_at);
        }
    }
    for column in &rows.columns {
        encode_column(column, out);
    }
}

fn encode_column(column: &Column, out: &mut Vec<u8>) {
    out.put_u8(column.kind().code());
    match &column.validity {
        None => out.put_u8(0),
        Some(bits) if bits.count() == 0 => {
            out.put_u8(2);
            return;
        }
        Some(bits) => {
            out.put_u8(1);
            out.extend_from_slice(bits.bytes());
        }
    }
    match &column.values {
        Values::F64(values) => put_words(values, |value| value.to_bits().to_le_bytes(), out),
        Values::I64(values) => put_words(values, i64::to_le_bytes, out),
        Values::Text(texts) => {
            texts.ends().iter().for_each(|&end| out.put_u32(end));
            out.put_u32(u32_len(texts.byte_len()));
            out.extend_from_slice(texts.bytes());
        }
    }
}

/// The next block; `row_count` is how many rows the blocks before it have.
fn decode_block(
    row_count: &mut usize,
    new_count: usize,
    fields: &mut Fields<'_>,
) -> Result<Block, Damaged> {
    let series = fields.u32()?;
    let series = if series & NEW_SERIES == 0 {
        SeriesRef::Known(series)
    } else if ((series & !NEW_SERIES) as usize) < new_count {
        SeriesRef::New(series & !NEW_SERIES)
    } else {
        return Err(Damaged("a block names a new series that the record does not bring"));
    };
    let start = *row_count;
    let end = start.checked_add(fields.u32()? as usize);
    *row_count = end.ok_or(Damaged("a count is larger than the bytes that follow"))?;
    if start == *row_count {
        return Err(Damaged("a block has no rows"));
    }
    Ok(Block { series, rows: start..*row_count })
}

fn decode_rows(shape: &Shape, count: usize, fields: &mut Fields<'_>) -> Result<Rows, Damaged> {
    if let Shape::Count(columns) = shape
        && count.saturating_mul(*columns) > CELLS_MAX
    {
        return Err(Damaged("rows of a table have more cells than a record holds"));
    }
    let ts = take_words(count, i64::from_le_bytes, fields)?;
    let row_flags = match fields.u8()? {
        0 => vec![0; count],
        1 => fields.bytes(count)?.to_vec(),
        2 => vec![fields.u8()?; count],
        _ => return Err(Damaged("the form of flags is not 0, 1 or 2")),
    };
    if row_flags.iter().any(|&row| row & !flags::ALL != 0) {
        return Err(Damaged("a row has a flag that this build does not know"));
    }
    let known_at = row_flags
        .iter()
        .map(|&row| if has_known_at(row) { fields.i64() } else { Ok(0) })
        .collect::<Result<Vec<_>, _>>()?;
    let columns = match shape {
        Shape::Count(columns) => {
            (0..*columns).map(|_| decode_column(count, fields)).collect::<Result<Vec<_>, _>>()?
        }
        Shape::Kinds(kinds) => kinds
            .iter()
            .map(|kind| {
                let column = decode_column(count, fields)?;
                if column.kind() == *kind {
                    Ok(column)
                } else {
                    Err(Damaged("a column has another type than its dataset says"))
                }
            })
            .collect::<Result<Vec<_>, _>>()?,
    };
    Ok(Rows { ts, sequence: Vec::new(), known_at, flags: row_flags, columns })
}

fn decode_column(count: usize, fields: &mut Fields<'_>) -> Result<Column, Damaged> {
    let kind = ColumnType::from_code(fields.u8()?).ok_or(Damaged("there is no such type"))?;
    let validity = match fields.u8()? {
        0 => None,
        1 => {
            let bytes = fields.bytes(count.div_ceil(8))?.to_vec();
            Some(Bitmap::from_bytes(bytes, count).expect("invariant: as many bytes as bits need"))
        }
        2 => return Ok(Column::nulls(kind, count)),
        _ => return Err(Damaged("the form of a column is not 0, 1 or 2")),
    };
    let values = match kind {
        ColumnType::F64 => {
            Values::F64(take_words(count, |word| f64::from_bits(u64::from_le_bytes(word)), fields)?)
        }
        ColumnType::I64 => Values::I64(take_words(count, i64::from_le_bytes, fields)?),
        ColumnType::Text => {
            let len = count.checked_mul(4);
            let ends = fields.bytes(len.ok_or(Damaged("a count is too large"))?)?;
            let ends = ends.chunks_exact(4);
            let ends = ends
                .map(|end| u32::from_le_bytes(end.try_into().expect("invariant: 4 bytes")))
                .collect();
            let len = fields.u32()? as usize;
            let texts = Texts::from_parts(ends, fields.bytes(len)?.to_vec());
            Values::Text(texts.ok_or(Damaged("the bytes of texts are not texts"))?)
        }
    };
    Ok(Column { values, validity })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> RowsBody {
        let mut volume = Column::new(Values::F64(vec![5.0]));
        volume.push_null();
        let price = |value: f64| Column::new(Values::F64(vec![value, -0.0]));
        let rows = Rows {
            ts: vec![-60, 0],
            sequence: Vec::new(),
            known_at: vec![0, 77],
            flags: vec![0, flags::STATED],
            columns: vec![
                price(1.0),
                price(2.0),
                price(f64::from_bits(0x7FF8_0000_0000_0001)),
                price(1.5),
                volume,
                Column::nulls(ColumnType::F64, 2),
                Column::nulls(ColumnType::I64, 2),
            ],
        };
        RowsBody {
            batch_id: "b".to_owned(),
            source: Source::new("s").unwrap(),
            body_hash: [9; 16],
            policy: KnownAt::TsEnd(Nanos::new(-1)),
            counts: Counts { accepted: 1, superseded: 1, rejected: 1, ..Counts::default() },
            claims: 6,
            retracted: 7,
            facts: Some(SourceFacts { session: "all".to_owned(), align: "clock".to_owned() }),
            sections: vec![Section {
                dataset: DatasetId::BARS,
                schema_version: 1,
                step: Step::M1,
                side: PriceSide::Bid,
                new_symbols: vec![Symbol::new("A").unwrap()],
                rows,
                blocks: vec![Block { series: SeriesRef::New(0), rows: 0..2 }],
            }],
            dead: vec![Refused {
                row: 3,
                reason: "r".to_owned(),
                detail: String::new(),
                raw: "x".to_owned(),
                key: None,
            }],
        }
    }

    #[test]
    fn golden_bytes_of_a_body() {
        let nan = b"\x01\0\0\0\0\0\xF8\x7F\0\0\0\0\0\0\0\x80";
        let mut expected: Vec<u8> = Vec::new();
        for part in [
            &b"\x01\0\0\0b\x01\0\0\0s"[..],
            &[9; 16],
            b"\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
            b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            b"\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0",
            b"\x01\x03\0\0\0all\x05\0\0\0clock",
            b"\x01\0\0\0\x01\0\x01\0\x02\x01",
            b"\x01\0\0\0\x01\0\0\0A",
            b"\x01\0\0\0\0\0\0\x80\x02\0\0\0",
            b"\xC4\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0\0\0\0\0\0\0",
            b"\x01\0\x02\x4D\0\0\0\0\0\0\0",
            b"\0\0\0\0\0\0\0\0\xF0\x3F\0\0\0\0\0\0\0\x80",
            b"\0\0\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\0\x80",
            b"\0\0",
            nan,
            b"\0\0\0\0\0\0\0\0\xF8\x3F\0\0\0\0\0\0\0\x80",
            b"\0\x01\x01\0\0\0\0\0\0\x14\x40\0\0\0\0\0\0\0\0",
            b"\0\x02\x01\x02",
            b"\x01\0\0\0\x03\0\0\0\0\0\0\0\x01\0\0\0r\0\0\0\0\x01\0\0\0x",
        ] {
            expected.extend_from_slice(part);
        }
        assert_eq!(body().encode(), expected);
    }

    /// A row of a user's table of two columns, of its second version.
    fn of_table() -> Section {
        Section {
            dataset: DatasetId::FIRST_TABLE,
            schema_version: 2,
            step: Step::Tick,
            side: PriceSide::Trade,
            new_symbols: Vec::new(),
            rows: Rows {
                ts: vec![-1],
                sequence: Vec::new(),
                known_at: vec![0],
                flags: vec![0],
                columns: vec![
                    Column::new(Values::I64(vec![5])),
                    Column::nulls(ColumnType::Text, 1),
                ],
            },
            blocks: vec![Block { series: SeriesRef::Known(9), rows: 0..1 }],
        }
    }

    #[test]
    fn golden_bytes_of_rows_of_a_table() {
        let mut expected: Vec<u8> = Vec::new();
        for part in [
            &b"\0\x04\x02\0\0\0\x02\0"[..],
            b"\0\0\0\0\x01\0\0\0\x09\0\0\0\x01\0\0\0",
            b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0",
            b"\x01\0\x05\0\0\0\0\0\0\0\x02\x02",
        ] {
            expected.extend_from_slice(part);
        }
        let mut bytes = Vec::new();
        of_table().encode(&mut bytes);
        assert_eq!(bytes, expected);
        let decoded = Section::decode(&mut Fields::new(&bytes)).unwrap();
        let mut again = Vec::new();
        decoded.encode(&mut again);
        assert_eq!(again, expected);
        for len in 0..bytes.len() {
            assert!(Section::decode(&mut Fields::new(&bytes[..len])).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn rows_of_a_table_claim_no_more_cells_than_a_record_holds() {
        let mut bytes = Vec::new();
        of_table().encode(&mut bytes);
        // The count of rows of the block: as many as make too many cells of two columns.
        let rows = u32_len(CELLS_MAX / 2 + 1);
        bytes[20..24].copy_from_slice(&rows.to_le_bytes());
        let refused = Section::decode(&mut Fields::new(&bytes)).unwrap_err();
        assert!(refused.0.contains("cells"), "{}", refused.0);
        bytes[6..8].copy_from_slice(&300_u16.to_le_bytes());
        let refused = Section::decode(&mut Fields::new(&bytes)).unwrap_err();
        assert!(refused.0.contains("more columns"), "{}", refused.0);
    }

    #[test]
    fn a_body_comes_back_as_it_was() {
        let bytes = body().encode();
        let decoded = RowsBody::decode(&bytes).unwrap();
        assert_eq!(decoded.encode(), bytes);
        assert_eq!(decoded.own().rows.known_at, [0, 77]);
        assert_eq!(decoded.own().blocks, body().own().blocks);
    }

    /// Trades of two series, with texts, all of them retractions.
    fn trades() -> RowsBody {
        let numbers = || Column::new(Values::F64(vec![1.0; 3]));
        let texts = |texts: [&str; 3]| Column::new(Values::Text(texts.into_iter().collect()));
        let mut number = texts(["", "7", ""]);
        number.validity = Some([false, true, false].into_iter().collect());
        let columns =
            vec![numbers(), numbers(), texts(["N", "", "QQ"]), texts(["@", "", "\u{e4}"]), number];
        let rows = Rows {
            ts: vec![5, 5, 1],
            sequence: Vec::new(),
            known_at: vec![0; 3],
            flags: vec![flags::RETRACT; 3],
            columns,
        };
        let blocks = vec![
            Block { series: SeriesRef::Known(9), rows: 0..2 },
            Block { series: SeriesRef::New(0), rows: 2..3 },
        ];
        let new_symbols = vec![Symbol::new("A").unwrap()];
        let (dataset, step, side) = (DatasetId::TRADES, Step::Tick, PriceSide::Trade);
        let trades = Section { dataset, schema_version: 1, step, side, new_symbols, rows, blocks };
        let mut body = body();
        body.sections.insert(0, trades);
        body
    }

    #[test]
    fn texts_and_flags_of_all_rows_come_back() {
        let bytes = trades().encode();
        let decoded = RowsBody::decode(&bytes).unwrap();
        assert_eq!(decoded.encode(), bytes);
        assert_eq!(decoded.own().blocks, trades().own().blocks);
        assert_eq!(decoded.own().rows.flags, [flags::RETRACT; 3]);
        for (found, expected) in decoded.own().rows.columns.iter().zip(&trades().own().rows.columns)
        {
            assert!((0..3).all(|at| found.same(at, expected, at)));
        }
        let mut unsorted = trades();
        unsorted.sections[0].blocks = vec![Block { series: SeriesRef::Known(9), rows: 0..3 }];
        assert!(RowsBody::decode(&unsorted.encode()).is_err());
        for len in 0..bytes.len() {
            assert!(RowsBody::decode(&bytes[..len]).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn a_body_that_is_cut_anywhere_is_refused() {
        let bytes = body().encode();
        for len in 0..bytes.len() {
            assert!(RowsBody::decode(&bytes[..len]).is_err(), "cut at {len}");
        }
    }
}
