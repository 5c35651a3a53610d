//! Layers as literals: random stacks of them, made into layers, and laid over the model.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::model::{Id, Model, Node, ROOT};
use super::ops::target;
use crate::{Attrs, Image, Layer, LayerBuilder, Timestamp};

/// What a layer says of each path, from the root down.
pub(super) type Literal = BTreeMap<String, Say>;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Say {
    Whiteout,
    File(String),
    Dir(u32),
    Opaque(u32),
    OpaqueWhiteout,
    Symlink(String),
    Fifo,
    /// One more name of what is at this path, in this layer or below.
    Link(String),
}

impl Say {
    fn is_dir(&self) -> bool {
        matches!(self, Self::Dir(_) | Self::Opaque(_) | Self::OpaqueWhiteout)
    }
}

/// Whether layers have symbolic links, and so entries whose way leads through one of a layer below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Symlinks {
    Anywhere,
    /// Only under names of their own, below which nothing lies.
    Leaves,
    /// Also to directories that they lie in. What a layer has below one may replace it, or what is above it.
    Hostile,
}

/// What is generated: a link names its target by a number, because what can be linked is known later.
#[derive(Clone, Debug)]
enum Raw {
    Say(Say),
    Link(Index),
}

fn raw(symlinks: Symlinks) -> impl Strategy<Value = (String, Raw)> {
    let names = vec(select(vec!["a", "b", "c"]), 1..=3);
    let say = prop_oneof![
        // Few contents, so that a file often is what it was.
        4 => select(vec!["", "1", "22"]).prop_map(|text| Say::File(text.into())),
        // Two modes, one with all other attributes: a directory that changes nothing but itself.
        3 => select(vec![0o755, 0o700]).prop_map(Say::Dir),
        2 => select(vec![0o755, 0o700]).prop_map(Say::Opaque),
        // A directory that is emptied and else stays as it is.
        1 => Just(Say::OpaqueWhiteout),
        4 => Just(Say::Whiteout),
        1 => Just(Say::Fifo),
    ];
    let raw = prop_oneof![
        10 => say.prop_map(Raw::Say),
        1 => target().prop_map(|target| Raw::Say(Say::Symlink(target))),
        2 => any::<Index>().prop_map(Raw::Link),
    ];
    (names, raw).prop_map(move |(mut names, raw)| {
        if symlinks == Symlinks::Leaves && matches!(raw, Raw::Say(Say::Symlink(_))) {
            *names.last_mut().unwrap() = "s";
        }
        let path = format!("/{}", names.join("/"));
        match raw {
            Raw::Say(Say::Symlink(target))
                if symlinks != Symlinks::Hostile && leads_up(&path, &target) =>
            {
                (path, Raw::Say(Say::Fifo))
            }
            raw => (path, raw),
        }
    })
}

/// Whether a symbolic link leads to a directory that it lies in: what a layer has below it may replace the link itself.
fn leads_up(path: &str, target: &str) -> bool {
    let mut names: Vec<&str> = path.split('/').skip(1).collect();
    names.truncate(if target.starts_with('/') { 0 } else { names.len() - 1 });
    for name in target.split('/').filter(|name| !name.is_empty()) {
        match name {
            ".." => names.truncate(names.len().saturating_sub(1)),
            _ => names.push(name),
        }
    }
    let inside = ["/", &names.join("/")].concat();
    inside == "/" || format!("{path}/").starts_with(&format!("{inside}/"))
}

/// Layers that can be laid over each other: every hard link names something.
pub(super) fn stack(
    count: std::ops::RangeInclusive<usize>,
    symlinks: Symlinks,
) -> impl Strategy<Value = Vec<Literal>> {
    vec(said(symlinks), count).prop_map(linked_up)
}

/// The same, the last two with symbolic links anywhere, those below with leaves only.
pub(super) fn stack_under_two(below: usize) -> impl Strategy<Value = Vec<Literal>> {
    let below = vec(said(Symlinks::Leaves), 0..=below);
    (below, vec(said(Symlinks::Anywhere), 2))
        .prop_map(|(below, two)| linked_up([below, two].concat()))
}

type Said = (Symlinks, BTreeMap<String, Raw>);

fn said(symlinks: Symlinks) -> impl Strategy<Value = Said> {
    vec(raw(symlinks), 0..9).prop_map(move |said| (symlinks, said.into_iter().collect()))
}

fn linked_up(stack: Vec<Said>) -> Vec<Literal> {
    let mut below = Model::default();
    let valid = |said| {
        let literal = link_up(&below, said);
        lay(&mut below, &literal);
        literal
    };
    stack.into_iter().map(valid).collect()
}

/// Layers with links to anything and from anywhere: some are refused, some are strange.
pub(super) fn hostile_stack() -> impl Strategy<Value = Vec<Literal>> {
    let link = |raw| match raw {
        Raw::Say(say) => say,
        Raw::Link(index) => Say::Link((*index.get(&["/a", "/b/a", "/a/b/c", "/c/c"])).to_owned()),
    };
    let said = said(Symlinks::Hostile)
        .prop_map(move |(_, said)| said.into_iter().map(|(path, raw)| (path, link(raw))).collect());
    vec(said, 1..=3)
}

/// Leaves out what a layer may not say, and gives each link a target.
fn link_up(below: &Model, (symlinks, raw): Said) -> Literal {
    let (mut literal, mut links) = (Literal::new(), Vec::new());
    for (path, raw) in raw {
        let stops =
            |dir: &str| literal.get(dir).is_some_and(|say| !say.is_dir() && *say != Say::Whiteout);
        match raw {
            Raw::Say(say) if say == Say::Whiteout || !above(&path).any(stops) => {
                drop(literal.insert(path, say));
            }
            Raw::Say(_) => {}
            Raw::Link(index) => links.push((path, index)),
        }
    }
    for (path, index) in links {
        let mut over = below.clone();
        lay(&mut over, &literal);
        let is_file = |(path, id): &(String, Id)| {
            let node = &over.at(*id).node;
            let taken =
                [symlinks == Symlinks::Leaves && matches!(node, Node::Symlink(_)), node.is_dir()];
            !taken.contains(&true)
                && matches!(
                    literal.get(path),
                    None | Some(Say::File(_) | Say::Symlink(_) | Say::Fifo)
                )
        };
        let files: Vec<_> = over.paths().into_iter().filter(is_file).collect();
        if files.is_empty() {
            continue;
        }
        let target = index.get(&files).0.clone();
        // The object stands at the first of its names, so all ways must be what they are without it.
        let crooked = |path: &String| {
            leads_through_symlink(below, path) || leads_through_symlink(&over, path)
        };
        if literal.keys().chain([&path, &target]).any(crooked) {
            continue;
        }
        let mut linked = literal.clone();
        linked.insert(path.clone(), Say::Link(target.clone()));
        if can_stand(&literal, &path, &target) && try_lay(&mut below.clone(), &linked) {
            literal = linked;
        }
    }
    literal
}

fn leads_through_symlink(model: &Model, path: &str) -> bool {
    let is_symlink =
        |dir| model.find(dir, false).is_ok_and(|id| matches!(model.at(id).node, Node::Symlink(_)));
    above(path).any(is_symlink)
}

/// A link has nothing below it and nothing that is no directory above it, and no target is on the way to anything.
fn can_stand(literal: &Literal, path: &str, target: &str) -> bool {
    let is_free =
        |dir: &str| literal.get(dir).is_none_or(|say| say.is_dir() || *say == Say::Whiteout);
    let is_above =
        |dir: &str, path: &str| path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'));
    let apart = |a: &str, b: &str| a != b && !is_above(a, b) && !is_above(b, a);
    let others = literal.iter().all(|(other, say)| {
        let link_is_apart = match say {
            Say::Link(file) => !is_above(path, file) && !is_above(file, path),
            _ => true,
        };
        link_is_apart && !is_above(path, other) && !is_above(target, other)
    });
    apart(path, target) && others && above(path).all(is_free) && above(target).all(is_free)
}

/// The directories above a path, from the one below the root down.
pub(super) fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').skip(1).map(|(slash, _)| &path[..slash])
}

/// The layer that a literal stands for.
pub(super) fn layer(literal: &Literal) -> Layer {
    builder(literal).build().unwrap()
}

pub(super) fn builder(literal: &Literal) -> LayerBuilder {
    let say = |builder: LayerBuilder, (path, say): (&String, &Say)| match say {
        Say::Whiteout => builder.whiteout(path),
        Say::File(text) => builder.file(path, text.clone()),
        Say::Dir(mode) => dressed(builder.dir(path), *mode),
        Say::Opaque(mode) => dressed(builder.opaque_dir(path), *mode),
        Say::OpaqueWhiteout => builder.opaque_whiteout(path),
        Say::Symlink(target) => builder.symlink(target, path),
        Say::Fifo => builder.fifo(path),
        Say::Link(target) => builder.hard_link(target, path),
    };
    literal.iter().fold(Layer::builder(), say)
}

fn dressed(builder: LayerBuilder, mode: u32) -> LayerBuilder {
    let (uid, modified, xattrs) = attributes(mode);
    let attrs = Attrs::new().mode(mode).uid(uid).modified(Timestamp::new(modified, 0));
    xattrs
        .into_iter()
        .fold(builder.attrs(attrs), |builder, (name, value)| builder.xattr(name, value))
}

/// Owner, time and extended attributes that a layer gives to its directories of this mode.
pub(super) fn attributes(mode: u32) -> (u32, i64, BTreeMap<String, Vec<u8>>) {
    match mode {
        0o700 => (5, -7, BTreeMap::from([("user.d".into(), b"v".to_vec())])),
        _ => (0, 0, BTreeMap::new()),
    }
}

pub(super) fn image(stack: &[Literal]) -> Image {
    Image::from_layers(stack.iter().map(layer)).unwrap()
}

/// The model of the same layers.
pub(super) fn model(stack: &[Literal]) -> Model {
    let mut model = Model::default();
    for literal in stack {
        lay(&mut model, literal);
    }
    model
}

/// Lays a layer over the model: what it removes, what it brings, then its links.
pub(super) fn lay(model: &mut Model, literal: &Literal) {
    assert!(try_lay(model, literal), "a link of {literal:?} names nothing");
}

fn try_lay(model: &mut Model, literal: &Literal) -> bool {
    model.now = 0;
    let literal = &settled(literal);
    for (path, say) in literal {
        let (dir, name) = path.rsplit_once('/').unwrap();
        match say {
            Say::Whiteout => {
                if let Some(dir) = lower_dir(model, literal, dir) {
                    model.children_mut(dir).remove(name);
                }
            }
            Say::Opaque(_) | Say::OpaqueWhiteout => {
                if let Some(dir) = lower_dir(model, literal, path) {
                    model.children_mut(dir).clear();
                }
            }
            _ => {}
        }
    }
    for (path, say) in literal {
        let (node, mode) = match say {
            Say::File(text) => (Node::File(text.clone().into()), 0o644),
            Say::Dir(mode) | Say::Opaque(mode) => (Node::Dir(BTreeMap::new()), *mode),
            Say::Symlink(target) => (Node::Symlink(target.clone()), 0o777),
            Say::Fifo => (Node::Fifo, 0o644),
            Say::OpaqueWhiteout => {
                implied_dir(model, path);
                continue;
            }
            Say::Whiteout | Say::Link(_) => continue,
        };
        let (dir, name) = path.rsplit_once('/').unwrap();
        let dir = implied_dir(model, dir);
        let id = match model.children(dir).get(name).copied() {
            Some(id) if node.is_dir() && model.at(id).node.is_dir() => id,
            _ => {
                let id = model.add(node, mode, 0);
                model.children_mut(dir).insert(name.to_owned(), id);
                id
            }
        };
        let object = model.edit(id);
        object.mode = mode;
        (object.uid, object.modified, object.xattrs) = attributes(mode);
    }
    literal.iter().all(|(path, say)| match say {
        Say::Link(target) => link(model, literal, path, target),
        _ => true,
    })
}

/// A whiteout with something below it stands for a directory that is new.
fn settled(literal: &Literal) -> Literal {
    let has_content = |path: &String| {
        let below = |(other, say): (&String, &Say)| {
            *say != Say::Whiteout && above(other).any(|dir| dir == path)
        };
        literal.iter().any(below)
    };
    let settle = |(path, say): (&String, &Say)| {
        let is_new = *say == Say::Whiteout && has_content(path);
        (path.clone(), if is_new { Say::Opaque(0o755) } else { say.clone() })
    };
    literal.iter().map(settle).collect()
}

fn link<'a>(model: &mut Model, literal: &'a Literal, path: &str, mut target: &'a str) -> bool {
    while let Some(Say::Link(next)) = literal.get(target) {
        target = next;
    }
    let (dir, name) = path.rsplit_once('/').unwrap();
    let dir = implied_dir(model, dir);
    let found = model.find(target, false);
    let Some(id) = found.ok().filter(|id| !model.at(*id).node.is_dir()) else { return false };
    model.children_mut(dir).insert(name.to_owned(), id);
    true
}

/// The directory of the layers below that a removal acts in, if this layer leaves one there.
fn lower_dir(model: &Model, literal: &Literal, path: &str) -> Option<Id> {
    let mut dir = ROOT;
    let whole = Some(path).filter(|path| !path.is_empty());
    for prefix in above(path).chain(whole) {
        let child = *model.children(dir).get(prefix.rsplit_once('/')?.1)?;
        dir = match (&model.at(child).node, literal.get(prefix)) {
            (
                Node::Dir(_),
                None | Some(Say::Whiteout | Say::Dir(_) | Say::Opaque(_) | Say::OpaqueWhiteout),
            ) => child,
            (Node::Symlink(_), None | Some(Say::OpaqueWhiteout)) => resolved(model, dir, child)?,
            _ => return None,
        };
    }
    Some(dir)
}

/// The directory that entries of a layer lie in; it need not be mentioned.
fn implied_dir(model: &mut Model, path: &str) -> Id {
    let mut dir = ROOT;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        let child = model.children(dir).get(name).copied();
        let merged = child.and_then(|child| match &model.at(child).node {
            Node::Dir(_) => Some(child),
            Node::Symlink(_) => resolved(model, dir, child),
            _ => None,
        });
        dir = merged.unwrap_or_else(|| {
            let made = model.add(Node::Dir(BTreeMap::new()), 0o755, 0);
            model.children_mut(dir).insert(name.to_owned(), made);
            made
        });
    }
    dir
}

/// The directory that a symbolic link in a directory leads to.
fn resolved(model: &Model, dir: Id, link: Id) -> Option<Id> {
    let paths = model.paths();
    let path = &paths.iter().find(|(_, id)| *id == dir)?.0;
    let name = model.children(dir).iter().find(|(_, id)| **id == link)?.0;
    let target = model.find(&format!("{path}/{name}"), true).ok()?;
    model.at(target).node.is_dir().then_some(target)
}
