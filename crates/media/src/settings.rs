//! What the operator decides about media work: how much of it is allowed, and how it is walled in.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::plan::PlanSettings;

const GIB: u64 = 1 << 30;
const HOUR_SECS: u64 = 3600;

/// Everything that the operator decides about media work.
#[derive(Clone, Debug)]
pub struct MediaOptions {
    /// What an input may be.
    pub input: InputLimits,
    /// What a child process may take.
    pub tools: ToolLimits,
    /// Whether children run in a sandbox.
    pub sandbox: SandboxMode,
    /// Folders and files that children see nothing of, wherever they lie, but for what each is given.
    pub hidden: Vec<PathBuf>,
    /// What plans are made by.
    pub plan: PlanSettings,
}

impl Default for MediaOptions {
    fn default() -> Self {
        Self {
            input: InputLimits::default(),
            tools: ToolLimits::default(),
            sandbox: SandboxMode::Auto,
            hidden: Vec::new(),
            plan: PlanSettings::default(),
        }
    }
}

/// What an input may be.
#[derive(Clone, Debug)]
pub struct InputLimits {
    /// Bytes of the file.
    pub bytes: u64,
    /// How long it may be.
    pub duration: Duration,
    /// Pixels across, and down.
    pub side_pixels: u32,
    /// Streams of any kind.
    pub streams: u32,
}

impl Default for InputLimits {
    fn default() -> Self {
        Self {
            bytes: 10 * GIB,
            duration: Duration::from_secs(12 * HOUR_SECS),
            side_pixels: 8192,
            streams: 64,
        }
    }
}

/// What a child process may take.
#[derive(Clone, Copy, Debug)]
pub struct ToolLimits {
    /// What the kernel holds it to.
    pub resources: ResourceLimits,
    /// How long one run may take by the clock.
    pub run_time: Duration,
    /// A child without progress for so long is killed.
    pub stall_timeout: Duration,
}

impl Default for ToolLimits {
    fn default() -> Self {
        Self {
            resources: ResourceLimits::default(),
            run_time: Duration::from_secs(72 * HOUR_SECS),
            stall_timeout: Duration::from_secs(60),
        }
    }
}

/// What the kernel holds a child process to (setrlimit(2)).
#[derive(Clone, Copy, Debug)]
pub struct ResourceLimits {
    /// Bytes of address space.
    pub address_space_bytes: u64,
    /// Bytes of memory of its own, which is less than its address space.
    pub memory_bytes: u64,
    /// Processor time, all threads together.
    pub cpu_time: Duration,
    /// Bytes of one file that it writes.
    pub file_bytes: u64,
    /// Files that it has open at once.
    pub open_files: u64,
}

impl Default for ResourceLimits {
    fn default() -> Self {
        Self {
            address_space_bytes: 64 * GIB,
            memory_bytes: 64 * GIB,
            cpu_time: Duration::from_secs(1000 * HOUR_SECS),
            file_bytes: 64 * GIB,
            open_files: 1024,
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
