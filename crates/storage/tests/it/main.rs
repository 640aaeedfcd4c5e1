//! The storage crate from outside: one binary, a module for each topic.

mod bounds;
mod contract;
mod faults;
mod fetch;
mod folder;
mod inputs;
mod scripted;
mod uploads;
mod vendors;
mod wire;

use std::{
    fs::File,
    net::{Ipv4Addr, Ipv6Addr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use borealis_storage::{
    Bucket,
    fetch::{FetchLimits, RateLimit, fetch_object},
};
use model::{Storage, StorageType, TenantId, Timestamp};
use net::{Client, ClientOptions, Guard, IpNet};

/// A server may be as slow as it likes.
const ANY_RATE: RateLimit = RateLimit { min_bytes_per_second: 0, window: Duration::from_secs(60) };

/// A client that may reach the servers that tests run on this machine.
fn client() -> Client {
    let loopback = [
        IpNet::new(Ipv4Addr::LOCALHOST.into(), 32).expect("a network"),
        IpNet::new(Ipv6Addr::LOCALHOST.into(), 128).expect("a network"),
    ];
    Client::new(Arc::new(Guard::new(loopback.into())), ClientOptions::default()).expect("a client")
}

/// A local file that is to be put.
fn open(path: &Path) -> File {
    File::open(path).expect("a file")
}

/// A large object, which is fetched as inputs are: `Bucket::read` is for small ones.
async fn fetch(bucket: &Bucket, key: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("object");
    let limits = FetchLimits {
        max_bytes: 1 << 30,
        idle_timeout: Duration::from_secs(20),
        rate: ANY_RATE,
        max_redirects: 0,
    };
    fetch_object(bucket, key, &to, &limits, &|_, _| ()).await.expect("fetched");
    std::fs::read(&to).expect("a file")
}

fn storage(kind: StorageType, bucket: &str) -> Storage {
    Storage::new(
        "0123456789abcdef".parse().expect("an id"),
        TenantId::main(),
        kind,
        bucket,
        Timestamp::from_millis(0),
    )
}

/// Every future that a worker awaits is `Send`.
#[expect(dead_code, reason = "it only has to compile")]
#[expect(clippy::manual_async_fn, reason = "an `async fn` does not say that it is `Send`")]
fn futures_are_send(
    bucket: borealis_storage::Bucket,
    client: Client,
    url: url::Url,
    limits: borealis_storage::fetch::FetchLimits,
) -> impl Future<Output = ()> + Send {
    async move {
        let path = Path::new("input");
        let _ = borealis_storage::fetch::fetch_url(&client, &url, path, &limits, &|_, _| ()).await;
        let _ = bucket.put_file("a", open(path), &|_| ()).await;
        let _ = bucket.put_bytes("a", bytes::Bytes::new()).await;
        let _ = bucket.list("").await;
        let _ = bucket.read("a").await;
        let _ = bucket.size("a").await;
        let _ = bucket.delete("a").await;
    }
}
