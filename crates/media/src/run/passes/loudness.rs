//! The first of two passes over sound whose loudness is asked for (EBU R 128): how loud it is now, as it
//! would come out. The second pass is the encoding, which changes it by one gain from start to end.

use std::path::Path;

use model::{ErrorCode, Loudness};
use tokio_util::sync::CancellationToken;

use crate::{
    MediaError, MediaInput, Plan,
    command::{self, CEILING, Gain},
    tool::{Call, Tools, child::Access, programs::Program, progress::Progress},
};

/// LUFS below which there is nothing to be heard, let alone raised; the meter's own floor is -70.
const SILENCE: f64 = -69.0;
/// LU that may be left to the target.
const NEAR: f64 = 0.5;
/// Times that it is listened again where held-down peaks made it quieter than was reckoned.
const AGAIN: usize = 3;

/// The gain of each sound of a plan; none where it stays as it is.
pub(super) async fn gains(
    tools: &Tools,
    plan: &Plan,
    input: MediaInput<'_>,
    work: &Path,
    mut progress: impl FnMut(Progress),
    cancel: &CancellationToken,
) -> Result<Vec<Option<Gain>>, MediaError> {
    let mut gains: Vec<Option<Gain>> = plan.audios.iter().map(|_| None).collect();
    if plan.audios.iter().all(|audio| audio.loudness.is_none()) {
        return Ok(gains);
    }
    for _ in 0..=AGAIN {
        let said = listen(tools, plan, &gains, (input, work), &mut progress, cancel).await?;
        let mut done = true;
        for (number, audio) in plan.audios.iter().enumerate() {
            let Some(wanted) = audio.loudness else { continue };
            let measure = Measure::parse(&said, number).ok_or_else(|| {
                MediaError::new(ErrorCode::Internal, "the loudness was not told").with_log(&said)
            })?;
            let better = better(wanted, gains[number], measure);
            // what is not held down comes out as it was reckoned
            done &= better == gains[number] || better.is_none_or(|gain| gain.ceiling.is_none());
            gains[number] = better;
        }
        if done {
            break;
        }
    }
    Ok(gains)
}

async fn listen(
    tools: &Tools,
    plan: &Plan,
    gains: &[Option<Gain>],
    (input, work): (MediaInput<'_>, &Path),
    progress: &mut impl FnMut(Progress),
    cancel: &CancellationToken,
) -> Result<String, MediaError> {
    let access = Access { readable: input.readable(), writable: vec![work.to_owned()] };
    let args = command::listening(plan, gains, input.name(), work);
    let call = Call { program: Program::Ffmpeg, args, access, stdin: input.stdin()? };
    let mut child = tools.start(call).await?;
    let ended = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(MediaError::new(ErrorCode::Cancelled, "")),
        ended = child.follow(tools.limits.stall_timeout, || input.was_starved(), progress) => super::finished(Program::Ffmpeg, ended),
    };
    if ended.is_err() {
        child.kill().await;
    }
    ended
}

/// What the meter says of a sound.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Measure {
    /// LUFS.
    integrated: f64,
    /// dBTP.
    peak: f64,
}

impl Measure {
    /// Reads the summary of the meter with this number.
    fn parse(said: &str, number: usize) -> Option<Self> {
        let (_, summary) = said.split_once(&format!("[{}@{number} @ ", command::METER))?;
        let value = |name: &str| {
            let (_, rest) = summary.split_once(name)?;
            rest.split_whitespace().next()?.parse::<f64>().ok()
        };
        Some(Self { integrated: value("I:")?, peak: value("Peak:")? })
    }
}

/// What brings a sound to where it should be, after what was measured with the gain so far; none for
/// silence.
fn better(wanted: Loudness, so_far: Option<Gain>, measure: Measure) -> Option<Gain> {
    let target = match wanted {
        Loudness::EbuR128 => -23.0,
    };
    let left = target - measure.integrated;
    if measure.integrated <= SILENCE || (so_far.is_some() && left.abs() < NEAR) {
        return so_far;
    }
    let Some(so_far) = so_far else {
        let ceiling = Some(CEILING).filter(|ceiling| measure.peak + left > *ceiling);
        return Some(Gain { decibels: left, ceiling });
    };
    Some(Gain { decibels: so_far.decibels + left, ..so_far })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "[ebur128@1 @ 0x7f7f50001d80] Summary:\n\n  Integrated loudness:\n    I:         -70.0 LUFS\n    Threshold:   0.0 LUFS\n\n  True peak:\n    Peak:       -inf dBFS\n\
        [ebur128@0 @ 0x7f7f70013380] Summary:\n\n  Integrated loudness:\n    I:         -21.8 LUFS\n    Threshold: -31.8 LUFS\n\n  Loudness range:\n    LRA:         0.0 LU\n\n  True peak:\n    Peak:      -18.1 dBFS\n";

    #[test]
    fn each_meter_is_read() {
        assert_eq!(Measure::parse(SAID, 0), Some(Measure { integrated: -21.8, peak: -18.1 }));
        let silence = Measure::parse(SAID, 1).expect("a summary");
        assert_eq!(better(Loudness::EbuR128, None, silence), None);
        assert_eq!(Measure::parse(SAID, 2), None);
    }

    #[test]
    fn peaks_are_held_down_only_where_they_would_be_too_high() {
        let measure = |peak| Measure { integrated: -33.0, peak };
        let first = |peak| better(Loudness::EbuR128, None, measure(peak)).expect("a sound");
        assert_eq!(first(-12.0), Gain { decibels: 10.0, ceiling: None });
        assert_eq!(first(-11.0), Gain { decibels: 10.0, ceiling: Some(-1.5) });
        let held = Measure { integrated: -25.0, peak: -1.5 };
        let second = better(Loudness::EbuR128, Some(first(-11.0)), held);
        assert_eq!(second, Some(Gain { decibels: 12.0, ceiling: Some(-1.5) }));
        let near = Measure { integrated: -23.2, peak: -1.5 };
        assert_eq!(better(Loudness::EbuR128, second, near), second);
    }
}
