//! Audio: which tracks, how many channels, how many bits.

use model::{AudioCodec, AudioMode, SampleRate, Template};

use super::copy;
use crate::{
    codecs,
    error::MediaError,
    plan::AudioPlan,
    source::{AudioStream, Source},
};

/// Hz unless asked.
const DEFAULT_SAMPLE_RATE: u32 = 48_000;
/// Ends that are nearer than this are the same end.
const SAME_END_TOLERANCE_SECS: f64 = 0.02;
/// Characters of a label.
const MAX_LABEL_LEN: usize = 64;
/// Containers whose header has the parameters of AAC once for the whole track.
const CONTAINERS_WITH_AAC_HEADER: [&str; 2] = ["mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"];

/// The streams that are taken: all of them as alternatives in segmented formats, else the first.
pub(super) fn choose<'s>(template: &Template, source: &'s Source) -> Vec<&'s AudioStream> {
    let max = match (template.audio_mode(), template.format.is_segmented()) {
        (AudioMode::None, _) => 0,
        (_, true) => usize::MAX,
        (_, false) => 1,
    };
    source.audios.iter().take(max).collect()
}

/// What is made of each of them; all that are encoded end together.
///
/// # Errors
/// When one of them cannot be copied.
pub(super) fn tracks(
    template: &Template,
    container: &str,
    streams: &[&AudioStream],
    duration: f64,
) -> Result<Vec<AudioPlan>, MediaError> {
    let mut tracks = Vec::<AudioPlan>::new();
    for (number, stream) in streams.iter().enumerate() {
        let labels: Vec<_> = tracks.iter().map(|track| track.label.clone()).collect();
        let label = unique(&label(stream, number), ' ', &labels);
        let name = if number == 0 { "audio".to_owned() } else { format!("audio_{}", number + 1) };
        tracks.push(AudioPlan {
            name,
            label,
            parameters_may_change: parameters_may_change(&stream.codec, container),
            ..track(template, stream, duration)?
        });
    }
    Ok(tracks)
}

/// One track, apart from what depends on the others and on the container.
fn track(template: &Template, stream: &AudioStream, duration: f64) -> Result<AudioPlan, MediaError> {
    let missing = duration - stream.end;
    let copied = AudioPlan {
        name: String::new(),
        label: String::new(),
        index: stream.index,
        codec: AudioCodec::Aac,
        bitrate: None,
        sample_rate: stream.sample_rate,
        channels: stream.channels,
        is_downmixed: false,
        language: stream.language.clone(),
        title: stream.title.clone(),
        loudness: template.loudness,
        start: stream.start,
        silence: 0.0,
        parameters_may_change: false,
    };
    if template.audio_mode() == AudioMode::Copy {
        let codec = copy::audio(template, stream, duration)?;
        return Ok(AudioPlan { codec, ..copied });
    }
    let codec = template.audio_mode().codec().unwrap_or(AudioCodec::Aac);
    let channels = channels(template.audio_channels, stream.channels);
    let sample_rate = template.audio_sample_rate.map_or(DEFAULT_SAMPLE_RATE, |SampleRate(rate)| rate);
    let bitrate = codecs::audio(codec).bitrate(asked_bitrate(template), channels, sample_rate);
    Ok(AudioPlan {
        codec,
        bitrate: Some(bitrate),
        sample_rate,
        channels,
        is_downmixed: stream.channels > channels,
        silence: if missing > SAME_END_TOLERANCE_SECS { missing } else { 0.0 },
        ..copied
    })
}

/// The template's bit rate, else the largest of those that its renditions ask for: they share their audio.
fn asked_bitrate(template: &Template) -> Option<u32> {
    let of_renditions = template.adaptive_streams.iter().flatten().filter_map(|stream| stream.audio_bitrate);
    template.audio_bitrate.or_else(|| of_renditions.max())
}

/// Whether each frame has its own sample rate and channels, which may then differ from those of the frame before: so
/// they do where broadcasts go from one programme to the next. AAC has one header for the whole track in some
/// containers.
fn parameters_may_change(codec: &str, container: &str) -> bool {
    match codec {
        "aac" => !CONTAINERS_WITH_AAC_HEADER.contains(&container),
        "aac_latm" | "ac3" | "eac3" | "mp1" | "mp2" | "mp3" | "dts" | "truehd" | "mlp" => true,
        _ => false,
    }
}

/// Never more channels than the stream has, except two when they are asked for.
fn channels(asked: Option<u32>, has: u32) -> u32 {
    match (asked, has) {
        (Some(6), 5..) => 6,
        (Some(1), _) | (None | Some(6), 0 | 1) => 1,
        _ => 2,
    }
}

/// What people see: the track's title, else its language, else its number. It goes into playlists
/// and into the packager's comma-separated fields.
fn label(stream: &AudioStream, number: usize) -> String {
    let clean = |text: &str| {
        let kept = |c: char| if c.is_control() || "\",=\\".contains(c) { ' ' } else { c };
        let text: String = text.chars().map(kept).take(MAX_LABEL_LEN).collect();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    [clean(&stream.title), clean(&stream.language)]
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_else(|| format!("Audio {}", number + 1))
}

/// The name, with a number after it when it is taken.
pub(super) fn unique(name: &str, separator: char, taken: &[String]) -> String {
    let is_free = |name: &String| !taken.contains(name);
    std::iter::once(name.to_owned())
        .chain((2..).map(|number| format!("{name}{separator}{number}")))
        .find(is_free)
        .unwrap_or_default()
}
