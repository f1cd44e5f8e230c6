//! One test per folder of `scenarios/`; see `hotpatch_tests::scenario` for their format.

use hotpatch_tests::{judge, scenario};
use libtest_mimic::{Arguments, Failed, Trial};

fn failed(error: anyhow::Error) -> Failed {
    Failed::from(format!("{error:#}"))
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::from_args();
    let names = scenario::names()?.into_iter();
    let trials = names.map(|name| {
        let test = name.clone();
        Trial::test(name, move || judge::judge(&test).map_err(failed))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit()
}
