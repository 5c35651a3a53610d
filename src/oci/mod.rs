//! Images in directories and archives that every container tool reads.

mod config;
mod layout;
mod reference;

pub use self::config::Config;
pub use self::layout::{Collected, Layout, StoreOptions, StoreUsage, Stored};
pub use self::reference::{Descriptor, Platform, Reference};
