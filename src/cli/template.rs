//! `borealis template`: how to transcode.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use model::TemplateName;
use serde_json::Value;

use super::{
    client::{Client, Connection},
    print::{Shown, Table, fields, line},
};

/// The arguments of `borealis template`.
#[derive(Args)]
pub(super) struct TemplateArgs {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: TemplateCommand,
}

#[derive(Subcommand)]
enum TemplateCommand {
    /// List templates, the predefined ones too
    List {
        #[command(flatten)]
        shown: Shown,
    },
    /// Show a template
    Show {
        /// The template's name
        name: TemplateName,
        #[command(flatten)]
        shown: Shown,
    },
    /// Add a template from a JSON file with the fields of `add_template`
    Add {
        /// The file; - reads standard input
        file: PathBuf,
    },
    /// Delete a template; tasks that were made with it keep their copy
    Delete {
        /// The template's name
        name: TemplateName,
    },
}

/// Does what was asked for.
pub(super) async fn run(args: TemplateArgs) -> super::Result {
    let client = Client::from_env(&args.connection)?;
    match args.command {
        TemplateCommand::List { shown } => {
            let templates: Value = client.get("list_template", &[]).await?;
            shown.print(&templates, |templates| {
                let columns = [
                    ("TEMPLATE", "template_name"),
                    ("FORMAT", "format"),
                    ("RESOLUTION", "resolution"),
                    ("BUILT IN", "built_in"),
                    ("DESCRIPTION", "description"),
                ];
                Table::of(&templates["list"], &columns).to_string()
            })
        }
        TemplateCommand::Show { name, shown } => {
            let template: Value = client.get("query_template", &[("template_name", name.as_str())]).await?;
            shown.print(&template, fields)
        }
        TemplateCommand::Add { file } => {
            let template = read(&file)?;
            client.send::<Value>("add_template", &template).await?;
            line(&format!("added {}", template["template_name"].as_str().unwrap_or_default()))
        }
        TemplateCommand::Delete { name } => {
            client.delete("del_template", &[("template_name", name.as_str())]).await?;
            line(&format!("deleted {name}"))
        }
    }
}

fn read(file: &Path) -> super::Result<Value> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    let text = text.map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{} is not JSON: {error}", file.display()).into())
}
