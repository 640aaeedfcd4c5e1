//! Rules that neither the compiler nor `deny.toml` holds: which room of a crate may name which, and that tests wait for
//! events. They are read out of the source, with comments left out.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The rooms of `crates/media/src`, from the ground up. A room names rooms on lines above its own and no others, so that
/// nothing goes round in a circle: steps are handed data and never call each other, `format` knows neither plans nor
/// programs, and nobody names the façade.
const MEDIA: &[&str] = &[
    "work_folder",
    "error colour",
    "format source",
    "plan output",
    "codecs layout settings memory",
    "input logo tool",
    "playlists",
    "probe planner run verify",
    "media",
];

/// The rooms of `src`, in the same way.
const PRODUCT: &[&str] = &[
    "config",
    "data_folder telemetry signed_links input_storage",
    "uploads",
    "app",
    "access_keys jobs",
    "api worker",
    "cli",
];

/// They are above all rooms, or only for tests.
const FREE: &[&str] = &["lib", "main", "fixtures", "fuzzing"];

#[test]
fn rooms_name_only_rooms_below_them() {
    let mut wrong = Vec::new();
    for (folder, floors) in [("crates/media/src", MEDIA), ("src", PRODUCT)] {
        let floor_of =
            |room: &str| floors.iter().position(|rooms| rooms.split(' ').any(|other| other == room));
        for (path, code) in sources(folder) {
            let below = path.strip_prefix(workspace().join(folder)).expect("below it");
            let first = below.iter().next().and_then(|name| name.to_str()).expect("a name");
            let room = first.trim_end_matches(".rs");
            for named in rooms_named(&code).filter(|named| *named != room) {
                let is_below = floor_of(named) < floor_of(room) && floor_of(named).is_some();
                if !is_below && !FREE.contains(&room) && !FREE.contains(&named) {
                    wrong.push(format!("{folder}/{} names `crate::{named}`", below.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What all routes need lies beside them; the router and the OpenAPI document alone list them.
#[test]
fn what_routes_share_names_no_route() {
    for (path, code) in sources("src/api") {
        let below = path.strip_prefix(workspace().join("src/api")).expect("below it");
        let is_free = ["mod.rs", "document.rs", "routes"].iter().any(|free| below.starts_with(free));
        assert!(is_free || !code.contains("routes::"), "{} names a route", path.display());
    }
}

/// The places that open what child processes have written: media tools may have been taken over by an input, and leave
/// links there.
const READERS_OF_OUTPUTS: &[&str] = &[
    "crates/media/src/format",
    "crates/media/src/playlists",
    "crates/media/src/run",
    "crates/media/src/tool/feed.rs",
    "crates/media/src/verify",
    "src/jobs/transcode/objects.rs",
    "src/jobs/transcode/publish.rs",
];

/// What opens a file, or looks at one, by its path.
const BY_PATH: &[&str] = &[
    "File::open",
    "File::create",
    "OpenOptions",
    "fs::read",
    "fs::write",
    "fs::copy",
    "fs::metadata",
    "fs::rename",
    "read_dir(",
    "symlink_metadata",
    "canonicalize",
    "hard_link",
    ".exists()",
    ".is_file()",
    ".is_dir()",
];

#[test]
fn outputs_are_opened_beneath_their_folder() {
    let mut wrong = Vec::new();
    for reader in READERS_OF_OUTPUTS {
        for (path, code) in sources(reader) {
            let is_test =
                path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")));
            let code = code.split("#[cfg(test)]").next().unwrap_or_default();
            let by_path = BY_PATH.iter().find(|call| calls(code, call));
            if let Some(call) = by_path.filter(|_| !is_test) {
                wrong.push(format!("{} calls `{call}` instead of `media::WorkFolder`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What tells nobody, such as a file in another process's folder, is asked again in a function `until…`.
#[test]
fn tests_sleep_only_to_ask_again() {
    let crates = fs::read_dir(workspace().join("crates")).expect("the crates").flatten();
    let tests = crates.map(|entry| entry.path().join("tests")).filter(|folder| folder.is_dir());
    for (path, code) in tests.chain([workspace().join("tests")]).flat_map(sources) {
        let mut function = "";
        for line in code.lines() {
            if let Some((_, name)) = line.split_once("fn ") {
                function = name;
            }
            let sleeps = line.contains(concat!("sleep", "("));
            assert!(!sleeps || function.starts_with("until"), "{}: {line}", path.display());
        }
    }
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The source files below a folder of the workspace, and their text without lines of comment.
fn sources(folder: impl AsRef<Path>) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let folder = folder.as_ref();
    if workspace().join(folder).is_file() {
        return vec![code_of(&workspace().join(folder))];
    }
    for entry in fs::read_dir(workspace().join(folder)).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(code_of(&path));
        }
    }
    found
}

/// Whether the name stands there by itself, and not as the end of another.
fn calls(code: &str, name: &str) -> bool {
    let is_name = |at: usize| !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
    code.match_indices(name).any(|(at, _)| name.starts_with('.') || is_name(at))
}

fn code_of(path: &Path) -> (PathBuf, String) {
    let text = fs::read_to_string(path).expect("readable");
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    (path.to_owned(), code.join("\n"))
}

/// The first names after `crate::`, alone or in braces.
fn rooms_named(code: &str) -> impl Iterator<Item = &str> {
    code.split("crate::").skip(1).flat_map(|rest| match rest.strip_prefix('{') {
        Some(list) => first_names(list),
        None => vec![identifier(rest)],
    })
}

/// The first name of each item of a list in braces, up to its closing brace.
fn first_names(list: &str) -> Vec<&str> {
    let (mut names, mut depth, mut is_start) = (Vec::new(), 0, true);
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_start = true,
            _ if is_start && !character.is_whitespace() => {
                names.push(identifier(&list[at..]));
                is_start = false;
            }
            _ => {}
        }
    }
    names
}

fn identifier(text: &str) -> &str {
    text.split(|character: char| !character.is_alphanumeric() && character != '_').next().unwrap_or_default()
}
