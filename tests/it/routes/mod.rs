//! Every call of the API, as clients make them.

mod auth;
mod callbacks;
mod document;
mod envelope;
mod sdk;
mod server;
mod storages;
mod tasks;
mod templates;
