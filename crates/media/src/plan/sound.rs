//! The sound: which tracks, how many channels, how many bits.

use model::{AudioCodec, AudioMode, SampleRate, Template};

use super::{AudioPlan, copy};
use crate::{AudioStream, MediaError, Source, codecs};

/// Hz unless asked.
const USUAL_SAMPLE_RATE: u32 = 48_000;
/// Ends that are nearer than this are the same end.
const SLACK: f64 = 0.02;

/// The tracks that are taken: all of them as alternatives in segmented formats, else the first.
pub(super) fn chosen<'s>(template: &Template, source: &'s Source) -> Vec<&'s AudioStream> {
    let most = match (template.audio_mode(), template.format.is_segmented()) {
        (AudioMode::None, _) => 0,
        (_, true) => usize::MAX,
        (_, false) => 1,
    };
    source.audios.iter().take(most).collect()
}

/// What is made of each of them; all that are encoded end together.
///
/// # Errors
/// When one of them cannot be copied.
pub(super) fn tracks(
    template: &Template,
    container: &str,
    sounds: &[&AudioStream],
    duration: f64,
) -> Result<Vec<AudioPlan>, MediaError> {
    let asked = template.audio_bitrate.or_else(|| {
        template.adaptive_streams.iter().flatten().filter_map(|stream| stream.audio_bitrate).max()
    });
    let wanted_rate = template.audio_sample_rate.map_or(USUAL_SAMPLE_RATE, |SampleRate(rate)| rate);
    let mut labels = Vec::new();
    sounds
        .iter()
        .enumerate()
        .map(|(number, sound)| {
            let copied =
                copy::takes_sound(template).then(|| copy::sound(template, sound, duration)).transpose()?;
            let (codec, channels, sample_rate) = match copied {
                Some(codec) => (codec, sound.channels, sound.sample_rate),
                None => {
                    let codec = template.audio_mode().codec().unwrap_or(AudioCodec::Aac);
                    (codec, channels(template.audio_channels, sound.channels), wanted_rate)
                }
            };
            let label = unique(&label(sound, number), ' ', &labels);
            labels.push(label.clone());
            let left = duration - sound.end;
            Ok(AudioPlan {
                name: if number == 0 { "audio".to_owned() } else { format!("audio_{}", number + 1) },
                label,
                index: sound.index,
                codec,
                bitrate: copied.is_none().then(|| codecs::audio(codec).bitrate(asked, channels, sample_rate)),
                sample_rate,
                channels,
                is_downmixed: sound.channels > channels,
                language: sound.language.clone(),
                title: sound.title.clone(),
                loudness: template.loudness,
                start: sound.start,
                silence: if left > SLACK && copied.is_none() { left } else { 0.0 },
                may_change: may_change(&sound.codec, container),
            })
        })
        .collect()
}

/// Whether each frame says its own rate and channels, which then may be others than those of the one before: so they are
/// where broadcasts go from one programme to the next. AAC has a header for all of it in some containers.
fn may_change(codec: &str, container: &str) -> bool {
    const FOR_ALL: [&str; 2] = ["mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"];
    match codec {
        "aac" => !FOR_ALL.contains(&container),
        "aac_latm" | "ac3" | "eac3" | "mp1" | "mp2" | "mp3" | "dts" | "truehd" | "mlp" => true,
        _ => false,
    }
}

/// Never more channels than there are, except two when they are asked for.
fn channels(asked: Option<u32>, has: u32) -> u32 {
    match (asked, has) {
        (Some(6), 5..) => 6,
        (Some(1), _) | (None | Some(6), 0 | 1) => 1,
        _ => 2,
    }
}

/// What people see: the track's title, else its language, else its number. It goes into playlists
/// and into the packager's comma-separated fields.
fn label(sound: &AudioStream, number: usize) -> String {
    let clean = |text: &str| {
        let kept = |c: char| if c.is_control() || "\",=\\".contains(c) { ' ' } else { c };
        let text: String = text.chars().map(kept).take(64).collect();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    [clean(&sound.title), clean(&sound.language)]
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_else(|| format!("Audio {}", number + 1))
}

/// The name, with a number after it when it is taken.
pub(super) fn unique(name: &str, between: char, taken: &[String]) -> String {
    let free = |name: &String| !taken.contains(name);
    std::iter::once(name.to_owned())
        .chain((2..).map(|number| format!("{name}{between}{number}")))
        .find(free)
        .unwrap_or_default()
}
