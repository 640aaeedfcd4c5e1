//! Clients that are slow, silent or many do not hold the server.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::server::serve;
use crate::app::TestApp;

async fn connect(address: SocketAddr, begin: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(begin.as_bytes()).await.expect("written");
    stream
}

/// Whatever comes until the server closes.
async fn rest(mut stream: TcpStream) -> String {
    let mut rest = Vec::new();
    // a reset ends it as well
    let _ = stream.read_to_end(&mut rest).await;
    String::from_utf8(rest).expect("UTF-8")
}

const CALL: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection() {
    let app = TestApp::with(&["api.head_timeout=200ms"]).await;
    let (address, ..) = serve(&app).await;
    for begin in ["", "GET /heal", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        let said = rest(connect(address, begin).await).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{begin}: {said}");
    }
    // after a call as well
    let said = rest(connect(address, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await).await;
    assert!(said.contains("success"), "{said}");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_in_time() {
    let app = TestApp::with(&["api.request_timeout=300ms"]).await;
    let (address, ..) = serve(&app).await;
    let head = format!(
        "POST /vodencoding/v1/add_storage HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Length: 40\r\n\r\n{{\"t",
        app.admin.basic()
    );
    let mut stream = connect(address, &head).await;
    let mut said = Vec::new();
    while !said.ends_with(b"}") {
        assert_ne!(stream.read_buf(&mut said).await.expect("an answer"), 0);
    }
    let said = String::from_utf8(said).expect("UTF-8");
    assert!(said.starts_with("HTTP/1.1 503") && said.contains("\"code\":1503"), "{said}");
}

#[tokio::test]
async fn a_body_is_not_waited_for_when_nobody_signed_in() {
    let app = TestApp::start().await;
    let (address, ..) = serve(&app).await;
    let head = "POST /vodencoding/v1/add_storage HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{";
    let said = rest(connect(address, head).await).await;
    assert!(said.starts_with("HTTP/1.1 401"), "{said}");
}

#[tokio::test]
async fn who_holds_connections_makes_room_for_who_asks() {
    let app = TestApp::with(&["api.connections=4"]).await;
    let (address, ..) = serve(&app).await;
    let mut held = Vec::new();
    for begin in
        ["", "GET /heal", "POST /x HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"].repeat(5)
    {
        held.push(connect(address, begin).await);
    }
    for _ in 0..8 {
        let said = rest(connect(address, CALL).await).await;
        assert!(said.contains("success"), "{said}");
    }
    // the first of those that were held was closed
    rest(held.remove(0)).await;
}

#[tokio::test]
async fn a_call_at_work_keeps_its_place() {
    let app = TestApp::with(&["api.connections=2"]).await;
    let (address, ..) = serve(&app).await;
    let body = r#"{"type": "file", "bucket": "b"}"#;
    let head = format!(
        "POST /vodencoding/v1/add_storage HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nConnection: close\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        app.admin.basic(),
        body.len()
    );
    let mut working = connect(address, &head).await;
    let mut said = Vec::new();
    // the server asks for the body: the call is under way
    while !said.ends_with(b"\r\n\r\n") {
        assert_ne!(working.read_buf(&mut said).await.expect("100 Continue"), 0);
    }
    for _ in 0..6 {
        let said = rest(connect(address, CALL).await).await;
        assert!(said.contains("success"), "{said}");
    }
    working.write_all(body.as_bytes()).await.expect("written");
    let said = rest(working).await;
    assert!(said.contains("storage_id"), "{said}");
}
