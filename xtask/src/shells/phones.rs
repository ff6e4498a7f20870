//! The library as phones get it, as far as Linux can tell.
//!
//! **iOS.** The Rust code is type-checked for a phone. Its C code is only read, with the headers of this machine, for there
//! are none of Apple's: what stands under `#ifdef __APPLE__` is seen by nobody before a Mac builds it.
//!
//! **Android.** Rust and C are compiled and linked for a phone, by the linker that the NDK uses too. The C code comes from
//! Debian's compiler for 64-bit ARM and is read with glibc's headers under `__ANDROID__`; a name that only glibc has is
//! then missing at the link. In place of bionic stand libraries that define the names of `bionic.txt` and nothing behind
//! them: the result has the shape of what a phone loads, and nothing can load it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Missed, Outcome, Passed, install, write};
use crate::bindings;
use crate::house::{House, Result, host, output, succeed};

const IOS: &str = "aarch64-apple-ios";
const ANDROID: &str = "aarch64-linux-android";
/// Debian's compiler for 64-bit ARM, by the beginning of its programs' names.
const CROSS: &str = "aarch64-linux-gnu";
const CROSS_PACKAGES: [&str; 2] = ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"];
const BIONIC: &str = include_str!("phones/bionic.txt");
/// Memory comes in pages of this size on newer phones.
const PAGE_BYTES: u64 = 16 * 1024;

/// Type-checks the library for iOS.
pub(crate) fn ios(house: &House) -> Outcome {
    prepare(house, IOS).map_err(Missed::Skipped)?;
    succeed(&mut check(house, IOS)?)?;
    Ok(Passed { checks: 1, note: "the library type-checks".to_owned() })
}

/// Links the library for Android and looks at it.
pub(crate) fn android(house: &House) -> Outcome {
    let library = android_library(house)?;
    let checks = look_at(&Library::read(&library)?)?;
    if !bindings::are_the_same(house, &library)? {
        return Err(Missed::Failed("what is generated from it is not what this machine's library gives".to_owned()));
    }
    Ok(Passed { checks: checks + 2, note: format!("{} is as a phone wants it", library.display()) })
}

/// The library for Android as people get it, for its size.
pub(crate) fn bench(house: &House) -> std::result::Result<Vec<String>, Missed> {
    let library = link_android(house, &Build { profile: "phone", folder: "phone", c_flags: "" })?;
    Ok(vec![format!("{CROSS}-strip"), library.display().to_string()])
}

/// The library for Android, linked. It cannot be loaded; whatever reads its symbols can use it, such as UniFFI's bindgen.
fn android_library(house: &House) -> std::result::Result<PathBuf, Missed> {
    link_android(house, &Build { profile: "dev", folder: "debug", c_flags: "-O0" })
}

struct Build {
    profile: &'static str,
    /// Where cargo puts what it builds in that profile.
    folder: &'static str,
    c_flags: &'static str,
}

fn link_android(house: &House, how: &Build) -> std::result::Result<PathBuf, Missed> {
    prepare(house, ANDROID).map_err(Missed::Skipped)?;
    if let Err(why) = install::apt_get(&CROSS_PACKAGES) {
        succeed(&mut check(house, ANDROID)?)?;
        return Err(Missed::Skipped(format!("it type-checks; for the link it {why}")));
    }
    let programs = Path::new(&sysroot(house)?).join("lib/rustlib").join(host()?).join("bin");
    let bionic = write_bionic(house, &programs)?;
    let include = write_include(house)?;

    let mut build = house.cargo();
    build.args(["rustc", "--package", "comptoir-bindings", "--lib", "--crate-type", "cdylib"]);
    build.args(["--profile", how.profile, "--target", ANDROID, "--target-dir"]).arg(folder(house));
    let link_args = [
        "-fuse-ld=lld".to_owned(),
        format!("-B{}", programs.join("gcc-ld").display()),
        format!("-L{}", bionic.display()),
        "-nostdlib".to_owned(),
    ];
    let flags: Vec<String> = link_args.into_iter().map(|flag| format!("-Clink-arg={flag}")).collect();
    let flags = serde_json::to_string(&flags).map_err(|error| format!("quoting {flags:?}: {error}"))?;
    // TOML reads an array of JSON strings. Flags that are set for all ARM processors stay in force beside these.
    build.arg("--config").arg(format!("target.{ANDROID}.rustflags={flags}"));
    build.arg("--config").arg(format!("target.{ANDROID}.linker='{CROSS}-gcc'"));
    build.env("CC_aarch64_linux_android", format!("{CROSS}-gcc"));
    build.env("AR_aarch64_linux_android", format!("{CROSS}-ar"));
    let c_flags = [
        how.c_flags,
        "-D__ANDROID__ -D__ANDROID_API__=26",
        // Two names that glibc's headers bring in: bionic calls the one otherwise and needs no second kind of `fcntl`.
        "-D__errno_location=__errno -DSQLITE_DISABLE_LFS",
        &format!("'-I{}'", include.display()),
    ];
    build.env("CFLAGS_aarch64_linux_android", c_flags.join(" ")).env("CC_SHELL_ESCAPED_FLAGS", "1");
    succeed(&mut build)?;
    Ok(folder(house).join(ANDROID).join(how.folder).join("libcomptoir.so"))
}

fn prepare(house: &House, target: &str) -> Result<()> {
    install::rustup_targets(house, &[target])?;
    // Some crates are for phones only and were never downloaded for this machine.
    output(house.cargo().args(["fetch", "--locked", "--target", target])).map(drop)
}

/// Phones are built apart: their flags would make the ordinary tests build things twice.
fn folder(house: &House) -> PathBuf {
    house.target.join("phones")
}

fn sysroot(house: &House) -> Result<String> {
    let told = output(Command::new("rustc").current_dir(&house.root).args(["--print", "sysroot"]))?;
    Ok(String::from_utf8_lossy(&told).trim().to_owned())
}

/// `cargo check` of the library, with a C compiler that compiles nothing.
fn check(house: &House, target: &str) -> Result<Command> {
    let stub = folder(house).join("stub");
    let cc = stub.join("cc.sh");
    write(&cc, include_str!("phones/cc.sh"))?;
    output(Command::new("chmod").arg("+x").arg(&cc))?;
    let mut check = house.cargo();
    check.args(["check", "--package", "comptoir-bindings", "--target", target, "--target-dir"]).arg(folder(house));
    let target = target.replace('-', "_");
    check.env(format!("CC_{target}"), &cc).env(format!("AR_{target}"), "ar");
    // Asked for by name, or Apple's tools would be asked where their headers are.
    check.env("SDKROOT", &stub);
    Ok(check)
}

/// Libraries with the names of Android's, each defining its symbols.
fn write_bionic(house: &House, programs: &Path) -> Result<PathBuf> {
    let folder = folder(house).join("bionic");
    for (library, symbols) in libraries(BIONIC) {
        let mut source = "#![no_std]\n".to_owned();
        for symbol in symbols {
            source += &format!("core::arch::global_asm!(\".globl {symbol}\\n{symbol}: ret\");\n");
        }
        let (rust, object) = (folder.join(format!("{library}.rs")), folder.join(format!("{library}.o")));
        write(&rust, &source)?;
        let mut rustc = Command::new("rustc");
        rustc.current_dir(&house.root).args(["--target", ANDROID, "--crate-type", "lib", "--crate-name", "bionic"]);
        output(rustc.args(["--emit", "obj", "-o"]).arg(&object).arg(&rust))?;
        let path = folder.join(library);
        if library.ends_with(".so") {
            let mut link = Command::new(programs.join("rust-lld"));
            link.args(["-flavor", "gnu", "-shared", "-soname", library, "-o"]);
            output(link.arg(&path).arg(&object))?;
        } else {
            output(Command::new(format!("{CROSS}-ar")).arg("crs").arg(&path).arg(&object))?;
        }
    }
    Ok(folder)
}

/// The headers that glibc has not.
fn write_include(house: &House) -> Result<PathBuf> {
    let include = folder(house).join("include");
    write(&include.join("android/log.h"), include_str!("phones/include/android/log.h"))?;
    Ok(include)
}

/// The symbols of each library in the list.
fn libraries(list: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut libraries = BTreeMap::new();
    let mut library = "";
    for line in list.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        if line.starts_with(' ') {
            libraries.entry(library).or_insert_with(BTreeSet::new).extend(line.split_whitespace());
        } else {
            library = line.trim();
        }
    }
    libraries
}

/// What a linked library says of itself.
#[derive(Debug, Default)]
struct Library {
    /// How each part that is loaded is aligned, in bytes.
    alignments: Vec<u64>,
    needed: BTreeSet<String>,
    defined: BTreeSet<String>,
    undefined: BTreeSet<String>,
}

impl Library {
    fn read(path: &Path) -> Result<Self> {
        let mut readelf = Command::new("readelf");
        readelf.env("LC_ALL", "C").args(["--wide", "--segments", "--dynamic", "--dyn-syms"]).arg(path);
        Ok(Self::parse(&String::from_utf8_lossy(&output(&mut readelf)?)))
    }

    fn parse(told: &str) -> Self {
        let mut library = Self::default();
        for line in told.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["LOAD", .., alignment] => {
                    let digits = alignment.trim_start_matches("0x");
                    library.alignments.push(u64::from_str_radix(digits, 16).unwrap_or(0));
                }
                [_, "(NEEDED)", "Shared", "library:", name] => {
                    library.needed.insert(name.trim_matches(['[', ']']).to_owned());
                }
                // Code that asks whether a symbol is there can do without it.
                [_, _, _, _, "WEAK", _, "UND", _] => {}
                [number, _, _, _, _, _, section, name] if number.ends_with(':') => {
                    let name = name.split('@').next().unwrap_or(name).to_owned();
                    let symbols = if section == "UND" { &mut library.undefined } else { &mut library.defined };
                    symbols.insert(name);
                }
                _ => {}
            }
        }
        library
    }
}

/// How many checks passed, or everything that is wrong.
fn look_at(library: &Library) -> Result<u32> {
    let bionic = libraries(BIONIC);
    let shared = || bionic.iter().filter(|(name, _)| name.ends_with(".so"));
    let known: BTreeSet<&str> = shared().flat_map(|(_, symbols)| symbols.iter().copied()).collect();
    let unknown = |names: &BTreeSet<String>, is_known: &dyn Fn(&str) -> bool| {
        names.iter().filter(|name| !is_known(name)).cloned().collect::<Vec<_>>().join(", ")
    };
    let foreign_libraries = unknown(&library.needed, &|name| name.ends_with(".so") && bionic.contains_key(name));
    let foreign_symbols = unknown(&library.undefined, &|name| known.contains(name));
    let narrow = library.alignments.iter().any(|&bytes| bytes < PAGE_BYTES || bytes % PAGE_BYTES != 0);

    let mut wrong = Vec::new();
    if library.alignments.is_empty() || narrow {
        wrong.push(format!("not every part is aligned to pages of 16 KiB, but to {:?}", library.alignments));
    }
    if !foreign_libraries.is_empty() {
        wrong.push(format!("it needs libraries that Android has not: {foreign_libraries}"));
    }
    if !foreign_symbols.is_empty() {
        wrong.push(format!("it needs symbols that bionic.txt does not list: {foreign_symbols}"));
    }
    if !library.defined.iter().any(|name| name.starts_with("UNIFFI_META_")) {
        wrong.push("it has no UNIFFI_META_ symbols, so no bindings can be made from it".to_owned());
    }
    if wrong.is_empty() { Ok(4) } else { Err(wrong.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
  Type           Offset   VirtAddr           PhysAddr           FileSiz  MemSiz   Flg Align
  LOAD           0x000000 0x0000000000000000 0x0000000000000000 0x1bb8cc 0x1bb8cc R   0x4000
  LOAD           0x1bb8cc 0x00000000001bf8cc 0x00000000001bf8cc 0x2f9f84 0x2f9f84 R E 0x4000
  GNU_RELRO      0x4b5850 0x00000000004bd850 0x00000000004bd850 0x0221b0 0x0227b0 R   0x1
 0x0000000000000001 (NEEDED)             Shared library: [libc.so]
   Num:    Value          Size Type    Bind   Vis      Ndx Name
     0: 0000000000000000     0 NOTYPE  LOCAL  DEFAULT  UND
     1: 0000000000000000     0 NOTYPE  GLOBAL DEFAULT  UND malloc
     2: 0000000000000000     0 NOTYPE  GLOBAL DEFAULT  UND write@LIBC
     3: 0000000000000000     0 NOTYPE  WEAK   DEFAULT  UND copy_file_range
     4: 00000000000bf8cc   124 OBJECT  GLOBAL DEFAULT   12 UNIFFI_META_NAMESPACE_COMPTOIR_CLIENT
";

    fn complaint(told: &str) -> String {
        look_at(&Library::parse(told)).unwrap_err()
    }

    #[test]
    fn a_library_for_phones_passes() {
        let library = Library::parse(GOOD);
        assert_eq!(library.alignments, [PAGE_BYTES, PAGE_BYTES]);
        assert!(library.undefined.iter().eq(["malloc", "write"]), "{library:?}");
        assert_eq!(look_at(&library), Ok(4));
    }

    #[test]
    fn what_a_phone_would_refuse_is_found() {
        assert!(complaint(&GOOD.replacen("0x4000", "0x1000", 1)).contains("16 KiB, but to [4096, 16384]"));
        assert!(complaint(&GOOD.replace("malloc", "gnu_get_libc_version")).contains("list: gnu_get_libc_version"));
        assert!(complaint(&GOOD.replace("libc.so", "libc.so.6")).contains("has not: libc.so.6"));
        assert!(complaint(&GOOD.replace("UNIFFI_META", "META")).contains("no bindings"));
        assert!(complaint("").contains("16 KiB"));
    }

    #[test]
    fn the_list_is_in_order() {
        let libraries = libraries(BIONIC);
        assert!(libraries.keys().eq(["libc.so", "libdl.so", "liblog.so", "libm.so", "libunwind.a"].iter()));
        let names: Vec<&str> =
            BIONIC.lines().filter(|line| line.starts_with(' ')).flat_map(str::split_whitespace).collect();
        assert_eq!(names.len(), libraries.values().map(BTreeSet::len).sum::<usize>(), "a name stands twice");
    }
}
