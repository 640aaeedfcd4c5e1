//! What is promised of callbacks, over SQLite and over a PostgreSQL cluster of this benchmark's own
//! with the settings of a new installation. The receivers run in this process, on the same
//! processors; their own ceiling is measured beside what is compared with it.
//!
//! `cargo bench --bench callbacks [-- sqlite|postgres] [backlog|latency|hanging|beside|kill|chaos]`

mod backlog;
mod bench;
mod kills;
mod latency;
#[path = "../product/mod.rs"]
mod product;
mod receivers;

use bench::Databases;
use store::testing::OwnCluster;

const DATABASES: &[&str] = &["sqlite", "postgres"];
const ROWS: &[&str] = &["backlog", "latency", "hanging", "beside", "kill", "chaos"];

/// One figure of the table.
pub(crate) struct Figure {
    what: String,
    to_reach: &'static str,
    value: String,
}

impl Figure {
    fn new(what: impl Into<String>, to_reach: &'static str, value: String) -> Self {
        let what = what.into();
        eprintln!("{what}: {value}");
        Self { what, to_reach, value }
    }
}

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut columns = Vec::new();
    if asked_for(DATABASES, "sqlite") {
        columns.push(("SQLite", measure(&Databases::Sqlite).await));
    }
    if asked_for(DATABASES, "postgres") {
        columns.push(("PostgreSQL", measure(&Databases::Postgres(OwnCluster::start())).await));
    }
    print(&columns);
}

/// Whether the command line names it, or none of its kind.
fn asked_for(kind: &[&str], one: &str) -> bool {
    let named: Vec<String> = std::env::args().filter(|arg| kind.contains(&arg.as_str())).collect();
    named.is_empty() || named.iter().any(|name| name == one)
}

async fn measure(databases: &Databases) -> Vec<Figure> {
    let mut figures = Vec::new();
    if asked_for(ROWS, "backlog") {
        figures.extend(backlog::delivered(databases, 1).await);
        figures.extend(backlog::delivered(databases, 100).await);
    }
    if asked_for(ROWS, "latency") {
        figures.push(latency::at(databases, 20).await);
        figures.push(latency::at(databases, 300).await);
    }
    if asked_for(ROWS, "hanging") {
        figures.push(latency::with_half_for_one_that_hangs(databases).await);
    }
    if asked_for(ROWS, "beside") {
        figures.push(backlog::beside_one_that_hangs(databases).await);
    }
    if asked_for(ROWS, "kill") {
        figures.push(kills::in_the_middle(databases).await);
    }
    if asked_for(ROWS, "chaos") {
        figures.push(kills::at_random(databases).await);
    }
    figures
}

/// As a table of `docs/figures.md`.
fn print(columns: &[(&str, Vec<Figure>)]) {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    println!("| what | to reach | {} |", names.join(" | "));
    println!("|---|---|{}", "---|".repeat(columns.len()));
    let Some((_, first)) = columns.first() else { return };
    for (row, figure) in first.iter().enumerate() {
        let values: Vec<&str> = columns.iter().map(|(_, figures)| figures[row].value.as_str()).collect();
        println!("| {} | {} | {} |", figure.what, figure.to_reach, values.join(" | "));
    }
}
