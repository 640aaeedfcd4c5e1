//! Puts together what was found out about the chosen streams.

use model::{ErrorCode, Rational, SourceFacts};

use super::{
    Examined, Packets, SHORTFALL, choose,
    clock::Track,
    described::{Described, Stream},
    look::Prober,
    rate::{self, Measured},
};
use crate::{AudioStream, FieldOrder, HdrMetadata, MediaError, Source, UndecodableCodecs, VideoStream};

/// Times are given to the microsecond: less is the noise of the arithmetic.
const STEPS: f64 = 1e6;
/// Heights and codecs of broadcasts, whose flags do not always say that they are interlaced.
const BROADCAST_HEIGHTS: &[u32] = &[480, 486, 576, 1080, 1088];
const BROADCAST_CODECS: &[&str] =
    &["mpeg2video", "mpeg4", "h264", "dvvideo", "vc1", "prores", "dnxhd", "mjpeg", "rawvideo", "ffv1"];

/// What was asked before.
pub(super) struct Asked<'a> {
    pub file: &'a Examined,
    pub described: &'a Described,
    /// Empty when an index vouches.
    pub packets: &'a Packets,
    pub indexed: bool,
}

/// Where a stream begins and ends on the file's own clock, in seconds.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: f64,
    end: f64,
}

/// The source that these streams make.
///
/// # Errors
/// When the file ends long before its index says, or nothing of it lasts.
pub(super) async fn source(
    prober: &Prober<'_>,
    asked: &Asked<'_>,
    picture: Option<&Stream>,
    sounds: &[&Stream],
) -> Result<Source, MediaError> {
    let measured = match picture {
        Some(stream) => Some(rate_of(prober, asked, stream).await?),
        None => None,
    };
    let picture_span = picture.zip(measured).map(|(stream, measured)| asked.span(stream, measured.frame));
    let sound_spans: Vec<_> = sounds.iter().map(|sound| asked.span(sound, frame_of(sound))).collect();
    let spans = || picture_span.iter().chain(&sound_spans);
    let base = spans().map(|span| span.start).fold(f64::INFINITY, f64::min);
    let duration = rounded(spans().map(|span| span.end - base).fold(0.0, f64::max));
    if let Some((stream, measured)) = picture.zip(measured) {
        whole(asked, stream, measured)?;
    }
    let picture = match (picture, measured, picture_span) {
        (Some(stream), Some(measured), Some(span)) => {
            let fields = fields_of(prober, stream, measured, duration).await?;
            let hdr_metadata = light_of(prober, stream).await?;
            Some(VideoStream { hdr_metadata, ..picture_of(stream, measured, fields, span, base) })
        }
        _ => None,
    };
    let sounds: Vec<_> =
        sounds.iter().zip(&sound_spans).map(|(sound, span)| sound_of(sound, *span, base)).collect();
    let none_of = |chosen: bool, kind| if chosen { None } else { choose::undecoded(asked.described, kind) };
    let undecodable = UndecodableCodecs {
        video: none_of(picture.is_some(), "video"),
        audio: none_of(!sounds.is_empty(), "audio"),
    };
    let start_offset =
        if counts_from_its_streams(asked.described) { 0.0 } else { base - asked.described.start };
    Ok(Source {
        container: asked.described.container.clone(),
        size: asked.file.size,
        duration,
        start_offset: if start_offset < 0.001 { 0.0 } else { rounded(start_offset) },
        duration_is_indexed: asked.indexed || is_declared(asked.described),
        undecodable,
        title: asked.described.title.clone(),
        has_chapters: asked.described.chapters > 0,
        corrections: asked.packets.corrections.clone(),
        clip: None,
        facts: facts(asked, picture.as_ref(), &sounds, duration),
        video: picture,
        audios: sounds,
    })
}

impl Asked<'_> {
    fn track(&self, stream: &Stream) -> Option<&Track> {
        self.packets.streams.get(&stream.index)
    }

    /// What is before the start that the file's streams are said to have is decoded and thrown away: what an encoder of
    /// sound needs to begin with.
    fn heard_from(&self, first: f64) -> f64 {
        if counts_from_its_streams(self.described) { first } else { first.max(self.described.start) }
    }

    fn span(&self, stream: &Stream, frame: f64) -> Span {
        let tick = stream.time_base.map_or(0.0, Rational::as_f64);
        let seconds = |ticks: i64| ticks as f64 * tick;
        match self.track(stream).and_then(|track| Some((track.first?, track.last?, track.end?))) {
            Some((first, last, end)) => {
                let end = if end > last { seconds(end) } else { seconds(last) + frame };
                Span { start: self.heard_from(seconds(first)).min(end), end }
            }
            None => {
                let start = stream.start.unwrap_or(self.described.start);
                let length = stream.duration.or(self.described.duration).unwrap_or(0.0);
                Span { start, end: start + length }
            }
        }
    }
}

/// Where clocks may begin anew, FFmpeg counts from the first of the streams that are used, by itself.
pub(super) fn counts_from_its_streams(described: &Described) -> bool {
    matches!(described.container.as_str(), "mpegts" | "mpeg" | "ogg")
}

/// AVI says in its head how many frames there are, and is written so.
fn is_declared(described: &Described) -> bool {
    described.container == "avi"
}

/// Whether as much is there as is declared.
fn whole(asked: &Asked<'_>, stream: &Stream, measured: Measured) -> Result<(), MediaError> {
    let Some((track, said)) = asked.track(stream).zip(stream.frames) else { return Ok(()) };
    let (there, said) = (track.count as f64 * measured.frame, said as f64 * measured.frame);
    let allowed = SHORTFALL.0.max(said * SHORTFALL.1);
    if is_declared(asked.described) && said - there > allowed {
        let detail = format!("it is truncated: its index says {said:.1} s, and {there:.1} s are there");
        return Err(MediaError::new(ErrorCode::InvalidInput, detail));
    }
    Ok(())
}

/// Constant rates of an index are believed; all else is measured.
async fn rate_of(prober: &Prober<'_>, asked: &Asked<'_>, stream: &Stream) -> Result<Measured, MediaError> {
    let hints: Vec<_> = [stream.real_rate, stream.average_rate].into_iter().flatten().collect();
    let measured = match (asked.track(stream), &hints[..]) {
        (None, [real, average]) if real == average && stream.frames != Some(1) => rate::indexed(*real),
        (Some(track), _) => rate::measure(&track.times, tick(stream), &hints),
        (None, _) => {
            let packets = prober.first_packets(stream.index).await?;
            let times = packets.streams.get(&stream.index).map(|track| track.times.as_slice());
            rate::measure(times.unwrap_or_default(), tick(stream), &hints)
        }
    };
    // headers of AVI and MXF say the rate, and packets with no time stamp of their own say less
    let paced = matches!(asked.described.container.as_str(), "avi" | "mxf");
    let fields_apart = is_interlaced(stream)
        && stream
            .average_rate
            .is_some_and(|average| (measured.rate.as_f64() / average.as_f64() - 2.0).abs() < 0.02);
    Ok(match stream.average_rate {
        Some(average) if paced || fields_apart => rate::indexed(average),
        _ => measured,
    })
}

fn tick(stream: &Stream) -> f64 {
    stream.time_base.map_or(1e-3, Rational::as_f64)
}

/// Seconds of a packet of sound that does not say so.
fn frame_of(sound: &Stream) -> f64 {
    1024.0 / f64::from(sound.sample_rate.max(8000))
}

fn is_interlaced(stream: &Stream) -> bool {
    matches!(stream.field_order.as_str(), "tt" | "bb" | "tb" | "bt")
}

/// How the lines were taken, and whether the upper ones are the earlier: by flag, or by looking where
/// it is plausible.
async fn fields_of(
    prober: &Prober<'_>,
    stream: &Stream,
    measured: Measured,
    duration: f64,
) -> Result<(FieldOrder, bool), MediaError> {
    if is_interlaced(stream) {
        // the first letter is how the fields are stored, the second how they are shown
        return Ok((FieldOrder::Interlaced, stream.field_order.ends_with('t')));
    }
    let plausible = BROADCAST_HEIGHTS.contains(&stream.height)
        && BROADCAST_CODECS.contains(&stream.codec.as_str())
        && (23.9..=30.1).contains(&measured.rate.as_f64());
    if !plausible {
        return Ok((FieldOrder::Progressive, true));
    }
    let seen = prober.fields(stream.index, duration).await?;
    let order = if seen.is_interlaced() { FieldOrder::Interlaced } else { FieldOrder::Progressive };
    Ok((order, seen.top_first >= seen.bottom_first))
}

/// By the container, or by the first frame of what ffprobe can decode.
async fn light_of(prober: &Prober<'_>, stream: &Stream) -> Result<HdrMetadata, MediaError> {
    let is_pq = stream.color_transfer == "smpte2084";
    if is_pq && stream.light == HdrMetadata::default() && stream.codec == "hevc" {
        return prober.light(stream.index).await;
    }
    Ok(if is_pq { stream.light } else { HdrMetadata::default() })
}

fn picture_of(
    stream: &Stream,
    measured: Measured,
    (field_order, top_field_first): (FieldOrder, bool),
    span: Span,
    base: f64,
) -> VideoStream {
    VideoStream {
        index: stream.index,
        codec: stream.codec.clone(),
        profile: stream.profile.clone(),
        width: stream.width,
        height: stream.height,
        sample_aspect: choose::sample_aspect(stream),
        orientation: choose::turn(stream.matrix),
        rate: measured.rate,
        is_variable_rate: measured.varies,
        field_order,
        top_field_first,
        pixel_format: stream.pixel_format.clone(),
        color_range: stream.color_range.clone(),
        color_space: stream.color_space.clone(),
        color_transfer: stream.color_transfer.clone(),
        color_primaries: stream.color_primaries.clone(),
        hdr_metadata: HdrMetadata::default(),
        start: rounded(span.start - base),
        end: rounded(span.end - base),
    }
}

fn sound_of(stream: &Stream, span: Span, base: f64) -> AudioStream {
    AudioStream {
        index: stream.index,
        codec: stream.codec.clone(),
        profile: stream.profile.clone(),
        channels: stream.channels,
        layout: stream.layout.clone(),
        sample_rate: stream.sample_rate,
        language: stream.language.clone(),
        title: stream.title.clone(),
        start: rounded(span.start - base),
        end: rounded(span.end - base),
    }
}

fn facts(
    asked: &Asked<'_>,
    picture: Option<&VideoStream>,
    sounds: &[AudioStream],
    duration: f64,
) -> SourceFacts {
    let size = asked.file.size;
    let per_second = |bytes: u64| if duration > 0.0 { bytes as f64 * 8.0 / duration } else { 0.0 };
    let bitrate = |index: u32| {
        let counted = asked.packets.streams.get(&index).map(|track| per_second(track.bytes));
        let said = asked.described.streams.iter().find(|stream| stream.index == index);
        counted.or(said.map(|stream| stream.bit_rate)).unwrap_or(0.0).round()
    };
    let sound = sounds.first();
    SourceFacts {
        duration,
        size,
        bitrate: per_second(size).round(),
        resolution: picture.map(resolution).unwrap_or_default(),
        framerate: picture.map_or(0.0, |picture| picture.rate.as_f64()),
        video_bitrate: picture.map_or(0.0, |picture| bitrate(picture.index)),
        audio_bitrate: sound.map_or(0.0, |sound| bitrate(sound.index)),
        video_codec: picture.map(|picture| picture.codec.clone()).unwrap_or_default(),
        audio_codec: sound.map(|sound| sound.codec.clone()).unwrap_or_default(),
    }
}

fn resolution(picture: &VideoStream) -> String {
    let (width, height) = picture.shown();
    format!("{:.0}x{:.0}", width.round(), height.round())
}

fn rounded(seconds: f64) -> f64 {
    (seconds * STEPS).round() / STEPS
}
