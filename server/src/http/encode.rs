//! Answers as bytes: JSON, CSV or an Arrow stream, piece by piece.

use std::io::Write as _;

use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use axum::http::HeaderMap;
use barrow_engine::rows::{Column, Values, flags};

use super::columns::{Layout, Out, OutType, Piece, instant};
use super::error::{Code, Problem};
use super::params::Params;
use super::time::Zone;
use crate::arrow_out::ArrowOut;

/// How an answer looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `application/json`
    Json,
    /// `text/csv`
    Csv,
    /// `application/vnd.apache.arrow.stream`
    Arrow,
}

const PARQUET: &str = "application/vnd.apache.parquet";

impl Format {
    const ALL: [Self; 3] = [Self::Json, Self::Csv, Self::Arrow];

    /// Its media type.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// The format that `format=` or else `Accept` asks for; JSON if neither does.
    ///
    /// # Errors
    /// There is no such format, or not yet.
    pub(crate) fn negotiate(params: &Params, headers: &HeaderMap) -> Result<Self, Problem> {
        const NO_PARQUET: &str = "Parquet is not available in this version: ask for arrow";
        if let Some(name) = params.get("format") {
            return match name {
                "json" => Ok(Self::Json),
                "csv" => Ok(Self::Csv),
                "arrow" => Ok(Self::Arrow),
                "parquet" => Err(Problem::not_available("format", NO_PARQUET)),
                _ => Err(Problem::parameter(
                    "format",
                    format!("'{name}' is not one of json, csv, arrow, parquet"),
                )),
            };
        }
        let Some(accept) = headers.get(axum::http::header::ACCEPT) else { return Ok(Self::Json) };
        let accept = accept.to_str().unwrap_or_default();
        match best(accept) {
            Some(Ok(format)) => Ok(format),
            Some(Err(())) => Err(Problem::not_available("Accept", NO_PARQUET)),
            None => {
                let names: Vec<_> = Self::ALL.iter().map(|format| format.media_type()).collect();
                let detail = format!("Accept: '{accept}' is none of {}", names.join(", "));
                Err(Problem::new(Code::NotAcceptable, detail).about("Accept"))
            }
        }
    }
}

/// The wanted format of an `Accept` header: the greatest weight, then the first. `Err` is Parquet.
fn best(accept: &str) -> Option<Result<Format, ()>> {
    let mut best: Option<(f32, Result<Format, ()>)> = None;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let format = match parts.next().unwrap_or_default() {
            "*/*" | "application/*" | "application/json" | "" => Ok(Format::Json),
            "text/*" | "text/csv" => Ok(Format::Csv),
            PARQUET => Err(()),
            name => match Format::ALL.into_iter().find(|format| format.media_type() == name) {
                Some(format) => Ok(format),
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
}

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
            Format::Json => {
                let text = Text::new(layout, zone);
                let head = text.json_head();
                Ok((Self::Json(text), head))
            }
            Format::Csv => {
                let text = Text::new(layout, zone);
                let names: Vec<_> = layout.columns.iter().map(|column| column.name()).collect();
                Ok((Self::Csv(text), format!("{}\n", names.join(",")).into_bytes()))
            }
        }
    }

    /// The bytes of `piece`.
    ///
    /// # Errors
    /// Arrow does not take the piece; that would be a fault of ours.
    pub(crate) fn piece(&mut self, piece: Piece) -> Result<Vec<u8>, ArrowError> {
        match self {
            Self::Json(text) => Ok(text.json_rows(&piece)),
            Self::Csv(text) => Ok(text.csv_rows(&piece)),
            Self::Arrow(arrow, writer) => {
                writer.write(&arrow.batch(piece)?)?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }

    /// The bytes that say that the answer is whole.
    ///
    /// # Errors
    /// Arrow cannot end the stream; that would be a fault of ours.
    pub(crate) fn finish(self, trailer: &Trailer) -> Result<Vec<u8>, ArrowError> {
        match self {
            Self::Json(_) => Ok(json_end(trailer)),
            Self::Csv(_) => Ok(Vec::new()),
            Self::Arrow(_, mut writer) => {
                writer.finish()?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }
}

fn json<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("invariant: texts and numbers are JSON");
}

fn json_end(trailer: &Trailer) -> Vec<u8> {
    let mut out = b"],\"complete\":true,\"calendar\":\"none\"".to_vec();
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

impl Text {
    fn new(layout: &Layout, zone: Zone) -> Self {
        let keys = layout
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let before = if at == 0 { '{' } else { ',' };
                format!("{before}\"{}\":", column.name()).into_bytes()
            })
            .collect();
        let columns = layout.columns.iter().copied().zip(layout.places()).collect();
        Self { columns, layout: layout.clone(), zone, first: true, keys }
    }

    fn json_head(&self) -> Vec<u8> {
        let mut out = b"{\"columns\":[".to_vec();
        for (at, column) in self.layout.columns.iter().enumerate() {
            let before = if at == 0 { "" } else { "," };
            let (name, kind) = (column.name(), column.kind().name());
            write!(out, "{before}{{\"name\":\"{name}\",\"type\":\"{kind}\"}}").expect(WRITES);
        }
        out.extend(b"],\"rows\":[");
        out
    }

    fn json_rows(&mut self, piece: &Piece) -> Vec<u8> {
        let mut out = Vec::with_capacity(piece.rows.len() * 256);
        for at in 0..piece.rows.len() {
            out.extend(if self.first { &b"\n"[..] } else { &b",\n"[..] });
            self.first = false;
            for (&(column, place), key) in self.columns.iter().zip(&self.keys) {
                out.extend(key);
                match column.kind() {
                    OutType::Timestamp => {
                        out.push(b'"');
                        self.write_time(column, piece, at, &mut out);
                        out.push(b'"');
                    }
                    OutType::Name => json(self.name(column, piece, at), &mut out),
                    _ => match self.cell(column, place, piece, at) {
                        Cell::Null => out.extend(b"null"),
                        Cell::F64(value) => json(&value, &mut out),
                        Cell::I64(value) => json(&value, &mut out),
                        Cell::Text(text) => json(text, &mut out),
                        Cell::Bool(flag) => json(&flag, &mut out),
                    },
                }
            }
            out.push(b'}');
        }
        out
    }

    fn csv_rows(&self, piece: &Piece) -> Vec<u8> {
        let mut out = Vec::with_capacity(piece.rows.len() * 160);
        for at in 0..piece.rows.len() {
            for (number, &(column, place)) in self.columns.iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                match column.kind() {
                    OutType::Timestamp => self.write_time(column, piece, at, &mut out),
                    OutType::Name => csv_text(self.name(column, piece, at), &mut out),
                    _ => match self.cell(column, place, piece, at) {
                        Cell::Null => {}
                        Cell::F64(value) => json(&value, &mut out),
                        Cell::I64(value) => json(&value, &mut out),
                        Cell::Text(text) => csv_text(text, &mut out),
                        Cell::Bool(flag) => json(&flag, &mut out),
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
            _ => piece.side.name(),
        }
    }

    fn cell<'a>(&self, column: Out, place: Option<usize>, piece: &'a Piece, at: usize) -> Cell<'a> {
        let rows = &piece.rows;
        match (column, place) {
            (_, Some(place)) => user_cell(&rows.columns[place], at),
            (Out::Sequence, _) => Cell::I64(rows.sequence[at].cast_signed()),
            (Out::Assumed, _) => Cell::Bool(rows.flags[at] & flags::ASSUMED != 0),
            (Out::Retracted, _) => Cell::Bool(rows.is_retract(at)),
            _ => Cell::Null,
        }
    }
}

enum Cell<'a> {
    Null,
    F64(f64),
    I64(i64),
    Text(&'a str),
    Bool(bool),
}

fn user_cell(column: &Column, at: usize) -> Cell<'_> {
    if !column.is_valid(at) {
        return Cell::Null;
    }
    match &column.values {
        Values::F64(values) => Cell::F64(values[at]),
        Values::I64(values) => Cell::I64(values[at]),
        Values::Text(texts) => Cell::Text(texts.get(at)),
    }
}

fn csv_text(text: &str, out: &mut Vec<u8>) {
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
    use arrow::datatypes::Float64Type;
    use arrow::ipc::reader::StreamReader;
    use barrow_engine::rows::Rows;
    use barrow_types::{PriceSide, Step};

    use super::super::columns::SourceOf;
    use super::*;

    fn layout() -> Layout {
        let mut columns = Out::of_range(true);
        columns.retain(|column| match column {
            Out::User(place) => [0, 6].contains(place),
            _ => true,
        });
        Layout {
            columns,
            symbols: vec!["EUR/USD".into(), "a\"b".into()],
            sources: vec!["x".into()],
            retractions: true,
        }
    }

    fn piece() -> Piece {
        let mut open = Column::new(Values::F64(vec![0.1 + 0.2]));
        open.push_null();
        let mut trades = Column::new(Values::I64(vec![i64::MAX]));
        trades.push_null();
        Piece {
            symbol: 1,
            source: SourceOf::One(0),
            step: Step::M1,
            side: PriceSide::Trade,
            rows: Rows {
                ts: vec![0, 0],
                sequence: vec![3, 4],
                known_at: vec![90_000_000_000, 91_500_000_000],
                flags: vec![0, flags::RETRACT],
                columns: vec![open, trades],
            },
        }
    }

    fn encoded(format: Format, zone: &str) -> Vec<u8> {
        let zone = Zone::parse(zone).unwrap();
        let (mut encoder, mut bytes) = Encoder::start(format, &layout(), zone).unwrap();
        bytes.extend(encoder.piece(piece()).unwrap());
        bytes.extend(encoder.piece(piece()).unwrap());
        let trailer = Trailer { sequence: 9, cursor: Some("c".into()), warnings: vec!["w".into()] };
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
    fn the_accept_header_chooses_by_weight_then_by_place() {
        for (accept, format) in [
            ("text/html, */*;q=0.8", Some(Ok(Format::Json))),
            ("text/csv;q=0.5, application/vnd.apache.arrow.stream", Some(Ok(Format::Arrow))),
            ("text/csv, application/json", Some(Ok(Format::Csv))),
            ("application/vnd.apache.parquet", Some(Err(()))),
            ("application/json;q=0", None),
            ("image/png", None),
        ] {
            assert_eq!(best(accept), format, "{accept}");
        }
    }
}
