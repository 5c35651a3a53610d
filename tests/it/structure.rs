//! The shape of the source: the ladder of modules, the size of files, and that the texts name tests that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the crate, each of which may use those before it and none after it. `docs/design.md`, "The ladder".
const LADDER: &[&str] = &[
    "error",
    "path",
    "digest",
    "attr",
    "clock",
    "content",
    "tree",
    "credentials",
    "xattr",
    "walk",
    "layer",
    "tar",
    "view",
    "image",
    "container",
    "volume",
    "host",
    "oci",
    "fuse",
];

/// Uses that go up the ladder: who, whom, why.
const EXCEPTIONS: &[(&str, &str, &str)] =
    &[("error", "path", "the bytes that an error keeps are given out as a `PathBuf`")];

/// Code, without comments, blank lines and unit tests.
const LINES_MAX: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file below a directory of the repository, sorted.
fn rust_files(dir: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut below = vec![root().join(dir)];
    while let Some(dir) = below.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// The path from the root of the repository, with `/` on every platform.
fn shown(path: &Path) -> String {
    let relative = path.strip_prefix(root()).unwrap();
    let names: Vec<_> = relative.iter().map(|name| name.to_string_lossy()).collect();
    names.join("/")
}

/// The lines that are code, up to the file's unit tests.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let tests = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    text[..tests].lines().filter(is_code)
}

/// The files of the crate itself: not its front page, not its property tests, not the longer texts, not its program.
fn modules() -> Vec<(String, PathBuf)> {
    let module = |path: PathBuf| {
        let inside = shown(&path);
        let name = inside["src/".len()..].split('/').next().unwrap().trim_end_matches(".rs");
        (!["lib", "tests", "_docs", "bin"].contains(&name)).then(|| (name.to_owned(), path.clone()))
    };
    rust_files("src").into_iter().filter_map(module).collect()
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// Which module gives the crate a name at its root, from `pub use self::module::{Name, …};` of the front page.
fn names_at_the_root() -> BTreeMap<String, String> {
    let lib = read(&root().join("src/lib.rs"));
    let code: String = code(&lib).collect();
    let uses = code.split("pub use self::").skip(1).flat_map(|rest| {
        let (module, names) = rest.split(';').next().unwrap().split_once("::").unwrap();
        names
            .trim_matches(['{', '}'])
            .split(',')
            .map(|name| (name.trim().to_owned(), module.to_owned()))
            .collect::<Vec<_>>()
    });
    uses.collect()
}

/// What each module uses of the others, and where.
fn uses() -> BTreeMap<(String, String), BTreeSet<String>> {
    let at_root = names_at_the_root();
    let mut all: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (module, path) in modules() {
        for line in code(&read(&path)) {
            for rest in line.split("crate::").skip(1) {
                let name = word(rest);
                assert!(!name.is_empty(), "{}: `{line}`: one `use` for each module", shown(&path));
                let other = at_root.get(name).map_or(name, String::as_str);
                if other != module {
                    let key = (module.clone(), other.to_owned());
                    all.entry(key).or_default().insert(shown(&path));
                }
            }
        }
    }
    all
}

#[test]
fn modules_use_only_what_is_before_them_on_the_ladder() {
    let step = |module: &str| LADDER.iter().position(|step| *step == module);
    let mut faults = Vec::new();
    for ((module, used), files) in uses() {
        let excepted = EXCEPTIONS.iter().any(|(who, whom, _)| (*who, *whom) == (&*module, &*used));
        match (step(&module), step(&used)) {
            (Some(above), Some(below)) if below < above || excepted => {}
            (Some(_), Some(_)) => faults.push(format!("{module} uses {used}: {files:?}")),
            _ => faults.push(format!("{module} or {used} is not on the ladder: {files:?}")),
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_exception_of_the_ladder_is_needed() {
    let uses = uses();
    for (who, whom, why) in EXCEPTIONS {
        let key = ((*who).to_owned(), (*whom).to_owned());
        assert!(uses.contains_key(&key), "{who} does not use {whom} any more ({why})");
    }
}

#[test]
fn every_step_of_the_ladder_is_a_module() {
    let modules: BTreeSet<_> = modules().into_iter().map(|(name, _)| name).collect();
    for step in LADDER {
        assert!(modules.contains(*step), "there is no module {step}");
    }
}

#[test]
fn the_design_shows_the_ladder_that_is_kept() {
    let text = read(&root().join("docs/design.md"));
    assert!(text.contains(&LADDER.join(" → ")), "the ladder in docs/design.md is another one");
}

#[test]
fn every_dependency_has_its_reason() {
    let (manifest, text) = (read(&root().join("Cargo.toml")), read(&root().join("docs/design.md")));
    let mut in_dependencies = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]");
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| in_dependencies) {
            assert!(text.contains(&format!("`{name}`")), "{name}: not in docs/design.md");
        }
    }
}

#[test]
fn no_file_is_too_long_to_read() {
    for path in rust_files("src") {
        let lines = code(&read(&path)).count();
        assert!(lines <= LINES_MAX, "{}: {lines} lines of code", shown(&path));
    }
}

#[test]
fn the_core_needs_nothing_that_only_unix_has() {
    for (module, path) in modules() {
        // The two places where platforms differ.
        let differs = ["src/path.rs", "src/oci/file.rs"].contains(&&*shown(&path));
        if ["host", "fuse"].contains(&&*module) || differs {
            continue;
        }
        let text = read(&path);
        for line in code(&text) {
            for needed in ["std::os::", "rustix", "libc"] {
                assert!(!line.contains(needed), "{}: {line}", shown(&path));
            }
        }
    }
}

#[test]
fn the_program_uses_what_the_crate_offers_to_everybody() {
    let files = rust_files("src/bin");
    let inside = |path: &PathBuf| shown(path)["src/bin/stratafs/".len()..].to_owned();
    let own: BTreeSet<String> = files.iter().map(|path| word(&inside(path)).to_owned()).collect();
    for path in &files {
        for line in code(&read(path)) {
            assert!(!line.contains("#[path"), "{}: {line}", shown(path));
            for rest in line.split("crate::").skip(1) {
                assert!(own.contains(word(rest)), "{}: {line}: not its own", shown(path));
            }
        }
    }
    let uses = |path: &PathBuf| read(path).contains("stratafs::");
    assert!(files.iter().any(uses), "it does not use the crate");
}

#[test]
fn the_compiler_checks_all_code() {
    let word = concat!("un", "safe");
    let manifest = read(&root().join("Cargo.toml"));
    assert!(manifest.contains(&format!("{word}_code = \"forbid\"")), "the lint is off");
    for path in ["src", "tests", "benches", "examples"].into_iter().flat_map(rust_files) {
        let text = read(&path);
        for line in code(&text) {
            for begins in ["{", "(", " {", " fn ", " impl", " trait", " extern"] {
                assert!(!line.contains(&format!("{word}{begins}")), "{}: {line}", shown(&path));
            }
        }
    }
}

#[test]
fn every_file_of_the_integration_tests_is_part_of_them() {
    let main = read(&root().join("tests/it/main.rs"));
    for path in rust_files("tests/it") {
        let inside = shown(&path)["tests/it/".len()..].to_owned();
        let module = inside.split('/').next().unwrap().trim_end_matches(".rs");
        if module != "main" {
            assert!(main.contains(&format!("mod {module};")), "{inside} is not in main.rs");
        }
    }
}

/// Every `module::name` in backticks, where `module` has a file with tests.
fn named_tests(text: &str) -> Vec<(&str, &str)> {
    let in_backticks = text.split('`').skip(1).step_by(2);
    let is_name = |name: &str| !name.is_empty() && word(name) == name;
    in_backticks
        .filter_map(|quoted| quoted.split_once("::"))
        .filter(|(module, name)| is_name(module) && is_name(name))
        .filter(|(module, name)| {
            let lower = |name: &str| !name.contains(|c: char| c.is_uppercase());
            lower(module) && lower(name)
        })
        .collect()
}

/// The names of all test functions, each with the names of the directories and the file that it is in.
fn tests_that_are_there() -> BTreeMap<String, BTreeSet<String>> {
    let mut tests: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in ["src", "tests"].into_iter().flat_map(rust_files) {
        let places: BTreeSet<String> = shown(&path)
            .trim_end_matches(".rs")
            .split('/')
            .map(str::to_owned)
            .filter(|place| place != "src" && place != "it" && place != "mod")
            .collect();
        for line in read(&path).lines() {
            if let Some(rest) = line.trim_start().strip_prefix("fn ") {
                tests.entry(word(rest).to_owned()).or_default().extend(places.iter().cloned());
            }
        }
    }
    tests
}

#[test]
fn every_test_that_the_semantics_name_is_there() {
    let text = read(&root().join("docs/semantics.md"));
    let tests = tests_that_are_there();
    let named = named_tests(&text);
    assert!(named.len() > 50, "only {} tests are named: are the backticks paired?", named.len());
    let missing: Vec<_> = named
        .into_iter()
        .filter(|(module, name)| !tests.get(*name).is_some_and(|places| places.contains(*module)))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_rule_of_the_union_and_every_bug_of_others_is_in_the_semantics() {
    let text = read(&root().join("docs/semantics.md"));
    for (file, prefix) in [
        ("union", "u"),
        ("regressions", "regression_"),
        ("layers", "l"),
        ("tar/reading", "l"),
        ("tar/applying", "l"),
        ("tar/writing", "l"),
        ("tar/attacks", "attack_"),
    ] {
        for line in read(&root().join("tests/it").join(file).with_extension("rs")).lines() {
            let Some(name) = line.strip_prefix("fn ").map(word) else { continue };
            let numbered =
                name[prefix.len().min(name.len())..].starts_with(|c: char| c.is_ascii_digit());
            if name.starts_with(prefix) && (numbered || prefix.len() > 1) {
                let module = file.rsplit('/').next().unwrap();
                let named = format!("{module}::{name}");
                assert!(text.contains(&format!("`{named}`")), "{named} is not there");
            }
        }
    }
}
