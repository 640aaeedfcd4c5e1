//! The demo's input: a sample that FFmpeg makes, and a file server for it on the loopback address.

use std::{
    fs::File,
    io::{Seek as _, SeekFrom},
    net::Ipv4Addr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::{io::AsyncReadExt as _, net::TcpListener, process::Command};
use tokio_util::{io::ReaderStream, task::AbortOnDropHandle};
use url::Url;

use crate::cli;

/// Makes ten seconds of a moving test pattern with a tone.
pub(super) async fn make_sample(tools: &media::Programs, folder: &Path) -> cli::Result<PathBuf> {
    let file = folder.join("sample.mp4");
    let output = Command::new(&tools.ffmpeg)
        .args(["-nostdin", "-y", "-loglevel", "error"])
        .args(["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25:duration=10"])
        .args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=10"])
        .args(["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-c:a", "aac"])
        .arg(&file)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    if output.status.success() {
        Ok(file)
    } else {
        Err(format!("FFmpeg could not make a sample: {}", String::from_utf8_lossy(&output.stderr).trim())
            .into())
    }
}

/// Serves one file over HTTP, ranges too. It stops when it is dropped.
pub(super) struct InputServer {
    /// Where the file is.
    pub(super) url: Url,
    _server: AbortOnDropHandle<()>,
}

impl InputServer {
    /// Begins to serve the file, under its own name.
    pub(super) async fn start(file: PathBuf) -> cli::Result<Self> {
        let readable = File::open(&file).and_then(|file| file.metadata());
        match readable {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Err(format!("{} is not a file", file.display()).into()),
            Err(error) => return Err(format!("{} cannot be read: {error}", file.display()).into()),
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let mut url: Url = format!("http://{}", listener.local_addr()?).parse()?;
        url.set_path(&file.file_name().unwrap_or_default().to_string_lossy());
        let router = Router::new().fallback(serve_file).with_state(Arc::new(file));
        let server = tokio::spawn(async move {
            // it ends only when its task is aborted
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, _server: AbortOnDropHandle::new(server) })
    }
}

async fn serve_file(State(file): State<Arc<PathBuf>>, headers: HeaderMap) -> Response {
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    match file_response(&file, range) {
        Ok(response) => response,
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn file_response(path: &Path, range: Option<&str>) -> std::io::Result<Response> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let accept_ranges = (header::ACCEPT_RANGES, "bytes".to_owned());
    match range.map(|range| parse_range(range, size)) {
        None => Ok(([accept_ranges, content_length(size)], stream(file, size)).into_response()),
        Some(Some(range)) => {
            let (first, last) = range.into_inner();
            file.seek(SeekFrom::Start(first))?;
            let content_range = (header::CONTENT_RANGE, format!("bytes {first}-{last}/{size}"));
            let count = last - first + 1;
            Ok((
                StatusCode::PARTIAL_CONTENT,
                [accept_ranges, content_length(count), content_range],
                stream(file, count),
            )
                .into_response())
        }
        Some(None) => {
            let content_range = (header::CONTENT_RANGE, format!("bytes */{size}"));
            Ok((StatusCode::RANGE_NOT_SATISFIABLE, [content_range]).into_response())
        }
    }
}

fn content_length(bytes: u64) -> (header::HeaderName, String) {
    (header::CONTENT_LENGTH, bytes.to_string())
}

fn stream(file: File, bytes: u64) -> Body {
    Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(file).take(bytes)))
}

/// The first and last byte of a range: `bytes=0-99`, `bytes=100-` or `bytes=-100`.
fn parse_range(range: &str, size: u64) -> Option<RangeInclusive<u64>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = match (first, last) {
        ("", suffix) => (size.saturating_sub(suffix.parse().ok()?), size.checked_sub(1)?),
        (first, "") => (first.parse().ok()?, size.checked_sub(1)?),
        (first, last) => (first.parse().ok()?, last.parse::<u64>().ok()?.min(size.checked_sub(1)?)),
    };
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("bytes=0-99", Some(0..=99))]
    #[case("bytes=900-", Some(900..=999))]
    #[case("bytes=-10", Some(990..=999))]
    #[case("bytes=990-5000", Some(990..=999))]
    #[case("bytes=1000-", None)]
    #[case("bytes=5-4", None)]
    #[case("items=0-1", None)]
    fn ranges(#[case] range: &str, #[case] bytes: Option<RangeInclusive<u64>>) {
        assert_eq!(parse_range(range, 1000), bytes);
    }

    #[tokio::test]
    async fn a_part_of_the_file_is_handed_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a b.bin");
        std::fs::write(&file, "0123456789").expect("written");
        let response = file_response(&file, Some("bytes=3-5")).expect("readable");
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(response.headers()[header::CONTENT_RANGE], "bytes 3-5/10");
        let body = axum::body::to_bytes(response.into_body(), 100).await.expect("a body");
        assert_eq!(body, "345");
    }
}
