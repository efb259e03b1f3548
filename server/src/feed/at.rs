//! The row of an instant, computed on a query thread as `GET /v1/features/at` computes it.

use std::sync::Arc;

use barrow_protocol::frame::{ErrorCode, Mode};
use barrow_types::Timestamp;

use crate::http::App;
use crate::http::error::{Code, Problem};
use crate::http::features::row_at;
use crate::live::LiveGroup;

/// What is asked.
pub(super) struct Asked {
    /// Which request it is.
    pub(super) request: u32,
    /// The group.
    pub(super) group: Arc<LiveGroup>,
    /// The symbol.
    pub(super) symbol: Arc<str>,
    /// The instant, nanoseconds since 1970 UTC.
    pub(super) ts: i64,
    /// Which slot it means.
    pub(super) mode: Mode,
}

/// The row's words; `None` if there is no such slot.
///
/// # Errors
/// The code and the text for the client.
pub(super) async fn row(
    app: &Arc<App>,
    asked: &Asked,
) -> Result<Option<Vec<u64>>, (ErrorCode, String)> {
    let (of, group) = (Arc::clone(app), Arc::clone(&asked.group));
    let symbol = Arc::clone(&asked.symbol);
    let instant = (Timestamp::from_nanos(asked.ts), asked.mode);
    let work = move || {
        let name = format!("{}@{}", group.name, group.version);
        row_at(&of, (&name, &symbol), instant)
    };
    let found = app.query(work).await.and_then(std::convert::identity);
    found.map_err(|problem| (code_of(&problem), problem.detail))
}

const fn code_of(problem: &Problem) -> ErrorCode {
    match problem.code {
        Code::InvalidParameter | Code::UnknownParameter => ErrorCode::Invalid,
        Code::NotFound => ErrorCode::NotFound,
        Code::Busy | Code::Stopping => ErrorCode::Busy,
        _ => ErrorCode::Internal,
    }
}
