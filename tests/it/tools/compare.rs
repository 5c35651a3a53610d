//! Compares two listings line by line.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;

use super::listing::{Listing, Object};

/// So many differences are shown.
const SHOWN: usize = 20;

/// What cannot be the same, because a tool loses it.
#[derive(Clone, Copy)]
pub(super) struct Quirk {
    /// What the tool does, and why.
    pub(super) why: &'static str,
    /// Makes the one thing that cannot be compared the same on both sides.
    pub(super) forget: fn(&mut Object),
}

/// Whose listing it is.
pub(super) type Named<'a> = (&'a str, &'a Listing);

/// The lines of both must be the same, but for the quirks. One that is not needed is printed, as it may be gone in the
/// version of the tool that is here.
pub(super) fn assert_same(there: Named<'_>, here: Named<'_>, quirks: &[Quirk]) {
    let found = differences(there.1, here.1, quirks);
    let mut text = format!("{} differences (- {}, + {}):\n", found.len(), there.0, here.0);
    for [there, here] in found.iter().take(SHOWN) {
        let _ = write!(text, "{there}{here}");
    }
    assert!(found.is_empty(), "{text}");
    for (index, quirk) in quirks.iter().enumerate() {
        let mut others = quirks.to_vec();
        others.remove(index);
        if differences(there.1, here.1, &others).is_empty() {
            println!("{} and {} agree without: {}", there.0, here.0, quirk.why);
        }
    }
}

/// The lines that differ, each with its sign; empty where there is none.
fn differences(there: &Listing, here: &Listing, quirks: &[Quirk]) -> Vec<[String; 2]> {
    let (mut there, mut here) = (neutral(there, quirks), neutral(here, quirks));
    for (path, (there, _)) in &mut there {
        let Some((here, _)) = here.get_mut(path) else { continue };
        if there.nlink.is_none() || here.nlink.is_none() {
            (there.nlink, here.nlink) = (None, None);
        }
    }
    let paths: BTreeSet<_> = there.keys().chain(here.keys()).collect();
    let lines = |path| [line('-', there.get(path)), line('+', here.get(path))];
    let differ = |[there, here]: &[String; 2]| there.get(1..) != here.get(1..);
    paths.into_iter().map(lines).filter(differ).collect()
}

fn line(sign: char, object: Option<&(Object, String)>) -> String {
    let Some((object, first)) = object else { return String::new() };
    let json = serde_json::to_string(object).unwrap();
    let link = if object.path == *first { "" } else { first };
    format!("{sign} {json} {link}\n")
}

/// Each object without its number, but with the first path of the same object, so that any numbers compare.
fn neutral(listing: &Listing, quirks: &[Quirk]) -> BTreeMap<Vec<u8>, (Object, String)> {
    let mut first: HashMap<u64, String> = HashMap::new();
    let mut all = BTreeMap::new();
    for (path, object) in listing {
        let mut object = object.clone();
        quirks.iter().for_each(|quirk| (quirk.forget)(&mut object));
        let same = first.entry(object.ino).or_insert_with(|| object.path.clone()).clone();
        object.ino = 0;
        all.insert(path.clone(), (object, same));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(objects: &[(&str, u64)]) -> Listing {
        let object = |&(path, ino): &(&str, u64)| {
            let object = Object { ino, ..Object::new(path.as_bytes(), "reg") };
            (path.as_bytes().to_vec(), object)
        };
        objects.iter().map(object).collect()
    }

    #[test]
    fn other_numbers_for_the_same_objects_are_no_difference() {
        let (there, here) =
            (listing(&[("a", 1), ("b", 2), ("c", 1)]), listing(&[("a", 7), ("b", 1), ("c", 7)]));
        assert_same(("one", &there), ("other", &here), &[]);
    }

    #[test]
    fn a_link_too_few_a_missing_object_and_another_field_are_found() {
        let there = listing(&[("a", 1), ("b", 2), ("c", 1), ("d", 4), ("e", 5)]);
        let mut here = listing(&[("a", 1), ("b", 2), ("c", 3), ("e", 5)]);
        here.get_mut(&b"e"[..]).unwrap().mode = "0644".into();
        let found = differences(&there, &here, &[]);
        let paths = found.iter().map(|[there, _]| there.split('"').nth(3).unwrap());
        assert_eq!(paths.collect::<Vec<_>>(), ["c", "d", "e"]);
        assert_eq!(found[1][1], "", "there is no such line");
    }

    #[test]
    fn a_quirk_hides_what_it_names_and_nothing_else() {
        let there = listing(&[("a", 1), ("b", 2)]);
        let mut here = there.clone();
        here.values_mut().for_each(|object| object.mtime_ns = 5);
        let forget = |object: &mut Object| {
            if object.path == "a" {
                object.mtime_ns = 0;
            }
        };
        let found = differences(&there, &here, &[Quirk { why: "a test", forget }]);
        assert_eq!(found.len(), 1);
    }
}
