//! A logo over the video: where it should be, as large as it should be, and nowhere else.

use std::{fs, path::Path};

use borealis_media::{check_logo, logo_file};
use model::ErrorCode;
use rstest::rstest;
use serde_json::{Value, json};

use crate::bench::Bench;

/// A second of grey, and a red logo of 40x20 whose right half is half transparent.
fn grey_and_logo(bench: &Bench) -> std::path::PathBuf {
    let logo = bench.clip(
        "logo.png",
        "-f lavfi -i color=red:s=40x20,format=rgba,geq=r=255:g=0:b=0:a='if(lt(X,20),255,128)' -frames:v 1",
    );
    assert_eq!(logo, logo_file(bench.work.path()));
    check_logo(&logo).expect("a logo");
    bench.clip(
        "grey.mp4",
        "-f lavfi -i color=gray:s=320x180:r=10:d=1 -c:v libx264 -qp 4 -pix_fmt yuv420p \
         -colorspace bt709 -color_primaries bt709 -color_trc bt709",
    )
}

/// The colour of a pixel of the first frame, which has this width.
fn pixel(frame: &[u8], width: usize, (x, y): (usize, usize)) -> (u8, u8, u8) {
    let at = (y * width + x) * 3;
    (frame[at], frame[at + 1], frame[at + 2])
}

fn frame(bench: &Bench, file: &Path) -> Vec<u8> {
    bench.bytes(file, "-frames:v 1 -vf format=rgb24 -f rawvideo")
}

fn is_red((r, g, b): (u8, u8, u8)) -> bool {
    r > 235 && g < 25 && b < 25
}

/// Half red over grey.
fn is_pale((r, g, b): (u8, u8, u8)) -> bool {
    (180..205).contains(&r) && (50..75).contains(&g) && (50..75).contains(&b)
}

fn is_grey((r, g, b): (u8, u8, u8)) -> bool {
    [r, g, b].iter().all(|value| (120..136).contains(value))
}

#[rstest]
#[case::own_size(json!({}), (0, 0), (40, 20))]
#[case::from_the_left(json!({"logo_offset": "16x8"}), (16, 8), (40, 20))]
#[case::from_the_right(json!({"logo_offset": "-10x-6"}), (270, 154), (40, 20))]
#[case::percent(json!({"logo_offset": "-5%x10%", "logo_size": "25%x"}), (224, 18), (80, 40))]
#[case::fits_a_box(json!({"logo_offset": "-0x0", "logo_size": "100x30"}), (260, 0), (60, 30))]
#[case::never_out_of_it(json!({"logo_offset": "4000x4000"}), (280, 160), (40, 20))]
#[case::never_larger(json!({"logo_size": "5000x5000"}), (0, 0), (320, 160))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stands_where_it_should(
    #[case] mut template: Value,
    #[case] (x, y): (usize, usize),
    #[case] (width, height): (usize, usize),
) {
    let Some(bench) = Bench::find().await else { return };
    let input = grey_and_logo(&bench);
    template["format"] = "mp4".into();
    template["quality"] = 10.into();
    template["logo_path"] = "https://example.com/logo.png".into();
    let output = bench.must_transcode(&input, template).await;
    let frame = frame(&bench, &output.dir.join("main.mp4"));
    let at = |across: usize, down: usize| pixel(&frame, 320, (x + across, y + down));
    for down in [4, height - 4] {
        assert!(is_red(at(4, down)), "left: {:?}", at(4, down));
        assert!(is_pale(at(width - 5, down)), "right: {:?}", at(width - 5, down));
    }
    let around = [
        (x.wrapping_sub(6), y + height / 2),
        (x + width + 5, y + height / 2),
        (x + 4, y.wrapping_sub(6)),
        (x + 4, y + height + 5),
    ];
    for (across, down) in around.into_iter().filter(|(across, down)| *across < 320 && *down < 180) {
        let outside = pixel(&frame, 320, (across, down));
        assert!(is_grey(outside), "{across}, {down}: {outside:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_rendition_has_it_at_its_own_size() {
    let Some(bench) = Bench::find().await else { return };
    let input = grey_and_logo(&bench);
    let template = json!({
        "format": "hls", "quality": 10, "logo_path": "https://example.com/logo.png",
        "logo_offset": "-10%x-10%", "logo_size": "20%x", "thumbnail": {"number": 1, "width": 320},
        "adaptive_streams": [{"resolution": "180p"}, {"resolution": "90p", "framerate": 5}],
    });
    let output = bench.must_transcode(&input, template).await;
    for (name, width, height) in [("180p", 320, 180), ("90p", 160, 90)] {
        let frame = frame(&bench, &output.dir.join(format!("files/{name}/playlist.m3u8")));
        assert!(is_red(pixel(&frame, width, (width * 7 / 10 + 4, height * 9 / 10 - 4))), "{name}");
        assert!(is_grey(pixel(&frame, width, (width * 9 / 10 + 4, height * 9 / 10 + 4))), "{name}");
        assert!(is_grey(pixel(&frame, width, (width / 2, height / 2))), "{name}");
    }
    let thumbnail = frame(&bench, &output.dir.join("files/thumbnails/thumb_00001.jpg"));
    assert!(is_grey(pixel(&thumbnail, 320, (228, 156))), "thumbnails have no logo");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_one_fails_the_task() {
    let Some(bench) = Bench::find().await else { return };
    let input = grey_and_logo(&bench);
    let logo = logo_file(bench.work.path());
    let bytes = fs::read(&logo).expect("read");
    fs::write(&logo, &bytes[..40]).expect("written");
    check_logo(&logo).expect("it begins well");
    let template = json!({"format": "mp4", "logo_path": "https://example.com/logo.png"});
    let error = bench.must_refuse(&input, template).await;
    assert_eq!(error.code, ErrorCode::InvalidInput, "{error}: {}", error.log);
}
