//! A setting that stops the start.

use std::path::PathBuf;

/// What is wrong with the settings; the text names the setting, its value, where it came from, and
/// what would do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A value that cannot be used.
    #[error("the setting `{name}` cannot be {} ({origin}): {problem}", quoted(value))]
    Wrong {
        /// `section.name`.
        name: String,
        /// The value, unless it is a secret.
        value: String,
        /// Where it came from.
        origin: String,
        /// What would do.
        problem: String,
    },
    /// A name that is no setting's.
    #[error("there is no setting `{name}` ({origin}); {hint}")]
    Unknown {
        /// The name as it was given.
        name: String,
        /// Where it came from.
        origin: String,
        /// What was probably meant, and where all are listed.
        hint: String,
    },
    /// A settings file that cannot be read.
    #[error("the settings file {} cannot be read: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// A `--set` without a value.
    #[error("`--set {given}` has no value; give it as `--set section.name=value`")]
    NoValue {
        /// What was given.
        given: String,
    },
}

fn quoted(value: &str) -> String {
    if value.is_empty() { "empty".to_owned() } else { format!("`{value}`") }
}

impl SettingsError {
    /// An unknown name, with a hint at `meant`.
    pub(super) fn unknown(name: &str, origin: &str, meant: Option<String>) -> Self {
        let all = "`borealis config show` lists all settings";
        let hint = match meant {
            Some(meant) => format!("did you mean `{meant}`? {all}"),
            None => all.to_owned(),
        };
        Self::Unknown { name: name.to_owned(), origin: origin.to_owned(), hint }
    }
}
