//! Video and audio as FFmpeg decodes them by itself: small frames at a constant rate and the loudness of the
//! audio, to compare an output with its source.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

/// Pixels across and down of a small frame.
const SIDE: usize = 8;
const FRAME_BYTES: usize = SIDE * SIDE * 3;
/// Hz of the audio.
const SAMPLE_RATE: usize = 8000;
/// Samples that make one value of loudness.
const BLOCK_SAMPLES: usize = 16;
/// Values of loudness a second.
const BLOCK_RATE: f64 = (SAMPLE_RATE / BLOCK_SAMPLES) as f64;
/// Seconds at either end of an output that are compared.
const WINDOW_SECS: f64 = 8.0;
/// Seconds by which an output may be early or late and still be recognised.
const MAX_DELAY_SECS: f64 = 0.5;

/// Where to look, and for what.
pub(crate) struct DecodeRequest<'a> {
    pub(crate) ffmpeg: &'a Path,
    /// One with everything, or one for the video and one for the audio, whose time stamps have one origin.
    pub(crate) files: Vec<PathBuf>,
    /// FFmpeg's name of a video stream, such as `0:1`, and a frame rate.
    pub(crate) video: Option<(String, String)>,
    /// FFmpeg's name of an audio stream.
    pub(crate) audio: Option<String>,
}

/// Frames and loudness.
pub(crate) struct DecodedMedia {
    frames: Vec<u8>,
    loudness: Vec<f32>,
    /// Root mean square of the samples, 1 being the loudest there is.
    pub(crate) level: f64,
}

impl DecodeRequest<'_> {
    /// Decodes all of it.
    pub(crate) fn decode(&self) -> DecodedMedia {
        let work = tempfile::tempdir().expect("a folder");
        let (video, audio) = (work.path().join("video"), work.path().join("audio"));
        let mut command = Command::new(self.ffmpeg);
        command.args(["-nostdin", "-y", "-v", "quiet"]);
        for (number, file) in self.files.iter().enumerate() {
            if file.extension().is_some_and(|extension| extension == "m3u8") {
                command.args(["-allowed_extensions", "ALL", "-i"]).arg(file);
            } else {
                // a name that says something else than the content would be believed
                let nameless = work.path().join(number.to_string());
                symlink(file, &nameless).expect("a link");
                command.arg("-i").arg(nameless);
            }
        }
        if self.files.len() > 1 {
            // each would be moved to begin at 0
            command.arg("-copyts");
        }
        if let Some((name, rate)) = &self.video {
            let scale = format!("format=yuv444p,scale={SIDE}:{SIDE}:flags=area,format=rgb24");
            command.args(["-map", name, "-vf", &scale, "-r", rate, "-fps_mode", "cfr", "-f", "rawvideo"]);
            command.arg(&video);
        }
        if let Some(name) = &self.audio {
            let rate = SAMPLE_RATE.to_string();
            let from_the_start = "aresample=async=1:first_pts=0";
            command.args(["-map", name, "-af", from_the_start, "-ac", "1", "-ar", &rate, "-f", "s16le"]);
            command.arg(&audio);
        }
        // what it cannot decode is missing here, which the comparison sees
        let _ = command.status().expect("FFmpeg runs");
        let samples: Vec<f32> = fs::read(&audio)
            .unwrap_or_default()
            .chunks_exact(2)
            .map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32768.0)
            .collect();
        let power: f64 = samples.iter().map(|sample| f64::from(sample * sample)).sum();
        DecodedMedia {
            frames: fs::read(&video).unwrap_or_default(),
            loudness: samples
                .chunks(BLOCK_SAMPLES)
                .map(|block| block.iter().map(|s| s.abs()).sum())
                .collect(),
            level: (power / samples.len().max(1) as f64).sqrt(),
        }
    }
}

/// How an output lies beside its source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Comparison {
    /// Seconds by which the output is late.
    pub(crate) delay: f64,
    /// Mean difference of frames, of 255; for audio and for shapes, 1 minus the correlation.
    pub(crate) difference: f64,
}

impl DecodedMedia {
    /// How many frames.
    pub(crate) fn frame_count(&self) -> usize {
        self.frames.len() / FRAME_BYTES
    }

    /// Mean of red, green and blue over all frames.
    pub(crate) fn mean_colour(&self) -> [f64; 3] {
        let sum = |channel: usize| -> f64 {
            self.frames.iter().skip(channel).step_by(3).map(|value| f64::from(*value)).sum()
        };
        let pixels = (self.frames.len() / 3).max(1) as f64;
        [sum(0) / pixels, sum(1) / pixels, sum(2) / pixels]
    }

    fn frame(&self, index: i64) -> &[u8] {
        let last = self.frame_count().saturating_sub(1) as i64;
        let at = index.clamp(0, last) as usize * FRAME_BYTES;
        &self.frames[at..at + FRAME_BYTES]
    }

    fn loudness(&self, index: i64) -> f64 {
        let at = usize::try_from(index).ok().and_then(|index| self.loudness.get(index));
        at.map_or(0.0, |value| f64::from(*value))
    }

    /// How these frames compare with those of the source, at both ends; `start_offset` seconds of the source
    /// are not in it. `by_shape` forgives other brightness and contrast.
    pub(crate) fn compare_frames(
        &self,
        source: &Self,
        rate: f64,
        start_offset: f64,
        by_shape: bool,
    ) -> Vec<Comparison> {
        let difference = |range: (i64, i64), delay: i64| {
            let start_offset = (start_offset * rate).round() as i64;
            // some thirty of them tell enough
            let step = ((range.1 - range.0) / 30).max(1) as usize;
            let pairs = (range.0..range.1)
                .step_by(step)
                .map(|index| (self.frame(index), source.frame(index - delay + start_offset)));
            if by_shape {
                return 1.0 - correlation(&pairs.flat_map(sample_pairs).collect::<Vec<_>>());
            }
            let each: Vec<f64> = pairs.map(|(a, b)| mean_difference(a, b)).collect();
            each.iter().sum::<f64>() / each.len().max(1) as f64
        };
        if self.frame_count() == 0 || source.frame_count() == 0 {
            return Vec::new();
        }
        ends(self.frame_count() as i64, rate)
            .into_iter()
            .map(|range| best(range, rate, &difference))
            .collect()
    }

    /// The same of the audio.
    pub(crate) fn compare_audio(&self, source: &Self, start_offset: f64) -> Vec<Comparison> {
        let difference = |range: (i64, i64), delay: i64| {
            let start_offset = (start_offset * BLOCK_RATE).round() as i64;
            let pairs = (range.0..range.1)
                .map(|index| (self.loudness(index), source.loudness(index - delay + start_offset)));
            1.0 - correlation(&pairs.collect::<Vec<_>>())
        };
        ends(self.loudness.len() as i64, BLOCK_RATE)
            .into_iter()
            .map(|range| best(range, BLOCK_RATE, &difference))
            .collect()
    }
}

/// The first and the last seconds of so many.
fn ends(count: i64, rate: f64) -> Vec<(i64, i64)> {
    let window = (WINDOW_SECS * rate) as i64;
    if count <= window { vec![(0, count)] } else { vec![(0, window), (count - window, count)] }
}

/// The smallest difference within reach; none at all is preferred when it is hardly worse.
fn best(range: (i64, i64), rate: f64, difference: &impl Fn((i64, i64), i64) -> f64) -> Comparison {
    let reach = (MAX_DELAY_SECS * rate).round() as i64;
    let none = difference(range, 0);
    let (delay, least) = (-reach..=reach)
        .map(|delay| (delay, difference(range, delay)))
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap_or((0, none));
    if none <= least * 1.1 + 0.02 {
        return Comparison { delay: 0.0, difference: none };
    }
    Comparison { delay: delay as f64 / rate, difference: least }
}

fn mean_difference(a: &[u8], b: &[u8]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / FRAME_BYTES as f64
}

fn sample_pairs<'p>((a, b): (&'p [u8], &'p [u8])) -> impl Iterator<Item = (f64, f64)> + 'p {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)))
}

/// 1 for the same shape, and where both are flat.
fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let count = pairs.len().max(1) as f64;
    let (sum_a, sum_b) = pairs.iter().fold((0.0, 0.0), |(a, b), pair| (a + pair.0, b + pair.1));
    let (mean_a, mean_b) = (sum_a / count, sum_b / count);
    let (mut of_a, mut of_b, mut both) = (0.0, 0.0, 0.0);
    for (a, b) in pairs {
        of_a += (a - mean_a).powi(2);
        of_b += (b - mean_b).powi(2);
        both += (a - mean_a) * (b - mean_b);
    }
    let flat = |power: f64, mean: f64| (power / count).sqrt() <= 0.1 * mean + 0.002;
    match (flat(of_a, mean_a), flat(of_b, mean_b)) {
        (true, true) => 1.0,
        (false, false) => both / (of_a * of_b).sqrt(),
        _ => 0.0,
    }
}
