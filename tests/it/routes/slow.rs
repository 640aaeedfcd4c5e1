//! Clients that are slow, silent or many do not hold the server.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::server::serve;
use crate::app::TestApp;

pub(super) async fn connect(address: SocketAddr, begin: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(begin.as_bytes()).await.expect("written");
    stream
}

/// Whatever comes until the server closes.
pub(super) async fn rest(mut stream: TcpStream) -> String {
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

/// A large object in a new storage; gives its path on the server.
async fn put_large_object(app: &TestApp) -> String {
    let storage = app.add_storage("b").await;
    let folder = app.app.settings.server.storage_dir().join("b");
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = std::fs::File::create(folder.join("large.mp4")).expect("a file");
    // more than the buffers of a connection hold
    file.set_len(256 << 20).expect("a sparse file");
    format!("/storage/{storage}/large.mp4")
}

#[tokio::test]
async fn who_does_not_read_makes_room_for_who_asks() {
    let app = TestApp::with(&["api.connections=1", "api.stall_timeout=300ms"]).await;
    let path = put_large_object(&app).await;
    let (address, ..) = serve(&app).await;
    let get = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n", app.admin.basic());
    let mut reader = connect(address, &get).await;
    let mut said = Vec::new();
    // it is being sent, and nobody reads on
    while said.len() < 1000 {
        reader.read_buf(&mut said).await.expect("the beginning");
    }
    let answer = rest(connect(address, CALL).await).await;
    assert!(answer.contains("success"), "{answer}");
}

#[tokio::test]
async fn an_upload_that_hardly_comes_is_answered_in_time() {
    let app = TestApp::with(&["api.stall_timeout=300ms"]).await;
    let (address, ..) = serve(&app).await;
    let head = format!(
        "POST /vodencoding/v1/upload HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nConnection: close\r\n\
         Content-Length: 100000\r\n\r\nxxx",
        app.admin.basic()
    );
    let said = rest(connect(address, &head).await).await;
    assert!(said.starts_with("HTTP/1.1 408") && said.contains("\"code\":1001"), "{said}");
    assert!(said.contains("body: came too slowly: less than 32768 bytes in 0.3 s"), "{said}");
}

#[tokio::test]
async fn transfers_leave_connections_to_calls_and_are_shared() {
    // three of these may transfer, one for each tenant or link
    let app = TestApp::with(&["api.connections=4"]).await;
    let path = put_large_object(&app).await;
    let (address, ..) = serve(&app).await;
    let head = |method: &str| {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nConnection: close\r\n\r\n",
            app.admin.basic()
        )
    };
    let mut reader = connect(address, &head("GET")).await;
    let mut said = Vec::new();
    while said.len() < 1000 {
        reader.read_buf(&mut said).await.expect("the beginning");
    }
    let refused = rest(connect(address, &head("GET")).await).await;
    assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("retry-after: 5"), "{refused}");
    let answer = rest(connect(address, CALL).await).await;
    assert!(answer.contains("success"), "{answer}");
    drop(reader);
    // its share is free again as soon as the server has seen that the client is gone
    let mut last = refused;
    while last.starts_with("HTTP/1.1 429") {
        last = rest(connect(address, &head("HEAD")).await).await;
    }
    assert!(last.starts_with("HTTP/1.1 200"), "{last}");
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_makes_room_among_its_own() {
    let app = TestApp::with(&["api.address_connections=2"]).await;
    let (address, ..) = serve(&app).await;
    let head = format!(
        "POST /vodencoding/v1/add_storage HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\
         Expect: 100-continue\r\nContent-Length: 40\r\n\r\n",
        app.admin.basic()
    );
    let idle = connect(address, "").await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(address, &head).await;
        let mut said = Vec::new();
        while !said.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut said).await.expect("100 Continue"), 0);
        }
        busy.push(stream);
    }
    assert_eq!(rest(idle).await, "", "it was closed for them");
    let refused = rest(connect(address, "").await).await;
    assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("\"code\":1007"), "{refused}");
}
