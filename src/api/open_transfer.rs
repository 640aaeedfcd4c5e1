//! Calls without a key whose answers are larger than a connection's buffers.

use axum::{extract::FromRequestParts, http::request::Parts};

use super::{connection::ConnectionInfo, error::ApiError, state::ApiState, transfers::TransferHolder};

/// The transfer of a call without a key whose answer is large; it is over when the answer is sent.
pub(super) struct OpenTransfer;

impl FromRequestParts<ApiState> for OpenTransfer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        if let Some(connection) = parts.extensions.get::<ConnectionInfo>() {
            connection.hold(state.transfers.begin(&TransferHolder::Address(connection.address()))?);
        }
        Ok(Self)
    }
}
