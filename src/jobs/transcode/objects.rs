//! The objects of an output on their way out: which file becomes which object.
//!
//! What points at others comes after them, and the main object, which points at all, is the last.

use std::{collections::HashMap, io};

use media::{OutputLayout, WorkFile, WorkFolder};
use model::{Format, OutputPath};

/// The keys of the objects that one try makes of an output.
pub(super) struct ObjectKeys<'a> {
    output: &'a OutputPath,
    format: Format,
    /// The folder of the try below the output's own; empty for a first one.
    try_folder: String,
}

impl<'a> ObjectKeys<'a> {
    pub(super) fn new(output: &'a OutputPath, format: Format, try_folder: String) -> Self {
        Self { output, format, try_folder }
    }

    /// The key of the main object.
    pub(super) fn main(&self) -> &'a str {
        self.output.key()
    }

    /// The key of a file by its path below the output's folder on this machine.
    pub(super) fn of(&self, path: &str) -> String {
        match OutputLayout::below_files(path) {
            Some(beside) => self.output.key_in_folder(self.format, &join(&self.try_folder, beside)),
            None => self.output.key().to_owned(),
        }
    }

    /// The folder of all objects but the main one, as the main object refers to it.
    pub(super) fn folder_name(&self) -> String {
        join(&self.output.folder_name(self.format), &self.try_folder)
    }

    /// What the keys of all objects but the main one begin with, whichever try they are of.
    pub(super) fn prefix(&self) -> String {
        format!("{}/", self.output.folder(self.format))
    }
}

/// A path of two parts, of which one may be empty.
fn join(folder: &str, path: &str) -> String {
    if folder.is_empty() || path.is_empty() { format!("{folder}{path}") } else { format!("{folder}/{path}") }
}

/// A file that becomes an object.
pub(super) struct OutputObject {
    pub(super) key: String,
    /// Its path below the output's folder on this machine.
    pub(super) file: String,
    pub(super) bytes: u64,
}

/// The objects of an output.
pub(super) struct OutputObjects {
    /// All but the main one; what points at others comes after them.
    pub(super) others: Vec<OutputObject>,
    pub(super) main: OutputObject,
}

impl OutputObjects {
    /// Finds the files in `folder` and gives each its key. The main playlist or manifest is changed
    /// to point at where the others will be.
    pub(super) fn collect(keys: &ObjectKeys<'_>, folder: &WorkFolder) -> io::Result<Self> {
        media::relocate_main_file(folder, keys.format, &keys.folder_name())?;
        let is_other = |file: &WorkFile| OutputLayout::below_files(&file.path).is_some();
        let others = folder.files()?.into_iter().filter(is_other);
        let mut others: Vec<_> = others.map(|file| object(keys, file)).collect();
        others.sort_by(|one, other| (points(&one.key), &one.key).cmp(&(points(&other.key), &other.key)));
        let path = OutputLayout::main_file(keys.format);
        let bytes = folder.bytes_of(&path)?;
        Ok(Self { others, main: object(keys, WorkFile { path, bytes }) })
    }

    /// Bytes of all of them.
    pub(super) fn bytes(&self) -> u64 {
        self.main.bytes + self.others.iter().map(|object| object.bytes).sum::<u64>()
    }

    /// The bytes of each object but the main one, by its key.
    pub(super) fn sizes(&self) -> HashMap<&str, u64> {
        self.others.iter().map(|object| (object.key.as_str(), object.bytes)).collect()
    }
}

fn object(keys: &ObjectKeys<'_>, WorkFile { path, bytes }: WorkFile) -> OutputObject {
    OutputObject { key: keys.of(&path), file: path, bytes }
}

/// Whether an object points at others.
fn points(key: &str) -> bool {
    [".m3u8", ".mpd", ".vtt"].iter().any(|extension| key.ends_with(extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_try_has_a_folder_of_its_own() {
        let storage = model::Storage::new(
            "0123456789abcdef".parse().expect("an id"),
            model::TenantId::main(),
            model::StorageType::File,
            "bkt",
            model::Timestamp::from_millis(0),
        );
        let output = OutputPath::resolve("a/cat.m3u8", &storage, Format::Hls).expect("an output");
        let path = OutputLayout::media_playlist("72p");
        let first = ObjectKeys::new(&output, Format::Hls, String::new());
        assert_eq!(
            (first.of(&path), first.folder_name()),
            ("a/cat.hls/72p/playlist.m3u8".into(), "cat.hls".into())
        );
        let later = ObjectKeys::new(&output, Format::Hls, OutputLayout::try_folder(10));
        assert_eq!(later.of(&path), "a/cat.hls/try-0000000a/72p/playlist.m3u8");
        assert_eq!(later.folder_name(), "cat.hls/try-0000000a");
        assert_eq!(later.of("main.m3u8"), "a/cat.m3u8");
    }
}
