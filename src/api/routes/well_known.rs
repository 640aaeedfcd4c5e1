//! What a receiver needs to tell genuine callbacks from others: without authentication.

use std::sync::Arc;

use axum::{Json, extract::State};
use callback::sign;
use serde_json::{Value, json};

use crate::app::App;

/// The addresses that callbacks come from, and their signature headers.
pub(super) async fn callbacks(State(app): State<Arc<App>>) -> Json<Value> {
    let addresses: Vec<String> =
        app.settings.callback.source_addresses.iter().map(ToString::to_string).collect();
    Json(json!({
        "source_addresses": addresses,
        "signature": "standard-webhooks-v1",
        "headers": {
            "id": sign::ID_HEADER,
            "timestamp": sign::TIMESTAMP_HEADER,
            "signature": sign::SIGNATURE_HEADER,
        },
        "user_agent": net::USER_AGENT,
    }))
}
