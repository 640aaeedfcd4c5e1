//! OAuth 2.0 access tokens, kept until shortly before they expire: Google's are good for an hour, and
//! opendal asks for one before every request.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode, Uri};
use opendal::{Buffer, HttpBody};
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

/// How long before it expires a token is no longer used: a request may be retried for some minutes.
const EXPIRY_MARGIN: Duration = Duration::from_secs(300);

/// How long a token is used at most, whatever its endpoint says: half a day is long for a token, and far
/// from what a clock cannot hold.
const MAX_USE: Duration = Duration::from_secs(12 * 60 * 60);

/// The last token response of one token endpoint.
#[derive(Debug)]
pub(crate) struct TokenCache {
    /// The host of the token endpoint.
    host: &'static str,
    /// The response's body, and until when it is used.
    cached: Mutex<Option<(Bytes, Instant)>>,
}

/// What is read of a token response (RFC 6749, 5.1).
#[derive(Deserialize)]
struct TokenResponse {
    /// Seconds.
    expires_in: u64,
}

impl TokenCache {
    /// An empty cache of the token endpoint at this host.
    pub(crate) fn new(host: &'static str) -> Self {
        Self { host, cached: Mutex::default() }
    }

    /// Whether a request to this URI is one for a token.
    pub(super) fn has_host(&self, uri: &Uri) -> bool {
        uri.host() == Some(self.host)
    }

    /// The cached response, or a fetched one. Concurrent callers wait for one fetch.
    pub(super) async fn get_or_fetch(
        &self,
        fetch: impl Future<Output = opendal::Result<Response<HttpBody>>>,
    ) -> opendal::Result<Response<HttpBody>> {
        let mut cached = self.cached.lock().await;
        if let Some((text, expires)) = &*cached
            && Instant::now() < *expires
        {
            return Ok(response_of(StatusCode::OK, text.clone()));
        }
        let (head, mut body) = fetch.await?.into_parts();
        let mut text = body.to_buffer().await?.to_bytes();
        if let Ok(TokenResponse { expires_in }) = serde_json::from_slice(&text) {
            // who signs with it adds this to the time, which panics where the sum is beyond all calendars
            if expires_in > MAX_USE.as_secs() {
                text = with_expiry(&text, MAX_USE);
            }
            let used_for = Duration::from_secs(expires_in).saturating_sub(EXPIRY_MARGIN).min(MAX_USE);
            *cached = Some((text.clone(), Instant::now() + used_for));
        }
        Ok(response_of(head.status, text))
    }
}

/// A token response that says so of its expiry.
fn with_expiry(text: &Bytes, expires_in: Duration) -> Bytes {
    match serde_json::from_slice::<serde_json::Value>(text) {
        Ok(mut token) => {
            token["expires_in"] = expires_in.as_secs().into();
            token.to_string().into()
        }
        Err(_) => text.clone(),
    }
}

fn response_of(status: StatusCode, text: Bytes) -> Response<HttpBody> {
    let size = text.len() as u64;
    let body = HttpBody::new(futures::stream::iter([Ok(Buffer::from(text))]), Some(size));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_kept_until_shortly_before_its_end() {
        let cache = TokenCache::new("tokens.example");
        let get = async |fetched: &'static str| {
            let fetch = async { Ok(response_of(StatusCode::OK, Bytes::from_static(fetched.as_bytes()))) };
            let mut body = cache.get_or_fetch(fetch).await.expect("answered").into_body();
            body.to_buffer().await.expect("read").to_bytes()
        };
        assert_eq!(get("no token").await, "no token");
        let first = r#"{"access_token":"1","expires_in":3600}"#;
        assert_eq!(get(first).await, first);
        tokio::time::advance(Duration::from_secs(3299)).await;
        assert_eq!(get("another").await, first);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(get("another").await, "another");
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_is_said_to_last_for_ever_is_asked_for_again() {
        let cache = TokenCache::new("tokens.example");
        let get = async |fetched: &'static str| {
            let fetch = async { Ok(response_of(StatusCode::OK, Bytes::from_static(fetched.as_bytes()))) };
            let mut body = cache.get_or_fetch(fetch).await.expect("answered").into_body();
            body.to_buffer().await.expect("read").to_bytes()
        };
        let first = r#"{"access_token":"1","expires_in":18446744073709551615}"#;
        assert_eq!(get(first).await, r#"{"access_token":"1","expires_in":43200}"#);
        tokio::time::advance(MAX_USE).await;
        assert_eq!(get("another").await, "another");
    }
}
