//! Fetches a remote input into a local file.
//!
//! Every connection goes through the guard, redirects included. What is on disk at the end is one
//! version of the object, whole: a broken connection is resumed only when the server proves that
//! the object has not changed, else the fetch starts again. Memory does not grow with size.

mod file;
mod object;
mod version;

use std::{io, path::Path, time::Duration};

use model::ErrorCode;
use net::{Exchange, NetError, NetErrorKind, Timing};
use reqwest::{
    Method, Request, Response, StatusCode,
    header::{ACCEPT_ENCODING, HeaderValue, IF_RANGE, LOCATION, RANGE},
};
use tokio::time::{sleep, timeout};
use url::Url;

pub use self::object::fetch_object;
use self::{
    file::GrowingFile,
    version::{ContentRange, Version},
};

/// How often a fetch goes on after its connection broke, unless it got further in between.
const TRIES: u32 = 4;

/// How many bytes further make it worth as many tries again.
const PROGRESS: u64 = 1 << 20;

/// How long it waits before the first of them; each next one twice as long.
const BACK_OFF: Duration = Duration::from_millis(200);

/// How far a fetch may go.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    /// The largest object, in bytes.
    pub max_bytes: u64,
    /// The longest time without a byte.
    pub idle_timeout: Duration,
    /// How many redirects are followed.
    pub redirects: u8,
}

/// Why an input could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", code.words())]
pub struct FetchError {
    /// The code that the task fails with: 1101, 1102, 1103, or 1500 for our own disk.
    pub code: ErrorCode,
    /// A sentence that names the URL, without its query, and the reason.
    pub detail: String,
    /// Whether trying again later may help.
    pub retry: bool,
}

/// Fetches `url` into the file `to`, which is made or overwritten, and gives its size in bytes.
/// `progress` is told the bytes so far and, where the server says it, the size of the whole; the
/// bytes fall back when a fetch has to start again.
///
/// # Errors
/// 1101 unreachable, 1102 forbidden by the guard, 1103 over `limits.max_bytes`, 1500 when the file
/// cannot be written.
pub async fn fetch(
    client: &net::Client,
    url: &Url,
    to: &Path,
    limits: &FetchLimits,
    progress: &(dyn Fn(u64, Option<u64>) + Sync),
) -> Result<u64, FetchError> {
    let file = GrowingFile::create(to).await.map_err(|error| disk(&error))?;
    let mut fetch = Fetch { client, url, limits, progress, file, version: None, total: None };
    let (mut tries, mut farthest) = (TRIES, 0);
    while let Err(stop) = fetch.go_on().await {
        let error = match stop {
            Stop::Broken(error) if tries > 0 => error,
            Stop::Broken(error) | Stop::Final(error) => return Err(error),
        };
        if fetch.file.length() >= farthest + PROGRESS {
            (tries, farthest) = (TRIES, fetch.file.length());
        }
        tracing::debug!(%error, so_far = fetch.file.length(), tries, "the fetch of an input broke off; going on");
        sleep(BACK_OFF * 2_u32.pow(TRIES - tries)).await;
        tries -= 1;
    }
    fetch.file.end().await.map_err(|error| disk(&error))
}

/// What ended a connection before the object was complete.
enum Stop {
    /// The connection broke in the middle: another may bring the rest.
    Broken(FetchError),
    /// No other connection will do better now.
    Final(FetchError),
}

struct Fetch<'a> {
    client: &'a net::Client,
    url: &'a Url,
    limits: &'a FetchLimits,
    progress: &'a (dyn Fn(u64, Option<u64>) + Sync),
    file: GrowingFile,
    /// What the bytes in the file are of; none before the first answer.
    version: Option<Version>,
    /// How long the whole is, where the server says it.
    total: Option<u64>,
}

impl Fetch<'_> {
    /// One connection: from where the file ends, or from the start where that cannot be asked for.
    async fn go_on(&mut self) -> Result<(), Stop> {
        let proof =
            self.version.as_ref().and_then(Version::proof).filter(|_| self.file.length() > 0).cloned();
        let Exchange { response, timing } = self.ask(proof.as_ref()).await?;
        let (status, range) = (response.status(), ContentRange::of(response.headers()));
        let version = Version::of(response.headers());
        let holds_object = status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE;
        if holds_object && self.version.as_ref().is_some_and(|known| known.differs(&version)) {
            return Err(self.changed());
        }
        match status {
            StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION => {
                if self.file.length() > 0 {
                    // before who reads it can see other bytes there
                    (self.progress)(0, self.total);
                }
                self.file.empty().await.map_err(|error| Stop::Final(disk(&error)))?;
                (self.version, self.total) = (Some(version), response.content_length());
            }
            StatusCode::PARTIAL_CONTENT if proof.is_some() => {
                if range.start != Some(self.file.length()) {
                    return Err(self.broken("the server answered with another part than was asked for"));
                }
                self.total = range.total.or(self.total);
            }
            StatusCode::RANGE_NOT_SATISFIABLE if proof.is_some() => {
                // everything had come but the end of an answer that did not say its length
                let complete = self.total.is_none() && range.total == Some(self.file.length());
                return if complete { Ok(()) } else { Err(self.changed()) };
            }
            status => return Err(self.refused(status)),
        }
        self.check_size(self.total.unwrap_or(0))?;
        self.receive(response, timing).await
    }

    /// Reads the body to its end.
    async fn receive(&mut self, mut response: Response, timing: Timing) -> Result<(), Stop> {
        loop {
            let chunk = timeout(self.limits.idle_timeout, response.chunk()).await;
            let chunk = chunk.map_err(|_| self.silent())?;
            let chunk = chunk.map_err(|error| self.broken(&NetError::of_body(&error, timing).to_string()))?;
            let Some(chunk) = chunk else { break };
            self.check_size(self.file.length() + chunk.len() as u64)?;
            self.file.append(&chunk).await.map_err(|error| Stop::Final(disk(&error)))?;
            (self.progress)(self.file.length(), self.total);
        }
        match self.total {
            Some(total) if self.file.length() < total => {
                Err(self.broken(&format!("only {} of {total} bytes came", self.file.length())))
            }
            _ => Ok(()),
        }
    }

    /// Asks for the object, or for its rest when there is proof of its version, and follows
    /// redirects: each hop is judged by the guard like the first.
    async fn ask(&self, proof: Option<&HeaderValue>) -> Result<Exchange, Stop> {
        let mut url = self.url.clone();
        for _ in 0..=self.limits.redirects {
            let exchange = self.send(&url, proof).await?;
            if !is_redirect(exchange.response.status()) {
                return Ok(exchange);
            }
            let location = exchange.response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok());
            url = next.ok_or_else(|| self.lasting("was redirected without a usable location"))?;
        }
        Err(self.lasting(&format!("was redirected more than {} times", self.limits.redirects)))
    }

    async fn send(&self, url: &Url, proof: Option<&HeaderValue>) -> Result<Exchange, Stop> {
        let request = || {
            let mut request = Request::new(Method::GET, url.clone());
            let headers = request.headers_mut();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            if let Some(proof) = proof {
                let range = format!("bytes={}-", self.file.length());
                headers.insert(RANGE, HeaderValue::try_from(range).expect("a number is a header's text"));
                headers.insert(IF_RANGE, proof.clone());
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
                Err(Stop::Final(self.error(ErrorCode::InputForbidden, &error.to_string(), false)))
            }
            Ok(Err(error)) => Err(self.unanswered(&error.to_string())),
            Err(_) => Err(self.unanswered(&self.silence())),
        }
    }

    fn check_size(&self, bytes: u64) -> Result<(), Stop> {
        if bytes <= self.limits.max_bytes {
            return Ok(());
        }
        let problem = format!("has {bytes} bytes or more; at most {} are allowed", self.limits.max_bytes);
        Err(Stop::Final(self.error(ErrorCode::InputOverLimit, &problem, false)))
    }

    /// A status that is neither the object nor a redirect.
    fn refused(&self, status: StatusCode) -> Stop {
        let may_pass = status.is_server_error()
            || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        let problem = format!("the server answered {status}");
        if may_pass { self.unanswered(&problem) } else { self.lasting(&problem) }
    }

    /// There was no answer to go on with. Before the first byte that is for whoever asked to try
    /// again, later than we would.
    fn unanswered(&self, problem: &str) -> Stop {
        let error = self.error(ErrorCode::InputUnreachable, problem, true);
        if self.version.is_some() { Stop::Broken(error) } else { Stop::Final(error) }
    }

    fn broken(&self, problem: &str) -> Stop {
        Stop::Broken(self.error(ErrorCode::InputUnreachable, problem, true))
    }

    fn silent(&self) -> Stop {
        self.broken(&self.silence())
    }

    fn silence(&self) -> String {
        format!("the server sent nothing for {:?}", self.limits.idle_timeout)
    }

    fn changed(&self) -> Stop {
        Stop::Final(self.error(ErrorCode::InputUnreachable, "changed while it was being fetched", true))
    }

    fn lasting(&self, problem: &str) -> Stop {
        Stop::Final(self.error(ErrorCode::InputUnreachable, problem, false))
    }

    fn error(&self, code: ErrorCode, problem: &str, retry: bool) -> FetchError {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        // a password that the guard refuses must not be told either; a URL with a host can lose both
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        FetchError { code, detail: format!("{url}: {problem}"), retry }
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

fn disk(error: &io::Error) -> FetchError {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        let detail = "the server's disk is full: it has no room for the input".to_owned();
        return FetchError { code: ErrorCode::EncodingOverLimit, detail, retry: false };
    }
    FetchError {
        code: ErrorCode::Internal,
        detail: format!("the input cannot be written to disk: {error}"),
        retry: true,
    }
}
