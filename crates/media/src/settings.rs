//! What the operator decides about media work: how much of it is allowed, and how it is walled in.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::PlanSettings;

/// Everything that the operator decides about media work.
#[derive(Clone, Debug)]
pub struct MediaSettings {
    /// What an input and a child process may have.
    pub limits: Limits,
    /// Whether children run in a sandbox.
    pub sandbox: SandboxMode,
    /// x264's preset.
    pub x264_preset: String,
    /// x265's preset.
    pub x265_preset: String,
    /// SVT-AV1's preset, 0 (slowest) to 13.
    pub svtav1_preset: u8,
    /// libvpx's `cpu-used` for VP9, 0 (slowest) to 5.
    pub vp9_cpu_used: u8,
    /// Encoder threads in all; 0 leaves it to the encoder.
    pub threads: u32,
    /// A child that gets no further for so long is killed.
    pub stall: Duration,
}

impl Default for MediaSettings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            sandbox: SandboxMode::Auto,
            x264_preset: "medium".to_owned(),
            x265_preset: "medium".to_owned(),
            svtav1_preset: 8,
            vp9_cpu_used: 4,
            threads: 0,
            stall: Duration::from_secs(60),
        }
    }
}

impl MediaSettings {
    /// The part of them that the planner reads.
    pub fn plan_settings(&self) -> PlanSettings {
        PlanSettings {
            x264_preset: self.x264_preset.clone(),
            x265_preset: self.x265_preset.clone(),
            svtav1_preset: self.svtav1_preset,
            vp9_cpu_used: self.vp9_cpu_used,
            threads: self.threads,
        }
    }
}

/// What an input may be, and what a child process may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of an input.
    pub input_bytes: u64,
    /// How long an input may last.
    pub input_duration: Duration,
    /// Pixels across, and down.
    pub input_side: u32,
    /// Streams in an input.
    pub input_streams: u32,
    /// Bytes of address space of one child.
    pub address_space: u64,
    /// Processor time of one child, all threads together.
    pub cpu_time: Duration,
    /// Bytes of one file that a child writes.
    pub output_bytes: u64,
    /// Files that a child has open at once.
    pub open_files: u64,
    /// How long one run may take by the clock.
    pub run_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        const GIB: u64 = 1 << 30;
        const HOUR: u64 = 3600;
        Self {
            input_bytes: 10 * GIB,
            input_duration: Duration::from_secs(12 * HOUR),
            input_side: 8192,
            input_streams: 64,
            address_space: 64 * GIB,
            cpu_time: Duration::from_secs(1000 * HOUR),
            output_bytes: 64 * GIB,
            open_files: 1024,
            run_time: Duration::from_secs(72 * HOUR),
        }
    }
}

/// Whether children run in a sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SandboxMode {
    /// Nothing starts without it.
    Required,
    /// Where it works, which is tried at start.
    #[default]
    Auto,
    /// Never.
    Off,
}

impl fmt::Display for SandboxMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Required => "required",
            Self::Auto => "auto",
            Self::Off => "off",
        })
    }
}

impl FromStr for SandboxMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "required" => Ok(Self::Required),
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            other => Err(format!("`{other}` is not a sandbox mode; give `required`, `auto` or `off`")),
        }
    }
}
