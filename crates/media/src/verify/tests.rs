//! Outputs with one thing wrong each: all of them have to be refused.
