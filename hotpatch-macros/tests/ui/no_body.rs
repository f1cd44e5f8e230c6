use hotpatch_rt::hot;

trait Shape {
    #[hot]
    fn area(&self) -> f64;
}

unsafe extern "C" {
    #[hot]
    fn abs(n: i32) -> i32;

    #[hot]
    safe fn labs(n: i64) -> i64;
}

fn main() {
    unsafe { abs(1) };
    labs(1);
}
