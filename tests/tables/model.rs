//! What a user's table must answer, in plain maps: rows by the numbers of their columns, and the
//! versions of the table. Written from `docs/TABLES.md` alone.

use std::collections::BTreeMap;

use barrow_engine::dataset::ValueType;

/// A value. A whole number that a double holds is that double, so that a value is the same before
/// and after its column was widened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    /// The bits of a double.
    Number(u64),
    /// A whole number that no double is.
    Large(i64),
    /// A text.
    Text(String),
}

impl Value {
    /// A whole number.
    pub(crate) fn whole(number: i64) -> Self {
        const EXACT: i64 = 1 << 53;
        if (-EXACT..=EXACT).contains(&number) {
            #[expect(clippy::cast_precision_loss, reason = "within 2^53")]
            Self::Number((number as f64).to_bits())
        } else {
            Self::Large(number)
        }
    }
}

/// Values by the number of their column; what is not there is null.
pub(crate) type Values = BTreeMap<u16, Value>;

/// A column of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) holds: ValueType,
    pub(crate) nullable: bool,
    pub(crate) hidden: bool,
}

/// A row as it is sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) symbol: usize,
    pub(crate) ts: i64,
    pub(crate) known_at: Option<i64>,
    pub(crate) values: Values,
}

/// A row that is stored.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) symbol: usize,
    pub(crate) ts: i64,
    pub(crate) known_at: i64,
    pub(crate) sequence: u64,
    pub(crate) place: usize,
    pub(crate) retract: bool,
    pub(crate) values: Values,
}

impl Stored {
    fn rank(&self) -> (i64, u64, usize) {
        (self.known_at, self.sequence, self.place)
    }

    fn is_known(&self, as_of: i64, at_sequence: u64) -> bool {
        self.known_at <= as_of && self.sequence <= at_sequence
    }
}

/// Accepted, duplicates, corrected, superseded, rejected.
pub(crate) type Counts = [u64; 5];

/// Places in [`Counts`].
const ACCEPTED: usize = 0;
const DUPLICATE: usize = 1;
const CORRECTED: usize = 2;
const SUPERSEDED: usize = 3;
const REJECTED: usize = 4;

/// A table.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// The columns that tell rows of one symbol and `ts` apart; `None`: rows are never matched.
    pub(crate) key: Option<Vec<u16>>,
    /// Since which record, and the columns by their numbers from 1 on.
    pub(crate) versions: Vec<(u64, Vec<Column>)>,
    pub(crate) rows: Vec<Stored>,
    /// Since which record no question is answered about an earlier time and record.
    pub(crate) floors: Vec<(u64, (i64, u64))>,
}

impl Table {
    /// The first T and N that questions may have which are put at a record.
    pub(crate) fn floor_at(&self, at_sequence: u64) -> (i64, u64) {
        let set = self.floors.iter().rev().find(|(since, _)| *since <= at_sequence);
        set.map_or((i64::MIN, 0), |(_, floor)| *floor)
    }

    /// The columns of the newest version.
    pub(crate) fn columns(&self) -> &[Column] {
        &self.versions.last().expect("a table has a version").1
    }

    /// The columns of the version that was the newest at a record; the first if there was none.
    pub(crate) fn columns_at(&self, at_sequence: u64) -> &[Column] {
        let known = self.versions.iter().rev().find(|(since, _)| *since <= at_sequence);
        &known.unwrap_or(&self.versions[0]).1
    }

    fn key_of(&self, values: &Values) -> Option<Vec<Option<Value>>> {
        let ids = self.key.as_ref()?;
        Some(ids.iter().map(|id| values.get(id).cloned()).collect())
    }

    /// The visible rows of a symbol at (T, N), by time and rank.
    pub(crate) fn visible(&self, symbol: usize, as_of: i64, at_sequence: u64) -> Vec<&Stored> {
        let of_symbol = self.rows.iter().filter(|row| row.symbol == symbol);
        let mut known: Vec<&Stored> =
            of_symbol.filter(|row| row.is_known(as_of, at_sequence)).collect();
        let mut visible: Vec<&Stored> = Vec::new();
        if self.key.is_some() {
            known.sort_by_key(|row| row.rank());
            let mut winners = BTreeMap::new();
            for row in known {
                winners.insert((row.ts, self.key_of(&row.values)), row);
            }
            visible.extend(winners.into_values().filter(|row| !row.retract));
        } else {
            known.sort_by_key(|row| (row.sequence, row.known_at, row.place));
            let mut alike: BTreeMap<(i64, &Values), Vec<&Stored>> = BTreeMap::new();
            for row in known {
                let open = alike.entry((row.ts, &row.values)).or_default();
                if row.retract {
                    open.pop();
                } else {
                    open.push(row);
                }
            }
            visible.extend(alike.into_values().flatten());
        }
        visible.sort_by_key(|row| (row.ts, row.rank()));
        visible
    }

    /// Every row of a symbol that was known, by time and rank.
    pub(crate) fn all(&self, symbol: usize, as_of: i64, at_sequence: u64) -> Vec<&Stored> {
        let of_symbol = self.rows.iter().filter(|row| row.symbol == symbol);
        let mut known: Vec<&Stored> =
            of_symbol.filter(|row| row.is_known(as_of, at_sequence)).collect();
        known.sort_by_key(|row| (row.ts, row.rank()));
        known
    }

    /// Stores the rows of a batch; what became of them.
    pub(crate) fn apply(
        &mut self,
        rows: &[Sent],
        retract: bool,
        (sequence, now): (u64, i64),
    ) -> Counts {
        let mut counts = [0; 5];
        for (place, row) in rows.iter().enumerate() {
            let outcome = self.apply_one(row, place, retract, (sequence, now));
            counts[outcome] += 1;
        }
        counts
    }

    fn apply_one(
        &mut self,
        row: &Sent,
        place: usize,
        retract: bool,
        (sequence, now): (u64, i64),
    ) -> usize {
        let lacks = |(at, column): (usize, &Column)| {
            let id = u16::try_from(at + 1).expect("few columns");
            !column.nullable && !row.values.contains_key(&id)
        };
        if !retract && self.columns().iter().enumerate().any(lacks) {
            return REJECTED;
        }
        let known_at = row.known_at.unwrap_or(now);
        let (symbol, ts) = (row.symbol, row.ts);
        let values = row.values.clone();
        let stored = Stored { symbol, ts, known_at, sequence, place, retract, values };
        let Some(key) = self.key_of(&row.values) else {
            let is_it = |other: &&Stored| other.ts == ts && other.values == row.values;
            let there = self.visible(symbol, i64::MAX, u64::MAX).iter().any(is_it);
            if retract && !there {
                return REJECTED;
            }
            self.rows.push(stored);
            return ACCEPTED;
        };
        let versions = self.rows.iter().filter(|other| {
            (other.symbol, other.ts) == (symbol, ts)
                && self.key_of(&other.values).as_ref() == Some(&key)
        });
        let versions: Vec<&Stored> = versions.collect();
        let newest = versions.iter().max_by_key(|other| other.rank());
        let is_there = newest.is_some_and(|newest| !newest.retract);
        if retract {
            if !is_there {
                return REJECTED;
            }
            self.rows.push(stored);
            return ACCEPTED;
        }
        let before = versions.iter().filter(|other| other.known_at <= known_at);
        let before = before.max_by_key(|other| other.rank()).filter(|other| !other.retract);
        // Below the floor it is compared with none where another stands above it by then.
        let floor = self.floor_at(u64::MAX).0;
        let is_seen =
            !versions.iter().any(|other| other.known_at > known_at && other.known_at <= floor);
        if is_seen && before.is_some_and(|other| other.values == row.values) {
            return DUPLICATE;
        }
        let loses = newest.is_some_and(|newest| newest.rank() > stored.rank());
        self.rows.push(stored);
        match (loses, is_there) {
            (true, _) => SUPERSEDED,
            (false, true) => CORRECTED,
            (false, false) => ACCEPTED,
        }
    }
}
