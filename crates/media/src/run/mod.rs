//! Does what a plan says: one FFmpeg for single files, FFmpeg and the packager side by side for
//! segmented outputs.
//!
//! Whichever of the two fails first has the true cause; the other one is killed and not asked.

mod alike;
mod blame;
mod copied;
mod listen;
mod pipes;
mod watch;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use model::ErrorCode;
use tokio::{
    fs,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    MediaError, MediaInput, Plan,
    command::{self, Commands},
    formats, package,
    tool::{
        Call, Tools,
        child::{Access, Child, Ended, Trouble},
        programs::Program,
        progress::Progress,
    },
};
use blame::Verdict;
pub(crate) use copied::{CopiedPackets, CopiedStream};
use pipes::Pipes;
use watch::Watch;

/// What a run left behind.
#[derive(Clone, Debug, PartialEq)]
pub struct RunOutput {
    /// The folder with `main.<extension>` and, for segmented formats, `files/…`.
    pub dir: PathBuf,
    /// The end of what FFmpeg said; for the server's log.
    pub log: String,
    /// What was copied.
    pub(crate) originals: CopiedPackets,
}

/// Who is told while it goes on: of the share that is done, 0 to 1, and of every file that is finished,
/// by its path below the output's folder.
pub type Told<'a> = (&'a (dyn Fn(f64) + Send + Sync), &'a (dyn Fn(&str) + Send + Sync));

/// Runs once, and once more where that helps; files are then told of again.
pub(crate) async fn run(
    tools: &Tools,
    plan: &Plan,
    input: MediaInput<'_>,
    work: &Path,
    (progress, finished): Told<'_>,
    cancel: &CancellationToken,
) -> Result<RunOutput, MediaError> {
    let furthest = Mutex::new(0.0);
    let forward = |share: f64| {
        let mut furthest = furthest.lock().unwrap_or_else(PoisonError::into_inner);
        if share > *furthest {
            *furthest = share;
            progress(share);
        }
    };
    let told: Told<'_> = (&forward, finished);
    match once(tools, plan, input, work, told, cancel).await {
        Err(error) if alike::would_help(plan, &error) => {
            let plan = alike::made(tools, plan, input, work, cancel).await?;
            once(tools, &plan, input, work, told, cancel).await
        }
        outcome => outcome,
    }
}

async fn once(
    tools: &Tools,
    plan: &Plan,
    input: MediaInput<'_>,
    work: &Path,
    (progress, finished): Told<'_>,
    cancel: &CancellationToken,
) -> Result<RunOutput, MediaError> {
    let (listened, encoded) = shares(plan, progress);
    let originals = copied::originals(tools, plan, input, cancel).await?;
    let gains = listen::gains(tools, plan, input, work, listened, cancel).await?;
    let commands = command::commands(plan, &gains, input.name(), work);
    let dir = work.join("out");
    let pipes = prepare(plan, &dir, work, &commands).await.map_err(|error| no_room(&error))?;
    let watch = match plan.segmenting {
        Some(_) => Some(Watch::begin(plan, &dir).map_err(|error| no_room(&error))?),
        None => None,
    };
    let mut crew = Crew::start(tools, &commands, input, work, pipes).await?;
    let limit = tools.limits.run_time;
    let outcome = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(MediaError::new(ErrorCode::Cancelled, "")),
        () = sleep(limit) => Err(MediaError::new(
            ErrorCode::EncodingOverLimit,
            format!("it took longer than {} s", limit.as_secs()),
        )),
        outcome = crew.work(&dir, tools.limits.stall_timeout, input, encoded) => outcome,
        Err(error) = told(watch.as_ref(), finished) => Err(no_room(&error)),
    };
    let log = match outcome {
        Ok(log) => log,
        Err(error) => {
            crew.kill().await;
            // no encoder stood between
            let copies = error.code == ErrorCode::EncodingFailed && plan.copies();
            return Err(if copies { damaged_copy(&error.log) } else { error });
        }
    };
    if let Some(watch) = &watch {
        watch.read(finished).map_err(|error| no_room(&error))?;
    }
    has_begun(plan, &dir)?;
    package::put_right(plan, &dir).await?;
    progress(1.0);
    Ok(RunOutput { dir, log, originals })
}

/// Tells of finished files as long as there may be more.
async fn told(watch: Option<&Watch>, finished: &(dyn Fn(&str) + Send + Sync)) -> io::Result<()> {
    match watch {
        Some(watch) => watch.follow(finished).await,
        None => std::future::pending().await,
    }
}

/// FFmpeg is content when nothing of a stream can be decoded as long as others can; the packager then
/// writes no segment of it.
fn has_begun(plan: &Plan, dir: &Path) -> Result<(), MediaError> {
    let is_segment =
        |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with(formats::SEGMENT);
    let begun = |name: &str| {
        let folder = std::fs::read_dir(dir.join("files").join(name));
        folder.is_ok_and(|entries| entries.flatten().any(is_segment))
    };
    let pictures = plan.videos.iter().map(|video| (&video.name, "picture"));
    let mut streams = pictures.chain(plan.audios.iter().map(|audio| (&audio.name, "sound")));
    match streams.find(|(name, _)| plan.segmenting.is_some() && !begun(name)) {
        Some((_, what)) => Err(nothing_decoded(what)),
        None => Ok(()),
    }
}

/// The input is to blame for a stream without a frame.
pub(crate) fn nothing_decoded(what: &str) -> MediaError {
    MediaError::new(ErrorCode::InvalidInput, format!("no {what} in it could be decoded"))
}

/// The input is to blame for what a copy of it cannot do.
pub(crate) fn damaged_copy(log: &str) -> MediaError {
    let detail =
        "what is copied of it cannot be read without errors; codecs instead of `copy` would encode what can";
    MediaError::new(ErrorCode::InvalidInput, detail).with_log(log)
}

/// Empties what an earlier try may have left, and makes the folders and pipes.
async fn prepare(plan: &Plan, dir: &Path, work: &Path, commands: &Commands) -> io::Result<Pipes> {
    let pipes = work.join("pipes");
    for folder in [dir, &pipes] {
        match fs::remove_dir_all(folder).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(folder).await?,
        }
    }
    if plan.thumbnails.is_some() {
        fs::create_dir_all(dir.join(formats::stills::FOLDER)).await?;
    }
    Pipes::make(&commands.pipes)
}

fn no_room(error: &io::Error) -> MediaError {
    let detail = format!("the work folder could not be made ready: {error}");
    MediaError::of_disk(error, MediaError::new(ErrorCode::Internal, detail))
}

/// The share of listening in the whole, where it is done at all.
const LISTENING: f64 = 0.1;

/// Who is told of the first pass, and of the second.
fn shares(
    plan: &Plan,
    progress: &(dyn Fn(f64) + Send + Sync),
) -> (impl FnMut(Progress), impl FnMut(Progress)) {
    let listens = plan.audios.iter().any(|audio| audio.loudness.is_some());
    let first = if listens { LISTENING } else { 0.0 };
    let listened = share_of(plan, move |share| progress(share * first));
    let encoded = share_of(plan, move |share| progress(first + share * (0.999 - first)));
    (listened, encoded)
}

/// FFmpeg's own measure as a share of the plan, which never goes back.
fn share_of(plan: &Plan, told: impl Fn(f64)) -> impl FnMut(Progress) {
    let whole = plan.duration.max(0.001) * 1e6;
    let mut furthest = 0.0;
    move |now: Progress| {
        let share = (now.out_time as f64 / whole).clamp(0.0, 1.0);
        if share > furthest {
            furthest = share;
            told(share);
        }
    }
}

/// The children of one run.
struct Crew {
    ffmpeg: Child,
    packager: Option<Child>,
    pipes: Pipes,
}

impl Crew {
    /// Starts the reader before the writer.
    async fn start(
        tools: &Tools,
        commands: &Commands,
        input: MediaInput<'_>,
        work: &Path,
        pipes: Pipes,
    ) -> Result<Self, MediaError> {
        let own = Access { readable: Vec::new(), writable: vec![work.to_owned()] };
        let packager = match &commands.packager {
            Some(args) => {
                let args = args.clone();
                let call = Call { program: Program::Packager, args, access: own.clone(), stdin: None };
                Some(tools.start(call).await?)
            }
            None => None,
        };
        let all = Access { readable: input.readable(), ..own };
        let args = commands.ffmpeg.clone();
        let call = Call { program: Program::Ffmpeg, args, access: all, stdin: input.stdin()? };
        let ffmpeg = tools.start(call).await?;
        Ok(Self { ffmpeg, packager, pipes })
    }

    /// Waits for both; gives FFmpeg's last words.
    async fn work(
        &mut self,
        dir: &Path,
        stall: Duration,
        input: MediaInput<'_>,
        progress: impl FnMut(Progress),
    ) -> Result<String, MediaError> {
        let Self { ffmpeg, packager, pipes } = self;
        let follow = ffmpeg.follow(stall, || input.was_starved(), progress);
        let Some(packager) = packager else {
            return finished(Program::Ffmpeg, follow.await);
        };
        let mut packaged = std::pin::pin!(packager.lines(Some(MAX_PACKAGER_STDOUT_BYTES), |_| {}));
        let log = tokio::select! {
            ended = follow => finished(Program::Ffmpeg, ended)?,
            // The pipes are held open, so that it cannot have come to their end.
            ended = &mut packaged => {
                finished(Program::Packager, ended.map_err(Trouble::Io))?;
                return Err(MediaError::new(ErrorCode::Internal, "the packager stopped before the encoder"));
            }
        };
        let rest = async {
            pipes.drained().await;
            match pipes.end().await {}
        };
        let ended = tokio::select! {
            ended = while_growing(dir, stall, packaged) => ended,
            never = rest => never,
        };
        finished(Program::Packager, ended)?;
        Ok(log)
    }

    async fn kill(&mut self) {
        let packager = async {
            if let Some(packager) = &mut self.packager {
                packager.kill().await;
            }
        };
        tokio::join!(self.ffmpeg.kill(), packager);
    }
}

/// Waits for the packager as long as it writes: on a busy machine its end may take a while.
async fn while_growing(
    dir: &Path,
    stall: Duration,
    mut packaged: impl Future<Output = io::Result<Ended>> + Unpin,
) -> Result<Ended, Trouble> {
    let mut written = bytes_below(dir).await?;
    loop {
        if let Ok(ended) = timeout(stall, &mut packaged).await {
            return Ok(ended?);
        }
        let now = bytes_below(dir).await?;
        if now == written {
            return Err(Trouble::Stalled(stall));
        }
        written = now;
    }
}

/// Bytes of all files in a folder and below.
pub(crate) async fn bytes_below(dir: &Path) -> io::Result<u64> {
    let dir = dir.to_owned();
    tokio::task::spawn_blocking(move || sum(&dir)).await.map_err(io::Error::other)?
}

fn sum(dir: &Path) -> io::Result<u64> {
    std::fs::read_dir(dir)?.map(|entry| bytes_of(&entry?)).sum()
}

/// Bytes of a file, or of all in a folder. The packager has files for a moment: what is gone by now has none.
fn bytes_of(entry: &std::fs::DirEntry) -> io::Result<u64> {
    let bytes =
        entry.metadata().and_then(|meta| if meta.is_dir() { sum(&entry.path()) } else { Ok(meta.len()) });
    match bytes {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        bytes => bytes,
    }
}

/// Bytes; a few lines are all that the packager has to say.
const MAX_PACKAGER_STDOUT_BYTES: usize = 1 << 20;

fn finished(program: Program, ended: Result<Ended, Trouble>) -> Result<String, MediaError> {
    match ended {
        Ok(Ended { status, stderr_tail }) => {
            let verdict = if status.success() {
                blame::starts_again(&stderr_tail)
            } else {
                Some(blame::judge(program, status, &stderr_tail))
            };
            match verdict {
                None => Ok(stderr_tail),
                Some(Verdict { code, detail }) => Err(MediaError::new(code, detail).with_log(stderr_tail)),
            }
        }
        Err(Trouble::Stalled(stall)) => {
            let code = match program {
                // It only moves what was encoded: no input makes it slow, so another try may be well.
                Program::Packager => ErrorCode::Internal,
                Program::Ffmpeg | Program::Ffprobe => ErrorCode::EncodingOverLimit,
            };
            Err(MediaError::new(code, format!("{} got no further for {} s", program.name(), stall.as_secs())))
        }
        Err(Trouble::Io(error)) => {
            Err(MediaError::new(ErrorCode::Internal, format!("{} was lost: {error}", program.name())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_goes_while_sizes_are_summed_has_none() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("stays"), "four").expect("written");
        std::fs::write(dir.path().join("goes"), "gone").expect("written");
        let mut entries: Vec<_> = std::fs::read_dir(dir.path()).expect("a folder").flatten().collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        std::fs::remove_file(entries[0].path()).expect("removed");
        let bytes: Vec<_> = entries.iter().map(|entry| bytes_of(entry).expect("its size")).collect();
        assert_eq!(bytes, [0, 4]);
        assert_eq!(sum(dir.path()).expect("their size"), 4);
        assert!(sum(&dir.path().join("none")).is_err(), "a folder that was never there is no empty one");
    }
}
