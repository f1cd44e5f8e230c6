use hotpatch_rt::hot;

#[hot]
pub fn put() -> String {
    String::new()
}
