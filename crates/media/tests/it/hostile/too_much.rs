//! Inputs that are made to be more than anybody reads: each is refused with what there is too much of, and the memory of
//! this process, which is the server's in the product, does not grow with it.

use std::{fmt::Write as _, fs, io::Write as _};

use crate::bench::Bench;
use model::ErrorCode;
use tokio_util::sync::CancellationToken;

/// Bytes by which memory may grow.
const MAX_GROWTH_BYTES: u64 = 48 << 20;

/// The most memory that this process has had.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("readable");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

async fn refusal(bench: &Bench, input: &std::path::Path) -> String {
    let before = peak_memory();
    let error = bench.media.probe(input, &CancellationToken::new()).await.expect_err("refused");
    assert_eq!(error.code, ErrorCode::InvalidInput, "{error}");
    let growth = peak_memory() - before;
    assert!(growth < MAX_GROWTH_BYTES, "memory grew by {} MiB", growth >> 20);
    error.detail
}

#[tokio::test]
async fn chapters() {
    let Some(bench) = Bench::find().await else { return };
    let mut list = ";FFMETADATA1\n".to_owned();
    for number in 0..200_000 {
        let _ = write!(
            list,
            "[CHAPTER]\nTIMEBASE=1/1000000\nSTART={number}\nEND={}\ntitle=c{number}\n",
            number + 1
        );
    }
    let chapters = bench.work.path().join("chapters");
    fs::write(&chapters, list).expect("written");
    let input = bench.clip(
        "many.mkv",
        &format!(
            "-f lavfi -i testsrc2=s=128x72:r=25:d=1 -f ffmetadata -i {} -map_metadata 1 -map_chapters 1 -c:v libx264",
            chapters.display()
        ),
    );
    let detail = refusal(&bench, &input).await;
    assert!(detail.starts_with("it has more chapters than are read"), "{detail}");
}

#[tokio::test]
async fn an_index() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.work.path().join("large.mp4");
    let bytes: u32 = 255 << 20;
    let mut file = fs::File::create(&input).expect("made");
    file.write_all(b"\0\0\0\x10ftypisom\0\0\0\0").expect("written");
    file.write_all(&[&bytes.to_be_bytes()[..], b"moov"].concat()).expect("written");
    file.set_len(16 + u64::from(bytes)).expect("sparse");
    let detail = refusal(&bench, &input).await;
    assert!(detail.starts_with("its index (`moov`) has 267386872 bytes"), "{detail}");
}
