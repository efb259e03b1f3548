//! `import`: files that lie below `[server] import_dir` become rows, by the importer of
//! `barrow import` and through the routes of any client.
//!
//! The ids of batches come from what files hold, so a job that was broken off sends its files again
//! and stores nothing twice. Before it sends the first row it keeps what its files are, and up to
//! which record batches were there before it: files that are others when it goes on fail it, and a
//! batch that it stored itself counts as its own. Files that it is done with are not sent again.

use std::path::Path;
use std::sync::Arc;

use barrow_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{BadParam, Kind, Outcome, REQUEST_ID, blocking, check_names};
use crate::below::Below;
use crate::clock;
use crate::config::Config;
use crate::http::openapi::{Field, Shape, Type};
use crate::import::{
    self, ALIGNS, ImportError, ImportOptions, Reading, Routes, SESSIONS, Sending, Tally, Watcher,
    Way,
};
use crate::jobs::work::{Broken, Wishes, Work};

/// What is said where there is no place for files.
const UNSET: &str = "this server imports no files of its own: set [server] import_dir to the \
                     folder that they lie in, and restart it; or `barrow import` without \
                     --on-server";

/// What is said where files are others than when the job began.
const CHANGED: &str = "the files are not those with which the job began: one has changed, has come \
                       or has gone. What was stored of them stays stored; retry the job, or import \
                       again, to store what they hold now";

/// What a request for such a job says: the options of `barrow import`, with `_` for `-`.
pub(super) static ASKED: Shape = Shape {
    name: "ImportJob",
    about: "Imports files that the server has",
    fields: &[
        Field::new("kind", Type::Words(|| vec!["import"]), ""),
        REQUEST_ID,
        Field::new("path", Type::Text, "A file or folder below [server] import_dir"),
        Field::maybe("dry_run", Type::Flag, "Only look at the files"),
        Field::maybe("dataset", Type::Text, "What the rows are"),
        Field::maybe("timeframe", Type::Text, "How long the bars are"),
        Field::maybe("symbol", Type::Text, "Of files that do not tell it"),
        Field::maybe("source", Type::Text, "Who the rows come from"),
        Field::maybe("price", TEXTS, "Which price bars are of"),
        Field::maybe("price_scale", Type::Whole, "What whole numbers of prices are divided by"),
        Field::maybe("stamp", Type::Text, "Whether bars are stamped where they start or end"),
        Field::maybe("calendar", Type::Text, "The calendar of the instruments"),
        Field::maybe("time_zone", Type::Text, "Of times that do not tell it"),
        Field::maybe("map", PAIRS, "Which columns are meant, such as ts=Date"),
        Field::maybe("complete", Type::Flag, "That this is all there is"),
        Field::maybe("known_at", Type::Text, "When rows were known, such as ts_end+15m"),
        Field::maybe("session", Type::Words(|| SESSIONS.into()), "Which hours bars have"),
        Field::maybe("align", Type::Words(|| ALIGNS.into()), "How bars lie"),
        Field::maybe("since", Type::Text, "From when on facts hold"),
    ],
};

/// Texts, with commas between them if they are one.
const TEXTS: Type = Type::Either(&[Type::Text, Type::List(&Type::Text)]);

/// The same, or an object of them.
const PAIRS: Type = Type::Either(&[Type::Text, Type::List(&Type::Text), Type::Map(&Type::Text)]);

/// See the module.
pub(super) struct Import;

impl Kind for Import {
    fn name(&self) -> &'static str {
        "import"
    }

    fn check(&self, params: &Map<String, Value>, config: &Config) -> Result<(), BadParam> {
        Asked::read(params, config).map(|_| ())
    }

    fn run<'a>(&'a self, work: &'a Work) -> Outcome<'a> {
        Box::pin(run(work))
    }
}

/// What is to be imported.
struct Asked {
    below: Below,
    /// As it stands below the folder.
    path: String,
    options: ImportOptions,
    dry_run: bool,
}

impl Asked {
    fn read(params: &Map<String, Value>, config: &Config) -> Result<Self, BadParam> {
        check_names(params, &ASKED)?;
        let below = Below::new("[server] import_dir", &config.server.import_dir);
        let path = below.path(params, UNSET)?.to_owned();
        let options = ImportOptions::of_params(params)?;
        let dry_run = match params.get("dry_run") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(dry_run)) => *dry_run,
            Some(other) => {
                let fault = format!("{other} is neither true nor false");
                return Err(BadParam { field: "dry_run".to_owned(), fault });
            }
        };
        Ok(Self { below, path, options, dry_run })
    }

    /// Looks at the files.
    fn plan(&self, reading: &Reading) -> Result<import::Import, Broken> {
        let place = self.below.place(&self.path);
        self.below.check(&place).map_err(Broken::Failed)?;
        // Before any is read: a link may lead anywhere.
        let found = import::find(&[place]).map_err(failed)?;
        for file in &found.files {
            self.below.check(file).map_err(Broken::Failed)?;
        }
        import::Import::plan(found, &self.options, reading).map_err(failed)
    }
}

/// What the job keeps.
#[derive(Clone, Serialize, Deserialize)]
struct Checkpoint {
    /// What the import is.
    identity: String,
    /// The newest record before it.
    since: u64,
    /// When it began: claims do not reach beyond it.
    now: i64,
    /// Pieces that are done.
    done: usize,
    /// What became of their rows.
    tally: Tally,
    /// Batches that were answered, those of the piece at work among them.
    reached: u64,
}

/// What others are told of it.
struct Told {
    wishes: Wishes,
    reading: Reading,
    files: usize,
    bytes: u64,
}

impl Told {
    fn tell(&self, done: usize, tally: &Tally) {
        let bytes = self.reading.bytes().min(self.bytes);
        self.wishes.progress(share(bytes, self.bytes));
        self.wishes.done(json!({
            "files": done,
            "files_total": self.files,
            "rows": tally.read,
            "bytes": bytes,
            "bytes_total": self.bytes,
        }));
    }
}

/// Tells of a piece that is sent, and keeps that the job gets on. A piece that is sent again does
/// not, before it comes to where it was: an import that ends the server each time is not begun for
/// ever.
struct Sent<'w> {
    work: &'w Work,
    told: &'w Told,
    checkpoint: &'w mut Checkpoint,
}

impl Watcher for Sent<'_> {
    async fn part(&mut self, _: &Path, tally: &Tally) {
        self.told.tell(self.checkpoint.done, tally);
        if tally.batches > self.checkpoint.reached {
            self.checkpoint.reached = tally.batches;
            self.work.keep(|| json!(self.checkpoint)).await;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn share(done: u64, all: u64) -> f64 {
    done as f64 / all.max(1) as f64
}

fn failed(error: ImportError) -> Broken {
    Broken::Failed(match error {
        ImportError::Usage(what) => {
            format!("{what}\n(in the parameters of a job --time-zone is \"time_zone\", and so on)")
        }
        other => other.to_string(),
    })
}

async fn run(work: &Work) -> Result<Value, Broken> {
    let reading = Reading::default();
    let told_to_stop = async {
        work.stopped().await;
        reading.stop();
        std::future::pending::<()>().await;
    };
    let done = tokio::select! {
        done = import(work, &reading) => done,
        () = told_to_stop => Err(Broken::Stopped),
    };
    // A wish to end is why reading broke off.
    done.map_err(|broken| work.check().err().unwrap_or(broken))
}

async fn import(work: &Work, reading: &Reading) -> Result<Value, Broken> {
    let asked = Asked::read(&work.params(), work.config())
        .map_err(|bad| Broken::Failed(format!("{}: {}", bad.field, bad.fault)))?;
    let asked = Arc::new(asked);
    let planned = {
        let (asked, reading) = (Arc::clone(&asked), reading.clone());
        blocking(move || asked.plan(&reading)).await??
    };
    let wishes = work.wishes();
    let told = Told {
        wishes,
        reading: reading.clone(),
        files: planned.pieces(),
        bytes: (0..planned.pieces()).map(|piece| planned.bytes_of(piece)).sum(),
    };
    if asked.dry_run {
        return dry_run(&asked, planned, told).await;
    }
    let (planned, identity) = {
        let (mut planned, reading) = (planned, reading.clone());
        blocking(move || {
            let identity = planned.identify(&reading).map_err(failed)?;
            Ok((planned, format!("{identity:032x}")))
        })
        .await??
    };
    let mut checkpoint = begin(work, identity).await?;
    let mut tally = checkpoint.tally.clone().since(checkpoint.since);
    (0..checkpoint.done).for_each(|piece| reading.add(planned.bytes_of(piece)));
    let way = Way::Inside(Routes { inside: work.inside().clone(), reading: reading.clone() });
    for piece in checkpoint.done..planned.pieces() {
        told.tell(piece, &tally);
        let mut sending = Sending {
            way: &way,
            reading,
            now: Timestamp::from_nanos(checkpoint.now),
            prefix: Some(format!("import-job-{}-", work.id())),
            watcher: Sent { work, told: &told, checkpoint: &mut checkpoint },
            tally: &mut tally,
        };
        planned.send(piece, &mut sending).await.map_err(failed)?;
        work.check()?;
        checkpoint.done = piece + 1;
        checkpoint.tally = tally.clone();
        checkpoint.reached = checkpoint.reached.max(tally.batches);
        work.keep(|| json!(checkpoint)).await;
    }
    Ok(summary(&asked, &planned, &tally, false))
}

/// Where the job begins, or goes on. What it is, is stored for sure before a row of it is.
async fn begin(work: &Work, identity: String) -> Result<Checkpoint, Broken> {
    match work.checkpoint() {
        None => {
            let since = work.snapshot().sequence().get();
            let now = clock::now().nanos();
            let tally = Tally::default();
            let kept = Checkpoint { identity, since, now, done: 0, tally, reached: 0 };
            work.keep_for_sure(&json!(kept)).await?;
            Ok(kept)
        }
        Some(kept) => match Checkpoint::deserialize(kept) {
            Ok(kept) if kept.identity == identity => Ok(kept),
            Ok(_) => Err(Broken::Failed(CHANGED.to_owned())),
            Err(_) => Err(Broken::Failed(
                "another version of the server began it, and this one cannot read where it was; \
                 retry the job: what is stored is skipped"
                    .to_owned(),
            )),
        },
    }
}

async fn dry_run(asked: &Asked, planned: import::Import, told: Told) -> Result<Value, Broken> {
    let (planned, tally) = blocking(move || {
        let mut tally = Tally::default();
        let read = planned.dry_run(&told.reading, &mut tally);
        read.map(|()| (planned, tally)).map_err(failed)
    })
    .await??;
    Ok(summary(asked, &planned, &tally, true))
}

fn summary(asked: &Asked, planned: &import::Import, tally: &Tally, dry_run: bool) -> Value {
    let mut summary = json!(tally);
    summary["path"] = json!(asked.path);
    summary["dry_run"] = json!(dry_run);
    summary["files"] = json!(planned.files().len());
    summary["bytes"] = json!(planned.bytes());
    summary["detected"] = json!(planned.describe());
    summary
}
