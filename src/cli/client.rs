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

use super::profile::{DEFAULT_PROFILE, Profile, Profiles};

/// How long a file may take to be uploaded or downloaded.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// The variables of the environment with the key.
pub(super) const ACCESS_KEY_ENV: &str = "BOREALIS_ACCESS_KEY";
pub(super) const SECRET_KEY_ENV: &str = "BOREALIS_SECRET_KEY";

/// What the path of every call begins with.
const BASE_PATH: &str = "/vodencoding/v1";

/// Which server to call, and with which key.
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

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// There is no key to sign in with.
    #[error(
        "{0} is not set; give BOREALIS_ACCESS_KEY and BOREALIS_SECRET_KEY, as the server had them at its \
         first start, or as it printed them once then; or run `borealis login`"
    )]
    NoKey(&'static str),
    /// The profile that was asked for is not there.
    #[error("there is no profile `{0}`; `borealis login --profile {0}` makes it")]
    NoProfile(String),
    /// There was no answer.
    #[error("{server} cannot be reached: {reason}; is `borealis serve` running there?")]
    Unreachable { server: String, reason: String },
    /// What answered is not Borealis.
    #[error("{server} does not answer like Borealis (HTTP {status}); look at --server")]
    NotBorealis { server: String, status: u16 },
    /// The server answered with an error.
    #[error("{msg} (code {code}, request {request_id})")]
    Refused { code: u32, msg: String, request_id: String },
    /// The answer does not have the fields that it should have.
    #[error("the answer to {call} is not understood: {reason}")]
    InvalidAnswer { call: String, reason: String },
}

/// The envelope of every answer.
#[derive(Deserialize)]
struct AnswerEnvelope {
    code: u32,
    msg: String,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    request_id: String,
}

/// Calls one server with one key.
pub(super) struct ApiClient {
    http: reqwest::Client,
    server: Url,
    access_key: String,
    secret_key: Secret,
    prints_warnings: bool,
}

impl ApiClient {
    /// A client with the key of the profile that is named, else that of the environment, else that of
    /// the default profile. It prints the server's warnings.
    pub(super) fn connect(connection: &Connection) -> super::Result<Self> {
        let profiles = Profiles::load()?;
        let profile = match &connection.profile {
            Some(name) => {
                Some(profiles.get(name).ok_or_else(|| ClientError::NoProfile(name.clone()))?.clone())
            }
            None => match (env_value(ACCESS_KEY_ENV), env_value(SECRET_KEY_ENV)) {
                (Some(access_key), Some(secret_key)) => {
                    Some(Profile { server: default_server(), access_key, secret_key })
                }
                (None, Some(_)) => return Err(ClientError::NoKey(ACCESS_KEY_ENV).into()),
                (Some(_), None) => return Err(ClientError::NoKey(SECRET_KEY_ENV).into()),
                (None, None) => profiles.get(DEFAULT_PROFILE).cloned(),
            },
        };
        let Profile { server, access_key, secret_key } = profile.ok_or(ClientError::NoKey(ACCESS_KEY_ENV))?;
        let server = connection.server.clone().unwrap_or(server);
        let client = Self::new(server, access_key, Secret::new(&secret_key))?;
        Ok(Self { prints_warnings: true, ..client })
    }

    /// A client with the given key. It ignores the server's warnings.
    pub(super) fn new(server: Url, access_key: String, secret_key: Secret) -> super::Result<Self> {
        Ok(Self { http: http_client()?, server, access_key, secret_key, prints_warnings: false })
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
        self.request(call, self.http.get(self.url(call, query))).await
    }

    /// `POST call?query` without a body.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        call: &str,
        query: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        self.request(call, self.http.post(self.url(call, query))).await
    }

    /// `POST call` with a body.
    pub(super) async fn post_json<T: DeserializeOwned>(
        &self,
        call: &str,
        body: &Value,
    ) -> Result<T, ClientError> {
        self.request(call, self.http.post(self.url(call, &[])).json(body)).await
    }

    /// `PUT call` with a body.
    pub(super) async fn put_json(&self, call: &str, body: &Value) -> Result<(), ClientError> {
        self.request::<Value>(call, self.http.put(self.url(call, &[])).json(body)).await.map(|_| ())
    }

    /// `DELETE call?query`
    pub(super) async fn delete(&self, call: &str, query: &[(&str, &str)]) -> Result<(), ClientError> {
        self.request::<Value>(call, self.http.delete(self.url(call, query))).await.map(|_| ())
    }

    /// `POST upload` with a file of `size` bytes.
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
        self.request("upload", request).await
    }

    /// Downloads a signed URL into a file, without the key; the file's folder is made.
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
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            file.write_all(&chunk).await?;
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

    /// Sends a request with the key; gives the `data` of its answer.
    async fn request<T: DeserializeOwned>(
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
        if self.prints_warnings {
            for warning in data["warnings"].as_array().into_iter().flatten() {
                eprintln!("warning: {}", warning.as_str().map_or_else(|| warning.to_string(), str::to_owned));
            }
        }
        serde_json::from_value(data)
            .map_err(|error| ClientError::InvalidAnswer { call: call.to_owned(), reason: error.to_string() })
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        ClientError::Unreachable { server: self.server.to_string(), reason: root_cause(error) }
    }
}

/// A variable of the environment; one that is empty counts as absent.
pub(super) fn env_value(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn default_server() -> Url {
    Url::parse("http://127.0.0.1:8080").expect("a URL")
}

/// An HTTP client for the addresses that the person at the command line gives.
#[expect(
    clippy::disallowed_methods,
    reason = "the guard is for addresses that come from outside; here the user names the server"
)]
pub(super) fn http_client() -> reqwest::Result<reqwest::Client> {
    // it fails only when a provider is installed already
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(60))
        .build()
}

/// The last error of the chain, which has the reason: reqwest's own says only that sending failed.
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
    let envelope: AnswerEnvelope = serde_json::from_slice(body)
        .map_err(|_| ClientError::NotBorealis { server: server.to_string(), status })?;
    if envelope.code != 0 {
        let AnswerEnvelope { code, msg, request_id, .. } = envelope;
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
        let error = read("<html>hello</html>", 404).expect_err("not Borealis").to_string();
        assert_eq!(error, "http://h:1/ does not answer like Borealis (HTTP 404); look at --server");
    }

    #[test]
    fn calls_lie_below_the_servers_path() {
        let server = Url::parse("https://media.example.com/borealis/").expect("a URL");
        let client = ApiClient::new(server, "a".to_owned(), Secret::new("s")).expect("a client");
        assert_eq!(
            client.url("query_task", &[("task_id", "a&b")]).as_str(),
            "https://media.example.com/borealis/vodencoding/v1/query_task?task_id=a%26b"
        );
    }
}
