//! Every call of the API, as clients make them.

mod auth;
mod batches;
mod bounds;
mod callbacks;
mod document;
mod envelope;
mod events;
mod files;
mod idempotency;
mod keys;
mod limits;
mod notify;
mod odd;
mod schemathesis;
mod sdk;
mod server;
mod sign_in;
mod slow;
mod statuses;
mod storages;
mod tasks;
mod templates;
mod tenancy;
mod uploads;
