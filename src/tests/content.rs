//! Contents in chunks are bytes: writes, truncations and holes around the border of a chunk, against a `Vec<u8>`.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::picture::Text;
use crate::Source;
use crate::content::{CHUNK, Content};

/// A source that gives what it has in small portions, as a real one may.
#[derive(Debug)]
struct Portions(Vec<u8>);

impl Source for Portions {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let rest = self.0.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buf.len()).min(40_000);
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// Where contents come from: what a layer has in memory, elsewhere or with holes, and what a container wrote.
#[derive(Clone, Copy, Debug)]
enum Start {
    Lower(usize),
    Elsewhere(usize),
    Own(usize),
    Sparse(usize),
}

impl Start {
    fn content(self) -> (Content, Vec<u8>) {
        match self {
            Self::Lower(len) => (Content::lower(vec![b'l'; len].into()), vec![b'l'; len]),
            Self::Own(len) => (Content::own(vec![b'o'; len].into()), vec![b'o'; len]),
            Self::Elsewhere(len) => {
                (Content::source(Arc::new(Portions(vec![b'e'; len]))), vec![b'e'; len])
            }
            Self::Sparse(len) => {
                let data = Bytes::from_static(b"data");
                let mut bytes = vec![0; len + 4];
                bytes[..4].copy_from_slice(&data);
                (Content::sparse(len as u64 + 4, [(0, data)]), bytes)
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Edit {
    Write(usize, usize),
    SetLen(usize),
    Punch(usize, usize),
    /// It becomes part of a layer, and a container goes on from there.
    Seal,
    /// Somebody keeps what is there, so that nothing can be changed in place.
    Keep,
}

/// Positions at the start and around the borders of three chunks: everywhere else is like one of them.
fn position() -> impl Strategy<Value = usize> {
    let chunk = CHUNK as usize;
    (select(vec![0, chunk, 2 * chunk]), 0_usize..6)
        .prop_map(|(border, by)| (border + by).max(3) - 3)
}

/// Short ones, ones that fill a chunk to its end or nearly, and ones that span two borders.
fn length() -> impl Strategy<Value = usize> {
    let chunk = CHUNK as usize;
    prop_oneof![1_usize..5, chunk - 2..chunk + 3, Just(2 * chunk + 1)]
}

fn start() -> impl Strategy<Value = Start> {
    let kinds = vec![Start::Lower, Start::Elsewhere, Start::Own, Start::Sparse];
    (select(kinds), position()).prop_map(|(start, len): (fn(usize) -> Start, _)| start(len))
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (position(), length()).prop_map(|(at, len)| Edit::Write(at, len)),
        3 => position().prop_map(Edit::SetLen),
        3 => (position(), length()).prop_map(|(at, len)| Edit::Punch(at, len)),
        1 => Just(Edit::Seal),
        1 => Just(Edit::Keep),
    ]
}

fn run(content: &mut Content, bytes: &mut Vec<u8>, edit: Edit, byte: u8) {
    let before = content.own_bytes();
    match edit {
        Edit::Write(at, len) => {
            let cost = content.write_cost(at as u64, len as u64);
            content.write(at as u64, &vec![byte; len].into()).unwrap();
            assert_eq!(content.own_bytes(), before + cost, "{edit:?} costs what it said");
            bytes.resize(bytes.len().max(at + len), 0);
            bytes[at..at + len].fill(byte);
        }
        Edit::SetLen(len) => {
            content.set_len(len as u64);
            assert!(content.own_bytes() <= before, "{edit:?} costs nothing");
            bytes.resize(len, 0);
        }
        Edit::Punch(at, len) => {
            let cost = content.punch_cost(at as u64, len as u64);
            content.punch_hole(at as u64, len as u64).unwrap();
            let after = content.own_bytes();
            assert_eq!(cost, after.saturating_sub(before), "{edit:?} costs what it said");
            let end = (at + len).min(bytes.len());
            bytes[at.min(end)..end].fill(0);
        }
        Edit::Seal => {
            let sealed = content.sealed();
            assert_eq!(sealed.own_bytes(), 0, "a layer's bytes are nobody's own");
            assert_eq!(
                sealed.data_bytes(),
                content.data_bytes(),
                "sealing adds and removes nothing"
            );
            *content = sealed;
        }
        Edit::Keep => {}
    }
}

fn assert_holds(content: &Content, bytes: &[u8], when: Edit) {
    assert_eq!(content.len(), bytes.len() as u64, "length after {when:?}");
    let got = content.read(0, u64::MAX).unwrap();
    assert!(got == *bytes, "after {when:?}: {:?}\n{:?}", Text(got.to_vec()), Text(bytes.to_vec()));
    for at in [0, CHUNK - 2, CHUNK, 2 * CHUNK - 1] {
        let mut buf = [b'?'; 4];
        let count = content.read_into(at, &mut buf).unwrap();
        let rest = bytes.get(at as usize..).unwrap_or_default();
        assert_eq!(buf[..count], rest[..rest.len().min(4)], "4 bytes at {at} after {when:?}");
        assert_eq!(content.read(at, 4).unwrap(), buf[..count], "the same without a copy");
    }
    assert_maps(content, bytes, when);
    assert!(content.same_bytes(&Content::lower(bytes.to_vec().into())).unwrap(), "{when:?}");
    if let Some((last, rest)) = bytes.split_last() {
        let other = [rest, &[last ^ 1]].concat();
        assert!(!content.same_bytes(&Content::lower(other.into())).unwrap(), "{when:?}");
    }
}

/// Data and holes take turns, holes are zeros, and data is what counts as data.
fn assert_maps(content: &Content, bytes: &[u8], when: Edit) {
    let (mut at, mut data) = (0, 0);
    while let Some(start) = content.next_data(at) {
        let end = content.next_hole(start).unwrap();
        assert!(at <= start && start < end, "{when:?}: data at {start}..{end}, asked at {at}");
        if start > at {
            assert_eq!(content.next_hole(at), Some(at), "{when:?}: a hole at {at}");
        }
        let hole = &bytes[at as usize..start as usize];
        assert!(hole == vec![0; hole.len()], "{when:?}: a hole at {at}..{start} is not zeros");
        (at, data) = (end, data + end - start);
    }
    let rest = &bytes[at as usize..];
    assert!(rest == vec![0; rest.len()], "{when:?}: the hole at the end, from {at}, is not zeros");
    assert_eq!(content.data_bytes(), data, "{when:?}: data bytes");
    assert!(content.own_bytes() <= data, "{when:?}: own bytes are data");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(super::cases(150)))]

    #[test]
    fn content_is_its_bytes(start in start(), edits in vec(edit(), 1..14)) {
        let (mut content, mut bytes) = start.content();
        assert_holds(&content, &bytes, Edit::Keep);
        let mut kept = Vec::new();
        for (edit, byte) in edits.into_iter().zip((b'A'..=b'Z').cycle()) {
            run(&mut content, &mut bytes, edit, byte);
            assert_holds(&content, &bytes, edit);
            if matches!(edit, Edit::Keep) {
                kept.push((content.clone(), bytes.clone()));
            }
        }
        for (old, old_bytes) in kept {
            assert_holds(&old, &old_bytes, Edit::Keep);
            prop_assert_eq!(old.same_bytes(&content).unwrap(), old_bytes == bytes);
        }
    }
}

/// Found by `content_is_its_bytes`: at the limit, a hole was refused that gives back more than it takes.
#[test]
fn regression_hole_that_frees_more_than_it_costs_is_free() {
    let mut content = Content::lower(vec![b'l'; 2 * CHUNK as usize].into());
    content.write(0, &vec![b'o'; CHUNK as usize].into()).unwrap();
    assert_eq!(content.punch_cost(0, CHUNK + 1), 0, "one chunk goes, one becomes its own");
    content.punch_hole(0, CHUNK + 1).unwrap();
    assert_eq!(content.own_bytes(), CHUNK);
}
