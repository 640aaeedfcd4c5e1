//! The product from outside, in one binary, so that it links once.

mod app;
mod chaos;
mod cli;
mod flows;
mod hostile;
mod house_rules;
mod program;
mod routes;
mod wait;
