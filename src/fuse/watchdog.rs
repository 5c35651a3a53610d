//! Whoever takes a mount away if this process dies.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Waits for a line. If there is none because nobody is left who could write one, the mount is dead, and is taken away. What
/// can be listed is another one, or the directory below.
const SCRIPT: &str = r#"trap '' HUP INT QUIT TERM
read -r done || ls -- "$1" || umount -l -- "$1" || fusermount3 -u -z -q -- "$1""#;

/// A shell that does nothing but wait for the end of this process or of the mount.
pub(super) struct Watchdog(Child);

impl Watchdog {
    pub(super) fn start(point: &Path) -> io::Result<Self> {
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "stratafs-umount"])
            .arg(point)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(shell))
    }
}

impl Drop for Watchdog {
    /// The mount is gone in good order.
    fn drop(&mut self) {
        if let Some(mut input) = self.0.stdin.take() {
            // If it is gone already, somebody killed it.
            drop(input.write_all(b"done\n"));
        }
        drop(self.0.wait());
    }
}
