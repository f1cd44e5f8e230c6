pub fn beside() -> u32 {
    7
}
