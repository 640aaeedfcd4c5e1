//! Templates, sources and plans for the tests of all steps.

use model::{Rational, Template};
use serde_json::{Value, json};

use crate::{
    error::MediaError,
    plan::{Plan, PlanRequest, PlanSettings},
    planner,
    source::{AudioStream, FieldOrder, HdrMetadata, Orientation, Source, UndecodableCodecs, VideoStream},
};

/// What an operator decides who decides nothing.
pub(crate) fn settings() -> PlanSettings {
    PlanSettings::default()
}

/// A template by its fields.
pub(crate) fn template(fields: Value) -> Template {
    let mut all = json!({"template_name": "t"});
    for (name, value) in fields.as_object().expect("fields") {
        all[name] = value.clone();
    }
    serde_json::from_value(model::remove_unset(all)).expect("a template")
}

/// 30 s of H.264 in BT.709.
pub(crate) fn video(width: u32, height: u32, rate: &str) -> VideoStream {
    VideoStream {
        index: 0,
        codec: "h264".to_owned(),
        profile: "High".to_owned(),
        width,
        height,
        sample_aspect: Rational::whole(1),
        orientation: Orientation::default(),
        frame_rate: rate.parse().expect("a rate"),
        is_variable_frame_rate: false,
        field_order: FieldOrder::Progressive,
        top_field_first: true,
        pixel_format: "yuv420p".to_owned(),
        color_range: "tv".to_owned(),
        color_space: "bt709".to_owned(),
        color_transfer: "bt709".to_owned(),
        color_primaries: "bt709".to_owned(),
        hdr_metadata: HdrMetadata::default(),
        start: 0.0,
        end: 30.0,
    }
}

/// 30 s of AAC.
pub(crate) fn audio(index: u32, channels: u32, language: &str) -> AudioStream {
    AudioStream {
        index,
        codec: "aac".to_owned(),
        profile: "LC".to_owned(),
        channels,
        layout: String::new(),
        sample_rate: 48_000,
        language: language.to_owned(),
        title: String::new(),
        start: 0.0,
        end: 30.0,
    }
}

/// An MP4 file of these streams.
pub(crate) fn source(video: Option<VideoStream>, audios: Vec<AudioStream>) -> Source {
    Source {
        container: "mov,mp4,m4a,3gp,3g2,mj2".to_owned(),
        size: 1_000_000,
        duration: 30.0,
        start_offset: 0.0,
        duration_is_indexed: true,
        video,
        audios,
        undecodable: UndecodableCodecs::default(),
        title: String::new(),
        has_chapters: false,
        corrections: Vec::new(),
        clip: None,
        facts: model::SourceFacts::default(),
    }
}

/// What is made of a source by a template with these fields.
pub(crate) fn plan(fields: Value, source: &Source) -> Plan {
    try_plan(&template(fields), source).expect("a plan")
}

/// The same where it may be refused.
pub(crate) fn try_plan(template: &Template, source: &Source) -> Result<Plan, MediaError> {
    planner::plan(&PlanRequest::new(template, source, &settings()))
}
