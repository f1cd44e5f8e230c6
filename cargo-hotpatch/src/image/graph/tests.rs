//! The graph of a small crate and what a patch does to it.

use super::{CallGraph, NodeId, NodeKind};
use crate::image::samples::Samples;
use std::collections::HashMap;

const APP: &str = r#"
    pub static LIMIT: std::sync::Mutex<u32> = std::sync::Mutex::new(3);
    pub trait Draw { fn draw(&self) -> u32; }
    pub struct World;
    impl Draw for World { #[inline(never)] fn draw(&self) -> u32 { deep() } }
    #[inline(never)] pub fn deep() -> u32 { *LIMIT.lock().unwrap() }
    #[inline(never)] pub fn through_vtable(draw: &dyn Draw) -> u32 { draw.draw() }
    #[inline(never)] pub fn makes_vtable() -> u32 { through_vtable(&World) }
    #[inline(never)] pub fn closure() -> u32 { (0..3).map(|n| n + helper(n)).sum() }
    #[inline(never)] fn helper(n: u32) -> u32 { n * 7 }
    #[inline(never)] pub fn pointer() -> fn(u32) -> u32 { helper }
    #[inline(never)] pub fn alone() {}
    static TABLE: [fn() -> u32; 2] = [deep, makes_vtable];
    #[inline(never)] pub fn table(n: usize) -> u32 { TABLE[n]() }
"#;

const PATCH: &str = r#"
    unsafe extern "Rust" { safe fn SYMBOL_OF_ALONE(); }
    #[inline(never)] fn new_closure() -> u32 { fresh(); 0 }
    #[inline(never)] fn fresh() { SYMBOL_OF_ALONE() }
    #[repr(C)] struct Pair(*const (), *const (), usize);
    unsafe impl Sync for Pair {}
    #[used] #[unsafe(link_section = ".hp_pairs")]
    static PAIRS: Pair = Pair(SYMBOL_OF_ALONE as *const (), new_closure as *const (), 0);
"#;

struct App {
    graph: CallGraph,
    samples: Samples,
}

fn app(level: &str) -> App {
    let samples = Samples::new();
    let library = samples.rustc(
        APP,
        "libapp.rlib",
        &[
            "--crate-type=rlib",
            "-Clink-dead-code",
            "-Cincremental=state",
            level,
            "-Cdebuginfo=2",
        ],
    );
    let data = std::fs::read(library).unwrap();
    let graph = CallGraph::from_rlibs([("app", &data[..])]).unwrap();
    App { graph, samples }
}

fn find(graph: &CallGraph, text: &str) -> NodeId {
    let is_it = |node: &NodeId| graph.demangled(*node).is_some_and(|name| name.text == text);
    graph
        .nodes()
        .find(is_it)
        .unwrap_or_else(|| panic!("{text}"))
}

fn reaches(graph: &CallGraph, from: &str, to: &str) -> bool {
    let (from, to) = (find(graph, from), find(graph, to));
    let forward = graph.reach_forward([from], |_| false).contains(to);
    assert_eq!(
        forward,
        graph.reach_backward([to], |_| false).contains(from),
        "the directions disagree"
    );
    forward
}

#[test]
fn edges_of_a_crate() {
    for level in ["-Copt-level=0", "-Copt-level=3"] {
        let App { graph, .. } = app(level);
        for (from, to) in [
            ("app::makes_vtable", "<app::World as app::Draw>::draw"),
            ("app::makes_vtable", "app::LIMIT"),
            ("app::deep", "app::LIMIT"),
            ("app::closure", "app::helper"),
            ("app::pointer", "app::helper"),
            ("app::table", "app::LIMIT"),
        ] {
            assert!(reaches(&graph, from, to), "{from} -> {to} at {level}");
        }
        for (from, to) in [
            ("app::alone", "app::helper"),
            ("app::through_vtable", "app::deep"),
            ("app::helper", "app::closure"),
            ("app::deep", "app::makes_vtable"),
        ] {
            assert!(!reaches(&graph, from, to), "{from} -> {to} at {level}");
        }
        let limit = find(&graph, "app::LIMIT");
        assert_eq!(
            (graph.kind(limit), graph.krate(limit)),
            (NodeKind::Data, Some("app"))
        );
        assert_eq!(graph.node(graph.name(limit)), Some(limit));
        let outside = graph
            .nodes()
            .find(|node| graph.kind(*node) == NodeKind::Undefined)
            .unwrap();
        assert_eq!(graph.krate(outside), None);
    }
}

#[test]
fn a_search_stops_where_told_but_not_at_its_start() {
    let App { graph, .. } = app("-Copt-level=0");
    let [start, middle, end] = [
        "app::makes_vtable",
        "<app::World as app::Draw>::draw",
        "app::deep",
    ]
    .map(|name| find(&graph, name));
    let reached = graph.reach_forward([start], |node| node == middle || node == start);
    assert!(reached.contains(middle) && !reached.contains(end));
}

#[test]
fn a_patch_replaces_edges_and_a_clone_keeps_the_old_ones() {
    let App { mut graph, samples } = app("-Copt-level=0");
    let before = graph.clone();
    let alone = graph.name(find(&graph, "app::alone")).to_owned();
    let closure = graph.name(find(&graph, "app::closure")).to_owned();
    let object = samples.object(
        &PATCH.replace("SYMBOL_OF_ALONE", &alone),
        &["-Cmetadata=patch"],
    );
    let pairs = crate::image::object_file::PatchObject::parse(&object)
        .unwrap()
        .pairs;
    let rename = HashMap::from([(pairs[0].new.clone(), closure.clone())]);
    graph.add_object("app", &object, &rename).unwrap();
    assert!(reaches(&graph, "app::closure", "app::alone"));
    assert!(reaches(&graph, "app::fresh", "app::alone"));
    assert!(!reaches(&graph, "app::closure", "app::helper"));
    assert_eq!(graph.node(&pairs[0].new), None);
    assert!(!reaches(&before, "app::closure", "app::alone"));
    assert!(reaches(&before, "app::closure", "app::helper"));
    assert_eq!(graph.node(&closure), before.node(&closure));
}

#[test]
fn added_edges_count_in_both_directions() {
    let App { mut graph, .. } = app("-Copt-level=0");
    let [alone, closure] = ["app::alone", "app::closure"].map(|name| find(&graph, name));
    graph.add_edge(alone, closure);
    graph.add_edge(alone, closure);
    assert!(reaches(&graph, "app::alone", "app::helper"));
    assert_eq!(
        graph
            .callers(closure)
            .filter(|caller| *caller == alone)
            .count(),
        1
    );
    graph.set_callees(alone, Vec::new());
    assert!(!reaches(&graph, "app::alone", "app::helper"));
}

#[test]
fn what_is_not_an_archive_is_an_error() {
    assert!(CallGraph::from_rlibs([("app", &b"nonsense"[..])]).is_err());
}
