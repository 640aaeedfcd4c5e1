//! A 2 GiB output to S3, served by a program of its own on this machine: throughput against `rclone
//! copy` of the same file to the same server, and the server's memory while a task puts it there.
//!
//! What is compared is the put alone, in a process of its own as rclone is one: `borealis-storage` in
//! this one. The task then goes the whole way.

mod product;

use std::{
    fs,
    io::{BufWriter, Write as _},
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use model::{Storage, StorageType, TenantId, Timestamp};
use net::{Client, ClientOptions, Guard, IpNet};
use product::{Product, ffmpeg, median, tempdir};
use serde_json::json;
use storage::{Bucket, Storages, testing::ObjectStoreServer};

const ROUNDS: usize = 3;
const SIZE: usize = 2 << 30;

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = ObjectStoreServer::rclone(&["ours", "theirs", "task"]);
    let folder = tempdir();
    let file = folder.path().join("large.bin");
    fill(&file);
    let bucket = open(&server, folder.path());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        ours.push(put(&bucket, &file).await);
        theirs.push(rclone_copy(&server, &file));
        println!("round {round}: borealis {}, rclone {}", speed(ours[round]), speed(theirs[round]));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!("2 GiB to S3:                     {} and rclone copy {}", speed(ours), speed(theirs));
    let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
    println!("throughput against rclone copy:  {ratio:.2} x (to reach: 0.90)");
    drop(file);
    task(&server).await;
}

/// A task whose output has 2 GiB: noise, at a bit rate that nobody asks for otherwise.
async fn task(server: &ObjectStoreServer) {
    let mut product = Product::start_with(&[("BOREALIS_MEDIA__X264_PRESET", "ultrafast")]).await;
    let source = product.files.path().join("source.mp4");
    let source = source.to_str().expect("a path");
    let args = format!(
        "-f lavfi -i testsrc2=s=1920x1080:r=25:d=100,noise=alls=100:allf=t -an -c:v libx264 \
         -preset ultrafast -crf 16 -pix_fmt yuv420p {source}"
    );
    ffmpeg(&args.split_whitespace().collect::<Vec<_>>());
    let storage = product
        .add_storage_of(json!({
            "type": "s3", "bucket": "task", "endpoint": server.endpoint,
            "storage_ak": server.access_key, "storage_sk": server.secret_key,
        }))
        .await;
    let template = json!({"template_name": "noise", "format": "mp4", "video_bitrate": 180_000});
    product.call(reqwest::Method::POST, "add_template", template).await;
    let task = product.create_task(&storage, "noise", "source.mp4", "large.mp4").await;
    product.told(&task).await;
    let report = product.call(reqwest::Method::GET, &format!("query_task?task_id={task}"), json!(null)).await;
    let size = report["output_size"].as_u64().expect("a size");
    println!("output of the task:              {} MiB", size >> 20);
    println!("peak memory of the server:       {} MiB (to reach: 200)", product.peak_memory());
}

fn speed(took: Duration) -> String {
    format!("{:.0} MiB/s", SIZE as f64 / (1 << 20) as f64 / took.as_secs_f64())
}

/// Bytes of which no two parts are the same.
fn fill(path: &Path) {
    let mut file = BufWriter::with_capacity(1 << 20, fs::File::create(path).expect("a file"));
    for number in 0..(SIZE / 8) as u64 {
        file.write_all(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).expect("written");
    }
    file.flush().expect("written");
}

fn open(server: &ObjectStoreServer, folder: &Path) -> Bucket {
    let loopback = IpNet::new(std::net::Ipv4Addr::LOCALHOST.into(), 8).expect("a network");
    let client = Client::new(Arc::new(Guard::new(vec![loopback])), ClientOptions::default());
    let storage = server.storage(Storage::new(
        "0123456789abcdef".parse().expect("an id"),
        TenantId::main(),
        StorageType::S3,
        "ours",
        Timestamp::from_millis(0),
    ));
    let storages = Storages::new(folder.join("storage"), client.expect("a client"));
    storages.open(&storage).expect("the bucket opens")
}

async fn put(bucket: &Bucket, file: &Path) -> Duration {
    let began = Instant::now();
    bucket.put_file("large.bin", std::fs::File::open(file).expect("a file"), &|_| ()).await.expect("put");
    began.elapsed()
}

/// rclone as it comes, the same program that serves.
fn rclone_copy(server: &ObjectStoreServer, file: &Path) -> Duration {
    let began = Instant::now();
    let status = Command::new(ObjectStoreServer::rclone_program())
        .args(["copy", "--config", "/dev/null", "--ignore-times", "--s3-provider", "Rclone"])
        .args(["--s3-access-key-id", &server.access_key, "--s3-secret-access-key", &server.secret_key])
        .args(["--s3-endpoint", &server.endpoint])
        .arg(file)
        .arg(":s3:theirs")
        .status()
        .expect("rclone runs");
    assert!(status.success(), "rclone failed");
    began.elapsed()
}
