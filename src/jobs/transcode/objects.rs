//! The objects of an output on their way out: which file becomes which object.
//!
//! What points at others comes after them, and the main object, which points at all, is the last.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use media::OutputLayout;
use model::{Format, OutputPath};

/// The objects of an output: their keys and the files they are made of.
pub(super) struct OutputObjects {
    objects: Vec<(String, PathBuf)>,
    /// Bytes of all of them.
    pub(super) bytes: u64,
}

impl OutputObjects {
    /// Finds the files in `folder` and gives each its key. The main playlist or manifest is changed
    /// to point at where the others will be.
    pub(super) fn collect(output: &OutputPath, format: Format, folder: &Path) -> io::Result<Self> {
        let mut this = Self { objects: Vec::new(), bytes: 0 };
        let main = folder.join(OutputLayout::main_file(format));
        if format.is_segmented() {
            let text = fs::read_to_string(&main)?;
            fs::write(&main, media::relocate(format, &text, &output.folder_name(format)))?;
        }
        let beside = folder.join(OutputLayout::FILES_FOLDER);
        if beside.is_dir() {
            this.add_folder(output, format, &beside, "")?;
            this.objects.sort_by(|(one, _), (other, _)| (points(one), one).cmp(&(points(other), other)));
        }
        this.add(output.key().to_owned(), main)?;
        Ok(this)
    }

    fn add_folder(
        &mut self,
        output: &OutputPath,
        format: Format,
        folder: &Path,
        below: &str,
    ) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().into_string().map_err(|name| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{} is not a name of ours", name.display()),
                )
            })?;
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            if entry.file_type()?.is_dir() {
                self.add_folder(output, format, &entry.path(), &path)?;
            } else {
                self.add(output.key_in_folder(format, &path), entry.path())?;
            }
        }
        Ok(())
    }

    fn add(&mut self, key: String, file: PathBuf) -> io::Result<()> {
        self.bytes += fs::metadata(&file)?.len();
        self.objects.push((key, file));
        Ok(())
    }

    /// Every object with its file, the main one last.
    pub(super) fn objects(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.objects.iter().map(|(key, file)| (key.as_str(), file.as_path()))
    }

    /// Whether an object is one of these.
    pub(super) fn has(&self, key: &str) -> bool {
        self.objects().any(|(ours, _)| ours == key)
    }
}

/// Whether an object points at others.
fn points(key: &str) -> bool {
    [".m3u8", ".mpd", ".vtt"].iter().any(|extension| key.ends_with(extension))
}

/// The key of a file by its path below the output's folder.
pub(super) fn key_of(output: &OutputPath, format: Format, path: &str) -> String {
    match OutputLayout::below_files(path) {
        Some(beside) => output.key_in_folder(format, beside),
        None => output.key().to_owned(),
    }
}
