//! The longer texts: design, semantics, glossary.
