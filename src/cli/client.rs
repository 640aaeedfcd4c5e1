//! The client of the server's own API, as the subcommands use it: the same calls, with the same
//! keys, that every other client makes.

use std::{env, error::Error as _, io, path::Path, time::Duration};

use model::Secret;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{
    fs,
    io::{AsyncWriteExt as _, BufWriter},
};
use url::Url;

use super::profile::{Profile, Profiles, USUAL};

/// A file may take this long to come or to go.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

const BASE_PATH: &str = "/vodencoding/v1";

/// Which server is asked.
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "Keys come from the environment, BOREALIS_ACCESS_KEY and BOREALIS_SECRET_KEY, else from the \
                  profile that `borealis login` made."
)]
pub(super) struct Connection {
    /// The server's address [default: that of the profile, else http://127.0.0.1:8080]
    #[arg(long, global = true, env = "BOREALIS_SERVER", value_name = "URL")]
    server: Option<Url>,
    /// The profile to use, as `borealis login` keeps them; goes before keys of the environment
    #[arg(long, global = true, env = "BOREALIS_PROFILE", value_name = "NAME")]
    profile: Option<String>,
}

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// There is nothing to sign in with.
    #[error(
        "{0} is not set; give BOREALIS_ACCESS_KEY and BOREALIS_SECRET_KEY, as the server had them at its \
         first start, or as it printed them once then; or run `borealis login`"
    )]
    NoKey(&'static str),
    /// The profile that was asked for is not there.
    #[error("there is no profile `{0}`; `borealis login --profile {0}` makes it")]
    NoProfile(String),
    /// No answer came.
    #[error("{server} cannot be reached: {reason}; is `borealis serve` running there?")]
    Unreachable { server: String, reason: String },
    /// An answer came that no Borealis would give.
    #[error("{server} does not answer like Borealis (HTTP {status}); look at --server")]
    Foreign { server: String, status: u16 },
    /// The server said no.
    #[error("{msg} (code {code}, request {request_id})")]
    Refused { code: u32, msg: String, request_id: String },
    /// The server's answer lacks what it should hold.
    #[error("the answer to {call} is not understood: {reason}")]
    Answer { call: String, reason: String },
}

/// What every answer is wrapped in.
#[derive(Deserialize)]
struct Envelope {
    code: u32,
    msg: String,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    request_id: String,
}

/// Calls one server with one key.
pub(super) struct Client {
    http: reqwest::Client,
    server: Url,
    access_key: String,
    secret_key: Secret,
    tells_warnings: bool,
}

impl Client {
    /// A client with the key of the profile that is named, else that of the environment, else that of
    /// the usual profile.
    pub(super) fn connect(connection: &Connection) -> super::Result<Self> {
        let profiles = Profiles::load()?;
        let profile = match &connection.profile {
            Some(name) => {
                Some(profiles.get(name).ok_or_else(|| ClientError::NoProfile(name.clone()))?.clone())
            }
            None => match (key("BOREALIS_ACCESS_KEY"), key("BOREALIS_SECRET_KEY")) {
                (Ok(access_key), Ok(secret_key)) => {
                    Some(Profile { server: usual_server(), access_key, secret_key })
                }
                (Err(error), Ok(_)) | (Ok(_), Err(error)) => return Err(error.into()),
                (Err(_), Err(_)) => profiles.get(USUAL).cloned(),
            },
        };
        let Profile { server, access_key, secret_key } =
            profile.ok_or(ClientError::NoKey("BOREALIS_ACCESS_KEY"))?;
        let server = connection.server.clone().unwrap_or(server);
        let client = Self::new(server, access_key, Secret::new(&secret_key))?;
        Ok(Self { tells_warnings: true, ..client })
    }

    /// A client with the given key, which keeps the server's warnings to itself.
    pub(super) fn new(server: Url, access_key: String, secret_key: Secret) -> super::Result<Self> {
        Ok(Self { http: http_client()?, server, access_key, secret_key, tells_warnings: false })
    }

    /// The server's address.
    pub(super) fn server(&self) -> &Url {
        &self.server
    }

    /// `GET call?query`
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        call: &str,
        query: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        self.answer(call, self.http.get(self.url(call, query))).await
    }

    /// `POST call?query` without a body.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        call: &str,
        query: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        self.answer(call, self.http.post(self.url(call, query))).await
    }

    /// `POST call` with a body.
    pub(super) async fn send<T: DeserializeOwned>(&self, call: &str, body: &Value) -> Result<T, ClientError> {
        self.answer(call, self.http.post(self.url(call, &[])).json(body)).await
    }

    /// `PUT call` with a body.
    pub(super) async fn replace(&self, call: &str, body: &Value) -> Result<(), ClientError> {
        self.answer::<Value>(call, self.http.put(self.url(call, &[])).json(body)).await.map(|_| ())
    }

    /// `DELETE call?query`
    pub(super) async fn delete(&self, call: &str, query: &[(&str, &str)]) -> Result<(), ClientError> {
        self.answer::<Value>(call, self.http.delete(self.url(call, query))).await.map(|_| ())
    }

    /// Sends a file of this many bytes.
    pub(super) async fn upload<T: DeserializeOwned>(
        &self,
        name: &str,
        size: u64,
        body: reqwest::Body,
    ) -> Result<T, ClientError> {
        let request = self
            .http
            .post(self.url("upload", &[("name", name)]))
            .header(reqwest::header::CONTENT_LENGTH, size)
            .header(reqwest::header::CONTENT_TYPE, "application/octet-stream")
            .timeout(TRANSFER_TIMEOUT)
            .body(body);
        self.answer("upload", request).await
    }

    /// Fetches a signed address into a file, without signing in; its folder is made.
    pub(super) async fn download(&self, url: Url, to: &Path) -> super::Result {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).await?;
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let unreachable = |error: reqwest::Error| ClientError::Unreachable {
            server: host.clone(),
            reason: root_cause(&error.without_url()),
        };
        let answer =
            self.http.get(url.clone()).timeout(TRANSFER_TIMEOUT).send().await.map_err(unreachable)?;
        let mut answer = answer.error_for_status().map_err(unreachable)?;
        let mut file = BufWriter::new(fs::File::create(to).await?);
        while let Some(piece) = answer.chunk().await.map_err(unreachable)? {
            file.write_all(&piece).await?;
        }
        file.flush().await?;
        Ok(())
    }

    /// Whether the server is there and ready for work.
    pub(super) async fn is_ready(&self) -> bool {
        let mut url = self.server.clone();
        url.set_path("/readyz");
        self.http.get(url).send().await.is_ok_and(|answer| answer.status().is_success())
    }

    fn url(&self, call: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.server.clone();
        let path = format!("{}{BASE_PATH}/{call}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        call: &str,
        request: reqwest::RequestBuilder,
    ) -> Result<T, ClientError> {
        let answer = request
            .basic_auth(&self.access_key, Some(self.secret_key.expose()))
            .header("auth-type", "use-basic")
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        let data = read_envelope(&body, status, &self.server)?;
        if self.tells_warnings {
            for warning in data["warnings"].as_array().into_iter().flatten() {
                eprintln!("warning: {}", warning.as_str().map_or_else(|| warning.to_string(), str::to_owned));
            }
        }
        serde_json::from_value(data)
            .map_err(|error| ClientError::Answer { call: call.to_owned(), reason: error.to_string() })
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        ClientError::Unreachable { server: self.server.to_string(), reason: root_cause(error) }
    }
}

fn key(name: &'static str) -> Result<String, ClientError> {
    env::var(name).ok().filter(|value| !value.is_empty()).ok_or(ClientError::NoKey(name))
}

fn usual_server() -> Url {
    Url::parse("http://127.0.0.1:8080").expect("a URL")
}

/// An HTTP client for where the person at the command line sends it.
#[expect(
    clippy::disallowed_methods,
    reason = "the guard is for addresses that come from outside; here the user names the server"
)]
pub(super) fn http_client() -> reqwest::Result<reqwest::Client> {
    // an error here only says that there is one already
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(60))
        .build()
}

/// The last error of the chain: reqwest's own say only that sending failed.
fn root_cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it took too long".to_owned();
    }
    let mut cause = error.source();
    let mut text = error.to_string();
    while let Some(inner) = cause {
        text = inner
            .downcast_ref::<io::Error>()
            .map_or_else(|| inner.to_string(), |error| error.kind().to_string());
        cause = inner.source();
    }
    text
}

/// The `data` of an answer, or what went wrong.
fn read_envelope(body: &[u8], status: u16, server: &Url) -> Result<Value, ClientError> {
    let envelope: Envelope = serde_json::from_slice(body)
        .map_err(|_| ClientError::Foreign { server: server.to_string(), status })?;
    if envelope.code != 0 {
        let Envelope { code, msg, request_id, .. } = envelope;
        return Err(ClientError::Refused { code, msg, request_id });
    }
    Ok(envelope.data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str, status: u16) -> Result<Value, ClientError> {
        read_envelope(body.as_bytes(), status, &Url::parse("http://h:1/").expect("a URL"))
    }

    #[test]
    fn data_comes_out_of_the_envelope() {
        let data = read(r#"{"code":0,"msg":"","data":{"task_id":"t"},"request_id":"r"}"#, 200);
        assert_eq!(data.expect("fine"), serde_json::json!({"task_id": "t"}));
    }

    #[test]
    fn a_refusal_is_the_servers_sentence_with_the_request_id() {
        let body =
            r#"{"code":1004,"msg":"EmptyResult: there is no task `x`","data":{},"request_id":"req-1"}"#;
        // `error_status = ok` answers errors with 200
        for status in [200, 404] {
            assert_eq!(
                read(body, status).expect_err("refused").to_string(),
                "EmptyResult: there is no task `x` (code 1004, request req-1)"
            );
        }
    }

    #[test]
    fn another_server_is_recognised() {
        let error = read("<html>hello</html>", 404).expect_err("foreign").to_string();
        assert_eq!(error, "http://h:1/ does not answer like Borealis (HTTP 404); look at --server");
    }

    #[test]
    fn calls_lie_below_the_servers_path() {
        let server = Url::parse("https://media.example.com/borealis/").expect("a URL");
        let client = Client::new(server, "a".to_owned(), Secret::new("s")).expect("a client");
        assert_eq!(
            client.url("query_task", &[("task_id", "a&b")]).as_str(),
            "https://media.example.com/borealis/vodencoding/v1/query_task?task_id=a%26b"
        );
    }
}
