//! How far a task has come, as it is shown: a bar on a terminal, else a line at each new stage and
//! every ten percent.

use std::{fmt, io::IsTerminal as _, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use model::TaskStatus;

use super::duration::spoken;

/// One look at a task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Look {
    /// Where it stands.
    pub(super) status: TaskStatus,
    /// 0 to 100.
    pub(super) percent: u8,
    /// Seconds of media, where that is known.
    pub(super) media: Option<f64>,
}

/// What a look says beside those before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Progress {
    status: TaskStatus,
    percent: u8,
    /// Seconds of media done in a second.
    speed: Option<f64>,
    left: Option<Duration>,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if let Some(speed) = self.speed {
            write!(f, ", {speed:.1}x")?;
        }
        if let Some(left) = self.left {
            write!(f, ", {} left", spoken(left))?;
        }
        Ok(())
    }
}

/// Tells speed and time left from how the percentage grew while the task ran.
#[derive(Default)]
pub(super) struct Pace {
    began: Option<(Duration, u8)>,
}

impl Pace {
    /// Takes in what was seen at a time after the start of watching.
    pub(super) fn see(&mut self, at: Duration, look: Look) -> Progress {
        let Look { status, percent, media } = look;
        let unknown = Progress { status, percent, speed: None, left: None };
        if status != TaskStatus::Running {
            self.began = None;
            return unknown;
        }
        // a task that was taken up again starts anew
        let (since, from) = *self.began.get_or_insert((at, percent));
        if percent < from {
            self.began = Some((at, percent));
            return unknown;
        }
        let (taken, done) = ((at - since).as_secs_f64(), f64::from(percent - from));
        if done < 1.0 || taken < 0.1 {
            return unknown;
        }
        let speed = media.map(|seconds| seconds * done / f64::from(100 - from) / taken);
        let left = Duration::from_secs_f64(taken / done * f64::from(100 - percent.min(100)));
        Progress { speed, left: Some(left), ..unknown }
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

    /// A place for one more task.
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
        /// What the last line said.
        last: Option<(TaskStatus, u8)>,
    },
}

impl Meter {
    /// Shows how far it is.
    pub(super) fn show(&mut self, progress: &Progress) {
        match self {
            Self::Bar(bar) => {
                bar.set_position(u64::from(progress.percent));
                bar.set_message(progress.to_string());
            }
            Self::Lines { label, lines, last } => {
                let seen = (progress.status, progress.percent / 10);
                if *last != Some(seen) {
                    *last = Some(seen);
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

    /// Leaves the last word standing.
    pub(super) fn finish(&mut self) {
        if let Self::Bar(bar) = self {
            bar.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(percent: u8) -> Look {
        Look { status: TaskStatus::Running, percent, media: Some(60.0) }
    }

    #[test]
    fn speed_and_time_left_come_from_the_growth_while_running() {
        let mut pace = Pace::default();
        let fetching = Look { status: TaskStatus::Downloading, percent: 4, media: None };
        assert_eq!(pace.see(Duration::ZERO, fetching).to_string(), "downloading");
        assert_eq!(pace.see(Duration::from_secs(10), running(10)).to_string(), "running");
        // 45 of the 90 percent that were left, so 30 s of media, in 10 s
        assert_eq!(pace.see(Duration::from_secs(20), running(55)).to_string(), "running, 3.0x, 10 s left");
    }

    #[test]
    fn a_task_that_starts_anew_is_measured_anew() {
        let mut pace = Pace::default();
        pace.see(Duration::ZERO, running(50));
        assert_eq!(pace.see(Duration::from_secs(5), running(10)).to_string(), "running");
        assert_eq!(
            pace.see(Duration::from_secs(15), running(20)).to_string(),
            "running, 0.7x, 1 min 20 s left"
        );
    }

    #[test]
    fn without_a_terminal_a_line_is_written_at_each_stage_and_every_ten_percent() {
        use std::sync::Mutex;
        static WRITTEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let lines = |text: &str| WRITTEN.lock().expect("sound").push(text.to_owned());
        let mut meter = Meter::Lines { label: "mp4".to_owned(), lines, last: None };
        for (status, percent) in [
            (TaskStatus::Downloading, 0),
            (TaskStatus::Running, 5),
            (TaskStatus::Running, 9),
            (TaskStatus::Running, 12),
            (TaskStatus::Succeeded, 100),
        ] {
            meter.show(&Progress { status, percent, speed: None, left: None });
        }
        let written = WRITTEN.lock().expect("sound");
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
