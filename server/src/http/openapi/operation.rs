//! What a route does, declared once beside its handler: the names of its parameters are checked
//! by it, the router serves it, and the document shows it.

use axum::routing::MethodFilter;
use barrow_engine::dataset::{BARS, QUOTES, Schema, TRADES};

use super::super::columns::Out;
use super::super::error::Code;
use super::super::features::{columns_of, with_age};
use super::shape::{Shape, Type};

/// A parameter.
#[derive(Clone, Copy)]
pub(crate) struct Param {
    /// Its name.
    pub(crate) name: &'static str,
    /// What its value is.
    pub(super) of: Type,
    /// Whether it must be there.
    pub(super) is_required: bool,
    /// What holds if it is left out, as JSON.
    pub(super) default: Option<&'static str>,
    /// What it means.
    pub(super) about: &'static str,
}

impl Param {
    /// One that may be left out.
    pub(crate) const fn new(name: &'static str, of: Type, about: &'static str) -> Self {
        Self { name, of, is_required: false, default: None, about }
    }

    /// The same, but it must be there.
    pub(crate) const fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    /// The same, with what holds if it is left out, as JSON.
    pub(crate) const fn or(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    /// The same, a whole number between two others, these included.
    pub(crate) const fn within(self, min: u64, max: u64) -> Self {
        Self { of: Type::Within(min, max), ..self }
    }

    /// The same parameter, which means something more special.
    pub(crate) const fn meaning(self, about: &'static str) -> Self {
        Self { about, ..self }
    }
}

/// The method of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Asks.
    Get,
    /// Does, or adds.
    Post,
    /// States.
    Put,
    /// Takes back.
    Delete,
}

impl Verb {
    /// Its name in the document.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Delete => "delete",
        }
    }

    /// What the router matches; a GET answers HEAD too.
    pub(crate) const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// What operations are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// Rows out.
    Data,
    /// Rows in, and what became of them.
    Ingestion,
    /// Cells of features, and their definitions.
    Features,
    /// Which datasets there are.
    Datasets,
    /// Gaps, quality and health.
    Quality,
    /// What the curated layer goes by.
    Reference,
    /// Long work.
    Jobs,
    /// The server itself.
    Server,
}

impl Tag {
    /// All, in the order in which they are shown.
    pub(super) const ALL: [Self; 8] = [
        Self::Data,
        Self::Ingestion,
        Self::Features,
        Self::Datasets,
        Self::Quality,
        Self::Reference,
        Self::Jobs,
        Self::Server,
    ];

    /// Its name, and what it holds.
    pub(super) const fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::Data => ("Market data", "Ranges and latest rows of bars, trades, quotes, tables"),
            Self::Ingestion => ("Ingestion", "Rows in, retractions, claims, dead letters"),
            Self::Features => ("Features", "Groups of features, their history and newest values"),
            Self::Datasets => ("Datasets", "Which datasets there are; tables of one's own"),
            Self::Quality => ("Quality", "What is missing, what is wrong, and whether it matters"),
            Self::Reference => ("Reference data", "Instruments, calendars, sources, rules, halts"),
            Self::Jobs => ("Jobs", "Long work: started, watched, ended"),
            Self::Server => ("Server", "Liveness, metrics, this document"),
        }
    }
}

/// A body in one format.
pub(crate) struct Format {
    /// Its `Content-Type`.
    pub(crate) media_type: &'static str,
    /// What it holds; binary formats have no schema.
    pub(crate) of: Option<Type>,
}

impl Format {
    /// JSON.
    pub(crate) const fn json(of: Type) -> Self {
        Self { media_type: "application/json", of: Some(of) }
    }
}

/// The body of a request.
pub(crate) struct Body {
    /// What it is.
    pub(crate) about: &'static str,
    /// Whether it must be there.
    pub(crate) is_required: bool,
    /// In which formats it may come.
    pub(crate) formats: &'static [Format],
}

/// Columns of a table, as (name, type): see [`super::super::table::table`].
pub(crate) type Columns = &'static [(&'static str, &'static str)];

/// A good answer.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// None: it is not built.
    Never,
    /// A text.
    Text,
    /// A page.
    Page,
    /// Metrics.
    Metrics,
    /// Any JSON.
    Document,
    /// Events as they come.
    Events,
    /// An object.
    Json(&'static Shape),
    /// A table in any format.
    Table(Columns),
    /// An object, or in other formats a table.
    Report(&'static Shape),
    /// Rows in any format, a page of them or all.
    Rows(Rows),
}

/// Which columns rows of an answer may have.
#[derive(Clone, Copy)]
pub(crate) enum Rows {
    /// Bars of either layer.
    Bars,
    /// The latest bars of either layer.
    LatestBars,
    /// Trades.
    Trades,
    /// Quotes.
    Quotes,
    /// Rows of a table: its own columns, and these.
    Table,
    /// Features: those that are asked for, and these.
    Features,
}

impl Rows {
    /// The columns that are known before anybody asks.
    pub(super) fn columns(self) -> Vec<Out> {
        let of = |schema: &'static Schema| Out::of_sides(schema, true);
        match self {
            Self::Bars => [of(&BARS), Out::of_curated(&BARS)].concat(),
            Self::LatestBars => [Out::of_latest(&BARS), Out::of_curated(&BARS)].concat(),
            Self::Trades => Out::of_range(&TRADES, true),
            Self::Quotes => Out::of_range(&QUOTES, true),
            Self::Table => {
                let all = Out::of_range(&TRADES, true).into_iter();
                all.filter(|column| !matches!(column, Out::User(..))).collect()
            }
            Self::Features => [with_age(columns_of(0, false)), vec![Out::Asked]].concat(),
        }
    }

    /// Whether there may be others.
    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::Table | Self::Features)
    }
}

/// What a route does.
pub(crate) struct Operation {
    /// Its name, one of its own.
    pub(crate) id: &'static str,
    /// Its method.
    pub(crate) verb: Verb,
    /// What it belongs to.
    pub(crate) tag: Tag,
    /// What it does, in a line.
    pub(crate) summary: &'static str,
    /// What is to be known beyond that.
    pub(crate) about: &'static str,
    /// The parameters in its path.
    pub(crate) path: &'static [Param],
    /// The parameters that it reads.
    pub(crate) query: &'static [Param],
    /// Those that the contract names and this build does not have.
    pub(crate) not_built: &'static [&'static str],
    /// Headers that it reads, beside those of all.
    pub(crate) headers: &'static [Param],
    /// Its body, if it reads one.
    pub(crate) body: Option<Body>,
    /// What it answers if all is well.
    pub(crate) answer: Answer,
    /// What it answers else, beside what all do.
    pub(crate) problems: &'static [&'static [Code]],
    /// A target that works on the data of `barrow demo`, and a body; empty where there is none.
    pub(crate) example: (&'static str, &'static str),
}

/// What may happen to whoever reads the store.
pub(crate) const READS: &[Code] = &[Code::Storage, Code::BelowRetention];
/// What may happen to whoever writes to it.
pub(crate) const WRITES: &[Code] =
    &[Code::Storage, Code::Conflict, Code::Stopping, Code::IntakeStopped, Code::Full];
/// What is asked for may not be there.
pub(crate) const FINDS: &[Code] = &[Code::NotFound];
/// Every row may be turned away.
pub(crate) const JUDGES: &[Code] = &[Code::EveryRowRejected];
/// A sequence may not be there yet.
pub(crate) const WAITS: &[Code] = &[Code::SequenceNotReached];

impl Operation {
    /// A question about the store.
    pub(crate) const GET: Self = Self {
        id: "",
        verb: Verb::Get,
        tag: Tag::Server,
        summary: "",
        about: "",
        path: &[],
        query: &[],
        not_built: &[],
        headers: &[],
        body: None,
        answer: Answer::Document,
        problems: &[READS],
        example: ("", ""),
    };

    /// A statement.
    pub(crate) const PUT: Self = Self { verb: Verb::Put, problems: &[READS, WRITES], ..Self::GET };

    /// Whether it reads a parameter of that name.
    pub(crate) fn reads(&self, name: &str) -> bool {
        self.query.iter().any(|param| param.name == name)
    }
}
