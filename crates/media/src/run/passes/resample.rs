//! Resampling of audio whose sample rate or channels change on the way, into a file of its own. Most audio
//! that may change does not: FFmpeg finds out while the output is made, which then is made once more.

use std::ffi::OsString;

use crate::{
    codecs,
    error::MediaError,
    memory,
    plan::{AudioPlan, Plan},
    run::{
        RunContext,
        args::{CommandContext, ffmpeg, resampled},
        failure::{self, AUDIO_CHANGED_MESSAGE, Diagnosis},
        work_folder_failed,
    },
    tool::{
        Call,
        child::{Access, CallLimits},
        ffmpeg::{file_url, open_input, words},
        programs::Program,
    },
};

/// Whether a run failed because audio changed that can be resampled. A playlist that has grown already
/// cannot begin again.
pub(in crate::run) fn would_help(plan: &Plan, error: &MediaError) -> bool {
    let parameters_may_change =
        plan.audios.iter().any(|audio| audio.parameters_may_change && !audio.is_copied());
    !plan.is_growing && parameters_may_change && error.log.contains(AUDIO_CHANGED_MESSAGE)
}

/// Writes all audio that may change into the file in the work folder; gives the indices of its streams.
pub(in crate::run) async fn resample(context: &RunContext<'_>) -> Result<Vec<u32>, MediaError> {
    let RunContext { tools, plan, input, work, .. } = *context;
    let parameters_may_change = plan.audios.iter().filter(|audio| audio.parameters_may_change);
    let streams: Vec<u32> = parameters_may_change.map(|audio| audio.index).collect();
    let command = CommandContext { resampled: &streams, ..context.command() };
    let dir = resampled::dir(work);
    tokio::fs::create_dir_all(&dir).await.map_err(|error| work_folder_failed(&error))?;
    let access = Access { readable: input.readable(), writable: vec![dir], current: None };
    let limits = CallLimits { deadline: tools.limits.run_time, ..CallLimits::default() };
    let memory_bytes = memory::of_run(context.plan);
    let call =
        Call { program: Program::Ffmpeg, args: args(&command), access, stdin: input.stdin()?, memory_bytes };
    let captured = tools.capture(call, limits, context.cancel).await?;
    if captured.status.success() {
        return Ok(streams);
    }
    let Diagnosis { code, detail } =
        failure::diagnose(Program::Ffmpeg, captured.status, &captured.stderr_tail);
    Err(MediaError::new(code, detail).with_log(captured.stderr_tail))
}

/// Before the audios comes silence that begins at 0, as the file then does.
fn args(context: &CommandContext<'_>) -> Vec<OsString> {
    let CommandContext { plan, input, work, .. } = *context;
    let (resampled, others): (Vec<&AudioPlan>, Vec<&AudioPlan>) =
        plan.audios.iter().partition(|audio| context.resampled.contains(&audio.index));
    let mut args = ffmpeg::global_options("warning");
    args.extend(ffmpeg::input_position(plan));
    args.extend(open_input(input, false));
    args.extend(words(&["-f", "lavfi", "-i", "anullsrc=d=0.1"]));
    let video = plan.video_filter.iter().map(|video| video.index);
    args.extend(resampled::read_and_discard(video.chain(others.iter().map(|audio| audio.index))));
    args.extend(words(&["-map", "1:a"]));
    for (number, audio) in resampled.into_iter().enumerate() {
        let AudioPlan { index, sample_rate, channels, .. } = *audio;
        let layout = codecs::layout(channels);
        let filters = format!("aresample=osr={sample_rate}:ochl={layout}:osf=flt,atrim=start=0");
        args.extend(words(&["-map", &format!("0:{index}")]));
        args.extend(words(&[&format!("-filter:a:{}", number + 1), &filters]));
    }
    // audio that begins late leaves the others waiting for the file's header
    args.extend(words(&["-c:a", "pcm_f32le", "-max_muxing_queue_size", "1000000", "-f", "nut"]));
    args.push(file_url(&resampled::file(work)));
    args
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::{
        fixtures,
        run::args::{
            commands,
            tests::{broadcast, context, shown_ffmpeg},
        },
    };

    /// The second of three changes, as the third may.
    #[test]
    fn audios_that_change_are_resampled() {
        let mut source = broadcast();
        source.audios[1].codec = "ac3".to_owned();
        source.audios[2].codec = "mp3".to_owned();
        let template =
            fixtures::template(json!({"format": "hls", "logo_path": "https://example.com/logo.png"}));
        let plan = fixtures::try_plan(&template, &source).expect("a plan");
        assert_eq!(
            plan.audios.iter().map(|audio| audio.parameters_may_change).collect::<Vec<_>>(),
            [false, true, true]
        );
        let resampled = [plan.audios[1].index];
        let context = CommandContext { resampled: &resampled, ..context(&plan) };
        assert_eq!((context.input, context.work), (Path::new("/job/input"), Path::new("/job")));
        let both = [args(&context), commands(&context).ffmpeg].map(shown_ffmpeg);
        insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!("resampled", both.join("\n"));
        });
    }
}
