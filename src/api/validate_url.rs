//! URLs that customers give, checked when they are submitted, so that a mistake is answered at once.
//!
//! This check is a courtesy. What protects the network is the guard of `net`, which checks the address of
//! every connection; so a name that does not resolve yet is accepted here.

use std::time::Duration;

use model::{FieldError, Input, InputLocation, Storage, check_text, limits::MAX_NOTIFY_BYTES};
use net::Client;
use url::Url;

use super::error::ApiError;
use crate::{app::App, input_storage};

/// A name look-up that takes longer is left to the connection.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// Checks a callback URL; gives a warning when callbacks would be sent without TLS.
///
/// # Errors
/// When it is no URL, or its address is forbidden.
pub(super) async fn check_notify(client: &Client, notify: &str) -> Result<Option<String>, FieldError> {
    let wrong = |problem: String| FieldError::new("notify", problem);
    check_text("notify", notify, MAX_NOTIFY_BYTES)?;
    let url = net::parse_url(notify).map_err(|problem| wrong(problem.to_string()))?;
    check_address(client, &url).await.map_err(wrong)?;
    if url.scheme() == "http" {
        return Ok(Some("`notify` is an http URL: callbacks are not encrypted; https is better".to_owned()));
    }
    Ok(None)
}

/// Checks an input, or another file that a task reads: the address of a URL, or that there is a storage for
/// the bucket of an object, which is given then. `storage` is the task's own.
///
/// # Errors
/// 1001 when the address is forbidden, or no storage of the tenant's has the bucket; 1004 when the
/// tenant has no such upload.
pub(super) async fn check_input(
    app: &App,
    storage: &Storage,
    field: &str,
    input: &Input,
) -> Result<Option<Storage>, ApiError> {
    match input.location() {
        InputLocation::Url(url) => {
            check_address(&app.net, url).await.map_err(|problem| FieldError::new(field, problem))?;
        }
        InputLocation::Upload(id) => {
            app.store.upload(&storage.tenant, id).await?;
        }
        InputLocation::Object { kind, bucket, .. } => {
            let found = input_storage::find(&app.store, storage, *kind, bucket).await?;
            let Some(found) = found else {
                let problem = format!("no storage of yours is the bucket `{kind}://{bucket}/`; add one");
                return Err(ApiError::field(field, problem));
            };
            return Ok(Some(found));
        }
    }
    Ok(None)
}

async fn check_address(client: &Client, url: &Url) -> Result<(), String> {
    match tokio::time::timeout(LOOKUP_TIMEOUT, client.check_url(url)).await {
        Ok(Err(problem)) => Err(problem.to_string()),
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}
