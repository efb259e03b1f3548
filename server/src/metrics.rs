//! The catalogue of metrics, served at `/metrics` in the OpenMetrics text format.
//!
//! Names are `barrow_<noun>_<what>_<unit>`, with `_total` behind counters. Labels come from closed
//! sets: never a symbol, a source or a batch. Rows are counted per batch, not one by one.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use barrow_engine::batch::Counts;
use barrow_engine::disk::map_faults;
use barrow_engine::features::{CheckpointStats, StoredCellsStats};
use barrow_engine::{MaskStats, Recovery, Stats, TileStats};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// A request: the pattern of its route, its method and the status it got.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabel {
    /// The pattern, such as `/v1/datasets/{dataset}/rows`; `none` if there is no such route.
    pub(crate) route: String,
    /// One of the methods HTTP defines, or `other`.
    pub(crate) method: &'static str,
    /// The status.
    pub(crate) status: u16,
}

/// Why something was not even tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// All connections are in use.
    Connections,
    /// All requests are in use.
    Requests,
    /// No thread became free in time.
    Threads,
    /// The writer's queue is full.
    Queue,
    /// Request bodies take too much memory.
    Bodies,
    /// All streams of events are in use.
    Streams,
    /// All connections of the feature feed are in use.
    FeedConnections,
    /// A connection of the feature feed is subscribed to as much as it may be.
    FeedSubscriptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabel {
    bound: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabel {
    kind: &'static str,
    state: &'static str,
}

type AtomicGauge = Gauge<u64, AtomicU64>;

/// Every metric, and the registry that names them.
pub(crate) struct Metrics {
    registry: Registry,
    rows: Family<OutcomeLabel, Counter>,
    batches_repeated: Counter,
    refusals: Family<RefusalLabel, Counter>,
    requests: Family<RequestLabel, Counter>,
    request_seconds: Histogram,
    query_rows: Counter,
    queue_batches: AtomicGauge,
    commit_seconds: Histogram,
    group_batches: Histogram,
    flush_seconds: Histogram,
    flush_failures: Counter,
    compaction_seconds: Histogram,
    compaction_failures: Counter,
    jobs_pending: AtomicGauge,
    jobs_running: AtomicGauge,
    jobs_ended: Family<JobLabel, Counter>,
    feature_parity_cells: Counter,
    feature_parity_mismatch: Counter,
    intake_stopped: AtomicGauge,
    sequence: AtomicGauge,
    series: AtomicGauge,
    memtable_bytes: AtomicGauge,
    memtable_rows: AtomicGauge,
    segments: AtomicGauge,
    segment_bytes: AtomicGauge,
    wal_files: AtomicGauge,
    batches: Counter<u64, AtomicU64>,
    groups: Counter<u64, AtomicU64>,
    syncs: Counter<u64, AtomicU64>,
    flushes: Counter<u64, AtomicU64>,
    map_faults: Counter<u64, AtomicU64>,
    flushed_bytes: Counter<u64, AtomicU64>,
    compactions: Counter<u64, AtomicU64>,
    compacted_bytes: Counter<u64, AtomicU64>,
    retention_rows: Counter<u64, AtomicU64>,
    retention_bytes: Counter<u64, AtomicU64>,
    write_amplification: Gauge<f64, AtomicU64>,
    retired_files: AtomicGauge,
    checkpoints_kept: AtomicGauge,
    checkpoints_kept_bytes: AtomicGauge,
    checkpoints_used: Counter<u64, AtomicU64>,
    checkpoints_evicted: Counter<u64, AtomicU64>,
    cell_files: AtomicGauge,
    cell_file_bytes: AtomicGauge,
    cell_files_written: Counter<u64, AtomicU64>,
    cell_files_read: Counter<u64, AtomicU64>,
    cell_files_dropped: Counter<u64, AtomicU64>,
    tiles_kept: AtomicGauge,
    tiles_kept_bytes: AtomicGauge,
    tiles_stored: AtomicGauge,
    tiles_stored_bytes: AtomicGauge,
    tiles_made: Counter<u64, AtomicU64>,
    tiles_used: Counter<u64, AtomicU64>,
    tiles_loaded: Counter<u64, AtomicU64>,
    tiles_evicted: Counter<u64, AtomicU64>,
    tiles_dropped: Counter<u64, AtomicU64>,
    tile_file_seconds: Histogram,
    tile_file_failures: Counter,
    masks_kept: AtomicGauge,
    masks_kept_bytes: AtomicGauge,
    masks_stored: AtomicGauge,
    masks_stored_bytes: AtomicGauge,
    masks_made: Counter<u64, AtomicU64>,
    masks_updated: Counter<u64, AtomicU64>,
    masks_loaded: Counter<u64, AtomicU64>,
    masks_dropped: Counter<u64, AtomicU64>,
    mask_file_seconds: Histogram,
    mask_file_failures: Counter,
    replayed_records: AtomicGauge,
    torn_bytes: AtomicGauge,
    feed: FeedMetrics,
    live: LiveMetrics,
}

struct LiveMetrics {
    seconds: Histogram,
    rows: Counter,
    sequence: AtomicGauge,
    answers: Family<WayLabel, Counter>,
}

impl LiveMetrics {
    fn new() -> Self {
        Self {
            seconds: Histogram::new(exponential_buckets(0.000_01, 2.0, 20)),
            rows: Counter::default(),
            sequence: Gauge::default(),
            answers: Family::default(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WayLabel {
    way: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

#[derive(Default)]
struct FeedMetrics {
    connections: Gauge,
    streams: Gauge,
    subscriptions: Gauge,
    frames_in: Counter,
    frames_out: Counter,
    bytes_out: Counter,
    resyncs: Family<ReasonLabel, Counter>,
    errors: Family<CodeLabel, Counter>,
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 2.0, 18))
}

impl Metrics {
    /// All metrics at zero.
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("barrow"),
            rows: Family::default(),
            batches_repeated: Counter::default(),
            refusals: Family::default(),
            requests: Family::default(),
            request_seconds: seconds(),
            query_rows: Counter::default(),
            queue_batches: Gauge::default(),
            commit_seconds: seconds(),
            group_batches: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            flush_seconds: seconds(),
            flush_failures: Counter::default(),
            compaction_seconds: Histogram::new(exponential_buckets(0.01, 2.0, 18)),
            compaction_failures: Counter::default(),
            jobs_pending: Gauge::default(),
            jobs_running: Gauge::default(),
            jobs_ended: Family::default(),
            feature_parity_cells: Counter::default(),
            feature_parity_mismatch: Counter::default(),
            intake_stopped: Gauge::default(),
            sequence: Gauge::default(),
            series: Gauge::default(),
            memtable_bytes: Gauge::default(),
            memtable_rows: Gauge::default(),
            segments: Gauge::default(),
            segment_bytes: Gauge::default(),
            wal_files: Gauge::default(),
            batches: Counter::default(),
            groups: Counter::default(),
            syncs: Counter::default(),
            flushes: Counter::default(),
            map_faults: Counter::default(),
            flushed_bytes: Counter::default(),
            compactions: Counter::default(),
            compacted_bytes: Counter::default(),
            retention_rows: Counter::default(),
            retention_bytes: Counter::default(),
            write_amplification: Gauge::default(),
            retired_files: Gauge::default(),
            checkpoints_kept: Gauge::default(),
            checkpoints_kept_bytes: Gauge::default(),
            checkpoints_used: Counter::default(),
            checkpoints_evicted: Counter::default(),
            cell_files: Gauge::default(),
            cell_file_bytes: Gauge::default(),
            cell_files_written: Counter::default(),
            cell_files_read: Counter::default(),
            cell_files_dropped: Counter::default(),
            tiles_kept: Gauge::default(),
            tiles_kept_bytes: Gauge::default(),
            tiles_stored: Gauge::default(),
            tiles_stored_bytes: Gauge::default(),
            tiles_made: Counter::default(),
            tiles_used: Counter::default(),
            tiles_loaded: Counter::default(),
            tiles_evicted: Counter::default(),
            tiles_dropped: Counter::default(),
            tile_file_seconds: Histogram::new(exponential_buckets(0.01, 2.0, 18)),
            tile_file_failures: Counter::default(),
            masks_kept: Gauge::default(),
            masks_kept_bytes: Gauge::default(),
            masks_stored: Gauge::default(),
            masks_stored_bytes: Gauge::default(),
            masks_made: Counter::default(),
            masks_updated: Counter::default(),
            masks_loaded: Counter::default(),
            masks_dropped: Counter::default(),
            mask_file_seconds: Histogram::new(exponential_buckets(0.01, 2.0, 18)),
            mask_file_failures: Counter::default(),
            replayed_records: Gauge::default(),
            torn_bytes: Gauge::default(),
            feed: FeedMetrics::default(),
            live: LiveMetrics::new(),
        };
        metrics.register();
        metrics.register_feed();
        metrics
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        // The registry adds the full stop behind each help text and `_total` behind each counter.
        r.register(
            "ingest_rows",
            "Rows by what became of them; rejected rows are dead letters",
            self.rows.clone(),
        );
        r.register(
            "ingest_batches_repeated",
            "Batches that were there before",
            self.batches_repeated.clone(),
        );
        r.register(
            "server_refusals",
            "Work refused because a bound was reached",
            self.refusals.clone(),
        );
        r.register("http_requests", "Requests by route, method and status", self.requests.clone());
        r.register(
            "http_request_duration_seconds",
            "Time until a request's answer begins",
            self.request_seconds.clone(),
        );
        r.register("query_rows", "Rows sent to readers", self.query_rows.clone());
        r.register(
            "writer_queue_batches",
            "Batches that wait for the writer",
            self.queue_batches.clone(),
        );
        r.register(
            "commit_duration_seconds",
            "Time to log, sync and apply one group",
            self.commit_seconds.clone(),
        );
        r.register(
            "commit_group_batches",
            "Batches that shared one sync",
            self.group_batches.clone(),
        );
        r.register(
            "flush_duration_seconds",
            "Time to write the memtable to a segment",
            self.flush_seconds.clone(),
        );
        r.register("flush_failures", "Flushes that were given up", self.flush_failures.clone());
        r.register(
            "compaction_duration_seconds",
            "Time to merge segments",
            self.compaction_seconds.clone(),
        );
        r.register(
            "compaction_failures",
            "Compactions that were given up",
            self.compaction_failures.clone(),
        );
        r.register("compaction_runs", "Compactions installed", self.compactions.clone());
        r.register(
            "compaction_written_bytes",
            "Bytes of segments that compactions wrote",
            self.compacted_bytes.clone(),
        );
        r.register(
            "retention_dropped_rows",
            "Rows that compactions left out because no question above a floor of retention sees \
             them",
            self.retention_rows.clone(),
        );
        r.register(
            "retention_dropped_bytes",
            "Bytes that these rows took, about",
            self.retention_bytes.clone(),
        );
        r.register(
            "flush_written_bytes",
            "Bytes of segments that flushes wrote",
            self.flushed_bytes.clone(),
        );
        r.register(
            "segment_write_amplification_ratio",
            "Bytes written by flushes and compactions for each byte that a flush wrote, since the \
             start",
            self.write_amplification.clone(),
        );
        r.register(
            "segment_retired_files_count",
            "Replaced segments that a reader still holds",
            self.retired_files.clone(),
        );
        r.register("jobs_pending_count", "Jobs that wait", self.jobs_pending.clone());
        r.register("jobs_running_count", "Jobs at work", self.jobs_running.clone());
        r.register("jobs_ended", "Jobs that ended, by kind and state", self.jobs_ended.clone());
        r.register(
            "feature_parity_cells",
            "Feature cells that were computed again slot by slot",
            self.feature_parity_cells.clone(),
        );
        r.register(
            "feature_parity_mismatch",
            "Those of them that differ from what a range is answered with",
            self.feature_parity_mismatch.clone(),
        );
        r.register(
            "feature_checkpoints_count",
            "States of feature kernels in memory",
            self.checkpoints_kept.clone(),
        );
        r.register(
            "feature_checkpoints_bytes",
            "Bytes of these states",
            self.checkpoints_kept_bytes.clone(),
        );
        r.register(
            "feature_checkpoints_used",
            "Ranges of features that went on from such a state",
            self.checkpoints_used.clone(),
        );
        r.register(
            "feature_checkpoints_evicted",
            "Such states that left memory to make room for others",
            self.checkpoints_evicted.clone(),
        );
        r.register("feature_files_count", "Files of cells of features", self.cell_files.clone());
        r.register("feature_files_bytes", "Bytes of these files", self.cell_file_bytes.clone());
        r.register(
            "feature_files_written",
            "Files of cells of features that were written",
            self.cell_files_written.clone(),
        );
        r.register(
            "feature_files_read",
            "Such files that were read to answer a question",
            self.cell_files_read.clone(),
        );
        r.register(
            "feature_files_dropped",
            "Such files that were damaged",
            self.cell_files_dropped.clone(),
        );
        r.register("tiles_kept_count", "Tiles in memory", self.tiles_kept.clone());
        r.register("tiles_kept_bytes", "Bytes of tiles in memory", self.tiles_kept_bytes.clone());
        r.register("tiles_stored_count", "Tiles in their file", self.tiles_stored.clone());
        r.register(
            "tiles_stored_bytes",
            "Bytes of the file of tiles",
            self.tiles_stored_bytes.clone(),
        );
        r.register("tiles_made", "Sessions whose bars were made", self.tiles_made.clone());
        r.register("tiles_used", "Tiles that answered as they were", self.tiles_used.clone());
        r.register("tiles_loaded", "Tiles taken from their file", self.tiles_loaded.clone());
        r.register(
            "tiles_evicted",
            "Tiles that left memory to make room for others",
            self.tiles_evicted.clone(),
        );
        r.register(
            "tiles_dropped",
            "Files of tiles, and tiles in them, that could not be used",
            self.tiles_dropped.clone(),
        );
        r.register(
            "tile_file_duration_seconds",
            "Time to write a file of tiles, with its pauses",
            self.tile_file_seconds.clone(),
        );
        r.register(
            "tile_file_failures",
            "Files of tiles that could not be written",
            self.tile_file_failures.clone(),
        );
        r.register("masks_kept_count", "Gap masks in memory", self.masks_kept.clone());
        r.register(
            "masks_kept_bytes",
            "Bytes of gap masks in memory",
            self.masks_kept_bytes.clone(),
        );
        r.register("masks_stored_count", "Gap masks in their file", self.masks_stored.clone());
        r.register(
            "masks_stored_bytes",
            "Bytes of the file of gap masks",
            self.masks_stored_bytes.clone(),
        );
        r.register(
            "masks_made",
            "Gap masks made from the rows of their block",
            self.masks_made.clone(),
        );
        r.register(
            "masks_updated",
            "Gap masks brought up to date from what came since",
            self.masks_updated.clone(),
        );
        r.register("masks_loaded", "Gap masks taken from their file", self.masks_loaded.clone());
        r.register(
            "masks_dropped",
            "Files of gap masks, and masks in them, that could not be used",
            self.masks_dropped.clone(),
        );
        r.register(
            "mask_file_duration_seconds",
            "Time to write a file of gap masks, with its pauses",
            self.mask_file_seconds.clone(),
        );
        r.register(
            "mask_file_failures",
            "Files of gap masks that could not be written",
            self.mask_file_failures.clone(),
        );
        r.register(
            "intake_stopped_flag",
            "1 if the disk failed and no rows are taken any more",
            self.intake_stopped.clone(),
        );
        r.register("store_sequence_count", "Number of the newest record", self.sequence.clone());
        r.register("store_series_count", "Series in the store", self.series.clone());
        r.register(
            "memtable_size_bytes",
            "Memory that rows not yet flushed take",
            self.memtable_bytes.clone(),
        );
        r.register("memtable_rows_count", "Rows not yet flushed", self.memtable_rows.clone());
        r.register("segment_files_count", "Live segments", self.segments.clone());
        r.register("segment_size_bytes", "Bytes of live segments", self.segment_bytes.clone());
        r.register("wal_files_count", "Files of the write-ahead log", self.wal_files.clone());
        r.register("commit_batches", "Batches committed", self.batches.clone());
        r.register("commit_groups", "Groups committed", self.groups.clone());
        r.register("disk_syncs", "Syncs of log and manifest", self.syncs.clone());
        r.register("flush_runs", "Flushes installed", self.flushes.clone());
        r.register(
            "map_faults",
            "Pages of mapped segments that could not be read",
            self.map_faults.clone(),
        );
        r.register(
            "recovery_replayed_records_count",
            "Records replayed when the store was opened",
            self.replayed_records.clone(),
        );
        r.register(
            "recovery_torn_bytes",
            "Bytes of an unfinished record dropped when the store was opened",
            self.torn_bytes.clone(),
        );
    }

    fn register_feed(&mut self) {
        let (r, feed, live) = (&mut self.registry, &self.feed, &self.live);
        r.register(
            "live_update_seconds",
            "Time to bring live features up to the newest record",
            live.seconds.clone(),
        );
        r.register(
            "live_rows",
            "Rows of features that were made or corrected live",
            live.rows.clone(),
        );
        r.register(
            "live_sequence_count",
            "The record up to which live features know everything",
            live.sequence.clone(),
        );
        r.register(
            "live_answers",
            "Requests for the latest features, by where the rows came from",
            live.answers.clone(),
        );
        r.register(
            "feed_connections_count",
            "Clients of the feature feed",
            feed.connections.clone(),
        );
        r.register(
            "feed_streams_count",
            "Streams of events that tell of features over HTTP",
            feed.streams.clone(),
        );
        r.register(
            "feed_subscriptions_count",
            "Groups that clients of the feature feed are subscribed to",
            feed.subscriptions.clone(),
        );
        r.register("feed_frames_in", "Frames of clients", feed.frames_in.clone());
        r.register("feed_frames_out", "Frames for clients", feed.frames_out.clone());
        r.register("feed_written_bytes", "Bytes that clients took", feed.bytes_out.clone());
        r.register(
            "feed_resyncs",
            "Clients told to read the latest rows because updates were left out, by reason",
            feed.resyncs.clone(),
        );
        r.register("feed_errors", "Errors that clients were told, by code", feed.errors.clone());
    }

    /// The text that `/metrics` answers.
    pub(crate) fn text(&self) -> String {
        // Faults meet readers, of which nobody else keeps count.
        self.map_faults.inc_by(map_faults().saturating_sub(self.map_faults.get()));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("invariant: writing to a String succeeds");
        text
    }

    /// A batch was answered.
    pub(crate) fn batch(&self, counts: &Counts, repeated: bool) {
        if repeated {
            self.batches_repeated.inc();
            return;
        }
        for (outcome, count) in [
            ("accepted", counts.accepted),
            ("duplicate", counts.duplicates),
            ("corrected", counts.corrected),
            ("superseded", counts.superseded),
            ("rejected", counts.rejected),
        ] {
            self.rows.get_or_create(&OutcomeLabel { outcome }).inc_by(count);
        }
    }

    /// Work was refused at a bound.
    pub(crate) fn refused(&self, bound: Refusal) {
        let bound = match bound {
            Refusal::Connections => "connections",
            Refusal::Requests => "requests",
            Refusal::Threads => "threads",
            Refusal::Queue => "queue",
            Refusal::Bodies => "bodies",
            Refusal::Streams => "streams",
            Refusal::FeedConnections => "feed_connections",
            Refusal::FeedSubscriptions => "feed_subscriptions",
        };
        self.refusals.get_or_create(&RefusalLabel { bound }).inc();
    }

    /// A request was answered.
    pub(crate) fn request(&self, label: &RequestLabel, took: Duration) {
        self.requests.get_or_create(label).inc();
        self.request_seconds.observe(took.as_secs_f64());
    }

    /// Rows were encoded for a reader.
    pub(crate) fn rows_read(&self, rows: usize) {
        self.query_rows.inc_by(rows as u64);
    }

    /// So many batches wait for the writer.
    pub(crate) fn queued(&self, batches: usize) {
        self.queue_batches.set(batches as u64);
    }

    /// A group was committed, or failed to be.
    pub(crate) fn commit(&self, batches: usize, took: Duration) {
        self.group_batches.observe(f64::from(u32::try_from(batches).unwrap_or(u32::MAX)));
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// Feature cells were computed again slot by slot, and some differ.
    pub(crate) fn feature_parity(&self, cells: u64, mismatches: u64) {
        self.feature_parity_cells.inc_by(cells);
        self.feature_parity_mismatch.inc_by(mismatches);
    }

    /// Live features were brought up to a record, with so many new rows.
    pub(crate) fn live_update(&self, took: Duration, rows: usize, sequence: u64) {
        self.live.seconds.observe(took.as_secs_f64());
        self.live.rows.inc_by(rows as u64);
        self.live.sequence.set(sequence);
    }

    /// A flush ended.
    pub(crate) fn flush(&self, took: Duration, fine: bool) {
        self.flush_seconds.observe(took.as_secs_f64());
        if !fine {
            self.flush_failures.inc();
        }
    }

    /// A compaction ended.
    pub(crate) fn compaction(&self, took: Duration, fine: bool) {
        self.compaction_seconds.observe(took.as_secs_f64());
        if !fine {
            self.compaction_failures.inc();
        }
    }

    /// So many jobs wait and are at work.
    pub(crate) fn jobs(&self, pending: usize, running: usize) {
        self.jobs_pending.set(pending as u64);
        self.jobs_running.set(running as u64);
    }

    /// A job of that kind ended in that state.
    pub(crate) fn job_ended(&self, kind: &'static str, state: &'static str) {
        self.jobs_ended.get_or_create(&JobLabel { kind, state }).inc();
    }

    /// The writing of a file of gap masks ended.
    pub(crate) fn mask_file(&self, took: Duration, fine: bool) {
        self.mask_file_seconds.observe(took.as_secs_f64());
        if !fine {
            self.mask_file_failures.inc();
        }
    }

    /// The writing of a file of tiles ended.
    pub(crate) fn tile_file(&self, took: Duration, fine: bool) {
        self.tile_file_seconds.observe(took.as_secs_f64());
        if !fine {
            self.tile_file_failures.inc();
        }
    }

    /// What became of tiles, of which readers keep count.
    pub(crate) fn tiles(&self, stats: &TileStats) {
        self.tiles_kept.set(stats.kept);
        self.tiles_kept_bytes.set(stats.kept_bytes);
        self.tiles_stored.set(stats.stored);
        self.tiles_stored_bytes.set(stats.stored_bytes);
        for (counter, value) in [
            (&self.tiles_made, stats.made),
            (&self.tiles_used, stats.used),
            (&self.tiles_loaded, stats.loaded),
            (&self.tiles_evicted, stats.evicted),
            (&self.tiles_dropped, stats.dropped),
        ] {
            counter.inc_by(value.saturating_sub(counter.get()));
        }
    }

    /// What became of states of feature kernels, of which readers keep count.
    pub(crate) fn checkpoints(&self, stats: &CheckpointStats) {
        self.checkpoints_kept.set(stats.kept);
        self.checkpoints_kept_bytes.set(stats.kept_bytes);
        for (counter, value) in
            [(&self.checkpoints_used, stats.used), (&self.checkpoints_evicted, stats.evicted)]
        {
            counter.inc_by(value.saturating_sub(counter.get()));
        }
    }

    /// What became of cells of features in files, of which readers keep count.
    pub(crate) fn cells(&self, stats: &StoredCellsStats) {
        self.cell_files.set(stats.blocks);
        self.cell_file_bytes.set(stats.bytes);
        for (counter, value) in [
            (&self.cell_files_written, stats.made),
            (&self.cell_files_read, stats.used),
            (&self.cell_files_dropped, stats.dropped),
        ] {
            counter.inc_by(value.saturating_sub(counter.get()));
        }
    }

    /// What became of gap masks, of which readers keep count.
    pub(crate) fn masks(&self, stats: &MaskStats) {
        self.masks_kept.set(stats.kept);
        self.masks_kept_bytes.set(stats.kept_bytes);
        self.masks_stored.set(stats.stored);
        self.masks_stored_bytes.set(stats.stored_bytes);
        for (counter, value) in [
            (&self.masks_made, stats.made),
            (&self.masks_updated, stats.updated),
            (&self.masks_loaded, stats.loaded),
            (&self.masks_dropped, stats.dropped),
        ] {
            counter.inc_by(value.saturating_sub(counter.get()));
        }
    }

    /// Latest features were answered: `live` from rows that are kept ready, or `computed`.
    pub(crate) fn latest_answer(&self, way: &'static str) {
        self.live.answers.get_or_create(&WayLabel { way }).inc();
    }

    /// Clients of the feature feed came or went.
    pub(crate) fn feed_connections(&self, change: i64) {
        self.feed.connections.inc_by(change);
    }

    /// Streams of events began or ended.
    pub(crate) fn feed_streams(&self, change: i64) {
        self.feed.streams.inc_by(change);
    }

    /// Subscriptions of the feature feed began or ended.
    pub(crate) fn feed_subscriptions(&self, change: i64) {
        self.feed.subscriptions.inc_by(change);
    }

    /// Frames of a client of the feature feed were taken, and some made for it.
    pub(crate) fn feed_frames(&self, taken: u64, made: u64) {
        if taken > 0 {
            self.feed.frames_in.inc_by(taken);
        }
        if made > 0 {
            self.feed.frames_out.inc_by(made);
        }
    }

    /// A client of the feature feed took so many bytes.
    pub(crate) fn feed_written(&self, bytes: usize) {
        self.feed.bytes_out.inc_by(bytes as u64);
    }

    /// A client of the feature feed was told to read the latest rows.
    pub(crate) fn feed_resync(&self, reason: &'static str) {
        self.feed.resyncs.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// A client of the feature feed was told of an error.
    pub(crate) fn feed_error(&self, code: &'static str) {
        self.feed.errors.get_or_create(&CodeLabel { code }).inc();
    }

    /// The disk failed.
    pub(crate) fn intake_stopped(&self) {
        self.intake_stopped.set(1);
    }

    /// The store was opened.
    pub(crate) fn recovery(&self, recovery: &Recovery) {
        self.replayed_records.set(recovery.replayed_records);
        self.torn_bytes.set(recovery.torn_bytes);
    }

    /// The engine's own counters, which it keeps itself.
    pub(crate) fn stats(&self, stats: &Stats) {
        self.sequence.set(stats.sequence);
        self.series.set(stats.series);
        self.memtable_bytes.set(stats.memtable_bytes);
        self.memtable_rows.set(stats.memtable_rows);
        self.segments.set(stats.segments);
        self.segment_bytes.set(stats.segment_bytes);
        self.wal_files.set(stats.wal_files);
        self.retired_files.set(stats.retired_files);
        if stats.flushed_bytes > 0 {
            #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
            let [flushed, compacted] =
                [stats.flushed_bytes, stats.compacted_bytes].map(|bytes| bytes as f64);
            self.write_amplification.set((flushed + compacted) / flushed);
        }
        for (counter, value) in [
            (&self.batches, stats.batches),
            (&self.groups, stats.groups),
            (&self.syncs, stats.syncs),
            (&self.flushes, stats.flushes),
            (&self.flushed_bytes, stats.flushed_bytes),
            (&self.compactions, stats.compactions),
            (&self.compacted_bytes, stats.compacted_bytes),
            (&self.retention_rows, stats.retention_rows),
            (&self.retention_bytes, stats.retention_bytes),
        ] {
            counter.inc_by(value.saturating_sub(counter.get()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_by_what_became_of_them() {
        let metrics = Metrics::new();
        let counts = Counts { accepted: 3, rejected: 2, ..Counts::default() };
        metrics.batch(&counts, false);
        metrics.batch(&counts, true);
        let text = metrics.text();
        for line in [
            "barrow_ingest_rows_total{outcome=\"accepted\"} 3",
            "barrow_ingest_rows_total{outcome=\"rejected\"} 2",
            "barrow_ingest_batches_repeated_total 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn the_engines_counters_are_shown_as_they_are_and_not_added_up() {
        let metrics = Metrics::new();
        for syncs in [5, 5, 7] {
            metrics.stats(&Stats { syncs, sequence: syncs, ..Stats::default() });
        }
        let text = metrics.text();
        assert!(text.contains("\nbarrow_disk_syncs_total 7\n"), "{text}");
        assert!(text.contains("\nbarrow_store_sequence_count 7\n"), "{text}");
    }
}
