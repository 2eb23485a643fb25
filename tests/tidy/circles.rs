//! Finds which modules name which others, and groups of modules that name each other.
//!
//! In each folder, the modules side by side are compared, each with everything below it: if
//! `a/x.rs` names `b/y.rs`, there is an arrow from `a` to `b`. A module and the modules below it
//! may name each other, because they are one unit in several files. A name that a module imports
//! with `use` counts for the module that defines it.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Path, Source, paths};

/// The modules by path, with their files.
struct Tree<'a> {
    files: BTreeMap<Vec<String>, File<'a>>,
}

struct File<'a> {
    source: &'a Source,
    paths: Vec<Path>,
    /// The path of each import, by the name that it brings in.
    imports: BTreeMap<String, Vec<String>>,
}

/// One module names something of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrow {
    /// The module that contains both.
    folder: String,
    from: String,
    /// [`UP`] for an item of the folder's own module.
    to: String,
    /// The place in the source.
    place: String,
}

const UP: &str = "super";

/// Returns every arrow between modules side by side, and from a module to its folder. Only code
/// that is compiled without tests counts.
pub(crate) fn arrows(sources: &[Source]) -> BTreeSet<Arrow> {
    let tree = Tree::new(sources);
    let mut arrows = BTreeSet::new();
    for (module, file) in &tree.files {
        for path in &file.paths {
            let Some(target) = tree.target(module, path) else {
                continue;
            };
            let common = module.iter().zip(&target).take_while(|(a, b)| a == b);
            let depth = common.count();
            // The target is the module itself or below it.
            let Some(from) = module.get(depth) else {
                continue;
            };
            arrows.insert(Arrow {
                folder: module[..depth].join("/"),
                from: from.clone(),
                to: target.get(depth).cloned().unwrap_or_else(|| UP.to_owned()),
                place: format!("{}:{}: {}", file.source.path, path.line, path.text()),
            });
        }
    }
    arrows
}

/// Returns the groups of modules that name each other, as `folder: a, b`, with an arrow for each
/// pair.
pub(crate) fn circles(arrows: &BTreeSet<Arrow>) -> Vec<String> {
    let mut by_folder: BTreeMap<&str, Vec<&Arrow>> = BTreeMap::new();
    for arrow in arrows.iter().filter(|arrow| arrow.to != UP) {
        by_folder.entry(&arrow.folder).or_default().push(arrow);
    }
    let mut found = Vec::new();
    for (folder, arrows) in by_folder {
        for group in groups(&arrows) {
            let names: Vec<_> = group.iter().copied().collect();
            found.push(format!("{folder}: {}", names.join(", ")));
            let inside = arrows.iter().filter(|arrow| {
                group.contains(arrow.from.as_str()) && group.contains(arrow.to.as_str())
            });
            found.extend(inside.map(|arrow| format!("  {}", arrow.place)));
        }
    }
    found
}

/// Which modules of a folder may name which others. A module that is not listed may name any.
pub(crate) type Allowed = (
    &'static str,
    &'static [(&'static str, &'static [&'static str])],
);

/// Returns the arrows of this folder that are not allowed.
pub(crate) fn wrong_arrows(arrows: &BTreeSet<Arrow>, (folder, table): Allowed) -> Vec<String> {
    let inside = arrows.iter().filter(|arrow| arrow.folder == folder);
    let is_wrong = |arrow: &&Arrow| {
        let row = table.iter().find(|(from, _)| *from == arrow.from);
        row.is_some_and(|(_, allowed)| !allowed.contains(&arrow.to.as_str()))
    };
    inside
        .filter(is_wrong)
        .map(|arrow| format!("{}, which `{}` may not name", arrow.place, arrow.from))
        .collect()
}

/// Returns the groups of two modules or more in which each can be reached from each other one.
fn groups<'a>(arrows: &[&'a Arrow]) -> Vec<BTreeSet<&'a str>> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for arrow in arrows {
        next.entry(&arrow.from).or_default().insert(&arrow.to);
    }
    let reach = |start: &'a str| {
        let mut seen = BTreeSet::new();
        let mut open = vec![start];
        while let Some(module) = open.pop() {
            let targets = next.get(module).into_iter().flatten();
            open.extend(targets.filter(|target| seen.insert(**target)).copied());
        }
        seen
    };
    let reached: BTreeMap<&str, _> = next.keys().map(|module| (*module, reach(module))).collect();
    let mut groups: Vec<BTreeSet<&str>> = Vec::new();
    for (module, seen) in &reached {
        let is_back = |other: &&&str| reached.get(**other).is_some_and(|s| s.contains(module));
        let group: BTreeSet<_> = seen.iter().filter(is_back).copied().collect();
        if group.len() > 1 && !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

impl<'a> Tree<'a> {
    fn new(sources: &'a [Source]) -> Self {
        let of_crate = sources.iter().filter_map(|source| {
            let paths = paths(&source.production);
            let imports = paths.iter().filter(|path| path.is_import);
            let file = File {
                source,
                imports: imports
                    .filter_map(|path| Some((path.segments.last()?.clone(), path.segments.clone())))
                    .collect(),
                paths,
            };
            Some((source.module()?, file))
        });
        Self {
            files: of_crate.collect(),
        }
    }

    /// Returns the module that defines the item of a path, or `None` for an item outside of the
    /// crate.
    fn target(&self, module: &[String], path: &Path) -> Option<Vec<String>> {
        self.resolve(module, &path.segments, 0)
    }

    fn resolve(&self, module: &[String], segments: &[String], depth: usize) -> Option<Vec<String>> {
        let supers = segments.iter().take_while(|name| *name == "super").count();
        let (mut at, rest) = match segments.first()?.as_str() {
            "crate" => (Vec::new(), &segments[1..]),
            "self" => (module.to_vec(), &segments[1..]),
            "super" => (
                module[..module.len().checked_sub(supers)?].to_vec(),
                &segments[supers..],
            ),
            _ => (module.to_vec(), segments),
        };
        let is_local = std::ptr::eq(rest, segments);
        for (index, name) in rest.iter().enumerate() {
            let mut child = at.clone();
            child.push(name.clone());
            if self.files.contains_key(&child) {
                at = child;
                continue;
            }
            // A name that the module itself imported.
            let is_own = is_local && index == 0;
            let origin = match is_own {
                true => None,
                false => self.origin(&at, name, depth),
            };
            return match origin {
                Some(origin) => Some(origin),
                None if is_own => None,
                None => Some(at),
            };
        }
        Some(at)
    }

    /// Returns the module that a name was imported from, if it is not defined here.
    fn origin(&self, module: &[String], name: &str, depth: usize) -> Option<Vec<String>> {
        // A name passes through few modules. The limit ends the search if two modules import it
        // from each other.
        if depth > 8 {
            return None;
        }
        let imported = self.files.get(module)?.imports.get(name)?;
        self.resolve(module, imported, depth + 1)
    }
}
