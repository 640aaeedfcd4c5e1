//! The product from outside, in one binary, so that it links once.

mod app;
mod chaos;
mod cli;
mod flows;
mod program;
mod routes;
mod wait;
