//! `borealis storage`: where outputs go, and who gets the callbacks.

mod add;

use clap::{Args, Subcommand};
use model::StorageId;
use serde_json::Value;

use self::add::AddArgs;
use crate::cli::{
    self,
    client::{ApiClient, Connection},
    print::{Printer, Table, format_fields},
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
        printer: Printer,
    },
    /// Show everything about a storage but its keys and secrets
    Show {
        /// The storage's id
        storage_id: StorageId,
        #[command(flatten)]
        printer: Printer,
    },
    /// Change fields of a storage; keys that are in BOREALIS_STORAGE_AK and BOREALIS_STORAGE_SK too
    Update {
        /// The storage's id
        storage_id: StorageId,
        /// Fields with their new values, such as notify=https://example.com/notify; what is empty is
        /// as if it had never been given
        #[arg(value_name = "FIELD=VALUE", value_parser = parse_field)]
        fields: Vec<(String, String)>,
        #[command(flatten)]
        printer: Printer,
    },
    /// Try a storage: list, write, read back and delete a small object
    Check {
        /// The storage's id
        storage_id: StorageId,
        #[command(flatten)]
        printer: Printer,
    },
    /// List objects of a storage
    Ls {
        /// The storage's id
        storage_id: StorageId,
        /// What their paths begin with
        #[arg(default_value = "", hide_default_value = true)]
        prefix: String,
        #[command(flatten)]
        printer: Printer,
    },
    /// Delete a storage that no unfinished task or callback needs
    Delete {
        /// The storage's id
        storage_id: StorageId,
        #[command(flatten)]
        printer: Printer,
    },
}

/// Runs the subcommand.
pub(super) async fn run(args: StorageArgs) -> cli::Result {
    let client = ApiClient::connect(&args.connection)?;
    match args.command {
        StorageCommand::Add(args) => {
            let args = args.prompt_for_missing()?;
            let added: Value = client.post_json("add_storage", &args.request_body()?).await?;
            if added["notify_secret"].is_string() {
                eprintln!("keep the notify_secret: it verifies the callbacks and is shown only now");
            }
            args.printer.print(&added, format_fields)
        }
        StorageCommand::List { printer } => {
            let storages: Value = client.get("list_storage", &[]).await?;
            printer.print(&storages, |storages| {
                let columns = [
                    ("STORAGE", "storage_id"),
                    ("TYPE", "type"),
                    ("BUCKET", "bucket"),
                    ("PREFIX", "prefix"),
                    ("CREATED (UTC)", "created_time"),
                    ("NOTIFY", "notify"),
                ];
                Table::from_list(&storages["list"], &columns).to_string()
            })
        }
        StorageCommand::Show { storage_id, printer } => {
            let storage: Value = client.get("query_storage", &[("storage_id", storage_id.as_str())]).await?;
            printer.print(&storage, format_fields)
        }
        StorageCommand::Update { storage_id, fields, printer } => {
            update(&client, &storage_id, fields).await?;
            printer.print_done("changed", "storage_id", storage_id.as_str())
        }
        StorageCommand::Check { storage_id, printer } => {
            let checked: Value = client.post("check_storage", &[("storage_id", storage_id.as_str())]).await?;
            printer.print(&checked, |checked| {
                let columns = [("STEP", "step"), ("OK", "ok"), ("MESSAGE", "message")];
                Table::from_list(&checked["steps"], &columns).to_string()
            })?;
            if checked["ok"] == true { Ok(()) } else { Err("the storage cannot be used".into()) }
        }
        StorageCommand::Ls { storage_id, prefix, printer } => {
            let query = [("storage_id", storage_id.as_str()), ("prefix", &prefix)];
            let objects: Value = client.get("list_object", &query).await?;
            printer.print(&objects, |objects| {
                let list = objects["list"].as_array().into_iter().flatten().filter_map(Value::as_str);
                list.collect::<Vec<_>>().join("\n")
            })
        }
        StorageCommand::Delete { storage_id, printer } => {
            client.delete("del_storage", &[("storage_id", storage_id.as_str())]).await?;
            printer.print_done("deleted", "storage_id", storage_id.as_str())
        }
    }
}

/// Changes some fields of a storage. `update_storage` replaces the storage as a whole, so that the other
/// fields are sent back as they were.
async fn update(client: &ApiClient, storage_id: &StorageId, changes: Vec<(String, String)>) -> cli::Result {
    let mut storage: Value = client.get("query_storage", &[("storage_id", storage_id.as_str())]).await?;
    // the server answers them and does not take them
    for field in ["created_time", "warnings"] {
        storage.as_object_mut().and_then(|fields| fields.shift_remove(field));
    }
    let keys = add::keys_from_env();
    if changes.is_empty() && keys.is_empty() {
        return Err(
            "nothing is to be changed; give FIELD=VALUE, such as notify=https://example.com/notify".into()
        );
    }
    for (field, value) in changes.into_iter().chain(keys) {
        storage[&field] = match &storage[&field] {
            // what is not a number is for the server to refuse
            Value::Number(_) | Value::Bool(_) => {
                serde_json::from_str(&value).unwrap_or_else(|_| value.into())
            }
            _ => value.into(),
        };
    }
    Ok(client.put_json("update_storage", &storage).await?)
}

fn parse_field(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((field, value)) if !field.is_empty() => Ok((field.to_owned(), value.to_owned())),
        _ => Err("is not FIELD=VALUE".to_owned()),
    }
}
