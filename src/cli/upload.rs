//! An input that is a file of this machine: sent to the server, with its progress shown.

use std::path::Path;

use futures::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::Value;
use tokio::fs::File;
use tokio_util::io::ReaderStream;

use super::client::Client;

/// Bytes that are read at once.
const PIECE: usize = 256 * 1024;

/// What `upload` answers.
#[derive(Deserialize)]
struct Uploaded {
    input: String,
}

/// Sends the input of a task that is to be created when it is a file; the task then names what was
/// sent.
///
/// # Errors
/// When there is no such file, or the server does not take it.
pub(super) async fn send_input(client: &Client, task: &mut Value) -> super::Result {
    if let Some(given) = task["input"].as_str().filter(|given| !given.contains("://")) {
        task["input"] = send(client, given).await?.into();
    }
    Ok(())
}

async fn send(client: &Client, given: &str) -> super::Result<String> {
    let path = Path::new(given);
    let file = File::open(path).await.map_err(|error| format!("{given} cannot be read: {error}"))?;
    let about = file.metadata().await?;
    if !about.is_file() {
        return Err(format!("{given} is no file").into());
    }
    let bar = ProgressBar::new(about.len()).with_style(style()?);
    let seen = bar.clone();
    let pieces = ReaderStream::with_capacity(file, PIECE).inspect(move |piece| {
        seen.inc(piece.as_ref().map_or(0, |bytes| bytes.len() as u64));
    });
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let body = reqwest::Body::wrap_stream(pieces);
    let Uploaded { input } = client.upload(&name, about.len(), body).await?;
    bar.finish_and_clear();
    Ok(input)
}

fn style() -> super::Result<ProgressStyle> {
    Ok(ProgressStyle::with_template(
        "uploading {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
    )?)
}
