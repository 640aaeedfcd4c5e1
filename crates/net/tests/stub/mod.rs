//! A name server and a web server on loopback, both of which record what they receive.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
};

/// What the name server answers about every name.
#[derive(Clone, Debug)]
pub(crate) enum DnsAnswer {
    /// These addresses, each to the question for its family.
    Addresses(Vec<IpAddr>),
    /// There is no such name (NXDOMAIN).
    NoSuchName,
    /// The name server failed (SERVFAIL).
    ServerFailure,
    /// No answer at all.
    Nothing,
}

impl DnsAnswer {
    pub(crate) fn addresses(texts: &[&str]) -> Self {
        Self::Addresses(texts.iter().map(|text| text.parse().expect("an address")).collect())
    }
}

/// The record types of RFC 1035 and RFC 3596.
const A: u16 = 1;
const AAAA: u16 = 28;

/// A name server; a look-up is a question for A and one for AAAA.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    questions: Arc<Mutex<Vec<(String, u16)>>>,
}

impl NameServer {
    /// Answers the first look-up with the first of these, and so on; the last one for ever.
    pub(crate) async fn start(answers: impl IntoIterator<Item = DnsAnswer>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("an address");
        let questions = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&questions);
        let answers: Vec<DnsAnswer> = answers.into_iter().collect();
        tokio::spawn(async move {
            let (mut for_a, mut for_aaaa) = (VecDeque::from(answers.clone()), VecDeque::from(answers));
            let mut packet = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                let (name, kind, end) = parse_question(&packet[..length]);
                received.lock().expect("no panic").push((name, kind));
                let script = if kind == A { &mut for_a } else { &mut for_aaaa };
                let next = if script.len() > 1 { script.pop_front() } else { script.front().cloned() };
                if let Some(answer) = encode_answer(&packet[..end], kind, &next.expect("an answer")) {
                    socket.send_to(&answer, from).await.expect("sent");
                }
            }
        });
        Self { address, questions }
    }

    /// The names that were queried for A records: one for each look-up.
    pub(crate) fn look_ups(&self) -> Vec<String> {
        let questions = self.questions.lock().expect("no panic");
        questions.iter().filter(|(_, kind)| *kind == A).map(|(name, _)| name.clone()).collect()
    }
}

/// The name and type of a query's question, and where it ends (RFC 1035, 4.1).
fn parse_question(packet: &[u8]) -> (String, u16, usize) {
    let (mut name, mut at) = (String::new(), 12);
    while packet[at] != 0 {
        let length = usize::from(packet[at]);
        name.push_str(&String::from_utf8_lossy(&packet[at + 1..at + 1 + length]));
        name.push('.');
        at += 1 + length;
    }
    (name, u16::from_be_bytes([packet[at + 1], packet[at + 2]]), at + 5)
}

fn encode_answer(query: &[u8], kind: u16, answer: &DnsAnswer) -> Option<Vec<u8>> {
    let (code, addresses) = match answer {
        DnsAnswer::Addresses(addresses) => (0, addresses.as_slice()),
        DnsAnswer::NoSuchName => (3, &[][..]),
        DnsAnswer::ServerFailure => (2, &[][..]),
        DnsAnswer::Nothing => return None,
    };
    let records: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|ip| match ip {
            IpAddr::V4(v4) if kind == A => Some(v4.octets().to_vec()),
            IpAddr::V6(v6) if kind == AAAA => Some(v6.octets().to_vec()),
            _ => None,
        })
        .collect();
    let mut packet = query.to_vec();
    packet[2] = 0x85; // a response, authoritative, recursion desired
    packet[3] = 0x80 | code; // recursion available
    packet[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
    packet[8..12].fill(0); // no other sections, the query's own EDNS record left out
    for data in records {
        packet.extend([0xc0, 12]); // the question's name
        packet.extend(kind.to_be_bytes());
        packet.extend([0, 1, 0, 0, 0, 0]); // class IN, a TTL of 0
        packet.extend((data.len() as u16).to_be_bytes());
        packet.extend(data);
    }
    Some(packet)
}

/// A web server that answers every request with 200, and keeps connections.
pub(crate) struct WebServer {
    pub(crate) address: SocketAddr,
    traffic: Arc<Mutex<Traffic>>,
}

/// What a web server received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) connections: usize,
    pub(crate) bytes: usize,
}

impl WebServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let traffic = Arc::new(Mutex::new(Traffic::default()));
        let counts = Arc::clone(&traffic);
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
        Self { address, traffic }
    }

    pub(crate) fn traffic(&self) -> Traffic {
        *self.traffic.lock().expect("no panic")
    }

    /// Its URL with this name or address as the host.
    pub(crate) fn url(&self, host: &str) -> url::Url {
        format!("http://{host}:{}/path?sig=hidden", self.address.port()).parse().expect("a url")
    }
}
