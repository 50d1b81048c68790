//! The interactive documentation at `/docs`, all of it from the binary.

use axum::Router;
use axum::http::header;
use axum::routing::get;

use crate::page;

/// The routes of the page; it reads `/openapi.json`.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let file = |content_type: &'static str, text: &'static str| {
        get(async move || (page::HEADERS, [(header::CONTENT_TYPE, content_type)], text))
    };
    let html = file("text/html; charset=utf-8", include_str!("docs/docs.html"));
    let script = file(
        "text/javascript; charset=utf-8",
        include_str!("docs/docs.js"),
    );
    let style = file("text/css; charset=utf-8", include_str!("docs/docs.css"));
    Router::new()
        .route("/docs", html)
        .route("/docs.js", script)
        .route("/docs.css", style)
}
