//! `borealis task`: create, watch, list, download, cancel, retry and delete tasks.

use std::{
    path::{Component, Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use futures::future::join_all;
use model::{BatchId, Clock as _, StorageId, SystemClock, TaskId, TaskStatus, TemplateName};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::{
    cli::{
        self,
        client::{ApiClient, ClientError, Connection},
        follow::{WatchedTask, follow},
        inputs::Inputs,
        print::{PrintFormat, Printer, Table, format_fields, print_line},
        progress::Board,
        upload,
    },
    config::parse_duration,
};

/// The arguments of `borealis task`.
#[derive(Args)]
pub(crate) struct TaskArgs {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: TaskCommand,
}

#[derive(Subcommand)]
enum TaskCommand {
    /// Transcode inputs; prints each task's id, or with --wait each output's address
    Create(CreateArgs),
    /// List tasks, newest first
    List(TaskListArgs),
    /// Show everything about a task
    Show(ShowArgs),
    /// Download what a task made, with everything that a playlist refers to
    Download {
        /// The task's id
        task_id: TaskId,
        /// The folder to write to
        #[arg(long, value_name = "FOLDER", default_value = ".")]
        to: PathBuf,
    },
    /// Show the progress of tasks until they end; ends with 1 unless all succeeded
    Watch(TaskIds),
    /// Cancel tasks that have not ended
    Cancel(TaskIds),
    /// Run tasks that ended once more
    Retry(TaskIds),
    /// Delete the records of tasks that ended; their outputs stay
    Delete(TaskIds),
}

#[derive(Args)]
struct TaskIds {
    /// The tasks' ids
    #[arg(required = true)]
    task_ids: Vec<TaskId>,
    #[command(flatten)]
    printer: Printer,
}

#[derive(Args)]
struct CreateArgs {
    #[command(flatten)]
    inputs: Inputs,
    /// Show the progress and end with the tasks' outcome
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    printer: Printer,
}

#[derive(Args)]
struct TaskListArgs {
    /// Only tasks with this status
    #[arg(long)]
    status: Option<TaskStatus>,
    /// Only tasks that write to this storage
    #[arg(long, value_name = "ID")]
    storage: Option<StorageId>,
    /// Only tasks made with this template
    #[arg(long, value_name = "NAME")]
    template: Option<TemplateName>,
    /// Only tasks of this batch
    #[arg(long, value_name = "ID")]
    batch: Option<BatchId>,
    /// Only tasks with just this custom_info
    #[arg(long, value_name = "TEXT")]
    custom_info: Option<String>,
    /// Only tasks that were created within this time, such as 30m or 2h
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    since: Option<Duration>,
    /// How many to skip
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: u32,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    count: u32,
    #[command(flatten)]
    printer: Printer,
}

#[derive(Args)]
struct ShowArgs {
    /// The task's id
    task_id: TaskId,
    #[command(flatten)]
    printer: Printer,
}

/// The answer to `create_task`.
#[derive(Deserialize)]
pub(super) struct CreateTaskAnswer {
    pub(super) task_id: String,
}

/// Runs the subcommand.
pub(super) async fn run(args: TaskArgs) -> cli::Result {
    let client = ApiClient::connect(&args.connection)?;
    match args.command {
        TaskCommand::Create(args) => create(&client, args).await,
        TaskCommand::List(args) => list(&client, args).await,
        TaskCommand::Show(args) => show(&client, args.task_id.as_str(), args.printer).await,
        TaskCommand::Download { task_id, to } => download(&client, &task_id, &to).await,
        TaskCommand::Watch(tasks) => {
            let ids: Vec<String> = tasks.task_ids.iter().map(ToString::to_string).collect();
            follow_all(&client, &ids, tasks.printer).await
        }
        TaskCommand::Cancel(tasks) => {
            for_each(&tasks, "cancelled", async |query| {
                client.post::<Value>("cancel_task", query).await.map(drop)
            })
            .await
        }
        TaskCommand::Retry(tasks) => {
            for_each(&tasks, "runs again:", async |query| {
                client.post::<Value>("retry_task", query).await.map(drop)
            })
            .await
        }
        TaskCommand::Delete(tasks) => {
            for_each(&tasks, "deleted", async |query| client.delete("del_task", query).await).await
        }
    }
}

async fn show(client: &ApiClient, task_id: &str, printer: Printer) -> cli::Result {
    let task: Value = client.get("query_task", &[("task_id", task_id)]).await?;
    printer.print(&task, format_fields)
}

/// Makes a call for each task, with its id as the query; stops at the first that is refused.
async fn for_each(
    tasks: &TaskIds,
    done: &str,
    call: impl AsyncFn(&[(&str, &str)]) -> Result<(), ClientError>,
) -> cli::Result {
    for task_id in &tasks.task_ids {
        call(&[("task_id", task_id.as_str())]).await?;
        tasks.printer.print_done(done, "task_id", task_id.as_str())?;
    }
    Ok(())
}

/// The answer to `sign_output`.
#[derive(Deserialize)]
struct SignOutputAnswer {
    objects: Vec<DownloadableObject>,
}

#[derive(Deserialize)]
struct DownloadableObject {
    /// Below the folder of the main object.
    path: PathBuf,
    url: Url,
}

/// Downloads every object of an output, and prints each file when it is written.
async fn download(client: &ApiClient, task_id: &TaskId, to: &Path) -> cli::Result {
    let query = [("task_id", task_id.as_str()), ("all", "true")];
    let signed: SignOutputAnswer = client.get("sign_output", &query).await?;
    // the server names the main object first, and it is downloaded last: it refers to the others
    for DownloadableObject { path, url } in signed.objects.into_iter().rev() {
        // a path from the server must not lead out of the folder
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(format!("the server names `{}`, which leads elsewhere", path.display()).into());
        }
        let file = to.join(path);
        client.download(url, &file).await?;
        print_line(&file.display().to_string())?;
    }
    Ok(())
}

async fn create(client: &ApiClient, args: CreateArgs) -> cli::Result {
    let mut ids = Vec::new();
    for mut task in args.inputs.task_bodies()? {
        upload::upload_input(client, &mut task).await?;
        let created: Result<CreateTaskAnswer, _> = client.post_json("create_task", &task).await;
        let CreateTaskAnswer { task_id } = created.map_err(|error| match ids.len() {
            0 => error.to_string(),
            before => format!("{}: {error}; {before} tasks were created before", task["input"]),
        })?;
        if !args.wait {
            args.printer.print(&json!({"task_id": task_id}), |_| task_id.clone())?;
        }
        ids.push(task_id);
    }
    if args.wait { follow_all(client, &ids, args.printer).await } else { Ok(()) }
}

/// Shows the progress of tasks until all of them have ended; prints the outputs of those that
/// succeeded, or all that is known of each.
pub(super) async fn follow_all(client: &ApiClient, ids: &[String], printer: Printer) -> cli::Result {
    let board = Board::new(|text| eprintln!("{text}"));
    let follow_one = async |id: &String| {
        if ids.len() == 1 {
            eprintln!("task {id}");
        }
        // an id begins with its time: only its end differs between tasks that were created together
        let label = &id[id.len().saturating_sub(8)..];
        follow(client, id, &mut board.meter(label)).await
    };
    let mut failures = Vec::new();
    for ended in join_all(ids.iter().map(follow_one)).await {
        if let (Ok(WatchedTask { task_id, .. }), PrintFormat::Json) = (&ended, printer.format) {
            show(client, task_id, printer).await?;
        }
        match ended.and_then(WatchedTask::into_success) {
            Ok(WatchedTask { output, .. }) if printer.format == PrintFormat::Table => print_line(&output)?,
            Ok(_) => {}
            Err(failure) => failures.push(failure.to_string()),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\nerror: ").into()) }
}

/// The columns of lists of tasks.
pub(super) const TASK_COLUMNS: &[(&str, &str)] = &[
    ("TASK", "task_id"),
    ("STATUS", "status"),
    ("%", "progress"),
    ("TEMPLATE", "template_name"),
    ("CREATED (UTC)", "created_time"),
    ("OUTPUT", "output"),
    ("MESSAGE", "message"),
];

async fn list(client: &ApiClient, args: TaskListArgs) -> cli::Result {
    let (count, skip) = (args.count.to_string(), args.skip.to_string());
    let start = args.since.map(|since| (SystemClock.now() - since).as_secs().to_string());
    let mut query = vec![("count", count.as_str()), ("start_num", skip.as_str())];
    query.extend(start.as_deref().map(|start| ("start_time", start)));
    query.extend(args.batch.as_ref().map(|id| ("batch_id", id.as_str())));
    query.extend(args.custom_info.as_deref().map(|info| ("custom_info", info)));
    query.extend(args.status.map(|status| ("status", status.as_str())));
    query.extend(args.storage.as_ref().map(|id| ("storage_id", id.as_str())));
    query.extend(args.template.as_ref().map(|name| ("template_name", name.as_str())));
    let tasks: Value = client.get("list_task", &query).await?;
    args.printer.print(&tasks, |tasks| {
        let count = tasks["num"].as_u64().unwrap_or(0);
        let total = tasks["total"].as_u64().unwrap_or(count);
        format!("{}{count} of {total}", Table::from_list(&tasks["list"], TASK_COLUMNS))
    })
}
