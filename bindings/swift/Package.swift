// swift-tools-version: 6.0
import Foundation
import PackageDescription

// `cargo xtask bindings` puts this package together in `target/bindings/swift`, with the generated sources in it.
//
// On a Mac `build-xcframework.sh` adds the library for iOS, and it is linked by itself. Without that, as on Linux, whoever
// links says where the library is: `swift test -Xlinker -L<folder>`.
let framework = Context.environment["COMPTOIR_XCFRAMEWORK"] ?? "ComptoirFFI.xcframework"
let hasFramework = FileManager.default.fileExists(atPath: "\(Context.packageDirectory)/\(framework)")

let package = Package(
    name: "Comptoir",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [.library(name: "Comptoir", targets: ["Comptoir"])],
    targets: [
        hasFramework
            ? .binaryTarget(name: "ComptoirFFI", path: framework)
            : .systemLibrary(name: "ComptoirFFI"),
        .target(
            name: "Comptoir",
            dependencies: ["ComptoirFFI"],
            resources: [.copy("PrivacyInfo.xcprivacy")],
            // What UniFFI writes is not yet ready for the checks of Swift 6. Apps that use it may be.
            swiftSettings: [.swiftLanguageMode(.v5)]
        ),
    ]
)
