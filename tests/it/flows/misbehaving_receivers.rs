//! Receivers whose answers break every rule: the attempt ends within its deadline, memory does not grow,
//! and the record says what happened.

use rstest::rstest;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Duration, interval},
};

use super::session::Session;

/// The deadline of an attempt, in milliseconds.
const DEADLINE_MS: u64 = 2000;

/// Memory that an attempt may take beyond what the server had, in KiB. The endless answers would take a
/// thousand times as much.
const MAX_GROWTH_KIB: u64 = 32 * 1024;

/// What is written after the head, for as long as the other side takes it.
#[derive(Clone, Copy)]
enum Then {
    Nothing,
    /// The same bytes, so many times.
    Repeat(&'static [u8], usize),
    /// 100 kB of gzip that unpack to 100 MB.
    GzipBomb,
    /// A byte now and then.
    Trickle(Duration),
}

const GIGABYTE: Then = Then::Repeat(&[b'x'; 64 * 1024], 16 * 1024);

#[rstest]
#[case::trickle(
    "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n",
    Then::Trickle(Duration::from_secs(1)),
    json!({"http_status": 200, "error": "timeout: no complete answer within 2 s", "response_body": ".."})
)]
#[case::trickling_head(
    "HTTP/1.1 200 OK\r\nx-endless: ",
    Then::Trickle(Duration::from_secs(1)),
    json!({"http_status": null, "error": "timeout: no complete answer within 2 s", "response_body": null})
)]
#[case::only_100_continue(
    "HTTP/1.1 100 Continue\r\n\r\n",
    Then::Nothing,
    json!({"http_status": null, "error": "timeout: no complete answer within 2 s", "response_body": null})
)]
#[case::nothing(
    "",
    Then::Nothing,
    json!({"http_status": null, "error": "timeout: no complete answer within 2 s", "response_body": null})
)]
#[case::gigabyte(
    "HTTP/1.1 500 Oh\r\ncontent-length: 1073741824\r\n\r\n",
    GIGABYTE,
    json!({"http_status": 500, "error": "status 500", "response_body": "x".repeat(4096)})
)]
#[case::gzip_bomb(
    "HTTP/1.1 500 Oh\r\ncontent-encoding: gzip\r\n\r\n",
    Then::GzipBomb,
    json!({"http_status": 500, "error": "status 500"})
)]
#[case::nuls(
    "HTTP/1.1 500 Oh\r\ncontent-length: 4\r\n\r\na\0b\0",
    Then::Nothing,
    json!({"http_status": 500, "error": "status 500", "response_body": "a\u{fffd}b\u{fffd}"})
)]
#[case::endless_head(
    "HTTP/1.1 200 OK\r\nx-endless: ",
    GIGABYTE,
    json!({"http_status": null, "response_body": null})
)]
#[tokio::test]
async fn an_attempt_ends_in_time_and_says_how(
    #[case] head: &'static str,
    #[case] then: Then,
    #[case] expected: Value,
) {
    let url = start_receiver(head, then).await;
    let session = start().await;
    let before = peak_memory(&session);
    let attempt = attempt(&session, &url).await;
    for (field, value) in expected.as_object().expect("fields") {
        assert_eq!(&attempt[field], value, "{field}: {attempt}");
    }
    assert!(!attempt["error"].is_null(), "{attempt}");
    let took = attempt["total_ms"].as_u64().expect("a number");
    // it is cut at its deadline; a busy machine takes a while to say so
    assert!(took < 5 * DEADLINE_MS, "{attempt}");
    assert!(
        peak_memory(&session) < before + MAX_GROWTH_KIB,
        "{before} KiB grew to {}",
        peak_memory(&session)
    );
    session.server.stop().await;
}

#[tokio::test]
async fn a_redirect_to_loopback_is_not_followed() {
    let inside = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = inside.local_addr().expect("bound");
    let head =
        format!("HTTP/1.1 307 Go\r\nlocation: http://{address}/secrets?token=1\r\ncontent-length: 0\r\n\r\n");
    let url = start_receiver(head.leak(), Then::Nothing).await;
    let session = start().await;
    let attempt = attempt(&session, &url).await;
    assert_eq!(attempt["http_status"], 307);
    assert_eq!(attempt["error"], format!("redirect to http://{address}/secrets: not followed"));
    session.server.stop().await;
    let connected = tokio::time::timeout(Duration::ZERO, inside.accept()).await;
    assert!(connected.is_err(), "something followed it");
}

async fn start() -> Session {
    Session::start(&["--no-worker", "--set", "callback.deadline=2s"], [].into()).await
}

/// Makes one attempt of a callback to this receiver; gives its record.
async fn attempt(session: &Session, url: &str) -> Value {
    let storage = session.add_storage(json!({"notify": url, "notify_attempts": 1})).await;
    let task = session.create_task(&storage.id, "mp4-720p", &session.url("none.mp4"), "a.mp4").await;
    session.post(&format!("cancel_task?task_id={task}"), Value::Null).await;
    let id = loop {
        let listed = session.get("list_callback").await["list"][0].clone();
        if listed["status"] != "owed" {
            assert_eq!(listed["status"], "exhausted", "{listed}");
            break listed["callback_id"].as_str().expect("an id").to_owned();
        }
    };
    session.get(&format!("query_callback?callback_id={id}")).await["attempt_list"][0].clone()
}

/// The peak of the server's memory so far, in KiB.
fn peak_memory(session: &Session) -> u64 {
    let path = format!("/proc/{}/status", session.server.pid().as_raw_nonzero());
    let status = std::fs::read_to_string(path).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Starts a receiver that answers every request with `head` and then `then`; gives its URL.
async fn start_receiver(head: &'static str, then: Then) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, head, then));
        }
    });
    url
}

fn gzip_bomb() -> Vec<u8> {
    const PACK: &str = "import gzip, sys; sys.stdout.buffer.write(gzip.compress(bytes(100_000_000), 9))";
    let packed = std::process::Command::new("python3").args(["-c", PACK]).output().expect("Python is there");
    assert!((64 * 1024..1_000_000).contains(&packed.stdout.len()), "{packed:?}");
    packed.stdout
}

async fn answer(mut stream: TcpStream, head: &str, then: Then) -> std::io::Result<()> {
    let mut request = Vec::new();
    // the end of a callback's body
    while !request.ends_with(b"}]}") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    stream.write_all(head.as_bytes()).await?;
    match then {
        Then::Nothing => {}
        Then::Repeat(bytes, count) => {
            for _ in 0..count {
                stream.write_all(bytes).await?;
            }
        }
        Then::GzipBomb => stream.write_all(&gzip_bomb()).await?,
        Then::Trickle(every) => {
            let mut beat = interval(every);
            loop {
                beat.tick().await;
                stream.write_all(b".").await?;
            }
        }
    }
    // until the other side closes the connection
    stream.read_buf(&mut request).await?;
    Ok(())
}
