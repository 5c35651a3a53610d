//! A plain filesystem of maps, seen by root: what a container is compared with. It shares no code with the crate.

use std::collections::BTreeMap;

pub(super) type Id = u64;
pub(super) type Errno = i32;
pub(super) type Answer = Result<Vec<u8>, Errno>;

pub(super) const ROOT: Id = 1;
pub(super) const EPERM: Errno = 1;
pub(super) const ENOENT: Errno = 2;
pub(super) const ENXIO: Errno = 6;
pub(super) const EBADF: Errno = 9;
pub(super) const EBUSY: Errno = 16;
pub(super) const EEXIST: Errno = 17;
pub(super) const ENOTDIR: Errno = 20;
pub(super) const EISDIR: Errno = 21;
pub(super) const EINVAL: Errno = 22;
pub(super) const ENOTEMPTY: Errno = 39;
pub(super) const ELOOP: Errno = 40;
pub(super) const ENODATA: Errno = 61;
pub(super) const ESTALE: Errno = 116;

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) objects: BTreeMap<Id, Object>,
    pub(super) next: Id,
    /// Seconds since 1970.
    pub(super) now: i64,
    /// Objects that only handles keep after the container went back, and which ones they were.
    pub(super) left_behind: BTreeMap<Id, Id>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object {
    pub(super) node: Node,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) modified: i64,
    pub(super) xattrs: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    File(Vec<u8>),
    Dir(BTreeMap<String, Id>),
    Symlink(String),
    Fifo,
}

impl Node {
    pub(super) fn is_dir(&self) -> bool {
        matches!(self, Self::Dir(_))
    }
}

/// Where a path led: no name where it ended in `..` or is the root.
pub(super) struct Spot {
    pub(super) dir: Id,
    pub(super) name: Option<String>,
    pub(super) found: Option<Id>,
}

impl Spot {
    fn free(self) -> Result<(Id, String), Errno> {
        match (self.name, self.found) {
            (Some(name), None) => Ok((self.dir, name)),
            _ => Err(EEXIST),
        }
    }

    fn taken(self, otherwise: Errno) -> Result<(Id, String, Id), Errno> {
        let name = self.name.ok_or(otherwise)?;
        Ok((self.dir, name, self.found.ok_or(ENOENT)?))
    }
}

impl Default for Model {
    fn default() -> Self {
        let mut model =
            Self { objects: BTreeMap::new(), next: ROOT, now: 0, left_behind: BTreeMap::new() };
        model.add(Node::Dir(BTreeMap::new()), 0o755, 0);
        model
    }
}

/// Looking
impl Model {
    pub(super) fn at(&self, id: Id) -> &Object {
        &self.objects[&id]
    }

    pub(super) fn edit(&mut self, id: Id) -> &mut Object {
        self.objects.get_mut(&id).unwrap()
    }

    pub(super) fn children(&self, dir: Id) -> &BTreeMap<String, Id> {
        match &self.at(dir).node {
            Node::Dir(children) => children,
            other => panic!("{other:?} has no children"),
        }
    }

    pub(super) fn children_mut(&mut self, dir: Id) -> &mut BTreeMap<String, Id> {
        match &mut self.edit(dir).node {
            Node::Dir(children) => children,
            other => panic!("{other:?} has no children"),
        }
    }

    pub(super) fn walk(&self, path: &str, follow: bool) -> Result<Spot, Errno> {
        let (mut at, mut above, mut links) = (ROOT, Vec::new(), 0);
        let mut todo = backwards(path);
        while let Some(name) = todo.pop() {
            if name == ".." {
                at = above.pop().unwrap_or(ROOT);
                continue;
            }
            let found = self.children(at).get(&name).copied();
            let last = todo.is_empty();
            match found.map(|id| (id, &self.at(id).node)) {
                Some((_, Node::Symlink(target))) if !last || follow => {
                    links += 1;
                    if links > 40 {
                        return Err(ELOOP);
                    }
                    if target.starts_with('/') {
                        (at, above) = (ROOT, Vec::new());
                    }
                    todo.extend(backwards(target));
                }
                _ if last => return Ok(Spot { dir: at, name: Some(name), found }),
                Some((id, Node::Dir(_))) => {
                    above.push(at);
                    at = id;
                }
                Some(_) => return Err(ENOTDIR),
                None => return Err(ENOENT),
            }
        }
        Ok(Spot { dir: at, name: None, found: Some(at) })
    }

    pub(super) fn find(&self, path: &str, follow: bool) -> Result<Id, Errno> {
        self.walk(path, follow)?.found.ok_or(ENOENT)
    }

    /// Every path from the root down with its object.
    pub(super) fn paths(&self) -> Vec<(String, Id)> {
        let (mut paths, mut todo) = (Vec::new(), vec![("/".to_owned(), ROOT)]);
        while let Some((path, id)) = todo.pop() {
            if let Node::Dir(children) = &self.at(id).node {
                let base = path.trim_end_matches('/');
                todo.extend(children.iter().map(|(name, id)| (format!("{base}/{name}"), *id)));
            }
            paths.push((path, id));
        }
        paths.sort();
        paths
    }

    pub(super) fn nlink(&self, id: Id) -> u32 {
        let paths = self.paths();
        let names = paths.iter().filter(|(_, other)| *other == id).count() as u32;
        match &self.at(id).node {
            Node::Dir(children) if names > 0 => {
                2 + children.values().filter(|id| self.at(**id).node.is_dir()).count() as u32
            }
            _ => names,
        }
    }

    fn is_within(&self, dir: Id, above: Id) -> bool {
        dir == above
            || self.at(above).node.is_dir()
                && self.children(above).values().any(|&id| self.is_within(dir, id))
    }
}

fn backwards(path: &str) -> Vec<String> {
    path.split('/').filter(|name| !name.is_empty()).rev().map(str::to_owned).collect()
}

/// Making and removing
impl Model {
    pub(super) fn add(&mut self, node: Node, mode: u32, gid: u32) -> Id {
        let (id, modified) = (self.next, self.now);
        self.next += 1;
        let object = Object { node, mode, uid: 0, gid, modified, xattrs: BTreeMap::new() };
        self.objects.insert(id, object);
        id
    }

    fn touch(&mut self, id: Id) {
        self.edit(id).modified = self.now;
    }

    pub(super) fn create(&mut self, (dir, name): (Id, String), node: Node, mode: u32) -> Id {
        let id = self.add_in(dir, node, mode);
        self.bind(dir, name, id);
        id
    }

    pub(super) fn create_unnamed(&mut self, dir: Id) -> Result<Id, Errno> {
        if !self.at(dir).node.is_dir() {
            return Err(ENOTDIR);
        }
        Ok(self.add_in(dir, Node::File(Vec::new()), 0o644))
    }

    /// What is made in a setgid directory has its group, and directories are setgid, too.
    fn add_in(&mut self, dir: Id, node: Node, mode: u32) -> Id {
        let Object { mode: above, gid, .. } = *self.at(dir);
        let setgid = above & 0o2000;
        let inherited = if node.is_dir() { setgid } else { 0 };
        self.add(node, mode | inherited, if setgid > 0 { gid } else { 0 })
    }

    fn bind(&mut self, dir: Id, name: String, id: Id) {
        self.children_mut(dir).insert(name, id);
        self.touch(dir);
    }

    fn unbind(&mut self, dir: Id, name: &str) {
        self.children_mut(dir).remove(name);
        self.touch(dir);
    }

    pub(super) fn make(&mut self, path: &str, node: Node, mode: u32) -> Answer {
        let free = self.walk(path, false)?.free()?;
        self.create(free, node, mode);
        Ok(Vec::new())
    }

    pub(super) fn create_dir_all(&mut self, path: &str) -> Answer {
        let before = self.clone();
        let mut prefix = String::new();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            prefix = format!("{prefix}/{name}");
            match self.make(&prefix, Node::Dir(BTreeMap::new()), 0o755) {
                Ok(_) | Err(EEXIST) => {}
                Err(errno) => {
                    *self = before;
                    return Err(errno);
                }
            }
        }
        let made = self.find(path, true);
        match made {
            Ok(id) if self.at(id).node.is_dir() => Ok(Vec::new()),
            _ => {
                *self = before;
                Err(made.err().unwrap_or(ENOTDIR))
            }
        }
    }

    pub(super) fn remove_file(&mut self, path: &str) -> Answer {
        let (dir, name, id) = self.walk(path, false)?.taken(EISDIR)?;
        if self.at(id).node.is_dir() {
            return Err(EISDIR);
        }
        self.unbind(dir, &name);
        Ok(Vec::new())
    }

    pub(super) fn remove_dir(&mut self, path: &str, all: bool) -> Answer {
        let (dir, name, id) = self.walk(path, false)?.taken(EBUSY)?;
        match &self.at(id).node {
            Node::Dir(children) if !all && !children.is_empty() => return Err(ENOTEMPTY),
            Node::Dir(_) => {}
            _ => return Err(ENOTDIR),
        }
        self.unbind(dir, &name);
        Ok(Vec::new())
    }

    pub(super) fn hard_link(&mut self, from: &str, to: &str) -> Answer {
        let id = self.find(from, false)?;
        self.link(id, to)
    }

    pub(super) fn link(&mut self, id: Id, to: &str) -> Answer {
        let (dir, name) = self.walk(to, false)?.free()?;
        if self.at(id).node.is_dir() {
            return Err(EPERM);
        }
        let was = |id: Id| self.left_behind.get(&id).copied().unwrap_or(id);
        let is_back = |(_, other): &(String, Id)| was(*other) == was(id);
        if self.nlink(id) == 0 && self.paths().iter().any(is_back) {
            return Err(ESTALE);
        }
        self.bind(dir, name, id);
        Ok(Vec::new())
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, taken: Taken) -> Answer {
        let (old, new) = (self.walk(from, false)?, self.walk(to, false)?);
        let refused = if taken == Taken::Refuse { EEXIST } else { EBUSY };
        let old_name = old.name.clone().ok_or(EBUSY)?;
        let (to, to_name) = (new.dir, new.name.ok_or(refused)?);
        let (from, from_name, id) = (old.dir, old_name, old.found.ok_or(ENOENT)?);
        match (new.found, taken) {
            (Some(_), Taken::Refuse) => return Err(EEXIST),
            (None, Taken::Exchange) => return Err(ENOENT),
            _ => {}
        }
        if self.is_within(to, id) {
            return Err(EINVAL);
        }
        if let Some(other) = new.found {
            if self.is_within(from, other) {
                return Err(if taken == Taken::Exchange { EINVAL } else { ENOTEMPTY });
            }
            if other == id {
                return Ok(Vec::new());
            }
            if taken == Taken::Exchange {
                self.bind(from, from_name, other);
                self.bind(to, to_name, id);
                return Ok(Vec::new());
            }
            match (&self.at(id).node, &self.at(other).node) {
                (Node::Dir(_), Node::Dir(children)) if !children.is_empty() => {
                    return Err(ENOTEMPTY);
                }
                (Node::Dir(_), Node::Dir(_)) => {}
                (Node::Dir(_), _) => return Err(ENOTDIR),
                (_, Node::Dir(_)) => return Err(EISDIR),
                _ => {}
            }
        }
        self.unbind(from, &from_name);
        self.bind(to, to_name, id);
        Ok(Vec::new())
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Taken {
    Replace,
    Refuse,
    Exchange,
}

/// Contents and attributes
impl Model {
    pub(super) fn file(&self, id: Id) -> Result<&Vec<u8>, Errno> {
        match &self.at(id).node {
            Node::File(bytes) => Ok(bytes),
            Node::Dir(_) => Err(EISDIR),
            _ => Err(ENXIO),
        }
    }

    pub(super) fn change_file(&mut self, id: Id, change: impl FnOnce(&mut Vec<u8>)) {
        let now = self.now;
        let object = self.edit(id);
        object.modified = now;
        if let Node::File(bytes) = &mut object.node {
            change(bytes);
        }
    }

    pub(super) fn read(&self, path: &str) -> Answer {
        self.file(self.find(path, true)?).cloned()
    }

    /// Writes a whole file, or at its end.
    pub(super) fn write(&mut self, path: &str, data: &[u8], append: bool) -> Answer {
        let spot = self.walk(path, true)?;
        let Some(id) = spot.found else {
            self.create(spot.free()?, Node::File(data.to_vec()), 0o644);
            return Ok(Vec::new());
        };
        self.file(id)?;
        if append && data.is_empty() {
            return Ok(Vec::new());
        }
        self.change_file(id, |bytes| {
            bytes.truncate(if append { usize::MAX } else { 0 });
            bytes.extend(data);
        });
        Ok(Vec::new())
    }

    pub(super) fn copy(&mut self, from: &str, to: &str) -> Answer {
        let data = self.read(from)?;
        let mode = self.at(self.find(from, true)?).mode;
        self.write(to, &data, false)?;
        let copied = self.find(to, true)?;
        self.edit(copied).mode = mode;
        Ok(Vec::new())
    }

    pub(super) fn set(
        &mut self,
        path: &str,
        follow: bool,
        set: impl FnOnce(&mut Object),
    ) -> Answer {
        let id = self.find(path, follow)?;
        set(self.edit(id));
        Ok(Vec::new())
    }

    /// Sets an attribute, or removes it if there is no value.
    pub(super) fn xattr(&mut self, path: &str, name: &str, value: Option<Vec<u8>>) -> Answer {
        let id = self.find(path, true)?;
        if !matches!(self.at(id).node, Node::File(_) | Node::Dir(_)) {
            return Err(EPERM);
        }
        let xattrs = &mut self.edit(id).xattrs;
        match value {
            Some(value) => drop(xattrs.insert(name.to_owned(), value)),
            None => drop(xattrs.remove(name).ok_or(ENODATA)?),
        }
        Ok(Vec::new())
    }
}

impl Object {
    /// chown(2): setuid and, of what a group may run, setgid go.
    pub(super) fn chown(&mut self, uid: u32, gid: u32) {
        (self.uid, self.gid) = (uid, gid);
        if !self.node.is_dir() {
            let setgid = if self.mode & 0o010 > 0 { 0o2000 } else { 0 };
            self.mode &= !(0o4000 | setgid);
        }
    }
}
