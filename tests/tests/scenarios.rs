//! One test per folder of `scenarios/`; see `hotpatch_tests::scenario` for their format.

use hotpatch_tests::{judge, scenario};
use libtest_mimic::{Arguments, Failed, Trial};

/// Scenarios of the fast lane that are run a second time in the exact one, where the oracle alone judges them. All
/// others can be, too: `HOTPATCH_TEST_LANE=exact`.
const IN_THE_EXACT_LANE: &[&str] = &[
    "additions",
    "async_functions",
    "beside_types",
    "captures",
    "drops",
    "free_types",
    "generics_across_crates",
    "heap_and_types",
    "lib_and_bin",
    "made_functions",
    "new_statics",
    "new_thread_locals",
    "new_thread_locals_optimised",
    "panics",
    "restart_build",
    "threads",
];

fn failed(error: anyhow::Error) -> Failed {
    Failed::from(format!("{error:#}"))
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::from_args();
    let names = scenario::names()?;
    let mut trials: Vec<Trial> = names
        .into_iter()
        .map(|name| {
            let test = name.clone();
            Trial::test(name, move || {
                let lane = std::env::var("HOTPATCH_TEST_LANE").ok();
                judge::judge(&test, lane.as_deref()).map_err(failed)
            })
        })
        .collect();
    trials.extend(IN_THE_EXACT_LANE.iter().map(|name| {
        Trial::test(format!("{name} in the exact lane"), || {
            judge::judge(name, Some("exact")).map_err(failed)
        })
    }));
    libtest_mimic::run(&arguments, trials).exit()
}
