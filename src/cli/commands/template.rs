//! `borealis template`: how to transcode.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use model::TemplateName;
use serde_json::Value;

use crate::cli::{
    client::{Client, Connection},
    print::{Shown, Table, fields, line},
};

/// The arguments of `borealis template`.
#[derive(Args)]
pub(crate) struct TemplateArgs {
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
    /// Write a template to a file, as `add` and `update` take it
    Export {
        /// The template's name
        name: TemplateName,
        /// The file, JSON when its name ends so, else YAML; - is standard output
        #[arg(long, value_name = "FILE", default_value = "-")]
        to: PathBuf,
    },
    /// Add templates from files, JSON or YAML, with the fields of `add_template`
    Add {
        /// The files; - reads standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        shown: Shown,
    },
    /// Replace templates as a whole from files, JSON or YAML
    Update {
        /// The files; - reads standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        shown: Shown,
    },
    /// Delete a template; tasks that were made with it keep their copy
    Delete {
        /// The template's name
        name: TemplateName,
        #[command(flatten)]
        shown: Shown,
    },
}

/// Does what was asked for.
pub(super) async fn run(args: TemplateArgs) -> crate::cli::Result {
    let client = Client::connect(&args.connection)?;
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
        TemplateCommand::Export { name, to } => {
            let template: Value = client.get("query_template", &[("template_name", name.as_str())]).await?;
            export(template, &to)
        }
        TemplateCommand::Add { files, shown } => {
            for file in files {
                let template = read(&file)?;
                client.send::<Value>("add_template", &template).await?;
                shown.done("added", "template_name", name_in(&template))?;
            }
            Ok(())
        }
        TemplateCommand::Update { files, shown } => {
            for file in files {
                let template = read(&file)?;
                client.replace("update_template", &template).await?;
                shown.done("replaced", "template_name", name_in(&template))?;
            }
            Ok(())
        }
        TemplateCommand::Delete { name, shown } => {
            client.delete("del_template", &[("template_name", name.as_str())]).await?;
            shown.done("deleted", "template_name", name.as_str())
        }
    }
}

fn name_in(template: &Value) -> &str {
    template["template_name"].as_str().unwrap_or_default()
}

fn read(file: &Path) -> crate::cli::Result<Value> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    let text = text.map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    // JSON says better where it is wrong; whatever else is there is YAML
    let template = if is_json(file) || text.trim_start().starts_with('{') {
        serde_json::from_str(&text).map_err(|error| format!("{} is not JSON: {error}", file.display()))?
    } else {
        serde_saphyr::from_str(&text).map_err(|error| format!("{} is not YAML: {error}", file.display()))?
    };
    Ok(template)
}

fn is_json(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// Writes what was set, without what only answers have.
fn export(mut template: Value, to: &Path) -> crate::cli::Result {
    if let Some(fields) = template.as_object_mut() {
        for answered in ["created_at", "built_in", "warnings"] {
            fields.shift_remove(answered);
        }
    }
    let text = if is_json(to) { format!("{template:#}\n") } else { serde_saphyr::to_string(&template)? };
    if to == Path::new("-") {
        return line(&text);
    }
    fs::write(to, text).map_err(|error| format!("{} cannot be written: {error}", to.display()).into())
}
