//! The client over TLS: which certificates it trusts, and HTTP/2 where the server speaks it.
//!
//! It trusts the system's authorities, so a test that needs another one runs in a process of its own, whose
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

const URL_VARIABLE: &str = "BOREALIS_TEST_URL";

/// The answers on one HTTP/2 connection before the server closes it.
const ANSWERS_PER_CONNECTION: usize = 3;

async fn send(url: &Url) -> Result<Exchange, NetError> {
    client().send(Request::new(Method::GET, url.clone())).await
}

fn client() -> Client {
    let loopback = "127.0.0.0/8".parse().expect("a network");
    Client::new(Arc::new(Guard::new(vec![loopback])), ClientOptions::default()).expect("a client")
}

/// A TLS server for `localhost`.
struct TlsServer {
    url: Url,
    certificate: String,
    connections: Arc<AtomicUsize>,
}

impl TlsServer {
    /// With these ALPN protocols; over HTTP/1.1 it answers once on each connection.
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
        let accepted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // a client that does not trust the certificate ends the handshake
                if let Ok(stream) = acceptor.accept(stream).await {
                    accepted.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(serve(stream));
                }
            }
        });
        let url = format!("https://localhost:{port}/").parse().expect("a url");
        Self { url, certificate: pem, connections }
    }

    /// Runs an ignored test in a process that trusts this server.
    async fn run_test_that_trusts_it(&self, test: &str) {
        let authority = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(authority.path(), &self.certificate).expect("written");
        let mut command = tokio::process::Command::new(std::env::current_exe().expect("a program"));
        command.args(["--exact", test, "--ignored"]).stdin(Stdio::null());
        command.env("SSL_CERT_FILE", authority.path()).env(URL_VARIABLE, self.url.as_str());
        let output = command.output().await.expect("it runs");
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}");
    }
}

async fn serve(mut stream: TlsStream<TcpStream>) {
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        return serve_http2(stream).await;
    }
    let length = stream.read(&mut [0; 8192]).await.expect("a request");
    assert!(length > 0);
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.expect("written");
    stream.shutdown().await.expect("closed");
}

/// Answers some requests, and closes the connection when one more has come.
async fn serve_http2(stream: TlsStream<TcpStream>) {
    let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
    let mut answered = 0;
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        if answered == ANSWERS_PER_CONNECTION {
            return;
        }
        answered += 1;
        let mut body = respond.send_response(http::Response::new(()), false).expect("sent");
        body.send_data(Bytes::from_static(b"ok"), true).expect("sent");
    }
}

fn url() -> Url {
    std::env::var(URL_VARIABLE).expect("a url").parse().expect("a url")
}

#[tokio::test]
async fn certificates_must_be_trusted() {
    let server = TlsServer::start(&[]).await;
    let error = send(&server.url).await.expect_err("refused");
    assert_eq!(error.kind, NetErrorKind::Tls, "{error}");
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
    assert!(!error.permanent, "whose authorities are trusted may change");
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
    server.run_test_that_trusts_it("a_trusted_server_is_reached").await;
}

#[tokio::test]
#[ignore = "certificates_must_be_trusted runs it with an environment of its own"]
async fn a_trusted_server_is_reached() {
    let exchange = send(&url()).await.expect("a trusted answer");
    assert!(exchange.timing.connect.is_some());
    assert_eq!(exchange.response.version(), Version::HTTP_11);
    assert_eq!(exchange.response.text().await.expect("a body"), "ok");

    let mut other_name = url();
    other_name.set_host(Some("127.0.0.1")).expect("a host");
    let error = send(&other_name).await.expect_err("refused");
    assert_eq!((error.kind, error.permanent), (NetErrorKind::Tls, true), "{error}");
}

#[tokio::test]
async fn http2_is_spoken_over_tls() {
    let server = TlsServer::start(&["h2", "http/1.1"]).await;
    server.run_test_that_trusts_it("requests_share_a_connection").await;
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

/// All on one connection; when that is closed under a request, the error says so, and a new connection
/// succeeds.
#[tokio::test]
#[ignore = "http2_is_spoken_over_tls runs it with an environment of its own"]
async fn requests_share_a_connection() {
    let client = client();
    let request = || Request::new(Method::GET, url());
    for number in 0..ANSWERS_PER_CONNECTION {
        let exchange = client.send(request()).await.expect("an answer");
        assert_eq!(exchange.response.version(), Version::HTTP_2);
        assert_eq!(exchange.timing.connect.is_some(), number == 0);
        assert!(exchange.timing.address.is_some());
        assert_eq!(exchange.response.text().await.expect("a body"), "ok");
    }
    let error = client.send(request()).await.expect_err("closed");
    assert_eq!((error.kind, error.stale), (NetErrorKind::Reset, true), "{error}");
    let exchange = client.send_on_new_connection(request()).await.expect("an answer");
    assert_eq!(exchange.response.text().await.expect("a body"), "ok");
}
