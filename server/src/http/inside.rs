//! Requests that the server's own work makes: they take the routes that requests over HTTP take,
//! and so the same intake, with the same bounds on bodies and threads. There is no key to check and
//! no connection to count.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::{App, open_routes};

/// See the module. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Inside(TowerToHyperService<Router>);

/// What a request was answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Seconds after which to ask again.
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Bytes,
}

impl Inside {
    /// The routes of `app`.
    pub(crate) fn new(app: &Arc<App>) -> Self {
        Self(TowerToHyperService::new(open_routes().with_state(Arc::clone(app))))
    }

    /// Makes a request; `pairs` are its parameters.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        pairs: &[(&str, String)],
        (media_type, body): (&str, Bytes),
    ) -> Answer {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let request = Request::builder()
            .method(method)
            .uri(format!("{path}?{query}"))
            .header(header::CONTENT_TYPE, media_type)
            .header(header::CONTENT_LENGTH, body.len())
            .body(Body::from(body));
        let request = match request {
            Ok(request) => request,
            Err(error) => return Answer::failed(&format!("{path}: {error}")),
        };
        let response = match self.0.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        Answer::read(response).await
    }
}

impl Answer {
    async fn read(response: Response<Body>) -> Self {
        let status = response.status().as_u16();
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|seconds| seconds.to_str().ok()?.parse().ok());
        match response.into_body().collect().await {
            Ok(body) => Self { status, retry_after, body: body.to_bytes() },
            Err(error) => Self::failed(&format!("the answer broke off: {error}")),
        }
    }

    fn failed(why: &str) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR.as_u16();
        Self { status, retry_after: None, body: Bytes::from(why.to_owned()) }
    }
}
