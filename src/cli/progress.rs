//! How far a task has come, as it is shown: a bar on a terminal, else a line at each new stage and
//! every ten percent.

use std::{fmt, io::IsTerminal as _, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use model::TaskStatus;

use super::duration::format_duration;

/// A task at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Snapshot {
    /// Its status.
    pub(super) status: TaskStatus,
    /// 0 to 100.
    pub(super) percent: u8,
    /// The duration of its source in seconds, where that is known.
    pub(super) source_secs: Option<f64>,
}

/// How far a task has come, how fast it is, and how long it still takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TaskProgress {
    status: TaskStatus,
    percent: u8,
    /// Seconds of the source that are transcoded in a second.
    speed: Option<f64>,
    time_left: Option<Duration>,
}

impl fmt::Display for TaskProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if let Some(speed) = self.speed {
            write!(f, ", {speed:.1}x")?;
        }
        if let Some(left) = self.time_left {
            write!(f, ", {} left", format_duration(left))?;
        }
        Ok(())
    }
}

/// Estimates speed and time left from how the percentage grew while the task ran.
#[derive(Default)]
pub(super) struct SpeedEstimator {
    /// The first snapshot of the running task: when it was taken, and its percentage.
    first_running: Option<(Duration, u8)>,
}

impl SpeedEstimator {
    /// Takes in a snapshot, which was taken `at` this time after the start of watching.
    pub(super) fn update(&mut self, at: Duration, snapshot: Snapshot) -> TaskProgress {
        let Snapshot { status, percent, source_secs } = snapshot;
        // it comes from a server, of whatever version
        let percent = percent.min(100);
        let unknown = TaskProgress { status, percent, speed: None, time_left: None };
        if status != TaskStatus::Running {
            self.first_running = None;
            return unknown;
        }
        let (first_at, first_percent) = *self.first_running.get_or_insert((at, percent));
        // the task is tried again, from its start
        if percent < first_percent {
            self.first_running = Some((at, percent));
            return unknown;
        }
        let (elapsed, done) = ((at - first_at).as_secs_f64(), f64::from(percent - first_percent));
        if done < 1.0 || elapsed < 0.1 {
            return unknown;
        }
        let speed = source_secs.map(|seconds| seconds * done / f64::from(100 - first_percent) / elapsed);
        let time_left = Duration::from_secs_f64(elapsed / done * f64::from(100 - percent));
        TaskProgress { speed, time_left: Some(time_left), ..unknown }
    }
}

/// Where progress is shown, for one task or several side by side.
pub(super) struct Board {
    bars: Option<MultiProgress>,
    lines: fn(&str),
}

impl Board {
    /// Bars when standard error is a terminal, else lines given to `lines`.
    pub(super) fn new(lines: fn(&str)) -> Self {
        Self { bars: std::io::stderr().is_terminal().then(MultiProgress::new), lines }
    }

    /// The meter of one more task.
    pub(super) fn meter(&self, label: &str) -> Meter {
        let label = label.to_owned();
        let Some(bars) = &self.bars else {
            return Meter::Lines { label, lines: self.lines, last: None };
        };
        let style = ProgressStyle::with_template("{prefix:10} {bar:32} {pos:>3} %  {msg}")
            .expect("the template is right")
            .progress_chars("█▓░");
        Meter::Bar(bars.add(ProgressBar::new(100).with_style(style).with_prefix(label)))
    }
}

/// Where the progress of one task is shown.
pub(super) enum Meter {
    /// On a terminal.
    Bar(ProgressBar),
    /// Anywhere else.
    Lines {
        /// What each line begins with.
        label: String,
        /// Where lines go.
        lines: fn(&str),
        /// The status of the last line, and its percentage in tens.
        last: Option<(TaskStatus, u8)>,
    },
}

impl Meter {
    /// Shows how far it is.
    pub(super) fn show(&mut self, progress: &TaskProgress) {
        match self {
            Self::Bar(bar) => {
                bar.set_position(u64::from(progress.percent));
                bar.set_message(progress.to_string());
            }
            Self::Lines { label, lines, last } => {
                let step = (progress.status, progress.percent / 10);
                if *last != Some(step) {
                    *last = Some(step);
                    lines(&format!("{label:10} {:>3} %  {progress}", progress.percent));
                }
            }
        }
    }

    /// Says that a server cannot be reached for now.
    pub(super) fn interrupted(&mut self, why: &dyn fmt::Display) {
        match self {
            Self::Bar(bar) => bar.set_message(why.to_string()),
            Self::Lines { label, lines, .. } => lines(&format!("{label:10} {why}")),
        }
    }

    /// Leaves the last state on the terminal.
    pub(super) fn finish(&mut self) {
        if let Self::Bar(bar) = self {
            bar.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(percent: u8) -> Snapshot {
        Snapshot { status: TaskStatus::Running, percent, source_secs: Some(60.0) }
    }

    #[test]
    fn speed_and_time_left_come_from_the_growth_while_running() {
        let mut estimator = SpeedEstimator::default();
        let fetching = Snapshot { status: TaskStatus::Downloading, percent: 4, source_secs: None };
        assert_eq!(estimator.update(Duration::ZERO, fetching).to_string(), "downloading");
        assert_eq!(estimator.update(Duration::from_secs(10), running(10)).to_string(), "running");
        // 45 of the 90 percent that were left, so 30 s of media, in 10 s
        assert_eq!(
            estimator.update(Duration::from_secs(20), running(55)).to_string(),
            "running, 3.0x, 10 s left"
        );
    }

    #[test]
    fn a_task_that_starts_anew_is_measured_anew() {
        let mut estimator = SpeedEstimator::default();
        estimator.update(Duration::ZERO, running(50));
        assert_eq!(estimator.update(Duration::from_secs(5), running(10)).to_string(), "running");
        assert_eq!(
            estimator.update(Duration::from_secs(15), running(20)).to_string(),
            "running, 0.7x, 1 min 20 s left"
        );
    }

    #[test]
    fn without_a_terminal_a_line_is_written_at_each_stage_and_every_ten_percent() {
        use std::sync::Mutex;
        static WRITTEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let lines = |text: &str| WRITTEN.lock().expect("no writer panicked").push(text.to_owned());
        let mut meter = Meter::Lines { label: "mp4".to_owned(), lines, last: None };
        for (status, percent) in [
            (TaskStatus::Downloading, 0),
            (TaskStatus::Running, 5),
            (TaskStatus::Running, 9),
            (TaskStatus::Running, 12),
            (TaskStatus::Succeeded, 100),
        ] {
            meter.show(&TaskProgress { status, percent, speed: None, time_left: None });
        }
        let written = WRITTEN.lock().expect("no writer panicked");
        assert_eq!(
            *written,
            [
                "mp4          0 %  downloading",
                "mp4          5 %  running",
                "mp4         12 %  running",
                "mp4        100 %  succeeded",
            ]
        );
    }
}
