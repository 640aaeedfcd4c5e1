//! `borealis callback`: what became of callbacks, and what can be done about it.

use std::time::Duration;

use clap::{Args, Subcommand};
use model::{CallbackId, CallbackStatus, Clock as _, StorageId, SystemClock, TaskId};
use serde_json::{Value, json};

use crate::{
    cli::{
        self,
        client::{ApiClient, Connection},
        print::{Printer, Table, format_fields},
    },
    config::parse_duration,
};

/// The arguments of `borealis callback`.
#[derive(Args)]
pub(crate) struct CallbackArgs {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: CallbackCommand,
}

#[derive(Subcommand)]
enum CallbackCommand {
    /// List callbacks, newest first
    List(CallbackListArgs),
    /// Show a callback with its body and every attempt
    Show {
        /// The callback's id
        callback_id: CallbackId,
        #[command(flatten)]
        printer: Printer,
    },
    /// Send a callback again, whatever became of it
    Redeliver {
        /// The callback's id
        callback_id: CallbackId,
        #[command(flatten)]
        printer: Printer,
    },
    /// Send every callback of a storage again that failed since a time
    Recover {
        /// The storage's id
        storage_id: StorageId,
        /// How long ago the first of them became owed, such as 90m or 24h
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        since: Duration,
        #[command(flatten)]
        printer: Printer,
    },
    /// Send a test callback to a storage's receiver, and say what it answered
    Ping {
        /// The storage's id
        storage_id: StorageId,
        #[command(flatten)]
        printer: Printer,
    },
    /// Make a new secret for a storage's callbacks; for 24 h the old one signs as well
    RotateSecret {
        /// The storage's id
        storage_id: StorageId,
        #[command(flatten)]
        printer: Printer,
    },
}

#[derive(Args)]
struct CallbackListArgs {
    /// Only callbacks with this status
    #[arg(long)]
    status: Option<CallbackStatus>,
    /// Only callbacks of this storage
    #[arg(long, value_name = "ID")]
    storage: Option<StorageId>,
    /// Only callbacks that tell about this task
    #[arg(long, value_name = "ID")]
    task: Option<TaskId>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    count: u32,
    #[command(flatten)]
    printer: Printer,
}

/// Runs the subcommand.
pub(super) async fn run(args: CallbackArgs) -> cli::Result {
    let client = ApiClient::connect(&args.connection)?;
    match args.command {
        CallbackCommand::List(args) => list(&client, args).await,
        CallbackCommand::Show { callback_id, printer } => {
            let query = [("callback_id", callback_id.as_str())];
            let callback: Value = client.get("query_callback", &query).await?;
            printer.print(&callback, |callback| with_attempts(callback.clone()))
        }
        CallbackCommand::Redeliver { callback_id, printer } => {
            let query = [("callback_id", callback_id.as_str())];
            client.post::<Value>("redeliver_callback", &query).await?;
            printer.print_done("sent again:", "callback_id", callback_id.as_str())
        }
        CallbackCommand::Recover { storage_id, since, printer } => {
            recover(&client, &storage_id, since, printer).await
        }
        CallbackCommand::Ping { storage_id, printer } => ping(&client, &storage_id, printer).await,
        CallbackCommand::RotateSecret { storage_id, printer } => {
            let query = [("storage_id", storage_id.as_str())];
            let rotated: Value = client.post("rotate_notify_secret", &query).await?;
            eprintln!("keep the notify_secret: it is shown only now");
            printer.print(&rotated, format_fields)
        }
    }
}

async fn recover(
    client: &ApiClient,
    storage_id: &StorageId,
    since: Duration,
    printer: Printer,
) -> cli::Result {
    let since = SystemClock.now() - since;
    let body = json!({"storage_id": storage_id, "since": since.as_secs()});
    let recovered: Value = client.post_json("recover_callback", &body).await?;
    printer.print(&recovered, |recovered| format!("callbacks sent again: {}", recovered["num"]))
}

/// Prints what the receiver answered; fails when it did not accept.
async fn ping(client: &ApiClient, storage_id: &StorageId, printer: Printer) -> cli::Result {
    let query = [("storage_id", storage_id.as_str())];
    let pinged: Value = client.post("ping_storage", &query).await?;
    printer.print(&pinged, |pinged| format_fields(&pinged["attempt"]))?;
    match pinged["delivered"].as_bool() {
        Some(true) => Ok(()),
        _ => Err("the receiver did not accept the test callback".into()),
    }
}

async fn list(client: &ApiClient, args: CallbackListArgs) -> cli::Result {
    let count = args.count.to_string();
    let mut query = vec![("count", count.as_str())];
    query.extend(args.status.map(|status| ("status", status.as_str())));
    query.extend(args.storage.as_ref().map(|id| ("storage_id", id.as_str())));
    query.extend(args.task.as_ref().map(|id| ("task_id", id.as_str())));
    let callbacks: Value = client.get("list_callback", &query).await?;
    args.printer.print(&callbacks, |callbacks| {
        let columns = [
            ("CALLBACK", "callback_id"),
            ("STATUS", "status"),
            ("ATTEMPTS", "attempts"),
            ("CREATED (UTC)", "created_time"),
            ("NEXT ATTEMPT", "next_attempt_time"),
            ("URL", "url"),
        ];
        Table::from_list(&callbacks["list"], &columns).to_string()
    })
}

/// The callback's fields, and a table of its attempts below.
fn with_attempts(mut callback: Value) -> String {
    let attempts = callback.as_object_mut().and_then(|fields| fields.remove("attempt_list"));
    let columns = [
        ("ATTEMPT", "number"),
        ("TIME (UTC)", "time"),
        ("ADDRESS", "address"),
        ("MS", "total_ms"),
        ("HTTP", "http_status"),
        ("ERROR", "error"),
    ];
    let table = Table::from_list(&attempts.unwrap_or_default(), &columns);
    format!("{}\n{table}", format_fields(&callback))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn attempts_stand_below_the_fields() {
        let callback = json!({"callback_id": "cb_1", "status": "owed", "attempt_list": [
            {"number": 1, "time": 1_650_453_342, "address": "127.0.0.1:80", "total_ms": 7, "http_status": 500,
             "error": "status 500"},
        ]});
        assert_eq!(
            with_attempts(callback),
            "callback_id  cb_1\n\
             status       owed\n\
             \n\
             ATTEMPT  TIME (UTC)           ADDRESS       MS  HTTP  ERROR\n\
             1        2022-04-20 11:15:42  127.0.0.1:80  7   500   status 500\n"
        );
    }
}
