//! Which column of a file is which of a bar, by name and by `--map`.
//!
//! Names are compared in lower case, with spaces, dots and dashes as `_`. Prices are never taken
//! by place where there is a header: files exist with High, Low, Open, Close.

use super::layout::Layout;

/// A column of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Ts,
    Symbol,
    Open,
    High,
    Low,
    Close,
    Volume,
    Vwap,
    Trades,
    KnownAt,
}

impl Role {
    /// Every role, in the order of a bar.
    pub(crate) const ALL: [Self; 10] = [
        Self::Ts,
        Self::Symbol,
        Self::Open,
        Self::High,
        Self::Low,
        Self::Close,
        Self::Volume,
        Self::Vwap,
        Self::Trades,
        Self::KnownAt,
    ];

    /// The name in a bar.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ts => "ts",
            Self::Symbol => "symbol",
            Self::Open => "open",
            Self::High => "high",
            Self::Low => "low",
            Self::Close => "close",
            Self::Volume => "volume",
            Self::Vwap => "vwap",
            Self::Trades => "trades",
            Self::KnownAt => "known_at",
        }
    }

    /// The role of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Whether it is a price.
    pub(crate) const fn is_price(self) -> bool {
        matches!(self, Self::Open | Self::High | Self::Low | Self::Close)
    }

    /// Whether a bar cannot be without it (a symbol may come from elsewhere).
    const fn is_needed(self) -> bool {
        self.is_price() || matches!(self, Self::Ts)
    }

    /// Names files give it, as [`normal`] writes them.
    const fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Ts => &[
                "ts",
                "timestamp",
                "datetime",
                "date",
                "time",
                "t",
                "ts_local",
                "ts_utc",
                "timestamp_utc",
                "datetime_utc",
                "date_utc",
                "time_utc",
                "open_time",
                "date_time",
            ],
            Self::Symbol => &["symbol", "ticker", "name", "sym"],
            Self::Open => &["open", "o"],
            Self::High => &["high", "h"],
            Self::Low => &["low", "l"],
            Self::Close => &["close", "c"],
            Self::Volume => &["volume", "vol", "v"],
            Self::Vwap => &["vwap", "wap", "vw"],
            Self::Trades => &["trades", "count", "n", "trade_count", "number_of_trades"],
            Self::KnownAt => &["known_at"],
        }
    }
}

/// A name as names are compared.
pub(crate) fn normal(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace([' ', '.', '-'], "_")
}

/// `--map ts=Date,open=Open`: a role and the column that fills it; `-` for none.
pub(crate) type Mapping = (Role, String);

/// Reads one `role=column`.
pub(crate) fn parse_mapping(text: &str) -> Result<Mapping, String> {
    let (role, column) = text
        .split_once('=')
        .ok_or_else(|| format!("'{text}': write it as ts=Date, column names after the ="))?;
    let role = Role::parse(role.trim()).ok_or_else(|| {
        let names = Role::ALL.map(Role::name).join(", ");
        format!("'{role}' is no column of bars; there are {names}")
    })?;
    Ok((role, column.trim().to_owned()))
}

/// Which column fills which role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    /// Role and place, in the order of roles.
    pub(crate) of_role: Vec<(Role, usize)>,
    /// Names of columns without use.
    pub(crate) ignored: Vec<String>,
}

impl Columns {
    /// The place of a role.
    pub(crate) fn place(&self, role: Role) -> Option<usize> {
        self.of_role.iter().find(|(found, _)| *found == role).map(|(_, place)| *place)
    }
}

/// Something a person has to say before a file can be loaded: the option, and why.
pub(crate) type Question = (String, String);

/// Names of the columns, in order: from the header, from what is known of the form, or numbers.
pub(crate) fn names(layout: &Layout) -> Vec<String> {
    match (&layout.header, layout.known) {
        (Some(header), _) => header
            .iter()
            .enumerate()
            .map(|(at, name)| if name.is_empty() { (at + 1).to_string() } else { name.clone() })
            .collect(),
        (None, Some(known)) => known.columns().iter().map(|name| (*name).to_owned()).collect(),
        (None, None) => (1..=layout.width).map(|number| number.to_string()).collect(),
    }
}

/// Finds the column of each role. `side` is `bid` or `ask` where the prices are to be taken from
/// the columns of that side (`bid_open`).
pub(crate) fn assign(
    layout: &Layout,
    map: &[Mapping],
    side: Option<&str>,
) -> Result<Columns, Vec<Question>> {
    let names = names(layout);
    let mut questions = Vec::new();
    let mut columns = Columns::default();
    for role in Role::ALL {
        let mapped = map.iter().rev().find(|(found, _)| *found == role);
        let place = match mapped {
            Some((_, column)) if column == "-" => None,
            Some((_, column)) => {
                let place = find(&names, column);
                if place.is_none() {
                    let why = format!("there is no column '{column}'; {}", listed(&names));
                    questions.push((format!("--map {}=COLUMN", role.name()), why));
                    continue;
                }
                place
            }
            None => match by_name(role, &names, side) {
                Ok(place) => place,
                Err(several) => {
                    let why = format!("several columns may be meant: {}", several.join(", "));
                    questions.push((format!("--map {}=COLUMN", role.name()), why));
                    continue;
                }
            },
        };
        let unnamed_first = layout.header.as_ref().is_some_and(|names| names[0].is_empty());
        let place = match (role, place, mapped) {
            (Role::Ts, None, None) if unnamed_first => Some(0),
            _ => place,
        };
        match place {
            Some(place) => columns.of_role.push((role, place)),
            None if role.is_needed() => {
                let why = format!("no column is known to be it; {}", listed(&names));
                questions.push((format!("--map {}=COLUMN", role.name()), why));
            }
            None => {}
        }
    }
    if !questions.is_empty() {
        return Err(questions);
    }
    columns.ignored = names
        .iter()
        .enumerate()
        .filter(|(at, _)| columns.of_role.iter().all(|(_, place)| place != at))
        .map(|(_, name)| name.clone())
        .collect();
    Ok(columns)
}

fn listed(names: &[String]) -> String {
    format!("the columns are {}", names.join(", "))
}

/// The column called `column`: exactly, else by its normal form.
fn find(names: &[String], column: &str) -> Option<usize> {
    let exact = names.iter().position(|name| name == column);
    exact.or_else(|| names.iter().position(|name| normal(name) == normal(column)))
}

/// The one column whose name says that it has this role; the names if there are several.
fn by_name(role: Role, names: &[String], side: Option<&str>) -> Result<Option<usize>, Vec<String>> {
    let wanted: Vec<String> = match side {
        Some(side) if role.is_price() => vec![format!("{side}_{}", role.name())],
        _ => role.aliases().iter().map(|alias| (*alias).to_owned()).collect(),
    };
    let mut found: Vec<usize> =
        (0..names.len()).filter(|at| wanted.contains(&normal(&names[*at]))).collect();
    // A company's name may stand beside its symbol.
    if role == Role::Symbol && found.len() > 1 {
        found.retain(|at| normal(&names[*at]) != "name");
    }
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        several => Err(several.iter().map(|at| names[*at].clone()).collect()),
    }
}

/// Whether the file has bars of both sides of a quote.
pub(crate) fn has_quote_sides(layout: &Layout) -> bool {
    let names: Vec<String> = names(layout).iter().map(|name| normal(name)).collect();
    ["bid_open", "ask_open"].iter().all(|name| names.iter().any(|found| found == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, map: &str, side: Option<&str>, expected: &str) {
        let header: Vec<String> = header.split(',').map(str::to_owned).collect();
        let width = header.len();
        let layout = Layout { separator: ',', header: Some(header), width, known: None };
        let map: Vec<Mapping> = map
            .split(',')
            .filter(|text| !text.is_empty())
            .map(|text| parse_mapping(text).unwrap())
            .collect();
        let got = match assign(&layout, &map, side) {
            Ok(columns) => {
                let roles: Vec<String> = columns
                    .of_role
                    .iter()
                    .map(|(role, place)| format!("{}={place}", role.name()))
                    .collect();
                format!("{} ignored {}", roles.join(" "), columns.ignored.join(","))
            }
            Err(questions) => {
                let texts: Vec<String> =
                    questions.iter().map(|(option, why)| format!("{option}: {why}")).collect();
                texts.join("\n")
            }
        };
        assert_eq!(got.trim_end(), expected);
    }

    #[test]
    fn prices_go_by_their_names_and_not_by_their_places() {
        check(
            "Date,High,Low,Open,Close,Volume,Adj Close,Name",
            "",
            None,
            "ts=0 symbol=7 open=3 high=1 low=2 close=4 volume=5 ignored Adj Close",
        );
        check(
            "Date,Open,High,Low,Close,Volume,Ex-Dividend,Adj. Open,Adj. Close",
            "",
            None,
            "ts=0 open=1 high=2 low=3 close=4 volume=5 ignored Ex-Dividend,Adj. Open,Adj. Close",
        );
    }

    #[test]
    fn a_first_column_without_a_name_is_the_time_unless_another_is() {
        check(",Open,High,Low,Close", "", None, "ts=0 open=1 high=2 low=3 close=4 ignored");
        check(",ts,o,h,l,c,n", "", None, "ts=1 open=2 high=3 low=4 close=5 trades=6 ignored 1");
    }

    #[test]
    fn quotes_give_the_side_that_is_asked_for() {
        check(
            "symbol,ts_local,bid_open,bid_high,bid_low,bid_close,bid_size,\
             ask_open,ask_high,ask_low,ask_close",
            "",
            Some("bid"),
            "ts=1 symbol=0 open=2 high=3 low=4 close=5 ignored \
             bid_size,ask_open,ask_high,ask_low,ask_close",
        );
    }

    #[test]
    fn a_mapping_stands_above_the_names() {
        check(
            "Date,Time,Open,High,Low,Close,Adj Close",
            "ts=Date,close=adj close",
            None,
            "ts=0 open=2 high=3 low=4 close=6 ignored Time,Close",
        );
        check("ts,o,h,l,c,v", "volume=-", None, "ts=0 open=1 high=2 low=3 close=4 ignored v");
    }

    #[test]
    fn what_is_not_clear_is_asked() {
        check(
            "Date,Time,Open,High,Low,Close",
            "",
            None,
            "--map ts=COLUMN: several columns may be meant: Date, Time",
        );
        check(
            "ts,open,high,low,last",
            "",
            None,
            "--map close=COLUMN: no column is known to be it; the columns are ts, open, high, low, \
             last",
        );
        check(
            "ts,open,high,low,close",
            "ts=Datum",
            None,
            "--map ts=COLUMN: there is no column 'Datum'; the columns are ts, open, high, low, \
             close",
        );
        assert!(parse_mapping("price=Open").unwrap_err().contains("no column of bars"));
    }
}
