//! Every address and URL of `ssrf-vectors.json`, a list of what the guard must allow and forbid.
//!
//! The list lies beside the repository; where it is absent the test says so, and fails in CI.

use std::{env, fs, net::IpAddr, path::PathBuf};

use borealis_net::{Guard, parse_url};
use serde_json::Value;

fn vectors() -> Option<Value> {
    let folder = env::var_os("BOREALIS_TEST_SPEC").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/spec"),
        PathBuf::from,
    );
    let file = folder.join("ssrf-vectors.json");
    match fs::read(&file) {
        Ok(text) => Some(serde_json::from_slice(&text).expect("the vectors are JSON")),
        Err(error) => {
            let ci = env::var("CI").is_ok_and(|value| value == "true");
            assert!(!ci, "{}: {error}", file.display());
            eprintln!("skipped: {}: {error}", file.display());
            None
        }
    }
}

fn texts<'a>(vectors: &'a Value, name: &str) -> Vec<&'a str> {
    let list = vectors[name].as_array().unwrap_or_else(|| panic!("{name} is a list"));
    assert!(!list.is_empty(), "{name} has entries");
    list.iter().map(|one| one.as_str().expect("a text")).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("{text} is an address"))
}

#[test]
fn addresses() {
    let Some(vectors) = vectors() else { return };
    let guard = Guard::default();
    for text in [texts(&vectors, "block_ipv4"), texts(&vectors, "block_ipv6")].concat() {
        assert!(guard.check_address(ip(text)).is_err(), "{text}");
    }
    for text in [texts(&vectors, "allow_ipv4"), texts(&vectors, "allow_ipv6")].concat() {
        assert_eq!(guard.check_address(ip(text)), Ok(()), "{text}");
    }
}

#[test]
fn metadata_services_are_forbidden_whatever_is_allowed() {
    let Some(vectors) = vectors() else { return };
    let all = ["0.0.0.0/0", "::/0"].map(|network| network.parse().expect("a network"));
    let guard = Guard::new(all.to_vec());
    for text in texts(&vectors, "always_block") {
        assert!(guard.check_address(ip(text)).is_err(), "{text}");
    }
    assert_eq!(guard.check_address(ip("127.0.0.1")), Ok(()));
}

#[test]
fn urls() {
    let Some(vectors) = vectors() else { return };
    let guard = Guard::default();
    for text in texts(&vectors, "block_urls") {
        let url = parse_url(text).unwrap_or_else(|problem| panic!("{text} {problem}"));
        assert!(guard.check_url(&url).is_err(), "{text}");
    }
    for text in texts(&vectors, "reject_urls") {
        let checked = parse_url(text).and_then(|url| guard.check_url(&url));
        assert!(checked.is_err(), "{text}");
    }
}
