//! Thumbnails: of their times, upright, of their size, and found by the storyboard.

use std::{collections::BTreeMap, fs, path::Path};

use rstest::rstest;
use serde_json::{Value, json};

use crate::bench::Bench;

/// Each second has a colour of its own, eight of them.
const COLOURS: [(u8, u8, u8); 8] = [
    (200, 30, 30),
    (30, 200, 30),
    (30, 30, 200),
    (200, 200, 30),
    (30, 200, 200),
    (200, 30, 200),
    (230, 230, 230),
    (60, 60, 60),
];

/// A clip of eight seconds, one colour each.
fn colours(bench: &Bench, size: &str, more: &str) -> std::path::PathBuf {
    let channel = |pick: fn(&(u8, u8, u8)) -> u8| {
        let terms =
            COLOURS.iter().enumerate().map(|(n, colour)| format!("{}*eq(floor(T),{n})", pick(colour)));
        terms.collect::<Vec<_>>().join("+")
    };
    let (r, g, b) = (channel(|c| c.0), channel(|c| c.1), channel(|c| c.2));
    bench.clip(
        "colours.mp4",
        &format!(
            "-f lavfi -i color=black:s={size}:r=10:d=8,format=gbrp,geq=r='{r}':g='{g}':b='{b}' \
             -vf scale=out_color_matrix=bt709,format=yuv420p -colorspace bt709 -color_primaries bt709 -color_trc bt709 \
             -c:v libx264 -qp 4 {more}"
        ),
    )
}

/// The mean colour of a part of an image, which is given as FFmpeg's `crop` takes it.
fn colour(bench: &Bench, image: &Path, part: &str) -> (u8, u8, u8) {
    let pixels = bench.bytes(image, &format!("-vf crop={part},format=rgb24 -f rawvideo"));
    let mean = |channel: usize| {
        let values = pixels.chunks_exact(3).map(|pixel| u64::from(pixel[channel]));
        (values.clone().sum::<u64>() / values.count() as u64) as u8
    };
    (mean(0), mean(1), mean(2))
}

fn is_near(a: (u8, u8, u8), b: (u8, u8, u8)) -> bool {
    a.0.abs_diff(b.0) < 8 && a.1.abs_diff(b.1) < 8 && a.2.abs_diff(b.2) < 8
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().expect("a name")).collect();
    names.sort();
    names
}

/// Of each cue: start and end in seconds, the sprite sheet, and the region within it.
fn cues(storyboard: &str) -> Vec<(f64, f64, String, String)> {
    let seconds = |clock: &str| {
        clock
            .split(':')
            .map(|part| part.parse::<f64>().expect("a number"))
            .fold(0.0, |sum, part| sum * 60.0 + part)
    };
    let lines: Vec<_> = storyboard.lines().collect();
    assert_eq!(lines[0], "WEBVTT");
    lines[1..]
        .chunks(3)
        .map(|cue| {
            assert_eq!(cue[0], "");
            let (from, to) = cue[1].split_once(" --> ").expect("times");
            let (sheet, place) = cue[2].split_once("#xywh=").expect("a place");
            (seconds(from), seconds(to), sheet.to_owned(), place.to_owned())
        })
        .collect()
}

#[rstest]
#[case::file(json!({"format": "mp4"}))]
#[case::segments(json!({"format": "hls", "adaptive_streams": [{"resolution": "90p"}, {"resolution": "60p", "framerate": 5}]}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_thumbnail_is_of_its_time_and_the_storyboard_finds_it(#[case] mut template: Value) {
    let Some(bench) = Bench::find().await else { return };
    let input = colours(&bench, "320x180", "");
    template["thumbnail"] = json!({"start_point": 1, "interval": 2, "width": 160});
    let output = bench.must_transcode(&input, template).await;
    let folder = output.dir.join("files/thumbnails");
    assert_eq!(
        files(&folder),
        [
            "sprite_001.jpg",
            "storyboard.vtt",
            "thumb_00001.jpg",
            "thumb_00002.jpg",
            "thumb_00003.jpg",
            "thumb_00004.jpg"
        ]
    );
    let cues = cues(&fs::read_to_string(folder.join("storyboard.vtt")).expect("a text"));
    assert_eq!(cues.len(), 4);
    for (index, (from, to, sheet, place)) in cues.iter().enumerate() {
        let expected = COLOURS[1 + 2 * index];
        let thumbnail = colour(&bench, &folder.join(format!("thumb_{:05}.jpg", index + 1)), "160:90:0:0");
        assert!(is_near(thumbnail, expected), "thumbnail {index}: {thumbnail:?}");
        let [x, y, w, h] = place.split(',').collect::<Vec<_>>()[..] else { panic!("{place}") };
        let cell = colour(&bench, &folder.join(sheet), &format!("{w}:{h}:{x}:{y}"));
        assert!(is_near(cell, expected), "cell {index}: {cell:?}");
        assert!((from - (1.0 + 2.0 * index as f64)).abs() < 1e-6, "{from}");
        assert!((to - (from + 2.0).min(8.0)).abs() < 1e-6, "{to}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_ones_fill_several_sheets_and_number_counts() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip("a.mp4", "-f lavfi -i testsrc2=s=64x36:r=2:d=130 -c:v libx264 -pix_fmt yuv420p");
    let many = json!({"format": "mp4", "thumbnail": {"interval": 1, "width": 32, "height": 32}});
    let output = bench.must_transcode(&input, many).await;
    let folder = output.dir.join("files/thumbnails");
    let count = |start: &str| files(&folder).iter().filter(|name| name.starts_with(start)).count();
    assert_eq!((count("thumb_"), count("sprite_")), (130, 2));
    let storyboard = fs::read_to_string(folder.join("storyboard.vtt")).expect("a text");
    let sheets = cues(&storyboard).into_iter().fold(BTreeMap::new(), |mut sheets, (_, _, sheet, _)| {
        *sheets.entry(sheet).or_insert(0) += 1;
        sheets
    });
    assert_eq!(sheets, [("sprite_001.jpg".to_owned(), 100), ("sprite_002.jpg".to_owned(), 30)].into());

    let few = json!({"format": "mp4", "thumbnail": {"number": 3, "height": 18}});
    let output = bench.must_transcode(&input, few).await;
    assert_eq!((count("thumb_"), count("sprite_")), (3, 1));
    assert_eq!(output.plan.thumbnails.expect("thumbnails").size.to_string(), "32x18");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thumbnail_from_after_the_end_is_the_last_frame() {
    let Some(bench) = Bench::find().await else { return };
    let input = colours(&bench, "64x64", "");
    let template = json!({"format": "mp4", "thumbnail": {"start_point": 60}});
    let output = bench.must_transcode_with(&input, template, json!({"duration": 3})).await;
    let folder = output.dir.join("files/thumbnails");
    assert_eq!(files(&folder), ["sprite_001.jpg", "storyboard.vtt", "thumb_00001.jpg"]);
    let last = colour(&bench, &folder.join("thumb_00001.jpg"), "64:64:0:0");
    assert!(is_near(last, COLOURS[2]), "{last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_on_its_side_is_turned() {
    let Some(bench) = Bench::find().await else { return };
    let lying = bench.clip(
        "lying.mp4",
        "-f lavfi -i color=red:s=160x120:r=10:d=1 -f lavfi -i color=blue:s=160x120:r=10:d=1 \
         -filter_complex hstack -c:v libx264 -pix_fmt yuv420p",
    );
    let input = bench.clip("turned.mp4", &format!("-display_rotation 90 -i {} -c copy", lying.display()));
    let template = json!({"format": "mp4", "thumbnail": {"width": 90, "height": 90}});
    let output = bench.must_transcode(&input, template).await;
    assert_eq!(output.measured.resolution, "120x320");
    let thumbnail = output.dir.join("files/thumbnails/thumb_00001.jpg");
    let (top, bottom) = (colour(&bench, &thumbnail, "34:30:0:0"), colour(&bench, &thumbnail, "34:30:0:60"));
    assert!(top.2 > 200 && top.0 < 50 && bottom.0 > 200 && bottom.2 < 50, "{top:?} over {bottom:?}");
}
