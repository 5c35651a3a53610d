//! Archives written byte by byte, so that they can be wrong in any way. Nothing here knows the writer of the crate.

/// One header, as it will be written; fields are what they are set to, and the checksum is right unless it is set.
#[derive(Clone)]
pub(crate) struct Header {
    bytes: [u8; 512],
    has_checksum: bool,
}

/// A header of this type for this name: ustar, mode 0644, nobody's, without a size.
pub(crate) fn header(flag: u8, name: impl AsRef<[u8]>) -> Header {
    let header = Header { bytes: [0; 512], has_checksum: false };
    header
        .field(0, name)
        .field(100, "0000644\0")
        .field(108, "0000000\0")
        .field(116, "0000000\0")
        .field(124, "00000000000\0")
        .field(136, "00000000000\0")
        .field(156, [flag])
        .field(257, "ustar\x0000")
}

impl Header {
    /// Bytes at an offset.
    pub(crate) fn field(mut self, at: usize, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(crate) fn mode(self, mode: u32) -> Self {
        self.field(100, format!("{mode:07o}\0"))
    }

    pub(crate) fn owner(self, uid: u32, gid: u32) -> Self {
        self.field(108, format!("{uid:07o}\0")).field(116, format!("{gid:07o}\0"))
    }

    pub(crate) fn size(self, size: u64) -> Self {
        self.field(124, format!("{size:011o}\0"))
    }

    pub(crate) fn mtime(self, secs: u64) -> Self {
        self.field(136, format!("{secs:011o}\0"))
    }

    pub(crate) fn link(self, target: impl AsRef<[u8]>) -> Self {
        self.field(157, target)
    }

    pub(crate) fn device(self, major: u32, minor: u32) -> Self {
        self.field(329, format!("{major:07o}\0")).field(337, format!("{minor:07o}\0"))
    }

    pub(crate) fn prefix(self, prefix: impl AsRef<[u8]>) -> Self {
        self.field(345, prefix)
    }

    /// GNU's dialect.
    pub(crate) fn gnu(self) -> Self {
        self.field(257, "ustar  \0")
    }

    /// From before there was a dialect.
    pub(crate) fn v7(self) -> Self {
        self.field(257, [0; 8])
    }

    /// A checksum, whatever the bytes are.
    pub(crate) fn checksum(self, sum: u32) -> Self {
        Self { has_checksum: true, ..self.field(148, format!("{sum:06o}\0 ")) }
    }

    pub(crate) fn block(&self) -> [u8; 512] {
        if self.has_checksum {
            return self.bytes;
        }
        let spaces = self.clone().field(148, [b' '; 8]);
        let sum = spaces.bytes.iter().map(|&byte| u32::from(byte)).sum();
        spaces.checksum(sum).bytes
    }
}

/// A number in base 256, in a field of so many bytes.
pub(crate) fn base_256<const N: usize>(number: i128) -> [u8; N] {
    let all = number.to_be_bytes();
    let mut field: [u8; N] = all[16 - N..].try_into().unwrap();
    field[0] |= 0x80;
    field
}

/// One PAX record.
pub(crate) fn record(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    let body = [b" ", key.as_ref(), b"=", value.as_ref(), b"\n"].concat();
    let mut len = body.len() + 1;
    while body.len() + len.to_string().len() != len {
        len = body.len() + len.to_string().len();
    }
    [len.to_string().as_bytes(), &body].concat()
}

/// An archive.
#[derive(Clone, Default)]
pub(crate) struct Archive(Vec<u8>);

pub(crate) fn archive() -> Archive {
    Archive::default()
}

impl Archive {
    pub(crate) fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    /// A header as it is, without data.
    pub(crate) fn header(self, header: &Header) -> Self {
        self.raw(header.block())
    }

    /// Data with its padding.
    pub(crate) fn data(self, data: impl AsRef<[u8]>) -> Self {
        let mut padded = self.raw(data);
        padded.0.resize(padded.0.len().next_multiple_of(512), 0);
        padded
    }

    /// A header that says how long its data is, and the data.
    pub(crate) fn entry(self, header: Header, data: impl AsRef<[u8]>) -> Self {
        let data = data.as_ref();
        self.header(&header.size(data.len() as u64)).data(data)
    }

    pub(crate) fn file(self, name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Self {
        self.entry(header(b'0', name), data)
    }

    pub(crate) fn dir(self, name: impl AsRef<[u8]>) -> Self {
        self.header(&header(b'5', name).mode(0o755))
    }

    pub(crate) fn hard_link(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.header(&header(b'1', name).link(target))
    }

    pub(crate) fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.header(&header(b'2', name).link(target))
    }

    /// An extended header with these records.
    pub(crate) fn pax<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        self,
        records: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let text: Vec<u8> =
            records.into_iter().flat_map(|(key, value)| record(key, value)).collect();
        self.entry(header(b'x', "PaxHeaders/x"), text)
    }

    /// One of GNU's long names: `L` for the entry, `K` for its target.
    pub(crate) fn long(self, flag: u8, name: impl AsRef<[u8]>) -> Self {
        self.entry(header(flag, "././@LongLink").gnu(), [name.as_ref(), b"\0"].concat())
    }

    /// The two blocks of zeros.
    pub(crate) fn end(self) -> Vec<u8> {
        self.raw([0; 1024]).0
    }

    /// As it is.
    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0
    }
}
