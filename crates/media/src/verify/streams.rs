//! Compares the header of a stream with the plan.

use super::{
    facts::StreamHeader,
    listing::{StreamRef, wrong_output},
};
use crate::{
    codecs,
    error::MediaError,
    plan::{AudioPlan, Plan, VideoPlan},
    source::VideoStream,
};

/// Names the first property that is not as planned.
pub(super) fn check(
    plan: &Plan,
    name: &str,
    planned: StreamRef,
    header: &StreamHeader,
) -> Result<(), MediaError> {
    match planned {
        StreamRef::Video(number) => check_encoded_video(plan, &plan.videos[number], name, header),
        StreamRef::Audio(number) => check_audio(plan, &plan.audios[number], name, header),
    }
}

/// Properties by their names: what was found, and what was planned.
fn all_equal(name: &str, facts: &[(&str, String, String)]) -> Result<(), MediaError> {
    for (what, found, expected) in facts {
        if found != expected {
            return Err(wrong_output(format!("`{name}` has the {what} `{found}` instead of `{expected}`")));
        }
    }
    Ok(())
}

fn check_encoded_video(
    plan: &Plan,
    video: &VideoPlan,
    name: &str,
    header: &StreamHeader,
) -> Result<(), MediaError> {
    let fact = |what, found: &str, expected: &str| (what, found.to_owned(), expected.to_owned());
    if let Some(source) = video.copied() {
        return check_copied_video(plan, video, source, name, header);
    }
    let profile = codecs::video(video.codec).is_lower_profile(&header.profile, &video.profile);
    let [_, matrix, transfer, primaries] = &header.colour;
    let mut facts = vec![
        fact("kind", &header.kind, "video"),
        fact("codec", &header.codec, video.codec.ffmpeg_name()),
        ("size", size(header.size), size((video.width, video.height))),
        fact("profile", &header.profile, if profile { &header.profile } else { &video.profile }),
        fact("pixel format", &header.pixel_format, video.pixel_format()),
        fact("rotation", &header.rotation, ""),
        fact("colour matrix", matrix, &video.colour.matrix),
        fact("transfer function", transfer, &video.colour.transfer),
        fact("colour primaries", primaries, &video.colour.primaries),
    ];
    if let Some(level) = codecs::video(video.codec).header_level(&video.level, header.level) {
        facts.push(("level", header.level.to_string(), level.to_string()));
    }
    if plan.is_in_iso_files() {
        facts.push(fact("sample entry", &header.sample_entry, codecs::video(video.codec).sample_entry()));
    }
    if !header.sample_aspect.is_empty() {
        facts.push(fact("sample aspect ratio", &header.sample_aspect, "1:1"));
    }
    if !header.field_order.is_empty() {
        facts.push(fact("field order", &header.field_order, "progressive"));
    }
    all_equal(name, &facts)
}

/// A copy is what it is a copy of. Its colours and its level are as in the source, right or wrong.
fn check_copied_video(
    plan: &Plan,
    video: &VideoPlan,
    source: &VideoStream,
    name: &str,
    header: &StreamHeader,
) -> Result<(), MediaError> {
    let fact = |what, found: &str, expected: &str| (what, found.to_owned(), expected.to_owned());
    // FFmpeg counts degrees counterclockwise
    let rotation = (-header.rotation.parse::<i32>().unwrap_or_default()).rem_euclid(360);
    let mut facts = vec![
        fact("kind", &header.kind, "video"),
        fact("codec", &header.codec, video.codec.ffmpeg_name()),
        ("size", size(header.size), size((video.width, video.height))),
        fact("profile", &header.profile, &source.profile),
        fact("pixel format", &header.pixel_format, &source.pixel_format),
    ];
    if !source.orientation.mirrored {
        facts.push((
            "rotation",
            rotation.to_string(),
            (u32::from(source.orientation.quarters) * 90).to_string(),
        ));
    }
    if plan.is_in_iso_files() {
        facts.push(fact("sample entry", &header.sample_entry, codecs::video(video.codec).sample_entry()));
    }
    if !header.sample_aspect.is_empty() {
        let aspect = source.sample_aspect;
        facts.push((
            "sample aspect ratio",
            header.sample_aspect.clone(),
            format!("{}:{}", aspect.num(), aspect.den()),
        ));
    }
    all_equal(name, &facts)
}

fn check_audio(plan: &Plan, audio: &AudioPlan, name: &str, header: &StreamHeader) -> Result<(), MediaError> {
    let fact = |what, found: &str, expected: &str| (what, found.to_owned(), expected.to_owned());
    let mut facts = vec![
        fact("kind", &header.kind, "audio"),
        fact("codec", &header.codec, audio.codec.ffmpeg_name()),
        fact("profile", &header.profile, codecs::audio(audio.codec).profile()),
        ("sample rate", header.sample_rate.to_string(), audio.sample_rate.to_string()),
        ("number of channels", header.channels.to_string(), audio.channels.to_string()),
        fact("channel layout", &header.layout, codecs::audio(audio.codec).decoded_layout(audio.channels)),
    ];
    if plan.is_in_iso_files() {
        facts.push(fact("sample entry", &header.sample_entry, codecs::audio(audio.codec).sample_entry()));
    }
    all_equal(name, &facts)
}

fn size((width, height): (u32, u32)) -> String {
    format!("{width}x{height}")
}
