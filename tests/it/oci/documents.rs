//! Documents that others wrote: what is accepted, and what is refused by which rule.

use std::fs;

use serde_json::{Value, json};
use stratafs::oci::{Layout, LoadOptions, Platform};
use stratafs::{Digest, Error, ErrorKind, Image, Layer};

use super::hand::{
    CONFIG, Hand, INDEX, LAYER, MANIFEST, config, digest, everything, for_platform, manifest, named,
};

fn one() -> Layer {
    Layer::from([("a", "1")])
}

/// Loads the only image, which must be refused, and changes nothing.
fn refused(hand: &Hand) -> Error {
    let before = everything(hand.dir.path());
    let error = hand.open().load("").expect_err("this must not be accepted");
    assert_eq!(everything(hand.dir.path()), before, "nothing is stored or half stored");
    error
}

/// An error that says all of these.
fn assert_says(error: &Error, kind: ErrorKind, words: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{word:?} is not in: {error}");
    }
}

/// A layout whose only image has this configuration and these layers.
fn with(config: impl Fn(&[String]) -> Value, layers: &[Layer]) -> Hand {
    let hand = Hand::new();
    let (layers, diff_ids): (Vec<_>, Vec<_>) = layers.iter().map(|layer| hand.layer(layer)).unzip();
    let config = hand.document(CONFIG, &config(&diff_ids));
    let manifest = hand.manifest(&config, &layers);
    hand.index(&[manifest]);
    hand
}

#[test]
fn l01_a_blob_counts_only_with_its_length_and_its_digest() {
    let hand = Hand::new();
    let image = hand.image(&[one()], "x");
    let document: Value =
        serde_json::from_slice(&fs::read(hand.blob_path(&digest(&image))).unwrap()).unwrap();
    let layer = digest(&document["layers"][0]);
    let whole = fs::read(hand.blob_path(&layer)).unwrap();
    fs::write(hand.blob_path(&layer), &whole[..whole.len() - 1]).unwrap();
    assert_says(&refused(&hand), ErrorKind::InvalidInput, &[&layer, "are promised"]);
    let mut other = whole.clone();
    other[512] ^= 1;
    fs::write(hand.blob_path(&layer), &other).unwrap();
    assert_says(&refused(&hand), ErrorKind::InvalidInput, &[&layer, "its bytes have the digest"]);
    fs::write(hand.blob_path(&layer), &whole).unwrap();
    let config = digest(&document["config"]);
    fs::write(hand.blob_path(&config), b"{}").unwrap();
    assert_says(&refused(&hand), ErrorKind::InvalidInput, &[&config]);
}

#[test]
fn l04_the_diff_id_is_over_all_bytes_with_padding_and_trailing_data() {
    let hand = Hand::new();
    let mut archive = Vec::new();
    stratafs::tar::write_layer(&one(), &mut archive).unwrap();
    let short = Digest::of(&archive).to_string();
    archive.extend([0; 10240]);
    archive.extend(b"trailing");
    let layer = hand.blob(LAYER, &archive);
    for (diff_id, accepted) in [(Digest::of(&archive).to_string(), true), (short, false)] {
        let manifest = hand.manifest(&hand.config(&[diff_id]), std::slice::from_ref(&layer));
        hand.index(&[manifest]);
        if accepted {
            assert_eq!(hand.open().load("").unwrap().view().read("/a").unwrap(), "1");
        } else {
            let words = [&digest(&layer), "uncompressed it has the digest"];
            assert_says(&hand.open().load("").unwrap_err(), ErrorKind::InvalidInput, &words);
        }
    }
}

#[test]
fn l05_manifest_and_configuration_have_as_many_layers() {
    let more = with(|ids| config(&[ids, ids].concat()), &[one()]);
    assert_says(&refused(&more), ErrorKind::InvalidInput, &["1 layers", "2"]);
    let fewer = with(|_| config(&[]), &[one()]);
    assert_says(&refused(&fewer), ErrorKind::InvalidInput, &["1 layers", "0"]);
}

#[test]
fn l07_the_configuration_is_kept_byte_for_byte() {
    let hand = Hand::new();
    let (layer, diff_id) = hand.layer(&one());
    let odd = format!(
        " {{\"os\":\"linux\", \"zz\":1.50,\n\"architecture\":\"amd64\",\"rootfs\":{{\"diff_ids\":[\"{diff_id}\"],\"type\":\"layers\"}}}} "
    );
    let config = hand.blob(CONFIG, odd.as_bytes());
    hand.index(&[hand.manifest(&config, &[layer])]);
    let image = hand.open().load("").unwrap();
    assert_eq!(image.raw_config().unwrap(), odd.as_bytes());
    let there = Layout::temporary().unwrap();
    there.store(&image, "same").unwrap();
    assert_eq!(there.load("same").unwrap().raw_config().unwrap(), odd.as_bytes());
}

#[test]
fn l08_a_rootfs_of_another_type_is_refused() {
    let odd = |ids: &[String]| {
        let mut config = config(ids);
        config["rootfs"]["type"] = json!("zip");
        config
    };
    assert_says(&refused(&with(odd, &[one()])), ErrorKind::InvalidInput, &["rootfs.type", "zip"]);
}

#[test]
fn l09_history_may_have_empty_layers_be_absent_or_wrong() {
    let histories = [
        json!([{ "created_by": "base" }, { "created_by": "ENV a=b", "empty_layer": true }]),
        json!([]),
        json!([{}, {}, {}]),
        json!(null),
        json!("what"),
    ];
    for history in histories {
        let with_history = |ids: &[String]| {
            let mut config = config(ids);
            config["history"] = history.clone();
            config
        };
        let hand = with(with_history, &[one()]);
        let image = hand.open().load("").unwrap();
        let container = image.container();
        container.write("/b", "2").unwrap();
        let store = Layout::temporary().unwrap();
        store.store(&container.commit().unwrap(), "next").unwrap();
        let steps = store.load("next").unwrap().history().unwrap();
        let layers = steps.iter().filter(|step| !step.empty_layer).count();
        assert_eq!(layers, 2, "what is written has a line for each layer: {history}");
    }
}

#[test]
fn l12_what_nobody_knows_is_no_error() {
    let hand = Hand::new();
    let manifest = hand.image(&[one()], "x");
    let artifact =
        json!({ "mediaType": "application/x-other", "digest": manifest["digest"], "size": 3 });
    let elsewhere = json!({ "mediaType": MANIFEST, "digest": format!("sha512:{}", "a".repeat(128)), "size": 3 });
    let mut known = named(&manifest, "x");
    known["x-field"] = json!({ "deep": [1, 2] });
    known["annotations"]["org.example"] = json!("kept");
    hand.index(&[artifact, elsewhere, known]);
    hand.file("README", b"not of any layout");
    assert_eq!(hand.open().load("x").unwrap().view().read("/a").unwrap(), "1");
    hand.open().tag("x", "y").unwrap();
    let index: Value =
        serde_json::from_slice(&fs::read(hand.dir.path().join("index.json")).unwrap()).unwrap();
    assert_eq!(
        index["manifests"][3]["x-field"],
        json!({ "deep": [1, 2] }),
        "what is not known stays"
    );
    assert_eq!(index["manifests"][3]["annotations"]["org.example"], "kept");
    assert_eq!(index["manifests"].as_array().unwrap().len(), 4, "nothing is lost");
}

#[test]
fn l13_an_unknown_layer_type_can_be_copied_but_not_unpacked() {
    let hand = Hand::new();
    let (mut layer, diff_id) = hand.layer(&one());
    layer["mediaType"] = json!("application/vnd.example.layer.v1.squashfs");
    let manifest = hand.manifest(&hand.config(&[diff_id]), std::slice::from_ref(&layer));
    hand.index(&[named(&manifest, "x")]);
    let there = Layout::temporary().unwrap();
    let copied = there.copy_from(&hand.open(), "x", "x").unwrap();
    assert_eq!(copied.manifest.digest.to_string(), digest(&manifest));
    assert!(there.verify().unwrap().is_empty());
    let error = there.load("x").unwrap_err();
    assert_says(&error, ErrorKind::Unsupported, &[&digest(&layer), "squashfs"]);
}

#[test]
fn l14_embedded_data_is_what_its_descriptor_promises() {
    let hand = Hand::new();
    let (layer, diff_id) = hand.layer(&one());
    let mut config = hand.document(CONFIG, &config(&[diff_id]));
    for (data, accepted) in [("e30=", false), ("no base64!", false), ("", true)] {
        config["data"] = json!(data);
        if data.is_empty() {
            config.as_object_mut().unwrap().remove("data");
        }
        hand.index(&[hand.manifest(&config, std::slice::from_ref(&layer))]);
        let loaded = hand.open().load("");
        assert_eq!(loaded.is_ok(), accepted, "{data}: {loaded:?}");
        if let Err(error) = loaded {
            assert_says(&error, ErrorKind::InvalidInput, &["embedded data"]);
        }
    }
}

#[test]
fn l16_a_layer_whose_bytes_are_compressed_otherwise_than_its_type_says_is_refused() {
    let hand = Hand::new();
    let (layer, diff_id) = hand.layer(&one());
    for (media_type, word) in [
        ("application/vnd.oci.image.layer.v1.tar+gzip", "gzip"),
        ("application/vnd.oci.image.layer.v1.tar+zstd", "zstd"),
    ] {
        let mut lying = layer.clone();
        lying["mediaType"] = json!(media_type);
        let manifest = hand.manifest(&hand.config(std::slice::from_ref(&diff_id)), &[lying]);
        hand.index(&[manifest]);
        assert_says(&refused(&hand), ErrorKind::InvalidInput, &[&digest(&layer), word]);
    }
}

#[test]
fn l17_foreign_layers_are_loaded_if_they_are_there_and_need_not_be_copied() {
    let hand = Hand::new();
    let (mut layer, diff_id) = hand.layer(&one());
    layer["mediaType"] = json!("application/vnd.oci.image.layer.nondistributable.v1.tar");
    layer["urls"] = json!(["https://example.invalid/layer"]);
    let manifest = hand.manifest(&hand.config(&[diff_id]), std::slice::from_ref(&layer));
    hand.index(&[named(&manifest, "x")]);
    assert_eq!(hand.open().load("x").unwrap().view().read("/a").unwrap(), "1");
    fs::remove_file(hand.blob_path(&digest(&layer))).unwrap();
    assert!(hand.open().verify().unwrap().is_empty(), "a foreign layer may be elsewhere");
    let there = Layout::temporary().unwrap();
    let copied = there.copy_from(&hand.open(), "x", "x").unwrap();
    assert_eq!(copied.missing.len(), 1);
    assert_eq!(there.load("x").unwrap_err().kind(), ErrorKind::NotFound);
}

/// An index of two machines, the second of them in an index of its own and without a word on which it is.
fn for_two_machines(hand: &Hand) -> Value {
    let manifest = |architecture: &str| {
        let (layer, diff_id) = hand.layer(&Layer::from([("arch", architecture.to_owned())]));
        let mut config = config(&[diff_id]);
        config["architecture"] = json!(architecture);
        hand.manifest(&hand.document(CONFIG, &config), &[layer])
    };
    let inner = json!({ "schemaVersion": 2, "manifests": [manifest("arm64")] });
    let inner = hand.document(INDEX, &inner);
    let amd64 = manifest("amd64");
    let again = manifest("riscv64");
    let list = [
        for_platform(
            &json!({ "mediaType": "application/x-attestation", "digest": amd64["digest"], "size": amd64["size"] }),
            "unknown",
            "unknown",
        ),
        for_platform(&amd64, "linux", "amd64"),
        for_platform(&again, "linux", "amd64"),
        inner,
    ];
    hand.document(INDEX, &json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": list }))
}

#[test]
fn l18_the_first_matching_platform_wins_in_indexes_of_indexes_too() {
    let hand = Hand::new();
    hand.index(&[named(&for_two_machines(&hand), "x")]);
    let load = |architecture: &str| {
        LoadOptions::new().platform(Platform::new("linux", architecture)).load(&hand.open(), "x")
    };
    for architecture in ["amd64", "arm64"] {
        assert_eq!(load(architecture).unwrap().view().read("/arch").unwrap(), architecture);
    }
    let error = LoadOptions::new()
        .platform(Platform::new("plan9", "mips"))
        .load(&hand.open(), "x")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[test]
fn l18_an_image_for_several_machines_is_copied_whole() {
    let hand = Hand::new();
    let index = for_two_machines(&hand);
    hand.index(&[named(&index, "x")]);
    let there = Layout::temporary().unwrap();
    let stored = there.copy_from(&hand.open(), "x", "x").unwrap();
    assert_eq!(stored.manifest.digest.to_string(), digest(&index));
    assert_eq!(stored.new_layers.len(), 3);
    let arm =
        LoadOptions::new().platform(Platform::new("linux", "arm64")).load(&there, "x").unwrap();
    assert_eq!(arm.view().read("/arch").unwrap(), "arm64");
}

#[test]
fn l19_blobs_may_be_missing_until_they_are_needed_and_names_may_repeat_or_be_absent() {
    let hand = Hand::new();
    let first = hand.image(&[one()], "x");
    let second = hand.manifest(&hand.config(&[]), &[]);
    let gone =
        json!({ "mediaType": MANIFEST, "digest": Digest::of(b"gone").to_string(), "size": 4 });
    hand.index(&[named(&gone, "gone"), named(&first, "x"), named(&second, "x"), second]);
    let store = hand.open();
    let tags: Vec<_> = store.list().unwrap().into_iter().map(|reference| reference.tag).collect();
    assert_eq!(tags, [Some("gone".into()), Some("x".into()), Some("x".into()), None]);
    assert_eq!(
        store.load("x").unwrap().view().read("/a").unwrap(),
        "1",
        "the first of a name counts"
    );
    assert!(
        store.load(&digest(&hand.manifest(&hand.config(&[]), &[]))).unwrap().layers().is_empty()
    );
    assert_says(&store.load("gone").unwrap_err(), ErrorKind::NotFound, &["not in the store"]);
    assert_says(&store.load("").unwrap_err(), ErrorKind::NotFound, &["which one?", "gone, x, x"]);
    assert_says(
        &store.load("y").unwrap_err(),
        ErrorKind::NotFound,
        &["no such image", "gone, x, x"],
    );
}

#[test]
fn attack_14_huge_deep_and_cyclic_documents_are_refused() {
    let hand = Hand::new();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep = hand.blob(MANIFEST, deep.as_bytes());
    hand.index(&[deep]);
    assert_says(&refused(&hand), ErrorKind::InvalidInput, &["recursion"]);
    let huge =
        json!({ "mediaType": MANIFEST, "digest": Digest::of(b"x").to_string(), "size": u64::MAX });
    hand.index(&[huge]);
    assert_says(&refused(&hand), ErrorKind::FileTooLarge, &["16 MiB"]);
    // A digest cannot be in the document that it is of; a long way down is the nearest thing to a circle.
    let mut nested = hand.manifest(&hand.config(&[]), &[]);
    for _ in 0..100 {
        nested = hand.document(INDEX, &json!({ "schemaVersion": 2, "manifests": [nested] }));
    }
    hand.index(&[nested]);
    assert_says(&refused(&hand), ErrorKind::InvalidInput, &["indexes within indexes"]);
    assert!(hand.open().verify().is_ok());
}

#[test]
fn attack_15_a_manifest_and_an_index_at_once_and_another_type_than_promised_are_refused() {
    let hand = Hand::new();
    let (layer, diff_id) = hand.layer(&one());
    let config = hand.config(&[diff_id]);
    let mut both = manifest(&config, std::slice::from_ref(&layer));
    both["manifests"] = json!([]);
    hand.index(&[hand.document(MANIFEST, &both)]);
    assert_says(&refused(&hand), ErrorKind::InvalidInput, &["at once"]);
    let plain = manifest(&config, std::slice::from_ref(&layer));
    hand.index(&[hand.document(INDEX, &plain)]);
    assert_says(&refused(&hand), ErrorKind::InvalidInput, &["calls"]);
    let mut old = plain.clone();
    old["schemaVersion"] = json!(1);
    hand.index(&[hand.document(MANIFEST, &old)]);
    assert_says(&refused(&hand), ErrorKind::InvalidInput, &["schemaVersion"]);
    let schema_1 = "application/vnd.docker.distribution.manifest.v1+json";
    hand.index(&[hand.blob(schema_1, b"{\"schemaVersion\":1}")]);
    assert_says(&refused(&hand), ErrorKind::Unsupported, &["schema 1"]);
}

#[test]
fn attack_16_a_layer_that_is_wrong_in_any_way_leaves_nothing() {
    let mut whole = Vec::new();
    let gzip = stratafs::tar::WriteOptions::new().compression(stratafs::tar::Compression::Gzip);
    gzip.write(&Layer::from([("a", "x".repeat(100_000))]), &mut whole).unwrap();
    let mut archive = Vec::new();
    stratafs::tar::write_layer(&Layer::from([("a", "x".repeat(100_000))]), &mut archive).unwrap();
    let diff_id = Digest::of(&archive).to_string();
    let mut bad_crc = whole.clone();
    let len = bad_crc.len();
    bad_crc[len - 8] ^= 1;
    let cases = [
        ("truncated", whole[..len / 2].to_vec()),
        ("bad checksum", bad_crc),
        ("garbage behind", [&whole[..], b"garbage"].concat()),
        ("not gzip at all", b"\x1f\x8bnothing".to_vec()),
        ("empty", Vec::new()),
    ];
    for (case, bytes) in cases {
        let hand = Hand::new();
        let layer = hand.blob("application/vnd.oci.image.layer.v1.tar+gzip", &bytes);
        hand.index(&[hand
            .manifest(&hand.config(std::slice::from_ref(&diff_id)), std::slice::from_ref(&layer))]);
        let error = refused(&hand);
        assert!(error.to_string().contains(&digest(&layer)), "{case}: {error}");
    }
}

#[test]
fn attack_17_digests_and_names_are_never_paths() {
    let hand = Hand::new();
    for bad in ["sha256:../../../../etc/passwd", "sha256:", "../x", "sha256:AAAA"] {
        hand.index(&[json!({ "mediaType": MANIFEST, "digest": bad, "size": 3 })]);
        assert_says(&refused(&hand), ErrorKind::InvalidInput, &[]);
    }
    let store = Layout::temporary().unwrap();
    for tag in ["../../x", "/etc/x", "a/../b", "", "\0"] {
        let error = store.store(&Image::scratch(), tag).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{tag:?}");
        assert_eq!(store.load(tag).unwrap_err().kind(), ErrorKind::NotFound, "{tag:?}");
    }
}

#[test]
fn attack_21_one_layer_over_two_others_is_two_images() {
    let hand = Hand::new();
    let upper = Layer::builder().whiteout("/b").build().unwrap();
    let first = hand.image(&[Layer::from([("a", "1"), ("b", "1")]), upper.clone()], "one");
    let second = hand.image(&[Layer::from([("a", "2"), ("c", "2")]), upper], "two");
    hand.index(&[named(&first, "one"), named(&second, "two")]);
    let store = hand.open();
    for _ in 0..2 {
        assert_eq!(store.load("one").unwrap().view().read("/a").unwrap(), "1");
        assert_eq!(store.load("two").unwrap().view().read("/a").unwrap(), "2");
    }
}

#[test]
fn the_index_itself_may_be_broken() {
    let hand = Hand::new();
    for (index, kind) in [
        (&b"{"[..], ErrorKind::InvalidInput),
        (b"{}", ErrorKind::InvalidInput),
        (b"{\"manifests\":{}}", ErrorKind::InvalidInput),
        (b"\xff\xfe", ErrorKind::InvalidInput),
    ] {
        hand.file("index.json", index);
        assert_says(&refused(&hand), kind, &["index.json"]);
        assert_eq!(hand.open().store(&Image::scratch(), "x").unwrap_err().kind(), kind);
    }
    fs::remove_file(hand.dir.path().join("index.json")).unwrap();
    assert_says(&hand.open().load("x").unwrap_err(), ErrorKind::NotFound, &["index.json"]);
}
