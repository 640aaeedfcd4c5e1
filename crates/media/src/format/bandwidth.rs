//! Bit rates of a media playlist, measured on its files (RFC 8216, 4.1 and 4.3.4.2).

use std::{fs, io, path::Path};

use super::hls::{self, Tag};

/// Bit rates in bit/s.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Bandwidth {
    /// The largest of any run of segments that lasts half to one and a half target durations.
    pub peak: f64,
    /// Of the whole.
    pub average: f64,
}

impl Bandwidth {
    /// Of segments, each with its bytes and seconds. Without a target duration it is that of the longest.
    pub(crate) fn of(segments: &[(u64, f64)], target: Option<f64>) -> Self {
        let longest = segments.iter().map(|(_, seconds)| seconds.round()).fold(1.0, f64::max);
        let target = target.unwrap_or(longest);
        let average = rate(segments).1;
        // What is shorter than half a target duration has no run at all: its peak is the whole.
        let mut peak = average;
        for from in 0..segments.len() {
            let runs = (from + 1..=segments.len()).map(|to| rate(&segments[from..to]));
            let short_enough = runs.take_while(|(seconds, _)| *seconds <= 1.5 * target);
            let long_enough = short_enough.filter(|(seconds, _)| *seconds >= 0.5 * target);
            peak = long_enough.map(|(_, bits)| bits).fold(peak, f64::max);
        }
        Self { peak, average }
    }

    /// The peak, or more where one needs more to have any segment whole once so many seconds have been buffered: at this
    /// rate a player that begins at any of them never waits again (ISO/IEC 23009-1, 5.3.5.4).
    pub(crate) fn behind_a_buffer(segments: &[(u64, f64)], buffer: f64) -> f64 {
        let rates = segments.iter().map(|(bytes, _)| *bytes as f64 * 8.0 / buffer.max(0.001));
        rates.fold(Self::of(segments, None).peak, f64::max)
    }

    /// The larger of both, each for itself.
    pub(crate) fn larger(self, other: Self) -> Self {
        Self { peak: self.peak.max(other.peak), average: self.average.max(other.average) }
    }

    /// Both at once.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { peak: self.peak + other.peak, average: self.average + other.average }
    }

    /// Sets the attributes of a variant.
    pub(crate) fn write(self, tag: &mut Tag) {
        tag.set("BANDWIDTH", (self.peak.ceil() as u64).to_string());
        tag.set("AVERAGE-BANDWIDTH", (self.average.ceil() as u64).to_string());
    }
}

/// Seconds, and bit/s.
fn rate(run: &[(u64, f64)]) -> (f64, f64) {
    let bytes: u64 = run.iter().map(|(bytes, _)| bytes).sum();
    let seconds: f64 = run.iter().map(|(_, seconds)| seconds).sum();
    (seconds, bytes as f64 * 8.0 / seconds.max(0.001))
}

/// Of the segments that a media playlist names, or of the ranges in them.
pub(crate) fn measure(playlist: &Path) -> io::Result<Bandwidth> {
    let text = fs::read_to_string(playlist)?;
    let folder = playlist.parent().unwrap_or(playlist);
    let mut segments = Vec::new();
    let (mut seconds, mut range, mut target) = (0.0, None, None);
    for line in text.lines() {
        target = hls::target_duration(line).or(target);
        seconds = hls::extinf(line).unwrap_or(seconds);
        range = hls::byte_range(line).or(range);
        if let Some(uri) = hls::uri(line) {
            let bytes = match range.take() {
                Some((length, _)) => length,
                None => fs::metadata(folder.join(uri))?.len(),
            };
            segments.push((bytes, seconds));
        }
    }
    Ok(Bandwidth::of(&segments, target))
}
