use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

use clap::Parser;
use model::Secret;
use rstest::rstest;
use tempfile::TempDir;

use super::{descriptions::DEFAULTS, *};

/// The settings of a process: its flags, its variables, its file.
fn load(flags: &[&str], variables: &[(&str, &str)], file: &str) -> Result<Settings, SettingsError> {
    #[derive(Parser)]
    struct OnlyFlags {
        #[command(flatten)]
        flags: Flags,
    }
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("borealis.toml");
    std::fs::write(&path, file).expect("a file");
    let flags = OnlyFlags::parse_from(std::iter::once("borealis").chain(flags.iter().copied())).flags;
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Settings::read(&flags, variables, Some(&path))
}

/// The message, with the temporary file's folder left out.
fn message(loaded: Result<Settings, SettingsError>) -> String {
    let text = loaded.expect_err("it is refused").to_string();
    match (text.find(std::env::temp_dir().to_str().expect("a path")), text.find("borealis.toml")) {
        (Some(from), Some(to)) => format!("{}{}", &text[..from], &text[to..]),
        _ => text,
    }
}

#[test]
fn the_defaults_are_whole() {
    let settings = load(&[], &[], "").expect("the defaults are right");
    assert_eq!(settings.server.listen, "127.0.0.1:8080".parse::<SocketAddr>().expect("an address"));
    let here = std::path::absolute("data/borealis.db").expect("a path");
    assert_eq!(settings.server.database_url(), format!("sqlite://{}?mode=rwc", here.display()));
    assert_eq!(settings.worker.capacity, None);
    assert_eq!(settings.media.fetch_limits().max_bytes, 10 << 30);
    assert_eq!(settings.media.media_options().plan.x264_preset, "medium");
    assert_eq!(settings.callback.send_limits().deadline.as_secs(), 15);
    assert_eq!(settings.api.body_limit, 1 << 20);
    assert!(settings.keys.secret_key.is_none());
    assert!(settings.worker.enabled);
}

#[test]
fn every_setting_is_described_and_read() {
    let read = toml::Table::try_from(load(&[], &[], "").expect("the defaults are right")).expect("a table");
    let names = |table: &toml::Table| -> Vec<String> {
        let settings = |(section, settings): (&String, &toml::Value)| -> Vec<String> {
            let settings = settings.as_table().expect("a section");
            settings.keys().map(|name| format!("{section}.{name}")).collect()
        };
        table.iter().flat_map(settings).collect()
    };
    let listed: toml::Table = DEFAULTS.parse().expect("the defaults are TOML");
    let described = all_settings();
    let mut keys: Vec<String> = described.iter().map(SettingDescription::key).collect();
    keys.sort();
    assert_eq!(sorted(names(&read)), keys);
    assert_eq!(sorted(names(&listed)), keys);
    for setting in described {
        assert!(setting.meaning.ends_with('.'), "{} has no sentence of its own", setting.key());
        let unit = match setting.default.trim_matches('"') {
            value if value.ends_with("iB") => "a size.",
            value
                if value.len() > 1
                    && value.ends_with('s')
                    && value.starts_with(|c: char| c.is_ascii_digit()) =>
            {
                "a duration."
            }
            _ => continue,
        };
        assert!(setting.meaning.contains(unit), "{} does not say its unit", setting.key());
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_the_defaults() {
    let file = "[server]\nlisten = \"127.0.0.1:1\"\ndata_dir = \"file\"\n[worker]\ntries = 7\nlease = \"1m\"";
    let variables = [
        ("BOREALIS_LISTEN", "127.0.0.1:2"),
        ("BOREALIS_DATA_DIR", "environment"),
        ("BOREALIS_WORKER__TRIES", "8"),
    ];
    let settings = load(&["--listen", "127.0.0.1:3"], &variables, file).expect("right");
    assert_eq!(settings.server.listen.port(), 3);
    assert_eq!(settings.server.data_dir, PathBuf::from("environment"));
    assert_eq!(settings.worker.tries, 8);
    assert_eq!(settings.worker.lease.as_secs(), 60);
    assert_eq!(settings.callback.receiver_concurrency, 8);
}

#[test]
fn every_setting_can_be_given_in_every_way() {
    for setting in all_settings() {
        // a value that differs from the default and goes with all others
        let value = match setting.key().as_str() {
            "server.listen" => "[::1]:9",
            "server.database_url" => "sqlite://other.db",
            "api.error_status" => "ok",
            "api.url_limit" | "api.header_limit" => "7KiB",
            "worker.enabled" => "false",
            "media.sandbox" => "off",
            "media.x264_preset" | "media.x265_preset" => "veryfast",
            "log.format" => "json",
            "log.level" => "debug",
            "net.allow_networks" | "callback.source_addresses" => "10.0.0.0/8, fd00::/8",
            "keys.access_key" | "keys.secret_key" => continue,
            _ if setting.default.ends_with("iB\"") => "7MiB",
            _ if setting.default.starts_with("\"./") || setting.default == "\"\"" => "elsewhere",
            _ if setting.default == "\"auto\"" || setting.default.parse::<u32>().is_ok() => "7",
            _ => "7s",
        };
        let by_variable = load(&[], &[(&setting.environment(), value)], "").expect("right");
        let assignment = format!("{}={value}", setting.key());
        let by_flag = load(&["--set", &assignment], &[], "").expect("right");
        let in_file = format!("[{}]\n{} = \"{value}\"", setting.section, setting.name);
        let by_file = load(&[], &[], &in_file).expect("right");
        let shown = |settings: &Settings| {
            toml::Table::try_from(settings).expect("a table")[setting.section][setting.name].clone()
        };
        assert_eq!(shown(&by_variable), shown(&by_flag), "{}", setting.key());
        assert_eq!(shown(&by_variable), shown(&by_file), "{}", setting.key());
        let default = load(&[], &[], "").expect("right");
        assert_ne!(shown(&by_variable), shown(&default), "{} took no value", setting.key());
    }
}

#[test]
fn lists_are_lists_or_texts_with_commas() {
    let file = "[net]\nallow_networks = [\"10.0.0.0/8\", \"fd00::/8\"]";
    let by_file = load(&[], &[], file).expect("right").net.allow_networks;
    let by_variable = load(&[], &[("BOREALIS_ALLOW_NETWORKS", "10.0.0.0/8,fd00::/8,")], "").expect("right");
    assert_eq!(by_file, by_variable.net.allow_networks);
    assert_eq!(by_file.len(), 2);
    let sources = [("BOREALIS_CALLBACK__SOURCE_ADDRESSES", "203.0.113.7, 198.51.100.0/24")];
    let sources = load(&[], &sources, "").expect("right").callback.source_addresses;
    assert_eq!(
        sources.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["203.0.113.7", "198.51.100.0/24"]
    );
}

#[test]
fn an_empty_variable_is_not_set() {
    let variables = [("BOREALIS_LISTEN", ""), ("BOREALIS_ACCESS_KEY", ""), ("BOREALIS_SECRET_KEY", "")];
    let settings = load(&[], &variables, "").expect("right");
    assert_eq!(settings.server.listen.port(), 8080);
    assert_eq!(settings.keys.access_key, None);
}

#[test]
fn names_that_are_not_ours_are_left_alone() {
    let variables = [
        ("BOREALIS_TEST_MEDIA", "/media"),
        ("BOREALIS_SERVER", "http://127.0.0.1:8080"),
        ("BOREALIS_NOTIFY_SECRET", "whsec_x"),
        // a Kubernetes service called `borealis`
        ("BOREALIS_SERVICE_HOST", "10.0.0.1"),
        ("BOREALIS_PORT", "tcp://10.0.0.1:8080"),
        ("BOREALIS_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("HOME", "/root"),
    ];
    assert!(load(&[], &variables, "").is_ok());
}

#[rstest]
#[case::address(
    &[], &[("BOREALIS_LISTEN", "8080")], "",
    "the setting `server.listen` cannot be `8080` (from BOREALIS_LISTEN): give an IP address and a port, such as `127.0.0.1:8080` or `[::]:8080`"
)]
#[case::duration(
    &["--set", "worker.lease=30"], &[], "",
    "the setting `worker.lease` cannot be `30` (from --set): give a whole number and a unit (ms, s, m, h or d), such as `30s`"
)]
#[case::duration_as_a_number(
    &[], &[], "[worker]\nlease = 30",
    "the setting `worker.lease` cannot be `30` (in borealis.toml): give a whole number and a unit (ms, s, m, h or d), such as `30s`"
)]
#[case::nothing(
    &[], &[], "[callback]\ndeadline = \"0s\"",
    "the setting `callback.deadline` cannot be `0s` (in borealis.toml): give more than nothing"
)]
#[case::size(
    &[], &[("BOREALIS_MEDIA__MAX_SIZE", "10GB")], "",
    "the setting `media.max_size` cannot be `10GB` (from BOREALIS_MEDIA__MAX_SIZE): give a whole number and a unit (B, KiB, MiB, GiB or TiB), such as `10GiB`"
)]
#[case::capacity(
    &[], &[("BOREALIS_WORKER__CAPACITY", "0")], "",
    "the setting `worker.capacity` cannot be `0` (from BOREALIS_WORKER__CAPACITY): give a whole number of at least 1, or `auto`"
)]
#[case::count(
    &[], &[], "[callback]\nconcurrency = -1",
    "the setting `callback.concurrency` cannot be `-1` (in borealis.toml): give a whole number of at least 1"
)]
#[case::word(
    &["--log-format", "xml"], &[], "",
    "the setting `log.format` cannot be `xml` (from --log-format): give `text` or `json`"
)]
#[case::yes_or_no(
    &[], &[("BOREALIS_WORKER__ENABLED", "maybe")], "",
    "the setting `worker.enabled` cannot be `maybe` (from BOREALIS_WORKER__ENABLED): give `true` or `false`"
)]
#[case::network(
    &["--allow-networks", "10.0.0.0/8,home"], &[], "",
    "the setting `net.allow_networks` cannot be `10.0.0.0/8,home` (from --allow-networks): `home`: give an IP address or a network such as `10.0.0.0/8`"
)]
#[case::filter(
    &["--log-level", "borealis=loud"], &[], "",
    "the setting `log.level` cannot be `borealis=loud` (from --log-level): give `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,borealis=debug`"
)]
#[case::a_table(
    &[], &[], "[server.listen]\nport = 1",
    "the setting `server.listen` cannot be `a table` (in borealis.toml): give a single value"
)]
#[case::half_a_key(
    &[], &[("BOREALIS_ACCESS_KEY", "a")], "",
    "the setting `keys.secret_key` cannot be empty (by default): an access key is set: give its secret key too"
)]
#[case::a_secret(
    &["--database-url", "mysql://me:hush@db/x"], &[], "",
    "the setting `server.database_url` cannot be `[secret]` (from --database-url): give `sqlite://PATH?mode=rwc` or `postgres://USER:PASSWORD@HOST/NAME`"
)]
#[case::postgres_without_a_key(
    &["--database-url", "postgres://me:hush@db/x"], &[], "",
    "the setting `keys.master_key_file` cannot be empty (by default): with PostgreSQL every process needs the same key: give the file that holds it"
)]
#[case::unknown_in_the_file(
    &[], &[], "[worker]\nleese = \"1s\"",
    "there is no setting `worker.leese` (in borealis.toml); did you mean `worker.lease`? `borealis config show` lists all settings"
)]
#[case::unknown_section(
    &[], &[], "[wurst]\nsize = 1",
    "there is no setting `wurst.size` (in borealis.toml); `borealis config show` lists all settings"
)]
#[case::no_section(
    &[], &[], "listen = \"127.0.0.1:1\"",
    "there is no setting `listen` (in borealis.toml); did you mean `server.listen`? `borealis config show` lists all settings"
)]
#[case::unknown_variable(
    &[], &[("BOREALIS_LISTN", "127.0.0.1:1")], "",
    "there is no setting `BOREALIS_LISTN` (from the environment); did you mean `BOREALIS_LISTEN`? `borealis config show` lists all settings"
)]
#[case::unknown_by_set(
    &["--set", "x y=1"], &[], "",
    "there is no setting `x y` (from --set); `borealis config show` lists all settings"
)]
#[case::set_without_a_value(
    &["--set", "worker.lease"], &[], "",
    "`--set worker.lease` has no value; give it as `--set section.name=value`"
)]
#[case::no_such_file(
    &["--config", "/no/such/file.toml"], &[], "",
    "the settings file /no/such/file.toml cannot be read: No such file or directory (os error 2)"
)]
#[case::no_such_file_by_variable(
    &[], &[("BOREALIS_CONFIG", "/no/such/file.toml")], "",
    "the settings file /no/such/file.toml cannot be read: No such file or directory (os error 2)"
)]
fn what_is_wrong_is_said(
    #[case] flags: &[&str],
    #[case] variables: &[(&str, &str)],
    #[case] file: &str,
    #[case] text: &str,
) {
    assert_eq!(message(load(flags, variables, file)), text);
}

#[test]
fn a_file_that_is_not_toml_is_named_with_the_line() {
    let text = message(load(&[], &[], "[server\nlisten = 1"));
    assert!(text.starts_with("the settings file borealis.toml cannot be read: "), "{text}");
    assert!(text.contains("line 1"), "{text}");
}

#[test]
fn what_is_shown_has_origins_and_no_secret() {
    let variables =
        [("BOREALIS_ACCESS_KEY", "me"), ("BOREALIS_SECRET_KEY", "hush"), ("BOREALIS_MASTER_KEY_FILE", "key")];
    let settings =
        load(&["--database-url", "postgres://me:hush@db/x"], &variables, "[media]\nstall = \"90s\"");
    let settings = settings.expect("right");
    assert_eq!(settings.keys.secret_key, Some(Secret::new("hush")));
    let shown = settings.to_toml_redacted();
    assert!(!shown.contains("hush"), "{shown}");
    assert!(!format!("{settings:?}").contains("hush"));
    for line in [
        "database_url = \"[secret]\"  # from --database-url",
        "secret_key = \"[secret]\"  # from BOREALIS_SECRET_KEY",
        "listen = \"127.0.0.1:8080\"",
        "# Address and port that the API listens on.",
        "capacity = \"auto\"",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is not in:\n{shown}");
    }
    assert!(shown.contains("stall = \"90s\"  # in "), "{shown}");
}

#[test]
fn what_is_shown_of_the_defaults_is_the_default_file() {
    let shown = load(&[], &[], "").expect("right").to_toml_redacted();
    let shown: toml::Table = shown.parse().expect("what is shown is TOML");
    let again = load(&[], &[], &shown.to_string()).expect("what is shown can be read");
    assert_eq!(toml::Table::try_from(again).expect("a table"), shown);
}

/// The list in `docs/settings.md`; `make gen` writes it again.
#[test]
fn the_settings_table_is_generated() {
    const MARKER: &str = "<!-- settings -->";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    let text = std::fs::read_to_string(&path).expect("docs/settings.md is there");
    let [head, table, tail] = text.split(MARKER).collect::<Vec<_>>()[..] else {
        panic!("docs/settings.md has not two markers {MARKER}");
    };
    let expected = format!("\n{}", settings_table());
    if env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, [head, &expected, tail].join(MARKER)).expect("docs/settings.md can be written");
    } else {
        assert_eq!(table, expected, "docs/settings.md is not what the settings are: run `make gen`");
    }
}
