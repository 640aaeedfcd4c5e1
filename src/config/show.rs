//! The settings as text: the effective ones for `config show`, all of them for the documentation.

use std::fmt::Write as _;

use super::{
    Settings,
    descriptions::{DEFAULTS, all_settings},
    flags::flag_of,
};

impl Settings {
    /// The effective settings as TOML, with the comments of the defaults, where a value came from,
    /// and no secret.
    pub fn to_toml_redacted(&self) -> String {
        let values = toml::Table::try_from(self).expect("settings are tables of plain values");
        let (mut text, mut section) = (String::new(), "");
        // the head of the defaults speaks about that file
        let from = DEFAULTS.find('[').unwrap_or(0);
        for line in DEFAULTS[from..].lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name;
            }
            match line.split_once(" = ") {
                Some((name, _)) if !line.starts_with('#') => {
                    let origin = self.origins.get(&format!("{section}.{name}"));
                    let origin = origin.map(|origin| format!("  # {origin}")).unwrap_or_default();
                    let _ = writeln!(text, "{name} = {}{origin}", values[section][name]);
                }
                _ => {
                    let _ = writeln!(text, "{line}");
                }
            }
        }
        text
    }
}

/// A table of all settings in Markdown, for the documentation.
pub fn settings_table() -> String {
    let mut table =
        String::from("| setting | environment | flag | default | meaning |\n|---|---|---|---|---|\n");
    for setting in all_settings() {
        let flag = flag_of(&setting.key()).map(|flag| format!("`{flag}`")).unwrap_or_default();
        let _ = writeln!(
            table,
            "| `{}` | `{}` | {flag} | `{}` | {} |",
            setting.key(),
            setting.environment(),
            setting.default.trim_matches('"'),
            setting.meaning.replace('|', "\\|"),
        );
    }
    // an empty default is a blank cell, not two backticks
    table.replace("| `` |", "| |").replace("|  |", "| |")
}
