//! The plan over everything that a template may put together: one line each of what the encoders are
//! told, and all that is refused.

use std::fmt::Write;

use model::{AudioMode, CONTAINERS, Format, Template, VideoMode};
use serde_json::json;

use super::{commands, tests::context};
use crate::fixtures;

/// A phone's clip: HLG, 10 bits, 1280x720, with six channels.
fn source() -> crate::source::Source {
    let mut video = fixtures::video(1280, 720, "30000/1001");
    video.pixel_format = "yuv420p10le".to_owned();
    video.color_space = "bt2020nc".to_owned();
    video.color_transfer = "arib-std-b67".to_owned();
    video.color_primaries = "bt2020".to_owned();
    fixtures::source(Some(video), vec![fixtures::audio(1, 6, "eng")])
}

/// FFmpeg's words from the first `-map` on, and the packager's flags without its streams.
fn line(template: &Template) -> String {
    if let Err(refusal) = template.check() {
        return format!("1001 {refusal}");
    }
    let plan = match fixtures::try_plan(template, &source()) {
        Ok(plan) => plan,
        Err(error) => return error.to_string(),
    };
    let commands = commands(&context(&plan));
    let words = commands.ffmpeg.iter().map(|word| word.to_string_lossy());
    let graphs = words.clone().filter(|word| word.starts_with("[0:"));
    let encoders = words.skip_while(|word| word != "-map");
    let packager = commands.packager.iter().flatten().map(|word| word.to_string_lossy());
    graphs.chain(encoders).chain(packager).collect::<Vec<_>>().join(" ")
}

#[test]
fn everything_that_can_be_put_together() {
    let mut text = String::new();
    for container in CONTAINERS {
        let channels = if container.format == Format::Flv { 2 } else { 6 };
        for video in VideoMode::ALL {
            for audio in AudioMode::ALL.iter().filter(|mode| **mode != AudioMode::Copy) {
                for hdr in ["", "keep"] {
                    let mut fields = json!({"format": container.format, "vcodec": video, "acodec": audio,
                        "resolution": "360p", "audio_channels": channels, "hdr": hdr});
                    if let Some(segments) = container.segments {
                        fields["seg_type"] = json!(segments);
                        fields["adaptive_streams"] = json!([]);
                    }
                    let name = format!("{} {video} {audio} {hdr}", container.name());
                    writeln!(text, "{}\n    {}", name.trim_end(), line(&fixtures::template(fields)))
                        .expect("written");
                }
            }
        }
    }
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("matrix", text);
    });
}
