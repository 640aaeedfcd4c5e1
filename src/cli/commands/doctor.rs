//! `borealis doctor`: tries everything that a server on this machine needs. A line for each check: it is
//! well, it could be better, or it keeps the server from working, and what would help.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use media::{Media, Program, Programs, SandboxMode};
use model::SystemClock;
use percent_encoding::percent_decode_str;
use rustix::fs::{Access, access};
use store::{Cipher, Store, StoreError, StoreOptions};
use tokio::{process::Command, time::timeout};

use crate::{
    cli::{self, print::print_line},
    config::{Flags, Settings},
    worker::capacity,
};

/// How long a program or the database may take to answer.
const CHECK_TIMEOUT: Duration = Duration::from_secs(15);

/// An encoder that FFmpeg should have.
struct Encoder {
    /// As FFmpeg calls it.
    name: &'static str,
    /// The codec that it makes.
    codec: &'static str,
    /// Whether a server is of no use without it.
    is_required: bool,
}

impl Encoder {
    const fn required(name: &'static str, codec: &'static str) -> Self {
        Self { name, codec, is_required: true }
    }

    const fn optional(name: &'static str, codec: &'static str) -> Self {
        Self { name, codec, is_required: false }
    }
}

const ENCODERS: [Encoder; 8] = [
    Encoder::required("libx264", "H.264"),
    Encoder::required("aac", "AAC"),
    Encoder::optional("libx265", "H.265"),
    Encoder::optional("libsvtav1", "AV1"),
    Encoder::optional("libvpx-vp9", "VP9"),
    Encoder::optional("libmp3lame", "MP3"),
    Encoder::optional("libopus", "Opus"),
    Encoder::optional("ac3", "AC-3"),
];

/// The arguments of `borealis doctor`.
#[derive(clap::Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    flags: Flags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    /// A server works, and could work better.
    Warning,
    /// It keeps a server from working.
    Failure,
}

/// What a check found out.
#[derive(Debug)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    text: String,
}

impl Finding {
    fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, text: text.into() }
    }

    fn warning(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warning, text: text.into() }
    }

    fn failure(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Failure, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warn",
            Verdict::Failure => "FAIL",
        };
        write!(f, "{word:4}  {:9} {}", self.check, self.text)
    }
}

/// Runs every check; fails when something keeps the server from working.
pub(super) async fn run(args: DoctorArgs) -> cli::Result {
    let settings = Settings::load(&args.flags)?;
    let mut failures = 0;
    let mut report = |findings: Vec<Finding>| {
        failures += findings.iter().filter(|finding| finding.verdict == Verdict::Failure).count();
        findings.iter().try_for_each(|finding| print_line(&finding.to_string()))
    };
    report(vec![Finding::ok("settings", "they are right")])?;
    report(check_tools(&settings).await)?;
    report(vec![check_disk(&settings)])?;
    report(vec![check_database(&settings).await])?;
    match failures {
        0 => Ok(()),
        1 => Err("one thing keeps the server from working".into()),
        _ => Err(format!("{failures} things keep the server from working").into()),
    }
}

async fn check_tools(settings: &Settings) -> Vec<Finding> {
    let programs = match Programs::find(settings.media.tools.as_deref()) {
        Ok(programs) => programs,
        Err(error) => return vec![Finding::failure("tools", error.to_string())],
    };
    let mut findings = Vec::new();
    for program in Program::ALL {
        findings.push(check_version(program, programs.path(program)).await);
    }
    findings.push(match output_of(&programs.ffmpeg, &["-hide_banner", "-encoders"]).await {
        Ok(encoders) => check_codecs(&encoders),
        Err(problem) => Finding::failure("codecs", format!("FFmpeg does not list its encoders: {problem}")),
    });
    findings.push(match output_of(&programs.ffmpeg, &["-hide_banner", "-filters"]).await {
        Ok(filters) if lists(&filters, "libvmaf") => Finding::ok("quality", "FFmpeg can measure VMAF"),
        _ => Finding::warning(
            "quality",
            "FFmpeg has no libvmaf: quality cannot be measured; `make setup` brings one",
        ),
    });
    findings.push(check_sandbox(programs, settings).await);
    findings
}

async fn check_version(program: Program, path: &Path) -> Finding {
    let flag = if program == Program::Packager { "--version" } else { "-version" };
    match output_of(path, &[flag]).await {
        Ok(text) => {
            let first = text.lines().next().unwrap_or_default();
            // FFmpeg's line goes on with its copyright
            let version = first.split(" Copyright").next().unwrap_or_default();
            Finding::ok(program.name(), format!("{version}, {}", path.display()))
        }
        Err(problem) => {
            Finding::failure(program.name(), format!("{} does not run: {problem}", path.display()))
        }
    }
}

/// Runs a program, and gives its standard output.
async fn output_of(program: &Path, args: &[&str]) -> Result<String, String> {
    let run = Command::new(program).args(args).stdin(Stdio::null()).kill_on_drop(true).output();
    match timeout(CHECK_TIMEOUT, run).await {
        Err(_) => Err(format!("no answer within {} s", CHECK_TIMEOUT.as_secs())),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(output)) if !output.status.success() => Err(output.status.to_string()),
        Ok(Ok(output)) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
    }
}

fn check_codecs(encoders: &str) -> Finding {
    let missing: Vec<&Encoder> = ENCODERS.iter().filter(|encoder| !lists(encoders, encoder.name)).collect();
    if missing.is_empty() {
        let codecs: Vec<&str> = ENCODERS.iter().map(|encoder| encoder.codec).collect();
        return Finding::ok("codecs", codecs.join(", "));
    }
    let names: Vec<String> =
        missing.iter().map(|encoder| format!("{} ({})", encoder.codec, encoder.name)).collect();
    let text = format!("FFmpeg cannot make {}; `make setup` brings one that can", names.join(", "));
    if missing.iter().any(|encoder| encoder.is_required) {
        Finding::failure("codecs", text)
    } else {
        Finding::warning("codecs", text)
    }
}

/// Whether a list of FFmpeg's has this name, in its second column: ` V....D libx264   H.264 …`.
fn lists(list: &str, name: &str) -> bool {
    list.lines().any(|line| line.split_whitespace().nth(1) == Some(name))
}

async fn check_sandbox(programs: Programs, settings: &Settings) -> Finding {
    let mode = settings.media.sandbox;
    if mode == SandboxMode::Off {
        return Finding::warning(
            "sandbox",
            "it is turned off: a hostile input that breaks FFmpeg reaches this machine",
        );
    }
    let required = media::MediaOptions { sandbox: SandboxMode::Required, ..settings.media.media_options() };
    match Media::new(programs, required).await {
        Ok(_) => Finding::ok("sandbox", "the tools run in it, without network"),
        Err(error) if mode == SandboxMode::Required => Finding::failure("sandbox", error.to_string()),
        Err(error) => Finding::warning("sandbox", format!("the tools run without: {error}")),
    }
}

fn check_disk(settings: &Settings) -> Finding {
    let data_dir = settings.server.data_dir.display();
    let folder = nearest_existing(&settings.server.data_dir);
    if access(&folder, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return Finding::failure(
            "disk",
            format!("{} cannot be written to; give another --data-dir", folder.display()),
        );
    }
    let free = match capacity::free_disk_bytes(&folder) {
        Ok(free) => free,
        Err(error) => {
            return Finding::failure("disk", format!("{data_dir} does not tell its free space: {error}"));
        }
    };
    let min_free = settings.media.min_free_disk;
    if free < min_free {
        let text =
            format!("{} free in {data_dir}; no task begins below {}", gibibytes(free), gibibytes(min_free));
        return Finding::failure("disk", text);
    }
    Finding::ok("disk", format!("{} free in {data_dir}", gibibytes(free)))
}

/// The folder itself, or the nearest one above it that exists.
fn nearest_existing(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    absolute.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or(Path::new("/")).to_owned()
}

fn gibibytes(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

async fn check_database(settings: &Settings) -> Finding {
    let check = "database";
    let kind = if settings.server.is_postgres() { "PostgreSQL" } else { "SQLite" };
    if let Some(file) = sqlite_file(&settings.server.database_url())
        && !file.exists()
    {
        return Finding::ok(check, format!("SQLite, made at the first start: {}", file.display()));
    }
    match timeout(CHECK_TIMEOUT, pending_migrations(settings)).await {
        Err(_) => {
            Finding::failure(check, format!("{kind} does not answer within {} s", CHECK_TIMEOUT.as_secs()))
        }
        Ok(Err(error)) => Finding::failure(check, format!("{kind}: {error}")),
        Ok(Ok(0)) => Finding::ok(check, format!("{kind}, reached, and its schema is up to date")),
        Ok(Ok(_)) => {
            Finding::ok(check, format!("{kind}, reached; the next start brings its schema up to date"))
        }
    }
}

/// How many migrations the next start would apply.
async fn pending_migrations(settings: &Settings) -> Result<usize, StoreError> {
    let key_file = settings.master_key_file();
    let cipher = if key_file.exists() {
        Cipher::load_or_create(&key_file)?
    } else {
        // no secret is read here, and the doctor makes no master key
        Cipher::new([0; 32])
    };
    let options = StoreOptions {
        url: settings.server.database_url(),
        cipher,
        clock: Arc::new(SystemClock),
        compose: callback::payload::compose,
    };
    Store::pending_migrations(options).await
}

/// The file of an SQLite database: `/a/b.db` of `sqlite:///a/b.db?mode=rwc`.
fn sqlite_file(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = percent_decode_str(path.split('?').next()?).decode_utf8().ok()?;
    Some(PathBuf::from(path.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENCODERS_OF_FFMPEG: &str = "Encoders:\n V..... = Video\n ------\n \
        V....D libx264              libx264 H.264 / AVC / MPEG-4 AVC (codec h264)\n \
        V....D libx264rgb           libx264 H.264 RGB (codec h264)\n \
        V..... libx265              libx265 H.265 / HEVC (codec hevc)\n \
        V....D libsvtav1            SVT-AV1 encoder (codec av1)\n \
        V....D libvpx-vp9           libvpx VP9 (codec vp9)\n \
        A....D aac                  AAC (Advanced Audio Coding)\n \
        A....D ac3                  ATSC A/52A (AC-3)\n \
        A....D libmp3lame           libmp3lame MP3 (codec mp3)\n \
        A....D libopus              libopus Opus (codec opus)\n";

    #[test]
    fn codecs_that_are_missing_are_named() {
        assert_eq!(check_codecs(ENCODERS_OF_FFMPEG).verdict, Verdict::Ok);
        let some = ENCODERS_OF_FFMPEG.replace("libsvtav1 ", "other ");
        assert_eq!(
            check_codecs(&some).to_string(),
            "warn  codecs    FFmpeg cannot make AV1 (libsvtav1); `make setup` brings one that can"
        );
        // libx264rgb alone does not do
        assert_eq!(check_codecs(&ENCODERS_OF_FFMPEG.replace("libx264 ", "other ")).verdict, Verdict::Failure);
    }

    #[test]
    fn an_sqlite_database_is_a_file() {
        assert_eq!(sqlite_file("sqlite:///a/b.db?mode=rwc"), Some("/a/b.db".into()));
        assert_eq!(sqlite_file("sqlite://./data/b.db"), Some("./data/b.db".into()));
        assert_eq!(sqlite_file("sqlite:///a%20b/c.db"), Some("/a b/c.db".into()));
        assert_eq!(sqlite_file("postgres://h/b"), None);
    }

    #[test]
    fn a_data_directory_that_is_not_there_yet_is_judged_by_the_one_above() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(nearest_existing(&folder.path().join("a/b")), folder.path());
    }
}
