#!/usr/bin/env bash
# Builds the library for iPhones and their simulators, and puts it into the Swift package as an XCFramework.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: bindings/swift/build-xcframework.sh [--profile PROFILE]

Needs a Mac with Xcode, and the targets of Rust:
    rustup target add aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios

Makes the Swift package in target/bindings/swift, with ComptoirFFI.xcframework in it.

    --profile PROFILE   Cargo's profile, `phone` if none is given
    --help              says this
TEXT
}

profile=phone
while [[ $# -gt 0 ]]; do
    case $1 in
        --profile)
            [[ $# -ge 2 ]] || { echo "--profile needs a name: see --help" >&2; exit 2; }
            profile=$2
            shift 2
            ;;
        --help | -h)
            usage
            exit 0
            ;;
        *)
            echo "$1 is not understood: see --help" >&2
            exit 2
            ;;
    esac
done

if ! command -v xcodebuild > /dev/null; then
    echo "xcodebuild is missing: an XCFramework is made on a Mac with Xcode" >&2
    exit 1
fi

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target=${CARGO_TARGET_DIR:-$PWD/target}
package=$target/bindings/swift
work=$target/bindings/xcframework
# Cargo keeps what `dev` makes in `debug`, and everything else under its own name.
folder=$profile
[[ $profile != dev ]] || folder=debug

# As in `Package.swift`. The C code of SQLCipher asks for it too.
export IPHONEOS_DEPLOYMENT_TARGET=16.0

cargo xtask bindings --release
for triple in aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios; do
    # Only what an app links: a dynamic library for a phone would need a signature of its own.
    cargo rustc --package comptoir-bindings --lib --crate-type staticlib --profile "$profile" --target "$triple"
done

rm -rf "$work" "$package/ComptoirFFI.xcframework"
# Headers lie in a folder of their own: two frameworks with a `module.modulemap` at the same place break an app's build.
mkdir -p "$work/simulator" "$work/headers/ComptoirFFI"
cp "$target/bindings/generated/swift/ComptoirFFI.h" "$work/headers/ComptoirFFI/ComptoirFFI.h"
cp "$target/bindings/generated/swift/ComptoirFFI.modulemap" "$work/headers/ComptoirFFI/module.modulemap"
lipo -create \
    "$target/aarch64-apple-ios-sim/$folder/libcomptoir.a" \
    "$target/x86_64-apple-ios/$folder/libcomptoir.a" \
    -output "$work/simulator/libcomptoir.a"
xcodebuild -create-xcframework \
    -library "$target/aarch64-apple-ios/$folder/libcomptoir.a" -headers "$work/headers" \
    -library "$work/simulator/libcomptoir.a" -headers "$work/headers" \
    -output "$package/ComptoirFFI.xcframework"

echo "$package"
