//! Compiles the SQLCipher amalgamation with our own cipher provider (ADR 0002).

fn main() {
    let source = sqlcipher_src::source_dir();
    let mut build = cc::Build::new();
    build
        .file(source.join(sqlcipher_src::SOURCE_FILE))
        .include(source)
        // SQLCipher, and the function that hands it our provider.
        .define("SQLITE_HAS_CODEC", None)
        .define("SQLITE_EXTRA_INIT", "sqlcipher_extra_init")
        .define("SQLITE_EXTRA_SHUTDOWN", "sqlcipher_extra_shutdown")
        .define("SQLCIPHER_CRYPTO_CUSTOM", "comptoir_sqlcipher_provider_setup")
        .define("SQLITE_TEMP_STORE", "3")
        .define("HAVE_STDINT_H", "1")
        .define("HAVE_USLEEP", "1")
        .define("HAVE_ISNAN", "1")
        .define("HAVE_LOCALTIME_R", "1")
        // One connection is used by one thread at a time, which is what rusqlite's types guarantee.
        .define("SQLITE_THREADSAFE", "2")
        // A hostile database file or SQL string must meet as little machinery as possible.
        .define("SQLITE_DQS", "0")
        .define("SQLITE_ENABLE_API_ARMOR", None)
        .define("SQLITE_OMIT_LOAD_EXTENSION", None)
        .define("SQLITE_OMIT_DEPRECATED", None)
        .define("SQLITE_OMIT_SHARED_CACHE", None)
        .define("SQLITE_DEFAULT_MEMSTATUS", "0")
        .define("SQLITE_DEFAULT_FOREIGN_KEYS", "1")
        .define("SQLITE_LIKE_DOESNT_MATCH_BLOBS", None)
        .define("SQLITE_USE_URI", "0")
        .define("SQLITE_ENABLE_FTS5", None)
        .define("SQLITE_ENABLE_DBSTAT_VTAB", None)
        .define("SQLITE_ENABLE_MEMORY_MANAGEMENT", None)
        .opt_level(2)
        .warnings(false);
    build.compile("sqlcipher_ring");

    println!("cargo::rerun-if-changed=build.rs");
    // A shared library that misses a symbol must fail here and not on a phone at start.
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if os == "linux" || os == "android" {
        println!("cargo::rustc-link-arg-examples=-Wl,-z,defs");
    }
}
