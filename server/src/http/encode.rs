//! Answers as bytes: JSON, CSV, an Arrow stream or a Parquet file, piece by piece.

use std::io::Write as _;
use std::ops::Range;

use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use axum::http::HeaderMap;
use barrow_engine::State;
use barrow_engine::gaps::Reason;
use barrow_engine::rows::{Column, Values, flags};
use barrow_types::{Timestamp, civil_from_days};

use super::columns::{FeatureRows, Layout, Out, OutType, Piece, instant};
use super::error::{Code, Problem};
use super::params::Params;
use super::slots::Slots;
use super::time::Zone;
use crate::arrow_out::ArrowOut;
use crate::parquet_out::ParquetOut;

/// How an answer looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `application/json`
    Json,
    /// `text/csv`
    Csv,
    /// `application/vnd.apache.arrow.stream`
    Arrow,
    /// `application/vnd.apache.parquet`
    Parquet,
}

impl Format {
    /// Every format.
    pub(crate) const ALL: [Self; 4] = [Self::Json, Self::Csv, Self::Arrow, Self::Parquet];

    /// Its media type.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// Its name in `format=`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
        }
    }

    /// The format that `format=` or else `Accept` asks for; JSON if neither does.
    ///
    /// # Errors
    /// There is no such format.
    pub(crate) fn negotiate(params: &Params, headers: &HeaderMap) -> Result<Self, Problem> {
        if let Some(name) = params.get("format") {
            let format = Self::ALL.into_iter().find(|format| format.name() == name);
            return format.ok_or_else(|| {
                let fault = format!("'{name}' is not one of json, csv, arrow, parquet");
                Problem::parameter("format", fault)
            });
        }
        let Some(accept) = headers.get(axum::http::header::ACCEPT) else { return Ok(Self::Json) };
        let accept = accept.to_str().unwrap_or_default();
        best(accept).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|format| format.media_type()).collect();
            let detail = format!("Accept: '{accept}' is none of {}", names.join(", "));
            Problem::new(Code::NotAcceptable, detail).about("Accept")
        })
    }
}

/// The wanted format of an `Accept` header: the greatest weight, then the first.
fn best(accept: &str) -> Option<Format> {
    let mut best: Option<(f32, Format)> = None;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let format = match parts.next().unwrap_or_default() {
            "*/*" | "application/*" | "application/json" | "" => Format::Json,
            "text/*" | "text/csv" => Format::Csv,
            name => match Format::ALL.into_iter().find(|format| format.media_type() == name) {
                Some(format) => format,
                None => continue,
            },
        };
        let weight = parts
            .find_map(|part| part.strip_prefix("q="))
            .and_then(|weight| weight.parse().ok())
            .unwrap_or(1.0);
        if weight > 0.0 && best.is_none_or(|(other, _)| weight > other) {
            best = Some((weight, format));
        }
    }
    best.map(|(_, format)| format)
}

/// What stands behind the rows of a JSON answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trailer {
    /// The snapshot's sequence.
    pub(crate) sequence: u64,
    /// Continues after a page that is not the last.
    pub(crate) cursor: Option<String>,
    /// The calendars that said which slots are expected, joined by commas.
    pub(crate) calendar: Option<String>,
    /// What a person should know.
    pub(crate) warnings: Vec<String>,
}

/// Turns one answer's pieces into bytes.
pub(crate) enum Encoder {
    /// A JSON table.
    Json(Text),
    /// CSV with a header line.
    Csv(Text),
    /// An Arrow IPC stream.
    Arrow(Box<ArrowOut>, Box<StreamWriter<Vec<u8>>>),
    /// A Parquet file.
    Parquet(Box<ArrowOut>, Box<ParquetOut>),
}

/// Rows of an Arrow message: some 2 MB of bars.
const ARROW_ROWS: usize = 16_384;
/// Rows of text that are put together before they are sent: about 1 MB as JSON.
const TEXT_ROWS: usize = 4_096;

/// What the text formats need to know of an answer.
pub(crate) struct Text {
    columns: Vec<(Out, Option<usize>)>,
    layout: Layout,
    zone: Zone,
    first: bool,
    /// Keys of a JSON row with the punctuation before them: `{"symbol":`, `,"ts":`.
    keys: Vec<Vec<u8>>,
}

const WRITES: &str = "invariant: writing to a Vec succeeds";

impl Encoder {
    /// An encoder, and the bytes that stand before the first row.
    ///
    /// # Errors
    /// Arrow does not take the layout; that would be a fault of ours.
    pub(crate) fn start(
        format: Format,
        layout: &Layout,
        zone: Zone,
    ) -> Result<(Self, Vec<u8>), ArrowError> {
        match format {
            Format::Arrow => {
                let arrow = ArrowOut::new(layout);
                let mut writer = StreamWriter::try_new(Vec::new(), arrow.schema())?;
                let head = std::mem::take(writer.get_mut());
                Ok((Self::Arrow(Box::new(arrow), Box::new(writer)), head))
            }
            Format::Parquet => {
                let arrow = ArrowOut::new(layout);
                let writer = ParquetOut::new(arrow.schema())?;
                Ok((Self::Parquet(Box::new(arrow), Box::new(writer)), Vec::new()))
            }
            Format::Json => {
                let text = Text::new(layout, zone);
                let head = text.json_head();
                Ok((Self::Json(text), head))
            }
            Format::Csv => {
                let text = Text::new(layout, zone);
                let names: Vec<_> =
                    layout.columns.iter().map(|column| layout.name(*column)).collect();
                Ok((Self::Csv(text), format!("{}\n", names.join(",")).into_bytes()))
            }
        }
    }

    /// Gives the bytes of `piece` to `send`, a part after the other, as long as it returns `true`;
    /// returns whether all of them were wanted.
    ///
    /// # Errors
    /// Arrow or Parquet does not take the piece; that would be a fault of ours.
    pub(crate) fn piece(
        &mut self,
        piece: Piece,
        send: &mut dyn FnMut(Vec<u8>) -> bool,
    ) -> Result<bool, ArrowError> {
        let len = piece.rows.len();
        let parts =
            |rows: usize| (0..len).step_by(rows).map(move |start| start..(start + rows).min(len));
        match self {
            Self::Json(text) => Ok(parts(TEXT_ROWS).all(|rows| send(text.json_rows(&piece, rows)))),
            Self::Csv(text) => Ok(parts(TEXT_ROWS).all(|rows| send(text.csv_rows(&piece, rows)))),
            Self::Arrow(arrow, writer) => {
                let batch = arrow.batch(piece)?;
                for rows in parts(ARROW_ROWS) {
                    writer.write(&batch.slice(rows.start, rows.len()))?;
                    if !send(std::mem::take(writer.get_mut())) {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Parquet(arrow, writer) => Ok(send(writer.write(&arrow.batch(piece)?)?)),
        }
    }

    /// The bytes that say that the answer is whole.
    ///
    /// # Errors
    /// Arrow or Parquet cannot end; that would be a fault of ours.
    pub(crate) fn finish(self, trailer: &Trailer) -> Result<Vec<u8>, ArrowError> {
        match self {
            Self::Json(_) => Ok(json_end(trailer)),
            Self::Csv(_) => Ok(Vec::new()),
            Self::Arrow(_, mut writer) => {
                writer.finish()?;
                Ok(std::mem::take(writer.get_mut()))
            }
            Self::Parquet(_, writer) => writer.finish(),
        }
    }
}

fn json<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("invariant: texts and numbers are JSON");
}

fn json_end(trailer: &Trailer) -> Vec<u8> {
    let mut out = b"],\"complete\":true,\"calendar\":".to_vec();
    json(trailer.calendar.as_deref().unwrap_or("none"), &mut out);
    write!(out, ",\"sequence\":{}", trailer.sequence).expect(WRITES);
    if let Some(cursor) = &trailer.cursor {
        out.extend(b",\"cursor\":");
        json(cursor, &mut out);
    }
    if !trailer.warnings.is_empty() {
        out.extend(b",\"warnings\":");
        json(&trailer.warnings, &mut out);
    }
    out.extend(b"}\n");
    out
}

/// Rows of one symbol each, as JSON objects that stand alone.
pub(crate) struct Objects(Text);

impl Objects {
    /// Of these columns; the layout's names of symbols and instruments are not looked at.
    pub(crate) fn new(layout: &Layout, zone: Zone) -> Self {
        Self(Text::new(layout, zone))
    }

    /// The first row of a piece of the first symbol.
    pub(crate) fn object(&mut self, symbol: &str, instrument: &str, piece: &Piece) -> String {
        let Self(text) = self;
        text.layout.symbols = vec![symbol.to_owned()];
        text.layout.instruments = vec![instrument.to_owned()];
        let mut out = Vec::new();
        text.json_row(piece, 0, &mut out);
        String::from_utf8(out).expect("invariant: JSON is UTF-8")
    }
}

impl Text {
    fn new(layout: &Layout, zone: Zone) -> Self {
        let keys = layout
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let before = if at == 0 { '{' } else { ',' };
                format!("{before}\"{}\":", layout.name(*column)).into_bytes()
            })
            .collect();
        let columns = layout.columns.iter().copied().zip(layout.places()).collect();
        Self { columns, layout: layout.clone(), zone, first: true, keys }
    }

    fn json_head(&self) -> Vec<u8> {
        let mut out = b"{\"columns\":[".to_vec();
        for (at, column) in self.layout.columns.iter().enumerate() {
            let before = if at == 0 { "" } else { "," };
            let (name, kind) = (self.layout.name(*column), column.kind().name());
            write!(out, "{before}{{\"name\":\"{name}\",\"type\":\"{kind}\"}}").expect(WRITES);
        }
        out.extend(b"],\"rows\":[");
        out
    }

    fn json_rows(&mut self, piece: &Piece, rows: Range<usize>) -> Vec<u8> {
        let mut out = Vec::with_capacity(rows.len() * 256);
        for at in rows {
            out.extend(if self.first { &b"\n"[..] } else { &b",\n"[..] });
            self.first = false;
            self.json_row(piece, at, &mut out);
        }
        out
    }

    fn json_row(&self, piece: &Piece, at: usize, out: &mut Vec<u8>) {
        for (&(column, place), key) in self.columns.iter().zip(&self.keys) {
            out.extend(key);
            match column.kind() {
                _ if piece.is_null(column, at) => out.extend(b"null"),
                OutType::Date => {
                    out.push(b'"');
                    write_date(piece, at, out);
                    out.push(b'"');
                }
                OutType::Timestamp if place.is_none() => {
                    out.push(b'"');
                    self.write_time(column, piece, at, out);
                    out.push(b'"');
                }
                OutType::Name => json(self.name(column, piece, at), out),
                _ => match self.cell(column, place, piece, at) {
                    Cell::Null => out.extend(b"null"),
                    Cell::F64(value) => json(&value, out),
                    Cell::I64(value) => json(&value, out),
                    Cell::Text(text) => json(text, out),
                    Cell::Bool(flag) => json(&flag, out),
                    Cell::Time(time) => {
                        out.push(b'"');
                        self.zone.write(time, out);
                        out.push(b'"');
                    }
                },
            }
        }
        out.push(b'}');
    }

    fn csv_rows(&self, piece: &Piece, rows: Range<usize>) -> Vec<u8> {
        let mut out = Vec::with_capacity(rows.len() * 160);
        for at in rows {
            for (number, &(column, place)) in self.columns.iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                match column.kind() {
                    _ if piece.is_null(column, at) => {}
                    OutType::Date => write_date(piece, at, &mut out),
                    OutType::Timestamp if place.is_none() => {
                        self.write_time(column, piece, at, &mut out)
                    }
                    OutType::Name => csv_text(self.name(column, piece, at), &mut out),
                    _ => match self.cell(column, place, piece, at) {
                        Cell::Null => {}
                        Cell::F64(value) => json(&value, &mut out),
                        Cell::I64(value) => json(&value, &mut out),
                        Cell::Text(text) => csv_text(text, &mut out),
                        Cell::Bool(flag) => json(&flag, &mut out),
                        Cell::Time(time) => self.zone.write(time, &mut out),
                    },
                }
            }
            out.push(b'\n');
        }
        out
    }

    fn write_time(&self, column: Out, piece: &Piece, at: usize, out: &mut Vec<u8>) {
        let time = instant(column, piece, at).expect("invariant: the column is one of times");
        self.zone.write(time, out);
    }

    fn name<'a>(&'a self, column: Out, piece: &Piece, at: usize) -> &'a str {
        match column {
            Out::Symbol => &self.layout.symbols[piece.symbol as usize],
            Out::Source => &self.layout.sources[piece.source.get(at) as usize],
            Out::Timeframe => piece.step.name(),
            Out::State => slots(piece).state[at].map_or("", State::name),
            Out::DqStatus => slots(piece).dq_status[at].name(),
            Out::Reason => reason(slots(piece).reason[at]),
            Out::InstrumentId => &self.layout.instruments[slots(piece).instrument as usize],
            Out::FeatureReason(place) => reason(features(piece).reasons[place][at]),
            Out::Version => &self.layout.version,
            _ => piece.side(at).name(),
        }
    }

    fn cell<'a>(&self, column: Out, place: Option<usize>, piece: &'a Piece, at: usize) -> Cell<'a> {
        let rows = &piece.rows;
        match (column, place) {
            (_, Some(place)) => user_cell(column.kind(), &rows.columns[place], at),
            (Out::Sequence, _) => Cell::I64(rows.sequence[at].cast_signed()),
            (Out::Assumed, _) => Cell::Bool(rows.flags[at] & flags::ASSUMED != 0),
            (Out::Retracted, _) => Cell::Bool(rows.is_retract(at)),
            (Out::Stale, _) => Cell::Bool(false),
            (Out::IsGap, _) => Cell::Bool(slots(piece).is_gap(at)),
            (Out::IsFilled, _) => Cell::Bool(slots(piece).is_filled[at]),
            (Out::Coverage, _) => Cell::F64(slots(piece).coverage[at]),
            (Out::Provisional, _) => Cell::Bool(features(piece).provisional[at]),
            (Out::Age, _) => Cell::F64(features(piece).age[at]),
            _ => Cell::Null,
        }
    }
}

fn slots(piece: &Piece) -> &Slots {
    piece.slots.as_ref().expect("invariant: only curated rows have columns about slots")
}

fn features(piece: &Piece) -> &FeatureRows {
    piece.features.as_ref().expect("invariant: only these rows have columns of features")
}

fn reason(code: u8) -> &'static str {
    Reason::ALL[usize::from(code)].name()
}

fn write_date(piece: &Piece, at: usize, out: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(slots(piece).session[at].into());
    write!(out, "{year:04}-{month:02}-{day:02}").expect(WRITES);
}

enum Cell<'a> {
    Null,
    F64(f64),
    I64(i64),
    Text(&'a str),
    Bool(bool),
    Time(Timestamp),
}

fn user_cell(holds: OutType, column: &Column, at: usize) -> Cell<'_> {
    if !column.is_valid(at) {
        return Cell::Null;
    }
    match &column.values {
        Values::F64(values) => Cell::F64(values[at]),
        Values::I64(values) => match holds {
            OutType::Bool => Cell::Bool(values[at] != 0),
            OutType::Timestamp => Cell::Time(Timestamp::from_nanos(values[at])),
            _ => Cell::I64(values[at]),
        },
        Values::Text(texts) => Cell::Text(texts.get(at)),
    }
}

/// Writes `text` as a cell of CSV.
pub(super) fn csv_text(text: &str, out: &mut Vec<u8>) {
    if text.contains(['"', ',', '\n', '\r']) || text.starts_with(' ') || text.ends_with(' ') {
        out.push(b'"');
        out.extend(text.replace('"', "\"\"").as_bytes());
        out.push(b'"');
    } else {
        out.extend(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use arrow::array::AsArray;
    use arrow::compute::concat_batches;
    use arrow::datatypes::Float64Type;
    use arrow::ipc::reader::StreamReader;
    use arrow::record_batch::RecordBatch;
    use barrow_engine::dataset::BARS;
    use barrow_engine::rows::Rows;
    use barrow_types::{PriceSide, Step};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::super::columns::{Hollow, PerRow};
    use super::*;

    fn layout() -> Layout {
        let mut columns = Out::of_range(&BARS, true);
        columns.retain(|column| match column {
            Out::User(place, _) => [0, 6].contains(place),
            _ => true,
        });
        Layout {
            columns,
            symbols: vec!["EUR/USD".into(), "a\"b".into()],
            sources: vec!["x".into()],
            instruments: Vec::new(),
            hollow: Hollow::Retractions,
            ..Layout::default()
        }
    }

    fn piece() -> Piece {
        let mut open = Column::new(Values::F64(vec![0.1 + 0.2]));
        open.push_null();
        let mut trades = Column::new(Values::I64(vec![i64::MAX]));
        trades.push_null();
        Piece {
            symbol: 1,
            source: PerRow::One(0),
            side: PerRow::One(PriceSide::Trade.code().into()),
            step: Step::M1,
            rows: Rows {
                ts: vec![0, 0],
                sequence: vec![3, 4],
                known_at: vec![90_000_000_000, 91_500_000_000],
                flags: vec![0, flags::RETRACT],
                columns: vec![open, trades],
            },
            slots: None,
            features: None,
        }
    }

    fn encoded(format: Format, zone: &str) -> Vec<u8> {
        let zone = Zone::parse(zone).unwrap();
        let (mut encoder, mut bytes) = Encoder::start(format, &layout(), zone).unwrap();
        for _ in 0..2 {
            let mut send = |part: Vec<u8>| {
                bytes.extend(part);
                true
            };
            assert!(encoder.piece(piece(), &mut send).unwrap());
        }
        let trailer = Trailer {
            sequence: 9,
            cursor: Some("c".into()),
            calendar: None,
            warnings: vec!["w".into()],
        };
        bytes.extend(encoder.finish(&trailer).unwrap());
        bytes
    }

    #[test]
    fn json_is_the_table_of_the_contract() {
        let json: serde_json::Value =
            serde_json::from_slice(&encoded(Format::Json, "UTC")).unwrap();
        assert_eq!(json["columns"][1], serde_json::json!({"name": "ts", "type": "timestamp"}));
        assert_eq!(json["rows"].as_array().unwrap().len(), 4);
        assert_eq!(json["rows"][0]["symbol"], "a\"b");
        assert_eq!(json["rows"][0]["ts"], "1970-01-01T00:00:00Z");
        assert_eq!(json["rows"][0]["ts_end"], "1970-01-01T00:01:00Z");
        assert_eq!(json["rows"][1]["known_at"], "1970-01-01T00:01:31.5Z");
        assert_eq!(json["rows"][0]["trades"], i64::MAX);
        assert_eq!(json["rows"][1]["open"], serde_json::Value::Null);
        assert_eq!(json["rows"][1]["retracted"], true);
        assert_eq!(json["complete"], true);
        assert_eq!(json["calendar"], "none");
        assert_eq!(json["cursor"], "c");
        assert_eq!(json["warnings"], serde_json::json!(["w"]));
    }

    #[test]
    fn csv_shows_doubles_that_read_back_and_times_in_the_zone() {
        let text = String::from_utf8(encoded(Format::Csv, "Asia/Tokyo")).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            "symbol,ts,open,trades,ts_end,source,available_at,known_at,assumed,sequence,retracted"
        );
        assert_eq!(
            lines[1],
            "\"a\"\"b\",1970-01-01T09:00:00+09:00,0.30000000000000004,9223372036854775807,\
             1970-01-01T09:01:00+09:00,x,1970-01-01T09:01:00+09:00,1970-01-01T09:01:30+09:00,\
             false,3,false"
        );
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn an_arrow_stream_reads_back() {
        let bytes = encoded(Format::Arrow, "UTC");
        let reader = StreamReader::try_new(Cursor::new(bytes), None).unwrap();
        let batches: Vec<_> = reader.map(Result::unwrap).collect();
        assert_eq!(batches.len(), 2);
        let open = batches[1].column_by_name("open").unwrap().as_primitive::<Float64Type>();
        assert_eq!(open.value(0).to_bits(), (0.1_f64 + 0.2).to_bits());
        assert_eq!(arrow::array::Array::null_count(open), 1);
    }

    #[test]
    fn a_parquet_file_holds_the_rows_of_an_arrow_stream() {
        let stream = encoded(Format::Arrow, "UTC");
        let stream = StreamReader::try_new(Cursor::new(stream), None).unwrap();
        let schema = stream.schema();
        let stream: Vec<_> = stream.map(Result::unwrap).collect();
        let file = bytes::Bytes::from(encoded(Format::Parquet, "UTC"));
        let file = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let file: Vec<_> = file.map(Result::unwrap).collect();
        let whole = |batches: &[RecordBatch]| concat_batches(&schema, batches).unwrap();
        assert_eq!(whole(&file).columns(), whole(&stream).columns());
    }

    #[test]
    fn a_long_piece_is_given_away_in_parts_and_none_is_made_that_nobody_wants() {
        let long = || {
            let mut long = piece();
            long.rows = long.rows.take(&vec![0; 40_000]);
            long
        };
        for (format, parts_wanted) in [(Format::Json, 10), (Format::Csv, 10), (Format::Arrow, 3)] {
            let (mut encoder, _) = Encoder::start(format, &layout(), Zone::Utc).unwrap();
            let mut parts = 0;
            let mut count = |_| {
                parts += 1;
                true
            };
            assert!(encoder.piece(long(), &mut count).unwrap());
            assert_eq!(parts, parts_wanted, "{format:?}");
            assert!(!encoder.piece(long(), &mut |_| false).unwrap());
        }
    }

    #[test]
    fn the_accept_header_chooses_by_weight_then_by_place() {
        for (accept, format) in [
            ("text/html, */*;q=0.8", Some(Format::Json)),
            ("text/csv;q=0.5, application/vnd.apache.arrow.stream", Some(Format::Arrow)),
            ("text/csv, application/json", Some(Format::Csv)),
            ("application/vnd.apache.parquet", Some(Format::Parquet)),
            ("application/json;q=0", None),
            ("image/png", None),
        ] {
            assert_eq!(best(accept), format, "{accept}");
        }
    }
}
