//! Sounds that change on the way: most that may do not, so it is found out on the way, and then all is done again with
//! sounds that were made alike.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::{Verdict, blame};
use crate::{
    MediaError, MediaInput, Plan, command,
    tool::{
        Call, Tools,
        child::{Access, CallLimits},
        programs::Program,
    },
};

/// Whether a run failed because a sound changed that can be made alike. Playlists that have grown already cannot begin
/// again.
pub(super) fn would_help(plan: &Plan, error: &MediaError) -> bool {
    let may_change = plan.audios.iter().any(|audio| audio.may_change && !audio.is_copied());
    !plan.is_growing && may_change && error.log.contains(command::CHANGES)
}

/// Makes them alike, in a file in `work`; the plan reads them from there.
pub(super) async fn made(
    tools: &Tools,
    plan: &Plan,
    input: MediaInput<'_>,
    work: &Path,
    cancel: &CancellationToken,
) -> Result<Plan, MediaError> {
    let mut plan = plan.clone();
    for audio in &mut plan.audios {
        audio.is_resampled = audio.may_change;
    }
    let access = Access { readable: input.readable(), writable: vec![work.to_owned()] };
    let limits = CallLimits { deadline: tools.limits.run_time, ..CallLimits::default() };
    let args = command::making_alike(&plan, input.name(), work);
    let call = Call { program: Program::Ffmpeg, args, access, stdin: input.stdin()? };
    let made = tools.capture(call, limits, cancel).await?;
    if made.status.success() {
        return Ok(plan);
    }
    let Verdict { code, detail } = blame::judge(Program::Ffmpeg, made.status, &made.stderr_tail);
    Err(MediaError::new(code, detail).with_log(made.stderr_tail))
}
