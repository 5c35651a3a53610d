//! Layouts, archives and directories: `copy`, `squash`, names, `verify`, `gc`, `usage`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Place, STACK, stack, stored};

#[test]
fn an_image_of_a_layout_is_read_as_directories_are() {
    let (place, digest) = stored();
    assert_eq!(place.ok("ls oci:store:app:1"), "bin\netc\nshell\nsrv\n");
    let by_digest = format!("ls -R --json oci:store:{digest}");
    assert_eq!(place.ok(&by_digest), place.ok(&format!("ls -R --json {STACK}")));
    assert_eq!(place.ok("cat oci:store etc/motd"), "bye\n", "the only image needs no name");
    assert_eq!(place.ends(0, &format!("diff oci:store {STACK}")).out, "");
    assert!(place.ok("tree oci:store etc").contains("├── hosts  [0]\n└── motd  [1]\n"));
}

#[test]
fn names_of_a_layout_are_listed_given_and_taken_away() {
    let (place, digest) = stored();
    assert_eq!(place.ok("list oci:store"), format!("app:1                {digest}\n"));
    assert_eq!(place.ok("tag oci:store:app:1 app:stable"), "");
    let lines = place.ok("list --json oci:store");
    let tags: Vec<_> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["tag"].clone())
        .collect();
    assert_eq!(tags, ["app:1", "app:stable"]);
    assert_eq!(place.ok("untag oci:store:app:1"), "");
    assert_eq!(place.ok("list oci:store"), format!("app:stable           {digest}\n"));
    let error = place.fails("untag oci:store:app:1");
    assert!(error.contains("app:1"), "{error}");
    assert!(place.fails("tag oci:store:nothing new").contains("nothing"));
}

#[test]
fn copies_between_layouts_and_archives_keep_the_digest() {
    let (place, digest) = stored();
    let digest = digest + "\n";
    assert_eq!(place.ok("copy oci:store:app:1 oci:other:x"), digest);
    assert_eq!(place.ok("copy oci:other:x oci-archive:x.tar:y"), digest);
    assert_eq!(place.ok("copy oci-archive:x.tar:y oci:third"), digest);
    assert!(place.ok("list oci:third").starts_with("latest "), "the tag that there is without one");
    assert_eq!(place.ok("copy oci-archive:x.tar oci-archive:z.tar"), digest);
    assert_eq!(place.ok("cat oci-archive:z.tar etc/motd"), "bye\n");
    assert_eq!(place.ok("copy oci:store:app:1 docker-archive:d.tar:app:1"), "");
    assert_eq!(place.ok("cat docker-archive:d.tar:app:1 srv/world"), "new");
    let image = |name: &str| {
        let json = place.ok(&format!("inspect --json {name}"));
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        (value["layers"][0]["diff_id"].clone(), value["layers"][1]["diff_id"].clone())
    };
    assert_eq!(image("docker-archive:d.tar"), image("oci:store:app:1"));
}

#[test]
fn layers_are_compressed_on_request() {
    let place = stack();
    for how in ["gzip", "zstd"] {
        let line = format!("copy --compression {how} dir:low oci:{how}");
        place.ok(&line);
        let json = place.ok(&format!("inspect --json oci:{how}"));
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let layer = &value["layers"][0];
        assert!(layer["media_type"].as_str().unwrap().ends_with(&format!("+{how}")), "{layer}");
        assert!(layer["size"].as_u64() < layer["archive_size"].as_u64(), "{layer}");
        assert_eq!(place.ok(&format!("cat oci:{how} etc/motd")), "hi\n");
    }
}

#[test]
fn squash_makes_one_layer_that_shows_the_same() {
    let (place, _) = stored();
    let digest = place.ok("squash oci:store:app:1 oci:store:app:flat");
    assert_eq!(place.ok("squash oci:store:app:1 oci:store:app:flat"), digest);
    assert_eq!(place.ok("diff oci:store:app:1 oci:store:app:flat"), "");
    let text = place.ok("inspect oci:store:app:flat");
    assert!(text.contains("layer 0 ") && !text.contains("layer 1 "), "{text}");
    assert!(text.contains("wasted       0 B"), "{text}");
}

#[test]
fn verify_lists_every_fault_and_ends_with_1() {
    let (place, digest) = stored();
    let run = place.ends(0, "verify oci:store");
    assert_eq!((&*run.out, &*run.err), ("", ""));
    let blob = place.path("store/blobs/sha256").join(digest.trim_start_matches("sha256:"));
    let mut bytes = fs::read(&blob).unwrap();
    bytes[0] ^= 1;
    fs::set_permissions(&blob, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&blob, bytes).unwrap();
    let run = place.ends(1, "verify oci:store");
    assert!(run.out.contains(digest.trim_start_matches("sha256:")), "{}", run.out);
    let json = place.ends(1, "verify --json oci:store").out;
    let fault: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert!(fault["kind"].is_string() && fault["message"].is_string(), "{fault}");
    assert_eq!(json.lines().count(), run.out.lines().count());
}

#[test]
fn gc_removes_what_no_image_needs() {
    let (place, _) = stored();
    place.file("low/large", vec![7; 100_000]).ok("copy dir:low oci:store:b");
    assert_eq!(place.ok("gc --dry-run oci:store"), "would remove 0 files, 0 B\n");
    place.ok("untag oci:store:b");
    let foreseen = place.ok("gc --dry-run oci:store");
    assert!(foreseen.trim_end().ends_with(" KiB"), "{foreseen}");
    assert_eq!(place.ok("gc oci:store"), foreseen.replace("would remove", "removed"));
    assert_eq!(place.ok("gc oci:store"), "removed 0 files, 0 B\n");
    assert_eq!(place.ok("verify oci:store"), "");
}

#[test]
fn usage_tells_what_sharing_saves() {
    let (place, _) = stored();
    place.file("new/x", "x").settle();
    place.ok("commit --add new=/n oci:store:app:1 oci:store:app:2");
    let text = place.ok("usage oci:store");
    assert!(text.contains("images                       2\n"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&place.ok("usage --json oci:store")).unwrap();
    assert!(json["unshared_bytes"].as_u64() > json["bytes"].as_u64(), "{json}");
}

#[test]
fn an_image_is_written_to_a_directory_and_read_back() {
    let (place, _) = stored();
    assert_eq!(place.ok("copy oci:store:app:1 dir:out"), "");
    assert_eq!(fs::read(place.path("out/etc/motd")).unwrap(), b"bye\n");
    assert_eq!(place.ok("diff oci:store:app:1 dir:out"), "");
    assert!(place.fails("copy oci:store:app:1 dir:out").contains("hint: --replace"));
    place.file("out/more", "");
    assert_eq!(place.ok("copy --replace oci:store:app:1 dir:out"), "");
    assert!(place.path("out/more").exists(), "what only the directory has stays");
    let error = place.fails("copy oci:store:app:1 dir:a,dir:b");
    assert!(error.contains("an image is written to one directory"), "{error}");
    assert_eq!(place.ok("squash dir:top,dir:low dir:flat"), "");
    assert_eq!(place.ok("diff oci:store dir:flat"), "");
}

#[test]
fn what_could_be_used_against_the_host_is_refused_unless_asked_for() {
    let place = Place::new();
    place.file("d/su", "#!").settle();
    fs::set_permissions(place.path("d/su"), fs::Permissions::from_mode(0o4755)).unwrap();
    let error = place.fails("copy dir:d dir:out");
    assert!(
        error.contains("su") && error.contains("hint: --devices=skip, --set-ids=strip"),
        "{error}"
    );
    assert!(!place.path("out").exists());
    let run = place.ends(0, "copy --set-ids strip dir:d dir:out");
    assert!(
        run.err.starts_with("stratafs: note: export \"out/su\"") && run.err.lines().count() == 1,
        "{run:?}"
    );
    let mode = |path: &str| fs::metadata(place.path(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("out/su"), 0o755);
    assert_eq!(place.ends(0, "--quiet copy --set-ids strip dir:d dir:quiet").err, "");
    place.ok("copy --set-ids keep dir:d dir:kept");
    assert_eq!(mode("kept/su"), 0o4755);
}

/// Writes an index for two machines into a layout, as `multi`.
fn put_index(place: &Place, images: [(&str, &str); 2]) {
    let lines = place.ok("list --json oci:store");
    let manifests = images.map(|(tag, architecture)| {
        let is_it = |line: &serde_json::Value| line["tag"] == tag;
        let mut all = lines.lines().map(|line| serde_json::from_str(line).unwrap());
        let descriptor = all.find(is_it).unwrap()["descriptor"].clone();
        serde_json::json!({
            "mediaType": descriptor["media_type"],
            "digest": descriptor["digest"],
            "size": descriptor["size"],
            "platform": { "os": "linux", "architecture": architecture },
        })
    });
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type, "manifests": manifests,
    });
    let index = serde_json::to_vec(&index).unwrap();
    let digest = stratafs::Digest::of(&index).to_string();
    let blob = place.path("store/blobs/sha256").join(digest.trim_start_matches("sha256:"));
    fs::write(blob, &index).unwrap();
    let top = serde_json::json!({ "schemaVersion": 2, "manifests": [{
        "mediaType": media_type, "digest": digest, "size": index.len(),
        "annotations": { "org.opencontainers.image.ref.name": "multi" },
    }] });
    fs::write(place.path("store/index.json"), serde_json::to_vec(&top).unwrap()).unwrap();
}

#[test]
fn an_image_for_several_machines_is_chosen_by_platform_and_copied_whole() {
    let place = stack();
    place.ok("copy dir:low oci:store:low");
    place.ok("copy dir:top oci:store:top");
    put_index(&place, [("low", "riscv64"), ("top", "s390x")]);
    assert_eq!(place.ok("ls --platform linux/riscv64 oci:store"), "bin\netc\nshell\n");
    assert_eq!(place.ok("ls --platform linux/s390x oci:store"), "etc\nsrv\n");
    assert!(place.fails("ls --platform linux/mips oci:store:multi").contains("linux/mips"));
    let digest = place.ok("copy oci:store:multi oci:other:x");
    assert_eq!(place.ok("list oci:other"), format!("{:<20} {digest}", "x"));
    assert_eq!(place.ok("cat --platform linux/s390x oci:other srv/world"), "new");
    let one = place.ok("copy --platform linux/s390x oci:store:multi oci:one");
    assert_ne!(one, digest);
    assert_eq!(place.ok("ls oci:one"), "etc\nsrv\n", "no index any more, so for any machine");
}
