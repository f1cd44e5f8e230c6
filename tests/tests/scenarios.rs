//! One test per folder of `scenarios/`; see `hotpatch_tests::scenario` for their format.

use hotpatch_tests::{judge, scenario};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::from_args();
    let trials = scenario::names()?.into_iter().map(|name| {
        let test = name.clone();
        Trial::test(name, move || {
            judge::judge(&test).map_err(|error| Failed::from(format!("{error:#}")))
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit()
}
