//! Decides what is made of a source: template × source → plan.
//!
//! A pure function, so that it is tested without FFmpeg; one file for each thing that is decided.

use model::{AudioMode, ErrorCode, Format, Template, VideoMode};

use crate::{
    error::MediaError,
    plan::{LogoPlan, Plan, PlanRequest, Segmenting},
    source::{Source, TimestampCorrection, UndecodableCodecs},
};

mod audio;
mod colour;
mod copy;
mod frame_rate;
mod ladder;
mod size;
#[cfg(test)]
mod tests;
mod thumbnails;
mod video;

/// Decides what is made of a source.
///
/// # Errors
/// [`ErrorCode::NothingToTranscode`] when the streams that the template needs are absent, or cannot be
/// copied;
/// [`ErrorCode::InvalidInput`] when they are there and cannot be decoded.
pub fn plan(request: &PlanRequest<'_>) -> Result<Plan, MediaError> {
    let PlanRequest { template, source, settings, growing_playlists } = *request;
    let video = if template.video_mode() == VideoMode::None { None } else { source.video.as_ref() };
    let audios = audio::choose(template, source);
    check_decodable(template, source)?;
    if video.is_none() && audios.is_empty() {
        return Err(nothing_to_transcode(template, source));
    }
    let ends = video.iter().map(|video| video.end).chain(audios.iter().map(|audio| audio.end));
    let duration = ends.fold(0.0, f64::max);
    let encoded = if template.video_mode() == VideoMode::Copy { None } else { video };
    let ladder = ladder::renditions(template, encoded);
    let frame_rates = frame_rate::renditions(template, encoded, &ladder);
    let segmenting = template.segment_type().map(|segment_type| Segmenting {
        segment_type,
        segment_duration: frame_rate::segment(&frame_rates, template.segment_seconds()),
    });
    let videos = match (encoded, video) {
        (Some(encoded), _) => {
            video::renditions(template, settings, encoded, &ladder, &frame_rates, segmenting)
        }
        (None, Some(copied)) => vec![copy::video(template, copied, duration)?],
        (None, None) => Vec::new(),
    };
    let logo = match (video, &template.logo_path) {
        (Some(_), Some(_)) => {
            Some(LogoPlan { size: template.logo_size, offset: template.logo_offset.unwrap_or_default() })
        }
        _ => None,
    };
    let taken: Vec<u32> =
        video.iter().map(|video| video.index).chain(audios.iter().map(|audio| audio.index)).collect();
    let is_taken = |correction: &&TimestampCorrection| taken.contains(&correction.stream);
    Ok(Plan {
        format: template.format,
        also: template.also,
        segmenting,
        video_filter: encoded.map(|video| video::filter(video, &frame_rates, duration)),
        threads: ladder::threads(settings.threads, videos.len()),
        videos,
        audios: audio::tracks(template, &source.container, &audios, duration)?,
        thumbnails: thumbnails::plan(template, video, duration),
        is_growing: growing_playlists,
        logo,
        duration,
        start_offset: source.start_offset,
        corrections: source.corrections.iter().filter(is_taken).copied().collect(),
        clip: source.clip,
        title: source.title.clone(),
        chapters: source.has_chapters && template.format == Format::Mp4,
    })
}

/// What a template takes of a source is not left out in silence where it cannot be decoded.
fn check_decodable(template: &Template, source: &Source) -> Result<(), MediaError> {
    let UndecodableCodecs { video, audio } = &source.undecodable;
    let takes_video = template.video_mode() != VideoMode::None;
    let takes_audio = template.audio_mode() != AudioMode::None;
    let detail = match (video, audio) {
        (Some(codec), _) if takes_video => {
            format!("its video (`{codec}`) cannot be decoded; `vcodec` `none` would make its audio alone")
        }
        (_, Some(codec)) if takes_audio => {
            format!("its audio (`{codec}`) cannot be decoded; `acodec` `none` would make its video alone")
        }
        _ => return Ok(()),
    };
    Err(MediaError::new(ErrorCode::InvalidInput, detail))
}

fn nothing_to_transcode(template: &Template, source: &Source) -> MediaError {
    let has = match (&source.video, source.audios.is_empty()) {
        (Some(_), true) => "video alone",
        (Some(_), false) => "video and audio",
        (None, _) => "audio alone",
    };
    let makes = match (template.video_mode(), template.audio_mode()) {
        (VideoMode::None, _) => "audio alone",
        (_, AudioMode::None) => "video alone",
        _ => "video and audio",
    };
    MediaError::new(
        ErrorCode::NothingToTranscode,
        format!("the input has {has}, and the template makes {makes}"),
    )
}
