//! Swift on Linux: Debian's own, from a release newer than many machines, in a folder that programs take for the root.
//!
//! Nothing of it touches the machine: what a program sees of ours it is handed folder by folder, and mounts are made where
//! only it sees them, so they are gone with it, however it ends. The network is the machine's, loopback included.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::cache::Cache;
use super::{Missed, Outcome, install, scenarios, write};
use crate::bindings::{self, Bindings};
use crate::house::{House, Result, output, succeed};

const RELEASE: &str = "trixie";
/// The compiler names the C and C++ headers that it is used with only as suggestions.
const PACKAGES: [&str; 4] = ["swiftlang", "libc6-dev", "libstdc++-14-dev", "git"];
/// Raise it when the folder has to be made anew for another reason than its packages.
const RECIPE: u32 = 1;

/// The package builds there with the driver of the scenarios, and drives the same shop.
pub(crate) fn step(house: &House) -> Outcome {
    let swift = Swift::ready().map_err(Missed::Skipped)?;
    let bindings = bindings::make(house, false)?;
    let package = house.target.join("shells/swift");
    let driver = source(&house.root.join("tests/drivers/driver.swift"))?;
    write(&package.join("Sources/driver/driver.swift"), &driver)?;
    write(&package.join("Sources/example/main.swift"), &scenarios::example_of(house, "swift")?)?;
    let folders = build(house, &swift, &bindings, &package, &["driver", "example"], "debug")?;

    // What the scenarios hand over are files below the system's folder for such.
    let scratch = env::temp_dir();
    let mut seen: Vec<(&Path, &str)> = folders.iter().map(|(here, there)| (here.as_path(), *there)).collect();
    let place = scratch.to_string_lossy().into_owned();
    seen.push((&scratch, &place));
    let driver = swift.command(&seen, "/package/.build/debug/driver");
    let mut example = swift.command(&seen, "env");
    example.args(["--chdir", "{dir}", "/package/.build/debug/example"]);
    scenarios::play(house, &driver, &example)
}

/// The bench, with the library as people get it.
pub(super) fn bench(house: &House) -> std::result::Result<Vec<String>, Missed> {
    let swift = Swift::ready().map_err(Missed::Skipped)?;
    let bindings = bindings::make(house, true)?;
    let package = house.target.join("shells/swift-bench");
    write(&package.join("Sources/bench/main.swift"), &source(&house.root.join("benches/languages/bench.swift"))?)?;
    let mut folders = build(house, &swift, &bindings, &package, &["bench"], "release")?;
    let place = house.target.to_string_lossy().into_owned();
    folders.push((house.target.clone(), &place));
    let seen: Vec<(&Path, &str)> = folders.iter().map(|(here, there)| (here.as_path(), *there)).collect();
    let bench = swift.command(&seen, "/package/.build/release/bench");
    let words = std::iter::once(bench.get_program()).chain(bench.get_args());
    Ok(words.map(|word| word.to_string_lossy().into_owned()).collect())
}

/// Builds programs beside the package that they use. Gives the folders that they see.
fn build(
    house: &House,
    swift: &Swift,
    bindings: &Bindings,
    package: &Path,
    programs: &[&str],
    configuration: &str,
) -> Result<Vec<(PathBuf, &'static str)>> {
    let targets: String = programs.iter().map(|name| TARGET.replace("NAME", name)).collect();
    write(&package.join("Package.swift"), &PACKAGE.replace("TARGETS", &targets))?;
    let libraries = bindings.library.parent().unwrap_or(&house.target).to_owned();
    let folders =
        vec![(package.to_owned(), "/package"), (bindings.swift.clone(), "/comptoir"), (libraries, "/library")];
    let seen: Vec<(&Path, &str)> = folders.iter().map(|(here, there)| (here.as_path(), *there)).collect();
    let mut build = swift.command(&seen, "swift");
    succeed(build.args(["build", "--quiet", "--configuration", configuration, "--package-path", "/package"]))?;
    Ok(folders)
}

fn source(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("reading {}: {error}", path.display()))
}

/// Debian's library for observation misses a symbol of the runtime that nothing here calls.
const PACKAGE: &str = r#"// swift-tools-version: 6.0
import PackageDescription

let link = LinkerSetting.unsafeFlags([
    "-L/library", "-lcomptoir", "-Xlinker", "-rpath", "-Xlinker", "/library", "-Xlinker", "--allow-shlib-undefined",
])
let uses: [Target.Dependency] = [.product(name: "Comptoir", package: "comptoir")]

let package = Package(
    name: "Programs",
    dependencies: [.package(path: "/comptoir")],
    targets: [
TARGETS    ]
)
"#;

const TARGET: &str = "        .executableTarget(name: \"NAME\", dependencies: uses, linkerSettings: [link]),\n";

/// A root folder with Swift in it.
pub(crate) struct Swift {
    root: PathBuf,
}

impl Swift {
    /// Made at the first call on this machine, which takes minutes and three gigabytes. An error is why it cannot be had.
    pub(crate) fn ready() -> Result<Self> {
        if !install::is_root() {
            return Err("needs root, for a folder that programs take for the root".to_owned());
        }
        let mut alone = Command::new("unshare");
        output(alone.args(["--mount", "true"])).map_err(|why| format!("needs mounts of its own: {why}"))?;
        let recipe = format!("{RELEASE} {} {RECIPE}", PACKAGES.join(" "));
        let folder = Cache::find()?.folder("swift", &recipe, make)?;
        Ok(Self { root: folder.join("root") })
    }

    /// A program in there, with these folders of ours at places of its own. It begins in `/`, and of our environment it
    /// knows only proxies; `/tmp` is empty and goes with it.
    ///
    /// The process that is started becomes the program, so that killing it is killing the program.
    pub(crate) fn command(&self, folders: &[(&Path, &str)], program: &str) -> Command {
        inside(&self.root, folders, program)
    }
}

fn inside(root: &Path, folders: &[(&Path, &str)], program: &str) -> Command {
    const SCRIPT: &str = r#"
        set -e
        root=$1
        shift
        mount --rbind /dev "$root/dev"
        mount -t proc proc "$root/proc"
        mount -t tmpfs tmpfs "$root/tmp"
        while [ "$1" != -- ]; do
            mkdir -p "$root$2"
            mount --bind "$1" "$root$2"
            shift 2
        done
        shift
        exec chroot "$root" "$@"
    "#;
    let mut command = Command::new("unshare");
    command.stdin(Stdio::null()).env_clear();
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("HOME", "/root").env("LANG", "C.UTF-8").env("DEBIAN_FRONTEND", "noninteractive");
    for name in ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"] {
        if let Some(proxy) = env::var_os(name) {
            command.env(name, proxy);
        }
    }
    command.args(["--mount", "sh", "-c", SCRIPT, "sh"]).arg(root);
    for (here, there) in folders {
        command.arg(here).arg(there);
    }
    command.arg("--").arg(program);
    command
}

fn make(folder: &Path) -> Result<()> {
    let mirror = mirror()?;
    install::apt_get(&["debootstrap", "ca-certificates"])?;
    let root = folder.join("root");
    println!("xtask: installing Swift into {}, once for this machine; that takes some minutes", folder.display());

    // With mounts of its own, since it makes some.
    let mut debootstrap = Command::new("unshare");
    debootstrap.args(["--mount", "debootstrap", "--variant=minbase", "--include=ca-certificates", RELEASE]);
    debootstrap.arg(&root).arg(&mirror).stdin(Stdio::null());
    if let (None, Some(proxy)) = (env::var_os("http_proxy"), proxy()) {
        debootstrap.env("http_proxy", proxy);
    }
    output(&mut debootstrap)?;

    let io = |error| format!("preparing {}: {error}", root.display());
    // Nothing that is installed may start a service.
    let policy = root.join("usr/sbin/policy-rc.d");
    fs::write(&policy, "#!/bin/sh\nexit 101\n").map_err(io)?;
    output(Command::new("chmod").arg("+x").arg(&policy))?;
    // It reaches the network as this machine does.
    for file in ["etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt"] {
        let ours = Path::new("/").join(file);
        if ours.exists() {
            fs::copy(ours, root.join(file)).map_err(io)?;
        }
    }
    fs::write(root.join("etc/apt/apt.conf.d/90host"), network_settings()).map_err(io)?;

    output(inside(&root, &[], "apt-get").args(["--quiet", "update"]))?;
    let quiet = ["--quiet", "--yes", "--no-install-recommends", "install"];
    output(inside(&root, &[], "apt-get").args(quiet).args(PACKAGES))?;
    output(inside(&root, &[], "apt-get").arg("clean")).map(drop)
}

/// Where this machine gets Debian from.
fn mirror() -> Result<String> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let told = |key: &str| {
        let value = release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.unwrap_or_default().trim_matches('"').to_owned()
    };
    if told("ID") != "debian" {
        return Err("needs Debian, whose own mirror is asked for Swift".to_owned());
    }
    let mut ask = Command::new("apt-get");
    ask.args(["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]);
    let targets = output(&mut ask)?;
    let mirror = mirror_of(&String::from_utf8_lossy(&targets), &told("VERSION_CODENAME"));
    mirror.ok_or_else(|| "needs a mirror of Debian among the sources of apt".to_owned())
}

/// Of all sources, the one that the system itself is from.
fn mirror_of(targets: &str, release: &str) -> Option<String> {
    targets.lines().find_map(|target| match target.split(' ').collect::<Vec<_>>()[..] {
        [mirror, of, "main"] if of == release && mirror.starts_with("http") => Some(mirror.to_owned()),
        _ => None,
    })
}

fn proxy() -> Option<String> {
    let told = output(Command::new("apt-config").args(["dump", "--format", "%v", "Acquire::http::Proxy"])).ok()?;
    let proxy = String::from_utf8_lossy(&told).trim().to_owned();
    (!proxy.is_empty() && proxy != "DIRECT").then_some(proxy)
}

/// What this machine's apt was told about the network.
fn network_settings() -> String {
    let told = output(Command::new("apt-config").arg("dump")).unwrap_or_default();
    let is_network = |line: &&str| {
        let matters = ["Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries"];
        matters.iter().any(|name| line.starts_with(name))
    };
    String::from_utf8_lossy(&told).lines().filter(is_network).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_systems_own() {
        let targets = "http://packages.example.org/bookworm/ nodistro main\n\
            http://debian.example.org/debian-security/ bookworm-security main\n\
            http://debian.example.org/debian/ bookworm contrib\n\
            http://debian.example.org/debian/ bookworm main\n";
        assert_eq!(mirror_of(targets, "bookworm").unwrap(), "http://debian.example.org/debian/");
        assert_eq!(mirror_of(targets, "trixie"), None);
    }

    #[test]
    fn a_program_is_handed_its_folders_before_its_name() {
        let command = inside(Path::new("/root"), &[(Path::new("/a b"), "/package")], "swift");
        let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect();
        assert_eq!(args[5..], ["/root", "/a b", "/package", "--", "swift"]);
    }
}
