//! `borealis storage`: where outputs go, and who is told.

mod add;

use clap::{Args, Subcommand};
use model::StorageId;
use serde_json::Value;

use self::add::AddArgs;
use crate::cli::{
    client::{Client, Connection},
    print::{Shown, Table, fields},
};

/// The arguments of `borealis storage`.
#[derive(Args)]
pub(crate) struct StorageArgs {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: StorageCommand,
}

#[derive(Subcommand)]
enum StorageCommand {
    /// Add a storage; what its type needs and is not given is asked for at a terminal
    Add(Box<AddArgs>),
    /// List storages, newest first
    List {
        #[command(flatten)]
        shown: Shown,
    },
    /// Show everything about a storage but its keys and secrets
    Show {
        /// The storage's id
        storage_id: StorageId,
        #[command(flatten)]
        shown: Shown,
    },
    /// Change fields of a storage; keys that are in BOREALIS_STORAGE_AK and BOREALIS_STORAGE_SK too
    Update {
        /// The storage's id
        storage_id: StorageId,
        /// Fields with their new values, such as notify=https://example.com/notify; what is empty is
        /// as if it had never been given
        #[arg(value_name = "FIELD=VALUE", value_parser = pair)]
        fields: Vec<(String, String)>,
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
        #[command(flatten)]
        shown: Shown,
    },
}

/// Does what was asked for.
pub(super) async fn run(args: StorageArgs) -> crate::cli::Result {
    let client = Client::connect(&args.connection)?;
    match args.command {
        StorageCommand::Add(args) => {
            let args = args.asked()?;
            let added: Value = client.send("add_storage", &args.body()?).await?;
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
        StorageCommand::Show { storage_id, shown } => {
            let storage: Value = client.get("query_storage", &[("storage_id", storage_id.as_str())]).await?;
            shown.print(&storage, fields)
        }
        StorageCommand::Update { storage_id, fields, shown } => {
            update(&client, &storage_id, fields).await?;
            shown.done("changed", "storage_id", storage_id.as_str())
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
        StorageCommand::Delete { storage_id, shown } => {
            client.delete("del_storage", &[("storage_id", storage_id.as_str())]).await?;
            shown.done("deleted", "storage_id", storage_id.as_str())
        }
    }
}

/// Replaces a storage by itself with other fields: the call takes the whole.
async fn update(
    client: &Client,
    storage_id: &StorageId,
    changes: Vec<(String, String)>,
) -> crate::cli::Result {
    let mut storage: Value = client.get("query_storage", &[("storage_id", storage_id.as_str())]).await?;
    for answered in ["created_time", "warnings"] {
        storage.as_object_mut().and_then(|fields| fields.shift_remove(answered));
    }
    let keys = add::keys();
    if changes.is_empty() && keys.is_empty() {
        return Err(
            "nothing is to be changed; give FIELD=VALUE, such as notify=https://example.com/notify".into()
        );
    }
    for (field, value) in changes.into_iter().chain(keys) {
        storage[&field] = match &storage[&field] {
            Value::Number(_) | Value::Bool(_) => {
                serde_json::from_str(&value).unwrap_or_else(|_| value.into())
            }
            _ => value.into(),
        };
    }
    Ok(client.replace("update_storage", &storage).await?)
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((field, value)) if !field.is_empty() => Ok((field.to_owned(), value.to_owned())),
        _ => Err("is not FIELD=VALUE".to_owned()),
    }
}
