// swift-tools-version: 6.0
import PackageDescription

// Debian's library for observation misses a symbol of the runtime that nothing here calls.
let package = Package(
    name: "Toolchain",
    targets: [
        .testTarget(
            name: "Toolchain",
            path: "Tests",
            linkerSettings: [.unsafeFlags(["-Xlinker", "--allow-shlib-undefined"])]
        )
    ]
)
