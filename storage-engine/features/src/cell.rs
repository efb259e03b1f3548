//! Cells, columns of them, and the rows and columns that bars become.

use barrow_types::Reason;

use crate::operator::Field;

/// How many fields a row of inputs has.
pub const FIELDS: usize = Field::ALL.len();

/// A finite number, or null for a reason.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// +0.0 if it is null; never -0.0, infinite or not a number.
    value: f64,
    reason: u8,
}

impl Cell {
    /// Nothing, for want of slots before.
    pub const WARM_UP: Self = Self::null(Reason::WarmUp);

    /// The number if it is finite, else null, `non_finite`.
    pub fn number(value: f64) -> Self {
        let (value, reason) = settle(value, OK);
        Self { value, reason }
    }

    /// Null. `Reason::Ok` is no reason: the cell would be 0.
    pub const fn null(reason: Reason) -> Self {
        Self { value: 0.0, reason: reason.code() }
    }

    /// Its number if it has one.
    pub fn value(self) -> Option<f64> {
        (self.reason == OK).then_some(self.value)
    }

    /// Why it is null; `Ok` if it is not.
    pub fn reason(self) -> Reason {
        reason_of(self.reason)
    }

    pub(crate) const fn raw(self) -> (f64, u8) {
        (self.value, self.reason)
    }

    pub(crate) const fn from_raw(value: f64, reason: u8) -> Self {
        Self { value, reason }
    }
}

pub(crate) const OK: u8 = Reason::Ok.code();
pub(crate) const WARM_UP: u8 = Reason::WarmUp.code();
pub(crate) const TOO_FEW: u8 = Reason::TooFew.code();
pub(crate) const NON_FINITE: u8 = Reason::NonFinite.code();

/// What a result becomes as a cell, if `reason` is what its arguments say.
#[inline(always)]
pub(crate) fn settle(value: f64, reason: u8) -> (f64, u8) {
    if reason != OK {
        (0.0, reason)
    } else if value.abs() < f64::INFINITY {
        // -0.0 + 0.0 is +0.0.
        (value + 0.0, OK)
    } else {
        (0.0, NON_FINITE)
    }
}

/// The reason with this code.
///
/// # Panics
/// If there is none: codes come from cells, which are made of reasons.
pub(crate) fn reason_of(code: u8) -> Reason {
    *Reason::ALL.get(usize::from(code)).expect("invariant: a cell's code is a reason's")
}

/// Cells, one after the other: numbers and the codes of reasons.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    values: Vec<f64>,
    reasons: Vec<u8>,
}

impl Column {
    /// No cells.
    pub const fn new() -> Self {
        Self { values: Vec::new(), reasons: Vec::new() }
    }

    /// No cells, with room for so many.
    pub fn with_capacity(cells: usize) -> Self {
        Self { values: Vec::with_capacity(cells), reasons: Vec::with_capacity(cells) }
    }

    /// Adds a cell.
    pub fn push(&mut self, cell: Cell) {
        self.values.push(cell.value);
        self.reasons.push(cell.reason);
    }

    /// Adds a cell for each number, as [`Cell::number`] makes it.
    pub fn extend_numbers(&mut self, numbers: impl ExactSizeIterator<Item = f64>) {
        let settled = numbers.map(|number| settle(number, OK));
        self.values.reserve(settled.len());
        self.reasons.reserve(settled.len());
        for (value, reason) in settled {
            self.values.push(value);
            self.reasons.push(reason);
        }
    }

    /// Makes room for so many more cells.
    pub fn reserve(&mut self, cells: usize) {
        self.values.reserve(cells);
        self.reasons.reserve(cells);
    }

    /// How many cells there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The cell at a place.
    ///
    /// # Panics
    /// If the column is not that long.
    pub fn cell(&self, place: usize) -> Cell {
        Cell { value: self.values[place], reason: self.reasons[place] }
    }

    /// The numbers, +0.0 where a cell is null.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The codes of the reasons, 0 where a cell has a number.
    pub fn reasons(&self) -> &[u8] {
        &self.reasons
    }

    /// Cells of these numbers, +0.0 where one is null, and codes of reasons.
    ///
    /// # Panics
    /// If there are not as many of both.
    pub fn from_parts(values: Vec<f64>, reasons: Vec<u8>) -> Self {
        assert_eq!(values.len(), reasons.len(), "a cell is a number and a reason");
        Self { values, reasons }
    }

    /// The numbers and the codes of the reasons.
    pub fn into_parts(self) -> (Vec<f64>, Vec<u8>) {
        (self.values, self.reasons)
    }

    /// Takes the cells from a place on off.
    ///
    /// # Panics
    /// If the column is not that long.
    #[must_use]
    pub fn split_off(&mut self, place: usize) -> Self {
        Self { values: self.values.split_off(place), reasons: self.reasons.split_off(place) }
    }

    /// Removes all cells and keeps their memory.
    pub fn clear(&mut self) {
        self.values.clear();
        self.reasons.clear();
    }

    /// Adds the cells of another column.
    pub fn append(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
        } else {
            self.extend(&other.values, &other.reasons);
        }
    }

    pub(crate) fn extend(&mut self, values: &[f64], reasons: &[u8]) {
        self.values.extend_from_slice(values);
        self.reasons.extend_from_slice(reasons);
    }
}

impl FromIterator<Cell> for Column {
    fn from_iter<I: IntoIterator<Item = Cell>>(cells: I) -> Self {
        let mut column = Self::new();
        cells.into_iter().for_each(|cell| column.push(cell));
        column
    }
}

/// The fields of one slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    cells: [Cell; FIELDS],
}

impl Row {
    /// All fields null for this reason.
    pub const fn null(reason: Reason) -> Self {
        Self { cells: [Cell::null(reason); FIELDS] }
    }

    /// Sets a field.
    pub const fn set(&mut self, field: Field, cell: Cell) {
        self.cells[field.place()] = cell;
    }

    /// A field.
    pub const fn get(&self, field: Field) -> Cell {
        self.cells[field.place()]
    }
}

/// The fields of slots, a column each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    columns: [Column; FIELDS],
}

impl Inputs {
    /// The cells of a field.
    pub const fn column(&self, field: Field) -> &Column {
        &self.columns[field.place()]
    }

    /// The cells of a field, to add to. Fields that no node reads may stay empty.
    pub const fn column_mut(&mut self, field: Field) -> &mut Column {
        &mut self.columns[field.place()]
    }

    /// Adds the slots of others.
    pub fn append(&mut self, others: &Self) {
        for (column, other) in self.columns.iter_mut().zip(&others.columns) {
            column.extend(&other.values, &other.reasons);
        }
    }

    /// Adds a slot to all columns.
    pub fn push(&mut self, row: &Row) {
        for (column, cell) in self.columns.iter_mut().zip(&row.cells) {
            column.push(*cell);
        }
    }
}
