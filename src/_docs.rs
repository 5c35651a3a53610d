//! The longer texts, as they lie in `docs/`.

#[doc = include_str!("../docs/design.md")]
pub mod design {}

#[doc = include_str!("../docs/semantics.md")]
pub mod semantics {}

#[doc = include_str!("../docs/cli.md")]
pub mod cli {}

#[doc = include_str!("../docs/performance.md")]
pub mod performance {}

#[doc = include_str!("../docs/glossary.md")]
pub mod glossary {}

/// The front page of the repository, so that its example is tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub mod readme {}
