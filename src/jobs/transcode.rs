//! Transcode: fetch, probe, plan, run, verify, put.
//!
//! Finished segments are put while others are still being made; what points at them is put when
//! `verify` agreed, unless playlists that grow were asked for.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use media::{Measured, Media, MediaError, Plan, Source};
use model::{ErrorCode, Failure, GroupFormat, Input, InputPlace, OutputFacts, OutputGroup, Stage};
use storage::transfer::{self, FetchError, FetchLimits};
use tokio::sync::mpsc;

use super::{
    drafts,
    put::{self, Putting},
    uploaded,
};
use crate::{
    app::App,
    sources,
    worker::{JobContext, JobError, over_deadline},
};

/// A task may always take this long.
const MIN_DEADLINE: Duration = Duration::from_secs(60 * 60);

/// A task may take this many times the duration of its input.
const DEADLINE_FACTOR: f64 = 20.0;

/// Makes the output of a task; what it returns was measured on the output itself.
pub(crate) async fn transcode(app: &App, media: &Media, job: &JobContext) -> Result<OutputFacts, JobError> {
    let input = fetch(app, job).await?;
    let source = media.probe(&input, &job.work, &job.cancel).await.map_err(|error| failed(job, error))?;
    app.store.found_source(&job.claim, &source.facts).await.map_err(JobError::store)?;

    let deadline = MIN_DEADLINE.max(Duration::from_secs_f64(source.duration.max(0.0) * DEADLINE_FACTOR));
    let source = source.clip(&job.claim.task.spec.extra_options).map_err(|error| failed(job, error))?;
    let made = tokio::time::timeout(deadline, Box::pin(make(app, media, job, &input, &source)))
        .await
        .unwrap_or_else(|_| Err(over_deadline(deadline)));
    if let Err(JobError::Retry(_) | JobError::Final(_)) = &made {
        drafts::take_back(app, job).await;
    }
    made
}

async fn make(
    app: &App,
    media: &Media,
    job: &JobContext,
    input: &Path,
    source: &Source,
) -> Result<OutputFacts, JobError> {
    let template = &job.claim.task.spec.template;
    if let Some(logo) = template.logo_path.as_ref().filter(|_| source.picture.is_some()) {
        fetch_logo(app, job, logo).await?;
    }
    let mut plan =
        media::plan(template, source, &media.settings.plan_settings()).map_err(|error| failed(job, error))?;
    let mut putting = Putting::begin(app, job).await?;
    plan.early = putting.is_early() && job.claim.task.spec.extra_options.early_playlist == Some(true);
    let (tell, finished) = mpsc::unbounded_channel();
    let stop = job.cancel.child_token();
    let mut made = std::pin::pin!(async {
        let progress = |done| job.progress.set(Stage::Running, done);
        let told = |path: &str| {
            // nobody listens any more when the job is about to end
            let _ = tell.send(path.to_owned());
        };
        let output = media.run_watched(&plan, input, &job.work, (&progress, &told), &stop).await?;
        let measured = media.verify(&plan, source, &output, &stop).await?;
        Ok((output, measured))
    });
    let (output, measured) = tokio::select! {
        biased;
        made = &mut made => made.map_err(|error| failed(job, error))?,
        Err(error) = putting.follow(&plan, finished) => {
            stop.cancel();
            // its children are gone afterwards
            let _ = made.await;
            return Err(error);
        }
    };
    let size = putting.finish(&output).await?;
    Ok(facts(job, &plan, measured, size))
}

async fn fetch(app: &App, job: &JobContext) -> Result<PathBuf, JobError> {
    job.progress.set(Stage::Downloading, 0.0);
    tokio::fs::create_dir_all(&job.work)
        .await
        .map_err(|error| JobError::internal("could not make a work folder", error))?;
    let (spec, limits) = (&job.claim.task.spec, app.settings.media.fetch_limits());
    let input = job.work.join("input");
    let progress = |so_far: u64, total: Option<u64>| {
        if let Some(total) = total.filter(|total| *total > 0) {
            job.progress.set(Stage::Downloading, so_far as f64 / total as f64);
        }
    };
    tokio::select! {
        fetched = fetch_from(app, job, &spec.input, &input, &limits, &progress) => fetched?,
        () = job.cancel.cancelled() => return Err(job.interrupted_or(JobError::Lost)),
    }
    Ok(input)
}

async fn fetch_logo(app: &App, job: &JobContext, logo: &Input) -> Result<(), JobError> {
    let file = media::logo_file(&job.work);
    let limits = FetchLimits { max_bytes: media::MAX_LOGO_BYTES, ..app.settings.media.fetch_limits() };
    tokio::select! {
        fetched = fetch_from(app, job, logo, &file, &limits, &|_, _| {}) => fetched?,
        () = job.cancel.cancelled() => return Err(job.interrupted_or(JobError::Lost)),
    }
    media::check_logo(&file).map_err(|error| failed(job, error))
}

/// Fetches what a task reads from where it is: the web, or a storage of the customer's.
async fn fetch_from(
    app: &App,
    job: &JobContext,
    from: &Input,
    to: &Path,
    limits: &FetchLimits,
    progress: &(dyn Fn(u64, Option<u64>) + Sync),
) -> Result<(), JobError> {
    let task = &job.claim.task;
    match from.place() {
        InputPlace::Web(url) => {
            transfer::fetch(&app.net, url, to, limits, progress).await.map_err(fetch_failed)?;
        }
        InputPlace::Upload(id) => {
            uploaded::fetch(app, &task.tenant, id, to, limits.max_bytes).await?;
        }
        InputPlace::Object { kind, bucket, key } => {
            let own =
                app.store.storage(&task.tenant, &task.spec.storage_id).await.map_err(JobError::store)?;
            let storage =
                sources::storage_of(&app.store, &own, *kind, bucket).await.map_err(JobError::store)?;
            let storage = storage.ok_or_else(|| {
                let detail = format!("{from}: no storage is this bucket any more");
                JobError::Final(Failure::new(ErrorCode::InputUnreachable, detail))
            })?;
            let bucket = put::open(app, job, &storage)?;
            transfer::fetch_object(&bucket, key, to, limits, progress).await.map_err(fetch_failed)?;
        }
    }
    Ok(())
}

fn facts(job: &JobContext, plan: &Plan, measured: Measured, size: u64) -> OutputFacts {
    let main = OutputGroup {
        custom_name: String::new(),
        format: plan.format.into(),
        seg_type: plan.segmenting.map(|segmenting| segmenting.kind),
        seg_time: if plan.segmenting.is_some() { job.claim.task.spec.template.segment_seconds() } else { 0 },
        output: job.claim.task.output_uri.clone(),
    };
    OutputFacts {
        duration: measured.duration,
        size,
        media_size: measured.media_size,
        bitrate: measured.bitrate,
        resolution: measured.resolution,
        framerate: measured.framerate,
        video_codec: measured.video_codec,
        audio_codec: measured.audio_codec,
        audio_samplerate: measured.audio_samplerate,
        groups: [main.clone()]
            .into_iter()
            .chain(second(job, plan, main))
            .chain(pictures(job, plan))
            .collect(),
    }
}

/// The second manifest over the segments of the main one.
fn second(job: &JobContext, plan: &Plan, main: OutputGroup) -> Option<OutputGroup> {
    let format = plan.also?.into();
    Some(OutputGroup { format, output: beside(job, plan, media::SECOND_MANIFEST), ..main })
}

/// The full URI of what lies beside the main object.
fn beside(job: &JobContext, plan: &Plan, path: &str) -> String {
    let task = &job.claim.task;
    let bucket = task.output_uri.strip_suffix(task.spec.output.key()).unwrap_or_default();
    format!("{bucket}{}", task.spec.output.beside(plan.format, path))
}

/// What was taken out of the video, by its first picture and its storyboard.
fn pictures(job: &JobContext, plan: &Plan) -> Vec<OutputGroup> {
    let Some(stills) = &plan.stills else { return Vec::new() };
    let group = |custom_name: &str, format, path: &str| OutputGroup {
        custom_name: custom_name.to_owned(),
        format,
        seg_type: None,
        seg_time: 0,
        output: beside(job, plan, path),
    };
    vec![
        group("thumbnails", GroupFormat::Jpg, &stills.first_picture()),
        group("storyboard", GroupFormat::Vtt, &stills.storyboard()),
    ]
}

fn failed(job: &JobContext, error: MediaError) -> JobError {
    if !error.log.is_empty() {
        tracing::warn!(%error, log = error.log, "a media tool failed");
    }
    job.interrupted_or(match error.code {
        ErrorCode::Internal => JobError::Retry(error.failure()),
        _ => JobError::Final(error.failure()),
    })
}

fn fetch_failed(error: FetchError) -> JobError {
    let failure = Failure::new(error.code, error.detail);
    if error.retry { JobError::Retry(failure) } else { JobError::Final(failure) }
}
