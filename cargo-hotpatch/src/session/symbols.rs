//! Which symbol of the program stands for a function of the source.

use crate::image::demangle::demangle;
use crate::image::graph::CallGraph;
use crate::plan::index::Known;

/// The symbol of the function itself, not of closures in it, if there is one and no other; of those that differ in the
/// number of an `impl` the newest.
pub(super) fn only_symbol(known: &Known, graph: &CallGraph) -> Option<String> {
    let names = known.nodes.iter().map(|node| graph.name(*node));
    let mut own = names
        .filter_map(|name| Some((name, demangle(name)?)))
        .filter(|(_, found)| found.rest.is_empty());
    let (mut newest, first) = own.next()?;
    for (name, found) in own {
        if found.text != first.text {
            return None;
        }
        newest = name;
    }
    Some(newest.to_owned())
}
