//! Callbacks (webhooks): what is sent, how it is signed, when it is sent again, and what came of it. No
//! database.
//!
//! A callback's body is composed once, when its task ends, and kept as bytes; every attempt sends those
//! bytes unchanged under the same `webhook-id`, and every attempt leaves a record.

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod payload;
pub mod schedule;
pub mod send;
pub mod sign;
