use crate::{Digest, Layer, Result, Source};
use std::io::{Read, Write};
use std::sync::Arc;
pub(crate) struct Unpacked {
    pub(crate) layer: Layer,
    pub(crate) digest: Digest,
    pub(crate) input_len: u64,
    pub(crate) diff_id: Digest,
    pub(crate) len: u64,
}
pub(crate) enum Contents {
    Memory,
    At(Arc<dyn Source>),
}
pub(crate) fn unpack(
    _input: impl Read + Send,
    _out: &mut (impl Write + Send),
    _contents: Contents,
    _compression: Option<super::Compression>,
    _options: &super::ReadOptions<'_>,
) -> Result<Unpacked> {
    todo!()
}
