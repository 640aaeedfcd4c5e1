//! `borealis batch`: tasks that are created together or not at all, and told of in one callback.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use model::BatchId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::task::{TASK_COLUMNS, follow_all};
use crate::cli::{
    client::{Client, Connection},
    inputs::Inputs,
    print::{Shown, Table},
    upload,
};

/// The arguments of `borealis batch`.
#[derive(Args)]
pub(crate) struct BatchArgs {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: BatchCommand,
}

#[derive(Subcommand)]
enum BatchCommand {
    /// Transcode up to 1,000 inputs; prints the batch's id, or with --wait the outputs' addresses
    Create {
        #[command(flatten)]
        inputs: Inputs,
        /// Show the progress and end with the tasks' outcome
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        shown: Shown,
    },
    /// Show the tasks of a batch, in their order
    Show {
        /// The batch's id
        batch_id: BatchId,
        #[command(flatten)]
        shown: Shown,
    },
}

#[derive(Deserialize)]
struct Created {
    batch_id: String,
    task_ids: Vec<String>,
}

/// Does what was asked for.
pub(super) async fn run(args: BatchArgs) -> crate::cli::Result {
    let client = Client::connect(&args.connection)?;
    match args.command {
        BatchCommand::Create { inputs, wait, shown } => {
            let mut tasks = inputs.tasks()?;
            for task in &mut tasks {
                upload::send_input(&client, task).await?;
            }
            let answer: Value = client.send("create_batch", &json!({"tasks": tasks})).await?;
            let created: Created = serde_json::from_value(answer.clone())?;
            if !wait {
                return shown.print(&answer, |_| created.batch_id);
            }
            eprintln!("batch {}", created.batch_id);
            follow_all(&client, &created.task_ids, shown).await
        }
        BatchCommand::Show { batch_id, shown } => show(&client, &batch_id, shown).await,
    }
}

async fn show(client: &Client, batch_id: &BatchId, shown: Shown) -> crate::cli::Result {
    let query = [("batch_id", batch_id.as_str()), ("count", "1000")];
    let mut tasks: Value = client.get("list_task", &query).await?;
    let list = tasks["list"].as_array_mut().ok_or("the answer has no list")?;
    if list.is_empty() {
        return Err(format!("there is no batch `{batch_id}`").into());
    }
    // their ids are in the order of the request
    list.sort_by(|one, other| one["task_id"].as_str().cmp(&other["task_id"].as_str()));
    shown.print(&tasks, |tasks| {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for task in tasks["list"].as_array().into_iter().flatten() {
            *counts.entry(task["status"].as_str().unwrap_or_default()).or_default() += 1;
        }
        let counts: Vec<_> = counts.iter().map(|(status, count)| format!("{count} {status}")).collect();
        format!("{}{}", Table::of(&tasks["list"], TASK_COLUMNS), counts.join(", "))
    })
}
