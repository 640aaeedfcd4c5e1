//! The streams that are copied, read as they are without their container, before anything runs: an output has one
//! header for each, so what the stream says of itself has to be the same from its first frame to its last.

use std::ffi::OsString;

use model::{AudioCodec, ErrorCode};

use crate::{
    error::{MediaError, damaged_copy},
    format::elementary::{ElementaryStream, Problem, StreamDigest},
    memory,
    run::{
        RunContext,
        args::{CommandContext, ffmpeg},
    },
    tool::{
        Call,
        child::Access,
        ffmpeg::{head, open_input, words},
        programs::Program,
    },
};

/// Reads every stream that a plan copies, as far as its codec can change on the way: renditions, then audios.
///
/// # Errors
/// [`ErrorCode::NothingToTranscode`] when one header cannot describe it; [`ErrorCode::InvalidInput`] when it is damaged.
pub(in crate::run) async fn read(
    context: &RunContext<'_>,
) -> Result<[Vec<Option<StreamDigest>>; 2], MediaError> {
    let plan = context.plan;
    let (mut videos, mut audios) = (Vec::new(), Vec::new());
    for video in &plan.videos {
        if let Some(copied) = video.copied() {
            let digest = read_stream(context, copied.index, ElementaryStream::video(video.codec)).await?;
            videos.push(Some(digest.map_err(|problem| refusal("video", "vcodec `h264`", problem))?));
        }
    }
    for audio in plan.audios.iter().filter(|audio| audio.is_copied()) {
        if audio.codec == AudioCodec::Aac {
            let digest = read_stream(context, audio.index, ElementaryStream::aac()).await?;
            audios.push(Some(digest.map_err(|problem| refusal("audio", "acodec `aac`", problem))?));
        } else {
            audios.push(None);
        }
    }
    Ok([videos, audios])
}

fn refusal(stream: &str, would_do: &str, problem: Problem) -> MediaError {
    let is = match problem {
        Problem::Unreadable => return damaged_copy(""),
        Problem::ParametersChange => {
            format!("the parameters of its {stream} change on the way (parameter sets or headers)")
        }
        Problem::SizeChanges => format!("the size of its {stream} changes on the way"),
        Problem::LeadingFrames => {
            format!("its {stream} begins with frames that refer to others before them, which are not there")
        }
        Problem::NoRandomAccess => {
            format!("its {stream} does not begin with a random access point (IDR)")
        }
        Problem::ChannelsByElement => {
            format!(
                "the channels of its {stream} are told by a program config element (channel configuration 0)"
            )
        }
    };
    let detail = format!("{is}, so that it cannot be copied; {would_do} would encode it");
    MediaError::new(ErrorCode::NothingToTranscode, detail)
}

/// Reads a stream of the input to its end.
async fn read_stream(
    context: &RunContext<'_>,
    index: u32,
    mut stream: ElementaryStream,
) -> Result<Result<StreamDigest, Problem>, MediaError> {
    let RunContext { tools, plan, input, .. } = *context;
    let call = Call {
        program: Program::Ffmpeg,
        args: args(&context.command(), index, stream.muxer()),
        access: Access::read(input.readable()),
        stdin: input.stdin()?,
        memory_bytes: memory::of_run(plan),
    };
    // where its bytes are divided means nothing
    let ended = tools.lines(call, tools.pass_limits(), context.cancel, |bytes| stream.push(bytes)).await?;
    if !ended.status.success() {
        return Err(damaged_copy(&ended.stderr_tail));
    }
    Ok(stream.finish())
}

fn args(context: &CommandContext<'_>, index: u32, muxer: &str) -> Vec<OsString> {
    let CommandContext { plan, input, .. } = *context;
    let mut args = head("error");
    args.extend(ffmpeg::input_position(plan));
    args.extend(open_input(input, false));
    args.extend(words(&["-map", &format!("0:{index}"), "-c", "copy", "-f", muxer, "pipe:1"]));
    args
}
