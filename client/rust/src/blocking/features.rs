//! Groups of features and their cells.

use arrow::record_batch::RecordBatch;
use serde_json::Value;

use super::{Batches, ByteStream, Client};
use crate::error::ClientError;
use crate::features::{
    FeatureGroup, FeatureGroupInfo, FeaturesAtQuery, FeaturesJoin, FeaturesQuery, FeaturesRange,
    LatestFeaturesQuery, LintReport, VerifyReport,
};
use crate::query::Format;

impl Client {
    /// Puts a group as a whole.
    ///
    /// # Errors
    /// As [`crate::Client::put_feature_group`].
    pub fn put_feature_group(
        &self,
        name: &str,
        document: &Value,
    ) -> Result<FeatureGroupInfo, ClientError> {
        self.shared.wait(self.client.put_feature_group(name, document))
    }

    /// Makes `version` the one that the bare name means.
    ///
    /// # Errors
    /// As [`crate::Client::promote_feature_group`].
    pub fn promote_feature_group(&self, name: &str, version: &str) -> Result<(), ClientError> {
        self.shared.wait(self.client.promote_feature_group(name, version))
    }

    /// Every group with its versions, by name.
    ///
    /// # Errors
    /// As [`crate::Client::list_feature_groups`].
    pub fn list_feature_groups(&self) -> Result<Vec<FeatureGroup>, ClientError> {
        self.shared.wait(self.client.list_feature_groups())
    }

    /// A group: its document and what follows from it for each feature.
    ///
    /// # Errors
    /// As [`crate::Client::feature_group`].
    pub fn feature_group(&self, name: &str) -> Result<FeatureGroupInfo, ClientError> {
        self.shared.wait(self.client.feature_group(name))
    }

    /// The cells of every slot of a range as record batches, as they come in.
    ///
    /// # Errors
    /// As [`crate::Client::features`].
    pub fn features(&self, query: &FeaturesQuery) -> Result<Batches, ClientError> {
        self.batches(self.client.features(query))
    }

    /// The cells of a range as the bytes the server writes.
    ///
    /// # Errors
    /// As [`crate::Client::features`].
    pub fn features_bytes(
        &self,
        query: &FeaturesQuery,
        format: Format,
    ) -> Result<ByteStream, ClientError> {
        self.bytes(self.client.features_bytes(query, format))
    }

    /// History for training: all cells of a range, in memory.
    ///
    /// # Errors
    /// As [`crate::Client::get_features_for_training`].
    pub fn get_features_for_training(
        &self,
        query: &FeaturesQuery,
    ) -> Result<Vec<RecordBatch>, ClientError> {
        self.shared.wait(self.client.get_features_for_training(query))
    }

    /// The last slot of each symbol that is due and has a row.
    ///
    /// # Errors
    /// As [`crate::Client::latest_features`].
    pub fn latest_features(&self, query: &LatestFeaturesQuery) -> Result<Batches, ClientError> {
        self.batches(self.client.latest_features(query))
    }

    /// The last slot of each symbol as the bytes the server writes.
    ///
    /// # Errors
    /// As [`crate::Client::latest_features`].
    pub fn latest_features_bytes(
        &self,
        query: &LatestFeaturesQuery,
        format: Format,
    ) -> Result<ByteStream, ClientError> {
        self.bytes(self.client.latest_features_bytes(query, format))
    }

    /// What a model is to be asked about now: the last slot of each symbol, in memory.
    ///
    /// # Errors
    /// As [`crate::Client::get_features_for_inference`].
    pub fn get_features_for_inference(
        &self,
        query: &LatestFeaturesQuery,
    ) -> Result<Vec<RecordBatch>, ClientError> {
        self.shared.wait(self.client.get_features_for_inference(query))
    }

    /// One slot of each symbol, by an instant.
    ///
    /// # Errors
    /// As [`crate::Client::features_at`].
    pub fn features_at(&self, query: &FeaturesAtQuery) -> Result<Batches, ClientError> {
        self.batches(self.client.features_at(query))
    }

    /// One slot of each symbol as the bytes the server writes.
    ///
    /// # Errors
    /// As [`crate::Client::features_at`].
    pub fn features_at_bytes(
        &self,
        query: &FeaturesAtQuery,
        format: Format,
    ) -> Result<ByteStream, ClientError> {
        self.bytes(self.client.features_at_bytes(query, format))
    }

    /// For each row of symbol and time the last slot that could be had then.
    ///
    /// # Errors
    /// As [`crate::Client::join_features`].
    pub fn join_features(
        &self,
        join: &FeaturesJoin,
        rows: &[RecordBatch],
    ) -> Result<Batches, ClientError> {
        self.batches(self.client.join_features(join, rows))
    }

    /// Rows with their features as the bytes the server writes.
    ///
    /// # Errors
    /// As [`crate::Client::join_features`].
    pub fn join_features_bytes(
        &self,
        join: &FeaturesJoin,
        rows: &[RecordBatch],
        format: Format,
    ) -> Result<ByteStream, ClientError> {
        self.bytes(self.client.join_features_bytes(join, rows, format))
    }

    /// Computes every cell of a range again and compares.
    ///
    /// # Errors
    /// As [`crate::Client::verify_features`].
    pub fn verify_features(
        &self,
        group: &str,
        range: &FeaturesRange,
    ) -> Result<VerifyReport, ClientError> {
        self.shared.wait(self.client.verify_features(group, range))
    }

    /// Looks for cells that change when the past or the future is left out.
    ///
    /// # Errors
    /// As [`crate::Client::lint_features`].
    pub fn lint_features(
        &self,
        group: &str,
        range: &FeaturesRange,
    ) -> Result<LintReport, ClientError> {
        self.shared.wait(self.client.lint_features(group, range))
    }
}
