//! Copies, read without their container: headers and frames are those of the source, whatever the container says.

use model::AudioCodec;

use super::{
    VerifyContext,
    listing::{StreamRef, Track, damaged_output, wrong_output},
};
use crate::{
    error::MediaError,
    format::elementary::{ElementaryStream, StreamDigest},
    memory,
    plan::Plan,
    tool::{
        Call,
        child::Access,
        feed,
        ffmpeg::{file_or_stdin, head, words},
        programs::Program,
    },
};

/// Reads every copied stream of a track to its end.
pub(super) async fn check(context: VerifyContext<'_>, track: &Track) -> Result<(), MediaError> {
    for (number, planned) in track.planned.iter().enumerate() {
        if let (Some(source), Some(stream)) = (source(context, *planned), elementary(context.plan, *planned))
        {
            let found = read(context, track, number, stream).await?;
            check_same(&track.name, found, source)?;
        }
    }
    Ok(())
}

/// What the source of a copied stream is.
fn source(context: VerifyContext<'_>, planned: StreamRef) -> Option<StreamDigest> {
    let [videos, audios] = &context.copied.digests;
    match planned {
        StreamRef::Video(number) => *videos.get(number)?,
        StreamRef::Audio(number) => *audios.get(number)?,
    }
}

fn elementary(plan: &Plan, planned: StreamRef) -> Option<ElementaryStream> {
    match planned {
        StreamRef::Video(number) => plan.videos.get(number).map(|video| ElementaryStream::video(video.codec)),
        StreamRef::Audio(number) => {
            let audio = plan.audios.get(number).filter(|audio| audio.codec == AudioCodec::Aac);
            audio.map(|_| ElementaryStream::aac())
        }
    }
}

async fn read(
    context: VerifyContext<'_>,
    track: &Track,
    number: usize,
    mut stream: ElementaryStream,
) -> Result<StreamDigest, MediaError> {
    let file = track.single_file();
    let feed =
        if file.is_some() { Vec::new() } else { track.files().map(|file| file.path.clone()).collect() };
    let mut args = head("error");
    args.extend(words(&["-f", track.container.demuxer(), "-i"]));
    args.push(file_or_stdin(file));
    args.extend(words(&["-map", &format!("0:{number}"), "-c", "copy", "-f", stream.muxer(), "pipe:1"]));
    let call = Call {
        program: Program::Ffmpeg,
        args,
        access: Access::read(file.into_iter().map(ToOwned::to_owned).collect()),
        stdin: feed::through_pipe(context.dir, feed)?,
        memory_bytes: memory::of_verification(context.plan),
    };
    let tools = context.tools;
    let ended = tools.lines(call, tools.pass_limits(), context.cancel, |bytes| stream.push(bytes)).await?;
    if !ended.status.success() {
        return Err(damaged_output(context.plan, track, "read", ended.stderr_tail.trim()));
    }
    stream.finish().map_err(|problem| wrong_output(format!("`{}` is no copy: {problem:?}", track.name)))
}

fn check_same(name: &str, found: StreamDigest, source: StreamDigest) -> Result<(), MediaError> {
    if found.headers != source.headers {
        return Err(wrong_output(format!("`{name}` has other parameter sets or headers than its source")));
    }
    if found.frames != source.frames {
        return Err(wrong_output(format!("`{name}` does not have the frames of its source")));
    }
    Ok(())
}
