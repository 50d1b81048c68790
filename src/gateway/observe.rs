//! What each request leaves behind: an id in its answer, figures, and a line of the log.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use super::Gateway;

/// A request's id, which callers may give.
const ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken from a caller.
const ID_CHARS_MAX: usize = 128;

/// Why a request is not carried out, for the log.
#[derive(Clone)]
pub(super) struct Reason(pub(super) Arc<str>);

/// What a handler knows of its request.
#[derive(Clone, Default)]
pub(super) struct Noted {
    /// The table's key.
    pub(super) table: String,
    /// The records that were accepted.
    pub(super) records: usize,
}

pub(super) async fn observe(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let given = request.headers().get(&ID).filter(|id| is_plain(id));
    let id = given.cloned().unwrap_or_else(fresh);
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("other", |path| name(path.as_str()));
    // Told of those that go wrong, and of all if that is asked for.
    let asked = (request.method().clone(), request.uri().clone());
    let mut response = next.run(request).await;
    let noted = response.extensions().get::<Noted>();
    let noted = noted.cloned().unwrap_or_default();
    let (status, took) = (response.status(), started.elapsed());
    let metrics = &gateway.metrics;
    metrics.answered(route, &noted.table, status.as_u16(), took);
    let has_failed = status.is_server_error();
    if gateway.options.log_requests || has_failed {
        let (method, path) = (asked.0, asked.1.path());
        let (id, status) = (id.to_str().unwrap_or_default(), status.as_u16());
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let Noted { table, records } = noted;
        let reason = response.extensions().get::<Reason>();
        let error = reason.map(|reason| &*reason.0);
        match has_failed {
            true => {
                tracing::warn!(id, %method, path, status, micros, table, records, error, "request");
            }
            false => {
                tracing::info!(id, %method, path, status, micros, table, records, error, "request");
            }
        }
    }
    response.headers_mut().insert(ID, id);
    response
}

/// Whether an id may stand in logs as it is.
fn is_plain(id: &HeaderValue) -> bool {
    let id = id.as_bytes();
    !id.is_empty() && id.len() <= ID_CHARS_MAX && id.iter().all(u8::is_ascii_graphic)
}

fn fresh() -> HeaderValue {
    let id = format!("{:032x}", fastrand::u128(..));
    HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("none"))
}

/// A route's name in figures.
fn name(path: &str) -> &'static str {
    match path {
        "/" => "root",
        "/health" | "/health/{key}" => "health",
        "/ingest/{key}" => "ingest",
        "/flush/{key}" => "flush",
        "/metrics" => "metrics",
        "/docs" => "docs",
        "/openapi.json" => "openapi",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_if_it_may_stand_in_a_log() {
        let is = |id: &str| is_plain(&HeaderValue::from_str(id).unwrap());
        assert!(is("0f-A_9.:/") && is(&"x".repeat(128)));
        assert!(!is("") && !is("a b") && !is(&"x".repeat(129)) && !is("\u{e9}"));
        assert_ne!(fresh(), fresh());
    }
}
