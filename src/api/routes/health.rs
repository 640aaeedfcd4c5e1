//! Liveness, readiness and metrics, for load balancers and Prometheus: without authentication.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use model::ErrorCode;
use store::IdleReason;

use crate::{
    api::{
        envelope::{Answer, Envelope, Nothing, Reply},
        error::{ApiError, Unavailable},
        open_transfer::OpenTransfer,
    },
    app::App,
    telemetry,
};

/// Answers that the process is alive.
#[utoipa::path(
    get, path = "/healthz", tag = "health",
    responses((status = 200, description = "the process is alive", body = Envelope<Answer<Nothing>>))
)]
pub(super) async fn healthz() -> Reply<Nothing> {
    Ok(Answer::nothing(Vec::new()))
}

/// Answers whether calls can be answered and tasks be begun: whether the database answers, and of the workers
/// that live, if any do, at least one claims tasks.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses((status = 200, description = "calls can be answered, and tasks are begun", body = Envelope<Answer<Nothing>>), Unavailable)
)]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Reply<Nothing> {
    match app.store.idle_reason(app.settings.worker.lease).await {
        // workers may start later than the API, and elsewhere
        Ok(None | Some(IdleReason::NoWorker)) => Ok(Answer::nothing(Vec::new())),
        // who paused has logged it
        Ok(Some(IdleReason::Paused(why))) => {
            Err(ApiError::new(ErrorCode::Unavailable, format!("no task is begun, because {why}")))
        }
        Err(error) => {
            tracing::error!(%error, "not ready");
            Err(ApiError::new(ErrorCode::Unavailable, "the database does not answer"))
        }
    }
}

/// The figures, as Prometheus reads them.
pub(super) async fn metrics(State(app): State<Arc<App>>, _transfer: OpenTransfer) -> Response {
    match app.store.queue_depth().await {
        Ok(depth) => telemetry::record_queue_depth(&depth),
        Err(error) => tracing::error!(%error, "the figures of the queue are old"),
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, telemetry::metrics_handle().render()).into_response()
}
