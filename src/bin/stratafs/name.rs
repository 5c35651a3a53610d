//! Names of images, as the container world writes them.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser, ValueParserFactory};

use crate::escape::Shown;

/// Where an image is, or is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ImageName {
    /// `oci:DIR[:TAG]`: an image layout. The tag may be the digest of a manifest.
    Layout { dir: PathBuf, tag: Option<String> },
    /// `oci-archive:FILE[:TAG]`: an image layout in a tar archive.
    OciArchive { file: PathBuf, tag: Option<String> },
    /// `docker-archive:FILE[:NAME:TAG]`: what `docker save` writes.
    DockerArchive { file: PathBuf, tag: Option<String> },
    /// `dir:TOP,dir:BELOW`: directories of this machine, each a layer, the topmost first.
    Dirs(Vec<PathBuf>),
}

/// `oci:DIR[:TAG]` and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LayoutName {
    pub(crate) dir: PathBuf,
    pub(crate) tag: Option<String>,
}

/// `oci:DIR`: all that is in a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WholeLayout {
    pub(crate) dir: PathBuf,
}

/// How clap gets a value from an argument that need not be Unicode.
#[derive(Clone)]
pub(crate) struct FromOsStr<T>(fn(&OsStr) -> Result<T, String>);

impl<T: Clone + Send + Sync + 'static> FromOsStr<T> {
    pub(crate) fn new(parse: fn(&OsStr) -> Result<T, String>) -> Self {
        Self(parse)
    }
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for FromOsStr<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        let parse = self.0;
        let parser = OsStringValueParser::new().try_map(move |text| parse(&text));
        parser.parse_ref(command, arg, value)
    }
}

impl ValueParserFactory for ImageName {
    type Parser = FromOsStr<Self>;

    fn value_parser() -> Self::Parser {
        FromOsStr::new(Self::parse)
    }
}

impl ValueParserFactory for LayoutName {
    type Parser = FromOsStr<Self>;

    fn value_parser() -> Self::Parser {
        FromOsStr::new(Self::parse)
    }
}

impl ValueParserFactory for WholeLayout {
    type Parser = FromOsStr<Self>;

    fn value_parser() -> Self::Parser {
        FromOsStr::new(Self::parse)
    }
}

const FORMS: &str =
    "oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME:TAG] or dir:HOSTDIR";

impl ImageName {
    fn parse(text: &OsStr) -> Result<Self, String> {
        let (scheme, rest) = split_at_colon(text.as_bytes()).ok_or_else(|| no_scheme(text))?;
        let is_missing = || Err(format!("nothing follows the `:`; an image is {FORMS}"));
        match scheme {
            b"oci" | b"oci-archive" | b"docker-archive" | b"dir" if rest.is_empty() => is_missing(),
            b"oci" => split_tag(rest).map(|(dir, tag)| Self::Layout { dir, tag }),
            b"oci-archive" => split_tag(rest).map(|(file, tag)| Self::OciArchive { file, tag }),
            b"docker-archive" => {
                split_tag(rest).map(|(file, tag)| Self::DockerArchive { file, tag })
            }
            b"dir" => split_dirs(rest).map(Self::Dirs).map_or_else(is_missing, Ok),
            _ => Err(no_scheme(text)),
        }
    }
}

impl LayoutName {
    fn parse(text: &OsStr) -> Result<Self, String> {
        match ImageName::parse(text)? {
            ImageName::Layout { dir, tag } => Ok(Self { dir, tag }),
            _ => Err("only a layout will do: oci:DIR".into()),
        }
    }
}

impl WholeLayout {
    fn parse(text: &OsStr) -> Result<Self, String> {
        match LayoutName::parse(text)? {
            LayoutName { tag: Some(_), .. } => {
                Err("the whole layout is meant: oci:DIR, no tag".into())
            }
            LayoutName { dir, tag: None } => Ok(Self { dir }),
        }
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, path, tag) = match self {
            Self::Layout { dir, tag } => ("oci", dir, tag),
            Self::OciArchive { file, tag } => ("oci-archive", file, tag),
            Self::DockerArchive { file, tag } => ("docker-archive", file, tag),
            Self::Dirs(dirs) => {
                let names = dirs.iter().map(|dir| format!("dir:{}", shown(dir)));
                return f.write_str(&names.collect::<Vec<_>>().join(","));
            }
        };
        write!(f, "{scheme}:{}", shown(path))?;
        tag.iter().try_for_each(|tag| write!(f, ":{tag}"))
    }
}

/// A path of the host, to print.
pub(crate) fn shown(path: &Path) -> Shown<'_> {
    Shown(path.as_os_str().as_bytes())
}

fn path(bytes: &[u8]) -> PathBuf {
    OsStr::from_bytes(bytes).into()
}

fn no_scheme(text: &OsStr) -> String {
    let given = Shown(text.as_bytes());
    if Path::new(text).is_dir() {
        return format!("an image is {FORMS}: did you mean dir:{given} or oci:{given}?");
    }
    format!("an image is {FORMS}")
}

fn split_at_colon(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = bytes.iter().position(|&byte| byte == b':')?;
    Some((&bytes[..colon], &bytes[colon + 1..]))
}

/// A path ends at the first `:`, as skopeo has it, unless it is there with more of them in it: then at the first `:` after
/// that.
fn split_tag(rest: &[u8]) -> Result<(PathBuf, Option<String>), String> {
    let colons = rest.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(at, _)| at);
    let mut ends = colons.clone().chain([rest.len()]);
    let there = ends.find(|&end| end > 0 && path(&rest[..end]).exists());
    let end = there.or_else(|| colons.clone().next()).unwrap_or(rest.len());
    if end == 0 {
        return Err("the path before the `:` is missing".into());
    }
    let tag = rest.get(end + 1..).map(check_tag).transpose()?;
    Ok((path(&rest[..end]), tag))
}

/// A name as image-spec has it (annotations.md, `org.opencontainers.image.ref.name`), in which a digest fits too. The store
/// checks it again; here it is what tells a name from a path that was not meant to have a `:`.
fn check_tag(tag: &[u8]) -> Result<String, String> {
    let begins = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let is_part = |part: &[u8]| {
        part.first().is_some_and(begins)
            && part.iter().all(|byte| begins(byte) || b"-.:@+".contains(byte))
    };
    match std::str::from_utf8(tag) {
        Ok(text) if tag.split(|&byte| byte == b'/').all(is_part) => Ok(text.to_owned()),
        _ => Err(format!(
            "`{}` is no tag: one has letters, digits and -._:@+, in parts between /",
            Shown(tag)
        )),
    }
}

/// For clap: a tag alone.
pub(crate) fn parse_tag(text: &str) -> Result<String, String> {
    check_tag(text.as_bytes())
}

/// Splits where one more `dir:` begins, so that a directory may have a comma in its name.
fn split_dirs(rest: &[u8]) -> Option<Vec<PathBuf>> {
    const BETWEEN: &[u8] = b",dir:";
    let mut dirs = Vec::new();
    let mut rest = rest;
    while let Some(at) = rest.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
        dirs.push(&rest[..at]);
        rest = &rest[at + BETWEEN.len()..];
    }
    dirs.push(rest);
    dirs.iter().all(|dir| !dir.is_empty()).then(|| dirs.into_iter().map(path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ImageName, String> {
        ImageName::parse(text.as_ref())
    }

    fn layout(dir: &str, tag: Option<&str>) -> ImageName {
        ImageName::Layout { dir: dir.into(), tag: tag.map(str::to_owned) }
    }

    #[test]
    fn a_tag_follows_the_first_colon_after_the_path() {
        assert_eq!(parse("oci:no/such"), Ok(layout("no/such", None)));
        assert_eq!(parse("oci:no/such:v1"), Ok(layout("no/such", Some("v1"))));
        let full = "docker.io/library/alpine:3.19";
        assert_eq!(parse(&format!("oci:no/such:{full}")), Ok(layout("no/such", Some(full))));
    }

    #[test]
    fn a_path_with_a_colon_is_found_if_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a:b");
        std::fs::create_dir(&path).unwrap();
        let path = path.to_str().unwrap();
        assert_eq!(parse(&format!("oci:{path}")), Ok(layout(path, None)));
        assert_eq!(parse(&format!("oci:{path}:v1")), Ok(layout(path, Some("v1"))));
    }

    #[test]
    fn directories_are_a_stack_with_the_topmost_first() {
        let dirs = |dirs: &[&str]| Ok(ImageName::Dirs(dirs.iter().map(PathBuf::from).collect()));
        assert_eq!(parse("dir:/a"), dirs(&["/a"]));
        assert_eq!(parse("dir:/a,dir:b,c"), dirs(&["/a", "b,c"]));
        assert_eq!(parse("dir:/a,dir:b").map(|name| name.to_string()), Ok("dir:/a,dir:b".into()));
    }

    #[test]
    fn what_is_no_image_is_refused_with_the_forms_that_there_are() {
        for name in ["", "x", "oci", "docker:x", "http://x", "oci:", "dir:", "dir:a,dir:", "oci:a:"]
        {
            assert!(parse(name).is_err(), "{name}");
        }
        assert!(parse(".").unwrap_err().ends_with("did you mean dir:. or oci:.?"));
        assert!(parse("oci:no:a tag").unwrap_err().starts_with("`a tag` is no tag"));
    }
}
