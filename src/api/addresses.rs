//! Addresses that customers give: judged when they are submitted, for a quick answer. What counts
//! is the judgement at every connection, so a name that does not resolve now is accepted.

use std::time::Duration;

use model::{FieldError, Input};
use net::Client;
use url::Url;

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

/// Checks the URL of an input.
///
/// # Errors
/// 1001 when its address is forbidden.
pub(super) async fn check_input(client: &Client, input: &Input) -> Result<(), FieldError> {
    check(client, input.url()).await.map_err(|problem| FieldError::new("input", problem))
}

async fn check(client: &Client, url: &Url) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, client.check(url)).await {
        Ok(Err(problem)) => Err(problem.to_string()),
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}
