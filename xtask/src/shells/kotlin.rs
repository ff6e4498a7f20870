//! Kotlin on an ordinary JVM, by Maven: the package for Android without an Android SDK.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{Missed, Outcome, install, scenarios, write};
use crate::bindings::{self, Bindings};
use crate::house::{House, Result, output};

const PACKAGES: [&str; 2] = ["maven", "default-jdk-headless"];
/// The oldest Java that `bindings/kotlin/pom.xml` compiles for.
const JAVA: u32 = 17;

/// The package builds with the driver of the scenarios, and drives the same shop.
pub(crate) fn step(house: &House) -> Outcome {
    let bindings = bindings::make(house, false)?;
    let build = house.target.join("shells/kotlin");
    let examples = build.join("examples");
    write(&examples.join("Example.kt"), &scenarios::example_of(house, "kotlin")?)?;
    compile(house, &bindings, &build, &examples)?;

    let libraries = bindings.library.parent().unwrap_or(&house.target);
    let run = |main: &str| {
        let mut java = Command::new("java");
        // Many of them start, and none lives long.
        java.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]);
        java.arg(format!("-Djna.library.path={}", libraries.display()));
        java.arg("-cp").arg(format!("{0}/classes:{0}/lib/*", build.display())).arg(main);
        java
    };
    scenarios::play(house, &run("app.comptoir.driver.DriverKt"), &run("ExampleKt"))
}

/// The package with the driver and the programs of another folder.
fn compile(house: &House, bindings: &Bindings, build: &Path, programs: &Path) -> std::result::Result<(), Missed> {
    let maven = Maven::ready().map_err(Missed::Skipped)?;
    let mut compile = maven.command(&house.root.join("bindings/kotlin"));
    let generated = bindings.generated.join("kotlin");
    for (name, folder) in [("build", build), ("generated", &generated), ("examples", programs)] {
        compile.arg(format!("-Dcomptoir.{name}={}", folder.display()));
    }
    maven.run(compile.arg("compile"))
}

/// The bench, with the library as people get it.
pub(super) fn bench(house: &House) -> std::result::Result<Vec<String>, Missed> {
    let bindings = bindings::make(house, true)?;
    let build = house.target.join("shells/kotlin-bench");
    compile(house, &bindings, &build, &house.root.join("benches/languages"))?;
    let libraries = bindings.library.parent().unwrap_or(&house.target);
    let path = format!("-Djna.library.path={}", libraries.display());
    let classes = format!("{0}/classes:{0}/lib/*", build.display());
    Ok(["java", &path, "-cp", &classes, "app.comptoir.bench.BenchKt"].map(str::to_owned).to_vec())
}

/// Maven, and the Java it runs on.
pub(crate) struct Maven;

impl Maven {
    /// Installs what is missing. An error is why it cannot be had.
    pub(crate) fn ready() -> Result<Self> {
        if ["mvn", "javac"].into_iter().any(|program| !install::is_there(program)) {
            install::apt_get(&PACKAGES)?;
        }
        let told = output(Command::new("javac").arg("-version").stdin(Stdio::null()))?;
        match java_version(&String::from_utf8_lossy(&told)) {
            Some(version) if version >= JAVA => Ok(Self),
            _ => Err(format!("needs a JDK from {JAVA} on as the first in the path")),
        }
    }

    /// Maven for the project in this folder, without its goals. Nothing of it stays running.
    pub(crate) fn command(&self, pom_folder: &Path) -> Command {
        let mut maven = Command::new("mvn");
        maven.args(["--quiet", "--batch-mode", "--no-transfer-progress", "-Dstyle.color=never"]);
        // The plugin for Kotlin would leave a compiler in memory that waits for the next run.
        maven.arg("-Dkotlin.compiler.daemon=false");
        maven.arg("--file").arg(pom_folder).stdin(Stdio::null());
        maven
    }

    /// Runs it and shows what it says. What it cannot download skips the step.
    pub(crate) fn run(&self, maven: &mut Command) -> std::result::Result<(), Missed> {
        let done = maven.output().map_err(|error| format!("starting `mvn`: {error}"))?;
        let told = [done.stdout, done.stderr].concat();
        // It ends in the terminal's ordinary colour, however it is asked not to.
        let told = String::from_utf8_lossy(&told).replace("\u{1b}[0m", "");
        print!("{told}");
        match unreachable(&told) {
            _ if done.status.success() => Ok(()),
            Some(artifact) => Err(Missed::Skipped(format!("needs the network: Maven could not download {artifact}"))),
            None => Err(Missed::Failed("`mvn` failed: see above".to_owned())),
        }
    }
}

/// 17 in `javac 17.0.15`
fn java_version(told: &str) -> Option<u32> {
    told.trim().strip_prefix("javac ")?.split(['.', '-']).next()?.parse().ok()
}

/// What Maven did not get because it did not reach where artifacts come from. One that does not exist it could not *find*.
fn unreachable(told: &str) -> Option<&str> {
    let (_, rest) = told.split_once("Could not transfer artifact ")?;
    rest.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_is_told_by_its_version() {
        for (told, version) in
            [("javac 17.0.15\n", Some(17)), ("javac 26-ea", Some(26)), ("javac 1.8.0_202", Some(1)), ("", None)]
        {
            assert_eq!(java_version(told), version, "{told}");
        }
    }

    #[test]
    fn what_is_out_of_reach_is_told_from_what_is_wrong() {
        let offline =
            "[ERROR] Plugin a:b:1 could not be resolved: Could not transfer artifact a:b:pom:1 from/to central";
        assert_eq!(unreachable(&format!("[ERROR] first\n{offline}\n")), Some("a:b:pom:1"));
        assert_eq!(unreachable("[ERROR] Main.kt:[3,1] Unresolved reference 'Breadd'."), None);
        assert_eq!(unreachable("[ERROR] Could not find artifact a:b:jar:9.9 in central"), None);
    }
}
