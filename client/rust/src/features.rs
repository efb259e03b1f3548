//! Groups of features: put, promoted, described, checked; their cells over a range, now, then, and
//! beside rows of one's own.
//!
//! A group is named `NAME`, which is its promoted version, or `NAME@VERSION`. A cell belongs to a
//! slot: `ts` is its start, `ts_end` its end, `available_at` when all of it could be had, all
//! nanoseconds UTC. A cell without a value is null, and why is its `reason`.

mod info;
mod query;

use arrow::record_batch::RecordBatch;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::batch_id::random_batch_id;
use crate::client::{ARROW_STREAM, Client};
use crate::error::ClientError;
use crate::facts::path_of;
use crate::ingest::arrow_body;
use crate::query::Format;
use crate::stream::{Batches, ByteStream};

pub use info::{
    FeatureChanges, FeatureClass, FeatureGroup, FeatureGroupInfo, FeatureInfo, FeatureInput,
    FeatureLint, FeatureVersion, LintReport, SessionMismatches, SymbolVerdict, VerifyReport,
};
pub use query::{FeaturesAtQuery, FeaturesJoin, FeaturesQuery, FeaturesRange, LatestFeaturesQuery};

impl Client {
    /// Puts a group as a whole: `document` is a `FeatureSet` (docs/FEATURES.md). The same
    /// definition again is the same version. The first version of a name is promoted, later ones
    /// are not. Tried again as rows are.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), barrow_client::ClientError> {
    /// use barrow_client::Client;
    /// use serde_json::json;
    ///
    /// let client = Client::new("http://127.0.0.1:8480")?;
    /// let document = json!({
    ///     "kind": "FeatureSet",
    ///     "bars": {"every": "1m"},
    ///     "features": [{"name": "rsi14", "expr": "RSI($close, 14)"}],
    /// });
    /// let group = client.put_feature_group("core", &document).await?;
    /// client.promote_feature_group("core", &group.version).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 400 naming the field that is wrong, such as
    /// `features[1].expr`; the members `character` (from 1), `excerpt` and `caret` of its body say
    /// where in an expression. Nothing was stored then.
    pub async fn put_feature_group(
        &self,
        name: &str,
        document: &Value,
    ) -> Result<FeatureGroupInfo, ClientError> {
        let pairs = [("batch_id", random_batch_id()?)];
        let path = path_of(&["feature-groups", name]);
        let request = self.request(Method::PUT, &path, &pairs).json(document);
        self.read_json(request, "put a feature group").await
    }

    /// Makes `version` the one that the bare name means, from now on. Tried again as rows are.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 404 for a name or version that was not put.
    pub async fn promote_feature_group(
        &self,
        name: &str,
        version: &str,
    ) -> Result<(), ClientError> {
        let pairs = [("batch_id", random_batch_id()?)];
        let path = path_of(&["feature-groups", name, "promote"]);
        let body = json!({ "version": version });
        let request = self.request(Method::POST, &path, &pairs).json(&body);
        self.read_json::<Value>(request, "promote a feature group").await?;
        Ok(())
    }

    /// Every group with its versions, by name.
    ///
    /// # Errors
    /// [`ClientError::Problem`] as the server reports it.
    pub async fn list_feature_groups(&self) -> Result<Vec<FeatureGroup>, ClientError> {
        #[derive(Deserialize)]
        struct Groups {
            groups: Vec<FeatureGroup>,
        }
        let request = self.request(Method::GET, "/v1/feature-groups", &[]);
        Ok(self.read_json::<Groups>(request, "list feature groups").await?.groups)
    }

    /// A group: its document and what follows from it for each feature. `name` is `NAME` or
    /// `NAME@VERSION`.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 404 for a name or version that was not put.
    pub async fn feature_group(&self, name: &str) -> Result<FeatureGroupInfo, ClientError> {
        let (name, version) = match name.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (name, None),
        };
        let parts: Vec<&str> = ["feature-groups", name].into_iter().chain(version).collect();
        let request = self.request(Method::GET, &path_of(&parts), &[]);
        self.read_json(request, "describe a feature group").await
    }

    /// The cells of every slot of a range as record batches, as they come in: `symbol`, `ts`, a
    /// column for each feature (`group__feature` of several groups), then `ts_end`, `session`,
    /// `coverage`, `provisional`, `available_at`, `known_at`, `sequence`, `version` and
    /// `instrument_id`.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), barrow_client::ClientError> {
    /// use barrow_client::{Client, FeaturesQuery};
    ///
    /// let client = Client::new("http://127.0.0.1:8480")?;
    /// let query = FeaturesQuery::new(["core"], ["SPY"])
    ///     .between("2013-10-07", "2013-10-08")
    ///     .as_of("2013-10-08T00:00:00Z");
    /// let mut batches = client.features(&query).await?;
    /// while let Some(batch) = batches.next().await? {
    ///     assert!(batch.column_by_name("rsi14").is_some());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 400 for a parameter that the server cannot read or
    /// groups that do not have the same slots, 404 for a group that was not put or if nobody has
    /// delivered anything of the symbols.
    pub async fn features(&self, query: &FeaturesQuery) -> Result<Batches, ClientError> {
        Ok(Batches::new(self.features_bytes(query, Format::Arrow).await?))
    }

    /// The cells of a range as the bytes the server writes.
    ///
    /// # Errors
    /// As [`Client::features`].
    pub async fn features_bytes(
        &self,
        query: &FeaturesQuery,
        format: Format,
    ) -> Result<ByteStream, ClientError> {
        self.range("/v1/features", query.pairs(), format, "query features").await
    }

    /// History for training: all cells of a range, in memory. The same as [`Client::features`] to
    /// its end; without a limit, so that nothing is missing. Ask with `as_of`, or join with
    /// [`Client::join_features`], for what a model could have known at the time.
    ///
    /// # Errors
    /// As [`Client::features`].
    pub async fn get_features_for_training(
        &self,
        query: &FeaturesQuery,
    ) -> Result<Vec<RecordBatch>, ClientError> {
        self.features(query).await?.all().await
    }

    /// The last slot of each symbol that is due and has a row, a row each, with `age` in seconds
    /// since it could be had. A symbol that has none, or only one older than `max_age`, has no row
    /// and a warning in the head.
    ///
    /// # Errors
    /// As [`Client::features`].
    pub async fn latest_features(
        &self,
        query: &LatestFeaturesQuery,
    ) -> Result<Batches, ClientError> {
        Ok(Batches::new(self.latest_features_bytes(query, Format::Arrow).await?))
    }

    /// The last slot of each symbol as the bytes the server writes.
    ///
    /// # Errors
    /// As [`Client::features`].
    pub async fn latest_features_bytes(
        &self,
        query: &LatestFeaturesQuery,
        format: Format,
    ) -> Result<ByteStream, ClientError> {
        self.range("/v1/features/latest", query.pairs(), format, "ask for the latest features")
            .await
    }

    /// What a model is to be asked about now: the last slot of each symbol, in memory. The same as
    /// [`Client::latest_features`] of these groups and symbols.
    ///
    /// # Errors
    /// As [`Client::features`].
    pub async fn get_features_for_inference(
        &self,
        query: &LatestFeaturesQuery,
    ) -> Result<Vec<RecordBatch>, ClientError> {
        self.latest_features(query).await?.all().await
    }

    /// One slot of each symbol: the last one that could be had at an instant, or the one that
    /// starts then.
    ///
    /// # Errors
    /// As [`Client::features`].
    pub async fn features_at(&self, query: &FeaturesAtQuery) -> Result<Batches, ClientError> {
        Ok(Batches::new(self.features_at_bytes(query, Format::Arrow).await?))
    }

    /// One slot of each symbol as the bytes the server writes.
    ///
    /// # Errors
    /// As [`Client::features`].
    pub async fn features_at_bytes(
        &self,
        query: &FeaturesAtQuery,
        format: Format,
    ) -> Result<ByteStream, ClientError> {
        self.range("/v1/features/at", query.pairs(), format, "ask for features of an instant").await
    }

    /// For each row of `rows` (columns `symbol` and `t`, a time with a zone or nanoseconds UTC) the
    /// last slot that could be had then, in the order of the rows: nothing that became available
    /// after `t` is in it. A row before the first slot of its symbol has nulls.
    ///
    /// ```no_run
    /// # async fn example(rows: barrow_client::arrow::array::RecordBatch)
    /// # -> Result<(), barrow_client::ClientError> {
    /// use barrow_client::{Client, FeaturesJoin};
    ///
    /// let client = Client::new("http://127.0.0.1:8480")?;
    /// let joined = client.join_features(&FeaturesJoin::new(["core"]), &[rows]).await?;
    /// let joined = joined.all().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Client::features`]; [`ClientError::Invalid`] if the batches differ in their columns,
    /// [`ClientError::Problem`] with status 413 for more cells than the server puts together at a
    /// time.
    pub async fn join_features(
        &self,
        join: &FeaturesJoin,
        rows: &[RecordBatch],
    ) -> Result<Batches, ClientError> {
        Ok(Batches::new(self.join_features_bytes(join, rows, Format::Arrow).await?))
    }

    /// Rows with their features as the bytes the server writes.
    ///
    /// # Errors
    /// As [`Client::join_features`].
    pub async fn join_features_bytes(
        &self,
        join: &FeaturesJoin,
        rows: &[RecordBatch],
        format: Format,
    ) -> Result<ByteStream, ClientError> {
        let mut pairs = join.pairs();
        pairs.push(("format", format.name().to_owned()));
        let request = self
            .request(Method::POST, "/v1/features/join", &pairs)
            .header(reqwest::header::CONTENT_TYPE, ARROW_STREAM)
            .body(arrow_body(rows)?);
        self.open(request, "join features").await
    }

    /// Computes every cell of a range again, each slot by itself as if it had just closed, and
    /// compares bits, nulls and reasons with what [`Client::features`] gives. `group` is `NAME` or
    /// `NAME@VERSION`. Differences are an answer, not an error.
    ///
    /// # Errors
    /// As [`Client::features`].
    pub async fn verify_features(
        &self,
        group: &str,
        range: &FeaturesRange,
    ) -> Result<VerifyReport, ClientError> {
        self.check(group, "verify", range, "verify features").await
    }

    /// Looks for cells that change when the past or the future is left out: windows that look
    /// further back than they say, and features that look ahead. `group` is `NAME` or
    /// `NAME@VERSION`. What it finds is an answer, not an error.
    ///
    /// # Errors
    /// As [`Client::features`].
    pub async fn lint_features(
        &self,
        group: &str,
        range: &FeaturesRange,
    ) -> Result<LintReport, ClientError> {
        self.check(group, "lint", range, "lint features").await
    }

    async fn check<T: serde::de::DeserializeOwned>(
        &self,
        group: &str,
        what: &str,
        range: &FeaturesRange,
        doing: &str,
    ) -> Result<T, ClientError> {
        let path = path_of(&["feature-groups", group, what]);
        self.read_json(self.request(Method::POST, &path, &range.pairs()), doing).await
    }
}
