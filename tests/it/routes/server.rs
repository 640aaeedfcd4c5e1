//! The server itself: connections, and how it stops.

use std::{net::SocketAddr, sync::Arc};

use borealis::api;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::app::TestApp;

pub(super) async fn serve(app: &TestApp) -> (SocketAddr, CancellationToken, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (address, stop) = (listener.local_addr().expect("an address"), CancellationToken::new());
    let served = tokio::spawn(api::serve(Arc::clone(&app.app), listener, stop.clone()));
    (address, stop, served)
}

#[tokio::test]
async fn a_connection_serves_call_after_call() {
    let app = TestApp::start().await;
    let (address, stop, served) = serve(&app).await;
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let call = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(&[&call[..], &call[..]].concat()).await.expect("written");
    let mut answers = Vec::new();
    while answers.windows(7).filter(|piece| piece == b"success").count() < 2 {
        assert_ne!(stream.read_buf(&mut answers).await.expect("an answer"), 0);
    }
    stop.cancel();
    // an idle connection does not hold the server up, and is closed
    served.await.expect("the server stops");
    assert_eq!(stream.read_buf(&mut answers).await.expect("the end"), 0);
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_call_that_is_under_way_is_finished() {
    let app = TestApp::start().await;
    let (address, stop, served) = serve(&app).await;
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!(
        "POST /vodencoding/v1/add_storage HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nExpect: 100-continue\r\n\
         Content-Length: 31\r\n\r\n",
        app.admin.basic()
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    let mut answer = Vec::new();
    // the server asks for the body: the call is under way
    while !answer.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut answer).await.expect("100 Continue"), 0);
    }
    stop.cancel();
    stream.write_all(br#"{"type": "file", "bucket": "b"}"#).await.expect("written");
    stream.read_to_end(&mut answer).await.expect("an answer");
    let answer = String::from_utf8(answer).expect("UTF-8");
    assert!(answer.contains("HTTP/1.1 200 OK") && answer.contains("storage_id"), "{answer}");
    served.await.expect("the server stops");
}
