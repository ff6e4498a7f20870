plugins {
    id("com.android.library") version "8.13.0"
    kotlin("android") version "2.4.21"
    `maven-publish`
}

group = "app.comptoir"
version = "0.1.0"

val house: File = rootDir.parentFile.parentFile
val target: File = providers.environmentVariable("CARGO_TARGET_DIR").map { File(it) }.getOrElse(house.resolve("target"))
val abis = listOf("arm64-v8a", "armeabi-v7a", "x86_64", "x86")
val lowestApi = 26

/** What the library is made from. Cargo decides what to build of it; Gradle only whether to ask. */
val rust = fileTree(house) {
    include("Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo/config.toml")
    include("core/**", "protocol/**", "bindings/src/**", "bindings/build.rs", "bindings/Cargo.toml")
    exclude("**/target/**")
}

/** The library for phones, linked for pages of 16 KiB by `bindings/build.rs`. Needs cargo-ndk, and an NDK. */
val cargoNdk by tasks.registering(Exec::class) {
    val made = layout.buildDirectory.dir("jniLibs")
    inputs.files(rust)
    outputs.dir(made)
    workingDir = house
    commandLine(
        listOf("cargo", "ndk", "--platform", lowestApi.toString()) +
            abis.flatMap { listOf("--target", it) } +
            listOf("--output-dir", made.get().asFile.path) +
            listOf("build", "--package", "comptoir-bindings", "--profile", "phone"),
    )
}

/** The Kotlin that UniFFI writes: the same on every machine, so it is read from the library for this one. */
val generate by tasks.registering(Exec::class) {
    val made = target.resolve("bindings/generated/kotlin")
    inputs.files(rust, house.resolve("bindings/bindgen.toml"), house.resolve("bindings/bindgen/Cargo.lock"))
    outputs.dir(made)
    workingDir = house
    commandLine("cargo", "xtask", "bindings", "--release")
}

android {
    namespace = "app.comptoir"
    compileSdk = 36

    defaultConfig {
        minSdk = lowestApi
        consumerProguardFiles("consumer-rules.pro")
        ndk { abiFilters += abis }
    }

    sourceSets.named("main") {
        kotlin.srcDir(target.resolve("bindings/generated/kotlin"))
        jniLibs.srcDir(layout.buildDirectory.dir("jniLibs"))
    }

    // Cargo has stripped what is large. The names that are left make a crash report readable; the app may strip them.
    packaging.jniLibs.keepDebugSymbols += "**/libcomptoir.so"

    publishing.singleVariant("release")
}

kotlin { jvmToolchain(17) }

tasks.matching { it.name == "preBuild" }.configureEach { dependsOn(cargoNdk, generate) }

dependencies {
    // With its own library for Android in it, and from 5.17 on fit for pages of 16 KiB.
    api("net.java.dev.jna:jna:5.19.1@aar")
    api("org.jetbrains.kotlinx:kotlinx-coroutines-android:1.11.0")
}

publishing.publications.register<MavenPublication>("release") {
    artifactId = "comptoir"
    afterEvaluate { from(components["release"]) }
}
