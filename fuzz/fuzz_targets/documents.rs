//! Documents and tables of contents: whatever the bytes are, they are refused or understood, and what is understood is sound.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| stratafs::oci::fuzz_documents(bytes));
