//! Object-store servers for tests, as real programs: moto, rclone and s3s-fs for S3, which verify the
//! signature of every request, and Azurite for Azure. `scripts/test-servers.sh` fetches them.

use std::{
    io::{BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, Mac as _};
use model::{Secret, Storage, StorageType};
use reqwest::Method;
use sha2::Sha256;

/// A running server, killed when dropped.
pub struct ObjectStoreServer {
    child: Child,
    /// The URL at which it listens.
    pub endpoint: String,
    /// An access key that may do everything.
    pub access_key: String,
    /// The secret of `access_key`.
    pub secret_key: String,
    kind: StorageType,
    _folder: tempfile::TempDir,
}

/// An `Authorization` in the form that moto requires, of no account: it accepts it while no access key
/// exists.
const UNSIGNED_AUTHORIZATION: &str =
    "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=x";

impl ObjectStoreServer {
    /// moto, with these buckets and one user who may do everything with them.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub async fn s3(client: &net::Client, buckets: &[&str]) -> Self {
        let folder = installed("moto-");
        let mut command = Command::new("python3");
        command
            .args(["-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", "0"])
            .env("PYTHONPATH", folder)
            .env("PYTHONUNBUFFERED", "1")
            // the calls below, which are made before there is an access key
            .env("INITIAL_NO_AUTH_ACTION_COUNT", (buckets.len() + 3).to_string());
        let mut server = Self::start(command, "Running on ", StorageType::S3);
        for bucket in buckets {
            let headers = [("authorization", UNSIGNED_AUTHORIZATION.replace("/iam/", "/s3/"))];
            call(client, Method::PUT, &format!("{}/{bucket}", server.endpoint), &headers, "").await;
        }
        server.call_iam(client, "Action=CreateUser&UserName=u").await;
        server.call_iam(
            client,
            "Action=PutUserPolicy&UserName=u&PolicyName=p&PolicyDocument=%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3A%2A%22%2C%22Resource%22%3A%22%2A%22%7D%5D%7D",
        )
        .await;
        let key = server.call_iam(client, "Action=CreateAccessKey&UserName=u").await;
        server.access_key = element(&key, "AccessKeyId");
        server.secret_key = element(&key, "SecretAccessKey");
        server
    }

    /// rclone's own S3 server, with these buckets as folders.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub fn rclone(buckets: &[&str]) -> Self {
        let (access_key, secret_key) = ("rclone-access", "rclone-planted-secret");
        let mut command = Command::new(Self::rclone_program());
        command
            .args(["serve", "s3", ".", "--addr", "127.0.0.1:0", "--no-cleanup"])
            .args(["--auth-key", &format!("{access_key},{secret_key}")])
            // without this it would read and write the configuration of this machine's user
            .args(["--config", "/dev/null"]);
        let mut server = Self::start_in(command, "Starting s3 server on [", StorageType::S3, buckets);
        server.endpoint = server.endpoint.trim_end_matches("/]").to_owned();
        (server.access_key, server.secret_key) = (access_key.to_owned(), secret_key.to_owned());
        server
    }

    /// s3s-fs, with these buckets as folders.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub fn s3s(buckets: &[&str]) -> Self {
        let (access_key, secret_key) = ("s3s-access", "s3s-planted-secret");
        let mut command = Command::new(installed("s3s-fs-").join("bin/s3s-fs"));
        command.args(["--host", "127.0.0.1", "--port", "0", "--access-key", access_key]);
        command.args(["--secret-key", secret_key, "."]).env("RUST_LOG", "info").env("NO_COLOR", "1");
        let mut server = Self::start_in(command, "server is running at ", StorageType::S3, buckets);
        (server.access_key, server.secret_key) = (access_key.to_owned(), secret_key.to_owned());
        server
    }

    /// The program of [`ObjectStoreServer::rclone`]; it is a client of object stores too.
    ///
    /// # Panics
    /// When it is not installed.
    pub fn rclone_program() -> PathBuf {
        installed("rclone-").join("bin/rclone")
    }

    /// Makes moto accept every request from now on, signed or not: with its check of signatures on, it does
    /// not understand presigned URLs.
    ///
    /// # Panics
    /// When it is not moto.
    pub async fn disable_authentication(&self, client: &net::Client) {
        let url = format!("{}/moto-api/reset-auth", self.endpoint);
        call(client, Method::POST, &url, &[], "1000000").await;
    }

    /// The signature of a presigned URL as botocore calculates it, which comes with moto.
    ///
    /// # Panics
    /// When Python does not run.
    pub fn signature_by_botocore(&self, url: &str) -> String {
        let script = "\
import sys
from urllib.parse import urlsplit, parse_qsl
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
url, access_key, secret_key = sys.argv[1:]
unsigned, _, _ = url.partition('&X-Amz-Signature=')
query = dict(parse_qsl(urlsplit(url).query))
_, _, region, service, _ = query['X-Amz-Credential'].split('/')
auth = S3SigV4QueryAuth(Credentials(access_key, secret_key), service, region)
request = AWSRequest('GET', unsigned, headers={'host': urlsplit(url).netloc})
request.context['timestamp'] = query['X-Amz-Date']
print(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))
";
        let output = Command::new("python3")
            .args(["-c", script, url, &self.access_key, &self.secret_key])
            .env("PYTHONPATH", installed("moto-"))
            .output()
            .expect("python3 runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Azurite, with these containers and its built-in account.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub async fn azblob(client: &net::Client, containers: &[&str]) -> Self {
        let program = installed("azurite-").join("node_modules/.bin/azurite-blob");
        let mut command = Command::new(program);
        command.args([
            "--blobPort",
            "0",
            "--inMemoryPersistence",
            "--skipApiVersionCheck",
            "--disableTelemetry",
        ]);
        let mut server = Self::start(command, "successfully listens on ", StorageType::Azblob);
        server.access_key = "devstoreaccount1".to_owned();
        server.secret_key =
            "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
                .to_owned();
        server.endpoint = format!("{}/{}", server.endpoint, server.access_key);
        for container in containers {
            server.create_container(client, container).await;
        }
        server
    }

    /// Signed as in <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>.
    #[expect(
        clippy::disallowed_methods,
        reason = "the server compares times with its own clock, not a test's"
    )]
    async fn create_container(&self, client: &net::Client, name: &str) {
        let account = &self.access_key;
        let now = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now());
        let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let text = format!(
            "PUT{}x-ms-date:{date}\nx-ms-version:2022-11-02\n/{account}/{account}/{name}\nrestype:container",
            "\n".repeat(12)
        );
        let key = BASE64_STANDARD.decode(&self.secret_key).expect("base64");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
        mac.update(text.as_bytes());
        let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        let headers = [
            ("authorization", format!("SharedKey {account}:{signature}")),
            ("x-ms-date", date),
            ("x-ms-version", "2022-11-02".to_owned()),
        ];
        let url = format!("{}/{name}?restype=container", self.endpoint);
        call(client, Method::PUT, &url, &headers, "").await;
    }

    async fn call_iam(&self, client: &net::Client, form: &str) -> String {
        let headers = [
            ("authorization", UNSIGNED_AUTHORIZATION.to_owned()),
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
        ];
        call(client, Method::POST, &self.endpoint, &headers, &format!("{form}&Version=2010-05-08")).await
    }

    /// The same storage, but on this server.
    pub fn storage(&self, storage: Storage) -> Storage {
        Storage {
            kind: self.kind,
            endpoint: self.endpoint.clone(),
            storage_ak: Secret::new(&self.access_key),
            storage_sk: Secret::new(&self.secret_key),
            ..storage
        }
    }

    fn start(command: Command, announcement: &str, kind: StorageType) -> Self {
        Self::start_in(command, announcement, kind, &[])
    }

    /// Starts a server in a folder of its own, with these folders in it. `announcement` is what stands
    /// before its URL in its output.
    fn start_in(mut command: Command, announcement: &str, kind: StorageType, folders: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in folders {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        let (reader, writer) = std::io::pipe().expect("a pipe");
        command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(writer.try_clone().expect("a pipe"))
            .stderr(writer);
        let child = command.spawn().expect("the server starts");
        // the command holds the pipe's other end open, and the output would never end
        drop(command);
        let endpoint = read_endpoint(reader, announcement);
        Self { child, endpoint, access_key: String::new(), secret_key: String::new(), kind, _folder: folder }
    }
}

impl Drop for ObjectStoreServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of an installed server whose name begins with `prefix`.
fn installed(prefix: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-servers");
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .find(|path| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            file.starts_with(prefix) && !file.ends_with(".part")
        })
        .unwrap_or_else(|| panic!("no {prefix}… in {}: run scripts/test-servers.sh", folder.display()))
}

/// The URL in a server's output. The rest of the output is read too, so that the server never waits to
/// write it.
fn read_endpoint(output: impl Read + Send + 'static, announcement: &str) -> String {
    let mut lines = BufReader::new(output).lines();
    let mut text = String::new();
    for line in lines.by_ref() {
        let line = line.expect("text");
        if let Some((_, url)) = line.split_once(announcement) {
            thread::spawn(move || lines.for_each(drop));
            return url.trim().trim_end_matches('/').to_owned();
        }
        text.push_str(&line);
        text.push('\n');
    }
    panic!("the server ended before it listened:\n{text}")
}

async fn call(
    client: &net::Client,
    method: Method,
    url: &str,
    headers: &[(&'static str, String)],
    body: &str,
) -> String {
    let mut request = reqwest::Request::new(method, url.parse().expect("a URL"));
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().expect("a header's value"));
    }
    request.headers_mut().insert("content-length", body.len().into());
    *request.body_mut() = Some(body.to_owned().into());
    let answer = client.send(request).await.expect("an answer").response;
    let status = answer.status();
    let text = answer.text().await.expect("text");
    assert!(status.is_success(), "{status}: {text}");
    text
}

fn element(xml: &str, name: &str) -> String {
    let (_, rest) = xml.split_once(&format!("<{name}>")).expect("it is there");
    rest.split('<').next().expect("its text").to_owned()
}
