//! Bounds: how much of anything there can be that comes from outside, each with its name.
//!
//! One list for all crates, so that no field, answer, list or claim is without one; `docs/limits.md` is made
//! of it. What an operator may change is a setting instead.

/// A bound, as it is documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What it is about.
    pub section: &'static str,
    /// The name of its constant.
    pub name: &'static str,
    /// The most that is accepted.
    pub value: usize,
    /// What is counted.
    pub unit: Unit,
    /// What it bounds, as a row of a table.
    pub meaning: &'static str,
}

/// What a bound counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes; of a text those of its UTF-8.
    Bytes,
    /// Pieces of what the meaning names.
    Pieces,
    /// Seconds.
    Seconds,
}

macro_rules! limits {
    ($($section:literal { $($(#[doc = $meaning:literal])+ $name:ident = $value:expr, $unit:ident;)+ })+) => {
        $($($(#[doc = $meaning])+ pub const $name: usize = $value;)+)+

        /// All of them, by section.
        pub const ALL: &[Limit] = &[$($(Limit {
            section: $section,
            name: stringify!($name),
            value: $name,
            unit: Unit::$unit,
            meaning: concat!($($meaning),+),
        },)+)+];
    };
}

limits! {
    "Fields of requests" {
        /// `template_name`
        MAX_TEMPLATE_NAME_BYTES = 64, Bytes;
        /// `description` of a template
        MAX_DESCRIPTION_BYTES = 4 << 10, Bytes;
        /// `adaptive_streams` of a template
        MAX_RENDITIONS = 10, Pieces;
        /// `input` of a task, and `logo_path`
        MAX_INPUT_BYTES = 8 << 10, Bytes;
        /// the key that `output` of a task makes, which leaves room for names below a folder within S3's 1024
        MAX_OUTPUT_KEY_BYTES = 900, Bytes;
        /// a part of that key in a `file` storage: file systems take names of 255, and folders have longer ones
        MAX_FILE_NAME_BYTES = 255 - 8, Bytes;
        /// `custom_info` of a task
        MAX_CUSTOM_INFO_BYTES = 64 << 10, Bytes;
        /// `tasks` of a batch
        MAX_BATCH_TASKS = 1000, Pieces;
        /// the tasks of a batch as they are stored, each with its copy of the template
        MAX_BATCH_BYTES = 8 << 20, Bytes;
        /// `bucket` of a storage: that of GCS with dots in it, the longest of all vendors'
        MAX_BUCKET_NAME_BYTES = 222, Bytes;
        /// `prefix` of a storage, which leaves room for `output` in the key of an object
        MAX_PREFIX_BYTES = 512, Bytes;
        /// `region` of a storage
        MAX_REGION_BYTES = 64, Bytes;
        /// `endpoint` of a storage
        MAX_ENDPOINT_BYTES = 2 << 10, Bytes;
        /// `storage_ak` and `storage_sk`; the longest in use is a key file of Google's, of about 2400
        MAX_ACCOUNT_KEY_BYTES = 8 << 10, Bytes;
        /// `storage_class`, `acl`, `encryption` and `encryption_key` of a storage, each
        MAX_OBJECT_SETTING_BYTES = 1 << 10, Bytes;
        /// `notify` of a storage
        MAX_NOTIFY_BYTES = 8 << 10, Bytes;
        /// `notify_attempts` of a storage
        MAX_NOTIFY_ATTEMPTS = 20, Pieces;
        /// `notify_interval` of a storage
        MAX_NOTIFY_INTERVAL_SECS = 3600, Seconds;
        /// `name` of a storage or an upload
        MAX_LABEL_BYTES = 1 << 10, Bytes;
        /// `extra` and `name_rule` of a storage, each
        MAX_FREE_TEXT_BYTES = 4 << 10, Bytes;
        /// `Idempotency-Key`
        MAX_IDEMPOTENCY_KEY_BYTES = 255, Bytes;
    }
    "Bodies of requests" {
        /// values in a body: texts, numbers, lists and objects together
        MAX_BODY_VALUES = 32 << 10, Pieces;
        /// lists and objects within each other in a body
        MAX_BODY_DEPTH = 32, Pieces;
        /// unknown fields that a warning names; of others it says how many
        MAX_NAMED_UNKNOWN_FIELDS = 20, Pieces;
    }
    "What a tenant has" {
        /// storages of a tenant
        MAX_TENANT_STORAGES = 1000, Pieces;
        /// templates of a tenant, predefined ones apart
        MAX_TENANT_TEMPLATES = 1000, Pieces;
        /// access keys of a tenant
        MAX_TENANT_KEYS = 1000, Pieces;
    }
    "Answers" {
        /// entries of a page: `count` of a list
        MAX_PAGE_SIZE = 1000, Pieces;
        /// entries of a page of `list_task`, `list_callback` or `list_object`; a page that has no room for all
        /// of `count` says with `next_start_num` where the next one begins
        MAX_LIST_BYTES = 4 << 20, Bytes;
        /// links of `sign_output` with `all=true`
        MAX_SIGNED_LINKS_BYTES = 16 << 20, Bytes;
        /// attempts that `query_callback` shows, the newest
        MAX_SHOWN_ATTEMPTS = 100, Pieces;
        /// the reason of a failure, in `message` and in callbacks
        MAX_FAILURE_DETAIL_BYTES = 2 << 10, Bytes;
    }
    "Answers of other servers" {
        /// an answer of an object store that is no object: a page of a listing, the result of an upload
        MAX_STORE_ANSWER_BYTES = 8 << 20, Bytes;
        /// what is read of an error of an object store
        MAX_STORE_ERROR_BYTES = 64 << 10, Bytes;
        /// the answer of a token endpoint
        MAX_TOKEN_ANSWER_BYTES = 64 << 10, Bytes;
        /// the objects of one listing of an object store, all pages together
        MAX_LISTED_OBJECTS = 1_000_000, Pieces;
        /// the keys of these
        MAX_LISTING_BYTES = 64 << 20, Bytes;
        /// what is read of a receiver's answer
        MAX_RECEIVER_ANSWER_BYTES = 64 << 10, Bytes;
        /// what is kept of a receiver's answer, of its head and of its body each
        MAX_KEPT_ANSWER_BYTES = 4 << 10, Bytes;
    }
    "Work" {
        /// bodies of callbacks that are claimed at once
        MAX_CLAIMED_BYTES = 8 << 20, Bytes;
        /// secret keys that are hashed at once, in 19 MiB each
        MAX_CONCURRENT_HASHES = 2, Pieces;
    }
    "Inputs and outputs" {
        /// what ffprobe says of an input, the index of its streams, tags and chapters
        MAX_FFPROBE_BYTES = 2 << 20, Bytes;
        /// a line that a media tool writes
        MAX_TOOL_LINE_BYTES = 1 << 20, Bytes;
        /// what a media tool answers otherwise
        MAX_TOOL_ANSWER_BYTES = 4 << 20, Bytes;
        /// the index (`moov`) of an MP4
        MAX_MOOV_BYTES = 64 << 20, Bytes;
        /// packets of a stream that is copied
        MAX_COPIED_PACKETS = 8_000_000, Pieces;
        /// frames of a stream whose time stamps are corrected one by one
        MAX_MISPLACED_FRAMES = 10_000, Pieces;
        /// files and folders of an output
        MAX_OUTPUT_ENTRIES = 1_000_000, Pieces;
        /// folders within each other in an output
        MAX_OUTPUT_DEPTH = 8, Pieces;
        /// files that are finished while an output is made, a playlist once with each segment
        MAX_FINISHED_FILES = 2_000_000, Pieces;
        /// a playlist or manifest of an output
        MAX_PLAYLIST_BYTES = 32 << 20, Bytes;
        /// a thumbnail or a sheet of thumbnails
        MAX_JPEG_BYTES = 64 << 20, Bytes;
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fmt::Write as _, fs, path::Path};

    use super::*;

    /// The tables in `docs/limits.md`; `make gen` writes them again.
    #[test]
    fn the_table_of_limits_is_generated() {
        const MARKER: &str = "<!-- limits -->";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/limits.md");
        let text = fs::read_to_string(&path).expect("docs/limits.md is there");
        let [head, table, tail] = text.split(MARKER).collect::<Vec<_>>()[..] else {
            panic!("docs/limits.md has not two markers {MARKER}");
        };
        let expected = tables();
        if env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, [head, &expected, tail].join(MARKER)).expect("docs/limits.md can be written");
        } else {
            assert_eq!(table, expected, "docs/limits.md is not what the code says: run `make gen`");
        }
    }

    fn tables() -> String {
        let (mut text, mut section) = (String::new(), "");
        for limit in ALL {
            if limit.section != section {
                section = limit.section;
                write!(text, "\n## {section}\n\n| of what | at most |\n|---|---|\n").expect("written");
            }
            writeln!(text, "| {} | {} |", limit.meaning.trim(), amount(limit)).expect("written");
        }
        text
    }

    fn amount(limit: &Limit) -> String {
        match (limit.unit, limit.value) {
            (Unit::Bytes, bytes) if bytes >= 1 << 20 && bytes % (1 << 20) == 0 => {
                format!("{} MiB", bytes >> 20)
            }
            (Unit::Bytes, bytes) if bytes >= 1 << 10 && bytes % (1 << 10) == 0 => {
                format!("{} KiB", bytes >> 10)
            }
            (Unit::Bytes, bytes) => format!("{bytes} bytes"),
            (Unit::Pieces, number) => number.to_string(),
            (Unit::Seconds, seconds) => format!("{seconds} s"),
        }
    }
}
