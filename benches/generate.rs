//! Writes the generated rows as one Arrow file, for programs in other languages.
//!
//! `cargo bench -p barrow-benches --bench generate -- --out FILE [--rows bars|ticks]
//! [--order symbol|session] [--symbols N] [--sessions N]`

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::ipc::writer::FileWriter;
use barrow_benches::data::{self, Order};
use barrow_benches::{arguments, figure, load};

/// Trades of a symbol in a session.
const TICKS: usize = 100_000;

fn main() {
    let Some(out) = arguments::optional::<PathBuf>("--out") else { return };
    let mut file = Out { path: out, writer: None, rows: 0 };
    if arguments::value("--rows", "bars".to_owned()) == "ticks" {
        let symbols = arguments::value("--symbols", 20);
        let sessions = arguments::value("--sessions", 5);
        data::ticks(symbols, sessions, TICKS, |piece| {
            file.add(&load::ticks_table(piece, &(0..symbols)))
        });
    } else {
        let symbols = arguments::value("--symbols", 500);
        let sessions = arguments::value("--sessions", 50);
        let by_session = arguments::value("--order", "symbol".to_owned()) == "session";
        let order = if by_session { Order::Session } else { Order::Symbol };
        data::bars(symbols, sessions, order, |bars| {
            file.add(&load::bars_table(bars, &(0..symbols)))
        });
    }
    let mut writer = file.writer.expect("there are rows");
    writer.finish().expect("the disk has room");
    figure::one("rows written", "rows", file.rows as f64);
}

struct Out {
    path: PathBuf,
    writer: Option<FileWriter<BufWriter<File>>>,
    rows: usize,
}

impl Out {
    fn add(&mut self, batch: &RecordBatch) {
        let writer = self.writer.get_or_insert_with(|| {
            let file = File::create(&self.path).expect("the folder takes files");
            FileWriter::try_new_buffered(file, &batch.schema()).expect("the disk has room")
        });
        writer.write(batch).expect("the disk has room");
        self.rows += batch.num_rows();
    }
}
