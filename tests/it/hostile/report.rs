//! What came of the hour, as a table and as problems.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use super::{
    attacker::Tally,
    attacks::{Attack, KNOWN_NOT_TO_HOLD},
    customer::CustomerTask,
    product::Log,
    watch::{Answers, Watched},
};

/// What may not be exceeded.
pub(crate) struct Bounds {
    /// The longest answer of `/healthz`.
    pub(crate) health: Duration,
    /// From a task's end to its callback's first byte, p99.
    pub(crate) callback: Duration,
    /// The longest first sign-in of a key.
    pub(crate) sign_in: Duration,
    /// The server's memory, in MiB.
    pub(crate) memory: u64,
}

/// What came of it.
pub(crate) struct Report {
    pub(super) plan_tasks: usize,
    pub(super) tasks: Vec<CustomerTask>,
    /// What is wrong with outputs and callbacks.
    pub(super) outputs: Vec<String>,
    /// Calls of the customer's that failed.
    pub(super) failed_calls: Vec<String>,
    pub(super) waits: Vec<Duration>,
    pub(super) watched: Watched,
    /// The server's memory before the attacks and its peak, in MiB.
    pub(super) before: u64,
    pub(super) memory: u64,
    /// How the process ended.
    pub(super) end: String,
    pub(super) log: Log,
    pub(super) tallies: Vec<(&'static Attack, Tally)>,
}

impl Report {
    /// What is not as it has to be.
    pub(crate) fn problems(&self, bounds: &Bounds) -> Vec<String> {
        let mut problems = [self.outputs.clone(), self.failed_calls.clone()].concat();
        let mut unless = |is_right: bool, problem: String| {
            if !is_right {
                problems.push(problem);
            }
        };
        let told = self.tasks.iter().filter(|task| task.times == 1).count();
        unless(
            told == self.plan_tasks,
            format!("{told} of {} tasks told their end exactly once", self.plan_tasks),
        );
        let arrived = self.tasks.iter().filter(|task| task.at.is_some()).count();
        unless(self.waits.len() == arrived, format!("{} ends of tasks are in the log", self.waits.len()));
        for (what, answers, bound) in [
            ("/healthz", &self.watched.health, bounds.health),
            ("a first sign-in", &self.watched.sign_ins, bounds.sign_in),
        ] {
            let longest = answers.times.iter().max().copied().unwrap_or(Duration::MAX);
            unless(longest <= bound, format!("{what} took {longest:.1?}"));
            unless(answers.failures.is_empty(), format!("{what} failed: {:?}", answers.failures));
        }
        let wait = percentile(&self.waits, 0.99);
        unless(wait <= bounds.callback, format!("callbacks came {wait:.1?} after the end of tasks (p99)"));
        unless(self.memory <= bounds.memory, format!("the server took {} MiB", self.memory));
        unless(self.end == "exit status: 0", format!("the server ended with {}", self.end));
        unless(self.log.panics.is_empty(), format!("panics: {:?}", self.log.panics));
        unless(self.log.secrets.is_empty(), format!("lines of the log hold secrets: {:?}", self.log.secrets));
        for (attack, tally) in &self.tallies {
            let counts = tally.counts();
            unless(
                counts.contains_key(attack.proof),
                format!("{} never met {}: {counts:?}", attack.name, attack.proof),
            );
        }
        problems
    }
}

/// A time that this share of the others is not above.
fn percentile(times: &[Duration], share: f64) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    let Some(last) = times.len().checked_sub(1) else { return Duration::MAX };
    times[(last as f64 * share).ceil() as usize]
}

fn row(out: &mut Formatter<'_>, what: &str, times: &[Duration], to_reach: &str) -> fmt::Result {
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| percentile(times, share).as_secs_f64() * 1000.0);
    writeln!(
        out,
        "| {what} ({} times): p50 / p99 / longest | {p50:.1} / {p99:.1} / {max:.1} ms | {to_reach} |",
        times.len()
    )
}

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let told: Vec<_> = self.tasks.iter().filter(|task| task.times > 0).collect();
        let again: usize = told.iter().map(|task| task.times - 1).sum();
        let took: Vec<_> = told.iter().map(|task| task.took).collect();
        writeln!(out, "| what | measured | to reach |\n|---|---|---|")?;
        writeln!(
            out,
            "| tasks that ended well, output and callback right | {} of {} | all |",
            self.plan_tasks.saturating_sub(self.outputs.len()),
            self.plan_tasks
        )?;
        writeln!(out, "| callbacks that came again | {again} | 0 |")?;
        row(out, "from a task's end to the first byte of its callback", &self.waits, "p99 ≤ 100 ms")?;
        row(out, "`/healthz`", &self.watched.health.times, "≤ 100 ms")?;
        row(out, "first sign-in of a new key", &self.watched.sign_ins.times, "")?;
        row(out, "from a task's creation to its callback", &took, "")?;
        let failures = |answers: &Answers| answers.failures.len();
        let failed =
            failures(&self.watched.health) + failures(&self.watched.sign_ins) + self.failed_calls.len();
        writeln!(out, "| calls of these and of the customer's that failed | {failed} | 0 |")?;
        writeln!(
            out,
            "| peak memory of the server (before: {} MiB) | {} MiB | ≤ 300 MiB |",
            self.before, self.memory
        )?;
        writeln!(out, "| end after SIGTERM | {} | exit status: 0 |", self.end)?;
        let (panics, secrets) = (self.log.panics.len(), self.log.secrets.len());
        writeln!(out, "| panics; secrets in {} lines of log | {panics}; {secrets} | 0; 0 |", self.log.lines)?;
        writeln!(out, "\n| attack | what it does | answers |\n|---|---|---|")?;
        for (attack, tally) in &self.tallies {
            let counts: Vec<_> =
                tally.counts().iter().map(|(what, count)| format!("{what}: {count}")).collect();
            writeln!(out, "| `{}` | {} | {} |", attack.name, attack.what, counts.join(", "))?;
        }
        for (name, reason) in KNOWN_NOT_TO_HOLD {
            writeln!(out, "left out unless named, for it does not hold yet: {name}: {reason}")?;
        }
        Ok(())
    }
}
