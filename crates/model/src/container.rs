//! Which codecs each format and type of segment can hold: the one table that the checks of a template,
//! their messages and `docs/formats.md` come from.
//!
//! The modes `copy` and `none` are accepted with every container; the codec of a stream that is copied has
//! to be in the table too, which the planner checks.

use std::fmt::Display;

use crate::{
    AudioCodec, AudioMode, FieldError, Format, Hdr, SampleRate, SegmentType, Template, VideoCodec, VideoMode,
};

/// What one kind of output can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Container {
    /// The format.
    pub format: Format,
    /// The type of its segments; none for single files.
    pub segments: Option<SegmentType>,
    /// Video codecs, the default one first.
    pub video_codecs: &'static [VideoCodec],
    /// Audio codecs, the default one first.
    pub audio_codecs: &'static [AudioCodec],
}

/// Every kind of output. MP3 is in single files alone: the packager cannot read it in fragmented MP4.
pub const CONTAINERS: &[Container] = &[
    Container {
        format: Format::Mp4,
        segments: None,
        video_codecs: VideoCodec::ALL,
        audio_codecs: &[AudioCodec::Aac, AudioCodec::Mp3, AudioCodec::Opus, AudioCodec::Ac3],
    },
    Container {
        format: Format::Hls,
        segments: Some(SegmentType::Ts),
        video_codecs: &[VideoCodec::H264],
        audio_codecs: &[AudioCodec::Aac, AudioCodec::Ac3],
    },
    Container {
        format: Format::Hls,
        segments: Some(SegmentType::Fmp4),
        video_codecs: VideoCodec::ALL,
        audio_codecs: &[AudioCodec::Aac, AudioCodec::Opus, AudioCodec::Ac3],
    },
    Container {
        format: Format::Dash,
        segments: Some(SegmentType::Fmp4),
        video_codecs: VideoCodec::ALL,
        audio_codecs: &[AudioCodec::Aac, AudioCodec::Opus, AudioCodec::Ac3],
    },
    Container {
        format: Format::Flv,
        segments: None,
        video_codecs: &[VideoCodec::H264],
        audio_codecs: &[AudioCodec::Aac],
    },
];

impl Container {
    /// The container of a template's output.
    pub fn of(template: &Template) -> &'static Self {
        let (format, segments) = (template.format, template.segment_type());
        let container = CONTAINERS.iter().find(|one| one.format == format && one.segments == segments);
        // the fallback is never used: `segment_type` gives no TS for DASH
        container.unwrap_or(&CONTAINERS[0])
    }

    /// Whether it holds video of this mode.
    pub fn holds_video(&self, mode: VideoMode) -> bool {
        mode.codec().is_none_or(|codec| self.video_codecs.contains(&codec))
    }

    /// Whether it holds audio of this mode.
    pub fn holds_audio(&self, mode: AudioMode) -> bool {
        mode.codec().is_none_or(|codec| self.audio_codecs.contains(&codec))
    }

    /// Such as `hls with seg_type ts`, for messages.
    pub fn name(&self) -> String {
        match (self.format, self.segments) {
            (Format::Hls, Some(segments)) => format!("hls with seg_type `{segments}`"),
            (format, _) => format.to_string(),
        }
    }
}

/// Checks the codecs of a template against the table, and the audio fields against what the audio codec can
/// do.
pub(crate) fn check(template: &Template) -> Result<(), FieldError> {
    let container = Container::of(template);
    for (field, mode) in template.video_modes() {
        if !container.holds_video(mode) {
            return Err(not_in_container(container, &field, &mode, container.video_codecs));
        }
    }
    let mode = template.audio_mode();
    if !container.holds_audio(mode) {
        return Err(not_in_container(container, "acodec", &mode, container.audio_codecs));
    }
    check_hdr(template)?;
    check_audio(template, mode)
}

/// With `hdr: keep`, at least one rendition needs a codec that keeps HDR.
fn check_hdr(template: &Template) -> Result<(), FieldError> {
    let modes = template.video_modes();
    let keeps_hdr = |mode: VideoMode| mode.codec().is_some_and(VideoCodec::keeps_hdr);
    if template.hdr == Some(Hdr::Keep) && !modes.iter().any(|(_, mode)| keeps_hdr(*mode)) {
        let (field, mode) = &modes[0];
        let problem = format!("`keep` cannot be had with {field} `{mode}`; give vcodec `h265` or `av1`");
        return Err(FieldError::new("hdr", problem));
    }
    if template.hdr == Some(Hdr::Keep) && template.logo_path.is_some() {
        return Err(FieldError::new("logo_path", "cannot be laid over HDR; leave it or `hdr` unset"));
    }
    Ok(())
}

fn not_in_container(
    container: &Container,
    field: &str,
    mode: &dyn Display,
    codecs: &[impl Display],
) -> FieldError {
    if container.segments == Some(SegmentType::Ts) {
        // the simplest remedy is fMP4 segments, which hold more codecs
        return FieldError::new("seg_type", format!("`ts` cannot hold {field} `{mode}`; give `fmp4`"));
    }
    let problem = format!("`{mode}` cannot be put into {}; give {}", container.name(), either_of(codecs));
    FieldError::new(field, problem)
}

fn check_audio(template: &Template, mode: AudioMode) -> Result<(), FieldError> {
    if let Some(SampleRate(rate)) = template.audio_sample_rate
        && !mode.sample_rates().contains(&rate)
    {
        let problem = format!("{rate} Hz cannot be had as `{mode}`; give one of {:?}", mode.sample_rates());
        return Err(FieldError::new("audio_sample_rate", problem));
    }
    match template.audio_channels {
        // FFmpeg signals more channels in a way that mpegts.js, the FLV player of browsers, does not know
        Some(channels) if channels > 2 && template.format == Format::Flv => Err(FieldError::new(
            "audio_channels",
            format!("{channels} cannot be had in flv; give 1 or 2, or another format"),
        )),
        Some(channels) if channels > mode.max_channels() => Err(FieldError::new(
            "audio_channels",
            format!("{channels} cannot be had as `{mode}`; give 1 or 2, or acodec `aac`, `opus` or `ac3`"),
        )),
        _ => Ok(()),
    }
}

/// The words as `` `a`, `b` or `c` ``.
fn either_of<T: Display>(words: &[T]) -> String {
    let mut words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    let last = words.pop().unwrap_or_default();
    if words.is_empty() { last } else { format!("{} or {last}", words.join(", ")) }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn check_error(fields: serde_json::Value) -> String {
        let mut all = json!({"template_name": "t"});
        for (name, value) in fields.as_object().expect("fields") {
            all[name] = value.clone();
        }
        let template: Template = serde_json::from_value(all).expect("a template");
        template.check().map_or_else(|error| error.to_string(), |()| "none".to_owned())
    }

    #[rstest]
    #[case(json!({"format": "hls", "vcodec": "h265", "seg_type": "ts"}), "seg_type: `ts` cannot hold vcodec `h265`; give `fmp4`")]
    #[case(json!({"format": "hls", "acodec": "opus", "seg_type": "ts"}), "seg_type: `ts` cannot hold acodec `opus`; give `fmp4`")]
    #[case(json!({"format": "hls", "also": "dash", "seg_type": "ts"}), "seg_type: `ts` cannot be used with dash; give `fmp4`")]
    #[case(json!({"format": "dash", "also": "hls"}), "also: `hls` cannot be had beside dash; give `dash` with format `hls`")]
    #[case(json!({"format": "hls", "seg_type": "ts", "adaptive_streams": [{"vcodec": "h264"}, {"vcodec": "av1"}]}),
        "seg_type: `ts` cannot hold adaptive_streams[1].vcodec `av1`; give `fmp4`")]
    #[case(json!({"format": "flv", "vcodec": "vp9"}), "vcodec: `vp9` cannot be put into flv; give `h264`")]
    #[case(json!({"format": "flv", "acodec": "mp3"}), "acodec: `mp3` cannot be put into flv; give `aac`")]
    #[case(json!({"format": "dash", "acodec": "mp3"}), "acodec: `mp3` cannot be put into dash; give `aac`, `opus` or `ac3`")]
    #[case(json!({"format": "mp4", "acodec": "mp3", "audio_channels": 6}),
        "audio_channels: 6 cannot be had as `mp3`; give 1 or 2, or acodec `aac`, `opus` or `ac3`")]
    #[case(json!({"format": "flv", "audio_channels": 6}), "audio_channels: 6 cannot be had in flv; give 1 or 2, or another format")]
    #[case(json!({"format": "mp4", "hdr": "keep"}), "hdr: `keep` cannot be had with vcodec `h264`; give vcodec `h265` or `av1`")]
    #[case(json!({"format": "mp4", "acodec": "opus", "audio_sample_rate": "44100"}),
        "audio_sample_rate: 44100 Hz cannot be had as `opus`; give one of [48000]")]
    fn what_does_not_go_together_says_what_would(#[case] fields: serde_json::Value, #[case] words: &str) {
        assert_eq!(check_error(fields), words);
    }

    #[rstest]
    #[case(json!({"format": "hls"}), SegmentType::Ts)]
    #[case(json!({"format": "hls", "vcodec": "none"}), SegmentType::Ts)]
    #[case(json!({"format": "hls", "acodec": "ac3"}), SegmentType::Fmp4)]
    #[case(json!({"format": "hls", "vcodec": "copy"}), SegmentType::Fmp4)]
    #[case(json!({"format": "hls", "acodec": "copy"}), SegmentType::Fmp4)]
    #[case(json!({"format": "hls", "vcodec": "av1"}), SegmentType::Fmp4)]
    #[case(json!({"format": "hls", "also": "dash"}), SegmentType::Fmp4)]
    #[case(json!({"format": "hls", "adaptive_streams": [{"vcodec": "h264"}, {"vcodec": "h265"}]}), SegmentType::Fmp4)]
    #[case(json!({"format": "hls", "vcodec": "h265", "adaptive_streams": [{"vcodec": "h264"}]}), SegmentType::Ts)]
    fn default_segments(#[case] fields: serde_json::Value, #[case] segments: SegmentType) {
        assert_eq!(check_error(fields.clone()), "none");
        let mut all = fields;
        all["template_name"] = json!("t");
        let template: Template = serde_json::from_value(all).expect("a template");
        assert_eq!(template.segment_type(), Some(segments));
    }

    /// Every codec with every kind of output: what is in the table is accepted, all else refused.
    #[test]
    fn the_table_is_what_is_checked() {
        for container in CONTAINERS {
            let with = |field: &str, codec: &dyn Display| {
                let mut fields = json!({"format": container.format, field: codec.to_string()});
                if let Some(segments) = container.segments {
                    fields["seg_type"] = json!(segments);
                }
                check_error(fields) == "none"
            };
            for mode in VideoMode::ALL {
                assert_eq!(with("vcodec", mode), container.holds_video(*mode), "{mode} in {container:?}");
            }
            for mode in AudioMode::ALL {
                assert_eq!(with("acodec", mode), container.holds_audio(*mode), "{mode} in {container:?}");
            }
        }
    }

    /// The tables in `docs/formats.md`; `make gen` writes them again.
    #[test]
    fn the_table_of_formats_is_generated() {
        const MARKER: &str = "<!-- formats -->";
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats.md");
        let text = std::fs::read_to_string(&path).expect("docs/formats.md is there");
        let [head, table, tail] = text.split(MARKER).collect::<Vec<_>>()[..] else {
            panic!("docs/formats.md has not two markers {MARKER}");
        };
        let expected = tables();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, [head, &expected, tail].join(MARKER))
                .expect("docs/formats.md can be written");
        } else {
            assert_eq!(table, expected, "docs/formats.md is not what the code says: run `make gen`");
        }
    }

    fn tables() -> String {
        let words = |words: &[&dyn Display]| {
            words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        };
        let mut text = String::from("\n| `format` | `seg_type` | `vcodec` | `acodec` |\n|---|---|---|---|\n");
        for one in CONTAINERS {
            let segments = one.segments.map_or_else(String::new, |segments| format!("`{segments}`"));
            let video: Vec<_> = one.video_codecs.iter().map(|codec| codec as &dyn Display).collect();
            let audio: Vec<_> = one.audio_codecs.iter().map(|codec| codec as &dyn Display).collect();
            let (video, audio) = (words(&video), words(&audio));
            writeln!(text, "| `{}` | {segments} | {video} | {audio} |", one.format).expect("written");
        }
        text.push_str("\n| `acodec` | `audio_sample_rate` | `audio_channels` |\n|---|---|---|\n");
        for codec in AudioCodec::ALL {
            let rates: Vec<_> = codec.sample_rates().iter().map(ToString::to_string).collect();
            let channels = if codec.max_channels() < 6 { "1, 2" } else { "1, 2, 6" };
            writeln!(text, "| `{codec}` | {} | {channels} |", rates.join(", ")).expect("written");
        }
        text
    }
}
