//! The program as people run it: its output, its exit codes, and what it leaves behind.

mod api;
mod listen;
mod machine;
mod many;
mod settings;
mod transcode;
