//! Real directories.
