//! A name server and a receiver on loopback, both of which remember what they saw.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
};

/// What the name server says about a name, whatever the name.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// These addresses, each to the question of its family.
    Addresses(Vec<IpAddr>),
    /// There is no such name.
    NoSuchName,
    /// It cannot tell (SERVFAIL).
    Fails,
    /// Nothing at all.
    Nothing,
}

impl Says {
    pub(crate) fn addresses(texts: &[&str]) -> Self {
        Self::Addresses(texts.iter().map(|text| text.parse().expect("an address")).collect())
    }
}

const A: u16 = 1;
const AAAA: u16 = 28;

/// A name server; a look-up is a question for A and one for AAAA.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    questions: Arc<Mutex<Vec<(String, u16)>>>,
}

impl NameServer {
    /// Answers the first look-up with the first of these, and so on; the last one for ever.
    pub(crate) async fn start(says: impl IntoIterator<Item = Says>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("an address");
        let questions = Arc::new(Mutex::new(Vec::new()));
        let asked = Arc::clone(&questions);
        let says: Vec<Says> = says.into_iter().collect();
        tokio::spawn(async move {
            let (mut for_a, mut for_aaaa) = (VecDeque::from(says.clone()), VecDeque::from(says));
            let mut packet = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                let (name, kind, end) = question(&packet[..length]);
                asked.lock().expect("no panic").push((name, kind));
                let script = if kind == A { &mut for_a } else { &mut for_aaaa };
                let says = if script.len() > 1 { script.pop_front() } else { script.front().cloned() };
                if let Some(answer) = answer(&packet[..end], kind, &says.expect("a script")) {
                    socket.send_to(&answer, from).await.expect("sent");
                }
            }
        });
        Self { address, questions }
    }

    /// The names that were asked for A: one for each look-up.
    pub(crate) fn look_ups(&self) -> Vec<String> {
        let questions = self.questions.lock().expect("no panic");
        questions.iter().filter(|(_, kind)| *kind == A).map(|(name, _)| name.clone()).collect()
    }
}

/// The name and type of a query's question, and where it ends (RFC 1035, 4.1).
fn question(packet: &[u8]) -> (String, u16, usize) {
    let (mut name, mut at) = (String::new(), 12);
    while packet[at] != 0 {
        let length = usize::from(packet[at]);
        name.push_str(&String::from_utf8_lossy(&packet[at + 1..at + 1 + length]));
        name.push('.');
        at += 1 + length;
    }
    (name, u16::from_be_bytes([packet[at + 1], packet[at + 2]]), at + 5)
}

fn answer(query: &[u8], kind: u16, says: &Says) -> Option<Vec<u8>> {
    let (code, addresses) = match says {
        Says::Addresses(addresses) => (0, addresses.as_slice()),
        Says::NoSuchName => (3, &[][..]),
        Says::Fails => (2, &[][..]),
        Says::Nothing => return None,
    };
    let wanted: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|ip| match ip {
            IpAddr::V4(v4) if kind == A => Some(v4.octets().to_vec()),
            IpAddr::V6(v6) if kind == AAAA => Some(v6.octets().to_vec()),
            _ => None,
        })
        .collect();
    let mut answer = query.to_vec();
    answer[2] = 0x85; // a response, authoritative, recursion desired
    answer[3] = 0x80 | code; // recursion available
    answer[6..8].copy_from_slice(&(wanted.len() as u16).to_be_bytes());
    answer[8..12].fill(0); // no other sections, the query's own EDNS record left out
    for data in wanted {
        answer.extend([0xc0, 12]); // the question's name
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 0]); // class IN, a TTL of 0
        answer.extend((data.len() as u16).to_be_bytes());
        answer.extend(data);
    }
    Some(answer)
}

/// A web server that answers every request with 200, and keeps connections.
pub(crate) struct WebServer {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) connections: usize,
    pub(crate) bytes: usize,
}

impl WebServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let counts = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counts.lock().expect("no panic").connections += 1;
                let counts = Arc::clone(&counts);
                tokio::spawn(async move {
                    let mut buffer = [0; 8192];
                    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                        counts.lock().expect("no panic").bytes += length;
                        if buffer[..length].ends_with(b"\r\n\r\n")
                            && stream
                                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                                .await
                                .is_err()
                        {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, seen }
    }

    pub(crate) fn seen(&self) -> Seen {
        *self.seen.lock().expect("no panic")
    }

    /// Its URL under a name of the stub's, or with an address.
    pub(crate) fn url(&self, host: &str) -> url::Url {
        format!("http://{host}:{}/path?sig=hidden", self.address.port()).parse().expect("a url")
    }
}
