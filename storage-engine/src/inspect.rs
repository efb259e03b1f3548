//! What is in one file of a store, for a person who looks at it. Needs no store, only the bytes.

use std::collections::BTreeMap;

use barrow_types::DatasetId;

use crate::aggregates::tile_file;
use crate::bytes::usize_from;
use crate::column::Damaged;
use crate::dataset;
use crate::error::Error;
use crate::gaps::mask_file;
use crate::manifest::edit::{self, Edit};
use crate::manifest::root::{self, Root};
use crate::segment::layout::{self, Block, ExtentMeta, Role};
use crate::segment::number_of;
use crate::wal::body::RowsBody;
use crate::wal::file::{self, WalFile};
use crate::wal::record::{self, Header, Kind};

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// What it is, in a line.
    pub title: String,
    /// Tables about it: a row of headings each, then rows of as many cells.
    pub tables: Vec<Vec<Vec<String>>>,
    /// What is wrong with it, a sentence each.
    pub problems: Vec<String>,
}

/// Reads the bytes of the file `name` (without its folder), by which it is known what they are.
///
/// # Errors
/// `Invalid` if no file of a store has such a name. Damage is a problem of the answer.
pub fn inspect(name: &str, bytes: &[u8]) -> Result<Inspection, Error> {
    let mut found = Inspection::default();
    let read = if let Some(number) = number_of(name) {
        segment(&mut found, number, bytes)
    } else if mask_file::number_of(name).is_some() {
        masks(&mut found, bytes)
    } else if tile_file::number_of(name).is_some() {
        tiles(&mut found, bytes)
    } else if let Some(file) = WalFile::from_name(name) {
        log(&mut found, &file, bytes)
    } else if let Some(number) = manifest_number(name) {
        manifest(&mut found, number, bytes)
    } else if matches!(name, "CURRENT.a" | "CURRENT.b") {
        root(&mut found, bytes)
    } else if name == "FORMAT" {
        found.title = String::from_utf8_lossy(bytes).trim().to_owned();
        Ok(())
    } else {
        return Err(Error::invalid(format!(
            "{name} is no file of a store: name one of segments, wal, manifest or derived, or \
             FORMAT"
        )));
    };
    if let Err(damaged) = read {
        found.problems.push(damaged.0.to_owned());
    }
    Ok(found)
}

fn manifest_number(name: &str) -> Option<u64> {
    name.strip_suffix(".log")?.parse().ok()
}

fn row<const N: usize>(cells: [&dyn std::fmt::Display; N]) -> Vec<String> {
    cells.iter().map(ToString::to_string).collect()
}

fn segment(found: &mut Inspection, number: u64, bytes: &[u8]) -> Result<(), Damaged> {
    found.title = format!("segment {number}, {} bytes", bytes.len());
    layout::check_header(bytes, number)?;
    let trailer_at = bytes.len().checked_sub(layout::TRAILER_LEN);
    let trailer_at = trailer_at.ok_or(Damaged("the file is too short"))?;
    let (footer_len, footer_crc) = layout::decode_trailer(&bytes[trailer_at..])?;
    let footer_at = trailer_at.checked_sub(usize_from(footer_len)?);
    let footer_at = footer_at.ok_or(Damaged("the footer begins before the file"))?;
    let footer = &bytes[footer_at..trailer_at];
    if crc32c::crc32c(footer) != footer_crc {
        return Err(Damaged("the checksum of the footer is wrong"));
    }
    let data = layout::HEADER_LEN as u64..footer_at as u64;
    let extents = layout::decode_footer(footer, data)?;
    let rows: u64 = extents.iter().map(|extent| u64::from(extent.rows)).sum();
    let series: std::collections::BTreeSet<_> = extents.iter().map(|one| one.series).collect();
    let (extent_count, series_count) = (extents.len(), series.len());
    found.title += &format!(", {extent_count} extents of {series_count} series, {rows} rows");
    found.tables.push(columns(&extents));
    found.tables.push(extent_table(&extents));
    for extent in &extents {
        for block in &extent.blocks {
            let at = usize_from(block.at)?;
            if crc32c::crc32c(&bytes[at..at + block.len as usize]) != block.crc {
                let what = format!("the checksum of the block at byte {at} is wrong");
                found.problems.push(what);
            }
        }
    }
    Ok(())
}

/// Bytes by dataset and column.
fn columns(extents: &[ExtentMeta]) -> Vec<Vec<String>> {
    let mut rows: BTreeMap<String, u64> = BTreeMap::new();
    let mut bytes: BTreeMap<(String, String), u64> = BTreeMap::new();
    for extent in extents {
        let schema = dataset::schema(extent.dataset);
        let name = dataset_name(extent.dataset);
        *rows.entry(name.clone()).or_default() += u64::from(extent.rows);
        for block in &extent.blocks {
            let column = column_name(schema, block);
            *bytes.entry((name.clone(), column)).or_default() += u64::from(block.len);
        }
    }
    let mut table = vec![row([&"dataset", &"column", &"bytes", &"bytes/row"])];
    for ((dataset, column), bytes) in bytes {
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
        let share = bytes as f64 / rows[&dataset] as f64;
        table.push(row([&dataset, &column, &bytes, &format!("{share:.3}")]));
    }
    table
}

/// What a dataset is called; a table by its number, because its name is in another file.
fn dataset_name(dataset: DatasetId) -> String {
    match dataset::schema(dataset) {
        Some(schema) => schema.name.to_owned(),
        None if dataset.is_table() => format!("table {}", dataset.get()),
        None => "unknown".to_owned(),
    }
}

fn column_name(schema: Option<&dataset::Schema>, block: &Block) -> String {
    let user = || {
        let place = schema.and_then(|schema| schema.place(block.column));
        let name = place.and_then(|at| schema.map(|schema| schema.columns[at].name));
        name.map_or_else(|| format!("column {}", block.column.get()), str::to_owned)
    };
    match block.role {
        Role::Ts => "(ts)".to_owned(),
        Role::Sequence => "(sequence)".to_owned(),
        Role::Flags => "(flags)".to_owned(),
        Role::IngestTimes => "(ingest times)".to_owned(),
        Role::Stated => "(stated known_at)".to_owned(),
        Role::Assumed => "(assumed known_at)".to_owned(),
        Role::Candle => "open high low close".to_owned(),
        Role::Bloom => format!("(bloom filter of {})", user()),
        Role::Column => user(),
    }
}

fn extent_table(extents: &[ExtentMeta]) -> Vec<Vec<String>> {
    let mut table = vec![row([
        &"series",
        &"dataset",
        &"kind",
        &"rows",
        &"bytes",
        &"first ts",
        &"last ts",
        &"sequences",
    ])];
    for extent in extents {
        let dataset = dataset_name(extent.dataset);
        let kind = format!("{:?}", extent.kind).to_lowercase();
        let zone = &extent.zone;
        let sequences = format!("{}..{}", zone.sequence.min, zone.sequence.max);
        table.push(row([
            &extent.series.get(),
            &dataset,
            &kind,
            &extent.rows,
            &extent.byte_len(),
            &zone.ts.min,
            &zone.ts.max,
            &sequences,
        ]));
    }
    table
}

fn log(found: &mut Inspection, file: &WalFile, bytes: &[u8]) -> Result<(), Damaged> {
    let (first, epoch) = (file.first, file.epoch);
    found.title = format!("log file of epoch {epoch} from sequence {first}, {} bytes", bytes.len());
    let mut table = vec![row([&"sequence", &"kind", &"now", &"bytes", &"batch", &"rows"])];
    let mut at = file::HEADER_LEN;
    // What follows the last record is zero, or what an earlier attempt left.
    while let Some(header) = bytes.get(at..at + record::HEADER_LEN) {
        let header: &[u8; record::HEADER_LEN] =
            header.try_into().expect("invariant: so many were taken");
        let Ok((header, _)) = Header::decode(header) else { break };
        let body = bytes.get(at + record::HEADER_LEN..at + header.record_len());
        let Some(body) = body.filter(|body| crc32c::crc32c(body) == header.body_crc) else {
            found.problems.push(format!("the record at byte {at} is torn or damaged"));
            break;
        };
        let (batch, rows) = match header.kind {
            Kind::Rows => {
                let content = RowsBody::decode(&body[..header.body_len as usize])?;
                (content.batch_id.clone(), content.row_count().to_string())
            }
            _ => (String::new(), String::new()),
        };
        let kind = format!("{:?}", header.kind).to_lowercase();
        table.push(row([&header.sequence, &kind, &header.now, &header.body_len, &batch, &rows]));
        at += header.record_len();
    }
    found.title += &format!(", {} records up to byte {at}", table.len() - 1);
    found.tables.push(table);
    Ok(())
}

fn manifest(found: &mut Inspection, number: u64, bytes: &[u8]) -> Result<(), Damaged> {
    found.title = format!("log {number} of the manifest, {} bytes", bytes.len());
    edit::check_header(bytes, number)?;
    let mut table = vec![row([&"byte", &"low", &"added", &"removed"])];
    let (mut at, mut chain) = (edit::HEADER_LEN, 0);
    // Bytes that no root vouches for may follow the last edit.
    while let Ok((edit, len, crc)) = Edit::read(&bytes[at..], chain) {
        let numbers = |numbers: Vec<u64>| {
            let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            texts.join(" ")
        };
        let added = numbers(edit.added.iter().map(|entry| entry.number).collect());
        table.push(row([&at, &edit.low, &added, &numbers(edit.removed)]));
        (at, chain) = (at + len, crc);
    }
    found.title += &format!(", {} edits up to byte {at}", table.len() - 1);
    found.tables.push(table);
    Ok(())
}

fn masks(found: &mut Inspection, bytes: &[u8]) -> Result<(), Damaged> {
    found.title = format!("masks, {} bytes", bytes.len());
    let trailer_at = bytes.len().checked_sub(mask_file::TRAILER_LEN);
    let trailer_at = trailer_at.filter(|at| *at >= mask_file::HEADER_LEN);
    let trailer_at = trailer_at.ok_or(Damaged("the file is too short"))?;
    let header = mask_file::decode_header(&bytes[..mask_file::HEADER_LEN])?;
    let (index_len, index_crc) = mask_file::decode_trailer(&bytes[trailer_at..])?;
    let index_at = trailer_at.checked_sub(usize_from(index_len)?);
    let index_at = index_at.ok_or(Damaged("the index begins before the file"))?;
    let index = &bytes[index_at..trailer_at];
    if crc32c::crc32c(index) != index_crc {
        return Err(Damaged("the checksum of the index is wrong"));
    }
    let entries = mask_file::decode_index(index, index_at as u64)?;
    let (count, sequence) = (entries.len(), header.sequence);
    found.title += &format!(", {count} masks of what is visible at sequence {sequence}");
    let mut table = vec![row([&"series", &"step", &"block", &"bytes", &"slots with a row"])];
    for entry in entries {
        let at = usize_from(entry.at)?;
        let mask = &bytes[at..at + entry.len as usize];
        let slots = match mask_file::decode_mask(mask) {
            Ok(slots) if crc32c::crc32c(mask) == entry.crc => slots.len().to_string(),
            _ => {
                found.problems.push(format!("the mask at byte {at} is damaged"));
                "?".to_owned()
            }
        };
        table.push(row([
            &entry.series.get(),
            &entry.step.name(),
            &entry.block,
            &entry.len,
            &slots,
        ]));
    }
    found.tables.push(table);
    Ok(())
}

fn tiles(found: &mut Inspection, bytes: &[u8]) -> Result<(), Damaged> {
    found.title = format!("tiles, {} bytes", bytes.len());
    let trailer_at = bytes.len().checked_sub(tile_file::TRAILER_LEN);
    let trailer_at = trailer_at.filter(|at| *at >= tile_file::HEADER_LEN);
    let trailer_at = trailer_at.ok_or(Damaged("the file is too short"))?;
    let header = tile_file::decode_header(&bytes[..tile_file::HEADER_LEN])?;
    let (index_len, index_crc) = tile_file::decode_trailer(&bytes[trailer_at..])?;
    let index_at = trailer_at.checked_sub(usize_from(index_len)?);
    let index_at = index_at.ok_or(Damaged("the index begins before the file"))?;
    let index = &bytes[index_at..trailer_at];
    if crc32c::crc32c(index) != index_crc {
        return Err(Damaged("the checksum of the index is wrong"));
    }
    let entries = tile_file::decode_index(index, index_at as u64)?;
    let (count, sequence) = (entries.len(), header.sequence);
    found.title += &format!(", {count} tiles of what is visible at sequence {sequence}");
    let mut table = vec![row([
        &"series", &"price", &"block", &"step", &"session", &"align", &"bars", &"bytes",
    ])];
    for entry in entries {
        let at = usize_from(entry.at)?;
        let tile = &bytes[at..at + entry.len as usize];
        let is_whole =
            crc32c::crc32c(tile) == entry.crc && tile_file::decode_tile(tile, entry.rows).is_ok();
        if !is_whole {
            found.problems.push(format!("the tile at byte {at} is damaged"));
        }
        let tile_file::Key { series, side, block, step, session, align, .. } = entry.key;
        table.push(row([
            &series.get(),
            &side.name(),
            &block.get(),
            &step.name(),
            &session.name(),
            &align.name(),
            &entry.rows,
            &entry.len,
        ]));
    }
    found.tables.push(table);
    Ok(())
}

fn root(found: &mut Inspection, bytes: &[u8]) -> Result<(), Damaged> {
    found.title = format!("root of the store, {} bytes", root::LEN);
    let root = Root::decode(bytes)?;
    found.tables.push(vec![
        row([&"field", &"value"]),
        row([&"generation", &root.generation]),
        row([&"manifest log", &root.log]),
        row([&"its length", &root.log_len]),
        row([&"low", &root.low]),
        row([&"durable", &root.durable]),
        row([&"epoch", &root.epoch]),
        row([&"now", &root.now]),
    ]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_a_store_are_looked_into() {
        let error = inspect("notes.txt", b"").unwrap_err();
        assert!(error.detail().contains("notes.txt"), "{error}");
    }

    #[test]
    fn damage_is_told_and_not_followed() {
        for name in [
            "0000000001.seg",
            "0000000001.log",
            "CURRENT.a",
            "0000000001.masks",
            "0000000001.tiles",
        ] {
            for bytes in [&b""[..], &[0xFF; 200]] {
                let found = inspect(name, bytes).unwrap();
                assert_eq!(found.problems.len(), 1, "{name}: {found:?}");
            }
        }
    }
}
