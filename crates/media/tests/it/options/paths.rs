//! Folders with names that mean something to a tool, and languages as people write them.

use serde_json::json;

use crate::bench::Bench;

/// In the packager's arguments a comma ends a field and `$` begins a number; for FFmpeg `%` begins one, and `:` ends a
/// protocol.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_work_folder_with_a_strange_name() {
    let Some(mut bench) = Bench::find().await else { return };
    let strange = "a,stream=b$Number$ %d%03d 'é:#?&[x]\\";
    bench.work = tempfile::Builder::new().prefix(strange).tempdir().expect("a folder");
    let input = bench.clip(
        "a.mkv",
        "-f lavfi -i testsrc2=s=64x64:r=25:d=2 -f lavfi -i sine=d=2 -pix_fmt yuv420p -c:v libx264 -c:a aac",
    );
    for template in [
        json!({"format": "mp4", "thumbnail": {"number": 2}}),
        json!({"format": "hls", "seg_time": 1, "thumbnail": {"number": 2}}),
        json!({"format": "hls", "seg_time": 1, "also": "dash"}),
        json!({"format": "dash", "seg_time": 1}),
    ] {
        let output = bench.must_transcode(&input, template).await;
        assert!((output.measured.duration - 2.0).abs() < 0.1, "{}", output.measured.duration);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn languages_of_two_letters() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "a.mkv",
        "-f lavfi -i testsrc2=s=64x64:r=25:d=1 -f lavfi -i sine=d=1 -map 0 -map 1 -map 1 -pix_fmt yuv420p -c:v libx264 \
         -c:a aac -metadata:s:a:0 language=en -metadata:s:a:1 language=pt-BR",
    );
    let output = bench.must_transcode(&input, json!({"format": "hls", "also": "dash"})).await;
    let languages: Vec<_> = output.plan.audios.iter().map(|audio| audio.language.as_str()).collect();
    assert_eq!(languages, ["eng", "por"]);
    let master = std::fs::read_to_string(output.dir.join("main.m3u8")).expect("a playlist");
    let manifest = std::fs::read_to_string(output.dir.join("files/manifest.mpd")).expect("a manifest");
    for language in ["en", "pt"] {
        assert!(master.contains(&format!("LANGUAGE=\"{language}\"")), "{master}");
        assert!(manifest.contains(&format!("lang=\"{language}\"")), "{manifest}");
    }
}
