//! What a layer means when it is laid over others (docs/semantics.md, "Layers"), a test for each rule.

use std::sync::Arc;

use stratafs::{
    Attrs, Device, Digest, ErrorKind, Image, Layer, LayerBuilder, ManualClock, Timestamp, View,
};

use crate::union::paths;

fn layer() -> LayerBuilder {
    Layer::builder()
}

fn stack<const N: usize>(layers: [LayerBuilder; N]) -> View {
    let layers: Vec<Layer> = layers.into_iter().map(|layer| layer.build().unwrap()).collect();
    let view = Image::from_layers(layers).unwrap().view();
    assert_eq!(view.check(), Vec::<String>::new());
    view
}

#[test]
fn l06_chain_id_is_the_digest_of_the_chain_below_and_the_diff_id() {
    let (one, two) = (Layer::from([("a", "1")]), Layer::from([("b", "2")]));
    let (first, second) = (one.diff_id().unwrap(), two.diff_id().unwrap());
    let image = Image::from_layers([one, two]).unwrap();
    assert_eq!(image.chain_id().unwrap(), Some(Digest::of(format!("{first} {second}").as_bytes())));
    assert_eq!(Image::scratch().chain_id().unwrap(), None);
}

#[test]
fn l10_one_layer_may_occur_several_times() {
    let same = Layer::from([("a", "1")]);
    let gone = layer().whiteout("/a").build().unwrap();
    let image = Image::from_layers([same.clone(), gone, same]).unwrap();
    assert_eq!(image.view().read("/a").unwrap(), "1");
}

#[test]
fn l31_all_spellings_of_a_path_are_one_and_the_root_cannot_be_left() {
    let view = stack([layer().file("./a", "1").file("d//b", "1").file("x/../c", "1")]);
    assert_eq!(paths(&view, "/"), ["/a", "/c", "/d", "/d/b"]);
    let error = layer().file("d/../../a", "1").build().unwrap_err();
    assert_eq!((error.kind(), error.path().to_str()), (ErrorKind::InvalidInput, Some("d/../../a")));
}

#[test]
fn l32_a_root_entry_applies_and_must_be_a_directory() {
    let view = stack([layer().dir("/").attrs(Attrs::new().mode(0o700))]);
    assert_eq!(view.metadata("/").unwrap().mode(), 0o700);
    assert_eq!(layer().file("/", "1").build().unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn l33_missing_parents_appear_and_implied_ones_keep_what_they_are() {
    let view = stack([
        layer().dir("/old").attrs(Attrs::new().mode(0o700).uid(5)),
        layer().file("/old/x/y", "1"),
    ]);
    let (old, new) = (view.metadata("/old").unwrap(), view.metadata("/old/x").unwrap());
    assert_eq!((old.mode(), old.uid()), (0o700, 5));
    assert_eq!((new.mode(), new.uid(), new.modified()), (0o755, 0, Timestamp::EPOCH));
}

#[test]
fn l34_a_lower_symbolic_link_as_parent_is_followed_inside_the_root() {
    let lower = layer().dir("/usr/bin").symlink("usr/bin", "/bin").symlink("/../../usr", "/abs");
    let view =
        stack([lower, layer().file("/bin/x", "1").file("/abs/y", "1").whiteout("/bin/none")]);
    assert!(view.symlink_metadata("/bin").unwrap().is_symlink());
    assert_eq!(paths(&view, "/usr"), ["/usr/bin", "/usr/bin/x", "/usr/y"]);
}

#[test]
fn l34_a_whiteout_through_a_lower_symbolic_link_acts_inside_the_root() {
    let lower = layer().file("/usr/bin/x", "1").symlink("usr/bin", "/bin");
    assert_eq!(paths(&stack([lower, layer().whiteout("/bin/x")]), "/usr"), ["/usr/bin"]);
}

#[test]
fn l35_an_entry_below_a_lower_file_makes_it_a_directory_and_is_an_error_in_one_layer() {
    assert_eq!(
        paths(&stack([layer().file("/f", "1"), layer().file("/f/x", "2")]), "/"),
        ["/f", "/f/x"]
    );
    let error = layer().file("/f", "1").file("/f/x", "2").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotADirectory);
    assert!(error.to_string().contains("/f/x"), "{error}");
}

#[test]
fn l36_directory_over_directory_merges_children_and_replaces_all_attributes() {
    let lower = layer().dir("/d").xattr("user.a", "1").file("/d/x", "1");
    let view = stack([
        lower,
        layer().dir("/d").attrs(Attrs::new().mode(0o711).modified(Timestamp::new(9, 9))),
    ]);
    assert_eq!(view.read("/d/x").unwrap(), "1");
    assert_eq!(view.metadata("/d").unwrap().modified(), Timestamp::new(9, 9));
    assert!(view.xattrs("/d").unwrap().is_empty());
}

#[test]
fn l37_any_other_pair_is_replaced_whole_and_never_written_through_a_link() {
    let lower = layer().file("/target", "kept").symlink("target", "/link").file("/d/x", "1");
    let view = stack([lower, layer().file("/link", "new").file("/d", "file")]);
    assert_eq!(view.read("/target").unwrap(), "kept");
    assert_eq!(view.read("/link").unwrap(), "new");
    assert!(view.metadata("/d").unwrap().is_file());
}

#[test]
fn l38_a_whiteout_of_nothing_creates_nothing() {
    assert_eq!(paths(&stack([layer().whiteout("/no/such/place")]), "/"), Vec::<String>::new());
}

#[test]
fn l39_a_whiteout_and_new_content_of_one_name_leave_only_the_new() {
    // The builder keeps one entry for a path; the pair is an opaque directory there.
    let view = stack([layer().file("/d/old", "1"), layer().opaque_dir("/d").file("/d/new", "2")]);
    assert_eq!(paths(&view, "/"), ["/d", "/d/new"]);
}

#[test]
fn l40_opaque_hides_all_that_is_below_and_nothing_beside_also_at_the_root() {
    let lower = || layer().file("/d/e/deep", "1").file("/d/x", "1").file("/beside", "1");
    assert_eq!(
        paths(&stack([lower(), layer().opaque_dir("/d").file("/d/e/n", "2")]), "/"),
        ["/beside", "/d", "/d/e", "/d/e/n"]
    );
    assert_eq!(paths(&stack([lower(), layer().opaque_dir("/").file("/n", "2")]), "/"), ["/n"]);
}

#[test]
fn l44_a_whiteout_below_what_this_layer_made_no_directory_acts_on_nothing() {
    let lower = layer().file("/target/x", "1").symlink("target", "/d").file("/e/x", "1");
    let view =
        stack([lower, layer().symlink("target", "/e").whiteout("/e/x").dir("/d").whiteout("/d/x")]);
    assert_eq!(view.read("/target/x").unwrap(), "1");
    assert_eq!(view.read("/e/x").unwrap(), "1");
}

#[test]
fn l45_of_one_path_twice_the_last_counts() {
    let view = stack([layer().file("/a", "1").dir("/a").file("/a", "3")]);
    assert_eq!(view.read("/a").unwrap(), "3");
}

#[test]
fn l46_hard_link_targets_resolve_inside_the_root_in_any_layer_below() {
    let lower = layer().file("/usr/f", "1").symlink("usr", "/u");
    let view = stack([lower, layer().hard_link("./u//f", "/g").hard_link("/g", "/h")]);
    assert_eq!(view.metadata("/usr/f").unwrap().nlink(), 3);
    assert_eq!(view.metadata("/h").unwrap().ino(), view.metadata("/usr/f").unwrap().ino());
}

#[test]
fn l46_a_hard_link_to_a_directory_to_itself_or_to_nothing_is_an_error_and_leaves_no_trace() {
    assert_eq!(layer().hard_link("/a", "/a").build().unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(
        layer().hard_link("/a", "/b").hard_link("/b", "/a").build().unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(
        layer().dir("/d").hard_link("/d", "/a").build().unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    let below = Image::from_layers([Layer::from([("d/x", "1")])]).unwrap();
    for (target, kind) in [("/missing", ErrorKind::NotFound), ("/d", ErrorKind::InvalidInput)] {
        let error = below.with_layer(layer().hard_link(target, "/l").build().unwrap()).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains("/l"), "{error}");
    }
    assert_eq!(paths(&below.view(), "/"), ["/d", "/d/x"]);
}

#[test]
fn l48_replacing_one_name_of_a_link_group_leaves_the_others() {
    let lower = layer().file("/a", "1").hard_link("/a", "/b").hard_link("/a", "/c");
    let view = stack([lower, layer().file("/a", "2").whiteout("/b")]);
    assert_eq!((view.read("/c").unwrap(), view.metadata("/c").unwrap().nlink()), ("1".into(), 1));
}

#[test]
fn l49_setuid_setgid_sticky_and_mode_0_survive() {
    let modes = [("/a", 0o4755), ("/b", 0o2711), ("/c", 0o1777), ("/d", 0)];
    let built = modes
        .iter()
        .fold(layer(), |layer, (path, mode)| layer.file(path, "").attrs(Attrs::new().mode(*mode)));
    let view = stack([built]);
    assert!(modes.iter().all(|(path, mode)| view.metadata(path).unwrap().mode() == *mode));
}

#[test]
fn l50_binary_attributes_round_trip() {
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let view = stack([layer().file("/ping", "").xattr("security.capability", capability.to_vec())]);
    let again = Image::scratch().view().diff(&view).unwrap();
    let view = Image::from_layers([again.into_layer()]).unwrap().view();
    assert_eq!(view.xattr("/ping", "security.capability").unwrap(), capability.as_slice());
}

#[test]
fn l51_a_layer_is_its_own_set_of_changes_before_it_is_laid_over_others() {
    let lower = layer().file("/d/z", "1").file("/d/a", "1");
    let one = layer().file("/d/a", "2").whiteout("/d/z").opaque_dir("/d");
    let other = layer().opaque_dir("/d").whiteout("/d/z").file("/d/a", "2");
    assert_eq!(one.build().unwrap().diff_id().unwrap(), other.build().unwrap().diff_id().unwrap());
    let upper = layer().file("/d/a", "2").whiteout("/d/z").opaque_dir("/d");
    assert_eq!(paths(&stack([lower, upper]), "/"), ["/d", "/d/a"]);
}

#[test]
fn l54_a_removed_subtree_is_one_whiteout() {
    let image =
        Image::from_layers([Layer::from([("d/a", "1"), ("d/e/b", "1"), ("d/e/c", "1")])]).unwrap();
    let container = image.container();
    container.remove_dir_all("/d").unwrap();
    assert_eq!(container.diff().unwrap().to_string(), "C /\nD /d\n");
}

#[test]
fn l55_unchanged_files_are_left_out_and_a_change_of_metadata_is_the_whole_file() {
    let image = Image::from_layers([Layer::from([("d/a", "1"), ("d/b", "22")])]).unwrap();
    let container = image.container();
    container.set_attrs("/d/b", Attrs::new().mode(0o600)).unwrap();
    let diff = container.diff().unwrap();
    assert_eq!(diff.to_string(), "C /\nC /d\nC /d/b\n");
    let alone = Image::from_layers([diff.into_layer()]).unwrap().view();
    assert_eq!(alone.read("/d/b").unwrap(), "22");
}

#[test]
fn l56_sockets_are_left_out_of_the_digest_and_kept_in_the_layer() {
    let with = layer().dir("/d").socket("/d/s").hard_link("/d/s", "/t").build().unwrap();
    let without = layer().dir("/d").build().unwrap();
    assert_eq!(with.diff_id().unwrap(), without.diff_id().unwrap());
    assert!(Image::from_layers([with]).unwrap().view().exists("/d/s").unwrap());
}

#[test]
fn l57_the_same_state_by_two_ways_gives_one_digest() {
    let image = Image::from_layers([Layer::from([("a", "1"), ("d/b", "1")])]).unwrap();
    let clock = || Arc::new(ManualClock::new(Timestamp::new(100, 5)));
    let start = || image.build_container().clock(clock()).build().unwrap();
    let (straight, winding) = (start(), start());
    straight.write("/a", "2").unwrap();
    straight.set_attrs("/", Attrs::new().modified(Timestamp::new(100, 5))).unwrap();
    straight.create_char_device("/d/null", 0o666, Device { major: 1, minor: 3 }).unwrap();
    winding.rename("/d", "/e").unwrap();
    winding.remove_file("/a").unwrap();
    winding.create_char_device("/e/null", 0o666, Device { major: 1, minor: 3 }).unwrap();
    winding.write("/a", "2").unwrap();
    winding.rename("/e", "/d").unwrap();
    let digest =
        |container: &stratafs::Container| container.diff().unwrap().layer().diff_id().unwrap();
    assert_eq!(digest(&straight), digest(&winding));
    assert_eq!(
        straight.commit().unwrap().chain_id().unwrap(),
        winding.commit().unwrap().chain_id().unwrap()
    );
}

#[test]
fn l57_the_digest_is_the_same_on_every_machine() {
    let layer = layer()
        .dir("/etc")
        .file("/etc/motd", "hi\n")
        .attrs(Attrs::new().mode(0o600).uid(3_000_000).modified(Timestamp::new(-2, 250_000_000)))
        .xattr("user.k", "v")
        .symlink("motd", "/etc/issue")
        .hard_link("/etc/motd", "/etc/motd2")
        .whiteout("/etc/gone")
        .file(format!("/etc/{}", "long".repeat(40)), "x")
        .build()
        .unwrap();
    let known = include_str!("known_diff_id.txt").trim();
    assert_eq!(
        layer.diff_id().unwrap().to_string(),
        known,
        "a digest that is published must never change"
    );
}

#[test]
fn l58_squash_shows_the_same_as_the_layers_one_by_one() {
    let bottom = Layer::from([("a", "0"), ("d/low", "0"), ("e/x", "0")]);
    let one = layer().whiteout("/d").file("/a", "1").hard_link("/a", "/b").build().unwrap();
    let two = layer().file("/d/new", "2").file("/a", "2").whiteout("/e/x").build().unwrap();
    let apart = Image::from_layers([bottom.clone(), one.clone(), two.clone()]).unwrap().view();
    let together = Image::from_layers([bottom, one.squash(&two).unwrap()]).unwrap().view();
    assert_eq!(apart.diff(&together).unwrap().to_string(), "");
    assert_eq!(paths(&together, "/"), ["/a", "/b", "/d", "/d/new", "/e"]);
    assert_eq!(together.read("/b").unwrap(), "1");
}

#[test]
fn l60_more_than_128_layers_work() {
    let layers =
        (0..200).map(|index| Layer::from([(format!("d/{index}"), "1"), ("top".into(), "x")]));
    let image = Image::from_layers(layers).unwrap();
    assert_eq!((image.layers().len(), paths(&image.view(), "/d").len()), (200, 200));
    assert_eq!(image.squash().unwrap().layers().len(), 1);
}

#[test]
fn attack_25_a_tree_of_100_000_levels_is_built_merged_and_dropped() {
    let deep = |levels: usize| "d/".repeat(levels);
    let image =
        Image::from_layers([layer().file(deep(100_000) + "f", "1").build().unwrap()]).unwrap();
    let view = image.with_layer(Layer::from([(deep(100_000) + "g", "2")])).unwrap().view();
    // No path of 200,000 bytes is taken; going down step by step is the caller's affair.
    assert_eq!(view.read(deep(100_000)).unwrap_err().kind(), ErrorKind::NameTooLong);
    assert_eq!(view.read_dir(deep(1000)).unwrap().len(), 1);
}
