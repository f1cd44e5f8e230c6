//! One test per scenario in which its program is led back and forth after each edit; see `hotpatch_tests::steps`.
//!
//! Without a name, those that say most about it are taken; with `HOTPATCH_TEST_ALL=1`, all.

use hotpatch_tests::{scenario, steps};
use libtest_mimic::{Arguments, Failed, Trial};

/// What differs is of every kind in these: bodies, types, statics, thread-locals, constants, traits, closures, crates.
const FEW: &[&str] = &[
    "constant_pointers",
    "hot_futures",
    "new_statics",
    "new_thread_locals",
    "renumbered_impls",
    "statics",
    "two_worlds",
];

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::from_args();
    let names = scenario::meant(FEW, arguments.filter.is_some())?;
    let trials = names.into_iter().map(|name| {
        let test = name.clone();
        Trial::test(name, move || {
            let steps = steps::judge(&test).map_err(|error| Failed::from(format!("{error:#}")))?;
            println!(
                "{test}: {} steps, {} linked, {} refused: {:?}",
                steps.taken,
                steps.linked,
                steps.refused.len(),
                steps.refused
            );
            Ok(())
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit()
}
