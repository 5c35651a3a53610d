//! Integration tests, one binary. Each file is one subject.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by a panic, and prints why it could not run"
)]
#![allow(
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::large_stack_arrays,
    clippy::struct_excessive_bools,
    reason = "calls of the kernel take numbers and flags as they are"
)]

mod bad_input;
mod cli;
mod container;
mod export;
#[cfg(all(feature = "fuse", target_os = "linux"))]
mod fuse;
mod host;
mod layers;
#[cfg(feature = "oci")]
mod oci;
mod posix;
mod providers;
mod random;
mod regressions;
mod structure;
mod tar;
mod threads;
mod tmpfs;
mod tools;
mod union;
mod volumes;
