//! What a tree holds, in the form in which `stratafs ls -R --json` gives it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A line. What only some objects have is left out of the others' lines.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Object {
    pub(super) path: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) mode: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
    pub(super) mtime_ns: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rdev: Option<String>,
    /// Names as paths are written, values in hexadecimal.
    #[serde(default)]
    pub(super) xattrs: BTreeMap<String, String>,
    /// Nothing, if it is not known: a filesystem that does not count the links of a directory says 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nlink: Option<u64>,
    pub(super) ino: u64,
    #[serde(default, skip_serializing)]
    #[expect(
        dead_code,
        reason = "no tool knows which layer an object is from, but the field is one"
    )]
    pub(super) layer: Option<serde_json::Value>,
}

/// All objects of a tree by the bytes of their paths.
pub(super) type Listing = BTreeMap<Vec<u8>, Object>;

impl Object {
    pub(super) fn new(path: &[u8], kind: &str) -> Self {
        Self {
            path: escaped(path),
            kind: kind.to_owned(),
            mode: String::new(),
            uid: 0,
            gid: 0,
            size: None,
            sha256: None,
            mtime_ns: 0,
            target: None,
            rdev: None,
            xattrs: BTreeMap::new(),
            nlink: None,
            ino: 0,
            layer: None,
        }
    }

    pub(super) fn is_dir(&self) -> bool {
        self.kind == "dir"
    }
}

/// Every byte that is no visible ASCII, and `%`, as `%XX`.
pub(super) fn escaped(bytes: &[u8]) -> String {
    let one = |&byte: &u8| match byte {
        b'%' => "%25".to_owned(),
        0x21..=0x7e => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    bytes.iter().map(one).collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(&part.as_bytes()[2..]);
    }
    bytes
}

/// Reads what `stratafs ls -R --json` printed, and insists on its form.
pub(super) fn parsed(text: &[u8]) -> Listing {
    let text = std::str::from_utf8(text).expect("because every other byte is %XX");
    let mut listing = Listing::new();
    let mut last = None;
    for line in text.lines() {
        let object: Object =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let path = unescaped(&object.path);
        assert_eq!(escaped(&path), object.path, "the one way to write it");
        assert!(last.as_ref() < Some(&path), "sorted by bytes, each once: {line}");
        last = Some(path.clone());
        listing.insert(path, object);
    }
    listing
}
