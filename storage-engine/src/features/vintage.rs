//! Cells of the live vintage: a stream for each view.

use std::collections::BTreeSet;
use std::sync::Arc;

use barrow_features::ContextId;
use barrow_types::Adjust;

use crate::error::Error;
use crate::reference::Reference;
use crate::snapshot::Snapshot;
use crate::vintage::{LateRows, Question, Views, Vintage};

use super::lane::Asked;
use super::stream::{self, Stream};
use super::{FeaturePiece, FeatureScan};

/// See the module.
pub(super) struct Viewed {
    snapshot: Snapshot,
    scan: FeatureScan,
    views: Views,
    stream: Option<Stream>,
}

impl Viewed {
    /// The slots of a range, each as it was known when it could first be had.
    pub(super) fn new(snapshot: &Snapshot, scan: &FeatureScan) -> Result<Self, Error> {
        let views = views(snapshot, scan)?;
        Ok(Self { snapshot: snapshot.clone(), scan: scan.clone(), views, stream: None })
    }

    /// Rows that came after their slots could be had.
    pub(super) const fn late(&self) -> &LateRows {
        self.views.late()
    }

    /// The next slots, never none; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<FeaturePiece>, Error> {
        loop {
            let Some(stream) = &mut self.stream else {
                let Some(view) = self.views.next()? else { return Ok(None) };
                let scan = FeatureScan {
                    start: view.start,
                    end: view.end,
                    as_of: Some(view.as_of),
                    due: view.as_of,
                    vintage: Vintage::Final,
                    ..self.scan.clone()
                };
                let at_sequence = self.scan.at_sequence;
                let reference = Reference::at(&self.snapshot, Some(view.as_of), at_sequence)?;
                let parts = stream::parts((view.start.nanos(), view.end.nanos()), Vec::new());
                let whole = (self.snapshot.clone(), reference, scan);
                let stream = Stream::new(whole, self.scan.end, parts)?;
                self.stream = Some(stream);
                continue;
            };
            match stream.next()? {
                Some(piece) => return Ok(Some(piece)),
                None => self.stream = None,
            }
        }
    }
}

fn views(snapshot: &Snapshot, scan: &FeatureScan) -> Result<Views, Error> {
    let contexts = &scan.group.graph().contexts;
    let is_alone = contexts.iter().all(|context| context.instrument.is_none());
    let reference = Reference::at(snapshot, scan.as_of, scan.at_sequence)?;
    let own = || BTreeSet::from([Arc::clone(&scan.instrument)]);
    let question = Question {
        snapshot,
        own: Asked::new((snapshot, &*reference), scan).own(),
        // Which instruments others are may be told by any fact.
        instruments: is_alone.then(own),
        is_adjusted: scan.group.definition.bars.adjust != Adjust::None,
    };
    question.views(|start, reference, as_of| {
        let scan = FeatureScan { start, as_of: Some(as_of), due: as_of, ..scan.clone() };
        let asked = Asked::new((snapshot, reference), &scan);
        let contexts = (0..).map(ContextId).zip(contexts);
        contexts.map(|(id, context)| asked.open(asked.curated(context, id))).collect()
    })
}
