//! `borealis key`: access keys. It works on the server's own database, not over the API: for whoever runs
//! the server, also when no key works any more.

use std::sync::Arc;

use clap::{Args, Subcommand};
use model::{Role, TenantId};
use serde_json::json;

use crate::{
    access_keys,
    app::App,
    cli::{
        self,
        print::{Printer, Table, format_fields},
    },
    config::{Flags, Settings},
};

/// The arguments of `borealis key`.
#[derive(Args)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Make a key; its secret is shown once
    Create {
        /// The tenant whose storages, templates and tasks it sees
        #[arg(long, value_name = "NAME", default_value_t = TenantId::main())]
        tenant: TenantId,
        /// What it may do: admin, member or read
        #[arg(long, default_value_t = Role::Member)]
        role: Role,
        #[command(flatten)]
        printer: Printer,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// List the keys of all tenants, newest first
    List {
        #[command(flatten)]
        printer: Printer,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// Delete a key: it is refused from then on
    Revoke {
        /// The public half of the key
        access_key: String,
        #[command(flatten)]
        printer: Printer,
        #[command(flatten)]
        flags: Box<Flags>,
    },
}

/// Runs the subcommand.
pub(super) async fn run(args: KeyArgs) -> cli::Result {
    match args.command {
        KeyCommand::Create { tenant, role, printer, flags } => {
            let app = open(&flags).await?;
            let (key, secret) = access_keys::generate(tenant, role, app.clock.now());
            app.store.add_key(&key).await?;
            eprintln!("keep the secret_key: it is shown only now");
            let created = json!({
                "access_key": key.access_key,
                "secret_key": secret.expose(),
                "tenant": key.tenant,
                "role": key.role,
            });
            printer.print(&created, format_fields)
        }
        KeyCommand::List { printer, flags } => {
            let app = open(&flags).await?;
            list(&app, printer).await
        }
        KeyCommand::Revoke { access_key, printer, flags } => {
            open(&flags).await?.store.delete_key(None, &access_key).await?;
            printer.print_done("revoked", "access_key", &access_key)
        }
    }
}

async fn open(flags: &Flags) -> cli::Result<Arc<App>> {
    Ok(App::new(Settings::load(flags)?).await?)
}

async fn list(app: &App, printer: Printer) -> cli::Result {
    let keys = app.store.keys(None).await?;
    let list: Vec<_> = keys
        .into_iter()
        .map(|key| {
            json!({
                "access_key": key.access_key,
                "tenant": key.tenant,
                "role": key.role,
                "created_time": key.created.as_secs(),
            })
        })
        .collect();
    printer.print(&json!({"num": list.len(), "list": list}), |keys| {
        let columns = [
            ("ACCESS KEY", "access_key"),
            ("TENANT", "tenant"),
            ("ROLE", "role"),
            ("CREATED (UTC)", "created_time"),
        ];
        Table::from_list(&keys["list"], &columns).to_string()
    })
}
