//! Integration tests, one binary. Each file is one subject.

mod bad_input;
mod container;
mod host;
mod layers;
mod posix;
mod random;
mod regressions;
mod structure;
mod threads;
mod tmpfs;
mod union;
mod volumes;
