//! `borealis batch`: tasks that are created together or not at all, with one callback for all of them.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use model::BatchId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::task::{TASK_COLUMNS, follow_all};
use crate::cli::{
    self,
    client::{ApiClient, Connection},
    inputs::Inputs,
    print::{Printer, Table},
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
        printer: Printer,
    },
    /// Show the tasks of a batch, in their order
    Show {
        /// The batch's id
        batch_id: BatchId,
        #[command(flatten)]
        printer: Printer,
    },
}

/// The answer to `create_batch`.
#[derive(Deserialize)]
struct CreateBatchAnswer {
    batch_id: String,
    task_ids: Vec<String>,
}

/// Runs the subcommand.
pub(super) async fn run(args: BatchArgs) -> cli::Result {
    let client = ApiClient::connect(&args.connection)?;
    match args.command {
        BatchCommand::Create { inputs, wait, printer } => {
            let mut tasks = inputs.task_bodies()?;
            for task in &mut tasks {
                upload::upload_input(&client, task).await?;
            }
            let answer: Value = client.post_json("create_batch", &json!({"tasks": tasks})).await?;
            let created: CreateBatchAnswer = serde_json::from_value(answer.clone())?;
            if !wait {
                return printer.print(&answer, |_| created.batch_id);
            }
            eprintln!("batch {}", created.batch_id);
            follow_all(&client, &created.task_ids, printer).await
        }
        BatchCommand::Show { batch_id, printer } => show(&client, &batch_id, printer).await,
    }
}

async fn show(client: &ApiClient, batch_id: &BatchId, printer: Printer) -> cli::Result {
    let query = [("batch_id", batch_id.as_str()), ("count", "1000")];
    let mut tasks: Value = client.get("list_task", &query).await?;
    let list = tasks["list"].as_array_mut().ok_or("the answer has no list")?;
    if list.is_empty() {
        return Err(format!("there is no batch `{batch_id}`").into());
    }
    // ids grow in the order of the request
    list.sort_by(|one, other| one["task_id"].as_str().cmp(&other["task_id"].as_str()));
    printer.print(&tasks, |tasks| {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for task in tasks["list"].as_array().into_iter().flatten() {
            *counts.entry(task["status"].as_str().unwrap_or_default()).or_default() += 1;
        }
        let counts: Vec<_> = counts.iter().map(|(status, count)| format!("{count} {status}")).collect();
        format!("{}{}", Table::from_list(&tasks["list"], TASK_COLUMNS), counts.join(", "))
    })
}
