//! The attacks. Each goes on until it is stopped and counts what it is answered; one that never meets its proof has not
//! really run. They are paced, so that all of them go on at once on a small machine.

mod calls;
mod inputs;
mod media;
mod receivers;
mod requests;
mod slow_clients;
mod stores;

use futures::future::{BoxFuture, FutureExt as _};

use super::attacker::Attacker;
pub(super) use media::make_media;

/// A secret key of a storage, which may be in no log.
pub(super) const PLANTED_SECRET: &str = "planted-secret-of-an-object-store";

/// One way to attack.
pub(crate) struct Attack {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// What is counted once it has been answered as meant.
    pub(super) proof: &'static str,
    pub(super) run: fn(Attacker) -> BoxFuture<'static, ()>,
}

impl Attack {
    pub(super) fn is_known_to_hold(&self) -> bool {
        KNOWN_NOT_TO_HOLD.iter().all(|(name, _)| *name != self.name)
    }
}

/// Attacks that the server is known not to stand yet, with what happens. They run only when they are named.
pub(super) const KNOWN_NOT_TO_HOLD: &[(&str, &str)] = &[];

/// Every attack; `BOREALIS_HOSTILE_ATTACKS` takes the names.
pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "unknown-names",
        what: "unsigned requests with thousands of methods and paths",
        proof: "404",
        run: |attacker| requests::unknown_names(attacker).boxed(),
    },
    Attack {
        name: "sign-ins",
        what: "wrong sign-ins, under the customer's access key and thousands of names",
        proof: "401",
        run: |attacker| requests::sign_ins(attacker).boxed(),
    },
    Attack {
        name: "bodies",
        what: "1 MiB of JSON: nesting, fields, keys, numbers, escapes, repetition",
        proof: "400",
        run: |attacker| requests::bodies(attacker).boxed(),
    },
    Attack {
        name: "slow-heads",
        what: "200 heads that come byte by byte",
        proof: "closed",
        run: |attacker| slow_clients::slow_heads(attacker).boxed(),
    },
    Attack {
        name: "absent-bodies",
        what: "50 calls whose body does not come",
        proof: "503",
        run: |attacker| slow_clients::absent_bodies(attacker).boxed(),
    },
    Attack {
        name: "unread-answers",
        what: "60 connections that do not read: outputs by signed links, pages of 1,000 tasks",
        proof: "200",
        run: |attacker| slow_clients::unread_answers(attacker).boxed(),
    },
    Attack {
        name: "event-streams",
        what: "300 event streams, of which nothing is read",
        proof: "200",
        run: |attacker| slow_clients::event_streams(attacker).boxed(),
    },
    Attack {
        name: "lists",
        what: "the largest pages of every list, again and again",
        proof: "200",
        run: |attacker| calls::lists(attacker).boxed(),
    },
    Attack {
        name: "idempotency",
        what: "an idempotency key for every call, each call twice",
        proof: "the same answer",
        run: |attacker| calls::idempotency(attacker).boxed(),
    },
    Attack {
        name: "storage-changes",
        what: "update_storage and rotate_notify_secret in a loop",
        proof: "200",
        run: |attacker| calls::storage_changes(attacker).boxed(),
    },
    Attack {
        name: "batches",
        what: "batches of 1,000 tasks, with descriptions and texts of any size",
        proof: "200",
        run: |attacker| calls::batches(attacker).boxed(),
    },
    Attack {
        name: "uploads",
        what: "4 uploads at once, without an end or kept",
        proof: "413",
        run: |attacker| calls::uploads(attacker).boxed(),
    },
    Attack {
        name: "cancels",
        what: "tasks that are cancelled and run again at random moments",
        proof: "200",
        run: |attacker| calls::cancels(attacker).boxed(),
    },
    Attack {
        name: "receivers",
        what: "600 receivers: silence, a byte a second, bodies and redirects without an end",
        proof: "callback received",
        run: |attacker| receivers::receivers(attacker).boxed(),
    },
    Attack {
        name: "stores",
        what: "an object store: answers and lists without an end, gzip bombs, tokens for ever, absurd Retry-After",
        proof: "list without an end",
        run: |attacker| stores::stores(attacker).boxed(),
    },
    Attack {
        name: "inputs",
        what: "inputs: a byte in 10 s, none, without an end, broken off, redirects to the server itself and for ever",
        proof: "task failed: 1102",
        run: |attacker| inputs::inputs(attacker).boxed(),
    },
    Attack {
        name: "media",
        what: "media: 200,000 chapters, a moov of 200 MiB, playlists, a zip",
        proof: "task failed: 1003",
        run: |attacker| media::media(attacker).boxed(),
    },
];
