//! Turns at what takes memory, so that the process stays small whatever its clients ask for: each tenant has a
//! few, and all together a few more.

use axum::{extract::FromRequestParts, http::request::Parts};

use super::{auth::Caller, connection::ConnectionInfo, error::ApiError, state::ApiState, turns::Turn};

/// Defines extractors that wait for a turn, which is over when the answer is sent.
macro_rules! extracted_turns {
    ($($(#[$doc:meta])* $name:ident = $turns:ident;)+) => {$(
        $(#[$doc])*
        pub(super) struct $name(#[expect(dead_code, reason = "it is held")] Option<Turn>);

        impl FromRequestParts<ApiState> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
                let caller = Caller::from_request_parts(parts, state).await?;
                let turn = state.memory.$turns.wait(&caller.tenant).await;
                Ok(Self(hold(parts, turn)))
            }
        }
    )+};
}

extracted_turns! {
    /// The turn of a call whose answer may have megabytes.
    LargeAnswer = large_answers;
    /// The turn of a call that lists objects of an object store.
    Listing = listings;
    /// The turn of a call that creates many tasks.
    LargeBatch = batches;
}

/// Leaves a turn to the connection until the answer is sent; gives it back where there is no connection.
pub(super) fn hold(parts: &Parts, turn: Turn) -> Option<Turn> {
    match parts.extensions.get::<ConnectionInfo>() {
        Some(connection) => {
            connection.hold(turn);
            None
        }
        None => Some(turn),
    }
}
