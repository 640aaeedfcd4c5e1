//! Fetches an input from a URL.
//!
//! Redirects are followed here, so that the guard judges each of them; the client follows none.

use std::path::Path;

use model::ErrorCode;
use net::{Exchange, NetError, NetErrorKind, Timing};
use reqwest::{
    Method, Request, Response, StatusCode,
    header::{ACCEPT_ENCODING, HeaderValue, IF_RANGE, LOCATION, RANGE},
};
use tokio::time::{sleep, timeout};
use url::Url;

use super::{
    ConnectionError, FetchLimits, FetchRetries, RateMeter, disk_error,
    file::GrowingFile,
    version::{ContentRange, InputVersion},
};
use crate::error::StorageError;

/// Fetches `url` into the file `to`, which is made or overwritten, and gives its size in bytes. `progress`
/// is called with the bytes that can be read from the file so far and, where the server says it, the size
/// of the whole; the bytes fall back when a fetch has to start again.
///
/// # Errors
/// 1101 unreachable or too slow, 1102 forbidden by the guard, 1103 over `limits.max_bytes`, 1302 when the disk
/// is full, 1500 when the file cannot be written.
pub async fn fetch_url(
    client: &net::Client,
    url: &Url,
    to: &Path,
    limits: &FetchLimits,
    progress: &(dyn Fn(u64, Option<u64>) + Sync),
) -> Result<u64, StorageError> {
    let file = GrowingFile::create(to).await.map_err(|error| disk_error(&error))?;
    let rate = RateMeter::start(limits.rate);
    let mut fetch = UrlFetch { client, url, limits, progress, file, rate, version: None, total: None };
    let mut retries = FetchRetries::new();
    while let Err(error) = fetch.receive_rest().await {
        let error = match error {
            ConnectionError::Broken(error) => error,
            ConnectionError::Final(error) => return Err(error),
        };
        // what was received before the connection broke can be read while the rest is asked for
        fetch.file.flush().await.map_err(|error| disk_error(&error))?;
        let so_far = fetch.file.length();
        progress(so_far, fetch.total);
        let Some(delay) = retries.next_delay(so_far) else { return Err(error) };
        tracing::debug!(%error, so_far, retry_in = ?delay, "the fetch of an input broke off; it is resumed");
        sleep(delay).await;
    }
    fetch.file.flush().await.map_err(|error| disk_error(&error))?;
    progress(fetch.file.length(), fetch.total);
    Ok(fetch.file.length())
}

struct UrlFetch<'a> {
    client: &'a net::Client,
    url: &'a Url,
    limits: &'a FetchLimits,
    progress: &'a (dyn Fn(u64, Option<u64>) + Sync),
    file: GrowingFile,
    rate: RateMeter,
    /// The version that the bytes in the file are of; none before the first answer.
    version: Option<InputVersion>,
    /// The size of the whole, where the server says it.
    total: Option<u64>,
}

impl UrlFetch<'_> {
    /// One connection: from where the file ends, or from the start where that cannot be requested.
    async fn receive_rest(&mut self) -> Result<(), ConnectionError> {
        let validator = self.resume_validator().cloned();
        let Exchange { response, timing } = self.request(validator.as_ref()).await?;
        let (status, range) = (response.status(), ContentRange::parse(response.headers()));
        let version = InputVersion::parse(response.headers());
        // other answers are about themselves: an error page has an ETag of its own
        let is_about_input = status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE;
        if is_about_input && self.version.as_ref().is_some_and(|known| known.differs(&version)) {
            return Err(self.changed());
        }
        match status {
            StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION => {
                if self.file.length() > 0 {
                    // first of all: a reader of the growing file has to learn of it before other bytes are
                    // there
                    (self.progress)(0, self.total);
                }
                self.file.empty().await.map_err(|error| ConnectionError::Final(disk_error(&error)))?;
                (self.version, self.total) = (Some(version), response.content_length());
            }
            StatusCode::PARTIAL_CONTENT if validator.is_some() => {
                if range.start != Some(self.file.length()) {
                    return Err(self.broken("the server answered with another range than was requested"));
                }
                self.total = range.total.or(self.total);
            }
            StatusCode::RANGE_NOT_SATISFIABLE if validator.is_some() => {
                // of a body of unknown length all bytes were received, and only its end was missing
                let is_complete = self.total.is_none() && range.total == Some(self.file.length());
                return if is_complete { Ok(()) } else { Err(self.changed()) };
            }
            status => return Err(self.unexpected_status(status)),
        }
        self.check_size(self.total.unwrap_or(0))?;
        self.append_body(response, timing).await
    }

    /// The value of `If-Range` with which the rest can be requested; none when it has to start anew.
    fn resume_validator(&self) -> Option<&HeaderValue> {
        if self.file.length() == 0 {
            return None;
        }
        self.version.as_ref()?.strong_validator()
    }

    /// Appends the body to the file.
    async fn append_body(&mut self, mut response: Response, timing: Timing) -> Result<(), ConnectionError> {
        loop {
            let chunk = self.rate.watch(timeout(self.limits.idle_timeout, response.chunk())).await;
            let chunk = chunk.map_err(|slow| ConnectionError::Final(self.unreachable(&slow.to_string())))?;
            let chunk = chunk.map_err(|_| self.broken(&self.silence()))?;
            let chunk =
                chunk.map_err(|error| self.broken(&NetError::from_body(&error, timing).to_string()))?;
            let Some(chunk) = chunk else { break };
            self.rate.received(chunk.len());
            self.check_size(self.file.length() + chunk.len() as u64)?;
            self.file.append(&chunk).await.map_err(|error| ConnectionError::Final(disk_error(&error)))?;
            (self.progress)(self.file.readable(), self.total);
        }
        match self.total {
            Some(total) if self.file.length() < total => {
                Err(self.broken(&format!("only {} of {total} bytes were received", self.file.length())))
            }
            _ => Ok(()),
        }
    }

    /// Requests the input, or its rest when there is a validator of its version, and follows redirects:
    /// each hop is judged by the guard like the first.
    async fn request(&self, validator: Option<&HeaderValue>) -> Result<Exchange, ConnectionError> {
        let mut url = self.url.clone();
        for _ in 0..=self.limits.max_redirects {
            let exchange = self.send(&url, validator).await?;
            if !is_redirect(exchange.response.status()) {
                return Ok(exchange);
            }
            let location = exchange.response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok());
            url = next.ok_or_else(|| self.refused("was redirected without a usable location"))?;
        }
        Err(self.refused(&format!("was redirected more than {} times", self.limits.max_redirects)))
    }

    async fn send(&self, url: &Url, validator: Option<&HeaderValue>) -> Result<Exchange, ConnectionError> {
        let request = || {
            let mut request = Request::new(Method::GET, url.clone());
            let headers = request.headers_mut();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            if let Some(validator) = validator {
                let range = format!("bytes={}-", self.file.length());
                headers.insert(RANGE, HeaderValue::try_from(range).expect("a number is a header's text"));
                headers.insert(IF_RANGE, validator.clone());
            }
            request
        };
        let exchange = async {
            match self.client.send(request()).await {
                Err(error) if error.stale => self.client.send_on_new_connection(request()).await,
                answer => answer,
            }
        };
        match timeout(self.limits.idle_timeout, exchange).await {
            Ok(Ok(exchange)) => Ok(exchange),
            Ok(Err(error)) if matches!(error.kind, NetErrorKind::Forbidden | NetErrorKind::BadUrl) => {
                let detail = self.detail(&error.to_string());
                Err(ConnectionError::Final(StorageError::permanent(ErrorCode::InputForbidden, detail)))
            }
            Ok(Err(error)) if error.permanent => Err(self.refused(&error.to_string())),
            Ok(Err(error)) => Err(self.unanswered(&error.to_string())),
            Err(_) => Err(self.unanswered(&self.silence())),
        }
    }

    fn check_size(&self, bytes: u64) -> Result<(), ConnectionError> {
        if bytes <= self.limits.max_bytes {
            return Ok(());
        }
        let problem = format!("has {bytes} bytes or more; at most {} are allowed", self.limits.max_bytes);
        let error = StorageError::permanent(ErrorCode::InputOverLimit, self.detail(&problem));
        Err(ConnectionError::Final(error))
    }

    /// A status that is neither the input nor a redirect.
    fn unexpected_status(&self, status: StatusCode) -> ConnectionError {
        let is_transient = status.is_server_error()
            || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        let problem = format!("the server answered {status}");
        if is_transient { self.unanswered(&problem) } else { self.refused(&problem) }
    }

    /// There is no answer to go on with. Before the first good answer it is the task that is tried again,
    /// which waits for longer than the retries of a fetch do.
    fn unanswered(&self, problem: &str) -> ConnectionError {
        if self.version.is_some() {
            self.broken(problem)
        } else {
            ConnectionError::Final(self.unreachable(problem))
        }
    }

    fn broken(&self, problem: &str) -> ConnectionError {
        ConnectionError::Broken(self.unreachable(problem))
    }

    fn silence(&self) -> String {
        format!("the server sent nothing for {:?}", self.limits.idle_timeout)
    }

    fn changed(&self) -> ConnectionError {
        ConnectionError::Final(self.unreachable("changed while it was being fetched"))
    }

    fn refused(&self, problem: &str) -> ConnectionError {
        let detail = self.detail(problem);
        ConnectionError::Final(StorageError::permanent(ErrorCode::InputUnreachable, detail))
    }

    fn unreachable(&self, problem: &str) -> StorageError {
        StorageError::transient(ErrorCode::InputUnreachable, self.detail(problem))
    }

    /// A problem with the URL before it, without what may be secret in that.
    fn detail(&self, problem: &str) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        // a password that the guard refuses is not quoted either; only a URL without a host cannot lose it
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        format!("{url}: {problem}")
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}
