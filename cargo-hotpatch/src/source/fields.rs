//! Fields whose visibility decides what a name means.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::file::{FnKey, Function, Kind, OtherItem, Owner};
use super::items::{CrateSource, SourceFile};

/// A private field.
#[derive(Debug, Clone)]
pub struct Field {
    /// The module that may use it.
    pub module: Arc<[String]>,
    /// Its name.
    pub name: String,
    /// As [`super::file::Edit::field`] has it.
    pub key: String,
}

/// Private fields of types with a `Deref`.
#[must_use]
pub fn private_fields_before_deref(source: &CrateSource) -> Vec<Field> {
    let items = || source.files.iter().flat_map(|file| &file.parsed.items);
    let types: BTreeMap<&str, &OtherItem> = items()
        .filter(|item| item.kind == Kind::Type)
        .flat_map(|item| item.names.iter().map(move |name| (name.as_str(), item)))
        .collect();
    let mut derefs: BTreeMap<&str, &OtherItem> = BTreeMap::new();
    for (file, function) in source.functions() {
        let Owner::Impl(head) = &function.owner else {
            continue;
        };
        if head.trait_name.as_deref() == Some("Deref") {
            let title = head
                .trait_path
                .as_ref()
                .map(|path| format!("`impl {path} for {}`", head.self_ty));
            let of = file.parsed.items.iter().find(|item| {
                item.kind == Kind::Impl
                    && item.module == function.module
                    && Some(&item.title) == title.as_ref()
            });
            derefs.extend(of.map(|item| (head.self_name.as_str(), item)));
        }
    }
    let leads_to = |name: &str, item: &OtherItem, field: &str| {
        let Some(of) = derefs.get(name) else {
            return true;
        };
        let names = of
            .paths
            .iter()
            .map(|path| path.rsplit("::").next().unwrap_or(path));
        names
            .filter(|other| *other != name && !WITHOUT_FIELDS.contains(other))
            .any(|other| {
                let Some(target) = types.get(other).filter(|target| target.name != item.name)
                else {
                    return true;
                };
                derefs.contains_key(other)
                    || target.paths.contains("Deref")
                    || target.members.is_empty()
                    || target.members.iter().any(|member| member.name == field)
            })
    };
    let mut out = Vec::new();
    for item in items().filter(|item| item.kind == Kind::Type) {
        let Some(name) = item.names.first() else {
            continue;
        };
        if !item.paths.contains("Deref") && !derefs.contains_key(name.as_str()) {
            continue;
        }
        let own = item
            .members
            .iter()
            .filter(|member| member.private && !member.name.contains('.'));
        out.extend(
            own.filter(|member| leads_to(name, item, &member.name))
                .map(|member| Field {
                    module: item.module.clone(),
                    name: member.name.clone(),
                    key: format!("{}::{name}.{}", item.module.join("::"), member.name),
                }),
        );
    }
    out
}

/// Words of an `impl Deref` that name no type with fields of its own.
const WITHOUT_FIELDS: &[&str] = &[
    "impl",
    "for",
    "type",
    "Target",
    "Deref",
    "ops",
    "std",
    "core",
    "alloc",
    "where",
    "dyn",
    "static",
    "mut",
    "Vec",
    "String",
    "Box",
    "Rc",
    "Arc",
    "str",
    "Option",
    "HashMap",
    "HashSet",
    "BTreeMap",
    "BTreeSet",
    "VecDeque",
    "Path",
    "PathBuf",
    "OsStr",
    "OsString",
    "Mutex",
    "RwLock",
    "RefCell",
    "Cell",
    "bool",
    "char",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "isize",
    "f32",
    "f64",
    "vec",
    "string",
    "boxed",
    "rc",
    "sync",
    "collections",
    "path",
    "crate",
    "self",
    "super",
];

/// Fields that must stay private, as [`super::file::Edit::field`] has them: visible, they would take the place
/// of fields that a `Deref` leads to. In a program that is so where they are named, in a library anywhere.
#[must_use]
pub fn hidden(source: &CrateSource, is_library: bool) -> BTreeSet<String> {
    let mut own = private_fields_before_deref(source);
    if !own.is_empty() && !is_library {
        let mut used: BTreeSet<(Arc<[String]>, String)> = BTreeSet::new();
        for (file, function) in source.functions() {
            let names = fields_used(file, function).into_iter();
            used.extend(names.map(|name| (function.module.clone(), name)));
        }
        own.retain(|field| {
            used.iter()
                .any(|(module, name)| *name == field.name && !module.starts_with(&field.module))
        });
    }
    own.into_iter().map(|field| field.key).collect()
}

/// The module outside of which nobody can call this function, because its trait is private there.
#[must_use]
pub fn home_of_private_trait(source: &CrateSource, key: &FnKey) -> Option<Arc<[String]>> {
    let (_, function) = source.function(key)?;
    let name = match &function.owner {
        Owner::Free => return None,
        Owner::Trait(name) => name,
        Owner::Impl(head) => head.trait_name.as_ref()?,
    };
    let items = source.files.iter().flat_map(|file| &file.parsed.items);
    let mut traits = items.filter(|item| item.kind == Kind::Trait && item.names.contains(name));
    let only = traits.next().filter(|item| item.private)?;
    traits.next().is_none().then(|| only.module.clone())
}

/// What stands after a dot in the function and is not called.
#[must_use]
pub fn fields_used(file: &SourceFile, function: &Function) -> BTreeSet<String> {
    fn walk(tokens: TokenStream, out: &mut BTreeSet<String>) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (index, token) in tokens.iter().enumerate() {
            let after_dot = index > 0
                && matches!(&tokens[index - 1], TokenTree::Punct(p) if p.as_char() == '.');
            match token {
                TokenTree::Group(group) => walk(group.stream(), out),
                TokenTree::Ident(name) if after_dot => {
                    let called = matches!(tokens.get(index + 1), Some(TokenTree::Group(group))
                        if group.delimiter() == Delimiter::Parenthesis);
                    if !called {
                        out.insert(name.to_string().trim_start_matches("r#").to_owned());
                    }
                }
                TokenTree::Literal(number) if after_dot => {
                    out.extend(number.to_string().split('.').map(str::to_owned));
                }
                _ => {}
            }
        }
    }
    let mut out = BTreeSet::new();
    if let Ok(tokens) = file.parsed.text[function.body.clone()].parse() {
        walk(tokens, &mut out);
    }
    proc_macro2::extra::invalidate_current_thread_spans();
    out
}
