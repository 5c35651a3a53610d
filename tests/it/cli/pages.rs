//! What tells how it is used: documentation, help, manual pages, completions.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Place;

#[test]
fn completions_and_manual_pages_are_there() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(place.ok(&format!("completions {shell}")).contains("inspect"), "{shell}");
    }
    assert!(place.ok("man").contains(".TH stratafs 1"));
    fs::create_dir(place.path("man")).unwrap();
    assert_eq!(place.ok("man man"), "");
    let page = fs::read_to_string(place.path("man/stratafs-ls.1")).unwrap();
    assert!(page.contains("recursive"));
    assert!(place.fails("man nothing").contains("nothing: "));
}

#[test]
fn help_and_version_go_to_standard_output() {
    let place = Place::new();
    let commands = [
        "ls",
        "cat",
        "tree",
        "inspect",
        "diff",
        "verify",
        "copy",
        "squash",
        "commit",
        "tag",
        "untag",
        "list",
        "gc",
        "usage",
        "completions",
        "man",
    ];
    let help = place.ok("--help");
    for command in commands {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{command}");
        assert!(!place.ok(&format!("help {command}")).is_empty());
    }
    assert_eq!(place.ok("--version"), format!("stratafs {}\n", env!("CARGO_PKG_VERSION")));
}

/// Every `console` block of `docs/cli.md`, one after the other in one directory: what it shows is what there is.
#[test]
fn what_the_documentation_shows_is_what_the_program_prints() {
    if !rustix::process::geteuid().is_root() || cfg!(not(target_arch = "x86_64")) {
        println!("skipped: the listings are those of root, the platform is linux/amd64");
        return;
    }
    let place = Place::new();
    let text = include_str!("../../../docs/cli.md");
    let blocks = text.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut printed = String::new();
    for line in blocks.clone().flat_map(str::lines) {
        let Some(command) = line.strip_prefix("$ ") else { continue };
        printed.extend([line, "\n", &shell(&place.path(""), command)]);
    }
    let shown: String = blocks.collect();
    let differs = shown.lines().zip(printed.lines()).find(|(shown, printed)| shown != printed);
    assert_eq!(differs, None, "shown, printed");
    assert_eq!(shown.lines().count(), printed.lines().count());
    assert!(shown.lines().count() > 50);
}

/// What a line of shell prints on both outputs.
fn shell(dir: &Path, command: &str) -> String {
    let here = Path::new(env!("CARGO_BIN_EXE_stratafs")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let path =
        std::env::join_paths([here.to_owned()].into_iter().chain(std::env::split_paths(&path)));
    let mut shell = Command::new("sh");
    shell
        .current_dir(dir)
        .env("PATH", path.unwrap())
        .args(["-c", &format!("umask 022; {command}")]);
    for variable in ["NO_COLOR", "CLICOLOR_FORCE", "SOURCE_DATE_EPOCH"] {
        shell.env_remove(variable);
    }
    let output = shell.output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}
