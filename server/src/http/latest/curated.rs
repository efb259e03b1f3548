//! The newest curated bar of each instrument: the last expected slot that has a good row, from the
//! source that is chosen there. A symbol without any is left out.

use axum::http::HeaderMap;
use barrow_engine::Snapshot;

use super::super::columns::{Layout, Out, PerRow, Piece};
use super::super::curated::{Slotted, columns};
use super::super::encode::{Format, Trailer};
use super::super::error::Problem;
use super::super::params::Params;
use super::super::reader::place_of;
use super::super::slots::{Fill, Filler, expand};
use super::super::stream::{Answer, Pieces};
use super::super::time::Zone;
use crate::clock;

/// What is asked for.
pub(super) struct Query {
    slotted: Slotted,
    columns: Vec<Out>,
    format: Format,
    zone: Zone,
}

impl Query {
    /// Reads the parameters of a request.
    ///
    /// # Errors
    /// One of them says what it must not; the problem names it.
    pub(super) fn read(params: &Params, headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Self {
            slotted: Slotted::read(params, clock::now())?,
            columns: columns(params)?,
            format: Format::negotiate(params, headers)?,
            zone: params.read("tz", Zone::parse)?.unwrap_or(Zone::Utc),
        })
    }
}

/// Finds the bars.
///
/// # Errors
/// Nobody has delivered anything of the symbols, or stored bytes cannot be read.
pub(super) fn plan(query: Query, snapshot: &Snapshot) -> Result<Answer<Bars>, Problem> {
    let failed = |error: barrow_engine::Error| Problem::read(&error);
    let Query { mut slotted, columns, format, zone } = query;
    slotted.fix_due(snapshot).map_err(failed)?;
    let resolved = slotted.resolve(snapshot).map_err(failed)?;
    let mut layout = Layout {
        columns,
        symbols: slotted.symbols.iter().map(ToString::to_string).collect(),
        sources: Vec::new(),
        instruments: resolved.instruments.iter().map(ToString::to_string).collect(),
        hollow: super::Hollow::None,
        ..Layout::default()
    };
    let ids = layout.user_ids();
    let (mut pieces, mut delivered) = (Vec::new(), Vec::new());
    let mut calendars: Vec<String> = Vec::new();
    for (place, symbol) in (0..slotted.symbols.len()).zip(0..) {
        let mut scan = slotted.scan(&resolved, place, ids.clone(), false);
        scan.flags = layout.columns.contains(&Out::DqStatus);
        scan.coverage = layout.columns.contains(&Out::Coverage);
        let newest = snapshot.newest_curated(scan).map_err(failed)?;
        delivered.push(newest.is_delivered);
        let Some((curated, found)) = newest.found else { continue };
        place_of(&mut calendars, curated.calendar().map_or("none", |calendar| calendar.name()));
        let names = curated.candidates().iter().map(|candidate| candidate.source.as_str());
        let sources: Vec<u32> = names.map(|name| place_of(&mut layout.sources, name)).collect();
        let mut filler = Filler::new(Fill::None, Vec::new(), 0);
        let (rows, mut slots, of_row) = expand(&curated, found, &sources, &mut filler);
        slots.instrument = symbol;
        pieces.push(Piece {
            symbol,
            source: PerRow::Each(of_row),
            side: PerRow::One(slotted.side.code().into()),
            step: slotted.step,
            rows,
            slots: Some(slots),
            features: None,
        });
    }
    let warnings = resolved.missing(&slotted, &delivered)?;
    let newest = snapshot.sequence();
    let sequence = slotted.at_sequence.map_or(newest, |asked| asked.min(newest)).get();
    let calendar = (!calendars.is_empty()).then(|| calendars.join(","));
    let trailer = Trailer { sequence, cursor: None, calendar, warnings };
    let if_empty = slotted.as_of.map(|_| "nothing of this was known at as_of".to_owned());
    let pieces = Bars { layout, pieces: pieces.into_iter() };
    Ok(Answer { pieces, trailer, if_empty, format, zone })
}

/// The bars on their way out, one a piece.
pub(super) struct Bars {
    layout: Layout,
    pieces: std::vec::IntoIter<Piece>,
}

impl Pieces for Bars {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn next(&mut self) -> Result<Option<Piece>, barrow_engine::Error> {
        Ok(self.pieces.next())
    }
}
