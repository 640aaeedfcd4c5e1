//! What settings say together.

use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::Settings;

/// The first setting that does not go with the others, and what would.
pub(super) fn check(settings: &Settings) -> Result<(), (&'static str, &'static str)> {
    if settings.worker.lease < Duration::from_millis(100) {
        return Err(("worker.lease", "a worker cannot show life so often; give at least `100ms`"));
    }
    for (name, limit) in
        [("api.url_limit", settings.api.url_limit), ("api.header_limit", settings.api.header_limit)]
    {
        if limit > 64 << 10 {
            return Err((name, "the parser of requests takes no more: give at most `64KiB`"));
        }
    }
    if EnvFilter::builder().parse(&settings.log.level).is_err() {
        return Err((
            "log.level",
            "give `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,borealis=debug`",
        ));
    }
    if settings.server.data_dir.as_os_str().is_empty() {
        return Err(("server.data_dir", "give a folder"));
    }
    let url = settings.server.database_url();
    let is_known = settings.server.is_postgres() || url.starts_with("sqlite:");
    if url::Url::parse(&url).is_err() || !is_known {
        return Err((
            "server.database_url",
            "give `sqlite://PATH?mode=rwc` or `postgres://USER:PASSWORD@HOST/NAME`",
        ));
    }
    if settings.server.is_postgres() && settings.keys.master_key_file.is_none() {
        return Err((
            "keys.master_key_file",
            "with PostgreSQL every process needs the same key: give the file that holds it",
        ));
    }
    match (&settings.keys.access_key, &settings.keys.secret_key) {
        (Some(_), None) => Err(("keys.secret_key", "an access key is set: give its secret key too")),
        (None, Some(_)) => Err(("keys.access_key", "a secret key is set: give its access key too")),
        _ => Ok(()),
    }
}
