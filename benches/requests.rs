//! API requests a second over SQLite, with authentication, one after another on 16 connections; and
//! the memory of the server afterwards. Tasks are created twice: while the worker is busy, and while it
//! takes each of them up at once, finds no input, ends it and sends its callback.

mod product;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use product::{NEVER, Product};
use serde_json::json;
use tokio::task::JoinSet;

const CONNECTIONS: usize = 16;
const SECONDS: u64 = 5;

#[tokio::main]
async fn main() {
    let product = Arc::new(Product::start().await);
    let storage = product.add_storage().await;
    // an input that is refused at once leaves the machine to the requests
    let task = product.create_task(&storage, "mp4-720p", "none.mp4", "none.mp4").await;
    let query = format!("query_task?task_id={task}");
    measure("query_task", &product, move |product, _| {
        let query = query.clone();
        async move {
            product.call(reqwest::Method::GET, &query, json!({})).await;
        }
    })
    .await;
    measure("create_task, each run and told as well", &product, creating(storage)).await;
    println!("peak memory of the server: {} MiB", product.peak_memory());
    // what it has left to do would take the machine from the next
    drop(product);

    let busy = Arc::new(Product::start().await);
    let storage = busy.add_storage().await;
    busy.create_task(&storage, "mp4-720p", NEVER, "never.mp4").await;
    measure("create_task, the worker is busy", &busy, creating(storage)).await;
}

fn creating(storage: String) -> impl Fn(Arc<Product>, u64) -> BoxFuture<'static, ()> + Clone + Send {
    move |product, number| {
        let storage = storage.clone();
        Box::pin(async move {
            product.create_task(&storage, "mp4-720p", "none.mp4", &format!("{number}.mp4")).await;
        })
    }
}

async fn measure<F, Fut>(what: &str, product: &Arc<Product>, call: F)
where
    F: Fn(Arc<Product>, u64) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let end = Instant::now() + Duration::from_secs(SECONDS);
    let mut connections = JoinSet::new();
    for connection in 0..CONNECTIONS as u64 {
        let (product, call) = (Arc::clone(product), call.clone());
        connections.spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < end {
                let began = Instant::now();
                call(Arc::clone(&product), connection << 32 | times.len() as u64).await;
                times.push(began.elapsed());
            }
            times
        });
    }
    let mut times: Vec<Duration> = connections.join_all().await.into_iter().flatten().collect();
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("{what}: {} a second, p50 {:.1?}, p99 {:.1?}", times.len() as u64 / SECONDS, at(0.5), at(0.99));
}
