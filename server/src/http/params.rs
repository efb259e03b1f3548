//! The parameters of a request: each known by name, none given twice, none silently left out.

use barrow_types::{Align, PriceSide, SessionSet, Source, Step, Symbol};

use super::error::{Code, Problem};
use super::openapi::Operation;

/// The parameters of one request.
#[derive(Debug)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// The parameters in `query`, the part of a target after `?`, as the operation declares them.
    ///
    /// # Errors
    /// One is unknown, not built, given twice or not UTF-8; the problem names it.
    pub(crate) fn parse(query: Option<&str>, of: &Operation) -> Result<Self, Problem> {
        let fields = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self::of(fields.map(|(name, value)| (name.into_owned(), value.into_owned())), of)
    }

    /// The parameters of these names and values.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(crate) fn of(
        fields: impl IntoIterator<Item = (String, String)>,
        of: &Operation,
    ) -> Result<Self, Problem> {
        let mut params: Vec<(String, String)> = Vec::new();
        for (name, value) in fields {
            if of.not_built.contains(&name.as_str()) {
                let detail = format!("{name} is not available in this version");
                return Err(Problem::not_available(&name, detail));
            }
            if !of.reads(&name) {
                let detail = format!("{name}: there is no such parameter here");
                return Err(Problem::new(Code::UnknownParameter, detail).about(name));
            }
            if params.iter().any(|(other, _)| *other == name) {
                return Err(Problem::parameter(&name, "is given twice"));
            }
            if value.contains('\u{FFFD}') {
                return Err(Problem::parameter(&name, "is not UTF-8"));
            }
            params.push((name, value));
        }
        Ok(Self(params))
    }

    /// The value of `name`; an empty one counts as left out.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(other, value)| other == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// The value of `name`, which must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Problem> {
        self.get(name).ok_or_else(|| Problem::parameter(name, "is missing"))
    }

    /// The value of `name` read by `read`.
    pub(crate) fn read<T, E: std::fmt::Display>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Problem> {
        self.get(name)
            .map(|value| read(value).map_err(|fault| Problem::parameter(name, fault)))
            .transpose()
    }

    /// A whole number.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<u64>, Problem> {
        self.read(name, |value| {
            value.parse().map_err(|_| format!("'{value}' is not a whole number"))
        })
    }

    /// `true` or `false`; false if it is left out.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        let flag = self.read(name, |value| {
            value.parse().map_err(|_| format!("'{value}' is neither true nor false"))
        });
        Ok(flag?.unwrap_or(false))
    }

    /// The length of bars: `1m`, `1d`.
    pub(crate) fn step(&self, name: &str) -> Result<Option<Step>, Problem> {
        self.read(name, |value| {
            Step::parse(value).filter(|step| *step != Step::Tick).ok_or_else(|| {
                let steps: Vec<_> = Step::ALL[1..].iter().map(|step| step.name()).collect();
                format!("'{value}' is not one of {}", steps.join(", "))
            })
        })
    }

    /// The price side, if one is named.
    pub(crate) fn side(&self) -> Result<Option<PriceSide>, Problem> {
        self.read("price", side)
    }

    /// The list of price sides, if there is one: none twice.
    pub(crate) fn sides(&self) -> Result<Option<Vec<PriceSide>>, Problem> {
        self.read("price", |list| {
            let mut sides = Vec::new();
            for name in list.split(',') {
                let side = side(name)?;
                if sides.contains(&side) {
                    return Err(format!("'{name}' is named twice"));
                }
                sides.push(side);
            }
            Ok(sides)
        })
    }

    /// The source, if one is named.
    pub(crate) fn source(&self) -> Result<Option<Source>, Problem> {
        self.read("source", Source::new)
    }

    /// The hours of a session, if they are named.
    pub(crate) fn session(&self) -> Result<Option<SessionSet>, Problem> {
        self.read("session", |name| {
            let all = SessionSet::ALL.map(SessionSet::name).join(", ");
            SessionSet::parse(name).ok_or_else(|| format!("'{name}' is not one of {all}"))
        })
    }

    /// Where bars begin, if it is named.
    pub(crate) fn align(&self) -> Result<Option<Align>, Problem> {
        self.read("align", |name| {
            let all = Align::ALL.map(Align::name).join(", ");
            Align::parse(name).ok_or_else(|| format!("'{name}' is not one of {all}"))
        })
    }

    /// The list of symbols: at least one, none twice.
    pub(crate) fn symbols(&self) -> Result<Vec<Symbol>, Problem> {
        let mut symbols: Vec<Symbol> = Vec::new();
        for name in self.required("symbols")?.split(',') {
            let symbol = Symbol::new(name)
                .map_err(|fault| Problem::parameter("symbols", format!("{name:?} {fault}")))?;
            if symbols.contains(&symbol) {
                return Err(Problem::parameter("symbols", format!("'{name}' is named twice")));
            }
            symbols.push(symbol);
        }
        Ok(symbols)
    }
}

fn side(name: &str) -> Result<PriceSide, String> {
    PriceSide::parse(name).ok_or_else(|| format!("'{name}' is not one of trade, bid, ask, mid"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::openapi::{Param, Type};

    const fn text(name: &'static str) -> Param {
        Param::new(name, Type::Text, "")
    }

    static KNOWN: Operation = Operation {
        query: &[text("symbols"), text("limit"), text("price"), text("frequency"), text("atomic")],
        not_built: &["covers"],
        ..Operation::GET
    };

    fn fault(query: &str) -> Problem {
        let read = || {
            let params = Params::parse(Some(query), &KNOWN)?;
            params.symbols()?;
            params.integer("limit")?;
            params.sides()?;
            params.side()?;
            params.step("frequency")?;
            params.flag("atomic")
        };
        read().unwrap_err()
    }

    #[test]
    fn every_fault_names_its_parameter() {
        for (query, code, field) in [
            ("symbols=A&colour=red", Code::UnknownParameter, "colour"),
            ("symbols=A&covers=x", Code::NotAvailable, "covers"),
            ("symbols=A&symbols=B", Code::InvalidParameter, "symbols"),
            ("symbols=A,A", Code::InvalidParameter, "symbols"),
            ("symbols=A,", Code::InvalidParameter, "symbols"),
            ("symbols=", Code::InvalidParameter, "symbols"),
            ("", Code::InvalidParameter, "symbols"),
            ("symbols=..%2Fetc", Code::InvalidParameter, "symbols"),
            ("symbols=A%00B", Code::InvalidParameter, "symbols"),
            ("symbols=A%FF", Code::InvalidParameter, "symbols"),
            ("symbols=A&limit=-1", Code::InvalidParameter, "limit"),
            ("symbols=A&price=last", Code::InvalidParameter, "price"),
            ("symbols=A&price=bid,bid", Code::InvalidParameter, "price"),
            ("symbols=A&price=bid,", Code::InvalidParameter, "price"),
            ("symbols=A&frequency=2m", Code::InvalidParameter, "frequency"),
            ("symbols=A&frequency=tick", Code::InvalidParameter, "frequency"),
            ("symbols=A&atomic=yes", Code::InvalidParameter, "atomic"),
        ] {
            let problem = fault(query);
            assert_eq!((problem.code, problem.field.as_deref()), (code, Some(field)), "{query}");
        }
    }

    #[test]
    fn names_keep_their_spaces_and_slashes() {
        let params = Params::parse(Some("symbols=ES++230317,EUR%2FUSD"), &KNOWN).unwrap();
        let symbols: Vec<_> = params.symbols().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(symbols, ["ES  230317", "EUR/USD"]);
    }
}
