//! Copies: the source's own packets, as they are. Taken is only what an encoder here could have made, so
//! that players are promised the same; what else would do is said in the refusal.

use model::{AudioCodec, AudioMode, Container, ErrorCode, Format, Template, VideoMode};

use super::{Coding, Colour, RateControl, VideoPlan};
use crate::{AudioStream, FieldOrder, HdrMetadata, MediaError, VideoStream, codecs};

/// Whether a template takes the source's own picture.
pub(super) fn takes_picture(template: &Template) -> bool {
    template.video_mode() == VideoMode::Copy
}

/// Whether a template takes the source's own sound.
pub(super) fn takes_sound(template: &Template) -> bool {
    template.audio_mode() == AudioMode::Copy
}

/// Seconds that a copy may begin late, and end early, in segments: nothing can be put there.
const LATE: f64 = 0.1;
const EARLY: f64 = 1.0;

/// What does not fill the time of the whole, in the words of a refusal.
fn unfilled(template: &Template, (start, end): (f64, f64), duration: f64) -> Option<String> {
    if !template.format.is_segmented() {
        None
    } else if start > LATE {
        Some(format!("begins {start:.2} s late"))
    } else if duration - end > EARLY {
        Some(format!("ends {:.2} s early", duration - end))
    } else {
        None
    }
}

/// A picture as it is, of a whole that lasts so many seconds.
///
/// # Errors
/// [`ErrorCode::NothingToTranscode`] where the output cannot hold it, or players would not know it.
pub(super) fn picture(
    template: &Template,
    picture: &VideoStream,
    duration: f64,
) -> Result<VideoPlan, MediaError> {
    let container = Container::of(template);
    let refused = |is: &str, instead: &str| {
        refused("picture", is, container, ("vcodec", &container.video_codecs[0]), instead)
    };
    let mut known = container.video_codecs.iter().copied();
    let Some(codec) = known.find(|codec| codec.ffmpeg_name() == picture.codec) else {
        return Err(refused(&format!("is `{}`", picture.codec), ""));
    };
    let depth = match picture.pixel_format.as_str() {
        "yuv420p" | "yuvj420p" => 8,
        "yuv420p10le" => 10,
        _ => 0,
    };
    let spec = codecs::video(codec);
    let usual = spec.profile(depth);
    let is_usual = picture.profile == usual || spec.is_lower_profile(&picture.profile, usual);
    if depth == 0 || depth > spec.max_bit_depth() || !is_usual {
        let is =
            format!("is `{}` of profile `{}` in `{}`", picture.codec, picture.profile, picture.pixel_format);
        return Err(refused(&is, ""));
    }
    if picture.field_order == FieldOrder::Interlaced {
        return Err(refused("is interlaced", ""));
    }
    // MP4 says what its players have to do with it, the others do not
    let anywhere = ", or format `mp4` would copy it";
    match picture {
        _ if template.format == Format::Mp4 => {}
        VideoStream { orientation, .. } if *orientation != crate::Orientation::default() => {
            return Err(refused("is turned by a matrix", anywhere));
        }
        VideoStream { sample_aspect, .. } if sample_aspect.num() != sample_aspect.den() => {
            return Err(refused("has pixels that are not square", anywhere));
        }
        _ => {}
    }
    if let Some(is) = unfilled(template, (picture.start, picture.end), duration) {
        return Err(refused(&is, anywhere));
    }
    let size = model::Box2d { width: picture.width, height: picture.height };
    let unbounded = RateControl::Crf { crf: 0.0, cap: None };
    Ok(VideoPlan {
        name: format!("{}p", size.width.min(size.height)),
        codec,
        width: size.width,
        height: size.height,
        rate: picture.rate,
        coding: Coding::Copied(Box::new(picture.clone())),
        profile: picture.profile.clone(),
        level: spec.level(size, picture.rate, unbounded).to_owned(),
        depth,
        colour: Colour::given(picture),
        tone_map: false,
        hdr_metadata: HdrMetadata::default(),
    })
}

/// The codec of a sound as it is, of a whole that lasts so many seconds.
///
/// # Errors
/// As for a picture.
pub(super) fn sound(
    template: &Template,
    sound: &AudioStream,
    duration: f64,
) -> Result<AudioCodec, MediaError> {
    let container = Container::of(template);
    let refused = |is: &str| refused("sound", is, container, ("acodec", &container.audio_codecs[0]), "");
    let mut known = container.audio_codecs.iter().copied();
    let Some(codec) = known.find(|codec| codec.ffmpeg_name() == sound.codec) else {
        return Err(refused(&format!("is `{}`", sound.codec)));
    };
    let spec = codecs::audio(codec);
    if sound.profile != spec.profile() {
        return Err(refused(&format!("is `{}` of profile `{}`", sound.codec, sound.profile)));
    }
    if !codec.sample_rates().contains(&sound.sample_rate) {
        return Err(refused(&format!("has {} Hz", sound.sample_rate)));
    }
    let most = if template.format == Format::Flv { 2 } else { codec.max_channels() };
    if sound.channels > most || sound.layout != spec.decoded_layout(sound.channels) {
        return Err(refused(&format!("has {} channels (`{}`)", sound.channels, sound.layout)));
    }
    if let Some(is) = unfilled(template, (sound.start, sound.end), duration) {
        return Err(refused(&is));
    }
    Ok(codec)
}

fn refused(
    what: &str,
    is: &str,
    container: &Container,
    (field, codec): (&str, &dyn std::fmt::Display),
    instead: &str,
) -> MediaError {
    let into = container.name();
    let detail = format!(
        "its {what} {is}, which cannot be copied into {into}; {field} `{codec}` would encode it{instead}"
    );
    MediaError::new(ErrorCode::NothingToTranscode, detail)
}
