//! `borealis storage`: where outputs go, and who is told.

use std::{
    env,
    io::{self, IsTerminal as _},
};

use clap::{Args, Subcommand};
use model::{NotifyPolicy, NotifySuccess, StorageId, StorageType};
use serde_json::{Value, json};

use super::{
    client::{Client, Connection},
    print::{Shown, Table, fields, line},
};

/// The arguments of `borealis storage`.
#[derive(Args)]
pub(super) struct StorageArgs {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: StorageCommand,
}

#[derive(Subcommand)]
enum StorageCommand {
    /// Add a storage; its keys come from BOREALIS_STORAGE_AK and BOREALIS_STORAGE_SK
    Add(Box<AddArgs>),
    /// List storages, newest first
    List {
        #[command(flatten)]
        shown: Shown,
    },
    /// Try a storage: list, write, read back and delete a small object
    Check {
        /// The storage's id
        storage_id: StorageId,
        #[command(flatten)]
        shown: Shown,
    },
    /// List objects of a storage
    Ls {
        /// The storage's id
        storage_id: StorageId,
        /// What their paths begin with
        #[arg(default_value = "", hide_default_value = true)]
        prefix: String,
        #[command(flatten)]
        shown: Shown,
    },
    /// Delete a storage that no unfinished task or callback needs
    Delete {
        /// The storage's id
        storage_id: StorageId,
    },
}

#[derive(Args)]
struct AddArgs {
    /// The kind of object store
    #[arg(long = "type", value_name = "TYPE", default_value_t = StorageType::File)]
    kind: StorageType,
    /// The bucket; for `file` a folder below the server's data directory
    #[arg(long)]
    bucket: String,
    /// What every output's path begins with
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
    /// The callback's URL, called when a task ends
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    notify: String,
    /// Attempts at most for a callback
    #[arg(long, value_name = "N")]
    notify_attempts: Option<u32>,
    /// Seconds from one attempt to the next
    #[arg(long, value_name = "SECONDS")]
    notify_interval: Option<u32>,
    /// What comes after those attempts: aurora (nothing) or extended (days of growing distances)
    #[arg(long, value_name = "POLICY")]
    notify_policy: Option<NotifyPolicy>,
    /// Which answer is success: 200 or 2xx
    #[arg(long, value_name = "STATUS")]
    notify_success: Option<NotifySuccess>,
    /// The vendor's region
    #[arg(long, default_value = "", hide_default_value = true)]
    region: String,
    /// The URL of the service where it is not the vendor's own
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    endpoint: String,
    /// Put the bucket into the path instead of the host name
    #[arg(long)]
    path_style: bool,
    /// A label of your own
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    #[command(flatten)]
    shown: Shown,
}

impl AddArgs {
    /// With what the type needs and was not given: a person at a terminal is asked for it.
    fn asked(mut self: Box<Self>) -> super::Result<Box<Self>> {
        if self.kind == StorageType::File || !io::stdin().is_terminal() {
            return Ok(self);
        }
        if self.region.is_empty() && self.endpoint.is_empty() && self.kind != StorageType::Gcs {
            let answer = ask("region, or the URL of the service")?;
            let field = if answer.contains("://") { &mut self.endpoint } else { &mut self.region };
            *field = answer;
        }
        Ok(self)
    }

    fn body(&self) -> Value {
        json!({
            "type": self.kind,
            "region": self.region,
            "bucket": self.bucket,
            "prefix": self.prefix,
            "notify": self.notify,
            "storage_ak": env::var("BOREALIS_STORAGE_AK").unwrap_or_default(),
            "storage_sk": env::var("BOREALIS_STORAGE_SK").unwrap_or_default(),
            "endpoint": self.endpoint,
            "path_style": self.path_style,
            "name": self.name,
            "notify_attempts": self.notify_attempts,
            "notify_interval": self.notify_interval,
            "notify_policy": self.notify_policy,
            "notify_success": self.notify_success,
        })
    }
}

/// Asks for a line at the terminal.
fn ask(what: &str) -> io::Result<String> {
    eprint!("{what}: ");
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// Does what was asked for.
pub(super) async fn run(args: StorageArgs) -> super::Result {
    let client = Client::connect(&args.connection)?;
    match args.command {
        StorageCommand::Add(args) => {
            let args = args.asked()?;
            let added: Value = client.send("add_storage", &args.body()).await?;
            if added["notify_secret"].is_string() {
                eprintln!("keep the notify_secret: it verifies the callbacks and is shown only now");
            }
            args.shown.print(&added, fields)
        }
        StorageCommand::List { shown } => {
            let storages: Value = client.get("list_storage", &[]).await?;
            shown.print(&storages, |storages| {
                let columns = [
                    ("STORAGE", "storage_id"),
                    ("TYPE", "type"),
                    ("BUCKET", "bucket"),
                    ("PREFIX", "prefix"),
                    ("CREATED (UTC)", "created_time"),
                    ("NOTIFY", "notify"),
                ];
                Table::of(&storages["list"], &columns).to_string()
            })
        }
        StorageCommand::Check { storage_id, shown } => {
            let checked: Value = client.post("check_storage", &[("storage_id", storage_id.as_str())]).await?;
            shown.print(&checked, |checked| {
                let columns = [("STEP", "step"), ("OK", "ok"), ("MESSAGE", "message")];
                Table::of(&checked["steps"], &columns).to_string()
            })?;
            if checked["ok"] == true { Ok(()) } else { Err("the storage cannot be used".into()) }
        }
        StorageCommand::Ls { storage_id, prefix, shown } => {
            let query = [("storage_id", storage_id.as_str()), ("prefix", &prefix)];
            let objects: Value = client.get("list_object", &query).await?;
            shown.print(&objects, |objects| {
                let list = objects["list"].as_array().into_iter().flatten().filter_map(Value::as_str);
                list.collect::<Vec<_>>().join("\n")
            })
        }
        StorageCommand::Delete { storage_id } => {
            client.delete("del_storage", &[("storage_id", storage_id.as_str())]).await?;
            line(&format!("deleted {storage_id}"))
        }
    }
}
