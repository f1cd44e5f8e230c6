pub fn system() -> &'static str {
    "unix"
}
