//! `borealis doctor`: everything that a server on this machine needs, tried for real. A line for
//! each thing: it is well, it could be better, or it keeps the server from working, and what helps.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use media::{Media, Program, SandboxMode, Tools};
use model::SystemClock;
use rustix::fs::{Access, access, statvfs};
use store::{Cipher, Store, StoreError, StoreOptions};
use tokio::{process::Command, time::timeout};

use crate::cli::print::line;
use crate::config::{Flags, Settings};

/// How long one thing may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// An encoder of FFmpeg, the codec it makes, and whether a server is of no use without it.
type Encoder = (&'static str, &'static str, bool);

const ENCODERS: [Encoder; 8] = [
    ("libx264", "H.264", true),
    ("aac", "AAC", true),
    ("libx265", "H.265", false),
    ("libsvtav1", "AV1", false),
    ("libvpx-vp9", "VP9", false),
    ("libmp3lame", "MP3", false),
    ("libopus", "Opus", false),
    ("ac3", "AC-3", false),
];

/// The arguments of `borealis doctor`.
#[derive(clap::Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    flags: Flags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Well,
    Better,
    Broken,
}

/// What was found out about one thing.
#[derive(Debug)]
struct Finding {
    about: &'static str,
    verdict: Verdict,
    text: String,
}

impl Finding {
    fn well(about: &'static str, text: impl Into<String>) -> Self {
        Self { about, verdict: Verdict::Well, text: text.into() }
    }

    fn better(about: &'static str, text: impl Into<String>) -> Self {
        Self { about, verdict: Verdict::Better, text: text.into() }
    }

    fn broken(about: &'static str, text: impl Into<String>) -> Self {
        Self { about, verdict: Verdict::Broken, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.verdict {
            Verdict::Well => "ok",
            Verdict::Better => "warn",
            Verdict::Broken => "FAIL",
        };
        write!(f, "{word:4}  {:9} {}", self.about, self.text)
    }
}

/// Looks at everything; fails when something keeps the server from working.
pub(super) async fn run(args: DoctorArgs) -> crate::cli::Result {
    let settings = Settings::load(&args.flags)?;
    let mut broken = 0;
    let mut tell = |findings: Vec<Finding>| {
        broken += findings.iter().filter(|finding| finding.verdict == Verdict::Broken).count();
        findings.iter().try_for_each(|finding| line(&finding.to_string()))
    };
    tell(vec![Finding::well("settings", "they are right")])?;
    tell(tools(&settings).await)?;
    tell(vec![disk(&settings)])?;
    tell(vec![database(&settings).await])?;
    match broken {
        0 => Ok(()),
        1 => Err("one thing keeps the server from working".into()),
        _ => Err(format!("{broken} things keep the server from working").into()),
    }
}

async fn tools(settings: &Settings) -> Vec<Finding> {
    let tools = match Tools::find(settings.media.tools.as_deref()) {
        Ok(tools) => tools,
        Err(error) => return vec![Finding::broken("tools", error.to_string())],
    };
    let mut findings = Vec::new();
    for program in Program::ALL {
        findings.push(version(program, tools.path(program)).await);
    }
    findings.push(match answer(&tools.ffmpeg, &["-hide_banner", "-encoders"]).await {
        Ok(encoders) => codecs(&encoders),
        Err(problem) => Finding::broken("codecs", format!("FFmpeg does not list its encoders: {problem}")),
    });
    findings.push(match answer(&tools.ffmpeg, &["-hide_banner", "-filters"]).await {
        Ok(filters) if has_word(&filters, "libvmaf") => Finding::well("quality", "FFmpeg can measure VMAF"),
        _ => Finding::better(
            "quality",
            "FFmpeg has no libvmaf: quality cannot be measured; `make setup` brings one",
        ),
    });
    findings.push(sandbox(tools, settings).await);
    findings
}

async fn version(program: Program, path: &Path) -> Finding {
    let flag = if program == Program::Packager { "--version" } else { "-version" };
    match answer(path, &[flag]).await {
        Ok(text) => {
            let first = text.lines().next().unwrap_or_default();
            // FFmpeg goes on with a copyright
            let version = first.split(" Copyright").next().unwrap_or_default();
            Finding::well(program.name(), format!("{version}, {}", path.display()))
        }
        Err(problem) => {
            Finding::broken(program.name(), format!("{} does not run: {problem}", path.display()))
        }
    }
}

/// What a program says on standard output.
async fn answer(program: &Path, args: &[&str]) -> Result<String, String> {
    let run = Command::new(program).args(args).stdin(Stdio::null()).kill_on_drop(true).output();
    match timeout(PATIENCE, run).await {
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(output)) if !output.status.success() => Err(output.status.to_string()),
        Ok(Ok(output)) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
    }
}

fn codecs(encoders: &str) -> Finding {
    let (there, missing): (Vec<&Encoder>, Vec<&Encoder>) =
        ENCODERS.iter().partition(|(encoder, ..)| has_word(encoders, encoder));
    let names = |list: &[&Encoder]| {
        list.iter().map(|(encoder, codec, _)| format!("{codec} ({encoder})")).collect::<Vec<_>>().join(", ")
    };
    if missing.iter().any(|(.., needed)| *needed) {
        return Finding::broken(
            "codecs",
            format!("FFmpeg cannot make {}; `make setup` brings one that can", names(&missing)),
        );
    }
    if missing.is_empty() {
        return Finding::well(
            "codecs",
            there.iter().map(|(_, codec, _)| *codec).collect::<Vec<_>>().join(", "),
        );
    }
    Finding::better(
        "codecs",
        format!("FFmpeg cannot make {}; `make setup` brings one that can", names(&missing)),
    )
}

/// Whether one of the words of FFmpeg's lists is this one: ` V....D libx264   H.264 …`.
fn has_word(list: &str, word: &str) -> bool {
    list.lines().any(|line| line.split_whitespace().nth(1) == Some(word))
}

async fn sandbox(tools: Tools, settings: &Settings) -> Finding {
    let wanted = settings.media.sandbox;
    if wanted == SandboxMode::Off {
        return Finding::better(
            "sandbox",
            "it is turned off: a hostile input that breaks FFmpeg reaches this machine",
        );
    }
    let required = media::MediaSettings { sandbox: SandboxMode::Required, ..settings.media.work_settings() };
    match Media::new(tools, required).await {
        Ok(_) => Finding::well("sandbox", "the tools run in it, without network"),
        Err(error) if wanted == SandboxMode::Required => Finding::broken("sandbox", error.to_string()),
        Err(error) => Finding::better("sandbox", format!("the tools run without: {error}")),
    }
}

fn disk(settings: &Settings) -> Finding {
    let folder = &settings.server.data_dir;
    let place = existing(folder);
    let shown = folder.display();
    if access(&place, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return Finding::broken(
            "disk",
            format!("{} cannot be written to; give another --data-dir", place.display()),
        );
    }
    let free = match statvfs(&place) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(error) => {
            return Finding::broken("disk", format!("{shown} does not tell its free space: {error}"));
        }
    };
    let wanted = settings.media.min_free_disk;
    if free < wanted {
        let text = format!("{} free in {shown}; no task begins below {}", gibibytes(free), gibibytes(wanted));
        return Finding::broken("disk", text);
    }
    Finding::well("disk", format!("{} free in {shown}", gibibytes(free)))
}

/// The folder itself, or the nearest above it that is there.
fn existing(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    absolute.ancestors().find(|place| place.is_dir()).unwrap_or(Path::new("/")).to_owned()
}

fn gibibytes(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

async fn database(settings: &Settings) -> Finding {
    let about = "database";
    let kind = if settings.server.is_postgres() { "PostgreSQL" } else { "SQLite" };
    if let Some(file) = sqlite_file(&settings.server.database_url())
        && !file.exists()
    {
        return Finding::well(about, format!("SQLite, made at the first start: {}", file.display()));
    }
    match timeout(PATIENCE, inspect(settings)).await {
        Err(_) => Finding::broken(about, format!("{kind} does not answer within {} s", PATIENCE.as_secs())),
        Ok(Err(error)) => Finding::broken(about, format!("{kind}: {error}")),
        Ok(Ok(0)) => Finding::well(about, format!("{kind}, reached, and its schema is up to date")),
        Ok(Ok(_)) => {
            Finding::well(about, format!("{kind}, reached; the next start brings its schema up to date"))
        }
    }
}

/// Looks at the database: how many migrations a start would bring. Without a master key yet, any
/// does while nothing is encrypted.
async fn inspect(settings: &Settings) -> Result<usize, StoreError> {
    let key_file = settings.master_key_file();
    let cipher = match key_file.exists() {
        true => Cipher::load_or_create(&key_file)?,
        false => Cipher::new([0; 32]),
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
    path.split('?').next().map(PathBuf::from)
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
        assert_eq!(codecs(ENCODERS_OF_FFMPEG).verdict, Verdict::Well);
        let some = ENCODERS_OF_FFMPEG.replace("libsvtav1 ", "other ");
        assert_eq!(
            codecs(&some).to_string(),
            "warn  codecs    FFmpeg cannot make AV1 (libsvtav1); `make setup` brings one that can"
        );
        // libx264rgb alone does not do
        assert_eq!(codecs(&ENCODERS_OF_FFMPEG.replace("libx264 ", "other ")).verdict, Verdict::Broken);
    }

    #[test]
    fn an_sqlite_database_is_a_file() {
        assert_eq!(sqlite_file("sqlite:///a/b.db?mode=rwc"), Some("/a/b.db".into()));
        assert_eq!(sqlite_file("sqlite://./data/b.db"), Some("./data/b.db".into()));
        assert_eq!(sqlite_file("postgres://h/b"), None);
    }

    #[test]
    fn a_data_directory_that_is_not_there_yet_is_judged_by_the_one_above() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(existing(&folder.path().join("a/b")), folder.path());
    }
}
