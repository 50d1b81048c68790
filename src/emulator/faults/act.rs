//! What faults do to a request for a token and to the creation of a stream.

use std::future::pending;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::{Cut, Faults, Kind, Place, Refusal};

impl Faults {
    /// What a request for a token is answered; none: what it would be anyway.
    pub(in super::super) async fn at_token(&self, cut: &Cut) -> Option<Response> {
        let refusal = self.act(Place::Token, cut).await?;
        Some(refusal.response())
    }

    /// What a stream ends with in place of being created.
    pub(in super::super) async fn at_create(&self, cut: &Cut) -> Result<(), Status> {
        match self.act(Place::Create, cut).await {
            Some(refusal) => Err(refusal.status()),
            None => Ok(()),
        }
    }

    /// A call has come, whose token is not looked at yet: tokens may have expired.
    pub(in super::super) fn at_call(&self) {
        for (index, _) in self.occasion(Place::Create, |kind| *kind == Kind::ExpireTokens) {
            if self.strikes(index) {
                self.auth.forget_all();
            }
        }
    }

    async fn act(&self, at: Place, cut: &Cut) -> Option<Refusal> {
        for (index, fault) in self.occasion(at, |kind| *kind != Kind::ExpireTokens) {
            if !self.strikes(index) {
                continue;
            }
            match &fault.kind {
                Kind::Refuse(refusal) => return Some(refusal.clone()),
                Kind::Delay(delay) => self.wait(tokio::time::sleep(*delay)).await,
                // Whatever is answered now reaches nobody.
                Kind::Drop => {
                    cut.cut();
                    return Some(Refusal::lost());
                }
                // Ends with the caller or the server.
                Kind::Stall => {
                    self.wait(pending()).await;
                    return Some(Refusal::lost());
                }
                // These strike on streams, and the last one before the call is looked at.
                Kind::Close(_) | Kind::RefuseRow(_) | Kind::WrongAck(_) | Kind::ExpireTokens => {}
            }
        }
        None
    }

    /// Waits, but no longer than the server runs.
    async fn wait(&self, waited: impl Future<Output = ()>) {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            () = waited => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
    }
}

impl Refusal {
    /// What a request is answered that shall get no answer.
    fn lost() -> Self {
        Self {
            code: tonic::Code::Unavailable,
            http: 503,
            retry_after: None,
            message: "lost on purpose".into(),
        }
    }

    pub(super) fn status(&self) -> Status {
        let mut metadata = MetadataMap::new();
        if let Some(after) = self.retry_after {
            metadata.insert("retry-after", after.as_secs().into());
        }
        Status::with_metadata(self.code, &self.message, metadata)
    }

    fn response(&self) -> Response {
        let status = StatusCode::from_u16(self.http).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let error_code = status.canonical_reason().unwrap_or_default();
        let error_code = error_code.to_uppercase().replace([' ', '-'], "_");
        let body = json!({"error_code": error_code, "message": self.message});
        let mut response = (status, Json(body)).into_response();
        if let Some(after) = self.retry_after {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, after.as_secs().into());
        }
        response
    }
}
