//! Transcode: fetch, probe, plan, run, verify, put.
//!
//! Where a player waits, the run begins while the input is still being fetched (docs/decisions/0016).
//! Finished segments are put while others are still being made; what points at them is put when
//! `verify` agreed, unless playlists that grow were asked for.

mod fetch;
mod objects;
mod publish;
mod upload;

use std::time::Duration;

use media::{Input, Measured, Media, MediaError, Plan, Source};
use model::{ErrorCode, Failure, GroupFormat, OutputFacts, OutputGroup, Stage};
use tokio::sync::{Notify, mpsc};

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

/// Makes the output of a task; what it returns was measured on the output itself.
pub(crate) async fn transcode(app: &App, media: &Media, job: &JobContext) -> Result<OutputFacts, JobError> {
    let (incoming, arriving) = InputFetch::new(app, job);
    let mut fetching = Box::pin(incoming.fetch());
    let soon = async {
        match incoming.is_urgent() {
            true => media.probe_arriving(&arriving, &job.cancel).await,
            false => std::future::pending().await,
        }
    };
    let soon = tokio::select! {
        biased;
        fetched = &mut fetching => fetched.map(|()| None)?,
        source = soon => match source {
            Err(_) if incoming.began_again() => Some(None),
            source => Some(source.map_err(|error| failed(job, error))?),
        },
    };
    let (source, input, rest) = match soon {
        Some(Some(source)) if incoming.run() => (source, Input::Arriving(&arriving), Some(fetching)),
        soon => {
            if soon.is_some() {
                incoming.go_on();
                fetching.await?;
            }
            let source = media.probe(incoming.path(), &job.work, &job.cancel).await;
            (source.map_err(|error| failed(job, error))?, Input::Whole(incoming.path()), None)
        }
    };
    app.store.record_source(&job.claim, &source.facts).await.map_err(JobError::store)?;

    let deadline = MIN_DEADLINE.max(Duration::from_secs_f64(source.duration.max(0.0) * DEADLINE_FACTOR));
    let source = source.clip(&job.claim.task.spec.extra_options).map_err(|error| failed(job, error))?;
    let (is_there, shown) = (Notify::new(), || incoming.go_on());
    if rest.is_none() {
        is_there.notify_one();
    }
    let rest = async {
        if let Some(rest) = rest {
            rest.await?;
            is_there.notify_one();
        }
        Ok(())
    };
    // however long the input takes to come
    let over = async {
        is_there.notified().await;
        tokio::time::sleep(deadline).await;
    };
    let made = tokio::select! {
        made = Box::pin(make(app, media, job, (input, rest), &source, &shown)) => made,
        () = over => Err(over_deadline(deadline)),
    };
    if let Err(JobError::Retry(_) | JobError::Final(_)) = &made {
        drafts::discard(app, job).await;
    }
    made
}

/// Makes it of an input, while the rest of that comes; tells when nobody waits for the first segments any more.
async fn make(
    app: &App,
    media: &Media,
    job: &JobContext,
    (input, rest): (Input<'_>, impl Future<Output = Result<(), JobError>> + Send),
    source: &Source,
    shown: &(dyn Fn() + Sync),
) -> Result<OutputFacts, JobError> {
    let template = &job.claim.task.spec.template;
    if let Some(logo) = template.logo_path.as_ref().filter(|_| source.picture.is_some()) {
        let file = fetch::fetch_logo(app, job, logo).await?;
        media::check_logo(&file).map_err(|error| failed(job, error))?;
    }
    let mut plan =
        media::plan(template, source, &media.settings.plan_settings()).map_err(|error| failed(job, error))?;
    let mut putting = Publisher::begin(app, job).await?;
    plan.early = putting.is_early() && job.claim.task.spec.extra_options.early_playlist == Some(true);
    if !plan.early {
        shown();
    }
    let (tell, finished) = mpsc::unbounded_channel();
    let stop = job.cancel.child_token();
    // whichever fails first stops the other
    let rest = async {
        let rest = tokio::select! {
            rest = rest => rest,
            () = stop.cancelled() => Ok(()),
        };
        rest.inspect_err(|_| stop.cancel())
    };
    let made = async {
        let progress = |done| job.progress.set(Stage::Running, done);
        let told = |path: &str| {
            // nobody listens any more when the job is about to end
            let _ = tell.send(path.to_owned());
        };
        let made = async {
            let output = media.run_watched(&plan, input, &job.work, (&progress, &told), &stop).await?;
            let measured = media.verify(&plan, source, &output, &stop).await?;
            Ok((output, measured))
        };
        made.await.inspect_err(|_| stop.cancel())
    };
    let mut made = std::pin::pin!(async {
        let (rest, made) = tokio::join!(rest, made);
        rest?;
        made.map_err(|error| failed(job, error))
    });
    let (output, measured) = tokio::select! {
        biased;
        made = &mut made => made?,
        Err(error) = putting.follow(&plan, finished, shown) => {
            stop.cancel();
            // its children are gone afterwards
            let _ = made.await;
            return Err(error);
        }
    };
    let size = putting.finish(&output).await?;
    Ok(facts(job, &plan, measured, size))
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

/// Says that a task took longer than it may.
fn over_deadline(deadline: Duration) -> JobError {
    JobError::Final(Failure::new(
        ErrorCode::EncodingOverLimit,
        format!("not done within its deadline of {} s", deadline.as_secs()),
    ))
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
