//! The HTTP API.
//!
//! A handler parses, asks the store, answers. What always holds: every answer is in the envelope,
//! whoever makes it; every call but those of `health` signs in; everything is the caller's tenant's.

mod addresses;
mod auth;
mod callbacks;
mod document;
mod envelope;
mod error;
mod extract;
mod health;
mod ids;
mod limits;
mod paging;
mod reading;
mod server;
mod storages;
mod tasks;
mod templates;

use std::sync::Arc;

use axum::{Router, http::StatusCode, middleware, routing::get};
use tower_http::{catch_panic::CatchPanicLayer, timeout::TimeoutLayer};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

pub(crate) use auth::SignIns;
pub use document::document;
pub use server::serve;

/// Where the calls of the AuroraCloud VOD API are.
pub const BASE: &str = "/vodencoding/v1";

/// Every route, with the layers around all of them.
pub fn router(app: Arc<App>) -> Router {
    Router::from(calls())
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(document::openapi))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, limits::REQUEST_TIMEOUT))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), envelope::enclose))
        .with_state(app)
}

/// The documented calls.
fn calls() -> OpenApiRouter<Arc<App>> {
    let api = OpenApiRouter::new()
        .routes(routes!(storages::add_storage))
        .routes(routes!(storages::list_storage))
        .routes(routes!(storages::del_storage))
        .routes(routes!(templates::add_template))
        .routes(routes!(templates::update_template))
        .routes(routes!(templates::query_template))
        .routes(routes!(templates::list_template))
        .routes(routes!(templates::del_template))
        .routes(routes!(tasks::create_task))
        .routes(routes!(tasks::query_task))
        .routes(routes!(tasks::list_task))
        .routes(routes!(tasks::cancel_task))
        .routes(routes!(tasks::retry_task))
        .routes(routes!(callbacks::list_callback))
        .routes(routes!(callbacks::query_callback));
    OpenApiRouter::with_openapi(document::base())
        .nest(BASE, api)
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
}
