//! Puts together what was found out about the chosen streams.

use model::{ErrorCode, Rational, SourceFacts};

use super::{
    ask::{FirstFrame, ProbeContext},
    choose,
    clock::TrackStats,
    described::{FfprobeOutput, Stream},
    inspect::InspectedFile,
    packets::PacketStats,
    rate::{self, MeasuredRate},
};
use crate::{
    error::MediaError,
    source::{AudioStream, FieldOrder, HdrMetadata, Source, UndecodableCodecs, VideoStream},
};

/// Steps of a second that times are rounded to: less is the noise of the arithmetic.
const MICROS: f64 = 1e6;
/// Seconds by which a file may start later than its streams without that being an offset.
const MIN_START_OFFSET_SECS: f64 = 0.001;
/// By which a file may end before its header says: seconds, and share of the whole.
const MAX_SHORTFALL_SECS: f64 = 1.0;
const MAX_SHORTFALL_SHARE: f64 = 0.02;
/// Heights, codecs and frame rates of broadcasts, whose flags do not always say that they are interlaced.
const BROADCAST_HEIGHTS: &[u32] = &[480, 486, 576, 1080, 1088];
const BROADCAST_CODECS: &[&str] =
    &["mpeg2video", "mpeg4", "h264", "dvvideo", "vc1", "prores", "dnxhd", "mjpeg", "rawvideo", "ffv1"];
const BROADCAST_RATES: std::ops::RangeInclusive<f64> = 23.9..=30.1;

/// What was found out before.
pub(super) struct Findings<'a> {
    pub file: &'a InspectedFile,
    pub described: &'a FfprobeOutput,
    /// Empty when an index vouches for durations.
    pub packets: &'a PacketStats,
    pub is_indexed: bool,
    /// Of the video.
    pub first_frame: FirstFrame,
}

/// When a stream is shown, in seconds of the file's own time stamps.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: f64,
    end: f64,
}

/// The source that these streams make.
///
/// # Errors
/// When the file ends long before its header says.
pub(super) async fn build_source(
    context: &ProbeContext<'_>,
    findings: &Findings<'_>,
    video: Option<&Stream>,
    audios: &[&Stream],
) -> Result<Source, MediaError> {
    let measured_video = match video {
        Some(stream) => {
            let rate = measure_rate(context, findings, stream).await?;
            Some((stream, rate, findings.span(stream, rate.frame_duration)))
        }
        None => None,
    };
    let audio_spans: Vec<_> =
        audios.iter().map(|stream| findings.span(stream, default_packet_duration(stream))).collect();
    let spans = || measured_video.iter().map(|(_, _, span)| span).chain(&audio_spans);
    let start = spans().map(|span| span.start).fold(f64::INFINITY, f64::min);
    let duration = round_to_micros(spans().map(|span| span.end - start).fold(0.0, f64::max));
    let video = match measured_video {
        Some((stream, rate, span)) => {
            check_declared_frames(findings, stream, rate)?;
            let (start, end) = (round_to_micros(span.start - start), round_to_micros(span.end - start));
            let hdr_metadata = hdr_metadata(findings, stream);
            let found = VideoStream { hdr_metadata, start, end, ..video_stream(stream, rate) };
            Some(if findings.first_frame.is_field {
                of_separate_fields(found, findings.first_frame.is_top_field)
            } else {
                let (field_order, top_field_first) =
                    find_field_order(context, stream, rate, duration).await?;
                VideoStream { field_order, top_field_first, ..found }
            })
        }
        None => None,
    };
    let audios: Vec<_> =
        audios.iter().zip(&audio_spans).map(|(stream, span)| audio_stream(stream, *span, start)).collect();
    let described = findings.described;
    let start_offset = if described.may_reset_timestamps() { 0.0 } else { start - described.start };
    Ok(Source {
        container: described.container.clone(),
        size: findings.file.size,
        duration,
        start_offset: if start_offset < MIN_START_OFFSET_SECS { 0.0 } else { round_to_micros(start_offset) },
        duration_is_indexed: findings.is_indexed || described.declares_frames(),
        undecodable: UndecodableCodecs {
            video: if video.is_some() { None } else { choose::undecodable_codec(described, "video") },
            audio: if audios.is_empty() { choose::undecodable_codec(described, "audio") } else { None },
        },
        title: described.title.clone(),
        has_chapters: described.chapters > 0,
        corrections: findings.packets.corrections.clone(),
        clip: None,
        facts: source_facts(findings, video.as_ref(), audios.first(), duration),
        video,
        audios,
    })
}

impl Findings<'_> {
    fn track(&self, stream: &Stream) -> Option<&TrackStats> {
        self.packets.streams.get(&stream.index)
    }

    /// When a stream is shown; a last packet without a duration has `frame_duration`.
    fn span(&self, stream: &Stream, frame_duration: f64) -> Span {
        let time_base = stream.time_base.map_or(0.0, Rational::as_f64);
        let seconds = |time: i64| time as f64 * time_base;
        let times = self.track(stream).and_then(|track| Some((track.first?, track.last?, track.end?)));
        match times {
            Some((first, last, end)) => {
                let end = if end > last { seconds(end) } else { seconds(last) + frame_duration };
                Span { start: self.without_priming(seconds(first)).min(end), end }
            }
            None => {
                let start = stream.start.unwrap_or(self.described.start);
                let duration = stream.duration.or(self.described.duration).unwrap_or(0.0);
                Span { start, end: start + duration }
            }
        }
    }

    /// Priming: FFmpeg decodes what is before the file's start time, and throws it away.
    fn without_priming(&self, first: f64) -> f64 {
        if self.described.may_reset_timestamps() { first } else { first.max(self.described.start) }
    }
}

/// Whether as many frames are there as the header says.
fn check_declared_frames(
    findings: &Findings<'_>,
    stream: &Stream,
    rate: MeasuredRate,
) -> Result<(), MediaError> {
    if !findings.described.declares_frames() {
        return Ok(());
    }
    let (Some(track), Some(declared)) = (findings.track(stream), stream.frames) else { return Ok(()) };
    let found = track.count as f64 * rate.frame_duration;
    let declared = declared as f64 * rate.frame_duration;
    if declared - found > MAX_SHORTFALL_SECS.max(declared * MAX_SHORTFALL_SHARE) {
        let detail = format!("it is truncated: its index says {declared:.1} s, and {found:.1} s are there");
        return Err(MediaError::new(ErrorCode::InvalidInput, detail));
    }
    Ok(())
}

/// The frame rate: a constant one of an index is believed, all else is measured.
async fn measure_rate(
    context: &ProbeContext<'_>,
    findings: &Findings<'_>,
    stream: &Stream,
) -> Result<MeasuredRate, MediaError> {
    let hints: Vec<_> = [stream.real_rate, stream.average_rate].into_iter().flatten().collect();
    let time_base = stream.time_base.map_or(1e-3, Rational::as_f64);
    let measured = match (findings.track(stream), &hints[..]) {
        (None, [real, average]) if real == average && stream.frames != Some(1) => rate::indexed(*real),
        (Some(track), _) => rate::measure(&track.times, time_base, &hints),
        (None, _) => {
            let packets = context.first_packets(stream.index).await?;
            let times = packets.streams.get(&stream.index).map(|track| track.times.as_slice());
            rate::measure(times.unwrap_or_default(), time_base, &hints)
        }
    };
    let Some(average) = stream.average_rate else { return Ok(measured) };
    // the headers of AVI and MXF have the rate; their packets have no time stamps of their own
    let has_rate_in_header = matches!(findings.described.container.as_str(), "avi" | "mxf");
    // each field may be a packet of its own
    let is_field_rate =
        stream.is_interlaced() && (measured.frame_rate.as_f64() / average.as_f64() - 2.0).abs() < 0.02;
    if has_rate_in_header || is_field_rate { Ok(rate::indexed(average)) } else { Ok(measured) }
}

/// Seconds of a packet of audio without a duration: a frame of AAC.
fn default_packet_duration(audio: &Stream) -> f64 {
    1024.0 / f64::from(audio.sample_rate.max(8000))
}

/// Whether a video is interlaced, and whether the top field is the earlier: by its flag, or by its frames
/// where that is plausible.
async fn find_field_order(
    context: &ProbeContext<'_>,
    stream: &Stream,
    rate: MeasuredRate,
    duration: f64,
) -> Result<(FieldOrder, bool), MediaError> {
    if stream.is_interlaced() {
        // the second letter is the field that is shown first
        return Ok((FieldOrder::Interlaced, stream.field_order.ends_with('t')));
    }
    let may_be_interlaced = BROADCAST_HEIGHTS.contains(&stream.height)
        && BROADCAST_CODECS.contains(&stream.codec.as_str())
        && BROADCAST_RATES.contains(&rate.frame_rate.as_f64());
    if !may_be_interlaced {
        return Ok((FieldOrder::Progressive, true));
    }
    let counts = context.count_interlaced(stream.index, duration).await?;
    let order = if counts.is_interlaced() { FieldOrder::Interlaced } else { FieldOrder::Progressive };
    Ok((order, counts.top_first >= counts.bottom_first))
}

/// The HDR metadata of a PQ stream: the container's, or that of the first frame.
fn hdr_metadata(findings: &Findings<'_>, stream: &Stream) -> HdrMetadata {
    if stream.color_transfer != "smpte2084" {
        HdrMetadata::default()
    } else if stream.hdr_metadata == HdrMetadata::default() {
        findings.first_frame.hdr_metadata
    } else {
        stream.hdr_metadata
    }
}

/// Video of which each picture is a field: a frame has the lines of two, and there are half as many.
fn of_separate_fields(video: VideoStream, top_field_first: bool) -> VideoStream {
    let (num, den) = (video.frame_rate.num(), video.frame_rate.den());
    VideoStream {
        height: video.height * 2,
        frame_rate: Rational::new(num, den * 2).unwrap_or(video.frame_rate),
        field_order: FieldOrder::SeparateFields,
        top_field_first,
        ..video
    }
}

/// What the description says of a video; fields, HDR metadata and times are found otherwise.
fn video_stream(stream: &Stream, rate: MeasuredRate) -> VideoStream {
    VideoStream {
        index: stream.index,
        codec: stream.codec.clone(),
        profile: stream.profile.clone(),
        width: stream.width,
        height: stream.height,
        sample_aspect: choose::sample_aspect(stream),
        orientation: choose::orientation(stream.display_matrix),
        frame_rate: rate.frame_rate,
        is_variable_frame_rate: rate.is_variable,
        field_order: FieldOrder::Progressive,
        top_field_first: true,
        pixel_format: stream.pixel_format.clone(),
        color_range: stream.color_range.clone(),
        color_space: stream.color_space.clone(),
        color_transfer: stream.color_transfer.clone(),
        color_primaries: stream.color_primaries.clone(),
        hdr_metadata: HdrMetadata::default(),
        start: 0.0,
        end: 0.0,
    }
}

fn audio_stream(stream: &Stream, span: Span, source_start: f64) -> AudioStream {
    AudioStream {
        index: stream.index,
        codec: stream.codec.clone(),
        profile: stream.profile.clone(),
        channels: stream.channels,
        layout: stream.layout.clone(),
        sample_rate: stream.sample_rate,
        language: stream.language.clone(),
        title: stream.title.clone(),
        start: round_to_micros(span.start - source_start),
        end: round_to_micros(span.end - source_start),
    }
}

fn source_facts(
    findings: &Findings<'_>,
    video: Option<&VideoStream>,
    audio: Option<&AudioStream>,
    duration: f64,
) -> SourceFacts {
    let size = findings.file.size;
    let bits_per_second = |bytes: u64| if duration > 0.0 { bytes as f64 * 8.0 / duration } else { 0.0 };
    let bitrate = |index: u32| {
        let counted = findings.packets.streams.get(&index).map(|track| bits_per_second(track.bytes));
        let described = findings.described.streams.iter().find(|stream| stream.index == index);
        counted.or(described.map(|stream| stream.bit_rate)).unwrap_or(0.0).round()
    };
    SourceFacts {
        duration,
        size,
        bitrate: bits_per_second(size).round(),
        resolution: video.map(resolution).unwrap_or_default(),
        framerate: video.map_or(0.0, |video| video.frame_rate.as_f64()),
        video_bitrate: video.map_or(0.0, |video| bitrate(video.index)),
        audio_bitrate: audio.map_or(0.0, |audio| bitrate(audio.index)),
        video_codec: video.map(|video| video.codec.clone()).unwrap_or_default(),
        audio_codec: audio.map(|audio| audio.codec.clone()).unwrap_or_default(),
    }
}

/// Pixels as they are shown: upright, and square.
fn resolution(video: &VideoStream) -> String {
    let (width, height) = video.display_size();
    format!("{:.0}x{:.0}", width.round(), height.round())
}

fn round_to_micros(seconds: f64) -> f64 {
    (seconds * MICROS).round() / MICROS
}
