//! An object as `ls -l` writes it.

use std::os::unix::ffi::OsStrExt;

use anstyle::{AnsiColor, Style};
use stratafs::{FileType, Metadata};

use super::called;
use crate::escape::Shown;
use crate::failure::Result;
use crate::object::Object;
use crate::output::Output;
use crate::time::listed;

pub(super) fn write(object: &Object, whole_path: bool, out: &mut Output) -> Result<()> {
    let metadata = object.metadata()?;
    let name = called(object, whole_path);
    let name = out.painted(colour(metadata.file_type(), metadata.mode()), Shown(&name));
    let target = object.read_link();
    let target = target.map(|target| format!(" -> {}", Shown(target.as_os_str().as_bytes())));
    let line = format!(
        "{} {:>3} {:>5} {:>5} {:>10} {} {name}{}",
        mode(&metadata),
        metadata.nlink(),
        metadata.uid(),
        metadata.gid(),
        size(&metadata),
        listed(metadata.modified()),
        target.unwrap_or_default(),
    );
    out.line(line)
}

/// The size, or the number of a device.
fn size(metadata: &Metadata) -> String {
    match metadata.device() {
        Some(device) => format!("{}, {}", device.major, device.minor),
        None => metadata.len().to_string(),
    }
}

/// Ten letters: the type, and who may read, write and execute (ls(1), "mode").
fn mode(metadata: &Metadata) -> String {
    let file_type = match metadata.file_type() {
        FileType::File => '-',
        FileType::Dir => 'd',
        FileType::Symlink => 'l',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
        FileType::CharDevice => 'c',
        FileType::BlockDevice => 'b',
    };
    let bits = metadata.mode();
    let mut text = String::from(file_type);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let may = |bit: u32, letter| if bits >> shift & bit == 0 { '-' } else { letter };
        text.push(may(4, 'r'));
        text.push(may(2, 'w'));
        text.push(match (bits & special != 0, may(1, 'x')) {
            (false, execute) => execute,
            (true, '-') => letter.to_ascii_uppercase(),
            (true, _) => letter,
        });
    }
    text
}

/// As ls(1) has them, by type.
pub(super) fn colour(file_type: FileType, mode: u32) -> Style {
    match file_type {
        FileType::File if mode & 0o111 != 0 => AnsiColor::Green.on_default().bold(),
        FileType::File => Style::new(),
        FileType::Dir => AnsiColor::Blue.on_default().bold(),
        FileType::Symlink => AnsiColor::Cyan.on_default().bold(),
        FileType::Fifo => AnsiColor::Yellow.on_default(),
        FileType::Socket => AnsiColor::Magenta.on_default().bold(),
        FileType::CharDevice | FileType::BlockDevice => AnsiColor::Yellow.on_default().bold(),
    }
}
