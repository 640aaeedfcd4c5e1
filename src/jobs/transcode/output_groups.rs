//! The groups of an output as the customer sees them: the main object first, then what lies beside it.

use media::{OutputLayout, Plan};
use model::{GroupFormat, OutputGroup, Task};

/// Every object of an output that a customer may want to open.
pub(super) fn output_groups(task: &Task, plan: &Plan) -> Vec<OutputGroup> {
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
        let output = uri_in_folder(task, plan, &OutputLayout::second_manifest());
        groups.push(OutputGroup { format: format.into(), output, ..main });
    }
    if plan.thumbnails.is_some() {
        let group = |custom_name: &str, format, path: &str| OutputGroup {
            custom_name: custom_name.to_owned(),
            format,
            seg_type: None,
            seg_time: 0,
            output: uri_in_folder(task, plan, path),
        };
        groups.push(group("thumbnails", GroupFormat::Jpg, &OutputLayout::thumbnail(1)));
        groups.push(group("storyboard", GroupFormat::Vtt, &OutputLayout::storyboard()));
    }
    groups
}

/// The full URI of a file that is not the main one, by its path below the output's folder.
fn uri_in_folder(task: &Task, plan: &Plan, path: &str) -> String {
    let bucket = task.output_uri.strip_suffix(task.spec.output.key()).unwrap_or_default();
    format!(
        "{bucket}{}",
        task.spec.output.key_in_folder(plan.format, OutputLayout::below_files(path).unwrap_or(path))
    )
}
