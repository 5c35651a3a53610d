//! Layers from and to archives.
