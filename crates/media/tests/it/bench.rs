//! Media work with real tools: clips that FFmpeg makes on the spot, or real ones of the corpus, go through all four
//! steps in a work folder that is removed with the bench.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use borealis_media::{
    Measured, Media, MediaError, MediaInput, MediaOptions, Plan, PlanRequest, PlanSettings, Programs,
    RunObserver, RunOutput, Source, plan,
};
use model::{ExtraOptions, Template};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Media work with real tools.
pub(crate) struct Bench {
    pub(crate) media: Media,
    pub(crate) work: TempDir,
}

/// What `run` made of an input, before `verify` has seen it.
pub(crate) struct Encoded {
    pub(crate) source: Source,
    pub(crate) plan: Plan,
    pub(crate) output: RunOutput,
}

/// An output that `verify` agreed to.
#[derive(Debug)]
pub(crate) struct Transcoded {
    pub(crate) plan: Plan,
    pub(crate) measured: Measured,
    /// The folder with the main file.
    pub(crate) dir: PathBuf,
}

/// The quickest presets: what is tested is what comes out, not how small it is.
pub(crate) fn fast_settings() -> MediaOptions {
    MediaOptions { plan: presets("ultrafast"), ..MediaOptions::default() }
}

/// This preset of x264, and the quickest of other encoders.
pub(crate) fn presets(x264: &str) -> PlanSettings {
    PlanSettings {
        x264_preset: x264.to_owned(),
        x265_preset: "ultrafast".to_owned(),
        svtav1_preset: 12,
        vp9_cpu_used: 5,
        threads: 0,
    }
}

/// The folder that a variable of the environment names, else this one below the workspace.
pub(crate) fn folder(variable: &str, default: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = std::env::var_os(variable).map_or_else(|| workspace.join(default), PathBuf::from);
    std::path::absolute(folder).expect("a path")
}

/// The folder with the real clips of the corpus; none where it is absent, which fails when `CI` is set.
pub(crate) fn real_clips() -> Option<PathBuf> {
    let clips = folder("BOREALIS_TEST_MEDIA", "../shared/media").join("real");
    if !clips.is_dir() {
        println!("skipped: no clips in {}", clips.display());
        assert!(std::env::var_os("CI").is_none(), "the corpus is absent");
        return None;
    }
    Some(clips)
}

impl Bench {
    /// With the quickest presets; none where there are no tools, which fails when `CI` is set.
    pub(crate) async fn find() -> Option<Self> {
        Self::with(fast_settings()).await
    }

    /// With these settings; none where there are no tools, which fails when `CI` is set.
    pub(crate) async fn with(settings: MediaOptions) -> Option<Self> {
        let Ok(programs) = Programs::find(Some(&folder("BOREALIS_TOOLS", ".tools"))) else {
            println!("skipped: no tools");
            assert!(std::env::var_os("CI").is_none(), "the tools are absent");
            return None;
        };
        let media = Media::new(programs, settings).await.expect("the sandbox is not required");
        Some(Self { media, work: tempfile::tempdir().expect("a folder") })
    }

    /// Makes a clip of this name in the work folder by FFmpeg's arguments in front of it; gives its path.
    pub(crate) fn clip(&self, name: &str, arguments: &str) -> PathBuf {
        let file = self.work.path().join(name);
        let status = Command::new(&self.media.tools.programs.ffmpeg)
            .args(["-nostdin", "-y", "-v", "error"])
            .args(arguments.split_whitespace())
            .arg(&file)
            .status();
        assert!(status.expect("FFmpeg runs").success(), "{arguments}");
        file
    }

    /// Probe, plan and run. `options` are the task's `extra_options`.
    pub(crate) async fn encode(
        &self,
        work: &Path,
        input: &Path,
        mut template: Value,
        options: Value,
        on_progress: &(dyn Fn(f64) + Send + Sync),
    ) -> Result<Encoded, MediaError> {
        let never = CancellationToken::new();
        let options: ExtraOptions = serde_json::from_value(options).expect("options");
        let source = self.media.probe(input, &never).await?.clip(&options)?;
        template["template_name"] = "t".into();
        let template: Template = serde_json::from_value(template).expect("a template");
        template.check().expect("a valid template");
        let plan = plan(&PlanRequest::new(&template, &source, &self.media.settings.plan))?;
        let observer = RunObserver { on_progress, ..RunObserver::default() };
        let output = self.media.run(&plan, MediaInput::File(input), work, observer, &never).await?;
        Ok(Encoded { source, plan, output })
    }

    /// Verifies what was encoded.
    pub(crate) async fn verify(&self, encoded: &Encoded) -> Result<Measured, MediaError> {
        let Encoded { source, plan, output } = encoded;
        self.media.verify(plan, source, output, &CancellationToken::new()).await
    }

    /// All four steps, in the bench's work folder.
    pub(crate) async fn transcode(
        &self,
        input: &Path,
        template: Value,
        options: Value,
    ) -> Result<Transcoded, MediaError> {
        self.transcode_in(self.work.path(), input, template, options).await
    }

    /// All four steps without `extra_options`; panics where one fails, with the tool's log.
    pub(crate) async fn must_transcode(&self, input: &Path, template: Value) -> Transcoded {
        self.must_transcode_with(input, template, json!({})).await
    }

    /// As `must_transcode`, with these `extra_options`.
    pub(crate) async fn must_transcode_with(
        &self,
        input: &Path,
        template: Value,
        options: Value,
    ) -> Transcoded {
        match self.transcode(input, template.clone(), options).await {
            Ok(output) => output,
            Err(error) => panic!("{template}: {error}\n{}", error.log),
        }
    }

    /// The error of an input or template that is refused; panics where it is transcoded.
    pub(crate) async fn must_refuse(&self, input: &Path, template: Value) -> MediaError {
        self.transcode(input, template, json!({})).await.expect_err("refused")
    }

    /// All four steps, in another work folder.
    pub(crate) async fn transcode_in(
        &self,
        work: &Path,
        input: &Path,
        template: Value,
        options: Value,
    ) -> Result<Transcoded, MediaError> {
        let encoded = self.encode(work, input, template, options, &|_| {}).await?;
        let measured = self.verify(&encoded).await?;
        Ok(Transcoded { plan: encoded.plan, measured, dir: encoded.output.dir })
    }

    /// What FFmpeg writes to its standard output, by the arguments after the file.
    pub(crate) fn bytes(&self, file: &Path, arguments: &str) -> Vec<u8> {
        self.ffmpeg(&["-v", "error"], &[file], arguments).stdout
    }

    /// What FFmpeg reports on its standard error, such as the summaries of its filters.
    pub(crate) fn report(&self, files: &[&Path], arguments: &str) -> String {
        let stderr = self.ffmpeg(&["-hide_banner", "-nostats"], files, arguments).stderr;
        String::from_utf8_lossy(&stderr).into_owned()
    }

    fn ffmpeg(&self, global: &[&str], files: &[&Path], arguments: &str) -> Output {
        let mut command = Command::new(&self.media.tools.programs.ffmpeg);
        command.arg("-nostdin").args(global);
        for file in files {
            if file.extension().is_some_and(|extension| extension == "m3u8") {
                command.args(["-allowed_extensions", "ALL"]);
            }
            command.arg("-i").arg(file);
        }
        let output = command.args(arguments.split_whitespace()).arg("-").output().expect("FFmpeg runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{files:?}: {stderr}");
        output
    }
}
