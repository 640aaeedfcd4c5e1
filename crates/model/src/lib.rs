//! The data model of Borealis: what a customer asks for, and what came of it.
//!
//! Pure: no runtime, no SQL, no HTTP; time is read through a [`Clock`] that is handed in. Everything that
//! crosses the wire or is stored as JSON is defined here once; other crates combine these types and add
//! none like them.

mod callback;
mod clock;
mod code;
mod codec;
mod container;
mod field;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod id;
mod input;
mod key;
pub mod limits;
mod logo;
mod output;
mod rational;
mod report;
mod secret;
mod storage;
mod task;
mod template;
mod upload;

pub use callback::{Attempt, Callback, CallbackNext, CallbackStatus};
pub use clock::{Clock, SystemClock, Timestamp};
pub use code::{ErrorCode, Failure};
pub use codec::{AudioCodec, AudioMode, VideoCodec, VideoMode};
pub use container::{CONTAINERS, Container};
pub use field::{FieldError, check_text, remove_unset};
pub use id::{BatchId, CallbackId, JobId, ParseIdError, StorageId, TaskId, TenantId, UploadId, WorkerId};
pub use input::{Input, InputLocation};
pub use key::{AccessKey, Role};
pub use logo::{Distance, Length, LogoOffset, LogoSize};
pub use output::OutputPath;
pub use rational::Rational;
pub use report::{OutputReport, SourceReport, TaskReport};
pub use secret::Secret;
pub use storage::{NotifyPolicy, NotifySettings, NotifySuccess, ObjectSettings, Storage, StorageType};
pub use task::{
    ExtraOptions, GroupFormat, OutputFacts, OutputGroup, Priority, SourceFacts, Stage, Task, TaskEnd,
    TaskSpec, TaskState, TaskStatus, WrongState,
};
pub use template::{
    Box2d, Encryption, Format, Hdr, Loudness, Rendition, Resolution, SampleRate, SegmentType, Template,
    TemplateName, Thumbnail, TransMode, predefined_templates,
};
pub use upload::Upload;
