//! Logs and metrics: what an operator sees of a running process.
//!
//! Logs are sentences with fields (`task_id`, `callback_id`, `request_id`) and go to standard error;
//! standard output belongs to the commands. Every metric is named and described here once, and `/metrics`
//! renders them for Prometheus.

use std::{
    io::{self, IsTerminal as _},
    sync::OnceLock,
    time::Duration,
};

use axum::http::Method;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use model::{CallbackNext, TaskStatus};
use store::QueueDepth;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{
    EnvFilter, filter::filter_fn, fmt, fmt::MakeWriter, layer::SubscriberExt as _, util::TryInitError,
};

use crate::config::{LogFormat, LogSettings};

/// The names of the metrics.
pub mod metric {
    /// Tasks that ended, by `status`: `succeeded`, `failed`, `cancelled`.
    pub const TASKS_ENDED: &str = "borealis_tasks_ended_total";
    /// Attempts to deliver a callback, by what became of it: `delivered`, `retried`, `exhausted`,
    /// `refused`.
    pub const CALLBACK_ATTEMPTS: &str = "borealis_callback_attempts_total";
    /// How long attempts to deliver a callback took, in seconds.
    pub const CALLBACK_SECONDS: &str = "borealis_callback_attempt_seconds";
    /// From when a callback became owed to the first byte of its first attempt, in seconds.
    pub const CALLBACK_WAIT_SECONDS: &str = "borealis_callback_wait_seconds";
    /// Attempts to deliver a callback that are in flight in this process.
    pub const CALLBACKS_IN_FLIGHT: &str = "borealis_callbacks_in_flight";
    /// Circuit breakers that are open in this process: its receivers keep failing and are left alone.
    pub const BREAKERS_OPEN: &str = "borealis_callback_breakers_open";
    /// Callbacks that are owed.
    pub const CALLBACKS_OWED: &str = "borealis_callbacks_owed";
    /// Tasks that wait for a worker.
    pub const TASKS_WAITING: &str = "borealis_tasks_waiting";
    /// Tasks that a worker is running.
    pub const TASKS_RUNNING: &str = "borealis_tasks_running";
    /// Rounds of background work that panicked, by `work`: `sweep`, `drafts`, `reaper`.
    pub const BACKGROUND_PANICS: &str = "borealis_background_panics_total";
    /// How late a task of the runtime was that should run every tenth of a second, in seconds: for so long a
    /// thread of the runtime did something else, and whatever waited for it stood still.
    pub const RUNTIME_STALL_SECONDS: &str = "borealis_runtime_stall_seconds";
    /// The longest of these since the process started.
    pub const RUNTIME_LONGEST_STALL_SECONDS: &str = "borealis_runtime_longest_stall_seconds";
    /// Requests that were answered, by `route`, `method` and `status`.
    pub const REQUESTS: &str = "borealis_http_requests_total";
    /// How long requests took, in seconds, by `route` and `method`.
    pub const REQUEST_SECONDS: &str = "borealis_http_request_seconds";
}

/// The upper bounds of the histograms' buckets, in seconds: from a callback on one machine to an upload.
const BUCKET_BOUNDS_SECS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0];

/// How often the runtime's task runs that measures how late it is.
const STALL_TICK: Duration = Duration::from_millis(100);

/// Starts logging to standard error. `RUST_LOG`, where it is set, wins over the settings' level.
///
/// # Errors
/// When logging was started already.
pub fn start_logs(settings: &LogSettings) -> Result<(), TryInitError> {
    use tracing_subscriber::util::SubscriberInitExt as _;

    let rust_log = std::env::var("RUST_LOG").ok();
    subscriber(settings.format, &filter_of(&settings.level, rust_log.as_deref()), io::stderr).try_init()
}

/// The filter of the log: `RUST_LOG` where it is a valid filter, else the settings', which was checked.
fn filter_of(level: &str, rust_log: Option<&str>) -> String {
    match rust_log {
        Some(text) if !text.is_empty() && EnvFilter::builder().parse(text).is_ok() => text.to_owned(),
        _ => level.to_owned(),
    }
}

fn subscriber<W>(format: LogFormat, filter: &str, writer: W) -> Box<dyn tracing::Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(writer)
        .with_ansi(io::stderr().is_terminal())
        // it would report a closed standard error on standard error, and panic
        .log_internal_errors(false);
    match format {
        LogFormat::Text => Box::new(lines.finish().with(filter_fn(has_no_secrets))),
        LogFormat::Json => {
            Box::new(lines.json().flatten_event(true).finish().with(filter_fn(has_no_secrets)))
        }
    }
}

/// Whether an event may be logged. `reqsign`, which signs requests to object stores, logs their secret keys
/// below the level WARN: no filter of the settings must let that through.
fn has_no_secrets(event: &tracing::Metadata<'_>) -> bool {
    !event.target().starts_with("reqsign") || *event.level() <= tracing::Level::WARN
}

/// The metrics of this process, which are recorded from the first call on. The handle renders them as text
/// for Prometheus.
pub fn metrics_handle() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let recorder = recorder();
        let handle = recorder.handle();
        // only another recorder in the same process, such as a test's, can be there already
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another recorder has the metrics of this process");
        }
        describe();
        handle
    })
}

fn recorder() -> PrometheusRecorder {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), BUCKET_BOUNDS_SECS)
        .expect("the buckets are not empty")
        .build_recorder()
}

fn describe() {
    describe_counter!(metric::TASKS_ENDED, "tasks that ended, by status");
    describe_counter!(metric::CALLBACK_ATTEMPTS, "attempts to deliver a callback, by what became of it");
    describe_histogram!(metric::CALLBACK_SECONDS, "how long attempts to deliver a callback took, in seconds");
    describe_histogram!(
        metric::CALLBACK_WAIT_SECONDS,
        "from when a callback became owed to its first attempt, in seconds"
    );
    describe_gauge!(metric::CALLBACKS_IN_FLIGHT, "attempts to deliver a callback that are in flight here");
    describe_gauge!(metric::BREAKERS_OPEN, "receivers that are left alone because they keep failing");
    describe_gauge!(metric::CALLBACKS_OWED, "callbacks that are owed");
    describe_gauge!(metric::TASKS_WAITING, "tasks that wait for a worker");
    describe_gauge!(metric::TASKS_RUNNING, "tasks that a worker has");
    describe_counter!(metric::BACKGROUND_PANICS, "rounds of background work that panicked, by work");
    describe_histogram!(
        metric::RUNTIME_STALL_SECONDS,
        "how long a thread of the runtime let others wait, in seconds, every tenth of a second"
    );
    describe_gauge!(
        metric::RUNTIME_LONGEST_STALL_SECONDS,
        "the longest of these since the start, in seconds"
    );
    describe_counter!(metric::REQUESTS, "requests that were answered, by route, method and status");
    describe_histogram!(metric::REQUEST_SECONDS, "how long requests took, in seconds, by route and method");
}

/// Counts a task that ended.
pub fn count_task(status: TaskStatus) {
    counter!(metric::TASKS_ENDED, "status" => status.as_str()).increment(1);
}

/// Counts an attempt to deliver a callback.
pub fn count_callback_attempt(next: CallbackNext, took: Duration) {
    let outcome = match next {
        CallbackNext::Delivered => "delivered",
        CallbackNext::RetryAt(_) => "retried",
        CallbackNext::Exhausted => "exhausted",
        CallbackNext::Refused => "refused",
    };
    counter!(metric::CALLBACK_ATTEMPTS, "outcome" => outcome).increment(1);
    histogram!(metric::CALLBACK_SECONDS).record(took.as_secs_f64());
}

/// Records how long a callback had been owed when its first attempt was sent.
pub fn record_callback_wait(waited: Duration) {
    histogram!(metric::CALLBACK_WAIT_SECONDS).record(waited.as_secs_f64());
}

/// Records how many attempts are in flight, and how many circuit breakers are open.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; nobody has 2^53 of either")]
pub fn record_callbacks_in_flight(in_flight: usize, open_breakers: usize) {
    gauge!(metric::CALLBACKS_IN_FLIGHT).set(in_flight as f64);
    gauge!(metric::BREAKERS_OPEN).set(open_breakers as f64);
}

/// Counts a round of background work that panicked.
pub fn count_background_panic(work: &'static str) {
    counter!(metric::BACKGROUND_PANICS, "work" => work).increment(1);
}

/// Measures, until `stop`, how late the runtime is.
pub async fn watch_runtime(stop: CancellationToken) {
    let mut longest = Duration::ZERO;
    loop {
        let due = Instant::now() + STALL_TICK;
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = stop.cancelled() => return,
        }
        let stall = due.elapsed();
        longest = longest.max(stall);
        histogram!(metric::RUNTIME_STALL_SECONDS).record(stall.as_secs_f64());
        gauge!(metric::RUNTIME_LONGEST_STALL_SECONDS).set(longest.as_secs_f64());
    }
}

/// Counts a request that was answered. Every label has a bounded number of values, for each costs memory
/// for good: `route` is the route's pattern, never the path, and a method that HTTP does not define is
/// counted as `other`.
pub fn count_request(route: &str, method: &Method, status: u16, took: Duration) {
    let (route, method) = (route.to_owned(), method_label(method));
    counter!(
        metric::REQUESTS,
        "route" => route.clone(), "method" => method, "status" => status.to_string()
    )
    .increment(1);
    histogram!(metric::REQUEST_SECONDS, "route" => route, "method" => method).record(took.as_secs_f64());
}

/// The methods of RFC 9110 and RFC 5789.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::CONNECT => "CONNECT",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}

/// Says how much there is to do; to be called every few seconds, which also folds what the
/// histograms have gathered, so that memory does not grow while nobody asks for the figures.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; nobody has 2^53 tasks")]
pub fn record_queue_depth(depth: &QueueDepth) {
    gauge!(metric::TASKS_WAITING).set(depth.ready as f64);
    gauge!(metric::TASKS_RUNNING).set(depth.running as f64);
    gauge!(metric::CALLBACKS_OWED).set(depth.owed as f64);
    metrics_handle().run_upkeep();
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use model::Timestamp;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panicked").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        tracing::subscriber::with_default(subscriber(format, filter, move || writer.clone()), || {
            let _span = tracing::info_span!("task", task_id = "7").entered();
            tracing::info!(size = 3, "object stored");
            tracing::debug!("too fine");
        });
        let bytes = lines.0.lock().expect("no writer panicked").clone();
        String::from_utf8(bytes).expect("logs are text")
    }

    #[test]
    fn a_json_line_has_the_sentence_its_fields_and_the_span() {
        let text = logged(LogFormat::Json, "info");
        let line: serde_json::Value = serde_json::from_str(text.trim()).expect("one line of JSON");
        assert_eq!(line["message"], "object stored");
        assert_eq!(line["size"], 3);
        assert_eq!(line["span"]["task_id"], "7");
    }

    #[test]
    fn the_level_is_a_filter() {
        assert!(logged(LogFormat::Text, "info").contains("object stored"));
        assert!(!logged(LogFormat::Text, "info").contains("too fine"));
        assert!(logged(LogFormat::Text, "warn,borealis=debug").contains("too fine"));
    }

    #[test]
    fn rust_log_wins_when_it_can_be_read() {
        assert_eq!(filter_of("info", Some("warn,borealis=trace")), "warn,borealis=trace");
        assert_eq!(filter_of("info", Some("borealis=loud")), "info");
        assert_eq!(filter_of("info", Some("")), "info");
        assert_eq!(filter_of("info", None), "info");
    }

    #[test]
    fn figures_are_rendered_with_their_labels_and_help() {
        let recorder = recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            count_task(TaskStatus::Succeeded);
            count_callback_attempt(
                CallbackNext::RetryAt(Timestamp::from_millis(0)),
                Duration::from_millis(4),
            );
            count_request("/vodencoding/v1/create_task", &Method::POST, 200, Duration::from_millis(20));
            record_queue_depth(&QueueDepth { ready: 3, running: 1, owed: 2 });
        });
        let text = handle.render();
        for line in [
            "# HELP borealis_tasks_ended_total tasks that ended, by status",
            r#"borealis_tasks_ended_total{status="succeeded"} 1"#,
            r#"borealis_callback_attempts_total{outcome="retried"} 1"#,
            r#"borealis_callback_attempt_seconds_bucket{le="0.005"} 1"#,
            r#"borealis_http_requests_total{route="/vodencoding/v1/create_task",method="POST",status="200"} 1"#,
            "borealis_tasks_waiting 3",
            "borealis_callbacks_owed 2",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
    }

    #[test]
    fn a_runtime_that_stands_still_is_seen() {
        let recorder = recorder();
        let handle = recorder.handle();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        metrics::with_local_recorder(&recorder, || {
            runtime.block_on(async {
                let stop = CancellationToken::new();
                let hold_up = async {
                    tokio::time::sleep(STALL_TICK / 2).await;
                    // as code does that computes for long, on the runtime's own thread
                    let began = std::time::Instant::now();
                    while began.elapsed() < STALL_TICK * 3 {
                        std::hint::spin_loop();
                    }
                    tokio::time::sleep(STALL_TICK / 2).await;
                    stop.cancel();
                };
                tokio::join!(watch_runtime(stop.clone()), hold_up);
            });
        });
        let text = handle.render();
        let longest =
            text.lines().find_map(|line| line.strip_prefix("borealis_runtime_longest_stall_seconds "));
        let longest: f64 = longest.expect("it is measured").parse().expect("a number");
        assert!((0.2..10.0).contains(&longest), "{text}");
    }

    #[test]
    fn methods_that_clients_make_up_are_counted_as_one() {
        let recorder = recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            for number in 0..100 {
                let method = Method::from_bytes(format!("M{number}").as_bytes()).expect("a token");
                count_request("unknown", &method, 405, Duration::from_millis(1));
            }
        });
        let text = handle.render();
        let counted = r#"borealis_http_requests_total{route="unknown",method="other",status="405"} 100"#;
        assert!(text.contains(counted), "{text}");
        assert!(!text.contains("M1"), "{text}");
    }
}
