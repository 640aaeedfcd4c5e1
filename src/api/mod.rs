//! The HTTP API.
//!
//! A handler parses, asks the store, answers. What always holds: every answer is in the envelope,
//! whoever makes it; every call but those of `health` signs in; everything is the caller's tenant's.

mod auth;
mod credential_cache;
mod document;
mod envelope;
mod error;
mod event_streams;
mod extract;
mod idempotency;
mod ids;
mod limits;
mod paging;
mod rate_limit;
mod request;
mod routes;
mod server;
mod state;
mod validate_url;

use std::sync::Arc;

use axum::{Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;

pub use document::document;
pub use server::serve;
use state::ApiState;

/// Where the calls of the AuroraCloud VOD API are.
pub const BASE: &str = "/vodencoding/v1";

/// Every route, in the envelope.
pub fn router(app: Arc<App>) -> Router {
    with_state(ApiState::new(app))
}

fn with_state(state: ApiState) -> Router {
    let routes = routes::all()
        .layer(middleware::from_fn_with_state(state.clone(), idempotency::answer_once))
        .with_state(state.clone());
    with_layers(routes, state.app)
}

/// The layers around all routes. The envelope is outside of a router, not a layer of one: that is
/// where the `Allow` of a wrong method can be seen.
fn with_layers(routes: Router, app: Arc<App>) -> Router {
    let routes = routes
        .layer(middleware::from_fn_with_state(Arc::clone(&app), limits::in_time))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(middleware::from_fn(envelope::note_route));
    Router::new().fallback_service(routes).layer(middleware::from_fn_with_state(app, envelope::enclose))
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
