//! Layers from and to archives.

mod unpack;
pub(crate) use self::unpack::{Contents, Unpacked, unpack};
/// How.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Zstd,
}
/// Options
#[derive(Debug, Default)]
pub struct ReadOptions<'a> {
    p: std::marker::PhantomData<&'a ()>,
}
/// Options
#[derive(Debug, Default)]
pub struct WriteOptions {
    pub(crate) c: Compression,
}
#[allow(missing_docs)]
pub struct Written {
    pub diff_id: crate::Digest,
    pub digest: crate::Digest,
    pub size: u64,
}
#[allow(missing_docs, clippy::all)]
impl WriteOptions {
    pub fn new() -> Self {
        Self::default()
    }
    pub fn compression(mut self, c: Compression) -> Self {
        self.c = c;
        self
    }
    pub fn write(self, _layer: &crate::Layer, _out: impl std::io::Write) -> crate::Result<Written> {
        unimplemented!()
    }
}

#[allow(missing_docs)]
impl Compression {
    pub fn of_magic(b: &[u8]) -> Self {
        if b.starts_with(&[0x1f, 0x8b]) {
            Self::Gzip
        } else if b.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Self::Zstd
        } else {
            Self::None
        }
    }
}
