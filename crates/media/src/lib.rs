//! From any file to outputs that play everywhere, in four steps: `probe` finds out what the input is,
//! `plan` decides (a pure function), `run` makes the output with FFmpeg and Shaka Packager as sandboxed
//! children, `verify` inspects it.
//!
//! A broken output that is called a success is the worst bug there is here; a clear failure is not.

mod codecs;
mod colour;
mod error;
#[cfg(test)]
mod fixtures;
mod format;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod input;
mod layout;
mod logo;
mod media;
mod memory;
mod output;
mod plan;
mod planner;
mod playlists;
mod probe;
mod run;
mod settings;
mod source;
mod tool;
mod verify;
mod work_folder;

pub use colour::Colour;
pub use error::MediaError;
pub use input::{GrowingInput, InputFeed, MediaInput, growing_input};
pub use layout::OutputLayout;
pub use logo::{MAX_LOGO_BYTES, check_logo, logo_file};
pub use media::Media;
pub use output::RunOutput;
pub use plan::{
    AudioPlan, Coding, Encoding, LogoPlan, Plan, PlanRequest, PlanSettings, RateControl, Segmenting,
    ThumbnailPlan, VideoFilter, VideoPlan,
};
pub use planner::plan;
pub use playlists::{
    growing_main_playlist, growing_media_playlist, is_growing, relocate, relocate_main_file,
};
pub use run::RunObserver;
pub use settings::{InputLimits, MediaOptions, ResourceLimits, SandboxMode, ToolLimits};
pub use source::{
    AudioStream, Clip, FieldOrder, HdrMetadata, MasteringDisplay, Orientation, Source, TimestampCorrection,
    UndecodableCodecs, VideoStream,
};
pub use tool::{
    Tools,
    programs::{Program, Programs, ProgramsError},
};
pub use verify::Measured;
pub use work_folder::{NotPlain, WorkFile, WorkFolder};
