//! One more layer: `commit`.

use super::{program, stored};

#[test]
fn commit_adds_one_layer_with_what_really_changed() {
    let (place, _) = stored();
    place.file("new/motd", "changed\n").file("new/hosts", "local\n").file("new/extra/x", "x");
    place.settle();
    let line = "commit --add new=/etc --remove /srv --remove shell oci:store:app:1 oci:store:app:2";
    let digest = place.ok(line);
    assert_eq!(place.ok(line), digest, "the same commit twice gives the same digest");
    let changes = place.ends(1, "diff oci:store:app:1 oci:store:app:2").out;
    let expected = "C /\nC /etc\nA /etc/extra\nA /etc/extra/x\nC /etc/motd\nD /shell\nD /srv\n";
    assert_eq!(changes.replace("C /\n", ""), expected.replace("C /\n", ""));
    let text = place.ok("inspect oci:store:app:2");
    assert!(text.contains("layer 2 ") && !text.contains("layer 3 "), "{text}");
    assert!(text.contains("created by stratafs commit --remove /srv --remove shell --add /etc\n"));
    assert!(text.contains("  created    2023-11-14T22:13:20Z\n"), "the newest of what was added");
    assert!(!text.contains("new=") && !text.contains("/tmp"), "nothing of this machine: {text}");
    let again = "commit --add new=/etc oci:store:app:2 oci:store:app:3";
    assert_eq!(place.ok(again), digest, "what is there already is no layer");
}

#[test]
fn commit_writes_down_when_it_was_made() {
    let (place, _) = stored();
    place.file("new/x", "x").settle();
    let created = |name: &str| {
        let json = place.ok(&format!("inspect --json oci:store:{name}"));
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        value["created"].as_str().unwrap().to_owned()
    };
    place.ok("commit --created 2020-02-29T12:00:00+01:00 --add new=/n oci:store:app:1 oci:store:a");
    assert_eq!(created("a"), "2020-02-29T11:00:00Z");
    let mut program = program();
    let args = ["commit", "--add", "new=/n", "oci:store:app:1", "oci:store:b"];
    program.current_dir(place.path("")).args(args).env("SOURCE_DATE_EPOCH", "86400");
    assert!(program.output().unwrap().status.success());
    assert_eq!(created("b"), "1970-01-02T00:00:00Z");
    let output = program.env("SOURCE_DATE_EPOCH", "soon").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stderr.starts_with(b"stratafs: SOURCE_DATE_EPOCH: `soon` is no time"));
}

#[test]
fn commit_changes_how_the_image_is_run() {
    let (place, _) = stored();
    let line = "commit --env A=1 --env B=2 --entrypoint /bin/sh --entrypoint -c --cmd run \
                --label team=blue --user 7:8 --workdir /srv oci:store:app:1 oci:store:run";
    place.ok(line);
    place.ok("commit --env A=3 --label team=red oci:store:run oci:store:run");
    let json = place.ok("inspect --json oci:store:run");
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let config = &value["config"];
    assert_eq!(config["env"], serde_json::json!(["A=3", "B=2"]));
    assert_eq!(config["entrypoint"], serde_json::json!(["/bin/sh", "-c"]));
    assert_eq!(config["cmd"], serde_json::json!(["run"]));
    assert_eq!(config["labels"], serde_json::json!({ "team": "red" }));
    assert_eq!((&config["user"], &config["working_dir"]), (&"7:8".into(), &"/srv".into()));
    assert_eq!(value["layers"].as_array().unwrap().len(), 2, "no file changed, so no layer");
    let same = place.ok("commit --env A=3 oci:store:run oci:store:run");
    assert_eq!(
        place.ok("list oci:store").lines().last(),
        Some(&*format!("run                  {}", same.trim_end()))
    );
}

#[test]
fn commit_gives_what_is_added_to_an_owner_on_request() {
    let (place, _) = stored();
    place.file("new/x", "x").settle();
    place.ok("commit --owner 1000:100 --add new=/deep/down oci:store:app:1 oci:store:o");
    let line = place.ok("ls -l oci:store:o deep/down/x");
    assert!(line.contains("  1000   100 "), "{line}");
    let error = place.fails("commit --remove /nothing oci:store:app:1 oci:store:o");
    assert!(error.contains("only what the image shows can be removed"), "{error}");
}
