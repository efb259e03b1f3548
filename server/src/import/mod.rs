//! Files become rows and facts of a store: for `barrow import`, which sends them to a server, and
//! for jobs of the server, which hand them in where they are. Files of bars, trades and quotes are
//! read here; files of users' tables go on as they are, see `own.rs`; files about instruments
//! become facts, see `reference`.
//!
//! ```text
//! files ─▶ form and sample ─▶ plan (or questions) ─▶ records ─▶ rows ─▶ parts ─▶ way ─▶ tally
//! ```
//!
//! Every file is planned before any is loaded, so that a question about the last file comes before
//! the first is stored. A file, or a price side of it, is one batch, in parts if it is long, whose
//! id comes from its content and its plan: importing it again stores nothing. Parts take the routes
//! that any client's rows take: there is no private path.

mod batches;
mod clock;
mod columns;
mod complete;
mod delimited;
mod error;
mod files;
mod form;
mod json;
mod known;
mod layout;
mod lines;
mod options;
mod own;
mod part;
mod plan;
mod read;
mod reading;
mod reference;
mod rows;
mod send;
mod spacing;
mod table;
mod tally;
mod time;
mod way;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use barrow_client::IngestAnswer;
use barrow_types::{PriceSide, Step, Timestamp};
use xxhash_rust::xxh3::Xxh3;

pub(crate) use error::ImportError;
pub(crate) use files::{Found, find};
pub(crate) use options::{ALIGNS, ImportOptions, SESSIONS, parse_side, parse_step};
pub(crate) use reading::Reading;
pub(crate) use tally::{Tally, grouped};
pub(crate) use way::{Routes, Way};

use columns::Dataset;
use form::Table;
use options::Target;
use own::OwnFiles;
use plan::{Plan, Refusal};
use reference::FactFiles;

/// Files whose detection is shown in full; of more, only the first of each kind.
const FILES_SHOWN_MAX: usize = 8;

/// An import of which every file was looked at.
pub(crate) struct Import {
    loads: Loads,
    files: Vec<PathBuf>,
    left_out: Vec<PathBuf>,
}

/// What files are loaded into.
enum Loads {
    Rows(Vec<Planned>),
    Own(OwnFiles),
    Facts(FactFiles),
}

/// A file, or a price side of it, and what is done with it.
struct Planned {
    path: PathBuf,
    plan: Arc<Plan>,
    beside: Beside,
    /// The hash of its content, if it was taken already.
    content: Option<u128>,
}

/// What is stated beside the rows of a file, and does not change them.
#[derive(Clone, Debug, Default)]
struct Beside {
    calendar: Option<String>,
    complete: bool,
}

/// Who is told how far an import is.
pub(crate) trait Watcher: Send {
    /// The next part of `file` goes; `tally` is what became of those before it.
    fn part(&mut self, file: &Path, tally: &Tally) -> impl Future<Output = ()> + Send;
}

/// What sending needs beside the files.
pub(crate) struct Sending<'s, W> {
    /// Where to.
    pub(crate) way: &'s Way,
    /// How files are read.
    pub(crate) reading: &'s Reading,
    /// Claims do not reach beyond it.
    pub(crate) now: Timestamp,
    /// What begins the ids of batches that are not of a file's content: facts, which may be stated
    /// again. Random ones, if it is left out.
    pub(crate) prefix: Option<String>,
    /// Who is told of each part.
    pub(crate) watcher: W,
    /// What became of the rows; also of those before an error.
    pub(crate) tally: &'s mut Tally,
}

impl<W> Sending<'_, W> {
    /// Whether it may go on.
    fn check(&self) -> Result<(), ImportError> {
        if self.reading.is_stopped() {
            Err(ImportError::failed("import: it was stopped"))
        } else {
            Ok(())
        }
    }
}

impl Import {
    /// Looks at every file that was found, or says what is missing for which. Reads their
    /// beginnings, and files of facts whole.
    ///
    /// # Errors
    /// `Usage` with the questions that the files leave open, or an option that makes no sense;
    /// `Failed` if a file cannot be read, or reading was stopped.
    pub(crate) fn plan(
        found: Found,
        options: &ImportOptions,
        reading: &Reading,
    ) -> Result<Self, ImportError> {
        options.check()?;
        let Found { files, left_out } = found;
        let loads = match options.target() {
            Some(Target::Facts(facts)) => {
                Loads::Facts(FactFiles::read(*facts, &files, options, reading)?)
            }
            Some(Target::Own(name)) => Loads::Own(OwnFiles::new(name, &files, options)?),
            Some(Target::Rows(_)) | None => Loads::Rows(plan_rows(&files, options, reading)?),
        };
        Ok(Self { loads, files, left_out })
    }

    /// Every file that is read.
    pub(crate) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Bytes of all files together; a file that cannot be asked counts nothing.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|path| bytes_of(path)).sum()
    }

    /// What was detected or said, for a person: a line each, of the first files.
    pub(crate) fn describe(&self) -> Vec<String> {
        let mut lines = match &self.loads {
            Loads::Rows(planned) => describe_rows(planned),
            Loads::Own(_) => Vec::new(),
            Loads::Facts(facts) => facts.describe(),
        };
        if let Some(first) = self.left_out.first() {
            let (count, first) = (self.left_out.len(), first.display());
            let more = if count > 1 { ", ..." } else { "" };
            lines.push(format!("left out: {count} files of other kinds ({first}{more})"));
        }
        lines
    }

    /// Reads the files whole and counts what would be sent.
    ///
    /// # Errors
    /// A file cannot be read, or reading was stopped.
    pub(crate) fn dry_run(&self, reading: &Reading, tally: &mut Tally) -> Result<(), ImportError> {
        match &self.loads {
            Loads::Rows(planned) => {
                for Planned { path, plan, .. } in planned {
                    let shown = send::shown(path, plan);
                    read::parts(path, plan, reading, |part, _| {
                        let rows = part.batch.num_rows() as u64;
                        tally.add_unsent(&shown, plan.form.unit(), rows, &part.unread);
                        !reading.is_stopped()
                    })
                    .map_err(|error| ImportError::failed(format!("read {shown}: {error}")))?;
                }
                Ok(())
            }
            Loads::Own(own) => own.dry_run(reading, tally),
            Loads::Facts(facts) => {
                facts.dry_run(tally);
                Ok(())
            }
        }
    }

    /// In how many pieces it is sent: a file, or a price side of it, each; facts in one.
    pub(crate) fn pieces(&self) -> usize {
        match &self.loads {
            Loads::Rows(planned) => planned.len(),
            Loads::Own(own) => own.files().len(),
            Loads::Facts(_) => 1,
        }
    }

    /// Bytes of the files of a piece.
    pub(crate) fn bytes_of(&self, piece: usize) -> u64 {
        match &self.loads {
            Loads::Rows(planned) => bytes_of(&planned[piece].path),
            Loads::Own(own) => bytes_of(&own.files()[piece]),
            Loads::Facts(_) => self.bytes(),
        }
    }

    /// Reads every file whole and says what the import is: the same for the same names, contents
    /// and plans, and for no others. Those contents are what is sent then, or it fails.
    ///
    /// # Errors
    /// A file cannot be read, or reading was stopped.
    pub(crate) fn identify(&mut self, reading: &Reading) -> Result<u128, ImportError> {
        let mut hasher = Xxh3::new();
        let mut add = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        match &mut self.loads {
            Loads::Rows(planned) => {
                let mut last: Option<(PathBuf, u128)> = None;
                for Planned { path, plan, content, .. } in planned {
                    // Price sides of one file stand side by side.
                    let hash = match &last {
                        Some((of, hash)) if of == path => *hash,
                        _ => files::content(path, reading)?,
                    };
                    last = Some((path.clone(), hash));
                    *content = Some(hash);
                    add(&path.to_string_lossy());
                    add(&plan.identity());
                    add(&format!("{hash:032x}"));
                }
            }
            Loads::Own(own) => {
                for (path, hash) in own.identify(reading)? {
                    add(&path.to_string_lossy());
                    add(&format!("{hash:032x}"));
                }
            }
            Loads::Facts(facts) => {
                for (path, instruments) in facts.contents() {
                    add(&path.to_string_lossy());
                    add(&instruments);
                }
            }
        }
        Ok(hasher.digest128())
    }

    /// Sends a piece.
    ///
    /// # Errors
    /// A file cannot be read or has changed, the server refuses it, or reading was stopped: what
    /// was sent before is stored, and a repetition skips it.
    pub(crate) async fn send<W: Watcher>(
        &self,
        piece: usize,
        sending: &mut Sending<'_, W>,
    ) -> Result<(), ImportError> {
        match &self.loads {
            Loads::Rows(planned) => send::file(&planned[piece], sending).await,
            Loads::Own(own) => own.send(piece, sending).await,
            Loads::Facts(facts) => {
                let answer = facts.send(sending.way, sending.prefix.as_deref()).await?;
                sending.tally.add("", "fact", answer.total(), &[], &answer);
                Ok(())
            }
        }
    }

    /// Sends facts and returns the answer; `None` if the files hold rows.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub(crate) async fn send_facts(&self, way: &Way) -> Result<Option<IngestAnswer>, ImportError> {
        match &self.loads {
            Loads::Facts(facts) => facts.send(way, None).await.map(Some),
            Loads::Rows(_) | Loads::Own(_) => Ok(None),
        }
    }

    /// The series of the first row of the first file of bars.
    pub(crate) fn first_series(&self) -> Option<FirstSeries> {
        let Loads::Rows(planned) = &self.loads else { return None };
        let plan = &planned.iter().find(|file| file.plan.dataset == Dataset::Bars)?.plan;
        Some(FirstSeries {
            symbol: plan.first_symbol.clone(),
            step: plan.step,
            price: plan.price,
            source: plan.source.clone(),
        })
    }
}

/// One series of what was imported, to show something of it.
pub(crate) struct FirstSeries {
    pub(crate) symbol: String,
    pub(crate) step: Step,
    pub(crate) price: PriceSide,
    pub(crate) source: String,
}

fn bytes_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |about| about.len())
}

/// Plans every file of bars, trades or quotes.
fn plan_rows(
    files: &[PathBuf],
    options: &ImportOptions,
    reading: &Reading,
) -> Result<Vec<Planned>, ImportError> {
    let said = options.said()?;
    let beside = options.beside();
    let mut planned = Vec::new();
    let mut refused = Vec::new();
    for path in files {
        let table = Table::look(path, reading)
            .map_err(|error| ImportError::failed(format!("read {}: {error}", path.display())))?;
        let plans = match table {
            Ok(table) => Plan::make(path, &table, &said),
            Err(why) => Err(Refusal::new("another file", why)),
        };
        match plans {
            Ok(plans) => {
                if let Some(plan) = plans.iter().find(|plan| plan.dataset != Dataset::Bars)
                    && beside.complete
                {
                    let name = plan.dataset.name();
                    return Err(ImportError::usage(format!(
                        "--complete: {} holds {name}, and only bars have slots to be complete in",
                        path.display()
                    )));
                }
                planned.extend(plans.into_iter().map(|plan| Planned {
                    path: path.clone(),
                    plan: Arc::new(plan),
                    beside: beside.clone(),
                    content: None,
                }));
            }
            Err(refusal) => refused.push((path, refusal)),
        }
    }
    if refused.is_empty() { Ok(planned) } else { Err(ImportError::usage(refusals(&refused))) }
}

/// What is missing, once for all files that lack the same.
fn refusals(refused: &[(&PathBuf, Refusal)]) -> String {
    let mut lines = Vec::new();
    let mut shown: Vec<&Refusal> = Vec::new();
    for (path, refusal) in refused {
        if shown.contains(&refusal) || shown.len() == FILES_SHOWN_MAX {
            continue;
        }
        shown.push(refusal);
        lines.push(format!("import {}: nothing was loaded; say more:", path.display()));
        lines.extend(
            refusal.questions.iter().map(|(option, why)| format!("  {option}\n      {why}")),
        );
    }
    let others = refused.len() - shown.len();
    if others > 0 {
        lines.push(format!("and {others} more files"));
    }
    lines.join("\n")
}

fn describe_rows(planned: &[Planned]) -> Vec<String> {
    let mut lines = Vec::new();
    for Planned { path, plan, beside, .. } in planned.iter().take(FILES_SHOWN_MAX) {
        lines.push(send::shown(path, plan));
        lines.extend(plan.describe().into_iter().map(|line| format!("  {line}")));
        if let Some(calendar) = &beside.calendar {
            lines.push(format!("  calendar    {calendar}, of instruments that have none"));
        }
        if beside.complete {
            lines.push("  complete    from each symbol's first bar to its last".to_owned());
        }
    }
    if planned.len() > FILES_SHOWN_MAX {
        lines.push(format!("and {} more files", planned.len() - FILES_SHOWN_MAX));
    }
    lines
}

#[cfg(test)]
mod tests;
