//! Which layer provides each entry of an image, and what each layer contributes (docs/semantics.md, "Providers").

use stratafs::{Image, Layer, LayerBuilder, Providers};

fn layer() -> LayerBuilder {
    Layer::builder()
}

fn providers<const N: usize>(layers: [LayerBuilder; N]) -> Providers {
    let layers = layers.into_iter().map(|layer| layer.build().unwrap());
    Image::from_layers(layers).unwrap().providers().unwrap()
}

#[test]
fn a_file_is_provided_by_the_layer_that_made_its_name() {
    let providers = providers([
        layer().file("/a", "0").file("/b", "0").file("/c", "0"),
        layer().file("/b", "1").whiteout("/c"),
        layer().file("/c", "2"),
    ]);
    assert_eq!(["/a", "/b", "/c"].map(|path| providers.of(path)), [Some(0), Some(1), Some(2)]);
    assert_eq!(providers.of("/d"), None);
    assert_eq!(providers.of("c/../b"), Some(1), "all spellings of a path are one");
}

#[test]
fn a_directory_is_provided_by_the_topmost_layer_that_has_an_entry_for_it() {
    let providers = providers([
        layer().dir("/merged").file("/implied/a", "0").file("/merged/a", "0").dir("/opaque"),
        layer().dir("/merged").file("/implied/b", "1").opaque_dir("/opaque"),
        layer().file("/merged/c", "2").file("/new/c", "2").opaque_whiteout("/opaque"),
    ]);
    let found = ["/merged", "/merged/a", "/implied", "/new", "/opaque"];
    let expected = [Some(1), Some(0), Some(0), Some(2), Some(1)];
    assert_eq!(found.map(|path| providers.of(path)), expected);
}

#[test]
fn the_root_is_provided_by_its_topmost_entry_or_else_by_the_lowest_layer() {
    let found = |top: LayerBuilder| providers([layer().file("/a", ""), top]).of("/");
    assert_eq!(found(layer().dir("/")), Some(1));
    assert_eq!(found(layer().file("/b", "")), Some(0));
    assert_eq!(Image::scratch().providers().unwrap().of("/"), None);
}

#[test]
fn a_directory_that_was_replaced_on_the_way_is_that_of_who_made_it_last() {
    let providers = providers([
        layer().dir("/d").file("/d/old", "0"),
        layer().file("/d", "1"),
        layer().file("/d/new", "2"),
    ]);
    assert_eq!(["/d", "/d/new"].map(|path| providers.of(path)), [Some(2), Some(2)]);
    assert_eq!(providers.of("/d/old"), None);
}

#[test]
fn a_hard_link_is_provided_by_the_layer_that_made_the_link() {
    let providers = providers([
        layer().file("/first", "bytes"),
        layer().hard_link("/first", "/second"),
        layer().file("/third", "2").whiteout("/first"),
    ]);
    assert_eq!(["/first", "/second"].map(|path| providers.of(path)), [None, Some(1)]);
    assert_eq!(providers.wasted_bytes(), 0, "the bytes show at the second name");
}

#[test]
fn a_name_that_was_linked_and_replaced_is_that_of_who_replaced_it() {
    let providers = providers([
        layer().file("/first", "bytes"),
        layer().hard_link("/first", "/second"),
        layer().file("/second", "2"),
    ]);
    assert_eq!(["/first", "/second"].map(|path| providers.of(path)), [Some(0), Some(2)]);
}

#[test]
fn an_entry_below_a_lower_symbolic_link_is_found_where_it_went() {
    let providers =
        providers([layer().dir("/usr/lib").symlink("usr/lib", "/lib"), layer().file("/lib/x", "")]);
    assert_eq!(["/lib", "/usr/lib/x"].map(|path| providers.of(path)), [Some(0), Some(1)]);
    assert_eq!(providers.of("/lib/x"), None, "links are not followed");
}

#[test]
fn names_are_counted_as_added_changed_and_removed() {
    let providers = providers([
        layer().dir("/d").file("/d/a", "").file("/d/b", "").file("/e", ""),
        layer().opaque_dir("/d").file("/d/a", "again").file("/new/c", ""),
        layer().whiteout("/d").whiteout("/nothing").file("/e", ""),
    ]);
    let counts = |layer: usize| {
        let share = providers.layers()[layer];
        (share.added, share.changed, share.removed)
    };
    assert_eq!(counts(0), (4, 0, 0));
    assert_eq!(counts(1), (2, 2, 1), "new and new/c; d and d/a; d/b");
    assert_eq!(counts(2), (0, 1, 2), "e; d and what is in it");
}

#[test]
fn a_link_that_is_given_again_is_a_change_and_nothing_more() {
    let links = || layer().file("/a", "1").hard_link("/a", "/b");
    let providers = providers([links(), layer().hard_link("/a", "/b")]);
    let share = providers.layers()[1];
    assert_eq!((share.added, share.changed, share.removed), (0, 1, 0));
}

#[test]
fn bytes_are_hidden_when_their_last_name_goes() {
    let providers = providers([
        layer().file("/d/a", "four").file("/d/b", "sixsix").hard_link("/d/b", "/b").file("/c", "0"),
        layer().whiteout("/d").file("/c", "one"),
        layer().whiteout("/b").whiteout("/c"),
    ]);
    let hides: Vec<_> = providers.layers().iter().map(|layer| layer.hides).collect();
    let hidden: Vec<_> = providers.layers().iter().map(|layer| layer.hidden).collect();
    assert_eq!(hides, [0, 4 + 1, 6 + 3]);
    assert_eq!(hidden, [4 + 6 + 1, 3, 0]);
    assert_eq!(providers.wasted_bytes(), 14);
    assert_eq!(providers.layers()[0].bytes, 11);
}

#[test]
fn every_name_of_an_image_has_a_provider() {
    let stack = (0..40_u32).map(|n| {
        let layer = layer().file(format!("/d{}/f{n}", n % 7), "x").whiteout(format!("/d{}", n % 5));
        layer.opaque_dir(format!("/o/{}", n % 3)).symlink("d1", format!("/l{}", n % 4)).build()
    });
    let image = Image::from_layers(stack.map(Result::unwrap)).unwrap();
    let providers = image.providers().unwrap();
    let names: Vec<_> =
        image.view().walk("/").unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(names.iter().all(|path| providers.of(path).is_some_and(|layer| layer < 40)));
    let shares = providers.layers().iter();
    let balance: i64 = shares
        .map(|share| i64::try_from(share.added).unwrap() - i64::try_from(share.removed).unwrap())
        .sum();
    assert_eq!(
        balance,
        i64::try_from(names.len()).unwrap(),
        "what was added and not removed is there"
    );
}
