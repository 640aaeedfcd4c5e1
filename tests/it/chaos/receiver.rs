//! Receivers that misbehave when a callback comes for the first time, and answer 200 from then on.

use std::{
    collections::HashSet,
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use callback::sign::{self, SignatureHeaders};
use model::{Secret, Timestamp};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::interval,
};

/// What a receiver does with a callback that comes for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    Accepts,
    Fails,
    Hangs,
    Resets,
    Trickles,
}

impl Behaviour {
    pub(super) const ALL: [Self; 5] = [Self::Accepts, Self::Fails, Self::Hangs, Self::Resets, Self::Trickles];
}

/// A request that came in completely.
#[derive(Debug)]
pub(super) struct ReceivedRequest {
    pub(super) at: Instant,
    pub(super) id: String,
    pub(super) body: Vec<u8>,
    /// Whether it was answered with 200.
    pub(super) accepted: bool,
    timestamp: String,
    signature: String,
}

impl ReceivedRequest {
    /// Fails unless the signature is that of `secret`.
    pub(super) fn verify(&self, secret: &str) {
        let sent = self.timestamp.parse::<i64>().expect("a number");
        let headers =
            SignatureHeaders { id: &self.id, timestamp: &self.timestamp, signature: &self.signature };
        let at = Timestamp::from_millis(sent * 1000);
        sign::verify(&Secret::new(secret), headers, &self.body, at).expect("a good signature");
    }
}

/// Starts a receiver on the loopback address; gives its URL. It sends every request to the test before it
/// answers.
pub(super) async fn start(
    behaviour: Behaviour,
    sender: mpsc::UnboundedSender<(Behaviour, ReceivedRequest)>,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
    let known_ids = Arc::new(Mutex::new(HashSet::new()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve_connection(stream, behaviour, Arc::clone(&known_ids), sender.clone()));
        }
    });
    url
}

async fn serve_connection(
    mut stream: TcpStream,
    behaviour: Behaviour,
    known_ids: Arc<Mutex<HashSet<String>>>,
    sender: mpsc::UnboundedSender<(Behaviour, ReceivedRequest)>,
) -> io::Result<()> {
    while let Some(mut request) = read_request(&mut stream).await? {
        let is_first = known_ids.lock().expect("nobody panicked").insert(request.id.clone());
        let manner_now = if is_first { behaviour } else { Behaviour::Accepts };
        request.accepted = manner_now == Behaviour::Accepts;
        // it fails when the test is over
        let _ = sender.send((behaviour, request));
        match manner_now {
            Behaviour::Accepts => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?,
            Behaviour::Fails => {
                stream.write_all(b"HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\nno").await?;
            }
            Behaviour::Hangs => std::future::pending().await,
            Behaviour::Resets => {
                stream.set_zero_linger()?;
                return Ok(());
            }
            Behaviour::Trickles => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await?;
                let mut beat = interval(Duration::from_millis(100));
                loop {
                    beat.tick().await;
                    stream.write_all(b".").await?;
                }
            }
        }
    }
    Ok(())
}

/// The next request of a connection; none when it was closed, also within a request.
async fn read_request(stream: &mut TcpStream) -> io::Result<Option<ReceivedRequest>> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(request) = parse_request(&bytes) {
            return Ok(Some(request));
        }
        match stream.read(&mut chunk).await? {
            0 => return Ok(None),
            count => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

fn parse_request(bytes: &[u8]) -> Option<ReceivedRequest> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).expect("a head is ASCII").to_ascii_lowercase();
    let original = std::str::from_utf8(&bytes[..end]).expect("a head is ASCII");
    let header = |name: &str| {
        let at = head.find(&format!("\r\n{name}: ")).expect("a header") + name.len() + 4;
        original[at..].split("\r\n").next().unwrap_or_default().to_owned()
    };
    let length: usize = header("content-length").parse().expect("a number");
    let body = bytes.get(end..end + length)?.to_vec();
    Some(ReceivedRequest {
        at: Instant::now(),
        id: header(sign::ID_HEADER),
        body,
        accepted: false,
        timestamp: header(sign::TIMESTAMP_HEADER),
        signature: header(sign::SIGNATURE_HEADER),
    })
}
