//! The one path walk: symbolic links, `..`, trailing slashes, mount points, permissions, the loop limit.

use crate::credentials::{Access, Credentials};
use crate::error::{ErrorKind, Fault};
use crate::path::{NAME_MAX, Name, PATH_MAX};
use crate::tree::{Found, Ino, Inode, Node, Tree};

/// As many symbolic links as Linux follows in one walk (`path_resolution(7)`).
const LINKS_MAX: u32 = 40;

/// An object in one of the trees that a walk can reach: 0 is the container's own, `n + 1` that of mount `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) mount: usize,
    pub(crate) ino: Ino,
}

impl Place {
    pub(crate) const ROOT: Self = Self { mount: 0, ino: Ino::ROOT };
}

/// Where a volume's root covers a directory.
#[derive(Clone, Debug)]
pub(crate) struct MountPoint {
    pub(crate) at: Place,
    /// The path that it was mounted at, without a leading `/`.
    pub(crate) path: Box<[u8]>,
}

/// Everything a path can lead to, as seen by somebody. `volumes[n]` is what `mounts[n]` shows.
#[derive(Clone, Copy)]
pub(crate) struct Space<'a> {
    pub(crate) root: &'a Tree,
    pub(crate) volumes: &'a [&'a Tree],
    pub(crate) mounts: &'a [MountPoint],
    pub(crate) creds: &'a Credentials,
}

pub(crate) static ROOT: Credentials = Credentials::ROOT;

/// Whether a symbolic link at the end of the path is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    Yes,
    /// Only if the path ends in `/`.
    No,
    /// Not even then: the path names a name, to make or remove it.
    Never,
    /// Unless what is to be followed ends in `/`: then it names no file that could be made.
    ToMake,
}

/// The last component of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last<'a> {
    Name(&'a [u8]),
    Dot,
    DotDot,
    Root,
}

/// Where a path led.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    /// The directory that holds, or would hold, the last name.
    pub(crate) dir: Place,
    pub(crate) last: Last<'a>,
    /// What is there.
    pub(crate) found: Option<Place>,
    /// The path ended in `/`: only a directory will do.
    pub(crate) dir_only: bool,
}

impl<'a> Space<'a> {
    /// One tree, seen by root: no volumes, no permission checks.
    pub(crate) fn of(root: &'a Tree) -> Self {
        Self { root, volumes: &[], mounts: &[], creds: &ROOT }
    }

    pub(crate) fn tree(&self, place: Place) -> &'a Tree {
        match place.mount.checked_sub(1) {
            None => self.root,
            Some(volume) => self.volumes[volume],
        }
    }

    pub(crate) fn inode(&self, place: Place) -> &'a Inode {
        self.tree(place).expect(place.ino)
    }

    /// The object that a path leads to.
    pub(crate) fn lookup(&self, path: &[u8], follow: Follow) -> Result<Place, Fault> {
        match self.find(path.strip_prefix(b"/").unwrap_or(path)) {
            Found::At(ino) if !path.is_empty() => {
                let place = Place { mount: 0, ino };
                if follow != Follow::Yes || !matches!(self.inode(place).node, Node::Symlink(_)) {
                    return Ok(place);
                }
            }
            Found::Missing => return Err(ErrorKind::NotFound.into()),
            Found::At(_) | Found::Unknown => {}
        }
        self.walk(path, follow)?.existing(self)
    }

    /// Asks the index of whole paths, where it can be trusted: nobody is kept from searching, no volume covers the path.
    fn find(&self, path: &[u8]) -> Found {
        let covered = |mount: &MountPoint| {
            path.strip_prefix(&*mount.path).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        };
        match self.mounts {
            _ if !self.creds.is_root() => Found::Unknown,
            [] => self.root.find(path),
            mounts if mounts.iter().any(covered) => Found::Unknown,
            // Only where nothing moved do the paths of the mount points say what they cover.
            _ => self.root.find_unmoved(path),
        }
    }

    /// Walks as far as the last component.
    pub(crate) fn walk<'p>(&self, path: &'p [u8], follow: Follow) -> Result<Walk<'p>, Fault>
    where
        'a: 'p,
    {
        match path {
            b"" => return Err(ErrorKind::NotFound.into()),
            _ if path.len() > PATH_MAX => return Err(ErrorKind::NameTooLong.into()),
            _ if path.contains(&0) => {
                return Err(Fault::rule(ErrorKind::InvalidInput, "a path has no NUL byte"));
            }
            _ => {}
        }
        let (start, rest) = self.shortcut(path).unwrap_or((Place::ROOT, path));
        Walker { space: *self, at: start, todo: Vec::new(), links: 0, dir_only: false }
            .run(rest, follow)
    }

    /// If the index knows the directory of the last component: that directory, and the component.
    fn shortcut<'p>(&self, path: &'p [u8]) -> Option<(Place, &'p [u8])> {
        let relative = path.strip_prefix(b"/").unwrap_or(path);
        let slash = relative.iter().rposition(|&byte| byte == b'/')?;
        let Found::At(ino) = self.find(&relative[..slash]) else { return None };
        let dir = Place { mount: 0, ino };
        let name = &relative[slash + 1..];
        // An empty name is a trailing slash, and what is before it need not be a directory.
        (self.inode(dir).is_dir() && !name.is_empty()).then_some((dir, name))
    }

    /// The directory above; from the root of a volume, the one above its mount point.
    pub(crate) fn parent(&self, dir: Place) -> Place {
        let mut dir = dir;
        while dir.ino == Ino::ROOT && dir.mount > 0 {
            dir = self.mounts[dir.mount - 1].at;
        }
        Place { ino: self.tree(dir).parent(dir.ino), ..dir }
    }

    /// What a name in a directory leads to, a volume's root where one is mounted.
    pub(crate) fn child(&self, dir: Place, name: &[u8]) -> Option<Place> {
        let ino = self.tree(dir).lookup(dir.ino, name)?;
        Some(self.enter(Place { ino, ..dir }))
    }

    pub(crate) fn enter(&self, place: Place) -> Place {
        match self.mounts.iter().rposition(|mount| mount.at == place) {
            Some(mount) => self.enter(Place { mount: mount + 1, ino: Ino::ROOT }),
            None => place,
        }
    }

    /// The path of a directory from the root of the space, without a leading `/`.
    pub(crate) fn path_of_dir(&self, dir: Place) -> Vec<u8> {
        let path = self.tree(dir).path_of_dir(dir.ino);
        match dir.mount.checked_sub(1) {
            None => path,
            Some(mount) if path.is_empty() => self.path_of_dir(self.mounts[mount].at),
            Some(mount) => crate::path::join(&self.path_of_dir(self.mounts[mount].at), &path),
        }
    }
}

struct Walker<'p> {
    space: Space<'p>,
    at: Place,
    /// Rests of paths, the innermost last; each has a name in it.
    todo: Vec<&'p [u8]>,
    links: u32,
    dir_only: bool,
}

impl<'p> Walker<'p> {
    fn run(mut self, path: &'p [u8], follow: Follow) -> Result<Walk<'p>, Fault> {
        self.push(path);
        while let Some(name) = self.next_name() {
            let is_last = self.todo.is_empty();
            self.space.creds.check(self.space.inode(self.at), Access::SEARCH)?;
            match name {
                b"." if is_last => return Ok(self.ends_at(Last::Dot)),
                b"." => {}
                b".." => {
                    let dir = self.space.parent(self.at);
                    if is_last {
                        return Ok(Walk {
                            dir,
                            last: Last::DotDot,
                            found: Some(dir),
                            dir_only: true,
                        });
                    }
                    self.at = dir;
                }
                // The last name is looked up by whoever asked: rename(2) has its own order.
                _ if name.len() > NAME_MAX && !is_last => {
                    return Err(ErrorKind::NameTooLong.into());
                }
                _ => {
                    let found = self.space.child(self.at, name);
                    let target = found.and_then(|place| match &self.space.inode(place).node {
                        Node::Symlink(target) => Some(&**target),
                        _ => None,
                    });
                    match (found, target) {
                        (_, Some(target)) if !is_last || self.follows(follow) => {
                            self.follow(target)?
                        }
                        _ if is_last => {
                            let Self { at: dir, dir_only, .. } = self;
                            return Ok(Walk { dir, last: Last::Name(name), found, dir_only });
                        }
                        (Some(place), _) if self.space.inode(place).is_dir() => self.at = place,
                        (Some(_), _) => return Err(ErrorKind::NotADirectory.into()),
                        (None, _) => return Err(ErrorKind::NotFound.into()),
                    }
                }
            }
        }
        Ok(self.ends_at(Last::Root))
    }

    fn ends_at(&self, last: Last<'p>) -> Walk<'p> {
        Walk { dir: self.at, last, found: Some(self.at), dir_only: true }
    }

    fn follows(&self, follow: Follow) -> bool {
        match follow {
            Follow::Yes => true,
            Follow::No => self.dir_only,
            Follow::Never => false,
            Follow::ToMake => !self.dir_only,
        }
    }

    fn follow(&mut self, target: &'p [u8]) -> Result<(), Fault> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(ErrorKind::FilesystemLoop.into());
        }
        if target.is_empty() {
            return Err(ErrorKind::NotFound.into());
        }
        self.push(target);
        Ok(())
    }

    fn push(&mut self, path: &'p [u8]) {
        if path.starts_with(b"/") {
            self.at = self.space.enter(Place::ROOT);
        }
        if path.iter().any(|&byte| byte != b'/') {
            self.todo.push(path);
        }
    }

    fn next_name(&mut self) -> Option<&'p [u8]> {
        let path = self.todo.pop()?;
        let start = path.iter().position(|&byte| byte != b'/')?;
        let path = &path[start..];
        let end = path.iter().position(|&byte| byte == b'/').unwrap_or(path.len());
        let rest = &path[end..];
        if rest.iter().any(|&byte| byte != b'/') {
            self.todo.push(rest);
        } else if self.todo.is_empty() {
            self.dir_only |= !rest.is_empty();
        }
        Some(&path[..end])
    }
}

impl Walk<'_> {
    /// The last component, unless the path ends in `.` or `..` or is the root.
    pub(crate) fn last_name(&self) -> Option<Name> {
        if let Last::Name(name) = self.last { Some(name.into()) } else { None }
    }

    /// Whether the last component can be a name at all.
    pub(crate) fn check_name(&self) -> Result<(), ErrorKind> {
        match self.last {
            Last::Name(name) if name.len() > NAME_MAX => Err(ErrorKind::NameTooLong),
            _ => Ok(()),
        }
    }

    /// What is there, or the error that asking for it gives.
    pub(crate) fn existing(&self, space: &Space<'_>) -> Result<Place, Fault> {
        self.check_name()?;
        let place = self.found.ok_or(ErrorKind::NotFound)?;
        if self.dir_only && !space.inode(place).is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        Ok(place)
    }
}
