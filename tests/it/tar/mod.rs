//! Archives: what is read of them, what is refused, what is written.

mod applying;
mod attacks;
mod hand;
mod others;
mod reading;
mod writing;

use stratafs::{Error, Image, Layer, View, tar};

/// The layer that an archive is.
#[expect(clippy::needless_pass_by_value, reason = "it is written where it is read")]
fn layer(archive: Vec<u8>) -> Layer {
    tar::read_layer(&archive[..]).unwrap()
}

/// Archives laid over each other.
fn stack<const N: usize>(archives: [Vec<u8>; N]) -> View {
    let view = Image::from_layers(archives.map(layer)).unwrap().view();
    assert_eq!(view.check(), Vec::<String>::new());
    view
}

/// What an archive alone shows.
fn view(archive: Vec<u8>) -> View {
    stack([archive])
}

/// Why an archive is refused. Whatever it is, it names the operation and the entry.
#[expect(clippy::needless_pass_by_value, reason = "it is written where it is read")]
fn refused(archive: Vec<u8>) -> Error {
    let error = tar::read_layer(&archive[..]).map(|layer| format!("{layer:?}")).unwrap_err();
    assert_eq!(error.op(), "read layer", "{error}");
    error
}
