//! The HTTP API.
//!
//! A handler in `routes/` parses, asks the store, answers; what they share lies beside that folder. What
//! always holds: every error is answered in the envelope, whichever layer it comes from; every call but
//! those of `health` is authenticated; a call sees what its caller's tenant owns, and nothing else.

mod auth;
mod connection;
mod credential_cache;
mod document;
mod envelope;
mod error;
mod event_streams;
mod extract;
mod idempotency;
mod ids;
mod limits;
mod memory;
mod open_transfer;
mod output_place;
mod pace;
mod paging;
mod rate_limit;
mod request;
mod routes;
mod server;
mod shares;
mod sign_in_failures;
mod state;
mod transfers;
mod turns;
mod validate_url;
mod waiting;

use std::sync::Arc;

use axum::{Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;

pub use document::document;
pub use server::serve;
use state::ApiState;

/// The path of the calls of the AuroraCloud VOD API.
pub const BASE_PATH: &str = "/vodencoding/v1";

/// Every route with all layers.
pub fn router(app: Arc<App>) -> Router {
    with_state(ApiState::new(app))
}

fn with_state(state: ApiState) -> Router {
    let routes = routes::all()
        .layer(middleware::from_fn_with_state(state.clone(), idempotency::replay_answer))
        .with_state(state.clone());
    with_layers(routes, state.app)
}

/// Puts the layers around the routes. The envelope is around a router with the routes as its fallback, not a
/// layer of theirs: a router adds the `Allow` header of a wrong method after its own layers have run.
fn with_layers(routes: Router, app: Arc<App>) -> Router {
    let routes = routes
        .layer(middleware::from_fn_with_state(Arc::clone(&app), limits::with_timeout))
        .layer(CatchPanicLayer::custom(error::answer_panic))
        .layer(middleware::from_fn(envelope::keep_route));
    Router::new().fallback_service(routes).layer(middleware::from_fn_with_state(app, envelope::wrap))
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::{Request, StatusCode},
        routing::get,
    };
    use rstest::rstest;
    use serde_json::Value;
    use tower::ServiceExt as _;

    use super::*;
    use crate::config::{Flags, Settings};

    async fn fall_over() -> StatusCode {
        panic!("a secret of the handler")
    }

    async fn unavailable() -> StatusCode {
        StatusCode::SERVICE_UNAVAILABLE
    }

    async fn teapot() -> StatusCode {
        StatusCode::IM_A_TEAPOT
    }

    #[rstest]
    #[case("/panic", 500, 1500)]
    #[case("/slow", 503, 1503)]
    #[case("/odd", 418, 1001)]
    #[case("/none", 404, 1004)]
    #[tokio::test]
    async fn whatever_happens_inside_comes_out_in_the_envelope(
        #[case] path: &str,
        #[case] status: u16,
        #[case] code: u32,
    ) {
        let data = tempfile::tempdir().expect("a folder");
        let flags = Flags { data_dir: Some(data.path().display().to_string()), ..Flags::default() };
        let app = App::new(Settings::load(&flags).expect("settings")).await.expect("an application");
        let routes = Router::new()
            .route("/panic", get(fall_over))
            .route("/slow", get(unavailable))
            .route("/odd", get(teapot));
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let response = with_layers(routes, app).oneshot(request).await.expect("always an answer");
        assert_eq!(response.status().as_u16(), status);
        let id = response.headers()["x-request-id"].clone();
        let body = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        let envelope: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(envelope["code"], code);
        assert_eq!(envelope["request_id"], id.to_str().expect("ASCII"));
        assert!(!envelope.to_string().contains("secret"), "{envelope}");
    }
}
