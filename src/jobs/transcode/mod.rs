//! Transcode: fetch, probe, plan, run, verify, publish.
//!
//! Where a player waits, the run begins while the input still arrives (docs/decisions/0016). Finished
//! segments are published while others are still being made; what points at them follows when `verify`
//! agreed, unless playlists that grow were asked for.

mod fetch;
mod objects;
mod output_groups;
mod publish;
mod upload;

use std::{convert::Infallible, sync::Arc, time::Duration};

use media::{Media, MediaError, PlanRequest, RunObserver, Source};
use model::{ErrorCode, Failure, OutputFacts, Stage};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::{fetch::InputFetch, publish::Publisher};
use super::{
    context::{JobContext, JobError},
    drafts,
};
use crate::app::App;

/// A task may always take this long.
const MIN_DEADLINE: Duration = Duration::from_secs(60 * 60);

/// A task may take this many times the duration of its input.
const DEADLINE_FACTOR: f64 = 20.0;

/// Makes the output of a task; what it returns was measured on the output itself. Where it fails, nothing
/// stays of what it put, unless the task belongs to somebody else by then.
pub(crate) async fn transcode(
    app: &Arc<App>,
    media: &Media,
    job: &Arc<JobContext>,
) -> Result<OutputFacts, JobError> {
    let outcome = transcode_within_deadline(app, media, job).await;
    if let Err(JobError::Retry(_) | JobError::Final(_)) = &outcome {
        drafts::discard(app, job).await;
    }
    outcome
}

async fn transcode_within_deadline(
    app: &Arc<App>,
    media: &Media,
    job: &Arc<JobContext>,
) -> Result<OutputFacts, JobError> {
    let input = InputFetch::start(app, job);
    let limit = app.settings.media.input_deadline;
    let probed = tokio::time::timeout(limit, input.probe(media)).await;
    let source = probed.unwrap_or_else(|_| Err(fetch::late(job, limit)))?;
    app.store.record_source(&job.claim, &source.facts).await.map_err(JobError::store)?;
    // an input may say that it lasts for longer than a `Duration` can hold
    let factored = Duration::try_from_secs_f64(source.duration.max(0.0) * DEADLINE_FACTOR);
    let deadline = MIN_DEADLINE.max(factored.unwrap_or(Duration::MAX));
    tokio::select! {
        output = Box::pin(make_output(app, media, job, &input, source)) => output,
        error = deadline_exceeded(&input, deadline) => Err(error),
    }
}

/// Waits for the end of a deadline that counts from when the input is there, however long that takes.
async fn deadline_exceeded(input: &InputFetch, deadline: Duration) -> JobError {
    if input.complete().await.is_err() {
        // that failure ends the task, and is told by who needs the input
        return std::future::pending().await;
    }
    tokio::time::sleep(deadline).await;
    JobError::Final(Failure::new(
        ErrorCode::EncodingOverLimit,
        format!("not done within its deadline of {} s", deadline.as_secs()),
    ))
}

async fn make_output(
    app: &App,
    media: &Media,
    job: &Arc<JobContext>,
    input: &InputFetch,
    source: Source,
) -> Result<OutputFacts, JobError> {
    let spec = &job.claim.task.spec;
    let source = source.clip(&spec.extra_options).map_err(|error| media_failed(job, error))?;
    if let Some(logo) = &spec.template.logo_path
        && source.video.is_some()
    {
        let file = fetch::fetch_logo(app, job, logo).await?;
        media::check_logo(&file).map_err(|error| media_failed(job, error))?;
    }
    let mut publisher = Publisher::begin(app, job).await?;
    tokio::select! {
        () = job.progress.resume() => {}
        () = job.cancel.cancelled() => return Err(job.interrupted_or(JobError::Lost)),
    }
    let growing_playlists = publisher.publishes_early() && spec.extra_options.early_playlist == Some(true);
    if !growing_playlists {
        input.fetch_freely();
    }
    let request = PlanRequest {
        template: &spec.template,
        source: &source,
        settings: &media.settings.plan,
        growing_playlists,
    };
    let plan = media::plan(&request).map_err(|error| media_failed(job, error))?;

    let (finished, finished_files) = mpsc::unbounded_channel();
    let on_progress = |share| job.progress.set(Stage::Running, share);
    let on_file_finished = |path: &str| {
        // nobody listens any more when the job is about to end
        let _ = finished.send(path.to_owned());
    };
    let stop = job.cancel.child_token();
    let encode = async {
        let observer = RunObserver { on_progress: &on_progress, on_file_finished: &on_file_finished };
        let output = media.run(&plan, input.reader(), &job.work, observer, &stop).await;
        let output = output.map_err(|error| media_failed(job, error))?;
        let measured = media.verify(&plan, &source, &output, &stop).await;
        let measured = measured.map_err(|error| media_failed(job, error))?;
        // a clip may end before its input does
        input.complete().await?;
        Ok((output, measured))
    };
    let publish = publisher.follow(&plan, finished_files, || input.fetch_freely());
    let (output, measured) = first_failure_stops(&stop, input.failure(), publish, encode).await?;

    let size = publisher.finish(&output).await?;
    let groups = output_groups::output_groups(&job.claim.task, &plan, &publisher.keys());
    Ok(OutputFacts { size, ..measured.facts(groups) })
}

/// Runs the encode beside the fetch of its input and the publishing of its files. The first of them that
/// fails stops the others and says why; it returns when the child processes are gone.
async fn first_failure_stops<T>(
    stop: &CancellationToken,
    fetch: impl Future<Output = JobError>,
    publish: impl Future<Output = Result<Infallible, JobError>>,
    encode: impl Future<Output = Result<T, JobError>>,
) -> Result<T, JobError> {
    let mut encode = std::pin::pin!(encode);
    let error = tokio::select! {
        // an input that breaks off fails the encode as well: the fetch knows the reason
        biased;
        error = fetch => error,
        encoded = &mut encode => return encoded,
        Err(error) = publish => error,
    };
    stop.cancel();
    let _ = encode.await;
    Err(error)
}

/// What a failure of the media tools means for the job.
fn media_failed(job: &JobContext, error: MediaError) -> JobError {
    if !error.log.is_empty() {
        tracing::warn!(%error, log = error.log, "a media tool failed");
    }
    job.interrupted_or(match error.code {
        _ if error.is_disk_full() => JobError::Retry(error.failure()),
        ErrorCode::Internal => JobError::Retry(error.failure()),
        _ => JobError::Final(error.failure()),
    })
}
