//! Receivers that keep a callback's connection for themselves.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::interval,
};

use crate::hostile::attacker::{Attacker, Tally, pace};

const RECEIVERS: u16 = 600;

/// One storage for each receiver, and tasks whose end is told to all of them.
pub(super) async fn receivers(attacker: Attacker) {
    let port = listen(attacker.tally.clone()).await;
    let mut storages = Vec::new();
    for number in 0..RECEIVERS {
        let [high, low] = number.to_be_bytes();
        let notify = format!("http://{}:{port}/", Ipv4Addr::new(127, 1, 32 + high, low));
        let storage =
            json!({"type": "file", "bucket": "receivers", "prefix": format!("{number}"), "notify": notify});
        storages.extend(attacker.add_storage(storage).await);
    }
    let mut pace = pace(30);
    for (number, storage) in storages.iter().cycle().enumerate() {
        pace.tick().await;
        let output = format!("{number}.mp4");
        if let Some(task) = attacker.create_task(storage, "http://127.1.0.9:9/none.mp4", &output).await {
            attacker.call(reqwest::Method::POST, &format!("cancel_task?task_id={task}"), "").await;
        }
    }
}

/// Listens on every address of this machine, which are as many receivers; gives the port.
async fn listen(tally: Tally) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            // nobody but the server under attack is to be treated like this
            if peer.ip().is_loopback() {
                tokio::spawn(receive(stream, tally.clone()));
            }
        }
    });
    port
}

/// Reads the beginning of a callback and answers in the way of the address that it came to.
async fn receive(mut stream: TcpStream, tally: Tally) -> io::Result<()> {
    stream.read_exact(&mut [0; 16]).await?;
    tally.count("callback received");
    let IpAddr::V4(address) = stream.local_addr()?.ip() else { return Ok(()) };
    match address.octets()[3] % 4 {
        0 => std::future::pending().await,
        1 => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await?;
            let mut tick = interval(Duration::from_secs(1));
            loop {
                tick.tick().await;
                stream.write_all(b".").await?;
            }
        }
        2 => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n").await?;
            let mut tick = interval(Duration::from_millis(50));
            loop {
                tick.tick().await;
                stream.write_all(&[b'.'; 64 << 10]).await?;
            }
        }
        _ => {
            let location = format!("http://127.0.0.1/{}", "r".repeat(8000));
            let head = format!(
                "HTTP/1.1 307 Again\r\nLocation: {location}\r\nRetry-After: 18446744073709551615\r\n"
            );
            stream.write_all(format!("{head}Content-Length: 0\r\n\r\n").as_bytes()).await
        }
    }
}
