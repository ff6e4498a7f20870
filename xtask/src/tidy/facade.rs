//! Rules of the façade, so that it can be called from Kotlin, Swift and Python; and that what UniFFI needs to know
//! stands there and nowhere else. Each was learnt from code that was generated and did not compile, or ended an app.

use std::fs;
use std::path::Path;

use quote::ToTokens;
use syn::{Attribute, FnArg, ImplItem, Item, ItemImpl, ItemTrait, ReturnType, Signature, TraitItem};

use super::sources::files;
use crate::house::Result;

const FACADE: &str = "core/client/src/facade";
/// Where one line makes the façade a module of other languages.
const SCAFFOLDING: (&str, &str) = ("core/client/src/lib.rs", "setup_scaffolding!");
/// What re-exports it.
const BINDINGS: &str = "bindings/";
/// What Swift keeps for itself and Rust does not. UniFFI quotes these as Swift wants it, also in the header, which is C.
const SWIFTS_OWN: [&str; 31] = [
    "associatedtype",
    "catch",
    "case",
    "class",
    "default",
    "defer",
    "deinit",
    "extension",
    "fallthrough",
    "fileprivate",
    "func",
    "guard",
    "import",
    "init",
    "inout",
    "internal",
    "is",
    "nil",
    "open",
    "operator",
    "precedencegroup",
    "protocol",
    "public",
    "repeat",
    "rethrows",
    "subscript",
    "switch",
    "throw",
    "throws",
    "typealias",
    "var",
];

pub(super) fn findings(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for path in files(root, "rs")? {
        let text = fs::read_to_string(&path).map_err(|error| format!("reading {}: {error}", path.display()))?;
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        if name.starts_with(FACADE) {
            findings.extend(in_the_facade(&name, &text)?);
        } else if !name.starts_with(BINDINGS) {
            findings.extend(elsewhere(&name, &text));
        }
    }
    Ok(findings)
}

/// A path of UniFFI's. Put together here, so that this file does not find itself.
fn uniffi(what: &str) -> String {
    ["uniffi", "::", what].concat()
}

fn elsewhere(name: &str, text: &str) -> Vec<String> {
    let is_scaffolding = |line: &str| name == SCAFFOLDING.0 && line.starts_with(&uniffi(SCAFFOLDING.1));
    let lines = text.lines().enumerate().filter(|(_, line)| line.contains(&uniffi("")) && !is_scaffolding(line));
    lines.map(|(at, _)| format!("{name}:{} speaks of UniFFI: that belongs into {FACADE}", at + 1)).collect()
}

fn in_the_facade(name: &str, text: &str) -> Result<Vec<String>> {
    let file = syn::parse_file(text).map_err(|error| format!("reading {name}: {error}"))?;
    let mut findings = Vec::new();
    for item in &file.items {
        if let Item::Fn(function) = item
            && is(&function.attrs, "export")
        {
            function_rules(&function.sig, &mut findings);
        } else if let Item::Impl(block) = item
            && is(&block.attrs, "export")
        {
            object_rules(block, &mut findings);
        } else if let Item::Trait(described) = item
            && is(&described.attrs, "export")
        {
            foreign_rules(described, &mut findings);
        } else if let Item::Struct(record) = item {
            field_rules(&record.ident, &record.fields, &mut findings);
        } else if let Item::Enum(choice) = item {
            for variant in &choice.variants {
                field_rules(&variant.ident, &variant.fields, &mut findings);
            }
        }
    }
    let mut findings: Vec<String> = findings.into_iter().map(|finding| format!("{name}: {finding}")).collect();
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().strip_prefix("///").is_some_and(|doc| doc.contains("/*")) {
            let at = at + 1;
            findings
                .push(format!("{name}:{at} has `/*` in a doc comment: there it begins a comment in Kotlin and Swift"));
        }
    }
    Ok(findings)
}

/// Whether UniFFI is told to do this, at once or with its feature.
fn is(attributes: &[Attribute], what: &str) -> bool {
    attributes.iter().any(|attribute| written(attribute).contains(&uniffi(what)))
}

fn written(tokens: &impl ToTokens) -> String {
    tokens.to_token_stream().to_string().replace(' ', "")
}

fn object_rules(block: &ItemImpl, findings: &mut Vec<String>) {
    let functions =
        block.items.iter().filter_map(|item| if let ImplItem::Fn(function) = item { Some(function) } else { None });
    for function in functions {
        function_rules(&function.sig, findings);
        let name = &function.sig.ident;
        // The one that other languages call by the name of the class.
        let is_primary = name == "new" && is(&function.attrs, "constructor");
        if is_primary && function.sig.asyncness.is_some() {
            findings.push(format!(
                "`{name}` is a constructor and async, which Kotlin and Python have not: name it otherwise"
            ));
        }
    }
}

fn function_rules(signature: &Signature, findings: &mut Vec<String>) {
    let name = &signature.ident;
    if !returns_a_result(signature) {
        findings.push(format!("`{name}` is exported: it returns a `Result`, or a panic in it ends a Swift app"));
    }
    for argument in arguments(signature) {
        if argument.contains("Vec<u8>") {
            findings.push(format!("`{name}` is exported and takes `Vec<u8>`: take `&[u8]`, which is not copied"));
        }
        if argument.contains("&[u8]") && signature.asyncness.is_some() {
            findings.push(format!(
                "`{name}` is async and takes `&[u8]`, which is there while a call lasts: make it synchronous"
            ));
        }
    }
}

fn foreign_rules(described: &ItemTrait, findings: &mut Vec<String>) {
    let functions = described
        .items
        .iter()
        .filter_map(|item| if let TraitItem::Fn(function) = item { Some(function) } else { None });
    for function in functions {
        let name = format!("{}::{}", described.ident, function.sig.ident);
        if SWIFTS_OWN.iter().any(|word| function.sig.ident == word) {
            findings.push(format!("`{name}` is of a shell and named as Swift names something else: name it otherwise"));
        }
        if !returns_a_result(&function.sig) {
            findings
                .push(format!("`{name}` is of a shell: it returns a `Result`, or an exception in it is a panic here"));
        }
        if arguments(&function.sig).any(|argument| argument.contains('&')) {
            findings.push(format!("`{name}` is of a shell and takes a reference: take a value, nothing else crosses"));
        }
        if function.sig.receiver().is_none_or(|receiver| written(receiver) != "&self") {
            findings.push(format!("`{name}` is of a shell: it takes `&self`"));
        }
    }
}

fn field_rules(container: &syn::Ident, fields: &syn::Fields, findings: &mut Vec<String>) {
    if fields.iter().any(|field| field.ident.as_ref().is_some_and(|name| name == "message")) {
        findings
            .push(format!("`{container}` has a field `message`, which does not compile in Kotlin: name it `detail`"));
    }
}

fn returns_a_result(signature: &Signature) -> bool {
    match &signature.output {
        ReturnType::Type(_, returned) => written(returned).starts_with("Result<"),
        ReturnType::Default => false,
    }
}

/// The types of what it takes, itself apart.
fn arguments(signature: &Signature) -> impl Iterator<Item = String> {
    let typed = signature
        .inputs
        .iter()
        .filter_map(|argument| if let FnArg::Typed(typed) = argument { Some(typed) } else { None });
    typed.map(|typed| written(&typed.ty))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in this façade; `u_` stands for UniFFI's paths, as it does not in a file that is looked at.
    fn check(text: &str, expected: &[&str]) {
        let text = text.replace("u_", &uniffi(""));
        let found = in_the_facade("f.rs", &text).unwrap();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found} where {expected} was expected");
        }
    }

    #[test]
    fn a_facade_as_it_should_be_is_fine() {
        check(
            r#"
            #[cfg_attr(feature = "uniffi", u_export)]
            impl Client {
                #[cfg_attr(feature = "uniffi", u_constructor)]
                pub fn new() -> Result<Arc<Self>, ClientError> { x() }
                #[u_constructor]
                pub async fn restore(file: &str) -> Result<Arc<Self>, ClientError> { x() }
                pub async fn pay(&self, invoice: Hash) -> Result<State, ClientError> { x() }
                pub fn receipt(&self, file: &[u8]) -> Result<Vec<u8>, ClientError> { x() }
            }
            impl Client {
                pub async fn inside(&self, bytes: Vec<u8>, more: &[u8]) -> u8 { 0 }
            }
            #[cfg_attr(feature = "uniffi", u_export(foreign))]
            pub trait KeyVault: Send + Sync {
                fn load(&self) -> Result<Option<Vec<u8>>, ShellError>;
                fn store(&self, key: Vec<u8>) -> Result<(), ShellError>;
            }
            pub struct Bug { pub detail: String }
            pub fn messages(message: u8) {}
            "#,
            &[],
        );
    }

    #[test]
    fn what_returns_no_result_is_found() {
        check(
            "#[u_export] impl A { pub fn b(&self) -> u8 { 0 } pub fn c(&self) {} }",
            &["`b` is exported", "`c` is exported"],
        );
        check(
            r#"#[cfg_attr(feature = "uniffi", u_export(default(b = None)))] pub fn a(b: Option<u8>) {}"#,
            &["`a` is exported"],
        );
        check("#[u_export(foreign)] trait A { fn b(&self) -> Option<u8>; }", &["`A::b` is of a shell: it returns"]);
    }

    #[test]
    fn a_field_named_message_is_found() {
        check("pub struct A { pub message: String }", &["`A` has a field"]);
        check("pub enum A { B { code: String, message: String }, C(u8) }", &["`B` has a field"]);
    }

    #[test]
    fn an_async_primary_constructor_is_found() {
        let text = "#[u_export] impl A { #[u_constructor] pub async fn new() -> Result<Arc<Self>, E> { x() } }";
        check(text, &["`new` is a constructor and async"]);
    }

    #[test]
    fn bytes_in_the_wrong_form_are_found() {
        check(
            "#[u_export] impl A { pub async fn b(&self, c: &[u8]) -> Result<(), E> { x() } }",
            &["`b` is async and takes"],
        );
        check(
            "#[u_export] pub fn a(b: Option<Vec<u8>>) -> Result<(), E> { x() }",
            &["`a` is exported and takes `Vec<u8>`"],
        );
    }

    #[test]
    fn references_for_a_shell_are_found() {
        check(
            "#[u_export(foreign)] trait A { fn b(&self, c: &str) -> Result<(), E>; }",
            &["`A::b` is of a shell and takes"],
        );
        check(
            "#[u_export(foreign)] trait A { fn b(self: Arc<Self>) -> Result<(), E>; }",
            &["`A::b` is of a shell: it takes"],
        );
    }

    #[test]
    fn words_of_swift_are_found() {
        let text =
            "#[u_export(foreign)] trait A { fn open(&self) -> Result<(), E>; fn shown(&self) -> Result<(), E>; }";
        check(text, &["`A::open` is of a shell and named"]);
    }

    #[test]
    fn comments_in_comments_are_found() {
        check("/// Reads `/tmp/*` and more.\npub struct A;\n// And /* this */ is fine.\n", &["f.rs:1 has `/*`"]);
    }

    #[test]
    fn uniffi_is_told_of_in_the_facade_only() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text.replace("u_", &uniffi(""))).unwrap();
        };
        write("bindings/bindgen/src/main.rs", "fn main() { u_uniffi_bindgen_main(); }");
        write("core/client/src/facade.rs", "#[u_export]\nimpl A {}\n");
        write("core/client/src/facade/views.rs", "#[derive(u_Record)]\nstruct A;\n");
        write("core/client/src/lib.rs", "u_setup_scaffolding!(\"comptoir\");\nmod facade;\n");
        assert_eq!(findings(root.path()).unwrap(), Vec::<String>::new());

        write("core/client/src/lib.rs", "u_setup_scaffolding!(\"comptoir\");\n#[u_export]\nfn a() {}\n");
        write("core/engine/src/lib.rs", "#[derive(u_Enum)]\nenum A {}\n");
        let found = findings(root.path()).unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("core/client/src/lib.rs:2 speaks of UniFFI"), "{found:?}");
        assert!(found[1].starts_with("core/engine/src/lib.rs:1 "), "{found:?}");
    }
}
