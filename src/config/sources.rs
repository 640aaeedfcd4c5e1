//! Lays the sources over each other, and reads the settings out of what results.

use std::{collections::BTreeMap, ffi::OsString, path::Path};

use ::config::{Config, ConfigError, File, FileFormat, Map, Source, Value, ValueKind};

use super::{
    Flags, Settings, SettingsError, check,
    descriptions::{DEFAULTS, SettingDescription, all_settings, nearest},
    value::secret::REDACTED,
};

const PREFIX: &str = "BOREALIS_";

/// Names that begin like ours and are no settings: the settings file itself, what the commands that
/// talk to a server read, the tests', and what Kubernetes sets for every container beside a service
/// called `borealis`.
fn is_no_setting(name: &str) -> bool {
    let exact = [
        "BOREALIS_CONFIG",
        "BOREALIS_SERVER",
        "BOREALIS_STORAGE_AK",
        "BOREALIS_STORAGE_SK",
        "BOREALIS_NOTIFY_SECRET",
        "BOREALIS_PORT",
    ];
    let families = ["BOREALIS_TEST_", "BOREALIS_PORT_", "BOREALIS_SERVICE_"];
    exact.contains(&name) || families.iter().any(|family| name.starts_with(family))
}

/// The values of one source as text, each with where it came from.
#[derive(Clone, Default)]
pub(super) struct Layer(Vec<(String, Value)>);

impl Layer {
    pub(super) fn add(&mut self, key: &str, value: &str, origin: String) {
        self.0.push((key.to_owned(), Value::new(Some(&origin), value)));
    }
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // the values may be secret
        f.debug_list().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.iter().cloned().collect())
    }
}

impl Settings {
    /// Reads the settings out of these flags and variables; `default_file` is read when no file is named.
    pub(super) fn read(
        flags: &Flags,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        default_file: Option<&Path>,
    ) -> Result<Self, SettingsError> {
        let (environment, named_file) = environment(variables)?;
        let file = flags.config.as_deref().or(named_file.as_deref().map(Path::new)).or(default_file);
        let mut layers = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
        if let Some(path) = file {
            layers = layers.add_source(from_file(path)?);
        }
        let merged = layers
            .add_source(environment)
            .add_source(flags.layer()?)
            .build()
            .map_err(|error| unreadable(file.unwrap_or(Path::new("borealis.default.toml")), &error))?;
        let values = merged.collect().expect("a built configuration is a table");
        refuse_unknown(&values)?;
        let mut settings: Self = serde_path_to_error::deserialize(merged).map_err(|error| {
            let path = error.path().to_string();
            let name = path.split('[').next().unwrap_or(&path).to_owned();
            wrong_value(&values, &name, innermost_message(error.into_inner()))
        })?;
        settings.origins = origins(&values);
        check::check(&settings).map_err(|(name, problem)| wrong_value(&values, name, problem.to_owned()))?;
        Ok(settings)
    }
}

/// The settings among the variables, and the settings file that they name.
fn environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(Layer, Option<String>), SettingsError> {
    let known: BTreeMap<String, SettingDescription> =
        all_settings().into_iter().map(|setting| (setting.environment(), setting)).collect();
    let (mut layer, mut file) = (Layer::default(), None);
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        let Some(value) = value.to_str() else {
            return Err(SettingsError::Wrong {
                name: name.to_owned(),
                value: value.to_string_lossy().into_owned(),
                origin: "from the environment".to_owned(),
                problem: "is not UTF-8".to_owned(),
            });
        };
        match known.get(name) {
            // an empty variable is one that is not set, as in most container set-ups
            _ if value.is_empty() => {}
            Some(setting) => layer.add(&setting.key(), value, format!("from {name}")),
            None if name == "BOREALIS_CONFIG" => file = Some(value.to_owned()),
            None if is_no_setting(name) => {}
            None => {
                let meant = nearest(name, SettingDescription::environment);
                return Err(SettingsError::unknown(name, "from the environment", meant));
            }
        }
    }
    Ok((layer, file))
}

/// The values of a file, each saying that it came from it.
fn from_file(path: &Path) -> Result<Layer, SettingsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| SettingsError::File { path: path.to_owned(), problem: error.to_string() })?;
    let file = File::from_str(&text, FileFormat::Toml).collect().map_err(|error| unreadable(path, &error))?;
    let origin = format!("in {}", path.display());
    Ok(Layer(file.into_iter().map(|(key, value)| (key, with_origin(value.kind, &origin))).collect()))
}

fn with_origin(kind: ValueKind, origin: &String) -> Value {
    let kind = match kind {
        ValueKind::Table(table) => ValueKind::Table(
            table.into_iter().map(|(key, value)| (key, with_origin(value.kind, origin))).collect(),
        ),
        ValueKind::Array(values) => {
            ValueKind::Array(values.into_iter().map(|value| with_origin(value.kind, origin)).collect())
        }
        single => single,
    };
    Value::new(Some(origin), kind)
}

fn unreadable(path: &Path, error: &ConfigError) -> SettingsError {
    SettingsError::File { path: path.to_owned(), problem: error.to_string().trim_end().to_owned() }
}

/// Every name must be one that is described: a typo is not to be taken for a default.
fn refuse_unknown(values: &Map<String, Value>) -> Result<(), SettingsError> {
    let known = all_settings();
    for (section, content) in values {
        let ValueKind::Table(settings) = &content.kind else {
            return Err(unknown_name(section, content));
        };
        for (name, value) in settings {
            if !known.iter().any(|setting| setting.section == section && setting.name == name) {
                return Err(unknown_name(&format!("{section}.{name}"), value));
            }
        }
    }
    Ok(())
}

fn unknown_name(key: &str, value: &Value) -> SettingsError {
    SettingsError::unknown(
        key,
        origin(value).unwrap_or("in the settings file"),
        nearest(key, SettingDescription::key),
    )
}

fn lookup<'a>(values: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let (section, name) = key.split_once('.')?;
    match &values.get(section)?.kind {
        ValueKind::Table(settings) => settings.get(name),
        _ => None,
    }
}

fn wrong_value(values: &Map<String, Value>, name: &str, problem: String) -> SettingsError {
    let value = lookup(values, name);
    let is_secret = all_settings().iter().any(|setting| setting.key() == name && setting.is_secret());
    let text = match value.map(|value| &value.kind) {
        None => String::new(),
        Some(ValueKind::Table(_)) => "a table".to_owned(),
        Some(kind) => kind.to_string(),
    };
    SettingsError::Wrong {
        name: name.to_owned(),
        value: if is_secret && !text.is_empty() { REDACTED.to_owned() } else { text },
        origin: value.and_then(origin).unwrap_or("by default").to_owned(),
        problem,
    }
}

/// The text of the innermost error; where it was is known already.
fn innermost_message(error: ConfigError) -> String {
    match error {
        ConfigError::At { error, .. } => innermost_message(*error),
        // serde's own words: `unknown variant …, expected …`, `invalid type: …, expected …`
        other => {
            let text = other.to_string();
            match text.split_once(", expected ") {
                Some((_, expected)) => format!("give {expected}"),
                None => text,
            }
        }
    }
}

/// Where a value came from; a table has no origin of its own, but what is in it has.
fn origin(value: &Value) -> Option<&str> {
    match &value.kind {
        ValueKind::Table(table) => table.values().find_map(origin),
        _ => value.origin(),
    }
}

fn origins(values: &Map<String, Value>) -> BTreeMap<String, String> {
    let mut origins = BTreeMap::new();
    for key in all_settings().iter().map(SettingDescription::key) {
        if let Some(origin) = lookup(values, &key).and_then(origin) {
            origins.insert(key, origin.to_owned());
        }
    }
    origins
}
