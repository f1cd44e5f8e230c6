//! Values of a program as people read them, by the types that debug information describes. Pure: who asks reads the memory.
//!
//! No address is ever shown: a reference is followed, and what cannot be told is `_`.

use crate::image::layouts::{Kind, Layout, Layouts, Member};

/// References and values in values are followed so far.
const DEPTH: u32 = 6;
/// Of a list so many elements are shown.
const ELEMENTS: u64 = 16;
/// Of a text so many bytes.
const TEXT: u64 = 400;

/// What stands for what cannot be told.
const UNTOLD: &str = "_";

/// Reads so many bytes at an address.
pub type Read<'a> = &'a dyn Fn(u64, usize) -> Option<Vec<u8>>;

/// Types whose one field of this name is what people think of.
const TRANSPARENT: &[(&str, &str)] = &[
    ("core::cell::UnsafeCell", "value"),
    ("core::cell::Cell", "value"),
    ("core::cell::SyncUnsafeCell", "value"),
    ("core::cell::RefCell", "value"),
    ("core::cell::once::OnceCell", "inner"),
    ("core::mem::manually_drop::ManuallyDrop", "value"),
    ("core::num::nonzero::NonZero", "__0"),
    ("core::num::wrapping::Wrapping", "__0"),
    ("std::sync::poison::mutex::Mutex", "data"),
    ("std::sync::poison::rwlock::RwLock", "data"),
    ("lock_api::mutex::Mutex", "data"),
    ("lock_api::rwlock::RwLock", "data"),
];

/// Values of a program.
pub struct Values<'a> {
    types: &'a Layouts,
    read: Read<'a>,
}

impl<'a> Values<'a> {
    /// Of these types, in this memory.
    #[must_use]
    pub fn new(types: &'a Layouts, read: Read<'a>) -> Self {
        Self { types, read }
    }

    /// The value of a type at an address.
    #[must_use]
    pub fn text(&self, ty: &str, at: u64) -> String {
        self.value(ty, at, DEPTH)
            .unwrap_or_else(|| UNTOLD.to_owned())
    }

    fn value(&self, ty: &str, at: u64, depth: u32) -> Option<String> {
        if let Some(text) = self.scalar(ty, at) {
            return Some(text);
        }
        let depth = depth.checked_sub(1)?;
        if let Some((element, count)) = array(ty) {
            return self.list(element, at, count, depth);
        }
        if ty == "&str" || ty == "&mut str" || ty.starts_with("alloc::boxed::Box<str,") {
            let (data, length) = (self.word(at)?, self.word(at + 8)?);
            return self.string(data, length);
        }
        let slice = ty.strip_prefix("&mut [").or_else(|| ty.strip_prefix("&["));
        if let Some(element) = slice.and_then(|rest| rest.strip_suffix(']'))
            && array(&ty[ty.find('[')?..]).is_none()
        {
            let (data, length) = (self.word(at)?, self.word(at + 8)?);
            return self.list(element, data, length, depth);
        }
        let target = ty.strip_prefix("&mut ").or_else(|| ty.strip_prefix('&'));
        if let Some(target) = target.filter(|target| !target.starts_with("dyn ")) {
            let value = self.value(target, self.word(at)?, depth)?;
            return Some(format!("&{value}"));
        }
        let (path, arguments) = generic(ty);
        let inner = arguments.first().copied();
        match path {
            "alloc::boxed::Box" => {
                let inner = inner.filter(|inner| !inner.starts_with("dyn "))?;
                return self.value(inner, self.word(at)?, depth);
            }
            "alloc::sync::Arc" | "alloc::rc::Rc" => {
                let counted = match path {
                    "alloc::sync::Arc" => format!("alloc::sync::ArcInner<{}>", inner?),
                    _ => format!("alloc::rc::RcInner<{}>", inner?),
                };
                let (offset, ty) = self.field(&counted, &["value", "data"])?;
                return self.value(ty, self.word(at)? + offset, depth);
            }
            "alloc::string::String" => {
                let (offset, vec) = self.field(ty, &["vec"])?;
                let (data, length) = self.parts_of_vec(vec, at + offset)?;
                return self.string(data, length);
            }
            "alloc::vec::Vec" => {
                let (data, length) = self.parts_of_vec(ty, at)?;
                return self.list(inner?, data, length, depth);
            }
            // Whether there is a value is not for others to know.
            "std::sync::once_lock::OnceLock"
            | "std::sync::lazy_lock::LazyLock"
            | "core::mem::maybe_uninit::MaybeUninit" => return None,
            "core::marker::PhantomData" => return Some(last(path).to_owned()),
            _ if path.starts_with("std::collections::hash::") => return None,
            _ if path.starts_with("core::ptr::") => return None,
            _ => {}
        }
        if path.starts_with("core::sync::atomic::Atomic") {
            let (offset, cell) = self.field(ty, &["v"])?;
            return self.value(cell, at + offset, depth + 1);
        }
        if let Some((_, field)) = TRANSPARENT.iter().find(|(known, _)| *known == path) {
            let (offset, inner) = self.field(ty, &[field])?;
            return self.value(inner, at + offset, depth + 1);
        }
        let layout = self.types.first(ty)?;
        match layout.kind {
            Kind::Struct => Some(self.fields(last(path), layout, at, depth)),
            Kind::Enum => self.variant(layout, at, depth),
            Kind::Union => None,
        }
    }

    fn scalar(&self, ty: &str, at: u64) -> Option<String> {
        macro_rules! number {
            ($number:ty) => {{
                let bytes = (self.read)(at, size_of::<$number>())?;
                format!("{:?}", <$number>::from_le_bytes(bytes.try_into().ok()?))
            }};
        }
        Some(match ty {
            "()" => "()".to_owned(),
            "bool" => match (self.read)(at, 1)?.first()? {
                0 => "false".to_owned(),
                1 => "true".to_owned(),
                _ => return None,
            },
            "char" => {
                let bytes: [u8; 4] = (self.read)(at, 4)?.try_into().ok()?;
                format!("{:?}", char::from_u32(u32::from_le_bytes(bytes))?)
            }
            "i8" => number!(i8),
            "i16" => number!(i16),
            "i32" => number!(i32),
            "i64" | "isize" => number!(i64),
            "i128" => number!(i128),
            "u8" => number!(u8),
            "u16" => number!(u16),
            "u32" => number!(u32),
            "u64" | "usize" => number!(u64),
            "u128" => number!(u128),
            "f32" => number!(f32),
            "f64" => number!(f64),
            _ => return None,
        })
    }

    fn word(&self, at: u64) -> Option<u64> {
        let bytes = (self.read)(at, 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// Offset and type of the first of these fields that a type has.
    fn field(&self, ty: &str, names: &[&str]) -> Option<(u64, &'a str)> {
        let layout = self.types.first(ty)?;
        let mut members = layout.members.iter();
        let found = members.find(|member| names.contains(&member.name.as_str()))?;
        Some((found.offset, &found.ty))
    }

    /// Where the elements of a vector are, and how many.
    fn parts_of_vec(&self, ty: &str, at: u64) -> Option<(u64, u64)> {
        let (length, _) = self.field(ty, &["len"])?;
        let (mut offset, mut inner) = self.field(ty, &["buf"])?;
        // Through what only std knows, to the one pointer.
        for _ in 0..DEPTH {
            let Some((step, next)) = self.field(inner, &["inner", "ptr", "pointer"]) else {
                break;
            };
            offset += step;
            inner = next;
        }
        inner
            .starts_with('*')
            .then_some((self.word(at + offset)?, self.word(at + length)?))
    }

    fn string(&self, data: u64, length: u64) -> Option<String> {
        let shown = usize::try_from(length.min(TEXT)).ok()?;
        let bytes = (self.read)(data, shown)?;
        let mut text = format!("{:?}", String::from_utf8_lossy(&bytes));
        if length > TEXT {
            text += "..";
        }
        Some(text)
    }

    fn list(&self, element: &str, at: u64, count: u64, depth: u32) -> Option<String> {
        let size = self.size(element)?;
        let shown = (0..count.min(ELEMENTS)).map(|index| {
            let value = self.value(element, at + index * size, depth);
            value.unwrap_or_else(|| UNTOLD.to_owned())
        });
        let mut shown: Vec<String> = shown.collect();
        if count > ELEMENTS {
            shown.push(format!(".. {count} in all"));
        }
        Some(format!("[{}]", shown.join(", ")))
    }

    fn size(&self, ty: &str) -> Option<u64> {
        if let Some(layout) = self.types.first(ty) {
            return Some(layout.size);
        }
        if let Some((element, count)) = array(ty) {
            return self.size(element)?.checked_mul(count);
        }
        Some(match ty {
            "()" => 0,
            "bool" | "i8" | "u8" => 1,
            "i16" | "u16" => 2,
            "i32" | "u32" | "f32" | "char" => 4,
            "i64" | "u64" | "f64" | "isize" | "usize" => 8,
            "i128" | "u128" => 16,
            _ if ty.starts_with('&') || ty.starts_with('*') => 8,
            _ if ty.starts_with("alloc::boxed::Box<") => 8,
            _ => return None,
        })
    }

    fn fields(&self, name: &str, layout: &Layout, at: u64, depth: u32) -> String {
        let value = |member: &Member| {
            let value = self.value(&member.ty, at + member.offset, depth);
            value.unwrap_or_else(|| UNTOLD.to_owned())
        };
        let is_tuple = layout.members.iter().all(|of| of.name.starts_with("__"));
        // A tuple's own name is its types.
        let name = if name.starts_with('(') { "" } else { name };
        let members = layout.members.iter();
        match (layout.members.is_empty(), is_tuple) {
            (true, _) => name.to_owned(),
            (false, true) => {
                let values: Vec<String> = members.map(value).collect();
                format!("{name}({})", values.join(", "))
            }
            (false, false) => {
                let values = members.map(|of| format!("{}: {}", of.name, value(of)));
                let values: Vec<String> = values.collect();
                format!("{name} {{ {} }}", values.join(", "))
            }
        }
    }

    fn variant(&self, layout: &Layout, at: u64, depth: u32) -> Option<String> {
        let tag = layout.members.iter().find(|of| of.name.is_empty());
        let mut variants = layout.members.iter().filter(|of| !of.name.is_empty());
        let variant = match tag {
            Some(tag) => {
                let size = usize::try_from(self.size(&tag.ty)?).ok()?;
                let mut bytes = (self.read)(at + tag.offset, size)?;
                bytes.resize(16, 0);
                let number = u128::from_le_bytes(bytes.try_into().ok()?);
                let mask = u128::MAX >> (128 - 8 * size.clamp(1, 16));
                let is = |of: &&Member| {
                    let value = of.value.map(|value| value.cast_unsigned() & mask);
                    value == Some(number)
                };
                let found = variants.clone().find(is);
                found.or_else(|| variants.find(|of| of.value.is_none()))?
            }
            None => variants.next()?,
        };
        match self.types.first(&variant.ty) {
            Some(fields) => Some(self.fields(&variant.name, fields, at + variant.offset, depth)),
            None => Some(variant.name.clone()),
        }
    }
}

/// Element and length of an array type.
fn array(ty: &str) -> Option<(&str, u64)> {
    let inner = ty.strip_prefix('[')?.strip_suffix(']')?;
    let (element, count) = inner.rsplit_once("; ")?;
    Some((element, count.parse().ok()?))
}

/// The path of a type without its generic arguments, and these.
#[must_use]
pub fn generic(ty: &str) -> (&str, Vec<&str>) {
    let Some((path, rest)) = ty.split_once('<') else {
        return (ty, Vec::new());
    };
    let Some(rest) = rest.strip_suffix('>').filter(|_| !path.is_empty()) else {
        return (ty, Vec::new());
    };
    let (mut depth, mut start, mut arguments) = (0, 0, Vec::new());
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            b'<' | b'(' | b'[' => depth += 1,
            // The arrow of a function type is no bracket.
            b'>' if at > 0 && rest.as_bytes()[at - 1] == b'-' => {}
            b'>' | b')' | b']' => depth -= 1,
            b',' if depth == 0 => {
                arguments.push(rest[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    arguments.push(rest[start..].trim());
    (path, arguments)
}

fn last(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}
