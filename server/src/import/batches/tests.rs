//! Files of typed columns, written here.

use super::*;
use std::path::PathBuf;

use arrow::array::{
    Date32Array, Decimal128Builder, DictionaryArray, FixedSizeBinaryBuilder, Float32Array,
    Int32Array, LargeStringArray, TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow::datatypes::{Field, Int32Type, Schema};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

fn batch(columns: Vec<(&str, ArrayRef)>, metadata: &[(&str, &str)]) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let schema = Schema::new(fields).with_metadata(metadata.collect());
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(schema), arrays).unwrap()
}

fn write_parquet(path: &Path, batches: &[RecordBatch], compression: Compression) {
    let options = WriterProperties::builder().set_compression(compression).build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batches[0].schema(), Some(options)).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.close().unwrap();
}

fn write_arrow(path: &Path, batches: &[RecordBatch]) {
    let mut writer =
        FileWriter::try_new(File::create(path).unwrap(), &batches[0].schema()).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
}

fn write_stream(path: &Path, batches: &[RecordBatch]) {
    let file = File::create(path).unwrap();
    let mut writer = StreamWriter::try_new(file, &batches[0].schema()).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
}

/// The batch as each of the formats, in a folder that lasts as long as the test.
fn files(batches: &[RecordBatch]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let zstd = Compression::ZSTD(ZstdLevel::default());
    write_parquet(&path("a.parquet"), batches, zstd);
    write_arrow(&path("a.feather"), batches);
    write_stream(&path("a.arrow"), batches);
    let paths = ["a.parquet", "a.feather", "a.arrow"].map(path).to_vec();
    (folder, paths)
}

fn rows(path: &Path, form: &Batches) -> Vec<String> {
    let mut rows = Vec::new();
    records(path, form, &Reading::default(), &mut |record| {
        rows.push(format!("{} {}", record.number, record.raw_text(1_000)));
        ControlFlow::Continue(())
    })
    .unwrap();
    rows
}

fn look_at(path: &Path) -> Looked {
    look(path, path.extension().unwrap() == "parquet", &Reading::default()).unwrap()
}

#[test]
fn each_type_becomes_the_cell_that_it_means() {
    let mut decimals = Decimal128Builder::new().with_data_type(DataType::Decimal128(9, 4));
    decimals.append_value(1_676_500);
    decimals.append_null();
    let text = LargeStringArray::from(vec!["é", "\"b\""]);
    let names = DictionaryArray::<Int32Type>::from_iter(["N", "P"]);
    let batch = batch(
        vec![
            ("ms", Arc::new(TimestampMillisecondArray::from(vec![1_637_971_200_123, -1]))),
            (
                "us",
                Arc::new(
                    TimestampMicrosecondArray::from(vec![Some(1), None])
                        .with_timezone("America/New_York"),
                ),
            ),
            ("day", Arc::new(Date32Array::from(vec![19_724, -1]))),
            ("f32", Arc::new(Float32Array::from(vec![112.63, f32::NAN]))),
            ("f64", Arc::new(Float64Array::from(vec![0.1, 1e300]))),
            ("int", Arc::new(Int32Array::from(vec![-7, i32::MAX]))),
            ("unsigned", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
            ("text", Arc::new(text)),
            ("name", Arc::new(names)),
            ("flag", Arc::new(BooleanArray::from(vec![true, false]))),
            ("decimal", Arc::new(decimals.finish())),
        ],
        &[],
    );
    let expected = [
        "1 {\"ms\":\"2021-11-27 00:00:00.123\",\"us\":\"1970-01-01 00:00:00.000001Z\",\
         \"day\":\"2024-01-02\",\"f32\":112.62999725341797,\"f64\":0.1,\"int\":-7,\
         \"unsigned\":18446744073709551615,\"text\":\"é\",\"name\":\"N\",\"flag\":true,\
         \"decimal\":167.6500}",
        "2 {\"ms\":\"1969-12-31 23:59:59.999\",\"us\":null,\"day\":\"1969-12-31\",\
         \"f32\":\"NaN\",\"f64\":1E300,\"int\":2147483647,\"unsigned\":0,\
         \"text\":\"\\\"b\\\"\",\"name\":\"P\",\"flag\":false,\"decimal\":null}",
    ];
    let expected = expected.map(|row| row.replace("1E300", &1e300_f64.to_string()));
    let (_folder, paths) = files(&[batch]);
    let described = ["Parquet, zstd", "Arrow file (Feather)", "Arrow stream"];
    for (path, described) in paths.iter().zip(described) {
        let looked = look_at(path);
        assert_eq!(looked.form.describe(), described);
        assert!((0..11).all(|place| looked.form.is_read(place)));
        assert_eq!(looked.form.zone(1), Some("America/New_York"));
        assert_eq!(rows(path, &looked.form), expected, "{}", path.display());
    }
}

#[test]
fn rows_are_counted_through_batches_and_a_sample_is_their_beginning() {
    let counted = |from: i64, len: i64| {
        let values: Vec<i64> = (from..from + len).collect();
        batch(vec![("n", Arc::new(Int64Array::from(values)))], &[])
    };
    let (_folder, paths) = files(&[counted(1, 3), counted(4, 20_000)]);
    for path in paths {
        let looked = look_at(&path);
        assert_eq!(looked.rows.len(), SAMPLE_ROWS_MAX);
        let all = rows(&path, &looked.form);
        assert_eq!(all.len(), 20_003);
        for (at, row) in all.iter().enumerate() {
            assert_eq!(*row, format!("{0} {{\"n\":{0}}}", at + 1));
        }
    }
}

fn fixed(prices: &[i128], precision: &str) -> RecordBatch {
    let mut builder = FixedSizeBinaryBuilder::new(16);
    for price in prices {
        let mut bytes = [0; 16];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::try_from((price >> (8 * at)) & 0xFF).unwrap();
        }
        builder.append_value(bytes).unwrap();
    }
    let about = [("price_precision", precision), ("instrument_id", "EUR/USD.SIM")];
    batch(vec![("bid_price", Arc::new(builder.finish()))], &about)
}

#[test]
fn the_scale_of_fixed_point_prices_is_told_by_their_decimals() {
    let check = |prices: &[i128], precision: &str, scale: Option<u8>, first: &str| {
        let (_folder, paths) = files(&[fixed(prices, precision)]);
        for path in paths {
            let looked = look_at(&path);
            assert_eq!(looked.form.fixed_scale, scale, "{prices:?}");
            assert_eq!(looked.symbol.as_deref(), Some("EUR/USD.SIM"));
            let cell = looked.rows[0].cells.as_ref().unwrap()[0].text().into_owned();
            assert_eq!(cell, first);
            if scale.is_some() {
                assert!(rows(&path, &looked.form)[0].contains(first));
            }
        }
    };
    let eighteen = [1_146_050_000_000_000_000, -1_146_080_000_000_000_000];
    check(&eighteen, "5", Some(18), "1.146050000000000000");
    check(&[11_460_500_000_000_000], "5", Some(16), "1.1460500000000000");
    // Whole prices do not show what a unit is.
    check(&[1_000_000_000_000_000_000], "5", None, "1000000000000000000");
}

#[test]
fn a_file_that_is_damaged_or_another_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes, expected) in [
        ("x.parquet", &b"PAR1nothing of the kind PAR1"[..], ""),
        ("x.parquet", b"", ""),
        ("x.feather", b"FEA1 and more", "version 1"),
        ("x.feather", b"ARROW1 and no more", ""),
        ("x.arrow", b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F", ""),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let Err(error) = look(&path, name.ends_with("parquet"), &Reading::default()) else {
            panic!("{name} is read")
        };
        assert!(error.to_string().contains(expected), "{error}");
    }
}
