//! One test per scenario in which its program is started anew after each edit; see `hotpatch_tests::anew`.
//!
//! Without a name, those that say most about it are taken; with `HOTPATCH_TEST_ALL=1`, all.

use hotpatch_tests::{anew, scenario};
use libtest_mimic::{Arguments, Failed, Trial};

/// What differs is of every kind in these: types, statics, thread-locals, constants, traits, signatures, crates.
const FEW: &[&str] = &[
    "constant_pointers",
    "disguises",
    "generics_across_crates",
    "new_thread_locals",
    "outgrown_static",
    "refused_signatures",
    "refused_types",
    "statics",
    "thread_locals",
    "trait_objects_go",
    "two_worlds",
];

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::from_args();
    let names = scenario::meant(FEW, arguments.filter.is_some())?;
    let trials = names.into_iter().map(|name| {
        let test = name.clone();
        Trial::test(name, move || {
            let starts = anew::judge(&test).map_err(|error| Failed::from(format!("{error:#}")))?;
            let built = starts.builds.len();
            println!(
                "{test}: {} starts, {built} built: {:?}",
                starts.count, starts.builds
            );
            Ok(())
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit()
}
