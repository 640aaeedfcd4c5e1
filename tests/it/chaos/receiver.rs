//! Receivers that misbehave at the first sight of a callback, and say 200 from then on.

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
};

/// What a receiver does with a callback that it sees for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Accepts,
    Fails,
    Hangs,
    Resets,
    Trickles,
}

impl Manner {
    pub(super) const ALL: [Self; 5] = [Self::Accepts, Self::Fails, Self::Hangs, Self::Resets, Self::Trickles];
}

/// A request that came in whole.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) at: Instant,
    pub(super) id: String,
    pub(super) body: Vec<u8>,
    /// Whether 200 was the answer.
    pub(super) accepted: bool,
    timestamp: String,
    signature: String,
}

impl Seen {
    /// Fails unless the signature is that of `secret`.
    pub(super) fn verify(&self, secret: &str) {
        let sent = self.timestamp.parse::<i64>().expect("a number");
        let headers =
            SignatureHeaders { id: &self.id, timestamp: &self.timestamp, signature: &self.signature };
        let at = Timestamp::from_millis(sent * 1000);
        sign::verify(&Secret::new(secret), headers, &self.body, at).expect("a good signature");
    }
}

/// Starts one on loopback; gives its URL. It tells of every request before it answers.
pub(super) async fn start(manner: Manner, told: mpsc::UnboundedSender<(Manner, Seen)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
    let known = Arc::new(Mutex::new(HashSet::new()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, manner, Arc::clone(&known), told.clone()));
        }
    });
    url
}

async fn converse(
    mut stream: TcpStream,
    manner: Manner,
    known: Arc<Mutex<HashSet<String>>>,
    told: mpsc::UnboundedSender<(Manner, Seen)>,
) -> io::Result<()> {
    while let Some(mut seen) = request(&mut stream).await? {
        let first = known.lock().expect("nobody panicked").insert(seen.id.clone());
        let manner_now = if first { manner } else { Manner::Accepts };
        seen.accepted = manner_now == Manner::Accepts;
        // a test that is over does not listen any more
        let _ = told.send((manner, seen));
        match manner_now {
            Manner::Accepts => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?,
            Manner::Fails => {
                stream.write_all(b"HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\nno").await?;
            }
            Manner::Hangs => std::future::pending().await,
            Manner::Resets => {
                stream.set_zero_linger()?;
                return Ok(());
            }
            Manner::Trickles => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await?;
                loop {
                    stream.write_all(b".").await?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
    Ok(())
}

/// The next request of a connection; none when it was closed, or cut within a request.
async fn request(stream: &mut TcpStream) -> io::Result<Option<Seen>> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(seen) = whole(&bytes) {
            return Ok(Some(seen));
        }
        match stream.read(&mut piece).await? {
            0 => return Ok(None),
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

fn whole(bytes: &[u8]) -> Option<Seen> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).expect("a head is ASCII").to_ascii_lowercase();
    let original = std::str::from_utf8(&bytes[..end]).expect("a head is ASCII");
    let header = |name: &str| {
        let at = head.find(&format!("\r\n{name}: ")).expect("a header") + name.len() + 4;
        original[at..].split("\r\n").next().unwrap_or_default().to_owned()
    };
    let length: usize = header("content-length").parse().expect("a number");
    let body = bytes.get(end..end + length)?.to_vec();
    Some(Seen {
        at: Instant::now(),
        id: header(sign::ID_HEADER),
        body,
        accepted: false,
        timestamp: header(sign::TIMESTAMP_HEADER),
        signature: header(sign::SIGNATURE_HEADER),
    })
}
