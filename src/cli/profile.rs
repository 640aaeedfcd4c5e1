//! Profiles: servers with the keys for them, in a file that only its owner can read.
//!
//! The file is `$XDG_CONFIG_HOME/borealis/profiles.toml`, or the same below `~/.config`; one table for
//! each profile.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use url::Url;

/// The profile that is used when none is named.
pub(super) const DEFAULT_PROFILE: &str = "default";

/// A server and the key for it.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Profile {
    pub(super) server: Url,
    pub(super) access_key: String,
    pub(super) secret_key: String,
}

/// Every profile, by name.
#[derive(Default, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct Profiles(BTreeMap<String, Profile>);

impl Profiles {
    /// Reads the profiles of this user.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub(super) fn load() -> super::Result<Self> {
        let path = profiles_path()?;
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|error| {
                // the error's own text would show the line, secret and all
                format!("{} is not a file of profiles: {}", path.display(), error.message()).into()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(format!("{} cannot be read: {error}", path.display()).into()),
        }
    }

    /// The profile of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Profile> {
        self.0.get(name)
    }

    /// Adds a profile, or replaces the one of this name.
    pub(super) fn set(&mut self, name: &str, profile: Profile) {
        self.0.insert(name.to_owned(), profile);
    }

    /// Removes a profile; says whether there was one.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// Writes the profiles; gives the path of the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn save(&self) -> super::Result<PathBuf> {
        let path = profiles_path()?;
        let text = toml::to_string(self)?;
        write_private(&path, &text)
            .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        Ok(path)
    }
}

/// Writes a file atomically, and with mode 0600 from the start: it is never readable for others.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let partial = path.with_extension("part");
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&partial, path)
}

fn profiles_path() -> super::Result<PathBuf> {
    let folder = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")));
    let config = config.ok_or("neither XDG_CONFIG_HOME nor HOME says where profiles are kept")?;
    Ok(config.join("borealis/profiles.toml"))
}
