//! Which edits cannot be patched, whatever reaches them: decided from the source alone.

use std::collections::{BTreeMap, BTreeSet};

use super::alive::Reasons;
use super::codes::Code;
use super::overrides::Overrides;
use super::verdict::Refusal;
use crate::source::diff::{self, Became, Changes, ItemChange};
use crate::source::file::{FnKey, Function, Kind, OtherItem, Owner, Place, Shape};
use crate::source::items::{CrateSource, SourceFile};
use crate::source::layout;

/// What is known of the program besides its source.
pub struct Facts<'a> {
    /// Its code may be in its callers'.
    pub optimised: bool,
    /// Functions with a slot.
    pub is_hot: &'a dyn Fn(&FnKey) -> bool,
    /// For each type that changed why values of it may be alive; nothing if there are none.
    pub alive: &'a BTreeMap<String, Reasons>,
    /// Traits that changed and of which there can be no trait objects.
    pub static_traits: &'a BTreeSet<String>,
    /// The number of the crate.
    pub krate: usize,
    /// Methods and impls that may come or go: all who use them are found.
    pub overrides: &'a Overrides,
}

impl Facts<'_> {
    /// The methods of this trait may be others now: all who call them are found.
    fn may_vary(&self, owner: &Owner) -> bool {
        match owner {
            Owner::Free => false,
            Owner::Impl(head) => {
                let name = head.trait_name.as_ref();
                name.is_some_and(|name| self.static_traits.contains(name))
            }
            Owner::Trait(name) => self.static_traits.contains(name),
        }
    }

    /// No value of the type can meet both old and new code.
    fn is_free(&self, name: &str) -> bool {
        self.alive.get(name).is_some_and(Vec::is_empty)
    }

    fn alive(&self, refusal: Refusal, name: &str) -> Refusal {
        const SHOWN: usize = 3;
        let reasons = self.alive.get(name).map(Vec::as_slice).unwrap_or_default();
        let more = match reasons.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let reasons = &reasons[..reasons.len().min(SHOWN)];
        if reasons.is_empty() {
            return refusal;
        }
        refusal.because(format!("alive in: {}{more}", reasons.join(", ")))
    }
}

/// The first reason not to patch these changes of a crate, if there is one.
#[must_use]
pub fn refusal(
    old: &CrateSource,
    new: &CrateSource,
    changes: &Changes,
    known: &Facts<'_>,
) -> Option<Refusal> {
    let is_hot = known.is_hot;
    let items = changes
        .items
        .iter()
        .filter_map(|change| made_types(new, change).or_else(|| item(change, known)));
    let before = Functions(old);
    let after = Functions(new);
    let refuse = |code, message: String, (file, function): (&SourceFile, &Function)| {
        Some(Refusal::new(code, message, &file.path, function.place))
    };
    let heated = changes.heated.iter().filter_map(|key| {
        let at = after.get(key)?;
        let name = new.path_of(at.1);
        refuse(
            Code::HP0302,
            format!("`{name}` became hot, which takes effect at the next start"),
            at,
        )
    });
    let signatures = changes.signatures.iter().filter_map(|key| {
        let at = after.get(key)?;
        let name = new.path_of(at.1);
        let same = before
            .get(key)
            .is_some_and(|(_, f)| f.signature == at.1.signature && f.shape != at.1.shape);
        if is_hot(key) && same {
            return refuse(
                Code::HP0001,
                format!("hot function `{name}` cannot be taken out of its place any more"),
                at,
            );
        }
        if is_hot(key) {
            return refuse(
                Code::HP0301,
                format!("the signature of hot function `{name}` changed"),
                at,
            );
        }
        let can = |shape: &Shape| matches!(shape, Shape::Plain | Shape::Reinstantiated);
        let was = before.get(key).is_some_and(|(_, f)| can(&f.shape));
        match &at.1.owner {
            Owner::Free if was && can(&at.1.shape) => None,
            Owner::Impl(head) if head.trait_path.is_none() && was && can(&at.1.shape) => None,
            owner if known.may_vary(owner) && was && can(&at.1.shape) => None,
            _ => refuse(
                Code::HP0001,
                format!("a change to the signature of `{name}` is not supported yet"),
                at,
            ),
        }
    });
    let bodies = changes.bodies.iter().filter_map(|key| {
        let at = after.get(key)?;
        match &at.1.shape {
            Shape::Fixed(what) => refuse(
                Code::HP0001,
                format!(
                    "a change to the body of {what} is not supported yet (`{}`)",
                    new.path_of(at.1)
                ),
                at,
            ),
            _ => None,
        }
    });
    let removed = changes.removed.iter().filter_map(|key| {
        let at = before.get(key)?;
        let name = old.path_of(at.1);
        match &at.1.owner {
            owner if known.may_vary(owner) => None,
            _ if known.overrides.contains(known.krate, key) => None,
            Owner::Impl(head) if head.trait_path.is_some() => refuse(
                Code::HP0001,
                format!("removing `{name}` is not supported yet"),
                at,
            ),
            _ => None,
        }
    });
    let added = changes.added.iter().filter_map(|key| {
        let at = after.get(key)?;
        // Code that exists may have used the trait's default until now.
        let overrides = matches!(&at.1.owner, Owner::Impl(head) if head.trait_path.as_ref().is_some_and(|path| {
            let title = format!("`impl {path} for {}`", head.self_ty);
            !changes.items.iter().any(|change| {
                change.became == Became::Added
                    && change.item.kind == Kind::Impl
                    && change.item.title == title
                    && change.item.module == at.1.module
            })
        }));
        let name = new.path_of(at.1);
        let is_sure = known.may_vary(&at.1.owner) || known.overrides.contains(known.krate, key);
        (overrides && !is_sure).then(|| {
            Refusal::new(
                Code::HP0001,
                format!("adding `{name}` to an impl that exists is not supported yet"),
                &at.0.path,
                at.1.place,
            )
        })
    });
    // `value[0]` may have meant what the value points to, and no name says so.
    let indexed = changes.added.iter().filter_map(|key| {
        let at = after.get(key)?;
        let Owner::Impl(head) = &at.1.owner else {
            return None;
        };
        let is_index = matches!(head.trait_name.as_deref(), Some("Index" | "IndexMut"));
        let is_old = old
            .files
            .iter()
            .flat_map(|file| &file.parsed.items)
            .any(|item| item.kind == Kind::Type && item.names.contains(&head.self_name));
        if is_index && is_old {
            let name = new.path_of(at.1);
            return refuse(
                Code::HP0001,
                format!("adding `{name}` to a type that exists is not supported yet"),
                at,
            );
        }
        None
    });
    let nested = changes.nested.iter().filter_map(|(key, what)| {
        let at = after.get(key)?;
        let name = new.path_of(at.1);
        let (code, what) = if what.starts_with("static") {
            (
                Code::HP0103,
                format!("the type of {what} in `{name}` changed"),
            )
        } else {
            (
                Code::HP0101,
                format!("layout of {what} in `{name}` changed"),
            )
        };
        refuse(code, what, at)
    });
    let edited = changes
        .bodies
        .iter()
        .chain(&changes.signatures)
        .chain(&changes.added);
    let locals = edited.filter_map(|key| {
        let at = after.get(key)?;
        let was = before
            .get(key)
            .map_or(&[][..], |(_, f)| f.nested.as_slice());
        let mut parts = at.1.nested.iter().map(|(name, _)| name);
        let added = parts.find(|name| {
            name.ends_with("`thread_local!`") && !was.iter().any(|(other, _)| other == *name)
        })?;
        let name = new.path_of(at.1);
        let refusal = refuse(
            Code::HP0104,
            format!("{added} in `{name}` cannot be given storage"),
            at,
        )?;
        Some(refusal.because("that of a module can: move it out of the function"))
    });
    heated
        .chain(indexed)
        .chain(nested)
        .chain(locals)
        .chain(items)
        .chain(signatures)
        .chain(bodies)
        .chain(removed)
        .chain(added)
        .next()
}

/// Functions and closures in a constant are code of the program, under names that stay.
fn constant_with_code(change: &ItemChange) -> Option<Refusal> {
    let has_code = |item: &OtherItem| item.kind == Kind::Const && item.mentions.contains("fn");
    let is_old = change.old.as_ref().is_some_and(has_code);
    if change.became != Became::Changed || !(is_old || has_code(&change.item)) {
        return None;
    }
    let title = &change.item.title;
    let message = format!("a change to {title} with code in it is not supported yet");
    let refusal = Refusal::new(Code::HP0001, message, &change.file, change.place);
    Some(refusal.because(
        "what it leads to is compiled into the program; a function of its own can be patched",
    ))
}

/// A macro at item level may make other types now.
fn made_types(new: &CrateSource, change: &ItemChange) -> Option<Refusal> {
    let item = &change.item;
    if item.kind != Kind::ItemMacro || change.became == Became::Added {
        return None;
    }
    let is_type = |word: &str| matches!(word, "struct" | "enum" | "union");
    let items = new.files.iter().flat_map(|file| &file.parsed.items);
    let mut macros = items.filter(|other| {
        other.kind == Kind::MacroRules && other.names.iter().any(|name| item.paths.contains(name))
    });
    let own = item.mentions.iter().any(|word| is_type(word));
    if !own && !macros.any(|other| other.mentions.iter().any(|word| is_type(word))) {
        return None;
    }
    let message = format!("layout of types that {} makes may have changed", item.title);
    Some(Refusal::new(
        Code::HP0101,
        message,
        &change.file,
        change.place,
    ))
}

fn item(change: &ItemChange, known: &Facts<'_>) -> Option<Refusal> {
    if let Some(refusal) = constant_with_code(change) {
        return Some(refusal);
    }
    if diff::is_harmless(change) {
        return None;
    }
    if change.revalues() {
        return None;
    }
    if change.keeps_values() {
        return rederived(change, known.optimised);
    }
    let item = &change.item;
    let title = &item.title;
    let verb = match change.became {
        Became::Added => "adding",
        Became::Removed => "removing",
        Became::Changed | Became::Unclear => "a change to",
    };
    let own = item.names.first().map_or("", String::as_str);
    if item.kind == Kind::Type && change.became != Became::Added && known.is_free(own) {
        return None;
    }
    if change.became == Became::Unclear {
        let name = change
            .old
            .as_ref()
            .and_then(|old| old.names.first())
            .map_or("", String::as_str);
        // It is an impl of what it was an impl of.
        if item.kind == Kind::Impl && item.mentions.is_empty() && known.is_free(name) {
            return None;
        }
        if matches!(item.kind, Kind::Impl | Kind::Trait) && known.static_traits.contains(name) {
            return None;
        }
        let (code, message) = match item.kind {
            Kind::Type => (Code::HP0101, format!("layout of {title} may have changed")),
            Kind::Static => (
                Code::HP0103,
                format!("the type of {title} may have changed"),
            ),
            Kind::Trait => (
                Code::HP0102,
                format!("the methods of {title} may have changed"),
            ),
            _ => (
                Code::HP0001,
                format!("a change to what {title} means is not supported yet"),
            ),
        };
        let refusal = Refusal::new(code, message, &change.file, change.place);
        let refusal = known.alive(refusal, own);
        return Some(refusal.because(format!(
            "`{name}`, which it names, may mean something else now"
        )));
    }
    if item.kind == Kind::ItemMacro && item.title.contains("thread_local!") {
        if change.became == Became::Added {
            let message = "a new `thread_local!` cannot be given storage";
            let refusal = Refusal::new(Code::HP0104, message, &change.file, change.place);
            return Some(refusal.because("what it declares is not known without its macro"));
        }
        if change.became == Became::Changed {
            let message = "the thread-locals of a `thread_local!` changed";
            return Some(Refusal::new(
                Code::HP0103,
                message,
                &change.file,
                change.place,
            ));
        }
    }
    if item.kind == Kind::ThreadLocal && change.became == Became::Changed {
        return changed_local(change);
    }
    let unsupported = |what: &str| (Code::HP0001, format!("{verb} {what} is not supported yet"));
    let surface_changed = change
        .old
        .as_ref()
        .is_none_or(|old| old.surface != item.surface);
    let drops = item.kind == Kind::Impl && item.names.iter().any(|name| name == "Drop");
    let (code, message) = match item.kind {
        Kind::Type => return Some(known.alive(retyped(change), own)),
        Kind::Trait if surface_changed && known.static_traits.contains(own) => return None,
        Kind::Trait if surface_changed => (Code::HP0102, format!("the methods of {title} changed")),
        // The method itself is among the functions and says more.
        Kind::Trait => return None,
        Kind::Static if change.became == Became::Changed && surface_changed => {
            (Code::HP0103, format!("the type of {title} changed"))
        }
        _ if drops => (
            Code::HP0101,
            format!("{verb} {title} changes what becomes of values"),
        ),
        // It decides which fields are visible in the base, see `CrateSource::deref_types`.
        Kind::Impl if item.names.iter().any(|name| name == "Deref") => unsupported(title),
        // An impl without items of its own only holds functions, which are looked at one by one.
        Kind::Impl if change.became == Became::Added => return None,
        Kind::Impl
            if change.became == Became::Removed
                && (item.names.is_empty() || known.overrides.has_gone(known.krate, item)) =>
        {
            return None;
        }
        _ => unsupported(title),
    };
    Some(Refusal::new(code, message, &change.file, change.place))
}

/// Its values stay, and threads that have none yet would get the old one.
fn changed_local(change: &ItemChange) -> Option<Refusal> {
    let (item, old) = (&change.item, change.old.as_ref()?);
    let what = if old.surface != item.surface {
        "type"
    } else if old.helpers != item.helpers {
        "initialiser"
    } else {
        return None;
    };
    let message = format!("the {what} of {} changed", item.title);
    let refusal = Refusal::new(Code::HP0103, message, &change.file, change.place);
    Some(refusal.because("code that stays goes on making values of it as it did"))
}

/// Derive macros whose code is generic or `#[inline]`, so that patches make their own of it.
const DERIVES: &[&str] = &[
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "PartialEq",
    "Eq",
    "PartialOrd",
    "Ord",
    "Hash",
    "Serialize",
    "Deserialize",
];

/// A trait that the type derives by a macro of which nobody knows what it makes.
pub(super) fn derives_unknown(item: &OtherItem) -> Option<&String> {
    let mut derives = item.derives.iter();
    derives.find(|name| !DERIVES.contains(&name.as_str()))
}

/// The type is what it was, and what is derived for it may not be.
fn rederived(change: &ItemChange, optimised: bool) -> Option<Refusal> {
    if !change.rederives() {
        return None;
    }
    let title = &change.item.title;
    let other = derives_unknown(&change.item);
    let why = match other {
        Some(name) => format!("what `#[derive({name})]` makes of it is not known"),
        None if optimised => "optimised code calls what is derived in place".to_owned(),
        None => return None,
    };
    let message = format!("a change to what is derived for {title} is not supported yet");
    Some(Refusal::new(Code::HP0001, message, &change.file, change.place).because(why))
}

/// A type is not what its values were made as.
fn retyped(change: &ItemChange) -> Refusal {
    let name = change.item.names.first().map_or("", String::as_str);
    match &change.old {
        Some(old) if change.became == Became::Changed => {
            let found = layout::difference(old, &change.item);
            Refusal::new(
                Code::HP0101,
                format!("layout of `{name}` changed"),
                &change.file,
                found.place,
            )
            .labelled(found.label)
        }
        _ => Refusal::new(
            Code::HP0101,
            format!(
                "{} is gone, and values of it may be there",
                change.item.title
            ),
            &change.file,
            change.place,
        ),
    }
}

/// A crate's functions by key.
struct Functions<'a>(&'a CrateSource);

impl<'a> Functions<'a> {
    fn get(&self, key: &FnKey) -> Option<(&'a SourceFile, &'a Function)> {
        self.0.function(key)
    }
}

/// The place of a function in a crate.
#[must_use]
pub fn place(krate: &CrateSource, key: &FnKey) -> Option<(std::path::PathBuf, Place, String)> {
    krate
        .function(key)
        .map(|(file, f)| (file.path.clone(), f.place, krate.path_of(f)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::overrides::overrides;
    use crate::source::items::fake::krate;

    fn refused(old: &str, new: &str) -> Option<(Code, String)> {
        let (old, new) = (
            krate(&[("src/main.rs", old)]),
            krate(&[("src/main.rs", new)]),
        );
        let changes = diff::compare(&old, &new);
        let is_hot = |key: &FnKey| format!("{key:?}").contains("hot_");
        let sources = [&old, &new].map(std::slice::from_ref);
        let found = overrides(sources[0], sources[1], std::slice::from_ref(&changes));
        let known = Facts {
            optimised: false,
            is_hot: &is_hot,
            alive: &BTreeMap::new(),
            static_traits: &BTreeSet::new(),
            krate: 0,
            overrides: &found,
        };
        refusal(&old, &new, &changes, &known).map(|refusal| (refusal.code, refusal.message))
    }

    #[test]
    fn what_source_alone_rules_out() {
        let code = |old, new| refused(old, new).map(|(code, _)| code);
        assert_eq!(
            code("struct S { a: u8 }", "struct S { a: u16 }"),
            Some(Code::HP0101)
        );
        assert_eq!(code("enum E { A }", "enum E { A, B }"), Some(Code::HP0101));
        assert_eq!(
            code("static N: u8 = 1;", "static N: u16 = 1;"),
            Some(Code::HP0103)
        );
        assert_eq!(code("static N: u8 = 1;", "static N: u8 = 2;"), None);
        assert_eq!(
            code("trait T { fn a(); }", "trait T { fn a(); fn b(); }"),
            Some(Code::HP0102)
        );
        assert_eq!(
            code("trait T { fn a() {} }", "trait T { fn a() { 1; } }"),
            None
        );
        assert_eq!(
            code(
                "struct S;",
                "struct S; impl Drop for S { fn drop(&mut self) {} }"
            ),
            Some(Code::HP0101)
        );
        assert_eq!(
            code("fn hot_f() {}", "fn hot_f(a: u8) {}"),
            Some(Code::HP0301)
        );
        assert_eq!(code("fn f() {}", "#[hot] fn f() {}"), Some(Code::HP0302));
        assert_eq!(
            code("#[hot] const fn f() {}", "#[hot] const fn f() { 1; }"),
            Some(Code::HP0001)
        );
        assert_eq!(code("async fn f() {}", "async fn f() { 1; }"), None);
        assert_eq!(code("const N: u8 = 1;", "const N: u8 = 2;"), None);
        assert_eq!(
            code(
                "struct S { a: u8 }",
                "#[derive(Clone)] pub struct S { pub a: u8 }"
            ),
            None
        );
        assert_eq!(
            code(
                "#[derive(Serialize)] struct S { a: u8 }",
                "#[derive(Serialize)] struct S { #[serde(rename = \"b\")] a: u8 }"
            ),
            None
        );
        assert_eq!(
            code(
                "#[derive(Parser)] struct S { a: u8 }",
                "#[derive(Parser)] struct S { #[arg(short)] a: u8 }"
            ),
            Some(Code::HP0001)
        );
        assert_eq!(
            code("struct S { a: u8 }", "#[repr(C)] struct S { a: u8 }"),
            Some(Code::HP0101)
        );
        assert_eq!(
            code(
                "fn f() { static N: u8 = 1; }",
                "fn f() { static N: u16 = 1; }"
            ),
            Some(Code::HP0103)
        );
        assert_eq!(
            code(
                "fn f() {}",
                "fn f(a: u8) {} fn g() {} const C: u8 = 1; use std::fmt;"
            ),
            None
        );
        assert_eq!(
            code(
                "fn f() {}",
                "fn f() { 1; } struct New(u8); impl New { fn n() {} }"
            ),
            None
        );
    }

    #[test]
    fn methods_that_a_trait_provides_may_come_and_go() {
        let both = |frame: &str, method: &str| {
            let with = |method: &str| frame.replace("@", method);
            let message = |old: &str, new: &str| refused(old, new).map(|(_, message)| message);
            let (none, some) = (with(""), with(method));
            (message(&none, &some), message(&some, &none))
        };
        let known = "mod a { pub trait T { fn f(&self) {} fn g(&self) {} } } struct S; struct L<'a>(&'a u8); ";
        let f = "fn f(&self) { 1; }";
        let free = (None, None);
        let with = |rest: &str| both(&format!("{known}{rest}"), f);
        assert_eq!(with("impl a::T for S { fn g(&self) { 1; } @ }"), free);
        assert_eq!(with("use a::T; impl T for S { @ }"), free);
        assert_eq!(with("impl<'a> a::T for L<'a> { @ }"), free);
        let refused = |name: &str| {
            (
                Some(format!(
                    "adding `app::{name}` to an impl that exists is not supported yet"
                )),
                Some(format!("removing `app::{name}` is not supported yet")),
            )
        };
        let of_s = refused("<S as T>::f");
        assert_eq!(
            with("impl T for S { @ } mod b { trait T { fn f(&self) {} } }"),
            of_s
        );
        assert_eq!(
            with("use b::U as T; impl T for S { @ }"),
            refused("<S as U>::f")
        );
        assert_eq!(
            with("use std::fmt::X; impl X for S { @ }"),
            refused("<S as X>::f")
        );
        assert_eq!(with("impl<X> a::T for X { @ }"), refused("<X as T>::f"));
        assert_eq!(
            with("type R = S; impl a::T for R { @ }"),
            refused("<R as T>::f")
        );
        assert_eq!(with("use S as R; impl a::T for R { @ }"), free);
        assert_eq!(with("impl a::T for &S { @ }"), of_s);
        assert_eq!(with("impl a::T for Vec<S> { @ }"), refused("<Vec as T>::f"));
        let hot = both(
            &format!("{known} impl a::T for S {{ @ }}"),
            "#[hot] fn f(&self) {}",
        );
        assert_eq!(hot, of_s);
        // Nothing that a trait provides.
        let frame = "trait T { fn f(&self); } struct S; impl T for S { @ }";
        assert_eq!(both(frame, f), of_s);
    }

    #[test]
    fn an_impl_may_go_if_nothing_takes_its_place() {
        let known = "trait T { fn f(&self) {} } struct S; ";
        let gone = |before: &str, after: &str| {
            let [old, new] = [before, after].map(|text| format!("{known}{text}"));
            refused(&old, &new).map(|(_, message)| message)
        };
        let refused = Some("removing `impl T for S` is not supported yet".to_owned());
        let own = "impl T for S { fn f(&self) { 1; } }";
        assert_eq!(gone("impl T for S {}", ""), None);
        assert_eq!(gone(own, ""), None);
        assert_eq!(gone(own, "impl T for u8 {}"), None);
        assert_eq!(gone(own, "impl<X: Copy> T for X {}"), refused);
        assert_eq!(gone(own, "impl<'a, X: U<'a>> T for X {}"), refused);
        assert_eq!(gone(own, "impl<X> T for Vec<X> {}"), None);
        assert_eq!(gone(own, "mod m { impl T for S {} }"), refused);
        assert!(gone(own, "make!(S);").is_some());
        assert_eq!(gone("impl T for S { type A = u8; }", ""), refused);
        assert_eq!(gone("impl T for S { #[hot] fn f(&self) {} }", ""), refused);
        assert_eq!(
            gone(
                &format!("{own} mod m {{ trait T {{}} }}"),
                "mod m { trait T {} }"
            ),
            refused
        );
        assert_eq!(
            gone("impl T for Vec<S> {}", ""),
            Some("removing `impl T for Vec < S >` is not supported yet".to_owned())
        );
    }

    #[test]
    fn a_refusal_names_the_item() {
        let (_, message) =
            refused("struct S { a: u8 }", "struct S { b: u8 }").expect("it is refused");
        assert_eq!(message, "layout of `S` changed");
    }
}
