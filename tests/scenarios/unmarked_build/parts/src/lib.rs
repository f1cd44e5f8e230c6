pub fn parts() -> u32 {
    3
}
