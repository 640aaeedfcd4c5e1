//! Turns at what takes memory, so that the process stays small whatever its clients ask for: each tenant has a
//! few, and all together a few more.

use std::time::Duration;

use axum::{extract::FromRequestParts, http::request::Parts};
use model::TenantId;

use super::{
    auth::Caller,
    connection::MaybeConnection,
    error::ApiError,
    state::ApiState,
    turns::{Turn, Turns},
};

/// Calls of a tenant that wait for the same turns at most: each of them takes a connection.
const MAX_WAITING: usize = 64;

/// When to come again with more.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Defines extractors that wait for a turn, which is over when the answer is sent.
macro_rules! extracted_turns {
    ($($(#[$doc:meta])* $name:ident = $turns:ident;)+) => {$(
        $(#[$doc])*
        pub(super) struct $name(#[expect(dead_code, reason = "it is held")] Option<Turn>);

        impl FromRequestParts<ApiState> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
                let caller = Caller::from_request_parts(parts, state).await?;
                let connection = MaybeConnection(parts.extensions.get().cloned());
                wait_for(&state.memory.$turns, &caller.tenant, &connection).await.map(Self)
            }
        }
    )+};
}

extracted_turns! {
    /// The turn of a call that lists objects of an object store.
    Listing = listings;
    /// The turn of a call that creates many tasks.
    LargeBatch = batches;
}

/// The turn of a call whose answer may have megabytes: of making it, until the handler is done. Another one
/// lasts until the answer is sent.
pub(super) struct LargeAnswer {
    _making: Turn,
    _unsent: Option<Turn>,
}

impl FromRequestParts<ApiState> for LargeAnswer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let connection = MaybeConnection(parts.extensions.get().cloned());
        let unsent = wait_for(&state.memory.unsent_answers, &caller.tenant, &connection).await?;
        Ok(Self { _making: state.memory.large_answers.wait(&caller.tenant).await, _unsent: unsent })
    }
}

/// Waits for a turn.
///
/// # Errors
/// 1007 when very many calls of the tenant wait for one.
pub(super) async fn wait_for(
    turns: &Turns<TenantId>,
    tenant: &TenantId,
    connection: &MaybeConnection,
) -> Result<Option<Turn>, ApiError> {
    let turn = turns.wait_unless_many(tenant, MAX_WAITING).await.ok_or_else(|| {
        let problem = "very many such calls of yours wait for each other; make fewer at once";
        ApiError::rate_limited(problem, RETRY_AFTER)
    })?;
    Ok(connection.hold(turn))
}
