//! The progress of a task as server-sent events.
//!
//! An event is the task as it is now, not an entry of a history: a client that reconnects with
//! `Last-Event-ID` gets one event unless it has seen the present state. A commit of this process is seen at
//! once, one of another process by polling.

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
use model::{Task, TaskId, TaskReport, TaskStatus, TenantId};
use store::{StoreError, TaskChanges};

use super::tasks::ByTask;
use crate::{
    api::{
        auth::Caller,
        error::{ApiError, BadParam, NotFound},
        event_streams::EventStreams,
        extract::Query,
        ids::parse_id_or_not_found,
        shares::Share,
        waiting,
    },
    app::App,
};

/// How often the database is asked without a wake-up.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How often a comment is sent, so that no proxy closes the connection as idle.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Sends the progress of a task as server-sent events: `status` when its status has changed, `progress`
/// when its progress has; the data of each is the task as `query_task` answers it. The stream ends after
/// the end of the task. With the `Last-Event-ID` of that event, the answer is 204.
#[utoipa::path(
    get, path = "/task_events", tag = "task",
    params(
        ByTask,
        ("Last-Event-ID" = Option<String>, Header, description = "the id of the last event that was received")
    ),
    responses(
        (status = 200, description = "events", content_type = "text/event-stream", body = String),
        (status = 204, description = "there are no more events"),
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
    let id: TaskId = parse_id_or_not_found("task", &request.task_id)?;
    // subscribed before the first read, so that no change is missed
    let changes = app.store.task_changes();
    let task = app.store.task(&caller.tenant, &id).await?;
    let last_event_id = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    if task.state.ended().is_some() && last_event_id.as_deref() == Some(&event_id(&task)) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let slot = streams.acquire(&caller.tenant)?;
    let task_events = TaskEvents {
        app,
        streams,
        caller,
        id,
        changes,
        last_event_id,
        last_status: None,
        ended: false,
        _slot: slot,
    };
    Ok(Sse::new(task_events.into_stream())
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE_INTERVAL))
        .into_response())
}

/// The id of an event: the run of the task, by the time of its start or end, with status and progress.
fn event_id(task: &Task) -> String {
    let state = &task.state;
    let time = state.ended().map(|(finished, _)| finished).or(state.started()).unwrap_or(task.created);
    format!("{}-{}-{}", time.as_millis(), state.status(), state.progress())
}

/// The stream of one client.
struct TaskEvents {
    app: Arc<App>,
    streams: Arc<EventStreams>,
    caller: Caller,
    id: TaskId,
    changes: TaskChanges,
    /// The id of the last event that the client has received.
    last_event_id: Option<String>,
    /// The status in the last event of this stream.
    last_status: Option<TaskStatus>,
    /// Whether the task has ended, after which there are no more events.
    ended: bool,
    _slot: Share<TenantId>,
}

impl TaskEvents {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, async |mut events| Some((Ok(events.next().await?), events)))
    }

    /// Waits for the next event; none when the task has ended or was deleted, or the caller's key was.
    async fn next(&mut self) -> Option<Event> {
        while !self.ended {
            match self.read_task().await {
                Ok(Some(task)) => {
                    if let Some(event) = self.event_for(&task).await {
                        return Some(event);
                    }
                }
                Ok(None) => return None,
                Err(error) => tracing::warn!(%error, "the task of an event stream cannot be read"),
            }
            tokio::select! {
                () = self.changes.wait_for(&self.id) => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                () = self.streams.stopped() => return None,
            }
        }
        None
    }

    async fn read_task(&self) -> Result<Option<Task>, StoreError> {
        // the key may have been deleted since the stream began
        if self.app.store.find_key(&self.caller.access_key).await?.is_none() {
            return Ok(None);
        }
        match self.app.store.task(&self.caller.tenant, &self.id).await {
            Err(StoreError::NotFound(_)) => Ok(None),
            task => task.map(Some),
        }
    }

    /// The event for a task; none when the client has received it.
    async fn event_for(&mut self, task: &Task) -> Option<Event> {
        let (id, status) = (event_id(task), task.state.status());
        self.ended = task.state.ended().is_some();
        if self.last_event_id.as_ref() == Some(&id) {
            return None;
        }
        // why it waits can be read later: the event itself is not to be lost
        let report = waiting::report(&self.app, task).await.unwrap_or_else(|_| TaskReport::of(task));
        let name = if self.last_status == Some(status) { "progress" } else { "status" };
        let event = Event::default().id(&id).event(name).json_data(report).ok()?;
        self.last_event_id = Some(id);
        self.last_status = Some(status);
        Some(event)
    }
}
