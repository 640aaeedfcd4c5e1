//! Every setting is given rubbish: the start fails with an error that names the setting, or the value is one that can be
//! used. It never panics.

use std::{path::Path, time::Duration};

use borealis::{
    app::App,
    config::{Flags, Settings},
};
use clap::Parser;

/// What people type by mistake, and what they type to break things.
const RUBBISH: &[&str] = &[
    "-1",
    "0",
    "1e9",
    "1.5",
    "NaN",
    "18446744073709551615",
    "99999999999999999999999999",
    "18446744073709551615d",
    "16777216TiB",
    "true",
    "null",
    "[]",
    "a b",
    "é\u{202e}\u{1f4a9}",
    "%00%ff%zz",
    "?#&=;",
    "'\"`$(reboot)",
    "../../../../dev/null/x",
    ":",
    "::",
    "0.0.0.0:99999",
    "1/2/3",
];

/// What is no URL of a database, or hardly one.
const DATABASE_URLS: &[&str] = &[
    "postgres",
    "postgres:",
    "postgres://",
    "postgres://[",
    "postgres://a b/c",
    "postgres://user:pass@host:99999/name",
    "postgres://user:p@ss:w/rd@127.0.0.1:1/name",
    "postgres://127.0.0.1:1/name?sslmode=perhaps",
    "postgresql://%/",
    "mysql://127.0.0.1/name",
    "sqlite:///absent/folder/a.db",
    "sqlite:///dev/null/a.db",
    "sqlite://a b/c",
    "http://127.0.0.1/",
    "://",
];

/// Sections that the start uses at once; of the others the values are only read.
const USED_AT_START: &[&str] = &["server", "net", "keys", "storage"];
/// Settings that name a file or a folder, which would be made.
const PATHS: &[&str] = &["server.data_dir", "server.upload_dir", "keys.master_key_file", "media.tools"];
/// A database that does not answer is waited for.
const START_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Parser)]
struct OnlyFlags {
    #[command(flatten)]
    flags: Flags,
}

/// The names of all settings, `section.name`.
fn names() -> Vec<String> {
    let defaults: toml::Table = include_str!("../../../borealis.default.toml").parse().expect("TOML");
    let names = |(section, settings): (&String, &toml::Value)| -> Vec<String> {
        let settings = settings.as_table().expect("a section");
        settings.keys().map(|name| format!("{section}.{name}")).collect()
    };
    defaults.iter().flat_map(names).collect()
}

fn load(name: &str, value: &str, data: &Path) -> Result<Settings, String> {
    let mut words = vec!["borealis".to_owned()];
    if name != "server.data_dir" {
        words.extend(["--set".to_owned(), format!("server.data_dir={}", data.display())]);
    }
    words.extend(["--set".to_owned(), format!("{name}={value}")]);
    if name == "server.database_url" {
        words.extend(["--set".to_owned(), format!("keys.master_key_file={}", data.join("key").display())]);
    }
    Settings::load(&OnlyFlags::parse_from(words).flags).map_err(|error| error.to_string())
}

#[tokio::test]
async fn rubbish_is_an_error_that_names_the_setting() {
    let folder = tempfile::tempdir().expect("a folder");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut used = 0;
    for name in names() {
        let urls = if name == "server.database_url" { DATABASE_URLS } else { &[] };
        for value in RUBBISH.iter().chain(urls) {
            let value = match PATHS.contains(&name.as_str()) {
                true => format!("{}/{value}", folder.path().join("named").display()),
                false => (*value).to_owned(),
            };
            let data = folder.path().join("data");
            let settings = match load(&name, &value, &data) {
                Ok(settings) => settings,
                Err(error) => {
                    // one of a pair misses the other
                    let is_named =
                        error.contains(&name) || name.starts_with("keys.") && error.contains("keys.");
                    assert!(is_named, "{name}={value}: {error}");
                    continue;
                }
            };
            used += 1;
            let _ = settings.media.media_options();
            if USED_AT_START.iter().any(|section| name.starts_with(&format!("{section}."))) {
                let start = tokio::spawn(tokio::time::timeout(START_TIMEOUT, App::new(settings)));
                let started = start.await.unwrap_or_else(|panicked| panic!("{name}={value}: {panicked}"));
                if let Ok(Err(error)) = started {
                    let error = error.to_string();
                    let path = value.as_str();
                    assert!(error.contains(&name) || error.contains(path), "{name}={value}: {error}");
                }
            }
        }
    }
    assert!(used > 0, "some of it can be used");
}
