//! An input that is a file of this machine: sent to the server, with its progress shown.

use std::path::Path;

use futures::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::Value;
use tokio::fs::File;
use tokio_util::io::ReaderStream;

use super::client::ApiClient;

/// Bytes that are read, and sent, at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// What `upload` answers.
#[derive(Deserialize)]
struct UploadAnswer {
    input: String,
}

/// Uploads the input of a task that is to be created, when it is a file of this machine; the task's
/// input is then the upload.
///
/// # Errors
/// When there is no such file, or the server does not take it.
pub(super) async fn upload_input(client: &ApiClient, task: &mut Value) -> super::Result {
    if let Some(input) = task["input"].as_str()
        && !input.contains("://")
    {
        task["input"] = upload(client, input).await?.into();
    }
    Ok(())
}

/// Gives what a task's `input` is then.
async fn upload(client: &ApiClient, file_name: &str) -> super::Result<String> {
    let path = Path::new(file_name);
    let file = File::open(path).await.map_err(|error| format!("{file_name} cannot be read: {error}"))?;
    let metadata = file.metadata().await?;
    if !metadata.is_file() {
        return Err(format!("{file_name} is not a file").into());
    }
    let bar = ProgressBar::new(metadata.len()).with_style(bar_style()?);
    let progress = bar.clone();
    let chunks = ReaderStream::with_capacity(file, CHUNK_BYTES).inspect(move |chunk| {
        progress.inc(chunk.as_ref().map_or(0, |bytes| bytes.len() as u64));
    });
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let body = reqwest::Body::wrap_stream(chunks);
    let UploadAnswer { input } = client.upload(&name, metadata.len(), body).await?;
    bar.finish_and_clear();
    Ok(input)
}

fn bar_style() -> super::Result<ProgressStyle> {
    Ok(ProgressStyle::with_template(
        "uploading {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
    )?)
}
