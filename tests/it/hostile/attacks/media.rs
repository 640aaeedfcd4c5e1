//! Files that are media by name, or by their first bytes.

use std::{
    fmt::Write as _,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use axum::{
    Router,
    body::Body,
    extract,
    http::{StatusCode, header},
    response::IntoResponse as _,
    routing,
};
use bytes::Bytes;
use futures::{StreamExt as _, stream};

use super::inputs::{chunks, run_tasks};
use crate::hostile::{attacker::Attacker, customer::serve, run_tool};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 3);

const CHAPTERS: usize = 200_000;

/// Bytes of the `moov`, which the others of the file would follow.
const MOOV_BYTES: u32 = 200 << 20;

/// Makes the files that take a while, and the large one that is asked for and not read.
pub(in crate::hostile) fn make_media(files: &Path) {
    let path = |name: &str| files.join(name).display().to_string();
    // noise does not get smaller: some 30 MB
    let noise = ["-f", "lavfi", "-i", "testsrc2=size=640x480:rate=25:duration=2,noise=alls=100:allf=t+u"];
    let coded = ["-c:v", "libx264", "-preset", "ultrafast", "-qp", "1", "-pix_fmt", "yuv420p"];
    run_tool("ffmpeg", &[&noise[..], &coded, &[&path("large.mp4")]].concat());
    let mut chapters = ";FFMETADATA1\n".to_owned();
    for number in 0..CHAPTERS {
        let end = number + 1;
        let _ =
            writeln!(chapters, "[CHAPTER]\nTIMEBASE=1/1000000\nSTART={number}\nEND={end}\ntitle=t{number}");
    }
    fs::write(path("chapters.txt"), chapters).expect("room");
    let short = ["-f", "lavfi", "-i", "testsrc2=size=64x36:rate=10:duration=1", "-i", &path("chapters.txt")];
    let with_chapters =
        ["-map_metadata", "1", "-map_chapters", "1", "-c:v", "libx264", "-pix_fmt", "yuv420p"];
    run_tool("ffmpeg", &[&short[..], &with_chapters, &[&path("chapters.mkv")]].concat());
}

/// Media of every kind, in turn.
pub(super) async fn media(attacker: Attacker) {
    let own = format!("http://{}/metrics", attacker.target.server);
    let playlist =
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{own}\n#EXTINF:1,\nfile:///etc/passwd\n");
    let manifest = format!(
        "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"><Period><BaseURL>{own}</BaseURL></Period></MPD>"
    );
    let texts = [
        ("playlist.m3u8", playlist.clone()),
        ("playlist.mp4", playlist),
        ("manifest.mpd", manifest),
        ("list.mp4", "ffconcat version 1.0\nfile /etc/passwd\n".to_owned()),
        ("page.mp4", "<!DOCTYPE html><video src=file:///etc/passwd>".to_owned()),
        ("zip.mp4", format!("PK\x03\x04\x14\0\0\0\x08\0{}", "\0".repeat(100_000))),
    ];
    let mut router = Router::new()
        .route("/moov.mp4", routing::get(async || vast_moov()))
        .route("/boxes.mp4", routing::get(async || nested_boxes()))
        .route("/file/{name}", routing::get(send_file).with_state(attacker.files.clone()));
    let mut names = vec!["moov.mp4", "boxes.mp4", "file/chapters.mkv"];
    for (name, text) in texts {
        router = router.route(&format!("/{name}"), routing::get(move || std::future::ready(text.clone())));
        names.push(name);
    }
    let url = serve(ADDRESS, router).await;
    run_tasks(attacker, names.iter().map(|name| format!("{url}/{name}")).collect()).await;
}

async fn send_file(
    extract::State(files): extract::State<PathBuf>,
    extract::Path(name): extract::Path<String>,
) -> Result<Vec<u8>, StatusCode> {
    tokio::fs::read(files.join(name)).await.map_err(|_| StatusCode::NOT_FOUND)
}

/// A box of ISO/IEC 14496-12: its size, its type, what is in it.
fn mp4_box(size: u32, kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&size.to_be_bytes(), &kind[..], content].concat()
}

fn file_type() -> Vec<u8> {
    mp4_box(16, b"ftyp", b"isom\0\0\0\0")
}

/// A `moov` of zeros.
fn vast_moov() -> impl axum::response::IntoResponse {
    let head = [file_type(), mp4_box(MOOV_BYTES, b"moov", b"")].concat();
    let zeros = chunks(20, 1 << 20).take((MOOV_BYTES >> 20) as usize);
    let body = stream::iter([Ok(Bytes::from(head))]).chain(zeros);
    ([(header::CONTENT_TYPE, "video/mp4")], Body::from_stream(body)).into_response()
}

/// A million boxes within each other, each as large as the rest of the file.
fn nested_boxes() -> Vec<u8> {
    const DEPTH: u32 = 1_000_000;
    let mut file = file_type();
    for level in 0..DEPTH {
        let kind = if level == 0 { b"moov" } else { b"trak" };
        file.extend(mp4_box((DEPTH - level) * 8, kind, b""));
    }
    file
}
