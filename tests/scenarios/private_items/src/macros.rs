//! Macros of the crate.

macro_rules! join {
    ($between:literal, $first:expr $(, $more:expr)* $(,)?) => {
        [$first.to_string() $(, $more.to_string())*].join($between)
    };
}
