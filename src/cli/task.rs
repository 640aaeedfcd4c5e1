//! `borealis task`: create, watch, list, download, cancel and retry tasks.

use std::path::{Component, Path, PathBuf};

use clap::{Args, Subcommand};
use model::{StorageId, TaskId, TaskStatus, TemplateName};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{
    client::{Client, Connection},
    follow::follow,
    print::{Shown, Table, fields, line},
    progress::Board,
};

/// The arguments of `borealis task`.
#[derive(Args)]
pub(super) struct TaskArgs {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: TaskCommand,
}

#[derive(Subcommand)]
enum TaskCommand {
    /// Transcode an input; prints the task's id, or with --wait the output's address
    Create(CreateArgs),
    /// List tasks, newest first
    List(ListArgs),
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
    /// Cancel a task that has not ended
    Cancel {
        /// The task's id
        task_id: TaskId,
    },
    /// Run a task that ended once more
    Retry {
        /// The task's id
        task_id: TaskId,
    },
}

#[derive(Args)]
struct CreateArgs {
    /// How to transcode: a template's name, see `borealis template list`
    #[arg(long, value_name = "NAME")]
    template: TemplateName,
    /// Where the output goes: a storage's id, see `borealis storage list`
    #[arg(long, value_name = "ID")]
    storage: StorageId,
    /// What to transcode
    #[arg(long, value_name = "URL")]
    input: String,
    /// The output's path below the storage's prefix, such as videos/a.mp4
    #[arg(long, value_name = "PATH")]
    output: String,
    /// A text that is handed back in the callback
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    custom_info: String,
    /// 1 to 9; higher goes first
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=9))]
    priority: u32,
    /// Show the progress and end with the task's outcome
    #[arg(long)]
    wait: bool,
}

#[derive(Args)]
struct ListArgs {
    /// Only tasks with this status
    #[arg(long)]
    status: Option<TaskStatus>,
    /// Only tasks that write to this storage
    #[arg(long, value_name = "ID")]
    storage: Option<StorageId>,
    /// Only tasks made with this template
    #[arg(long, value_name = "NAME")]
    template: Option<TemplateName>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    count: u32,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Args)]
struct ShowArgs {
    /// The task's id
    task_id: TaskId,
    #[command(flatten)]
    shown: Shown,
}

/// What `create_task` answers.
#[derive(Deserialize)]
pub(super) struct Created {
    pub(super) task_id: String,
}

/// Does what was asked for.
pub(super) async fn run(args: TaskArgs) -> super::Result {
    let client = Client::from_env(&args.connection)?;
    match args.command {
        TaskCommand::Create(args) => create(&client, args).await,
        TaskCommand::List(args) => list(&client, args).await,
        TaskCommand::Show(args) => {
            let task: Value = client.get("query_task", &[("task_id", args.task_id.as_str())]).await?;
            args.shown.print(&task, fields)
        }
        TaskCommand::Download { task_id, to } => download(&client, &task_id, &to).await,
        TaskCommand::Cancel { task_id } => {
            client.post::<Value>("cancel_task", &[("task_id", task_id.as_str())]).await?;
            line(&format!("cancelled {task_id}"))
        }
        TaskCommand::Retry { task_id } => {
            client.post::<Value>("retry_task", &[("task_id", task_id.as_str())]).await?;
            line(&format!("runs again: {task_id}"))
        }
    }
}

/// What `sign_output` answers.
#[derive(Deserialize)]
struct Signed {
    objects: Vec<SignedObject>,
}

#[derive(Deserialize)]
struct SignedObject {
    path: PathBuf,
    url: Url,
}

/// Prints the file that the main object became; the others lie beside it.
async fn download(client: &Client, task_id: &TaskId, to: &Path) -> super::Result {
    let query = [("task_id", task_id.as_str()), ("all", "true")];
    let signed: Signed = client.get("sign_output", &query).await?;
    // the main object, which is first, comes last: it refers to the others
    for SignedObject { path, url } in signed.objects.into_iter().rev() {
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(format!("the server names `{}`, which leads elsewhere", path.display()).into());
        }
        let file = to.join(path);
        client.download(url, &file).await?;
        line(&file.display().to_string())?;
    }
    Ok(())
}

async fn create(client: &Client, args: CreateArgs) -> super::Result {
    let body = json!({
        "template_name": args.template,
        "storage_id": args.storage,
        "input": args.input,
        "output": args.output,
        "custom_info": args.custom_info,
        "priority": args.priority,
    });
    let Created { task_id } = client.send("create_task", &body).await?;
    if !args.wait {
        return line(&task_id);
    }
    eprintln!("task {task_id}");
    let mut meter = Board::new(|text| eprintln!("{text}")).meter(args.template.as_str());
    let task = follow(client, &task_id, &mut meter).await?.succeeded()?;
    line(&task.output)
}

async fn list(client: &Client, args: ListArgs) -> super::Result {
    let count = args.count.to_string();
    let mut query = vec![("count", count.as_str())];
    query.extend(args.status.map(|status| ("status", status.as_str())));
    query.extend(args.storage.as_ref().map(|id| ("storage_id", id.as_str())));
    query.extend(args.template.as_ref().map(|name| ("template_name", name.as_str())));
    let tasks: Value = client.get("list_task", &query).await?;
    args.shown.print(&tasks, |tasks| {
        let columns = [
            ("TASK", "task_id"),
            ("STATUS", "status"),
            ("%", "progress"),
            ("TEMPLATE", "template_name"),
            ("CREATED (UTC)", "created_time"),
            ("OUTPUT", "output"),
            ("MESSAGE", "message"),
        ];
        let shown = tasks["num"].as_u64().unwrap_or(0);
        let total = tasks["total"].as_u64().unwrap_or(shown);
        format!("{}{shown} of {total}", Table::of(&tasks["list"], &columns))
    })
}
