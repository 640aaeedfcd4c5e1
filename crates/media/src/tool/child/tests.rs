//! Children of `/bin/sh`: it is the one place where a shell is spoken to.

use rustix::process::{Pid, test_kill_process};
use tokio::process::Command;

use std::sync::Arc;

use super::*;
use crate::{tool::feed, work_folder::WorkFolder};

const LIMITS: ResourceLimits = ResourceLimits {
    address_space_bytes: 1 << 32,
    memory_bytes: 1 << 30,
    cpu_time: Duration::from_secs(10),
    file_bytes: 1 << 10,
    open_files: 64,
};

async fn shell(script: &str) -> Child {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    Child::start(command, None, LIMITS).await.expect("started")
}

async fn first_line(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stdout.take().expect("not taken")).lines();
    lines.next_line().await.expect("read").expect("a line")
}

fn is_alive(pid: &str) -> bool {
    let pid = Pid::from_raw(pid.trim().parse().expect("a number")).expect("positive");
    // A zombie is dead, though it still has its number.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    test_kill_process(pid).is_ok() && stat.is_ok_and(|stat| !stat.contains(") Z"))
}

/// Waits until it has gone; the test's own time limit is nextest's.
async fn gone(pid: &str) {
    while is_alive(pid) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn says_what_it_says() {
    let mut child = shell("read nothing; echo one; echo two; echo three >&2; exit 4").await;
    let mut said = Vec::new();
    let ended = child.lines(Some(100), |line| said.extend_from_slice(line)).await.expect("read");
    assert_eq!(String::from_utf8_lossy(&said), "one\ntwo\n");
    assert_eq!((ended.status.code(), ended.stderr_tail.as_str()), (Some(4), "three\n"));
}

#[tokio::test]
async fn too_many_words_are_refused() {
    let mut child = shell("while :; do echo word; done").await;
    let error = child.lines(Some(1000), |_| {}).await.expect_err("too many");
    assert_eq!(error.to_string(), "it wrote more than 1000 bytes");
}

#[tokio::test]
async fn dies_with_all_that_it_started() {
    let mut child = shell("sleep 1000 & echo $!; wait").await;
    let grandchild = first_line(&mut child).await;
    assert!(is_alive(&grandchild));
    child.kill().await;
    gone(&grandchild).await;
}

#[tokio::test]
async fn a_dropped_one_leaves_nothing_behind() {
    let mut child = shell("sleep 1000 & echo $!; wait").await;
    let grandchild = first_line(&mut child).await;
    drop(child);
    gone(&grandchild).await;
}

#[tokio::test]
async fn what_ignores_term_is_killed() {
    let mut child = shell("trap '' TERM; echo $$; while :; do sleep 1000; done").await;
    let pid = first_line(&mut child).await;
    child.kill_within(Duration::from_millis(10)).await;
    gone(&pid).await;
}

#[tokio::test]
async fn writes_no_larger_file_than_it_may() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child =
        shell(&format!("head -c 5000 /dev/zero > {}", folder.path().join("large").display())).await;
    let ended = child.lines(Some(100), |_| {}).await.expect("read");
    assert!(!ended.status.success());
    assert_eq!(folder.path().join("large").metadata().expect("a file").len(), 1 << 10);
}

#[tokio::test]
async fn without_progress_it_is_given_up() {
    let mut child =
        shell("echo frame=1; echo progress=continue; while :; do echo progress=continue; done").await;
    let mut seen = Vec::new();
    let outcome =
        child.follow(Duration::from_millis(50), || false, |progress| seen.push(progress.frame)).await;
    assert!(matches!(outcome, Err(ChildError::Stalled(_))), "{outcome:?}");
    assert_eq!(seen, [1]);
}

#[tokio::test]
async fn who_is_short_of_input_is_waited_for() {
    let mut child = shell("sleep 2; echo frame=1; echo progress=end").await;
    let mut seen = Vec::new();
    let ended = child.follow(Duration::from_millis(500), || true, |progress| seen.push(progress.frame)).await;
    assert!(ended.expect("not given up").status.success());
    assert_eq!(seen, [1]);
}

#[tokio::test]
async fn is_fed_with_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = ["one", "two"].map(|name| folder.path().join(name));
    for file in &files {
        std::fs::write(file, file.file_name().expect("a name").as_encoded_bytes()).expect("written");
    }
    let dir = Arc::new(WorkFolder::open(folder.path()).expect("opened"));
    let mut command = Command::new("/bin/cat");
    command.env_clear();
    let stdin = feed::through_pipe(&dir, files.to_vec()).expect("a pipe").expect("one");
    let mut child = Child::start(command, Some(stdin), LIMITS).await.expect("started");
    let mut said = Vec::new();
    child.lines(Some(100), |line| said.extend_from_slice(line)).await.expect("read");
    assert_eq!(said, b"onetwo");
}

#[tokio::test]
async fn inherits_nothing_but_its_three_descriptors() {
    let folder = tempfile::tempdir().expect("a folder");
    let _file = std::fs::File::create(folder.path().join("open")).expect("made");
    let _socket = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    // the shell has the folder open that it lists
    let mut child = shell("for fd in /proc/$$/fd/*; do readlink $fd; done | grep -v ^/proc/").await;
    let mut written = String::new();
    let ended =
        child.lines(Some(1000), |line| written += &String::from_utf8_lossy(line)).await.expect("read");
    assert!(ended.status.success(), "{written}");
    let lines: Vec<&str> = written.lines().collect();
    assert!(lines.iter().all(|line| *line == "/dev/null" || line.starts_with("pipe:")), "{written}");
}

#[tokio::test]
async fn a_line_without_end_is_refused() {
    let mut child = shell("cat /dev/zero").await;
    let error = child.lines(None, |_| {}).await.expect_err("too long");
    assert_eq!(error.to_string(), format!("it wrote a line of more than {MAX_LINE_BYTES} bytes"));
    let mut child = shell("cat /dev/zero").await;
    let error = child.follow(Duration::from_secs(60), || false, |_| {}).await.expect_err("too long");
    assert!(matches!(error, ChildError::Io(_)), "{error:?}");
}

#[tokio::test]
async fn is_the_first_that_the_kernel_ends() {
    let mut child = shell("cat /proc/self/oom_score_adj").await;
    assert_eq!(first_line(&mut child).await, "1000");
}

#[tokio::test]
async fn has_no_more_memory_than_it_may() {
    let mut child = shell("ulimit -d").await;
    assert_eq!(first_line(&mut child).await, (LIMITS.memory_bytes / 1024).to_string());
}
