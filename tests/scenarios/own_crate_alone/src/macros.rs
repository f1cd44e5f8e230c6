macro_rules! doubled {
    ($text:expr) => {
        joined!($text, $text)
    };
}

macro_rules! joined {
    ($one:expr, $two:expr) => {
        format!("{}{}", $one, $two)
    };
}

pub(crate) use doubled;
pub(crate) use joined;
