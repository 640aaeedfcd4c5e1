//! What is copied, looked at before anything runs: FFmpeg lists every packet that it is going to take.
//! What comes out is compared with this list; and a picture that cannot be cut into segments at its own key
//! frames is refused.

use std::sync::Arc;

use model::ErrorCode;
use tokio_util::sync::CancellationToken;

use crate::{
    MediaError, MediaInput, Plan, codecs, command,
    tool::{Call, Tools, child::Access, programs::Program},
};

/// A stream of the source as it is copied.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CopiedStream {
    /// Seconds of a tick of its clock.
    pub tick: f64,
    /// When each packet is shown, in seconds, in the order of decoding.
    pub times: Vec<f64>,
    /// When the last one is over.
    pub end: f64,
}

impl CopiedStream {
    /// Seconds from the first packet on.
    pub(crate) fn seconds(&self) -> f64 {
        self.end - self.times.first().copied().unwrap_or_default()
    }
}

/// All that is copied, in the order of the plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CopiedPackets {
    /// Renditions.
    pub videos: Vec<Arc<CopiedStream>>,
    /// Sounds.
    pub audios: Vec<Arc<CopiedStream>>,
}

/// Lists what a plan copies; nothing is read when it copies nothing.
///
/// # Errors
/// [`ErrorCode::NothingToTranscode`] when it cannot be copied as planned.
pub(super) async fn originals(
    tools: &Tools,
    plan: &Plan,
    input: MediaInput<'_>,
    cancel: &CancellationToken,
) -> Result<CopiedPackets, MediaError> {
    let videos = plan.videos.iter().filter(|video| video.copied().is_some()).count();
    let audios = plan.audios.iter().filter(|audio| audio.is_copied()).count();
    if videos + audios == 0 {
        return Ok(CopiedPackets::default());
    }
    let mut list = List::of(videos, audios);
    let access = Access { readable: input.readable(), writable: Vec::new() };
    let args = command::copied(plan, input.name());
    let call = Call { program: Program::Ffmpeg, args, access, stdin: input.stdin()? };
    let each = |line: &[u8]| list.line(&String::from_utf8_lossy(line));
    let ended = tools.lines(call, tools.pass_limits(), cancel, each).await?;
    super::finished(Program::Ffmpeg, Ok(ended)).map_err(refused_where_it_changes)?;
    list.check(plan).map_err(|detail| MediaError::new(ErrorCode::NothingToTranscode, detail))?;
    let mut streams = list.streams.into_iter().map(Arc::new);
    let videos = streams.by_ref().take(videos).collect();
    Ok(CopiedPackets { videos, audios: streams.take(audios).collect() })
}

/// Containers say once what a sound is.
fn refused_where_it_changes(error: MediaError) -> MediaError {
    if !error.log.contains(command::CHANGES) {
        return error;
    }
    let detail = "the rate or the channels of its sound change on the way, so that it cannot be copied; acodec `aac` \
                  would encode it";
    MediaError::new(ErrorCode::NothingToTranscode, detail).with_log(error.log)
}

/// Takes in the lines of FFmpeg's `framecrc`: `#tb 0: 1/90000`, then `stream, dts, pts, duration, …` of each
/// packet.
struct List {
    videos: usize,
    copied: usize,
    /// Renditions, sounds, and those packets of the picture that can be decoded alone, where that was asked.
    streams: Vec<CopiedStream>,
    groups: GopIndex,
    /// A stream with a packet that has no time.
    untimed: Option<usize>,
}

impl List {
    fn of(videos: usize, audios: usize) -> Self {
        let streams = vec![CopiedStream::default(); videos + audios + 1];
        Self { videos, copied: videos + audios, streams, groups: GopIndex::default(), untimed: None }
    }

    fn line(&mut self, line: &str) {
        if let Some((stream, base)) = line.strip_prefix("#tb ").and_then(|rest| rest.split_once(':')) {
            let tick = base.trim().split_once('/');
            let tick = tick.and_then(|(num, den)| Some(num.parse::<f64>().ok()? / den.parse::<f64>().ok()?));
            let original = stream.parse().ok().and_then(|stream: usize| self.streams.get_mut(stream));
            if let Some((original, tick)) = original.zip(tick) {
                original.tick = tick;
            }
            return;
        }
        let mut fields = line.split(',').map(str::trim);
        let mut next = || fields.next().and_then(|field| field.parse::<i64>().ok());
        let (Some(stream), Some(dts), Some(pts), lasts) = (next(), next(), next(), next()) else { return };
        let stream = usize::try_from(stream).unwrap_or(usize::MAX);
        let Some(original) = self.streams.get_mut(stream) else { return };
        if pts == i64::MIN && stream < self.copied {
            self.untimed.get_or_insert(stream);
        }
        let [shown, decoded, lasts] =
            [pts, dts, lasts.unwrap_or_default()].map(|time| time as f64 * original.tick);
        original.times.push(shown);
        original.end = original.end.max(shown + lasts);
        if stream < self.videos {
            // flags are said where they are not those of a plain key frame
            let flags = fields.find_map(|field| u32::from_str_radix(field.strip_prefix("F=0x")?, 16).ok());
            let is_key = flags.is_none_or(|flags| flags & 1 == 1);
            self.groups.add((shown, decoded, lasts), is_key, original.tick);
        }
    }

    /// Says why it cannot be copied as planned, if so, and what would do.
    fn check(&self, plan: &Plan) -> Result<(), String> {
        if let Some(stream) = self.untimed {
            let what = if stream < self.videos { "vcodec" } else { "acodec" };
            return Err(format!(
                "its packets do not say when they are shown, so that they cannot be copied; another {what} than \
                 `copy` would do"
            ));
        }
        let video = plan.videos.first().filter(|_| self.videos > 0);
        let Some((segmenting, video)) = plan.segmenting.zip(video) else { return Ok(()) };
        let alone = self.streams.last().filter(|_| codecs::video(video.codec).idr_nal_types().is_some());
        let alone = alone.map(|alone| alone.times.as_slice());
        let (seconds, longest) = (segmenting.seconds.as_f64(), segmenting.longest_copied());
        match self.groups.problem(alone, seconds, longest) {
            Some(problem) => Err(format!(
                "{problem}, so that it cannot be copied into segments; vcodec `h264` would encode it, or format \
                 `mp4` would copy it"
            )),
            None => Ok(()),
        }
    }
}

/// What stands between the key frames of a picture, in seconds.
#[derive(Default)]
struct GopIndex {
    /// When each key frame is shown.
    keys: Vec<f64>,
    /// How long before that the first one is decoded.
    ahead: f64,
    /// When the last frame is over, as it is shown and as it is decoded.
    ends: (f64, f64),
    /// Seconds by which times may be rounded.
    rounded: f64,
    /// A key frame of which something is shown before it.
    open: Option<f64>,
    /// A key frame that is decoded earlier or later than the first one.
    uneven: Option<f64>,
}

impl GopIndex {
    fn add(&mut self, (shown, decoded, lasts): (f64, f64, f64), is_key: bool, tick: f64) {
        self.ends = (self.ends.0.max(shown + lasts), decoded + lasts);
        self.rounded = 2.5 * tick;
        match self.keys.last() {
            _ if is_key => {
                let ahead = shown - decoded;
                if self.keys.is_empty() {
                    self.ahead = ahead;
                } else if (ahead - self.ahead).abs() > self.rounded {
                    self.uneven.get_or_insert(shown);
                }
                self.keys.push(shown);
            }
            Some(key) if shown < key - tick / 2.0 => {
                self.open.get_or_insert(*key);
            }
            _ => {}
        }
    }

    /// Why segments cannot begin at its key frames, if so: of which those that are `alone` can be decoded
    /// without any other. The packager cuts at the first one after each multiple of so many `seconds`, and
    /// tells the length of segments by when they are decoded.
    fn problem(&self, alone: Option<&[f64]>, seconds: f64, longest: f64) -> Option<String> {
        let is_alone =
            |key: &&f64| alone.is_none_or(|alone| alone.binary_search_by(|time| time.total_cmp(key)).is_ok());
        // the packager takes it for a file that forgets to say that it begins at 0
        if let Some(first) = self.keys.first().filter(|first| **first > 0.0 && **first == self.ahead) {
            return Some(format!("its picture begins {first:.2} s late"));
        }
        if let Some(at) = self.open.or(self.keys.iter().find(|key| !is_alone(key)).copied()) {
            return Some(format!("its picture refers to others over its key frame at {at:.2} s"));
        }
        let (end, decoded) = self.ends;
        let at_end = Some(end).filter(|_| (end - decoded - self.ahead).abs() > self.rounded);
        if let Some(at) = self.uneven.or(at_end) {
            return Some(format!("its frames come at uneven times before {at:.2} s"));
        }
        let number = |time: &f64| (time / seconds).floor();
        let cuts = self.keys.chunk_by(|a, b| number(a) == number(b)).filter_map(|keys| keys.first().copied());
        let cuts: Vec<f64> = cuts.chain([end]).collect();
        let length = cuts.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        (length > longest).then(|| {
            format!(
                "a segment from key frame to key frame would last {length:.1} s, more than {longest:.0} s"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn decoding_that_begins_at_zero() {
        let mut groups = GopIndex::default();
        groups.add((0.08, 0.0, 0.04), true, 0.001);
        groups.add((0.12, 0.04, 0.04), false, 0.001);
        assert_eq!(groups.problem(None, 1.0, 20.0).as_deref(), Some("its picture begins 0.08 s late"));
    }

    #[test]
    fn lists_are_read() {
        let mut list = List::of(1, 1);
        let said = "#software: Lavf62\n#tb 0: 1/1000\n#tb 1: 1/48000\n#dimensions 0: 256x144\n\
                    0,        -80,          0,       40,     3730, 0xe8a3cecb\n\
                    1,      -1024,      -1024,     1024,      256, 0xea44782a, F=0x5, S=1, Skip Samples, 10, 0x1\n\
                    0,        -40,        160,       40,     1462, 0x2608d22f, F=0x0\n";
        said.lines().for_each(|line| list.line(line));
        assert_eq!(list.streams[0].times, [0.0, 0.16]);
        assert_eq!(list.streams[0].seconds(), 0.2);
        assert_eq!(list.streams[1].times, [-1024.0 / 48_000.0]);
        assert_eq!((&list.groups.keys[..], list.groups.ahead), (&[0.0][..], 0.08));
        assert_eq!(list.untimed, None);
        list.line("1, 5, -9223372036854775808, 1, 1, 0x0");
        assert_eq!(list.untimed, Some(1));
    }

    /// Frames of 0.5 s, as they are decoded: when they are shown, and whether they are key frames.
    fn groups(frames: &[(f64, bool)]) -> GopIndex {
        let mut groups = GopIndex::default();
        for (index, (shown, is_key)) in frames.iter().enumerate() {
            groups.add((*shown, index as f64 * 0.5 - 0.5, 0.5), *is_key, 0.001);
        }
        groups
    }

    const CLOSED: [(f64, bool); 6] =
        [(0.0, true), (1.0, false), (0.5, false), (1.5, true), (2.5, false), (2.0, false)];

    #[rstest]
    #[case::closed(&CLOSED, None, 20.0, None)]
    #[case::idr(&CLOSED, Some(&[0.0, 1.5][..]), 20.0, None)]
    #[case::no_idr(&CLOSED, Some(&[0.0][..]), 20.0, Some("its picture refers to others over its key frame at 1.50 s"))]
    #[case::open(&[(0.0, true), (0.5, false), (1.5, true), (1.0, false)], None, 20.0,
        Some("its picture refers to others over its key frame at 1.50 s"))]
    #[case::uneven(&[(0.0, true), (0.7, false), (1.5, true)], None, 20.0, Some("its frames come at uneven times before 1.50 s"))]
    #[case::uneven_end(&[(0.0, true), (0.75, false)], None, 20.0, Some("its frames come at uneven times before 1.25 s"))]
    #[case::far(&CLOSED, None, 1.2, Some("a segment from key frame to key frame would last 1.5 s, more than 1 s"))]
    fn where_it_can_be_cut(
        #[case] frames: &[(f64, bool)],
        #[case] alone: Option<&[f64]>,
        #[case] longest: f64,
        #[case] problem: Option<&str>,
    ) {
        assert_eq!(groups(frames).problem(alone, 1.0, longest).as_deref(), problem);
    }
}
