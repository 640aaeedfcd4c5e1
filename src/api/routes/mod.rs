//! The routes: one file for each noun, and the table of them all.

mod batches;
mod callbacks;
mod events;
mod files;
mod health;
mod info;
mod keys;
mod notify;
mod outputs;
mod storage_check;
mod storages;
mod tasks;
mod templates;
mod uploads;
mod well_known;

use axum::{Router, routing::get};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::{BASE_PATH, document, state::ApiState};

/// Every route: the documented ones, and those that are read by machines of another kind.
pub(super) fn all() -> Router<ApiState> {
    Router::from(documented())
        .route("/metrics", get(health::metrics))
        .route("/.well-known/borealis-callbacks.json", get(well_known::callbacks))
        .route("/openapi.json", get(document::openapi))
        .route(&format!("{}/{{storage_id}}/{{*key}}", files::PATH), files::methods())
}

/// The routes of the OpenAPI document.
pub(super) fn documented() -> OpenApiRouter<ApiState> {
    let api = OpenApiRouter::new()
        .routes(routes!(storages::add_storage))
        .routes(routes!(storages::list_storage))
        .routes(routes!(storages::query_storage))
        .routes(routes!(storages::update_storage))
        .routes(routes!(storages::del_storage))
        .routes(routes!(storage_check::check_storage))
        .routes(routes!(storage_check::list_object))
        .routes(routes!(templates::add_template))
        .routes(routes!(templates::update_template))
        .routes(routes!(templates::query_template))
        .routes(routes!(templates::list_template))
        .routes(routes!(templates::del_template))
        .routes(routes!(tasks::create_task))
        .routes(routes!(batches::create_batch))
        .routes(routes!(tasks::query_task))
        .routes(routes!(tasks::list_task))
        .routes(routes!(tasks::cancel_task))
        .routes(routes!(tasks::retry_task))
        .routes(routes!(tasks::del_task))
        .routes(routes!(events::task_events))
        .routes(routes!(uploads::upload))
        .routes(routes!(outputs::sign_output))
        .routes(routes!(callbacks::list_callback))
        .routes(routes!(callbacks::query_callback))
        .routes(routes!(callbacks::redeliver_callback))
        .routes(routes!(callbacks::recover_callback))
        .routes(routes!(notify::ping_storage))
        .routes(routes!(notify::rotate_notify_secret))
        .routes(routes!(keys::add_key))
        .routes(routes!(keys::list_key))
        .routes(routes!(keys::del_key))
        .routes(routes!(info::info));
    OpenApiRouter::with_openapi(document::base())
        .nest(BASE_PATH, api)
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
}
