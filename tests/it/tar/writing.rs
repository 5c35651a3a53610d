//! Writing archives (docs/semantics.md, L52 to L58), a test for each rule.

use stratafs::{Attrs, Device, Digest, ErrorKind, Layer, LayerBuilder, Timestamp, tar};

use super::hand::{archive, header};
use super::layer;

fn everything() -> LayerBuilder {
    let attrs =
        Attrs::new().mode(0o4711).uid(u32::MAX).gid(3_000_000).modified(Timestamp::new(-2, 5));
    Layer::builder()
        .dir("/")
        .attrs(Attrs::new().mode(0o700))
        .file("/d/f", "contents")
        .attrs(attrs)
        .xattr("user.a", "=\n\0")
        .xattr("user.empty", "")
        .hard_link("/d/f", "/d/again")
        .hard_link("/below", "/other")
        .symlink("t".repeat(300), "/s")
        .fifo("/p")
        .char_device("/c", Device { major: 1, minor: 3 })
        .block_device("/b", Device { major: 0, minor: 0 })
        .whiteout("/gone")
        .whiteout(format!("/{}", "w".repeat(255)))
        .opaque_dir("/new")
        .opaque_whiteout("/emptied")
        .file(format!("/{}", ["n"; 300].join("/")), "deep")
}

fn written(layer: &Layer) -> Vec<u8> {
    let mut bytes = Vec::new();
    tar::write_layer(layer, &mut bytes).unwrap();
    bytes
}

#[test]
fn l11_the_empty_archive_is_a_layer_that_changes_nothing() {
    let read = tar::ReadOptions::new().read(&archive().end()[..]).unwrap();
    let known = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
    assert_eq!((read.diff_id.to_string(), read.layer.len()), (known.to_owned(), 0));
    assert_eq!(written(&read.layer), archive().end());
}

#[test]
fn l52_a_name_that_looks_like_a_mark_is_refused_with_its_path() {
    for name in ["srv/.wh.me", ".wh..wh..opq", "a/.wh.b/c"] {
        let error = tar::write_layer(&Layer::from([(name, "")]), std::io::sink()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.path().to_str(), Some(&*format!("/{name}")));
    }
}

#[test]
fn l53_an_archive_in_any_order_is_written_in_one() {
    let bytes =
        archive().file("b/z", "").file("b/.wh.y", "").dir("b").file("b/a", "").dir("a/x").end();
    let names: Vec<_> = written(&layer(bytes))
        .chunks(512)
        .map(|block| {
            String::from_utf8_lossy(block[..100].split(|b| *b == 0).next().unwrap()).into_owned()
        })
        .filter(|name| !name.is_empty())
        .collect();
    assert_eq!(names, ["a/x/", "b/", "b/.wh.y", "b/a", "b/z"]);
}

#[test]
fn l56_sockets_are_left_out_and_reported() {
    let layer =
        Layer::builder().socket("/run/s").hard_link("/run/s", "/t").file("/f", "").build().unwrap();
    let mut bytes = Vec::new();
    let said = tar::write_layer(&layer, &mut bytes).unwrap();
    let left_out: Vec<_> = said.left_out.iter().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(left_out, ["/run/s", "/t"]);
    assert_eq!(tar::read_layer(&bytes[..]).unwrap().len(), 1);
    assert_eq!(said.diff_id, layer.diff_id().unwrap());
}

#[test]
fn l57_an_archive_is_the_same_bytes_each_time_compressed_too() {
    let layer = everything().build().unwrap();
    for compression in [tar::Compression::None, tar::Compression::Gzip, tar::Compression::Zstd] {
        let write = || {
            let mut bytes = Vec::new();
            let options = tar::WriteOptions::new().compression(compression);
            (options.write(&layer, &mut bytes).unwrap(), bytes)
        };
        let (said, bytes) = write();
        assert_eq!((said.clone(), bytes.clone()), write());
        assert_eq!((said.digest, said.size), (Digest::of(&bytes), bytes.len() as u64));
        assert_eq!(said.diff_id, layer.diff_id().unwrap());
    }
}

#[test]
fn l58_import_export_import_is_a_fixed_point() {
    let layer = everything().build().unwrap();
    let once = written(&layer);
    let again = tar::read_layer(&once[..]).unwrap();
    let entries = |layer: &Layer| layer.entries().collect::<Vec<_>>();
    assert_eq!(entries(&again), entries(&layer));
    assert!(written(&again) == once);
}

#[test]
fn l58_what_others_wrote_is_one_canonical_form_from_the_first_export_on() {
    let odd = archive()
        .hard_link("z", "below")
        .file("f", "1")
        .hard_link("a", "f")
        .header(&header(b'2', "s").link("t").mode(0o777))
        .file(".wh.d", "")
        .file("d/new", "2")
        .pax([("mtime", "0.000000001"), ("SCHILY.xattr.user.x", "")])
        .file("g", "3")
        .bytes();
    let first = written(&layer(odd));
    assert!(written(&layer(first.clone())) == first);
}

#[test]
fn writing_to_what_fails_is_an_error_with_its_cause() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is full"))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let layer = Layer::from([("f", vec![1; 100_000])]);
    for compression in [tar::Compression::None, tar::Compression::Gzip, tar::Compression::Zstd] {
        let error =
            tar::WriteOptions::new().compression(compression).write(&layer, Full).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!((error.kind(), &*cause), (ErrorKind::Io, "the disk is full"));
    }
}
