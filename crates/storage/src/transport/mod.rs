//! How a store is talked to: every request through the guard, again after a while when it may pass.
//!
//! Tries are made here, one request at a time, and nowhere else: a body in memory is sent again as
//! it is, a long upload never starts over, and whoever gives up an upload in the middle can still
//! take back what was sent. A store is never waited for longer than the patience says. Redirects
//! are not followed: a signature is for one host.

mod parts;
mod refusal;
mod streams;
mod tokens;
mod trouble;

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{Response, request::Parts};
use md5::{Digest as _, Md5};
use opendal::{Buffer, HttpBody, HttpTransport};
use rand::RngExt as _;
use reqwest::{
    Body, Method, Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_LENGTH, ETAG, HeaderName, HeaderValue, RANGE, RETRY_AFTER},
};
use tokio::time::{Instant, sleep};
use url::Url;

pub(crate) use self::{parts::PartSigner, tokens::Tokens, trouble::Trouble};
use self::{
    refusal::Refusal,
    streams::{Pulse, body_of, read_all, sliced, within},
};

/// The pause before the first request again; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The checksum of what is sent (RFC 1864).
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// The most that is read of a refusal's text, in bytes.
const MOST_OF_REFUSAL: u64 = 64 << 10;

/// How long a store is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From a request's first failure to giving it up.
    pub total: Duration,
    /// The longest time in which not a byte moves.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { total: Duration::from_secs(120), idle: Duration::from_secs(30) }
    }
}

/// Is told why a store is waited for, in a sentence; an empty one when it answers again.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// How stores are reached.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) client: net::Client,
    pub(crate) patience: Patience,
    pub(crate) tell: Option<Tell>,
}

/// The way to one bucket, for opendal.
pub(crate) struct Transport {
    way: Way,
    /// `s3://bucket/`, for people.
    bucket: String,
    habits: Habits,
}

/// What is done otherwise than opendal does it, for the sake of some stores.
#[derive(Default)]
pub(crate) struct Habits {
    pub(crate) detour: Option<Detour>,
    pub(crate) parts: Option<PartSigner>,
    pub(crate) tokens: Option<Tokens>,
}

/// Another way than opendal takes for one host: what is asked of it goes elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Detour {
    /// The host that opendal means.
    pub(crate) from: String,
    /// Scheme, host and port to go to.
    pub(crate) to: Url,
}

impl Detour {
    /// The URL to ask instead of one of opendal's.
    pub(crate) fn of(&self, url: Url) -> Url {
        if url.host_str() != Some(&self.from) {
            return url;
        }
        let mut there = self.to.clone();
        there.set_path(url.path());
        there.set_query(url.query());
        there
    }
}

impl Transport {
    pub(crate) fn new(way: Way, bucket: String, habits: Habits) -> Self {
        Self { way, bucket, habits }
    }

    fn tell(&self, why: &str) {
        if let Some(tell) = &self.way.tell {
            tell(why);
        }
    }

    /// One request, one answer or one trouble.
    async fn once(&self, asked: &Asked) -> Result<Response<HttpBody>, Trouble> {
        let (idle, pulse) = (self.way.patience.idle, Arc::new(Pulse::new()));
        let mut request = Request::new(asked.head.method.clone(), asked.url.clone());
        *request.headers_mut() = asked.head.headers.clone();
        if !asked.body.is_empty() {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(asked.body.len()));
            *request.body_mut() = Some(Body::wrap_stream(sliced(asked.body.clone(), Arc::clone(&pulse))));
        } else if asked.head.method != Method::GET && asked.head.method != Method::HEAD {
            request.headers_mut().entry(CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
        }
        let exchange = if asked.tries == 0 {
            pulse.watch(idle, self.way.client.send(request)).await
        } else {
            pulse.watch(idle, self.way.client.send_on_new_connection(request)).await
        };
        let answer = exchange.ok_or(Trouble::Silent(idle))?.map_err(Trouble::Net)?.response;
        let status = answer.status();
        if status.is_redirection() || status.is_client_error() || status.is_server_error() {
            let headers = answer.headers().clone();
            let text = within(idle, read_all(answer, MOST_OF_REFUSAL)).await;
            // what cannot be read of a refusal does not change that it is one
            let text = text.ok().and_then(Result::ok).unwrap_or_default();
            return Err(Trouble::Refused(Refusal::of(status, &headers, &text)));
        }
        asked.check_echo(answer.headers())?;
        self.answer(asked, answer).await
    }

    /// The answer for opendal. Parts of objects are streamed; whatever else is answered is small
    /// and read here, so that an answer which breaks off is asked for again.
    async fn answer(&self, asked: &Asked, answer: reqwest::Response) -> Result<Response<HttpBody>, Trouble> {
        let idle = self.way.patience.idle;
        let mut response = Response::new(());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        let size = answer.content_length().filter(|_| asked.head.method != Method::HEAD);
        let body = if answer.status() == StatusCode::PARTIAL_CONTENT || asked.head.headers.contains_key(RANGE)
        {
            HttpBody::new(body_of(answer, idle), size)
        } else {
            let bytes =
                within(idle, read_all(answer, u64::MAX)).await.map_err(|_| Trouble::Silent(idle))??;
            let size = bytes.len() as u64;
            HttpBody::new(futures::stream::iter([Ok(Buffer::from(bytes))]), Some(size))
        };
        Ok(response.map(|()| body))
    }

    /// Asks until there is an answer, or patience is at its end.
    async fn ask(&self, request: http::Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let (mut head, body) = request.into_parts();
        if let Some(parts) = &self.habits.parts {
            parts.put_right(&mut head).await?;
        }
        let mut asked = Asked::new((head, body), self.habits.detour.as_ref())?;
        loop {
            let trouble = match self.once(&asked).await {
                Ok(response) => {
                    if asked.tries > 0 {
                        tracing::info!(bucket = self.bucket, tries = asked.tries, "the store answers again");
                        self.tell("");
                    }
                    return Ok(response);
                }
                Err(trouble) => trouble,
            };
            let Some(pause) = self.pause(&asked, &trouble) else { return Err(trouble.into()) };
            asked.tries += 1;
            if !pause.is_zero() {
                tracing::warn!(
                    bucket = self.bucket, %trouble, tries = asked.tries, again_in = ?pause,
                    "the store did not do what it was asked; trying again"
                );
                self.tell(&format!("waiting for {}: {trouble}", self.bucket));
            }
            sleep(pause).await;
        }
    }

    /// How long to wait before the next try; none when it is of no use, or patience is at its end.
    fn pause(&self, asked: &Asked, trouble: &Trouble) -> Option<Duration> {
        if !trouble.may_pass() {
            return None;
        }
        if trouble.is_stale() && asked.tries == 0 {
            return Some(Duration::ZERO);
        }
        let doubled = FIRST_PAUSE * 2_u32.pow(asked.tries.min(8));
        let pause = trouble.asks_for().unwrap_or(doubled).min(LONGEST_PAUSE);
        // not all at once again
        let pause = pause.mul_f64(rand::rng().random_range(0.75..1.0));
        (asked.begun.elapsed() + pause < self.way.patience.total).then_some(pause)
    }
}

/// A request that is tried until it is answered.
struct Asked {
    head: Parts,
    url: Url,
    body: Buffer,
    /// The MD5 of what is put.
    md5: Option<[u8; 16]>,
    begun: Instant,
    tries: u32,
}

impl Asked {
    fn new((mut head, body): (Parts, Buffer), detour: Option<&Detour>) -> opendal::Result<Self> {
        let url = Url::parse(&head.uri.to_string()).map_err(|error| {
            opendal::Error::new(opendal::ErrorKind::Unexpected, format!("is no URL: {error}"))
        })?;
        let has_checksum = head.headers.keys().any(|name| name.as_str().starts_with("x-amz-checksum-"));
        let md5 = (head.method == Method::PUT && !has_checksum).then(|| md5_of(&body));
        let is_s3 = is_signed_as(&head, "AWS4-");
        if let Some(md5) = md5.filter(|_| is_s3 || is_signed_as(&head, "q-sign-")) {
            head.headers.insert(CONTENT_MD5, in_base64(md5));
        }
        let url = match detour {
            _ if is_s3 => strictly_encoded(url),
            Some(detour) => detour.of(url),
            None => url,
        };
        Ok(Self { head, url, body, md5, begun: Instant::now(), tries: 0 })
    }

    /// Whether the store got what was sent, where it says what it got: Azure in `Content-MD5`, OSS
    /// and OBS in the ETag, unless a key of the customer's encrypts the object. Their signatures
    /// leave no room for a checksum in the request.
    fn check_echo(&self, answer: &http::HeaderMap) -> Result<(), Trouble> {
        let Some(md5) = self.md5.filter(|_| !self.body.is_empty()) else { return Ok(()) };
        let text = |name: HeaderName| answer.get(name).and_then(|value| value.to_str().ok());
        let (got, sent) = match text(CONTENT_MD5) {
            Some(got) => (Some(got.to_owned()), BASE64_STANDARD.encode(md5)),
            None if is_signed_as(&self.head, "OSS ") || is_signed_as(&self.head, "OBS ") => {
                let encrypted = answer.keys().any(|name| name.as_str().ends_with("server-side-encryption"));
                let tag = text(ETAG).map(|tag| tag.trim_matches('"').to_ascii_lowercase());
                (tag.filter(|tag| tag.len() == 32 && !encrypted), hex::encode(md5))
            }
            None => return Ok(()),
        };
        if got.is_some_and(|got| got != sent) { Err(Trouble::Garbled) } else { Ok(()) }
    }
}

impl HttpTransport for Transport {
    async fn fetch(&self, request: http::Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        match &self.habits.tokens {
            Some(tokens) if tokens.are_asked_by(&request) => tokens.kept_or(self.ask(request)).await,
            _ => self.ask(request).await,
        }
    }
}

/// Whether a request is signed in the way whose `Authorization` begins like this.
fn is_signed_as(head: &Parts, begins: &str) -> bool {
    head.headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(begins.as_bytes()))
}

fn md5_of(body: &Buffer) -> [u8; 16] {
    let mut md5 = Md5::new();
    for piece in body.clone() {
        md5.update(&piece);
    }
    md5.finalize().into()
}

fn in_base64(md5: [u8; 16]) -> HeaderValue {
    HeaderValue::try_from(BASE64_STANDARD.encode(md5)).expect("base64 is a header's text")
}

/// A URL with every character encoded that S3's signature sees encoded. opendal leaves some as they
/// are, and not every server that checks a signature looks at them like AWS does.
pub(crate) fn strictly_encoded(mut url: Url) -> Url {
    let encoded = |text: &str, these: &str| -> String {
        text.chars()
            .map(|one| if these.contains(one) { format!("%{:02X}", u32::from(one)) } else { one.into() })
            .collect()
    };
    url.set_path(&encoded(url.path(), "!'()*"));
    let query = url.query().map(|query| encoded(query, "!'()*/"));
    url.set_query(query.as_deref());
    url
}

/// What a refusal asks to be waited for, in its `Retry-After`.
fn retry_after(headers: &http::HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
