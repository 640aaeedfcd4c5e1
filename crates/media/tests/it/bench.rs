//! Media work on clips that are made here, and what FFmpeg measures in its outputs.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use borealis_media::{
    Measured, Media, MediaError, MediaInput, MediaSettings, Plan, PlanRequest, PlanSettings, Programs,
    RunObserver, Source, plan,
};
use model::{ExtraOptions, Template};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Media work with real tools.
pub(crate) struct Bench {
    pub(crate) media: Media,
    pub(crate) work: TempDir,
}

/// What came of a clip.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) plan: Plan,
    pub(crate) measured: Measured,
    /// The folder with the main file.
    pub(crate) dir: PathBuf,
}

impl Bench {
    /// None when there is nothing to test with.
    pub(crate) async fn find() -> Option<Self> {
        let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools");
        let folder = std::env::var_os("BOREALIS_TOOLS").map_or(usual, PathBuf::from);
        let Ok(tools) = Programs::find(Some(&std::path::absolute(folder).expect("a path"))) else {
            println!("skipped: no tools");
            assert!(std::env::var_os("CI").is_none(), "the tools are absent");
            return None;
        };
        let fast = || "ultrafast".to_owned();
        let settings = MediaSettings {
            plan: PlanSettings {
                x264_preset: fast(),
                x265_preset: fast(),
                svtav1_preset: 12,
                vp9_cpu_used: 5,
                threads: 0,
            },
            ..MediaSettings::default()
        };
        let media = Media::new(tools, settings).await.expect("media work");
        Some(Self { media, work: tempfile::tempdir().expect("a folder") })
    }

    /// Runs FFmpeg with these words, which ends in a file of this name; gives its path.
    pub(crate) fn clip(&self, name: &str, words: &str) -> PathBuf {
        let file = self.work.path().join(name);
        let status = Command::new(&self.media.tools.programs.ffmpeg)
            .args(["-nostdin", "-y", "-v", "error"])
            .args(words.split_whitespace())
            .arg(&file)
            .status();
        assert!(status.expect("FFmpeg runs").success(), "{words}");
        file
    }

    /// Through all four steps.
    pub(crate) async fn make(
        &self,
        input: &Path,
        template: Value,
        wishes: Value,
    ) -> Result<Made, MediaError> {
        self.make_in(self.work.path(), input, template, wishes).await
    }

    /// The same in another work folder.
    pub(crate) async fn make_in(
        &self,
        work: &Path,
        input: &Path,
        template: Value,
        wishes: Value,
    ) -> Result<Made, MediaError> {
        let never = CancellationToken::new();
        let wishes: ExtraOptions = serde_json::from_value(wishes).expect("wishes");
        let source: Source = self.media.probe(input, &never).await?.clip(&wishes)?;
        let mut fields = template;
        fields["template_name"] = "t".into();
        let template: Template = serde_json::from_value(fields).expect("a template");
        template.check().expect("a right template");
        let plan = plan(&PlanRequest::new(&template, &source, &self.media.settings.plan))?;
        let output =
            self.media.run(&plan, MediaInput::File(input), work, RunObserver::default(), &never).await?;
        let measured = self.media.verify(&plan, &source, &output, &never).await?;
        Ok(Made { plan, measured, dir: output.dir })
    }

    /// The bytes that FFmpeg makes of a file, by the words after its name.
    pub(crate) fn bytes(&self, file: &Path, words: &str) -> Vec<u8> {
        self.ffmpeg(&["-v", "error"], &[file], words).stdout
    }

    /// What FFmpeg says while it does this to files, such as the summaries of its filters.
    pub(crate) fn report(&self, files: &[&Path], words: &str) -> String {
        let said = self.ffmpeg(&["-hide_banner", "-nostats"], files, words).stderr;
        String::from_utf8_lossy(&said).into_owned()
    }

    fn ffmpeg(&self, general: &[&str], files: &[&Path], words: &str) -> Output {
        let mut command = Command::new(&self.media.tools.programs.ffmpeg);
        command.arg("-nostdin").args(general);
        for file in files {
            if file.extension().is_some_and(|extension| extension == "m3u8") {
                command.args(["-allowed_extensions", "ALL"]);
            }
            command.arg("-i").arg(file);
        }
        let output = command.args(words.split_whitespace()).arg("-").output().expect("FFmpeg runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{files:?}: {said}");
        output
    }
}
