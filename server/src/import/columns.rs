//! Which column of a file is which of a row, by name and by `--map`; and so which table it is of.
//!
//! Names are compared in lower case, with spaces, dots and dashes as `_`, without a number before
//! them (`1. open`). Prices are never taken by place where there are names: files exist with High,
//! Low, Open, Close.

use barrow_types::PriceSide;

/// A table that files are loaded into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dataset {
    Bars,
    Trades,
    Quotes,
}

impl Dataset {
    /// Every table, in the order in which a file is tried.
    pub(crate) const ALL: [Self; 3] = [Self::Bars, Self::Trades, Self::Quotes];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bars => "bars",
            Self::Trades => "trades",
            Self::Quotes => "quotes",
        }
    }

    /// The table of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dataset| dataset.name() == name)
    }

    /// The columns of its rows, in order.
    pub(crate) const fn roles(self) -> &'static [Role] {
        match self {
            Self::Bars => &[
                Role::Ts,
                Role::Symbol,
                Role::Open,
                Role::High,
                Role::Low,
                Role::Close,
                Role::Volume,
                Role::Vwap,
                Role::Trades,
                Role::KnownAt,
            ],
            Self::Trades => &[
                Role::Ts,
                Role::Symbol,
                Role::Price,
                Role::Size,
                Role::Venue,
                Role::Conditions,
                Role::TradeId,
                Role::KnownAt,
            ],
            Self::Quotes => &[
                Role::Ts,
                Role::Symbol,
                Role::Bid,
                Role::Ask,
                Role::BidSize,
                Role::AskSize,
                Role::Venue,
                Role::Conditions,
                Role::KnownAt,
            ],
        }
    }

    /// The columns that tell it from the others.
    const fn telling(self) -> &'static [Role] {
        match self {
            Self::Bars => &[Role::Open, Role::High, Role::Low, Role::Close],
            Self::Trades => &[Role::Price, Role::Size],
            Self::Quotes => &[Role::Bid, Role::Ask],
        }
    }
}

/// A column of a row.
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
    Price,
    Size,
    Bid,
    Ask,
    BidSize,
    AskSize,
    Venue,
    Conditions,
    TradeId,
    KnownAt,
}

impl Role {
    /// Every role.
    pub(crate) const ALL: [Self; 19] = [
        Self::Ts,
        Self::Symbol,
        Self::Open,
        Self::High,
        Self::Low,
        Self::Close,
        Self::Volume,
        Self::Vwap,
        Self::Trades,
        Self::Price,
        Self::Size,
        Self::Bid,
        Self::Ask,
        Self::BidSize,
        Self::AskSize,
        Self::Venue,
        Self::Conditions,
        Self::TradeId,
        Self::KnownAt,
    ];

    /// The name in a row.
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
            Self::Price => "price",
            Self::Size => "size",
            Self::Bid => "bid",
            Self::Ask => "ask",
            Self::BidSize => "bid_size",
            Self::AskSize => "ask_size",
            Self::Venue => "venue",
            Self::Conditions => "conditions",
            Self::TradeId => "trade_id",
            Self::KnownAt => "known_at",
        }
    }

    /// The role of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Whether it is a price.
    pub(crate) const fn is_price(self) -> bool {
        self.is_bar_price() || matches!(self, Self::Vwap | Self::Price | Self::Bid | Self::Ask)
    }

    /// Whether it is one of the four prices of a bar.
    pub(crate) const fn is_bar_price(self) -> bool {
        matches!(self, Self::Open | Self::High | Self::Low | Self::Close)
    }

    /// Whether a row cannot be without it (a symbol may come from elsewhere; of a quote's sides
    /// one is enough).
    pub(crate) const fn is_needed(self) -> bool {
        self.is_bar_price() || matches!(self, Self::Ts | Self::Price | Self::Size)
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
                "ts_event",
                "dt",
                "index",
            ],
            Self::Symbol => &["symbol", "ticker", "name", "sym"],
            Self::Open => &["open", "o"],
            Self::High => &["high", "h"],
            Self::Low => &["low", "l"],
            Self::Close => &["close", "c"],
            Self::Volume => &["volume", "vol", "v"],
            Self::Vwap => &["vwap", "wap", "vw"],
            Self::Trades => &["trades", "count", "n", "trade_count", "number_of_trades"],
            Self::Price => &["price", "trade_price", "px"],
            Self::Size => {
                &["size", "amount", "quantity", "qty", "volume", "vol", "trade_size", "base_qty"]
            }
            Self::Bid => &["bid", "bid_price", "bidprice", "bid_px"],
            Self::Ask => &["ask", "ask_price", "askprice", "ask_px", "offer", "ofr"],
            Self::BidSize => &["bid_size", "bidsize", "bidsiz", "bid_qty", "bid_amount"],
            Self::AskSize => {
                &["ask_size", "asksize", "asksiz", "ask_qty", "ask_amount", "offer_size", "ofrsiz"]
            }
            Self::Venue => &["venue", "exchange", "ex", "exch"],
            Self::Conditions => {
                &["conditions", "condition", "cond", "sale_condition", "quote_condition", "conds"]
            }
            Self::TradeId => &["trade_id", "tradeid", "id", "tid"],
            Self::KnownAt => &["known_at"],
        }
    }
}

/// A name as names are compared.
pub(crate) fn normal(name: &str) -> String {
    let name = name.trim();
    let unnumbered = name.trim_start_matches(|character: char| character.is_ascii_digit());
    let name = match unnumbered.strip_prefix(". ") {
        Some(rest) if unnumbered.len() < name.len() => rest,
        _ => name,
    };
    name.to_ascii_lowercase().replace([' ', '.', '-'], "_")
}

/// Whether columns of this name are known.
pub(crate) fn is_known_name(name: &str) -> bool {
    let name = normal(name);
    Role::ALL.into_iter().any(|role| role.aliases().contains(&name.as_str()))
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
        format!("'{role}' is no column of bars, trades or quotes; there are {names}")
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
    /// Columns that may be the time as well as the one that was taken.
    pub(crate) other_times: Vec<usize>,
}

impl Columns {
    /// The place of a role.
    pub(crate) fn place(&self, role: Role) -> Option<usize> {
        self.of_role.iter().find(|(found, _)| *found == role).map(|(_, place)| *place)
    }
}

/// Something a person has to say before a file can be loaded: the option, and why.
pub(crate) type Question = (String, String);

/// The columns of a file.
#[derive(Clone, Debug)]
pub(crate) struct Names<'a> {
    /// In order; numbers where there are none.
    pub(crate) names: &'a [String],
    /// Whether the first has no name, though the others have.
    pub(crate) unnamed_first: bool,
}

impl Names<'_> {
    fn has(&self, role: Role, side: Option<PriceSide>) -> bool {
        !by_name(role, self.names, side).is_empty()
    }

    /// The price sides of which the file has all four prices of bars; empty if it has none.
    pub(crate) fn sides(&self) -> Vec<PriceSide> {
        let has = |side: Option<PriceSide>| {
            Dataset::Bars.telling().iter().all(|role| self.has(*role, side))
        };
        let mut sides: Vec<PriceSide> = [PriceSide::Bid, PriceSide::Ask, PriceSide::Mid]
            .into_iter()
            .filter(|side| has(Some(*side)))
            .collect();
        if !sides.is_empty() && has(None) {
            sides.insert(0, PriceSide::Trade);
        }
        sides
    }

    /// The table whose columns these are.
    ///
    /// # Errors
    /// They are those of several, or of none.
    pub(crate) fn dataset(&self, map: &[Mapping]) -> Result<Dataset, Question> {
        let is_mapped =
            |role: Role| map.iter().any(|(found, column)| *found == role && column != "-");
        let fits = |dataset: &Dataset| {
            let mut telling = dataset.telling().iter();
            let is_there = |role: &Role| self.has(*role, None) || is_mapped(*role);
            match dataset {
                Dataset::Bars => telling.all(is_there) || !self.sides().is_empty(),
                Dataset::Trades => telling.all(is_there),
                Dataset::Quotes => telling.any(is_there),
            }
        };
        let fitting: Vec<Dataset> = Dataset::ALL.into_iter().filter(fits).collect();
        let option = "--dataset bars, trades or quotes";
        match fitting.as_slice() {
            // Bars may stand with the last trade or quote beside them.
            [Dataset::Bars, ..] => Ok(Dataset::Bars),
            [one] => Ok(*one),
            [] => {
                let why = format!("no columns of any are known; {}", listed(self.names));
                Err((option.to_owned(), why))
            }
            several => {
                let names: Vec<&str> = several.iter().map(|dataset| dataset.name()).collect();
                let why =
                    format!("it has columns of {}: {}", names.join(" and "), listed(self.names));
                Err((option.to_owned(), why))
            }
        }
    }

    /// Finds the column of each role of `dataset`. `side` is the side whose columns (`bid_open`)
    /// the prices of bars are taken from.
    pub(crate) fn assign(
        &self,
        dataset: Dataset,
        map: &[Mapping],
        side: Option<PriceSide>,
    ) -> Result<Columns, Vec<Question>> {
        let names = self.names;
        let mut questions = Vec::new();
        let mut columns = Columns::default();
        for &role in dataset.roles() {
            let mapped = map.iter().rev().find(|(found, _)| *found == role);
            let place = match mapped {
                Some((_, column)) if column == "-" => None,
                Some((_, column)) => {
                    let place = find(names, column);
                    if place.is_none() {
                        let why = format!("there is no column '{column}'; {}", listed(names));
                        questions.push((format!("--map {}=COLUMN", role.name()), why));
                        continue;
                    }
                    place
                }
                None => match by_name(role, names, side).as_slice() {
                    [] => None,
                    [one] => Some(*one),
                    [first, others @ ..] if role == Role::Ts => {
                        columns.other_times = others.to_vec();
                        Some(*first)
                    }
                    several => {
                        let several: Vec<&str> =
                            several.iter().map(|at| names[*at].as_str()).collect();
                        let why = format!("several columns may be meant: {}", several.join(", "));
                        questions.push((format!("--map {}=COLUMN", role.name()), why));
                        continue;
                    }
                },
            };
            let place = match (role, place, mapped) {
                (Role::Ts, None, None) if self.unnamed_first => Some(0),
                _ => place,
            };
            match place {
                Some(place) => columns.of_role.push((role, place)),
                None if role.is_needed() => {
                    let why = format!("no column is known to be it; {}", listed(names));
                    questions.push((format!("--map {}=COLUMN", role.name()), why));
                }
                None => {}
            }
        }
        if dataset == Dataset::Quotes
            && columns.place(Role::Bid).or(columns.place(Role::Ask)).is_none()
        {
            let why = format!("no column is known to be either; {}", listed(names));
            questions.push(("--map bid=COLUMN,ask=COLUMN".to_owned(), why));
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
}

/// What the columns are, for a person.
pub(crate) fn listed(names: &[String]) -> String {
    format!("the columns are {}", names.join(", "))
}

/// The column called `column`: exactly, else by its normal form.
fn find(names: &[String], column: &str) -> Option<usize> {
    let exact = names.iter().position(|name| name == column);
    exact.or_else(|| names.iter().position(|name| normal(name) == normal(column)))
}

/// The columns whose names say that they have this role.
fn by_name(role: Role, names: &[String], side: Option<PriceSide>) -> Vec<usize> {
    let wanted: Vec<String> = match side {
        Some(side) if role.is_bar_price() && side != PriceSide::Trade => {
            let (side, price) = (side.name(), role.name());
            ["{s}_{p}", "{p}_{s}", "{s}{p}", "{p}{s}"]
                .map(|form| form.replace("{s}", side).replace("{p}", price))
                .to_vec()
        }
        _ => role.aliases().iter().map(|alias| (*alias).to_owned()).collect(),
    };
    let mut found: Vec<usize> =
        (0..names.len()).filter(|at| wanted.contains(&normal(&names[*at]))).collect();
    // A company's name may stand beside its symbol, and an index beside the time.
    let weak = match role {
        Role::Symbol => "name",
        Role::Ts => "index",
        _ => return found,
    };
    if found.len() > 1 {
        found.retain(|at| normal(&names[*at]) != weak);
    }
    found
}

#[cfg(test)]
mod tests;
