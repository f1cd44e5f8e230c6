//! Interchangeable bits of the generated code, which the templates receive by name.

/// Type, value made from `id`, value folded into a number, and how two are merged.
pub const FIELDS: [[&str; 4]; 9] = [
    [
        "u32",
        "(id % $num$) as u32",
        "u64::from(self.$field$)",
        "self.$field$ = self.$field$.max(other.$field$);",
    ],
    [
        "u64",
        "id.wrapping_mul($num$)",
        "self.$field$",
        "self.$field$ = self.$field$.wrapping_add(other.$field$);",
    ],
    [
        "i32",
        "(id % $num$) as i32 - $num$",
        "u64::from(self.$field$.unsigned_abs())",
        "self.$field$ -= other.$field$ % $num$;",
    ],
    [
        "bool",
        "id % $num$ == $small$",
        "u64::from(self.$field$)",
        "self.$field$ |= other.$field$;",
    ],
    [
        "String",
        "format!(\"$word$-{}\", id % $num$)",
        "self.$field$.len() as u64",
        "self.$field$.push_str(&other.$field$);",
    ],
    [
        "Vec<u32>",
        "(0..id % $small$).map(|n| n as u32 * $num$).collect()",
        "sum_of(&self.$field$)",
        "self.$field$.extend(other.$field$.iter().take($small$));",
    ],
    [
        "Option<u16>",
        "(id % 3 != 0).then_some((id % $num$) as u16)",
        "self.$field$.map_or($num$, u64::from)",
        "self.$field$ = self.$field$.or(other.$field$);",
    ],
    [
        "f64",
        "id as f64 / $num$.5",
        "(self.$field$.to_bits() >> 32)",
        "self.$field$ = self.$field$.mul_add(0.5, other.$field$);",
    ],
    [
        "(u8, char)",
        "((id % $num$) as u8, '$letter$')",
        "(u64::from(self.$field$.0) << 32 | u64::from(self.$field$.1))",
        "self.$field$.0 ^= other.$field$.0;",
    ],
];

/// The fields of a variant, how they are made and bound, its weight and the state after it.
pub const SHAPES: [[&str; 5]; 4] = [
    ["", "", "", "$num$", "Self::from_number($num$)"],
    [
        "(u32)",
        "((number % $num$) as u32)",
        "(count)",
        "u64::from(*count) + $num$",
        "Self::from_number(u64::from(count))",
    ],
    [
        " { from: u32, to: u32 }",
        " { from: $num$, to: $small$ }",
        " { from, to }",
        "u64::from(*from) * u64::from(*to)",
        "Self::from_number(u64::from(from ^ to))",
    ],
    [
        "(String)",
        "(format!(\"$word$ {number}\"))",
        "(text)",
        "text.len() as u64",
        "Self::from_number(text.len() as u64)",
    ],
];

/// Bodies of closures over `value` and `limit`.
pub const BODIES: [&str; 6] = [
    "Some(value ^ limit)",
    "Some(value.wrapping_mul($num$))",
    "value.checked_add($num$)",
    "(value % $num$ != 0).then_some(value / $small$)",
    "value.checked_sub(limit)",
    "(value != $num$).then(|| value.rotate_left($small$))",
];
