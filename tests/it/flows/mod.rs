//! The main job from end to end: the real program, a real input over HTTP, a real receiver.

mod changed_storage;
mod database_outage;
mod delivery;
mod early_segments;
mod examples;
mod extended_policy;
mod failures;
mod faulty_proxy;
mod file_modes;
mod formats;
mod full_disk;
mod growing_input;
mod killed_server;
mod lost_claims;
mod media_files;
mod misbehaving_receivers;
mod neighbours;
mod object_store_faults;
mod object_stores;
mod receiver;
mod secrets;
mod session;
mod taken_over_tools;
mod thumbnails;
mod uploads;
mod waiting;
