//! Loudness (EBU R 128), the first of two passes over audio for which a target is asked: it is measured as it
//! would come out. The second pass is the encoding, which changes it by one gain from start to end.

use std::ffi::OsString;

use model::{ErrorCode, Loudness};

use crate::{
    error::MediaError,
    memory,
    plan::Plan,
    run::{
        RunContext,
        args::{
            CommandContext, ffmpeg,
            filters::{self, CEILING_DBFS, Gain},
            resampled,
        },
        failure,
    },
    tool::{
        Call,
        child::Access,
        ffmpeg::{open_input, words},
        programs::Program,
        progress::Progress,
    },
};

/// LUFS below which there is nothing to be heard, let alone raised; the meter's own floor is -70.
const SILENCE_LUFS: f64 = -69.0;
/// LU that the loudness may be away from the target.
const TARGET_TOLERANCE_LU: f64 = 0.5;
/// Times that the loudness is measured again where a limiter made it quieter than was reckoned.
const MAX_REPEATS: usize = 3;
/// The filter that measures loudness; each has the number of its audio for a name.
const METER: &str = "ebur128";

/// Whether a plan needs this pass.
pub(in crate::run) fn is_needed(plan: &Plan) -> bool {
    plan.audios.iter().any(|audio| audio.loudness.is_some())
}

/// The gain of each audio of a plan; none where it stays as it is.
pub(in crate::run) async fn measure_gains(
    context: &RunContext<'_>,
    mut on_progress: impl FnMut(Progress),
) -> Result<Vec<Option<Gain>>, MediaError> {
    let plan = context.plan;
    let mut gains: Vec<Option<Gain>> = vec![None; plan.audios.len()];
    if !is_needed(plan) {
        return Ok(gains);
    }
    for _ in 0..=MAX_REPEATS {
        let log = measure(context, &gains, &mut on_progress).await?;
        let mut is_done = true;
        for (number, audio) in plan.audios.iter().enumerate() {
            let Some(loudness) = audio.loudness else { continue };
            let measured = Measurement::parse(&log, number).ok_or_else(|| {
                MediaError::new(ErrorCode::Internal, "ffmpeg measured no loudness").with_log(&log)
            })?;
            let gain = improved_gain(loudness, gains[number], measured);
            // without a limiter it comes out as it was reckoned
            is_done &= gain == gains[number] || gain.is_none_or(|gain| gain.ceiling.is_none());
            gains[number] = gain;
        }
        if is_done {
            break;
        }
    }
    Ok(gains)
}

/// Measures every audio with the gains so far; gives FFmpeg's log.
async fn measure(
    context: &RunContext<'_>,
    gains: &[Option<Gain>],
    on_progress: &mut impl FnMut(Progress),
) -> Result<String, MediaError> {
    let RunContext { tools, input, .. } = *context;
    let access = Access::read(context.readable());
    let args = args(&CommandContext { gains, ..context.command() });
    let memory_bytes = memory::of_run(context.plan);
    let call = Call { program: Program::Ffmpeg, args, access, stdin: input.stdin()?, memory_bytes };
    let mut child = tools.start(call).await?;
    let follow = child.follow(tools.limits.stall_timeout, || input.was_starved(), on_progress);
    let outcome = tokio::select! {
        biased;
        () = context.cancel.cancelled() => Err(MediaError::new(ErrorCode::Cancelled, "")),
        ended = follow => failure::check(Program::Ffmpeg, ended),
    };
    if outcome.is_err() {
        child.kill().await;
    }
    outcome
}

/// The decoded audio goes nowhere.
pub(in crate::run) fn args(context: &CommandContext<'_>) -> Vec<OsString> {
    let CommandContext { plan, input, .. } = *context;
    // the meter logs its summary at this level
    let mut args = ffmpeg::global_options("info");
    args.extend(ffmpeg::input_position(plan));
    args.extend(resampled::fail_on_change(context));
    args.extend(open_input(input, false));
    args.extend(resampled::open(context));
    for (number, audio) in plan.audios.iter().enumerate() {
        let stream = resampled::stream_specifier(context, audio, 1);
        let graph = filters::audio_graph(context, number, &stream);
        let meter = format!("{METER}@{number}=peak=true:framelog=quiet");
        args.extend(words(&["-filter_complex", &format!("{graph},{meter}[a{number}]")]));
    }
    for number in 0..plan.audios.len() {
        args.extend(ffmpeg::map_label('a', number));
    }
    args.extend(words(&["-f", "null", "-"]));
    args
}

/// What the meter measured.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Measurement {
    /// Integrated loudness, in LUFS.
    integrated: f64,
    /// True peak, in dBTP.
    peak: f64,
}

impl Measurement {
    /// Reads the summary of the meter with this number.
    fn parse(log: &str, number: usize) -> Option<Self> {
        let (_, summary) = log.split_once(&format!("[{METER}@{number} @ "))?;
        let value = |name: &str| {
            let (_, rest) = summary.split_once(name)?;
            rest.split_whitespace().next()?.parse::<f64>().ok()
        };
        Some(Self { integrated: value("I:")?, peak: value("Peak:")? })
    }
}

/// The gain that brings audio to its target, after what was measured with the gain so far; none for silence.
fn improved_gain(loudness: Loudness, so_far: Option<Gain>, measured: Measurement) -> Option<Gain> {
    let target = match loudness {
        Loudness::EbuR128 => -23.0,
    };
    let missing = target - measured.integrated;
    let is_silent = measured.integrated <= SILENCE_LUFS;
    let is_close = so_far.is_some() && missing.abs() < TARGET_TOLERANCE_LU;
    if is_silent || is_close {
        return so_far;
    }
    if let Some(so_far) = so_far {
        return Some(Gain { decibels: so_far.decibels + missing, ..so_far });
    }
    let needs_limiter = measured.peak + missing > CEILING_DBFS;
    Some(Gain { decibels: missing, ceiling: if needs_limiter { Some(CEILING_DBFS) } else { None } })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        fixtures,
        run::args::{
            commands,
            tests::{context, full_hd, shown, shown_ffmpeg},
        },
    };

    const LOG: &str = "[ebur128@1 @ 0x7f7f50001d80] Summary:\n\n  Integrated loudness:\n    I:         -70.0 LUFS\n    Threshold:   0.0 LUFS\n\n  True peak:\n    Peak:       -inf dBFS\n\
        [ebur128@0 @ 0x7f7f70013380] Summary:\n\n  Integrated loudness:\n    I:         -21.8 LUFS\n    Threshold: -31.8 LUFS\n\n  Loudness range:\n    LRA:         0.0 LU\n\n  True peak:\n    Peak:      -18.1 dBFS\n";

    #[test]
    fn loudness_takes_two_passes() {
        let template = fixtures::template(json!({"format": "mp4", "loudness": "ebu-r128"}));
        let plan = fixtures::try_plan(&template, &full_hd()).expect("a plan");
        let gains = [Some(Gain { decibels: 4.25, ceiling: Some(-1.5) })];
        let first = shown_ffmpeg(args(&context(&plan)));
        let second = shown(&commands(&CommandContext { gains: &gains, ..context(&plan) }));
        insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!("loudness", format!("{first}\n{second}"));
        });
    }

    #[test]
    fn each_meter_is_read() {
        assert_eq!(Measurement::parse(LOG, 0), Some(Measurement { integrated: -21.8, peak: -18.1 }));
        let silence = Measurement::parse(LOG, 1).expect("a summary");
        assert_eq!(improved_gain(Loudness::EbuR128, None, silence), None);
        assert_eq!(Measurement::parse(LOG, 2), None);
    }

    #[test]
    fn peaks_are_held_down_only_where_they_would_be_too_high() {
        let measured = |peak| Measurement { integrated: -33.0, peak };
        let first = |peak| improved_gain(Loudness::EbuR128, None, measured(peak)).expect("audio");
        assert_eq!(first(-12.0), Gain { decibels: 10.0, ceiling: None });
        assert_eq!(first(-11.0), Gain { decibels: 10.0, ceiling: Some(-1.5) });
        let limited = Measurement { integrated: -25.0, peak: -1.5 };
        let second = improved_gain(Loudness::EbuR128, Some(first(-11.0)), limited);
        assert_eq!(second, Some(Gain { decibels: 12.0, ceiling: Some(-1.5) }));
        let close = Measurement { integrated: -23.2, peak: -1.5 };
        assert_eq!(improved_gain(Loudness::EbuR128, second, close), second);
    }
}
