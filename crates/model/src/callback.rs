//! A callback: a message to a storage's receiver that one or more tasks have ended.

use serde::{Deserialize, Serialize};

use crate::{CallbackId, StorageId, TaskId, TenantId, Timestamp, field::word_enum};

word_enum! {
    /// The status of a callback.
    CallbackStatus {
        /// it will be sent, now or later
        Owed = "owed",
        /// the receiver accepted it
        Delivered = "delivered",
        /// every attempt failed
        Exhausted = "exhausted",
        /// it can never be sent: its address is forbidden or its URL unusable
        Refused = "refused",
    }
}

/// A callback as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// Its id, sent as `webhook-id` on every attempt.
    pub id: CallbackId,
    /// Whom it belongs to.
    pub tenant: TenantId,
    /// The storage whose `notify` it goes to.
    pub storage_id: StorageId,
    /// The tasks whose end it reports.
    pub task_ids: Vec<TaskId>,
    /// Its status.
    pub status: CallbackStatus,
    /// The exact bytes that are sent, the same on every attempt.
    pub body: Vec<u8>,
    /// Attempts made so far.
    pub attempts: u32,
    /// When it became owed.
    pub created: Timestamp,
    /// When the next attempt is due; none when it is not owed.
    pub next_attempt: Option<Timestamp>,
    /// When the receiver accepted it.
    pub delivered: Option<Timestamp>,
}

/// One attempt to deliver a callback, whatever came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Attempt {
    /// Counts from 1.
    pub number: u32,
    /// When it started, in Unix milliseconds.
    #[schema(value_type = i64)]
    pub time: Timestamp,
    /// The address that was connected to, such as `203.0.113.7:443`.
    pub address: Option<String>,
    /// Time for the name look-up, in milliseconds.
    pub dns_ms: Option<u32>,
    /// Time to connect, TLS included, in milliseconds.
    pub connect_ms: Option<u32>,
    /// Time to the first byte of the answer, in milliseconds.
    pub first_byte_ms: Option<u32>,
    /// Time of the whole exchange, in milliseconds.
    pub total_ms: u32,
    /// The status of the answer, when there was one.
    pub http_status: Option<u16>,
    /// Why it failed, such as `timeout: no answer within 15 s`; none when it was accepted.
    pub error: Option<String>,
    /// The answer's status line and headers, at most 4 KiB.
    pub response_head: Option<String>,
    /// The start of the answer's body, at most 4 KiB.
    pub response_body: Option<String>,
}

impl Attempt {
    /// An attempt of which nothing is known but its number and when it began.
    pub const fn new(number: u32, time: Timestamp) -> Self {
        Self {
            number,
            time,
            address: None,
            dns_ms: None,
            connect_ms: None,
            first_byte_ms: None,
            total_ms: 0,
            http_status: None,
            error: None,
            response_head: None,
            response_body: None,
        }
    }
}

/// What becomes of a callback after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackNext {
    /// The receiver accepted it.
    Delivered,
    /// It is tried again, not before this moment.
    RetryAt(Timestamp),
    /// Every attempt is used up.
    Exhausted,
    /// It can never be sent.
    Refused,
}
