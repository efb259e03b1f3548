//! Which data somebody asks about.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use barrow_engine::dataset::Schema;
use barrow_engine::report::QualityQuery;
use barrow_engine::{Reference, Snapshot};
use barrow_types::{
    Align, DAY_NANOS, DatasetId, PriceSide, Sequence, SessionSet, Source, Step, Symbol, Timestamp,
};

use super::super::error::{Code, Problem};
use super::super::ingest::check_sides;
use super::super::params::Params;
use super::super::time::{When, parse_parameter, parse_when};

/// See the module.
pub(crate) struct Asked {
    /// The dataset.
    pub(crate) schema: &'static Schema,
    symbols: Option<Vec<Symbol>>,
    step: Option<Step>,
    side: Option<PriceSide>,
    source: Option<Source>,
    /// Session dates; as [`QualityQuery::dates`].
    pub(crate) dates: Range<i32>,
    session: SessionSet,
    align: Option<Align>,
    /// Only what was known then.
    pub(crate) as_of: Option<Timestamp>,
    /// Only what was held then.
    pub(crate) at_sequence: Option<Sequence>,
    /// What ends later is not due.
    pub(crate) due: Timestamp,
}

/// The instruments that are looked at at one step and price side.
pub(crate) struct Group {
    /// The question.
    pub(crate) query: QualityQuery,
    /// Places of the instruments in [`Groups::names`].
    pub(crate) names: Vec<usize>,
}

/// All that is looked at.
pub(crate) struct Groups {
    /// What the instruments are called: as asked, or their ids.
    pub(crate) names: Vec<String>,
    /// By step and price side.
    pub(crate) groups: Vec<Group>,
    /// What a person should know.
    pub(crate) warnings: Vec<String>,
}

impl Asked {
    /// The parameters but for the dates; `now` is the time of the request.
    pub(crate) fn read(
        schema: &'static Schema,
        params: &Params,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let is_bars = schema.dataset == DatasetId::BARS;
        let step = params.step("frequency")?;
        if !is_bars && step.is_some() {
            let fault = format!("is the length of bars; {} have none: leave it out", schema.name);
            return Err(Problem::parameter("frequency", fault));
        }
        let side = params.side()?;
        check_sides(schema, side.as_slice())?;
        let as_of = params.read("as_of", parse_parameter)?;
        Ok(Self {
            schema,
            symbols: params.get("symbols").map(|_| params.symbols()).transpose()?,
            step: if is_bars { step } else { Some(Step::Tick) },
            side: if is_bars { side } else { Some(PriceSide::Trade) },
            source: params.source()?,
            dates: i32::MIN..i32::MAX,
            session: params.session()?.unwrap_or_default(),
            align: params.align()?,
            as_of,
            at_sequence: params.integer("at_sequence")?.map(Sequence::new),
            due: as_of.unwrap_or(now),
        })
    }

    /// Makes the due time that of the record that is asked for, if no time is.
    pub(crate) fn fix_due(&mut self, snapshot: &Snapshot) -> Result<(), Problem> {
        if let (None, Some(sequence)) = (self.as_of, self.at_sequence) {
            self.due = snapshot.now_at(sequence).map_err(|error| Problem::read(&error))?;
        }
        Ok(())
    }

    /// The last record that counts.
    pub(crate) fn sequence(&self, snapshot: &Snapshot) -> u64 {
        self.at_sequence.unwrap_or(Sequence::MAX).min(snapshot.sequence()).get()
    }

    /// Finds the instruments.
    ///
    /// # Errors
    /// Nobody has delivered anything of any of the symbols.
    pub(crate) fn groups(&self, snapshot: &Snapshot) -> Result<Groups, Problem> {
        let failed = |error| Problem::read(&error);
        let reference = Reference::at(snapshot, self.as_of, self.at_sequence).map_err(failed)?;
        let source = self.source.as_ref().map(Source::as_str);
        let mut known =
            snapshot.instruments_by_step(&reference, self.schema.dataset, source, self.at_sequence);
        known.retain(|(step, side), _| {
            self.step.is_none_or(|own| own == *step) && self.side.is_none_or(|own| own == *side)
        });
        match &self.symbols {
            Some(symbols) => self.of_symbols(symbols, &reference, &known),
            None => Ok(self.of_all(&reference, known)),
        }
    }

    fn of_symbols(
        &self,
        symbols: &[Symbol],
        reference: &Reference,
        known: &BTreeMap<(Step, PriceSide), BTreeSet<Arc<str>>>,
    ) -> Result<Groups, Problem> {
        let end = i64::from(self.dates.end).saturating_mul(DAY_NANOS);
        let end = Timestamp::from_nanos(end);
        let name = self.schema.name;
        let instrument = |symbol: &Symbol| reference.instrument(name, symbol.as_str(), end);
        let instruments: Vec<Arc<str>> = symbols.iter().map(instrument).collect();
        let is_known: Vec<bool> = instruments
            .iter()
            .map(|instrument| known.values().any(|all| all.contains(instrument)))
            .collect();
        let of = match self.step {
            Some(step) if step != Step::Tick => format!("{} bars", step.name()),
            _ => self.schema.name.to_owned(),
        };
        let from = self.source.as_ref().map_or(String::new(), |source| format!(" from {source}"));
        let warnings = symbols.iter().zip(&is_known).filter(|(_, is_known)| !**is_known);
        let warnings: Vec<String> = warnings
            .map(|(symbol, _)| format!("{symbol}: no source has delivered {of} of it{from}"))
            .collect();
        if !is_known.contains(&true) {
            let detail = format!("symbols: {}", warnings.join("; "));
            return Err(Problem::new(Code::NotFound, detail).about("symbols"));
        }
        let groups = known.iter().filter_map(|((step, side), all)| {
            let has_any = instruments.iter().any(|instrument| all.contains(instrument));
            // One that there is nothing of is missing everywhere.
            let is_of = |place: &usize| {
                self.step.is_some() || !is_known[*place] || all.contains(&instruments[*place])
            };
            let names: Vec<usize> = (0..symbols.len()).filter(is_of).collect();
            let own = names.iter().map(|place| Arc::clone(&instruments[*place])).collect();
            has_any.then(|| Group { query: self.query(*step, *side, own), names })
        });
        Ok(Groups {
            groups: groups.collect(),
            names: symbols.iter().map(ToString::to_string).collect(),
            warnings,
        })
    }

    /// Every instrument there is, and at a step that is named those that are listed.
    fn of_all(
        &self,
        reference: &Reference,
        mut known: BTreeMap<(Step, PriceSide), BTreeSet<Arc<str>>>,
    ) -> Groups {
        let is_listed = |instrument: &&str| {
            reference.attribute_at(instrument, "listed", self.due) == Some("true")
        };
        if self.step.is_some_and(|step| step != Step::Tick) {
            for all in known.values_mut() {
                all.extend(reference.instruments().into_iter().filter(is_listed).map(Arc::from));
            }
        }
        let every: BTreeSet<Arc<str>> = known.values().flatten().cloned().collect();
        let every: Vec<Arc<str>> = every.into_iter().collect();
        let groups = known.into_iter().map(|((step, side), all)| {
            let place = |instrument: &Arc<str>| {
                every.binary_search(instrument).expect("invariant: it is one of them")
            };
            let names = all.iter().map(place).collect();
            Group { query: self.query(step, side, all.into_iter().collect()), names }
        });
        let groups: Vec<Group> = groups.collect();
        let mut warnings = Vec::new();
        if groups.is_empty() {
            warnings.push(format!("there are no {} of that kind", self.schema.name));
        }
        Groups { groups, names: every.iter().map(ToString::to_string).collect(), warnings }
    }

    fn query(&self, step: Step, side: PriceSide, instruments: Vec<Arc<str>>) -> QualityQuery {
        QualityQuery {
            dataset: self.schema.dataset,
            instruments,
            named: self.symbols.is_some(),
            step,
            side,
            source: self.source.as_ref().map(ToString::to_string),
            dates: self.dates.clone(),
            session: self.session,
            align: self.align,
            as_of: self.as_of,
            at_sequence: self.at_sequence,
            due: self.due,
        }
    }
}

/// A parameter that is a bare date.
pub(crate) fn date(params: &Params, name: &str) -> Result<Option<i32>, Problem> {
    params.read(name, |text| match parse_when(text) {
        Ok(When::Date(date)) => Ok(date),
        _ => Err(format!("'{text}' is not a date: write 2013-10-07")),
    })
}

/// `start_date` and `end_date`: the dates from the one on and before the other.
pub(crate) fn dates(params: &Params) -> Result<(Option<i32>, Option<i32>), Problem> {
    let dates = (date(params, "start_date")?, date(params, "end_date")?);
    if let (Some(start), Some(end)) = dates
        && start >= end
    {
        let fault = "does not lie after start_date; it is the first date that is not asked for";
        return Err(Problem::parameter("end_date", fault));
    }
    Ok(dates)
}
