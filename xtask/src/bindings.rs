//! `bindings`: the library `comptoir` in other languages. Below `target/bindings` it makes
//!
//! | folder | what it is |
//! |---|---|
//! | `generated/kotlin`, `generated/swift`, `generated/python` | what UniFFI wrote from the library, and nothing else |
//! | `kotlin` | a folder of sources: those, and what people wrote beside them |
//! | `swift` | a Swift package |
//! | `python` | a folder that a wheel is built from, with the library in it |
//!
//! A file that is as it should be is left alone, so that nothing is built again because of it.

mod api;

use std::collections::BTreeSet;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX, EXE_SUFFIX};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::house::{House, Result, output, succeed};
use crate::python::Environment;

/// What `bindings/python/pyproject.toml` builds with, and what that needs. Nothing else is downloaded for a build.
const BUILDS_WHEELS: [&str; 1] = ["setuptools==80.9.0"];

/// Where everything lies that was made.
pub(crate) struct Bindings {
    /// The library that the rest was made from.
    pub(crate) library: PathBuf,
    /// What UniFFI wrote, a folder for each language.
    pub(crate) generated: PathBuf,
    pub(crate) kotlin: PathBuf,
    pub(crate) swift: PathBuf,
    pub(crate) python: PathBuf,
}

pub(crate) fn run(house: &House, release: bool, bless: bool, with_wheel: bool) -> Result<bool> {
    let bindings = make(house, release)?;
    println!("xtask: {}", bindings.library.display());
    for folder in [&bindings.kotlin, &bindings.swift, &bindings.python] {
        println!("xtask: {}", folder.display());
    }
    if with_wheel {
        println!("xtask: `comptoir` is installed for {}", wheel(house, &bindings)?.display());
    }
    api::check(&house.root, &bindings.generated, bless)
}

/// Holds what is public against what stands in `bindings/api`.
pub(crate) fn check_listings(house: &House, bindings: &Bindings) -> Result<()> {
    match api::check(&house.root, &bindings.generated, false)? {
        true => Ok(()),
        false => Err("what is public in the bindings changed: see above".to_owned()),
    }
}

/// Whether another build of the library, such as a phone's, has the same bindings as this machine's.
pub(crate) fn are_the_same(house: &House, library: &Path) -> Result<bool> {
    let ours = read(&make(house, false)?.generated)?;
    Ok(read(&generate(house, library, &house.target.join("phones/bindings"))?)? == ours)
}

/// Builds the library, has its bindings generated, and puts the packages together.
///
/// The library of a release is built by itself; the other one as the tests build it, with the points where it can be told
/// to crash.
pub(crate) fn make(house: &House, release: bool) -> Result<Bindings> {
    let mut build = house.cargo();
    match release {
        true => build.args(["build", "--package", "comptoir-bindings", "--release"]),
        false => build.args(["build", "--workspace"]),
    };
    succeed(&mut build)?;
    let library = house.target.join(if release { "release" } else { "debug" }).join(library_name());

    let own = house.root.join("bindings");
    let folder = house.target.join("bindings");
    let generated = generate(house, &library, &folder)?;
    let language = |name: &str| generated.join(name);

    let kotlin = folder.join("kotlin");
    let mut sources = read(&own.join("kotlin/src/main/kotlin"))?;
    sources.extend(read(&language("kotlin"))?);
    stage(&kotlin, "", &sources)?;

    let swift = folder.join("swift");
    let mut package = vec![of(&own.join("swift"), "Package.swift")?];
    let sources = read(&own.join("swift/Sources"))?;
    package.extend(sources.into_iter().map(|(path, bytes)| (Path::new("Sources").join(path), bytes)));
    for (name, place) in [("Comptoir.swift", "Sources/Comptoir"), ("ComptoirFFI.h", "Sources/ComptoirFFI")] {
        package.push((Path::new(place).join(name), of(&language("swift"), name)?.1));
    }
    stage(&swift, "Sources", &package)?;

    let python = folder.join("python");
    let mut package = read(&own.join("python"))?;
    package.push(("comptoir/comptoir.py".into(), of(&language("python"), "comptoir.py")?.1));
    package.push((Path::new("comptoir").join(library_name()), bytes_of(&library)?));
    stage(&python, "comptoir", &package)?;

    Ok(Bindings { library, generated, kotlin, swift, python })
}

/// Builds the wheel and installs it where nothing else is, unless that was done with the same package. Gives the Python that
/// has `comptoir` in it.
pub(crate) fn wheel(house: &House, bindings: &Bindings) -> Result<PathBuf> {
    const INSTALLED: &str = "with-comptoir";
    let wheels = house.target.join("bindings/wheels");
    fs::create_dir_all(&wheels).map_err(|error| format!("preparing {}: {error}", wheels.display()))?;
    if written_last(&wheels)? <= written_last(&bindings.python)? {
        // What an earlier build left would be packed again.
        for old in [&house.target.join(INSTALLED), &wheels, &bindings.python.join("build")] {
            remove(old)?;
        }
        let builder = Environment::with(house, "wheels", &BUILDS_WHEELS)?;
        let mut pip = Command::new(builder.python());
        pip.args(["-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]);
        pip.args(["--no-build-isolation", "--wheel-dir"]).arg(&wheels).arg(&bindings.python);
        output(pip.env_remove("PYTHONPATH").env_remove("PYTHONHOME"))?;
    }
    let built: Vec<PathBuf> = paths(&wheels)?.into_iter().collect();
    let [name] = built.as_slice() else {
        return Err(format!("{} should hold one wheel, and holds {} files", wheels.display(), built.len()));
    };
    let wheel = wheels.join(name).display().to_string();
    Ok(Environment::with(house, INSTALLED, &[&wheel])?.python())
}

/// When the youngest file of a folder was written; `None` when there is none.
fn written_last(folder: &Path) -> Result<Option<SystemTime>> {
    let mut last = None;
    for path in paths(folder)? {
        let path = folder.join(path);
        let written = fs::metadata(&path).and_then(|file| file.modified());
        last = last.max(Some(written.map_err(|error| format!("reading {}: {error}", path.display()))?));
    }
    Ok(last)
}

fn library_name() -> String {
    format!("{DLL_PREFIX}comptoir{DLL_SUFFIX}")
}

/// Has UniFFI write each language. The generator is built apart: it is heavy, and few people change the façade.
fn generate(house: &House, library: &Path, folder: &Path) -> Result<PathBuf> {
    let apart = house.target.join("bindgen");
    let mut build = house.cargo();
    build.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(house.root.join("bindings/bindgen/Cargo.toml"));
    succeed(build.arg("--target-dir").arg(&apart))?;

    let generated = folder.join("generated");
    let fresh = folder.join("generated.new");
    remove(&fresh)?;
    for language in ["kotlin", "swift", "python"] {
        let mut bindgen = Command::new(apart.join("debug").join(format!("comptoir-bindgen{EXE_SUFFIX}")));
        bindgen.current_dir(&house.root).arg("generate").arg(library).args(["--language", language, "--no-format"]);
        output(bindgen.args(["--config", "bindings/bindgen.toml", "--out-dir"]).arg(fresh.join(language)))?;
    }
    stage(&generated, "", &read(&fresh)?)?;
    remove(&fresh)?;
    Ok(generated)
}

/// A file: where it belongs, and what is in it.
type Content = (PathBuf, Vec<u8>);

/// Everything in a folder, but for what is hidden or what a build or an editor left there.
fn read(folder: &Path) -> Result<Vec<Content>> {
    let mut files = Vec::new();
    for path in paths(folder)? {
        let bytes = bytes_of(&folder.join(&path))?;
        files.push((path, bytes));
    }
    Ok(files)
}

fn of(folder: &Path, name: &str) -> Result<Content> {
    Ok((name.into(), bytes_of(&folder.join(name))?))
}

fn bytes_of(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| format!("reading {}: {error}", path.display()))
}

/// What lies in a folder and below it, in order.
fn paths(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    const LEFT_OVER: [&str; 2] = ["build", "__pycache__"];
    let (mut found, mut folders) = (BTreeSet::new(), vec![PathBuf::new()]);
    while let Some(inner) = folders.pop() {
        let unreadable = |error| format!("reading {}: {error}", folder.join(&inner).display());
        for entry in fs::read_dir(folder.join(&inner)).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            let path = inner.join(&name);
            let name = name.to_string_lossy();
            if name.starts_with('.') || name.ends_with(".egg-info") || LEFT_OVER.contains(&&*name) {
                continue;
            }
            match entry.file_type().map_err(unreadable)?.is_dir() {
                true => folders.push(path),
                false => drop(found.insert(path)),
            }
        }
    }
    Ok(found)
}

/// Makes a folder hold these files. In its folder `own` there is nothing else afterwards; beside that, a build may keep
/// what it made.
fn stage(folder: &Path, own: &str, files: &[Content]) -> Result<()> {
    for (path, bytes) in files {
        let path = folder.join(path);
        if fs::read(&path).is_ok_and(|there| there == *bytes) {
            continue;
        }
        let io = |error| format!("writing {}: {error}", path.display());
        fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(io)?;
        fs::write(&path, bytes).map_err(io)?;
    }
    let own = Path::new(own);
    for path in paths(&folder.join(own))? {
        let path = own.join(path);
        if !files.iter().any(|(staged, _)| *staged == path) {
            let path = folder.join(path);
            fs::remove_file(&path).map_err(|error| format!("removing {}: {error}", path.display()))?;
        }
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    match folder.exists() {
        true => fs::remove_dir_all(folder).map_err(|error| format!("removing {}: {error}", folder.display())),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_as_it_should_be_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let files = |text: &str| vec![("Sources/a".into(), text.into()), ("b".into(), b"b".to_vec())];
        stage(root, "Sources", &files("one")).unwrap();
        let written = |name: &str| fs::metadata(root.join(name)).unwrap().modified().unwrap();
        let before = (written("Sources/a"), written("b"));

        fs::write(root.join("Sources/gone"), "from an older version").unwrap();
        fs::write(root.join("made.zip"), "from a build").unwrap();
        stage(root, "Sources", &files("one")).unwrap();
        assert_eq!((written("Sources/a"), written("b")), before);
        assert!(!root.join("Sources/gone").exists());
        assert!(root.join("made.zip").exists());

        stage(root, "Sources", &files("two")).unwrap();
        assert_eq!(fs::read(root.join("Sources/a")).unwrap(), b"two");
        assert_eq!(written("b"), before.1);
    }

    #[test]
    fn what_a_build_left_is_not_packed() {
        let root = tempfile::tempdir().unwrap();
        for name in ["comptoir/ids.py", "build/lib/old.py", "comptoir.egg-info/PKG-INFO", ".hidden/x", "setup.py"] {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        let read: Vec<_> = read(root.path()).unwrap().into_iter().map(|(path, _)| path).collect();
        assert_eq!(read, [Path::new("comptoir/ids.py"), Path::new("setup.py")]);
    }
}
