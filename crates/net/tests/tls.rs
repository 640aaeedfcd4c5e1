//! The client over TLS: whom it trusts, and HTTP/2 where the server speaks it.
//!
//! It trusts the system's authorities, so what needs another one runs in a process of its own, whose
//! environment names it.

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use borealis_net::{Client, ClientOptions, Exchange, Guard, NetError, NetErrorKind};
use bytes::Bytes;
use reqwest::{Method, Request, Version};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use url::Url;

const URL: &str = "BOREALIS_TEST_URL";

/// Answers of one HTTP/2 connection before the server cuts it.
const ANSWERS: usize = 3;

async fn send(url: &Url) -> Result<Exchange, NetError> {
    client().send(Request::new(Method::GET, url.clone())).await
}

fn client() -> Client {
    let loopback = "127.0.0.0/8".parse().expect("a network");
    Client::new(Arc::new(Guard::new(vec![loopback])), ClientOptions::default()).expect("a client")
}

/// A TLS server for `localhost`.
struct Server {
    url: Url,
    certificate: String,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// One that speaks HTTP/2 if it may, and else answers once on each connection.
    async fn start(protocols: &[&str]) -> Self {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let (pem, certificate) = (certified.cert.pem(), certified.cert.der().clone());
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
        let mut config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_no_client_auth()
                .with_single_cert(vec![certificate], key.into())
                .expect("a good certificate");
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let connections = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // a client that does not trust the certificate ends the handshake
                if let Ok(stream) = acceptor.accept(stream).await {
                    seen.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(converse(stream));
                }
            }
        });
        let url = format!("https://localhost:{port}/").parse().expect("a url");
        Self { url, certificate: pem, connections }
    }

    /// Runs an ignored test in a process that trusts this server.
    async fn tried_by(&self, test: &str) {
        let authority = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(authority.path(), &self.certificate).expect("written");
        let mut command = tokio::process::Command::new(std::env::current_exe().expect("a program"));
        command.args(["--exact", test, "--ignored"]).stdin(Stdio::null());
        command.env("SSL_CERT_FILE", authority.path()).env(URL, self.url.as_str());
        let output = command.output().await.expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }
}

async fn converse(mut stream: TlsStream<TcpStream>) {
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        return converse_in_http2(stream).await;
    }
    let length = stream.read(&mut [0; 8192]).await.expect("a request");
    assert!(length > 0);
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.expect("written");
    stream.shutdown().await.expect("closed");
}

/// Answers some requests, and cuts the connection when one more has come.
async fn converse_in_http2(stream: TlsStream<TcpStream>) {
    let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
    let mut answered = 0;
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        if answered == ANSWERS {
            return;
        }
        answered += 1;
        let mut body = respond.send_response(http::Response::new(()), false).expect("sent");
        body.send_data(Bytes::from_static(b"ok"), true).expect("sent");
    }
}

fn url() -> Url {
    std::env::var(URL).expect("a url").parse().expect("a url")
}

#[tokio::test]
async fn certificates_must_be_trusted() {
    let server = Server::start(&[]).await;
    let error = send(&server.url).await.expect_err("refused");
    assert_eq!(error.kind, NetErrorKind::Tls, "{error}");
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
    server.tried_by("reaches_who_it_trusts").await;
}

#[tokio::test]
#[ignore = "certificates_must_be_trusted runs it with an environment of its own"]
async fn reaches_who_it_trusts() {
    let exchange = send(&url()).await.expect("a trusted answer");
    assert!(exchange.timing.connect.is_some());
    assert_eq!(exchange.response.version(), Version::HTTP_11);
    assert_eq!(exchange.response.text().await.expect("a body"), "ok");
}

#[tokio::test]
async fn http2_is_spoken_over_tls() {
    let server = Server::start(&["h2", "http/1.1"]).await;
    server.tried_by("shares_a_connection").await;
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

/// All on one connection; when that is cut under a request, it says so, and a new one does.
#[tokio::test]
#[ignore = "http2_is_spoken_over_tls runs it with an environment of its own"]
async fn shares_a_connection() {
    let client = client();
    let request = || Request::new(Method::GET, url());
    for number in 0..ANSWERS {
        let exchange = client.send(request()).await.expect("an answer");
        assert_eq!(exchange.response.version(), Version::HTTP_2);
        assert_eq!(exchange.timing.connect.is_some(), number == 0);
        assert!(exchange.timing.address.is_some());
        assert_eq!(exchange.response.text().await.expect("a body"), "ok");
    }
    let error = client.send(request()).await.expect_err("cut");
    assert_eq!((error.kind, error.stale), (NetErrorKind::Reset, true), "{error}");
    let exchange = client.send_on_new_connection(request()).await.expect("an answer");
    assert_eq!(exchange.response.text().await.expect("a body"), "ok");
}
