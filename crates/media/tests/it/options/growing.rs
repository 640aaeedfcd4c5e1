//! Segments and playlists are told of while others are still being made.

use std::sync::Mutex;

use borealis_media::{
    MediaInput, PlanRequest, RunObserver, WorkFolder, growing_main_playlist, growing_media_playlist,
    is_growing, plan,
};
use model::Template;
use rstest::rstest;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::bench::Bench;

#[rstest]
#[case::ts("ts")]
#[case::fmp4("fmp4")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_finished_is_told_and_grows_into_the_whole(#[case] seg_type: &str) {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "a.mp4",
        "-f lavfi -i testsrc2=s=128x72:r=25:d=12 -f lavfi -i sine=d=12 -c:v libx264 -pix_fmt yuv420p -c:a aac",
    );
    let (work, never) = (bench.work.path(), CancellationToken::new());
    let source = bench.media.probe(&input, &never).await.expect("media");
    let template = json!({
        "template_name": "t", "format": "hls", "seg_type": seg_type, "seg_time": 2,
        "adaptive_streams": [{"resolution": "72p"}, {"resolution": "36p"}],
    });
    let template: Template = serde_json::from_value(template).expect("a template");
    let request = PlanRequest {
        growing_playlists: true,
        ..PlanRequest::new(&template, &source, &bench.media.settings.plan)
    };
    let plan = plan(&request).expect("a plan");
    let (dir, seen) = (work.join("out"), Mutex::new((Vec::<String>::new(), Vec::<String>::new(), None)));
    let finished = |path: &str| {
        let mut seen = seen.lock().expect("not poisoned");
        seen.0.push(path.to_owned());
        let folder = WorkFolder::open(&dir).expect("opened");
        if path == "files/36p/playlist.m3u8" {
            let text =
                growing_media_playlist(&plan, &folder, path, |path| seen.0.iter().any(|there| there == path));
            seen.1.extend(text.expect("readable"));
        }
        if seen.2.is_none() && path == "main.m3u8" {
            seen.2 = growing_main_playlist(&plan, &folder, "a.hls").expect("readable");
        }
    };
    let observer = RunObserver { on_file_finished: &finished, ..RunObserver::default() };
    let output = bench.media.run(&plan, MediaInput::File(&input), work, observer, &never).await.expect("run");
    bench.media.verify(&plan, &source, &output, &never).await.expect("right at the end");
    let (files, grown, main) = seen.into_inner().expect("not poisoned");
    for name in ["72p", "36p", "audio"] {
        for number in 1..=6 {
            let segment = format!("files/{name}/seg_{number:05}.");
            assert_eq!(
                files.iter().filter(|file| file.starts_with(&segment)).count(),
                1,
                "{segment}: {files:?}"
            );
        }
    }
    assert!(grown.windows(2).all(|pair| pair[1].starts_with(&pair[0])), "{grown:?}");
    assert!(grown[0].contains("#EXT-X-TARGETDURATION:2\n#EXT-X-PLAYLIST-TYPE:EVENT\n"), "{}", grown[0]);
    let whole = std::fs::read_to_string(dir.join("files/36p/playlist.m3u8")).expect("read");
    let last = grown[grown.len() - 1].replace("EVENT", "VOD");
    assert!(whole.starts_with(&last), "{whole}");
    let main = main.expect("a main playlist");
    assert!(is_growing(&main) && main.contains("a.hls/36p/playlist.m3u8"), "{main}");
    assert!(!is_growing(&std::fs::read_to_string(dir.join("main.m3u8")).expect("read")));
}
