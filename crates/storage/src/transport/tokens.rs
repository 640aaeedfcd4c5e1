//! Tokens that a store's requests carry, kept while they are good: Google's are good for an hour, and
//! opendal asks for one before every request.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use opendal::{Buffer, HttpBody};
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

/// How long before its end a token is not used any more: a request may be tried for some minutes.
const MARGIN: Duration = Duration::from_secs(300);

/// What was answered last, for as long as it holds.
#[derive(Debug)]
pub(crate) struct Tokens {
    /// Who gives them.
    host: &'static str,
    kept: Mutex<Option<(Bytes, Instant)>>,
}

/// What is read of an answer (RFC 6749, 5.1).
#[derive(Deserialize)]
struct Granted {
    /// Seconds.
    expires_in: u64,
}

impl Tokens {
    /// Of this host.
    pub(crate) fn of(host: &'static str) -> Self {
        Self { host, kept: Mutex::default() }
    }

    /// Whether a request is one for a token.
    pub(super) fn are_asked_by(&self, request: &Request<Buffer>) -> bool {
        request.uri().host() == Some(self.host)
    }

    /// The kept answer, or what is answered now. Those who ask at once wait for one answer.
    pub(super) async fn kept_or(
        &self,
        asked: impl Future<Output = opendal::Result<Response<HttpBody>>>,
    ) -> opendal::Result<Response<HttpBody>> {
        let mut kept = self.kept.lock().await;
        if let Some((text, until)) = &*kept
            && Instant::now() < *until
        {
            return Ok(answer(StatusCode::OK, text.clone()));
        }
        let (head, mut body) = asked.await?.into_parts();
        let text = body.to_buffer().await?.to_bytes();
        if let Ok(Granted { expires_in }) = serde_json::from_slice(&text) {
            let good = Duration::from_secs(expires_in).saturating_sub(MARGIN);
            *kept = Some((text.clone(), Instant::now() + good));
        }
        Ok(answer(head.status, text))
    }
}

fn answer(status: StatusCode, text: Bytes) -> Response<HttpBody> {
    let size = text.len() as u64;
    let mut answer =
        Response::new(HttpBody::new(futures::stream::iter([Ok(Buffer::from(text))]), Some(size)));
    *answer.status_mut() = status;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_kept_until_shortly_before_its_end() {
        let tokens = Tokens::of("tokens.example");
        let told = async |text: &'static str| {
            let asked = async { Ok(answer(StatusCode::OK, Bytes::from_static(text.as_bytes()))) };
            let mut body = tokens.kept_or(asked).await.expect("answered").into_body();
            body.to_buffer().await.expect("read").to_bytes()
        };
        assert_eq!(told("no token").await, "no token");
        let first = r#"{"access_token":"1","expires_in":3600}"#;
        assert_eq!(told(first).await, first);
        tokio::time::advance(Duration::from_secs(3299)).await;
        assert_eq!(told("another").await, first);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(told("another").await, "another");
    }
}
