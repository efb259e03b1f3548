//! Users' tables: defined here, filled by [`Client::ingest_arrow`], asked by [`Client::table`].

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::answer::token;
use crate::batch_id::random_batch_id;
use crate::client::Client;
use crate::error::ClientError;
use crate::facts::path_of;
use crate::query::{Format, TicksQuery};
use crate::stream::{Batches, ByteStream};

/// A column of a table, as it is asked for.
///
/// ```
/// use barrow_client::TableColumn;
///
/// let id = TableColumn::new("id", "text").required();
/// let renamed = TableColumn::new("score", "f64").was("sentiment");
/// assert_eq!(id.nullable, Some(false));
/// assert_eq!(renamed.was.as_deref(), Some("sentiment"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableColumn {
    /// Its name: letters, digits and `_`, a letter first.
    pub name: String,
    /// `f64`, `i64`, `bool`, `text` or `timestamp`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether rows may leave it out; as it was, or yes for a new column, if it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nullable: Option<bool>,
    /// Whether it is kept and no longer shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Its name until now, where it gets another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
}

impl TableColumn {
    /// A column that rows may leave out.
    pub fn new(name: impl Into<String>, kind: impl Into<String>) -> Self {
        Self { name: name.into(), kind: kind.into(), ..Self::default() }
    }

    /// The same, which every row must have.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.nullable = Some(false);
        self
    }

    /// The same, which has had this name until now.
    #[must_use]
    pub fn was(mut self, name: impl Into<String>) -> Self {
        self.was = Some(name.into());
        self
    }
}

/// A table, as it is asked for: all its columns, each time.
///
/// ```
/// use barrow_client::{TableColumn, TableDefinition};
///
/// let news = TableDefinition::new([
///     TableColumn::new("id", "text").required(),
///     TableColumn::new("score", "f64"),
/// ])
/// .key(["ts", "id"])
/// .ignore_extra();
/// assert_eq!(news.extra.as_deref(), Some("ignore"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableDefinition {
    /// Its columns beside `symbol`, `ts`, `known_at` and `source`.
    pub columns: Vec<TableColumn>,
    /// Columns that tell rows of one symbol, source and `ts` apart, `ts` among them or not; rows
    /// are never matched if there are none.
    pub key: Vec<String>,
    /// What becomes of rows with other columns: `reject` (if it is not said) or `ignore`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<String>,
}

impl TableDefinition {
    /// A table with these columns, whose rows are never matched.
    pub fn new(columns: impl IntoIterator<Item = TableColumn>) -> Self {
        Self { columns: columns.into_iter().collect(), ..Self::default() }
    }

    /// The same, with rows told apart by these columns.
    #[must_use]
    pub fn key<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.key = names.into_iter().map(Into::into).collect();
        self
    }

    /// The same, leaving out columns that it does not have.
    #[must_use]
    pub fn ignore_extra(mut self) -> Self {
        self.extra = Some("ignore".to_owned());
        self
    }
}

/// A column of a dataset, as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct DatasetColumn {
    /// Its name.
    pub name: String,
    /// What it holds: `f64`, `i64`, `bool`, `text` or `timestamp`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether rows may leave it out.
    pub nullable: bool,
}

/// A dataset: its columns, and how many rows it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct DatasetDescription {
    /// Its name.
    pub name: String,
    /// `raw`, or `table` if it is a user's.
    #[serde(rename = "type")]
    pub kind: String,
    /// The version of its columns.
    pub version: u64,
    /// The columns that tell rows apart; none if rows are never matched.
    pub key: Vec<String>,
    /// Its columns.
    pub columns: Vec<DatasetColumn>,
    /// Names of columns of a user's table that are kept and not shown.
    #[serde(default)]
    pub hidden: Vec<String>,
    /// `reject` or `ignore`, of a user's table.
    #[serde(default)]
    pub extra: Option<String>,
    /// Stored rows, corrections and retractions among them.
    #[serde(default)]
    pub rows: u64,
    /// The token of the state that this is of.
    #[serde(default, deserialize_with = "token")]
    pub sequence: String,
}

impl Client {
    /// Defines a table, or makes its next version: columns may be added, renamed, widened, made
    /// nullable and hidden. What is as it is asked for stays as it is. `definition` is a
    /// [`TableDefinition`], or a document that says the same. Tried again as rows are.
    ///
    /// ```no_run
    /// # use barrow_client::{Client, ClientError};
    /// # async fn example(client: Client) -> Result<(), ClientError> {
    /// use barrow_client::{TableColumn, TableDefinition};
    ///
    /// let columns = [TableColumn::new("id", "text").required(), TableColumn::new("score", "f64")];
    /// let news = client.put_dataset("news", &TableDefinition::new(columns).key(["id"])).await?;
    /// assert_eq!(news.key, ["symbol", "source", "ts", "id"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 400 naming the field that is wrong, such as
    /// `columns[1].type`; [`ClientError::Conflict`] where stored rows cannot bear the change.
    pub async fn put_dataset(
        &self,
        name: &str,
        definition: &(impl Serialize + ?Sized),
    ) -> Result<DatasetDescription, ClientError> {
        let pairs = [("batch_id", random_batch_id()?)];
        let path = path_of(&["datasets", name]);
        let request = self.request(Method::PUT, &path, &pairs).json(definition);
        self.read_json(request, "put a dataset").await
    }

    /// A dataset's columns, key and version.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 404 for an unknown dataset.
    pub async fn dataset(&self, name: &str) -> Result<DatasetDescription, ClientError> {
        let request = self.request(Method::GET, &path_of(&["datasets", name]), &[]);
        self.read_json(request, "describe a dataset").await
    }

    /// A range of rows of a user's table as record batches, as they come in; of all symbols if the
    /// query names none.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 400 for a parameter the server cannot read, 404 for an
    /// unknown table or symbol.
    pub async fn table(&self, name: &str, query: &TicksQuery) -> Result<Batches, ClientError> {
        Ok(Batches::new(self.table_bytes(name, query, Format::Arrow).await?))
    }

    /// A range of rows of a user's table as the bytes the server writes.
    ///
    /// # Errors
    /// As [`Client::table`].
    pub async fn table_bytes(
        &self,
        name: &str,
        query: &TicksQuery,
        format: Format,
    ) -> Result<ByteStream, ClientError> {
        self.range(&path_of(&["tables", name]), query.pairs(), format, "query a table").await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_says_what_was_said_and_nothing_else() {
        let columns = [
            TableColumn::new("id", "text").required(),
            TableColumn { hidden: true, ..TableColumn::new("old", "i64") },
            TableColumn::new("score", "f64").was("sentiment"),
        ];
        let definition = TableDefinition::new(columns).key(["ts", "id"]);
        let expected = r#"{"columns":[{"name":"id","type":"text","nullable":false},
            {"name":"old","type":"i64","hidden":true},
            {"name":"score","type":"f64","was":"sentiment"}],"key":["ts","id"]}"#;
        let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
        assert_eq!(serde_json::to_value(definition).unwrap(), expected);
    }
}
