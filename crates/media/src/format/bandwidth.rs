//! Bit rates of a media playlist, measured on its segments (RFC 8216, 4.1 and 4.3.4.2).

use std::{io, path::Path};

use super::{
    MAX_PLAYLIST_BYTES,
    hls::{self, Tag},
};
use crate::work_folder::WorkFolder;

/// Bit rates in bit/s.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Bandwidth {
    /// The largest of any run of segments with a duration of half to one and a half target durations.
    pub peak: f64,
    /// Of all segments together.
    pub average: f64,
}

impl Bandwidth {
    /// Of segments, each with its bytes and seconds. Without a target duration, that of the longest segment
    /// is taken.
    pub(crate) fn of(segments: &[(u64, f64)], target_duration: Option<f64>) -> Self {
        let longest = segments.iter().map(|(_, seconds)| seconds.round()).fold(1.0, f64::max);
        let target_duration = target_duration.unwrap_or(longest);
        let (_, average) = seconds_and_bit_rate(segments);
        // a playlist shorter than half a target duration has no run at all: its peak is its average
        let mut peak = average;
        for first in 0..segments.len() {
            for last in first..segments.len() {
                let (seconds, bit_rate) = seconds_and_bit_rate(&segments[first..=last]);
                if seconds > 1.5 * target_duration {
                    break;
                }
                if seconds >= 0.5 * target_duration {
                    peak = peak.max(bit_rate);
                }
            }
        }
        Self { peak, average }
    }

    /// The `bandwidth` of a DASH representation (ISO/IEC 23009-1, 5.3.5.4): a player that receives at this
    /// bit rate, and begins at any segment once it has buffered `min_buffer_time` seconds, never waits
    /// again. That is the peak, or more where any segment would take longer than the buffer to be received
    /// whole.
    pub(crate) fn peak_with_buffer(segments: &[(u64, f64)], min_buffer_time: f64) -> f64 {
        let rates = segments.iter().map(|(bytes, _)| *bytes as f64 * 8.0 / min_buffer_time.max(0.001));
        rates.fold(Self::of(segments, None).peak, f64::max)
    }

    /// The larger peak of both, and the larger average.
    pub(crate) fn max(self, other: Self) -> Self {
        Self { peak: self.peak.max(other.peak), average: self.average.max(other.average) }
    }

    /// Of two playlists that are played together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { peak: self.peak + other.peak, average: self.average + other.average }
    }

    /// Sets the attributes of a variant.
    pub(crate) fn write_to(self, tag: &mut Tag) {
        tag.set("BANDWIDTH", (self.peak.ceil() as u64).to_string());
        tag.set("AVERAGE-BANDWIDTH", (self.average.ceil() as u64).to_string());
    }

    /// Of the segments that a media playlist in `dir` names, or of the byte ranges in them.
    ///
    /// # Errors
    /// When the playlist cannot be read, or a segment is not there.
    pub(crate) fn of_playlist(dir: &WorkFolder, uri: &str) -> io::Result<Self> {
        let text = dir.read_text(uri, MAX_PLAYLIST_BYTES)?;
        let folder = Path::new(uri).parent().unwrap_or(Path::new(""));
        let mut segments = Vec::new();
        let (mut seconds, mut range, mut target_duration) = (0.0, None, None);
        for line in text.lines() {
            target_duration = hls::parse_target_duration(line).or(target_duration);
            seconds = hls::parse_extinf(line).unwrap_or(seconds);
            range = hls::parse_byte_range(line).or(range);
            if let Some(uri) = hls::parse_uri(line) {
                let bytes = match range.take() {
                    Some((length, _)) => length,
                    None => dir.bytes_of(folder.join(uri))?,
                };
                segments.push((bytes, seconds));
            }
        }
        Ok(Self::of(&segments, target_duration))
    }
}

/// The seconds of a run of segments, and its bit/s.
fn seconds_and_bit_rate(segments: &[(u64, f64)]) -> (f64, f64) {
    let bytes: u64 = segments.iter().map(|(bytes, _)| bytes).sum();
    let seconds: f64 = segments.iter().map(|(_, seconds)| seconds).sum();
    (seconds, bytes as f64 * 8.0 / seconds.max(0.001))
}
