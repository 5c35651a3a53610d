//! Images in and out of layouts and archives (docs/semantics.md, "Documents" and "The store").

mod archives;
mod crash;
mod documents;
mod hand;
mod images;
mod regressions;
mod sharing;
mod store;
