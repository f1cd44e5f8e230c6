//! A crate that others know by another name.

pub mod v1 {
    #[derive(Debug, Default, Clone)]
    pub struct Form {
        pub corners: u8,
    }
}

pub mod v2 {
    #[derive(Debug, Default, Clone)]
    pub struct Form {
        pub corners: u64,
    }
}

pub use v1::Form;
