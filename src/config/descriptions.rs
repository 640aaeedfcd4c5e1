//! What can be set, read out of `borealis.default.toml`: a section, in it a comment line for each
//! setting and the setting with its default.

/// The defaults, with a comment line on each.
pub(super) const DEFAULTS: &str = include_str!("../../borealis.default.toml");

/// Settings whose name in the environment is fixed by the documentation; every other setting is
/// `BOREALIS_<SECTION>__<NAME>`.
const NAMED: &[(&str, &str)] = &[
    ("server.listen", "BOREALIS_LISTEN"),
    ("server.data_dir", "BOREALIS_DATA_DIR"),
    ("server.database_url", "BOREALIS_DATABASE_URL"),
    ("net.allow_networks", "BOREALIS_ALLOW_NETWORKS"),
    ("media.tools", "BOREALIS_TOOLS"),
    ("keys.access_key", "BOREALIS_ACCESS_KEY"),
    ("keys.secret_key", "BOREALIS_SECRET_KEY"),
    ("keys.master_key_file", "BOREALIS_MASTER_KEY_FILE"),
];

/// One thing that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingDescription {
    /// The section it is in.
    pub section: &'static str,
    /// Its name in the section.
    pub name: &'static str,
    /// Its default, as TOML.
    pub default: &'static str,
    /// What it means, with its unit.
    pub meaning: &'static str,
}

impl SettingDescription {
    /// `section.name`.
    pub fn key(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// Its name in the environment.
    pub fn environment(&self) -> String {
        let key = self.key();
        match NAMED.iter().find(|(named, _)| *named == key) {
            Some((_, variable)) => (*variable).to_owned(),
            None => {
                format!("BOREALIS_{}__{}", self.section.to_uppercase(), self.name.to_uppercase())
            }
        }
    }

    /// Whether its value must never be shown.
    pub fn is_secret(&self) -> bool {
        matches!((self.section, self.name), ("server", "database_url") | ("keys", "secret_key"))
    }
}

/// Everything that can be set, in the order of the file.
pub fn all_settings() -> Vec<SettingDescription> {
    let (mut all, mut section, mut meaning) = (Vec::new(), "", "");
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some(comment) = line.strip_prefix("# ") {
            meaning = comment;
        } else if let Some((name, default)) = line.split_once(" = ") {
            all.push(SettingDescription { section, name, default, meaning });
            meaning = "";
        }
    }
    all
}

/// The setting that was probably meant by `unknown`, by what `full_name` calls it.
pub(super) fn nearest(unknown: &str, full_name: impl Fn(&SettingDescription) -> String) -> Option<String> {
    let all = all_settings();
    let without_section = all.iter().find(|setting| setting.name == unknown).map(&full_name);
    without_section.or_else(|| {
        all.iter()
            .map(full_name)
            .map(|name| (strsim::jaro_winkler(&unknown.to_lowercase(), &name.to_lowercase()), name))
            .filter(|(similarity, _)| *similarity > 0.85)
            .max_by(|(one, _), (other, _)| one.total_cmp(other))
            .map(|(_, name)| name)
    })
}
