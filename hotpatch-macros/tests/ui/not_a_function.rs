use hotpatch_rt::hot;

#[hot]
pub(crate) struct Struct;

#[hot]
enum Enum {}

#[hot]
union Union {
    _a: u32,
}

#[hot]
unsafe trait Trait {}

#[hot]
unsafe impl Trait for Struct {}

#[hot]
mod module {}

#[hot]
const CONST: u32 = 1;

#[hot]
static mut STATIC: u32 = 1;

#[hot]
type Alias = u32;

#[hot]
use std::fmt;

#[hot]
extern crate std as other;

#[hot]
unsafe extern "C" {}

#[hot]
macro_rules! rules {
    () => {};
}

fn main() {
    let _ = (Struct, CONST, unsafe { STATIC }, 1 as Alias);
    let _: Option<(Enum, Union, fmt::Error)> = None;
    let _: Option<&dyn Trait> = None;
    rules!();
}
