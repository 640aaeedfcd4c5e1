//! Makes the output of a plan: one FFmpeg for single files, FFmpeg and the packager side by side for segmented
//! outputs; before them the passes over the input that the plan needs.

mod args;
mod failure;
mod passes;
mod pipeline;
mod pipes;
mod progress;
mod watch;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use model::ErrorCode;
use tokio::{fs, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    error::{MediaError, damaged_copy, nothing_decoded},
    input::MediaInput,
    layout::OutputLayout,
    logo::logo_file,
    output::RunOutput,
    plan::Plan,
    playlists,
    tool::Tools,
    work_folder::WorkFolder,
};
use args::{CommandContext, Commands};
use passes::{copied_packets, loudness, resample};
use pipeline::Pipeline;
use pipes::Pipes;
use progress::RunProgress;
use watch::FileWatch;

/// Who is told while a run goes on.
#[derive(Clone, Copy)]
pub struct RunObserver<'a> {
    /// Of the share that is done, from 0 to 1 and never back.
    pub on_progress: &'a (dyn Fn(f64) + Send + Sync),
    /// Of every segment, initialization segment and playlist as soon as it has been written, by its path
    /// below the output's folder. A playlist is written again and again, and everything is where audio
    /// turned out to change on the way.
    pub on_file_finished: &'a (dyn Fn(&str) + Send + Sync),
}

impl Default for RunObserver<'_> {
    fn default() -> Self {
        Self { on_progress: &|_| {}, on_file_finished: &|_| {} }
    }
}

/// What all parts of a run need.
#[derive(Clone, Copy)]
pub(crate) struct RunContext<'a> {
    /// The programs.
    pub tools: &'a Tools,
    /// What is made.
    pub plan: &'a Plan,
    /// What it is made from.
    pub input: MediaInput<'a>,
    /// An existing folder of the task's own.
    pub work: &'a Path,
    /// The stream indices of those audios that were resampled already.
    pub resampled: &'a [u32],
    /// Who is told.
    pub observer: RunObserver<'a>,
    /// Ends the run.
    pub cancel: &'a CancellationToken,
}

impl RunContext<'_> {
    /// The files that FFmpeg has to see: what was fetched, and what another pass has made of it.
    fn readable(&self) -> Vec<PathBuf> {
        let mut files = self.input.readable();
        if self.plan.logo.is_some() && !self.plan.videos.is_empty() {
            files.push(logo_file(self.work));
        }
        if !self.resampled.is_empty() {
            files.push(args::resampled::dir(self.work));
        }
        files
    }

    /// What command lines are made from, as long as no gain is known.
    fn command(&self) -> CommandContext<'_> {
        CommandContext {
            plan: self.plan,
            input: self.input.name(),
            work: self.work,
            resampled: self.resampled,
            gains: &[],
        }
    }
}

/// Runs once, and once more with resampled audio where that helps; files are then finished again.
pub(crate) async fn run(context: &RunContext<'_>) -> Result<RunOutput, MediaError> {
    let progress = RunProgress::new(context);
    match run_once(context, &progress).await {
        Err(error) if resample::would_help(context.plan, &error) => {
            let resampled = resample::resample(context).await?;
            run_once(&RunContext { resampled: &resampled, ..*context }, &progress).await
        }
        outcome => outcome,
    }
}

async fn run_once(context: &RunContext<'_>, progress: &RunProgress<'_>) -> Result<RunOutput, MediaError> {
    let RunContext { tools, plan, work, observer, .. } = *context;
    let copied = copied_packets::list(context).await?;
    let gains = loudness::measure_gains(context, progress.of_loudness_pass()).await?;
    let commands = args::commands(&CommandContext { gains: &gains, ..context.command() });
    let (dir, pipes) = prepare(plan, work, &commands).await.map_err(|error| work_folder_failed(&error))?;
    let watch = match plan.segmenting {
        Some(_) => Some(FileWatch::start(plan, dir.path()).map_err(|error| work_folder_failed(&error))?),
        None => None,
    };
    let mut pipeline = Pipeline::start(context, commands, pipes).await?;
    let run_time = tools.limits.run_time;
    let outcome = tokio::select! {
        biased;
        () = context.cancel.cancelled() => Err(MediaError::new(ErrorCode::Cancelled, "")),
        () = sleep(run_time) => Err(MediaError::new(
            ErrorCode::EncodingOverLimit,
            format!("it took longer than {} s", run_time.as_secs()),
        )),
        outcome = pipeline.finish(context, &dir, progress.of_encoding()) => outcome,
        Err(error) = follow_files(watch.as_ref(), observer) => Err(work_folder_failed(&error)),
    };
    let log = match outcome {
        Ok(log) => log,
        Err(error) => {
            pipeline.kill().await;
            // no encoder stood between the input and the muxer
            let is_damaged_copy = error.code == ErrorCode::EncodingFailed && plan.copies();
            return Err(if is_damaged_copy { damaged_copy(&error.log) } else { error });
        }
    };
    if let Some(watch) = &watch {
        watch.read(observer.on_file_finished).map_err(|error| work_folder_failed(&error))?;
    }
    check_each_stream_has_segments(plan, &dir)?;
    playlists::fix_up(plan, &dir).await?;
    progress.report(1.0);
    Ok(RunOutput { dir: dir.path().to_owned(), log, copied })
}

/// Tells of finished files as long as there may be more.
async fn follow_files(watch: Option<&FileWatch>, observer: RunObserver<'_>) -> io::Result<()> {
    match watch {
        Some(watch) => watch.follow(observer.on_file_finished).await,
        None => std::future::pending().await,
    }
}

/// FFmpeg does not fail when nothing of a stream can be decoded as long as others can; the packager then
/// writes no segment of it.
fn check_each_stream_has_segments(plan: &Plan, dir: &WorkFolder) -> Result<(), MediaError> {
    if plan.segmenting.is_none() {
        return Ok(());
    }
    let files = dir.files().map_err(|error| work_folder_failed(&error))?;
    let is_segment = |path: &&str| path.rsplit('/').next().is_some_and(OutputLayout::is_segment);
    let segments: Vec<&str> = files.iter().map(|file| file.path.as_str()).filter(is_segment).collect();
    let has_segments = |name: &str| segments.iter().any(|path| OutputLayout::is_of_stream(path, name));
    if plan.videos.iter().any(|video| !has_segments(&video.name)) {
        return Err(nothing_decoded("video"));
    }
    if plan.audios.iter().any(|audio| !has_segments(&audio.name)) {
        return Err(nothing_decoded("audio"));
    }
    Ok(())
}

/// Empties what an earlier try may have left, and makes the folders and pipes.
async fn prepare(plan: &Plan, work: &Path, commands: &Commands) -> io::Result<(Arc<WorkFolder>, Pipes)> {
    let [dir, pipes] = [OutputLayout::dir(work), args::pipes_dir(work)];
    for folder in [&dir, &pipes] {
        match fs::remove_dir_all(folder).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(folder).await?,
        }
    }
    if plan.thumbnails.is_some() {
        fs::create_dir_all(dir.join(OutputLayout::thumbnails_folder())).await?;
    }
    Ok((Arc::new(WorkFolder::open(&dir)?), Pipes::create(&commands.pipes)?))
}

fn work_folder_failed(error: &io::Error) -> MediaError {
    let detail = format!("the work folder cannot be used: {error}");
    MediaError::of_disk(error, MediaError::new(ErrorCode::Internal, detail))
}
