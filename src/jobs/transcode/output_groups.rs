//! The groups of an output as the customer sees them: the main object first, then what lies beside it.

use media::{OutputLayout, Plan};
use model::{GroupFormat, OutputGroup, Task};

use super::objects::ObjectKeys;

/// Every object of an output that a customer may want to open.
pub(super) fn output_groups(task: &Task, plan: &Plan, keys: &ObjectKeys<'_>) -> Vec<OutputGroup> {
    let main = OutputGroup {
        custom_name: String::new(),
        format: plan.format.into(),
        seg_type: plan.segmenting.map(|segmenting| segmenting.segment_type),
        seg_time: if plan.segmenting.is_some() { task.spec.template.segment_seconds() } else { 0 },
        output: task.output_uri.clone(),
    };
    let mut groups = vec![main.clone()];
    if let Some(format) = plan.also {
        // a second manifest over the same segments
        let output = uri(task, keys, &OutputLayout::second_manifest());
        groups.push(OutputGroup { format: format.into(), output, ..main });
    }
    if plan.thumbnails.is_some() {
        let group = |custom_name: &str, format, path: &str| OutputGroup {
            custom_name: custom_name.to_owned(),
            format,
            seg_type: None,
            seg_time: 0,
            output: uri(task, keys, path),
        };
        groups.push(group("thumbnails", GroupFormat::Jpg, &OutputLayout::thumbnail(1)));
        groups.push(group("storyboard", GroupFormat::Vtt, &OutputLayout::storyboard()));
    }
    groups
}

/// The full URI of a file by its path below the output's folder on this machine.
fn uri(task: &Task, keys: &ObjectKeys<'_>, path: &str) -> String {
    let bucket = task.output_uri.strip_suffix(keys.main()).unwrap_or_default();
    format!("{bucket}{}", keys.of(path))
}
