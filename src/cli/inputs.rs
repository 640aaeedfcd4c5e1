//! What is to be transcoded: one input or many, from the command line or from a list.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use clap::{ArgGroup, Args};
use model::{StorageId, TemplateName};
use serde_json::{Value, json};
use url::Url;

/// Inputs, and what is the same for all of them.
#[derive(Args)]
#[command(group(ArgGroup::new("what").required(true).multiple(true).args(["inputs", "list"])))]
pub(super) struct Inputs {
    /// How to transcode: a template's name, see `borealis template list`
    #[arg(long, value_name = "NAME")]
    pub(super) template: TemplateName,
    /// Where the output goes: a storage's id, see `borealis storage list`
    #[arg(long, value_name = "ID")]
    storage: StorageId,
    /// What to transcode: URLs, objects such as s3://bucket/key, or files of this machine, which are
    /// sent to the server
    #[arg(value_name = "INPUT")]
    inputs: Vec<String>,
    /// A file with an input on each line, and after a tab its output where it is another; - reads
    /// standard input
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// The output's path below the storage's prefix, such as videos/a.mp4; {name} stands for the
    /// input's file name without its extension, {n} for its number
    #[arg(long, value_name = "PATH", default_value = "{name}")]
    to: String,
    /// A text that is handed back in the callback
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    custom_info: String,
    /// 1 to 9; higher goes first
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=9))]
    priority: u32,
}

impl Inputs {
    /// The body of `create_task` for each input.
    ///
    /// # Errors
    /// When the list cannot be read, or two have the same output.
    pub(super) fn task_bodies(&self) -> super::Result<Vec<Value>> {
        let listed = self.list.as_deref().map(read_list).transpose()?.unwrap_or_default();
        let on_command_line = self.inputs.iter().map(|input| (input.clone(), None));
        let mut outputs: HashMap<String, String> = HashMap::new();
        let mut tasks = Vec::new();
        for (index, (input, output)) in on_command_line.chain(parse_list(&listed)).enumerate() {
            let output = output.unwrap_or_else(|| self.output_of(&input, index + 1));
            if let Some(first) = outputs.insert(output.clone(), input.clone()) {
                return Err(format!(
                    "{first} and {input} would both be written to `{output}`; put {{n}} into --to"
                )
                .into());
            }
            tasks.push(json!({
                "template_name": self.template,
                "storage_id": self.storage,
                "input": input,
                "output": output,
                "custom_info": self.custom_info,
                "priority": self.priority,
            }));
        }
        if tasks.is_empty() { Err("the list names no input".into()) } else { Ok(tasks) }
    }

    fn output_of(&self, input: &str, number: usize) -> String {
        self.to.replace("{name}", &file_stem(input)).replace("{n}", &number.to_string())
    }
}

fn read_list(file: &Path) -> super::Result<String> {
    let text =
        if file == Path::new("-") { io::read_to_string(io::stdin()) } else { fs::read_to_string(file) };
    text.map_err(|error| format!("{} cannot be read: {error}", file.display()).into())
}

/// The inputs of a list, each with its output where the line names one. Empty lines and lines that begin
/// with # are skipped.
fn parse_list(list: &str) -> impl Iterator<Item = (String, Option<String>)> {
    let lines = list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| match line.split_once('\t') {
        Some((input, output)) => (input.trim().to_owned(), Some(output.trim().to_owned())),
        None => (line.to_owned(), None),
    })
}

/// The name of an input's file, without its extension.
fn file_stem(input: &str) -> String {
    let path = match Url::parse(input) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => {
            percent_encoding::percent_decode_str(url.path()).decode_utf8_lossy().into_owned()
        }
        _ => input.to_owned(),
    };
    let file = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let name = file.rsplit_once('.').map_or(file, |(name, _)| name);
    if name.is_empty() { "output".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://example.com/a/cat.video.mov?sig=x/y.z", "cat.video")]
    #[case("https://example.com/gr%C3%BC%C3%9Fe.mp4", "grüße")]
    #[case("https://example.com/", "output")]
    #[case("s3://bucket/deep/key%20.mkv", "key%20")]
    #[case("upload://0123", "0123")]
    fn an_input_gives_its_output_a_name(#[case] input: &str, #[case] expected: &str) {
        assert_eq!(file_stem(input), expected);
    }

    #[test]
    fn a_list_has_an_input_on_each_line_and_its_output_after_a_tab() {
        let list = "# films\nhttp://h/a b.mp4\n\n  s3://b/c\tx/y.mp4  \r\n";
        let inputs: Vec<_> = parse_list(list).collect();
        assert_eq!(
            inputs,
            [("http://h/a b.mp4".to_owned(), None), ("s3://b/c".to_owned(), Some("x/y.mp4".to_owned())),]
        );
    }
}
