//! `[media]`: which tools are used, and what an input may be.

use std::{path::PathBuf, time::Duration};

use media::{InputLimits, PlanSettings, SandboxMode, ToolLimits};
use serde::{Deserialize, Serialize};
use storage::fetch::{FetchLimits, RateLimit};

use super::value;

/// How many redirects an input may take.
const REDIRECTS: u8 = 5;

/// Which tools are used, and what an input may be.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct MediaSettings {
    /// The folder of the media tools; `None`: they are looked for.
    #[serde(with = "value::optional")]
    pub tools: Option<PathBuf>,
    /// Whether the tools run in a sandbox.
    #[serde(deserialize_with = "value::word")]
    pub sandbox: SandboxMode,
    /// The largest input, in bytes.
    #[serde(with = "value::size")]
    pub max_size: u64,
    /// The longest input.
    #[serde(with = "value::duration")]
    pub max_duration: Duration,
    /// The largest width and the largest height of an input, in pixels.
    #[serde(deserialize_with = "value::count")]
    pub max_side: u32,
    /// The most streams in an input.
    #[serde(deserialize_with = "value::count")]
    pub max_streams: u32,
    /// How long an input's server may send nothing.
    #[serde(with = "value::duration")]
    pub input_idle: Duration,
    /// The least bytes a second of an input, on the average of `input_rate_window`.
    #[serde(with = "value::size")]
    pub input_rate: u64,
    /// What the rate of an input is measured over.
    #[serde(with = "value::duration")]
    pub input_rate_window: Duration,
    /// How long fetching and probing an input may take.
    #[serde(with = "value::duration")]
    pub input_deadline: Duration,
    /// The preset of x264.
    #[serde(deserialize_with = "value::word")]
    pub x264_preset: Preset,
    /// The preset of x265.
    #[serde(deserialize_with = "value::word")]
    pub x265_preset: Preset,
    /// The preset of SVT-AV1.
    #[serde(deserialize_with = "value::up_to::<13, _>")]
    pub svtav1_preset: u8,
    /// The speed of libvpx for VP9.
    #[serde(deserialize_with = "value::up_to::<8, _>")]
    pub vp9_cpu_used: u8,
    /// Encoder threads of one task; 0 leaves it to the encoder.
    #[serde(deserialize_with = "value::number")]
    pub threads: u32,
    /// How long a tool may make no progress.
    #[serde(with = "value::duration")]
    pub stall: Duration,
    /// Free bytes on the disk below which no new task is begun.
    #[serde(with = "value::size")]
    pub min_free_disk: u64,
}

/// A preset of x264 and x265: the slower, the smaller the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the encoders' own words")]
pub enum Preset {
    Ultrafast,
    Superfast,
    Veryfast,
    Faster,
    Fast,
    Medium,
    Slow,
    Slower,
    Veryslow,
}

impl Preset {
    /// Its word on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ultrafast => "ultrafast",
            Self::Superfast => "superfast",
            Self::Veryfast => "veryfast",
            Self::Faster => "faster",
            Self::Fast => "fast",
            Self::Medium => "medium",
            Self::Slow => "slow",
            Self::Slower => "slower",
            Self::Veryslow => "veryslow",
        }
    }
}

impl MediaSettings {
    /// What the media work is told.
    pub fn media_options(&self) -> media::MediaOptions {
        media::MediaOptions {
            input: InputLimits {
                bytes: self.max_size,
                duration: self.max_duration,
                side_pixels: self.max_side,
                streams: self.max_streams,
            },
            tools: ToolLimits { stall_timeout: self.stall, ..ToolLimits::default() },
            sandbox: self.sandbox,
            hidden: Vec::new(),
            plan: PlanSettings {
                x264_preset: self.x264_preset.as_str().to_owned(),
                x265_preset: self.x265_preset.as_str().to_owned(),
                svtav1_preset: self.svtav1_preset,
                vp9_cpu_used: self.vp9_cpu_used,
                threads: self.threads,
            },
        }
    }

    /// Free disk below which no upload goes on: before new tasks are no longer begun, and long before running
    /// ones are stopped.
    pub fn upload_min_free_disk(&self) -> u64 {
        self.min_free_disk.saturating_mul(2)
    }

    /// How far the fetch of an input may go.
    pub fn fetch_limits(&self) -> FetchLimits {
        FetchLimits {
            max_bytes: self.max_size,
            idle_timeout: self.input_idle,
            rate: RateLimit { min_bytes_per_second: self.input_rate, window: self.input_rate_window },
            max_redirects: REDIRECTS,
        }
    }
}
