//! From any file to outputs that play everywhere, in four steps: `probe` says what came in, `plan`
//! decides (a pure function), `run` does it with FFmpeg and Shaka Packager as sandboxed children,
//! `verify` looks at what came out.
//!
//! An output is only as good as `verify` says: a broken file called a success is the worst bug
//! there is here, a clear failure is not.

mod error;
mod plan;
mod source;

pub use error::MediaError;
pub use plan::{
    AudioPlan, PictureFilter, Plan, PlanSettings, RateControl, Segmenting, VideoPlan, plan,
};
pub use source::{AudioStream, FieldOrder, Picture, Source, Turn};
