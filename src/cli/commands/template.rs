//! `borealis template`: how to transcode.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use model::TemplateName;
use serde_json::Value;

use crate::cli::{
    self,
    client::{ApiClient, Connection},
    print::{Printer, Table, format_fields, print_line},
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
        printer: Printer,
    },
    /// Show a template
    Show {
        /// The template's name
        name: TemplateName,
        #[command(flatten)]
        printer: Printer,
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
        printer: Printer,
    },
    /// Replace templates as a whole from files, JSON or YAML
    Update {
        /// The files; - reads standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        printer: Printer,
    },
    /// Delete a template; tasks that were made with it keep their copy
    Delete {
        /// The template's name
        name: TemplateName,
        #[command(flatten)]
        printer: Printer,
    },
}

/// Runs the subcommand.
pub(super) async fn run(args: TemplateArgs) -> cli::Result {
    let client = ApiClient::connect(&args.connection)?;
    match args.command {
        TemplateCommand::List { printer } => {
            let templates: Value = client.get("list_template", &[]).await?;
            printer.print(&templates, |templates| {
                let columns = [
                    ("TEMPLATE", "template_name"),
                    ("FORMAT", "format"),
                    ("RESOLUTION", "resolution"),
                    ("BUILT IN", "built_in"),
                    ("DESCRIPTION", "description"),
                ];
                Table::from_list(&templates["list"], &columns).to_string()
            })
        }
        TemplateCommand::Show { name, printer } => {
            let template: Value = client.get("query_template", &[("template_name", name.as_str())]).await?;
            printer.print(&template, format_fields)
        }
        TemplateCommand::Export { name, to } => {
            let template: Value = client.get("query_template", &[("template_name", name.as_str())]).await?;
            export(template, &to)
        }
        TemplateCommand::Add { files, printer } => {
            for file in files {
                let template = read_template(&file)?;
                client.post_json::<Value>("add_template", &template).await?;
                printer.print_done("added", "template_name", name_of(&template))?;
            }
            Ok(())
        }
        TemplateCommand::Update { files, printer } => {
            for file in files {
                let template = read_template(&file)?;
                client.put_json("update_template", &template).await?;
                printer.print_done("replaced", "template_name", name_of(&template))?;
            }
            Ok(())
        }
        TemplateCommand::Delete { name, printer } => {
            client.delete("del_template", &[("template_name", name.as_str())]).await?;
            printer.print_done("deleted", "template_name", name.as_str())
        }
    }
}

fn name_of(template: &Value) -> &str {
    template["template_name"].as_str().unwrap_or_default()
}

fn read_template(file: &Path) -> cli::Result<Value> {
    let text =
        if file == Path::new("-") { io::read_to_string(io::stdin()) } else { fs::read_to_string(file) };
    let text = text.map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    // JSON is YAML, too, but the JSON parser says better where a text is wrong
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

/// Writes the fields that `add_template` takes, without those that only answers have.
fn export(mut template: Value, to: &Path) -> cli::Result {
    if let Some(fields) = template.as_object_mut() {
        for field in ["created_at", "built_in", "warnings"] {
            fields.shift_remove(field);
        }
    }
    let text = if is_json(to) { format!("{template:#}\n") } else { serde_saphyr::to_string(&template)? };
    if to == Path::new("-") {
        return print_line(&text);
    }
    fs::write(to, text).map_err(|error| format!("{} cannot be written: {error}", to.display()).into())
}
