//! Addresses that customers give: judged when they are submitted, for a quick answer. What counts
//! is the judgement at every connection, so a name that does not resolve now is accepted.

use std::time::Duration;

use model::{FieldError, Input, InputLocation, Storage};
use net::Client;
use url::Url;

use super::error::ApiError;
use crate::{app::App, input_storage};

/// A look-up that takes longer is left to the connection.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest notify URL, in bytes.
const MOST: usize = 8192;

/// Checks a callback URL; gives a warning when callbacks would go out in clear.
///
/// # Errors
/// 1001 when it is no URL or its address is forbidden.
pub(super) async fn check_notify(client: &Client, notify: &str) -> Result<Option<String>, FieldError> {
    let wrong = |problem: String| FieldError::new("notify", problem);
    if notify.len() > MOST {
        return Err(wrong(format!("is longer than {MOST} bytes")));
    }
    let url = net::parse_url(notify).map_err(|problem| wrong(problem.to_string()))?;
    check(client, &url).await.map_err(wrong)?;
    let clear = url.scheme() == "http";
    Ok(clear.then(|| "`notify` is an http URL: callbacks go out in clear; https is better".to_owned()))
}

/// Checks an input, or what else a task reads: the address of one on the web, or that there is a storage for an object.
///
/// # Errors
/// 1001 when its address is forbidden, or no storage of the tenant's has its bucket; 1004 when the
/// tenant has no such upload.
pub(super) async fn check_input(
    app: &App,
    own: &Storage,
    field: &str,
    input: &Input,
) -> Result<(), ApiError> {
    let wrong = |problem: String| FieldError::new(field, problem);
    match input.location() {
        InputLocation::Url(url) => Ok(check(&app.net, url).await.map_err(wrong)?),
        InputLocation::Upload(id) => Ok(app.store.upload(&own.tenant, id).await.map(|_| ())?),
        InputLocation::Object { kind, bucket, .. } => {
            let found = input_storage::find(&app.store, own, *kind, bucket).await?;
            found.map(|_| ()).ok_or_else(|| {
                wrong(format!("no storage of yours is the bucket `{kind}://{bucket}/`; add one")).into()
            })
        }
    }
}

async fn check(client: &Client, url: &Url) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, client.check_url(url)).await {
        Ok(Err(problem)) => Err(problem.to_string()),
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}
