//! How a task comes along, told while it happens: server-sent events.
//!
//! An event is the task as it is now, not a piece of a history: whoever comes again with
//! `Last-Event-ID` is told what he does not know yet. A commit of this process wakes at once; what
//! other processes do is seen by looking every second.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, stream};
use model::{Task, TaskId, TaskReport, TaskStatus};
use store::{StoreError, TaskChanges};
use tokio::sync::OwnedSemaphorePermit;

use super::tasks::ByTask;
use crate::{
    api::{
        auth::Caller,
        error::{ApiError, BadParam, NotFound},
        event_streams::EventStreams,
        extract::Query,
        ids::wanted,
    },
    app::App,
};

/// How often it is looked when nothing woke.
const POLL: Duration = Duration::from_secs(1);

/// How often a comment is sent, so that nobody takes the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Tells how a task comes along, as server-sent events: `status` when its status is another,
/// `progress` when it came along; the data of each is the task as `query_task` answers it. The
/// stream ends after the end of the task. With the `Last-Event-ID` of that, the answer is 204.
#[utoipa::path(
    get, path = "/task_events", tag = "task",
    params(
        ByTask,
        ("Last-Event-ID" = Option<String>, Header, description = "the id of the last event that was received")
    ),
    responses(
        (status = 200, description = "events", content_type = "text/event-stream", body = String),
        (status = 204, description = "there is nothing more to tell"),
        BadParam, NotFound
    )
)]
pub(super) async fn task_events(
    State(app): State<Arc<App>>,
    State(streams): State<Arc<EventStreams>>,
    caller: Caller,
    headers: HeaderMap,
    Query(request, _): Query<ByTask>,
) -> Result<Response, ApiError> {
    let id: TaskId = wanted("task", &request.task_id)?;
    // from before the first look, so that nothing is missed
    let changes = app.store.task_changes();
    let task = app.store.task(&caller.tenant, &id).await?;
    let known = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    if task.state.ended().is_some() && known.as_deref() == Some(&event_id(&task)) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let slot = streams.acquire()?;
    let watch = Watch { app, streams, caller, id, changes, known, status: None, over: false, _slot: slot };
    Ok(Sse::new(watch.events()).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response())
}

/// Says which run of the task, and how far it came.
fn event_id(task: &Task) -> String {
    let state = &task.state;
    let moment = state.ended().map(|(finished, _)| finished).or(state.started()).unwrap_or(task.created);
    format!("{}-{}-{}", moment.as_millis(), state.status(), state.progress())
}

/// One who watches a task.
struct Watch {
    app: Arc<App>,
    streams: Arc<EventStreams>,
    caller: Caller,
    id: TaskId,
    changes: TaskChanges,
    /// The id of the last event.
    known: Option<String>,
    /// The status of the last event of this stream.
    status: Option<TaskStatus>,
    over: bool,
    _slot: OwnedSemaphorePermit,
}

impl Watch {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, async |mut watch| Some((Ok(watch.next().await?), watch)))
    }

    /// The next event; none when the task has ended or is gone, or the key is.
    async fn next(&mut self) -> Option<Event> {
        while !self.over {
            match self.look().await {
                Ok(Some(task)) => {
                    if let Some(event) = self.news(&task) {
                        return Some(event);
                    }
                }
                Ok(None) => return None,
                Err(error) => tracing::warn!(%error, "a watched task cannot be looked at"),
            }
            tokio::select! {
                () = self.changes.wait_for(&self.id) => {}
                () = tokio::time::sleep(POLL) => {}
                () = self.streams.stopped() => return None,
            }
        }
        None
    }

    async fn look(&self) -> Result<Option<Task>, StoreError> {
        // a key that was deleted sees nothing more
        if self.app.store.find_key(&self.caller.access_key).await?.is_none() {
            return Ok(None);
        }
        match self.app.store.task(&self.caller.tenant, &self.id).await {
            Err(StoreError::NotFound(_)) => Ok(None),
            task => task.map(Some),
        }
    }

    /// What is to be told of the task, when it is not known.
    fn news(&mut self, task: &Task) -> Option<Event> {
        let (id, status) = (event_id(task), task.state.status());
        self.over = task.state.ended().is_some();
        if self.known.as_ref() == Some(&id) {
            return None;
        }
        let name = if self.status == Some(status) { "progress" } else { "status" };
        let event = Event::default().id(&id).event(name).json_data(TaskReport::of(task)).ok()?;
        (self.known, self.status) = (Some(id), Some(status));
        Some(event)
    }
}
