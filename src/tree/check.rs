//! Whether a tree keeps its promises: run after every property test, cheap enough for a test of one's own.

use std::collections::HashMap;

use super::{Found, Ino, Tree};
use crate::path;

impl Tree {
    /// Everything that is wrong, a sentence each. O(names × depth).
    pub(crate) fn check(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut links: HashMap<Ino, u32> = HashMap::from([(Ino::ROOT, 2)]);
        let mut below = vec![(Ino::ROOT, Vec::new())];
        while let Some((dir, dir_path)) = below.pop() {
            let mut last: Option<Vec<u8>> = None;
            for (name, ino) in self.children(dir) {
                let path = path::join(&dir_path, name);
                let shown = path.escape_ascii();
                if last.as_deref().is_some_and(|last| last >= name) {
                    faults.push(format!("/{shown}: listed twice or out of order"));
                }
                last = Some(name.to_vec());
                if self.lookup(dir, name) != Some(ino) {
                    faults.push(format!(
                        "/{shown}: listed, but looked up as {:?}",
                        self.lookup(dir, name)
                    ));
                }
                match self.find(&path) {
                    Found::At(found) if found != ino => {
                        faults.push(format!("/{shown}: the index leads to {found:?}"))
                    }
                    Found::Missing => faults.push(format!("/{shown}: the index calls it missing")),
                    _ => {}
                }
                let Some(inode) = self.inode(ino) else {
                    faults.push(format!("/{shown}: leads to no inode"));
                    continue;
                };
                if ino.0 >= self.next_ino {
                    faults.push(format!("/{shown}: number {} was never given out", ino.0));
                }
                if !self
                    .names_of(ino)
                    .iter()
                    .any(|(named_in, known)| *named_in == dir && **known == *name)
                {
                    faults.push(format!("/{shown}: its inode does not know this name"));
                }
                if inode.is_dir() {
                    *links.entry(dir).or_default() += 1;
                    if links.insert(ino, 2).is_some() {
                        faults.push(format!("/{shown}: a directory with two names"));
                        continue;
                    }
                    if self.parent(ino) != dir {
                        faults.push(format!("/{shown}: its `..` leads elsewhere"));
                    }
                    below.push((ino, path));
                } else {
                    *links.entry(ino).or_default() += 1;
                }
            }
        }
        for (&ino, &count) in &links {
            match self.inode(ino) {
                Some(inode) if inode.nlink != count => {
                    faults.push(format!("inode {}: {} links, {count} counted", ino.0, inode.nlink));
                }
                _ => {}
            }
        }
        faults.extend(
            self.slots
                .iter()
                .map(|(ino, _)| ino)
                .filter(|ino| !links.contains_key(ino))
                .map(|ino| format!("inode {}: changed, but no name leads to it", ino.0)),
        );
        faults
    }
}
