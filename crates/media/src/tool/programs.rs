//! Where FFmpeg, ffprobe and Shaka Packager are, and what they can do.

use std::path::{Path, PathBuf};

/// The three programs that do the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// FFmpeg.
    pub ffmpeg: PathBuf,
    /// ffprobe.
    pub ffprobe: PathBuf,
    /// Shaka Packager.
    pub packager: PathBuf,
}

/// A program is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{missing} not found in {looked_in}; run `make setup`, or name the folder that has it (`--tools`, `BOREALIS_TOOLS`)"
)]
pub struct ProgramsError {
    missing: String,
    looked_in: String,
}

/// One of the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// FFmpeg.
    Ffmpeg,
    /// ffprobe.
    Ffprobe,
    /// Shaka Packager.
    Packager,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ffmpeg, Self::Ffprobe, Self::Packager];

    /// Its file name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ffmpeg => "ffmpeg",
            Self::Ffprobe => "ffprobe",
            Self::Packager => "packager",
        }
    }
}

impl Programs {
    /// Finds them: each in `dir` when it is given; otherwise in a folder `.tools` beside the current
    /// folder or beside one of the program's own ancestors, else on `PATH`.
    ///
    /// # Errors
    /// When one is missing: which, and where it was looked for.
    pub fn find(dir: Option<&Path>) -> Result<Self, ProgramsError> {
        let folders = match dir {
            Some(dir) => vec![dir.to_owned()],
            None => default_folders(),
        };
        let find = |program: Program| {
            folders.iter().map(|folder| folder.join(program.name())).find(|path| is_program(path))
        };
        let found = Program::ALL.map(find);
        match found {
            [Some(ffmpeg), Some(ffprobe), Some(packager)] => Ok(Self { ffmpeg, ffprobe, packager }),
            found => Err(ProgramsError::new(&found, dir)),
        }
    }

    /// The path of one.
    pub fn path(&self, program: Program) -> &Path {
        match program {
            Program::Ffmpeg => &self.ffmpeg,
            Program::Ffprobe => &self.ffprobe,
            Program::Packager => &self.packager,
        }
    }
}

impl ProgramsError {
    fn new(found: &[Option<PathBuf>; 3], dir: Option<&Path>) -> Self {
        let missing: Vec<_> = Program::ALL
            .iter()
            .zip(found)
            .filter(|(_, found)| found.is_none())
            .map(|(program, _)| program.name())
            .collect();
        let looked_in = match dir {
            Some(dir) => dir.display().to_string(),
            None => "`.tools` and on PATH".to_owned(),
        };
        Self { missing: missing.join(", "), looked_in }
    }
}

fn default_folders() -> Vec<PathBuf> {
    let current = std::env::current_dir().ok();
    let program = std::env::current_exe().ok();
    let beside_program = program.iter().flat_map(|path| path.ancestors().skip(1));
    let mut folders: Vec<_> = current
        .iter()
        .map(PathBuf::as_path)
        .chain(beside_program)
        .map(|folder| folder.join(".tools"))
        .collect();
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path));
    }
    folders
}

pub(crate) fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, mode) in [("ffmpeg", 0o755), ("ffprobe", 0o644)] {
            let path = folder.path().join(name);
            fs::write(&path, "").expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        }
        let error = Programs::find(Some(folder.path())).expect_err("incomplete").to_string();
        assert!(error.starts_with("ffprobe, packager not found in "), "{error}");
        assert!(error.contains("make setup"), "{error}");
    }
}
