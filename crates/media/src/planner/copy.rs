//! Copies: the source's own packets, as they are. Copied is only what an encoder here could have made, so
//! that players are promised the same; what else would do is said in the refusal.

use model::{AudioCodec, Box2d, Container, ErrorCode, Format, Template};

use super::colour;
use crate::{
    codecs,
    error::MediaError,
    plan::{Coding, RateControl, VideoPlan},
    source::{AudioStream, FieldOrder, HdrMetadata, Orientation, VideoStream},
};

/// Seconds that a copy may begin late, and end early, in segments: nothing can be put there.
const MAX_LATE_START_SECS: f64 = 0.1;
const MAX_EARLY_END_SECS: f64 = 1.0;

/// Why a stream does not fill the duration of the output, in the words of a refusal.
fn unfilled(template: &Template, (start, end): (f64, f64), duration: f64) -> Option<String> {
    if !template.format.is_segmented() {
        None
    } else if start > MAX_LATE_START_SECS {
        Some(format!("begins {start:.2} s late"))
    } else if duration - end > MAX_EARLY_END_SECS {
        Some(format!("ends {:.2} s early", duration - end))
    } else {
        None
    }
}

/// A rendition that is a copy of the source's video, in an output of this duration.
///
/// # Errors
/// [`ErrorCode::NothingToTranscode`] where the output cannot hold it, or players would not know it.
pub(super) fn video(
    template: &Template,
    video: &VideoStream,
    duration: f64,
) -> Result<VideoPlan, MediaError> {
    let container = Container::of(template);
    let refusal =
        Refusal { stream: "video", container, field: "vcodec", codec: container.video_codecs[0].as_str() };
    let mut known = container.video_codecs.iter().copied();
    let Some(codec) = known.find(|codec| codec.ffmpeg_name() == video.codec) else {
        return Err(refusal.because(&format!("is `{}`", video.codec), ""));
    };
    let spec = codecs::video(codec);
    let bit_depth = match video.pixel_format.as_str() {
        "yuv420p" | "yuvj420p" => 8,
        "yuv420p10le" => 10,
        _ => 0,
    };
    let encoded_profile = spec.profile(bit_depth);
    let is_known_profile =
        video.profile == encoded_profile || spec.is_lower_profile(&video.profile, encoded_profile);
    if bit_depth == 0 || bit_depth > spec.max_bit_depth() || !is_known_profile {
        let is = format!("is `{}` of profile `{}` in `{}`", video.codec, video.profile, video.pixel_format);
        return Err(refusal.because(&is, ""));
    }
    if video.field_order != FieldOrder::Progressive {
        return Err(refusal.because("is interlaced", ""));
    }
    let mp4_would = ", or format `mp4` would copy it";
    // MP4 tells players of a matrix and of pixel shapes, the other formats do not
    if template.format != Format::Mp4 {
        if video.orientation != Orientation::default() {
            return Err(refusal.because("is turned by a matrix", mp4_would));
        }
        if video.sample_aspect.num() != video.sample_aspect.den() {
            return Err(refusal.because("has pixels that are not square", mp4_would));
        }
    }
    if let Some(is) = unfilled(template, (video.start, video.end), duration) {
        return Err(refusal.because(&is, mp4_would));
    }
    let size = Box2d { width: video.width, height: video.height };
    let unbounded = RateControl::Crf { crf: 0.0, cap: None };
    Ok(VideoPlan {
        name: format!("{}p", size.width.min(size.height)),
        codec,
        width: size.width,
        height: size.height,
        frame_rate: video.frame_rate,
        coding: Coding::Copied(Box::new(video.clone())),
        profile: video.profile.clone(),
        level: spec.level(size, video.frame_rate, unbounded).to_owned(),
        bit_depth,
        colour: colour::of_source(video),
        tone_map: false,
        hdr_metadata: HdrMetadata::default(),
    })
}

/// The codec of an audio stream that is copied into an output of this duration.
///
/// # Errors
/// As for video.
pub(super) fn audio(
    template: &Template,
    audio: &AudioStream,
    duration: f64,
) -> Result<AudioCodec, MediaError> {
    let container = Container::of(template);
    let refusal =
        Refusal { stream: "audio", container, field: "acodec", codec: container.audio_codecs[0].as_str() };
    let mut known = container.audio_codecs.iter().copied();
    let Some(codec) = known.find(|codec| codec.ffmpeg_name() == audio.codec) else {
        return Err(refusal.because(&format!("is `{}`", audio.codec), ""));
    };
    let spec = codecs::audio(codec);
    if audio.profile != spec.profile() {
        return Err(refusal.because(&format!("is `{}` of profile `{}`", audio.codec, audio.profile), ""));
    }
    if !codec.sample_rates().contains(&audio.sample_rate) {
        return Err(refusal.because(&format!("has {} Hz", audio.sample_rate), ""));
    }
    let max_channels = if template.format == Format::Flv { 2 } else { codec.max_channels() };
    if audio.channels > max_channels || audio.layout != spec.decoded_layout(audio.channels) {
        return Err(refusal.because(&format!("has {} channels (`{}`)", audio.channels, audio.layout), ""));
    }
    if let Some(is) = unfilled(template, (audio.start, audio.end), duration) {
        return Err(refusal.because(&is, ""));
    }
    Ok(codec)
}

/// What a refusal says besides its reason: which stream goes into what, and which codec would encode it.
struct Refusal<'a> {
    stream: &'static str,
    container: &'a Container,
    field: &'static str,
    codec: &'static str,
}

impl Refusal<'_> {
    /// `is` is why it cannot be copied, and `instead` what else would do.
    fn because(&self, is: &str, instead: &str) -> MediaError {
        let Self { stream, field, codec, .. } = self;
        let into = self.container.name();
        let detail = format!(
            "its {stream} {is}, which cannot be copied into {into}; {field} `{codec}` would encode it{instead}"
        );
        MediaError::new(ErrorCode::NothingToTranscode, detail)
    }
}
