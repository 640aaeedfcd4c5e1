//! A server of raw bytes, for answers that break HTTP: each connection gets the next answer of a script,
//! whatever was requested.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use url::Url;

/// What is sent on one connection.
pub(crate) struct ScriptedAnswer {
    bytes: Vec<u8>,
    /// Whether the connection stays open afterwards, and silent.
    stays_open: bool,
}

impl ScriptedAnswer {
    /// A head of these lines, this body, and the connection is closed.
    pub(crate) fn new(status: &str, headers: &[&str], body: &[u8]) -> Self {
        let mut bytes = format!("HTTP/1.1 {status}\r\n").into_bytes();
        for header in headers {
            bytes.extend_from_slice(header.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        Self { bytes, stays_open: false }
    }

    /// The connection stays open afterwards, and nothing more is sent.
    pub(crate) fn then_silence(mut self) -> Self {
        self.stays_open = true;
        self
    }
}

pub(crate) struct ScriptedServer {
    pub(crate) url: Url,
    heads: Arc<Mutex<Vec<String>>>,
    server: JoinHandle<()>,
}

impl ScriptedServer {
    pub(crate) async fn start(script: Vec<ScriptedAnswer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/film.mp4?sign=secret", listener.local_addr().expect("an address"));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&heads);
        let server = tokio::spawn(async move {
            let mut open = Vec::new();
            for answer in script {
                let (mut connection, _) = listener.accept().await.expect("a connection");
                let head = read_head(&mut connection).await;
                received.lock().expect("no reader panicked").push(head);
                connection.write_all(&answer.bytes).await.expect("sent");
                if answer.stays_open {
                    open.push(connection);
                }
            }
            // from here on connections are refused; those in `open` live as long as this task
            drop(listener);
            std::future::pending::<()>().await;
        });
        Self { url: url.parse().expect("a URL"), heads, server }
    }

    /// The heads of the requests so far, in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("the server did not panic").clone()
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn read_head(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.expect("a request"));
    }
    String::from_utf8(head).expect("a head is text").to_lowercase()
}
