//! The queue of a callback: first come, first served for each receiver.
//!
//! Callbacks to one origin (scheme, host and port) share slots, whichever tenant's they are. Each tenant has a
//! queue of its own there: one tenant's broken hook does not hold back another's behind the same gateway.
//! Those of storages with the extended policy share a circuit breaker too, and so have another queue.

use model::{NotifyPolicy, Storage};

/// The name of the queue of a storage's callbacks: `scheme://host:port tenant`, and with the extended
/// policy a space and that word. A notify that is no URL has a queue of its own.
pub(crate) fn queue_name(storage: &Storage) -> String {
    let origin = match url::Url::parse(&storage.notify) {
        Ok(url) if url.has_host() => format!(
            "{}://{}:{}",
            url.scheme(),
            url.host_str().unwrap_or_default(),
            url.port_or_known_default().unwrap_or_default()
        ),
        // no space, after which a tenant is read, and no NUL, which PostgreSQL refuses
        _ => storage.notify.replace([' ', '\0'], "\u{fffd}"),
    };
    match storage.notify_settings.policy {
        NotifyPolicy::Aurora => format!("{origin} {}", storage.tenant),
        NotifyPolicy::Extended => format!("{origin} {} extended", storage.tenant),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::{NotifySettings, NotifySuccess, StorageType, TenantId, Timestamp};
    use rstest::rstest;

    use super::*;

    fn storage(notify: &str, policy: NotifyPolicy) -> Storage {
        Storage {
            notify: notify.to_owned(),
            notify_settings: NotifySettings {
                attempts: 3,
                interval: Duration::from_secs(5),
                policy,
                success: NotifySuccess::Only200,
            },
            ..Storage::new(
                "0123456789abcdef".parse().expect("an id"),
                TenantId::main(),
                StorageType::File,
                "b",
                Timestamp::from_millis(0),
            )
        }
    }

    #[rstest]
    #[case("https://User@Example.com/hook?sig=1", NotifyPolicy::Aurora, "https://example.com:443 main")]
    #[case("http://[::1]:8080/", NotifyPolicy::Aurora, "http://[::1]:8080 main")]
    #[case("https://example.com/hook", NotifyPolicy::Extended, "https://example.com:443 main extended")]
    #[case("not a url", NotifyPolicy::Aurora, "not\u{fffd}a\u{fffd}url main")]
    fn queues(#[case] notify: &str, #[case] policy: NotifyPolicy, #[case] expected: &str) {
        assert_eq!(queue_name(&storage(notify, policy)), expected);
    }
}
