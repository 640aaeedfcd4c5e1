//! Where a task's output goes: the key of its main object, and the folder of all others.
//!
//! The main object is the MP4 or FLV file, the HLS master playlist or the DASH manifest. Every other object
//! lies in a folder that is named after it (`a/cat.m3u8` has `a/cat.hls/…`), so two outputs never share an
//! object unless their main objects are the same.

use serde::{Deserialize, Serialize};

use crate::{
    FieldError, Format, Storage, StorageType,
    limits::{MAX_FILE_NAME_BYTES, MAX_OUTPUT_KEY_BYTES},
};

/// The key of the main object in its bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OutputPath(String);

impl OutputPath {
    /// Resolves the `output` of a task: a path below the storage's prefix, or a full URI in its bucket. In
    /// a folder the main object gets the format's default name; a missing extension is added.
    ///
    /// # Errors
    /// When it leaves the prefix, has `..` or empty parts, or is too long.
    pub fn resolve(output: &str, storage: &Storage, format: Format) -> Result<Self, FieldError> {
        let wrong = |problem: String| FieldError::new("output", problem);
        if output.is_empty() {
            return Err(wrong("is not set; give a path such as `videos/a.mp4`".to_owned()));
        }
        let key = match output.split_once("://") {
            Some((scheme, rest)) => {
                let in_bucket = rest.strip_prefix(&format!("{}/", storage.bucket));
                match in_bucket {
                    Some(key) if scheme == storage.kind.as_str() => key.to_owned(),
                    _ => {
                        return Err(wrong(format!(
                            "is not in the bucket of the storage, `{}`",
                            storage.uri("")
                        )));
                    }
                }
            }
            None => join(&storage.prefix, output.strip_prefix('/').unwrap_or(output)),
        };
        let key = with_file_name(&key, format).map_err(wrong)?;
        check_key(&key, storage).map_err(wrong)?;
        Ok(Self(key))
    }

    /// The key of the main object.
    pub fn key(&self) -> &str {
        &self.0
    }

    /// The key of an object other than the main one, given its path below the output's folder.
    pub fn key_in_folder(&self, format: Format, path: &str) -> String {
        join(&self.folder(format), path)
    }

    /// The folder of every object but the main one: `a/cat.hls` for `a/cat.m3u8`, `a/cat.mp4.files`
    /// for `a/cat.mp4`.
    pub fn folder(&self, format: Format) -> String {
        if !format.is_segmented() {
            return format!("{}.files", self.0);
        }
        // an extension in capitals stays: `a.M3U8` is another output than `a.m3u8`
        let stem = format.extensions().iter().find_map(|one| self.0.strip_suffix(one)?.strip_suffix('.'));
        format!("{}.{format}", stem.unwrap_or(&self.0))
    }

    /// The last part of [`OutputPath::folder`], as the main object refers to it: `cat.hls`.
    pub fn folder_name(&self, format: Format) -> String {
        let folder = self.folder(format);
        folder.rsplit('/').next().unwrap_or(&folder).to_owned()
    }
}

fn join(prefix: &str, path: &str) -> String {
    if prefix.is_empty() { path.to_owned() } else { format!("{prefix}/{path}") }
}

/// The key with the format's default name or extension, where it has none.
fn with_file_name(key: &str, format: Format) -> Result<String, String> {
    let extensions = format.extensions();
    let has_extension = key.rsplit_once('.').is_some_and(|(stem, extension)| {
        !stem.is_empty()
            && !stem.ends_with('/')
            && extensions.iter().any(|one| one.eq_ignore_ascii_case(extension))
    });
    if has_extension {
        return Ok(key.to_owned());
    }
    match format.default_main_name() {
        Some(main) => Ok(join(key.strip_suffix('/').unwrap_or(key), main)),
        None if key.ends_with('/') => {
            Err(format!("names a folder; a {format} output is one file, such as `{key}a.{format}`"))
        }
        None => Ok(format!("{key}.{}", extensions[0])),
    }
}

fn check_key(key: &str, storage: &Storage) -> Result<(), String> {
    if !storage.prefix.is_empty() && !key.starts_with(&format!("{}/", storage.prefix)) {
        return Err(format!("is outside the storage's prefix `{}/`", storage.prefix));
    }
    if key.len() > MAX_OUTPUT_KEY_BYTES {
        return Err(format!(
            "makes a key of {} bytes; at most {MAX_OUTPUT_KEY_BYTES} are allowed",
            key.len()
        ));
    }
    if key.chars().any(char::is_control) {
        return Err("holds a control character".to_owned());
    }
    for part in key.split('/') {
        if part.is_empty() || part == "." || part == ".." {
            return Err(format!("has the part `{part}`; empty parts, `.` and `..` are not allowed"));
        }
        if storage.kind == StorageType::File && part.len() > MAX_FILE_NAME_BYTES {
            return Err(format!(
                "has a part of {} bytes; a `file` storage allows {}",
                part.len(),
                MAX_FILE_NAME_BYTES
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::storage::tests::storage;

    #[rstest]
    #[case("a.mp4", Format::Mp4, "media/a.mp4")]
    #[case("/a/b", Format::Mp4, "media/a/b.mp4")]
    #[case("a.mov", Format::Mp4, "media/a.mov.mp4")]
    #[case("file://bkt/media/x/a.mp4", Format::Mp4, "media/x/a.mp4")]
    #[case("a", Format::Hls, "media/a/master.m3u8")]
    #[case("a/", Format::Dash, "media/a/manifest.mpd")]
    #[case("a/cat.m3u8", Format::Hls, "media/a/cat.m3u8")]
    #[case("é 中 :%d#?&'.flv", Format::Flv, "media/é 中 :%d#?&'.flv")]
    fn resolved(#[case] output: &str, #[case] format: Format, #[case] key: &str) {
        assert_eq!(
            OutputPath::resolve(output, &storage("media"), format).map(|path| path.0),
            Ok(key.to_owned())
        );
    }

    #[rstest]
    #[case("")]
    #[case("../a.mp4")]
    #[case("a//b.mp4")]
    #[case("a/./b.mp4")]
    #[case("folder/")]
    #[case("s3://bkt/media/a.mp4")]
    #[case("file://other/media/a.mp4")]
    #[case("file://bkt/elsewhere/a.mp4")]
    #[case("file://bkt/media/../a.mp4")]
    #[case("a\n.mp4")]
    fn refused(#[case] output: &str) {
        let error = OutputPath::resolve(output, &storage("media"), Format::Mp4).expect_err("refused");
        assert_eq!(error.field, "output");
    }

    #[test]
    fn a_single_file_is_no_folder() {
        let path = OutputPath("a/cat.mp4".to_owned());
        assert_eq!(path.key_in_folder(Format::Mp4, "thumbnails/1.jpg"), "a/cat.mp4.files/thumbnails/1.jpg");
    }

    #[test]
    fn other_objects_have_a_folder_of_their_own() {
        let path = OutputPath::resolve("a/cat.m3u8", &storage(""), Format::Hls).expect("good");
        assert_eq!(path.key_in_folder(Format::Hls, "720p/1.ts"), "a/cat.hls/720p/1.ts");
        assert_eq!(path.folder_name(Format::Hls), "cat.hls");
        let other = OutputPath::resolve("a/cat.M3U8", &storage(""), Format::Hls).expect("good");
        assert_eq!(other.folder(Format::Hls), "a/cat.M3U8.hls");
    }
}
