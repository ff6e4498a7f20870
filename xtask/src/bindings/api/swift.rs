//! What is public in the generated Swift.

use super::Item;
use super::braces::{self, Preceding, preceding, split};

const MODIFIERS: [&str; 11] = [
    "public",
    "open",
    "internal",
    "private",
    "fileprivate",
    "final",
    "static",
    "convenience",
    "required",
    "indirect",
    "mutating",
];
/// Public so that generated code of several libraries can call each other, and marked as nobody's concern.
const PLUMBING: &str = "@_documentation(visibility: private)";

pub(super) fn items(source: &str) -> Vec<Item> {
    braces::items(source).iter().filter_map(|raw| item(raw, false)).collect()
}

/// `in_the_open`: its container makes it public, as a protocol does.
fn item(raw: &Item, in_the_open: bool) -> Option<Item> {
    let line = raw.line.replace('`', "").replace(")throws", ") throws").replace(")async", ") async");
    let Preceding { words, rest } = preceding(&line, &MODIFIERS);
    let is_public = in_the_open || words.iter().any(|word| ["public", "open"].contains(word));
    if !is_public || words.contains(&PLUMBING) {
        return None;
    }
    let (keyword, declared) = match rest.strip_prefix("init(") {
        Some(_) => ("init", ""),
        None => rest.split_once(' ').unwrap_or((rest, "")),
    };
    let name = declared.split(|char: char| !char.is_alphanumeric() && char != '_').next().unwrap_or_default();
    if name.starts_with("uniffi") {
        return None;
    }
    let shown = |line: &str| {
        let words = words.iter().filter(|word| ["static", "indirect", "mutating"].contains(word));
        words.copied().chain([line]).collect::<Vec<_>>().join(" ")
    };
    let members = |are_public| raw.inner.iter().filter_map(|raw| item(raw, are_public)).collect();
    let inner = match keyword {
        // What every class has from its protocol is shown in the class.
        "class" if name.ends_with("Impl") => return None,
        "protocol" if name.ends_with("Protocol") => return None,
        "protocol" => members(true),
        "class" | "struct" => members(false),
        "enum" => {
            let of_enum = |raw: &Item| item(raw, raw.line.starts_with("case "));
            raw.inner.iter().filter_map(of_enum).collect()
        }
        "case" | "func" | "init" | "let" | "var" | "typealias" => Vec::new(),
        _ => return None,
    };
    Some(Item { line: shown(&without_plumbing(rest, name)), inner })
}

/// `class A: AProtocol, B` is a `class A: B` for its caller.
fn without_plumbing(head: &str, name: &str) -> String {
    let own = format!("{name}Protocol");
    match head.split_once(':') {
        Some((class, supertypes)) if supertypes.contains(&own) => {
            let kept: Vec<&str> = split(supertypes, ',').into_iter().filter(|one| *one != own).collect();
            if kept.is_empty() { class.to_owned() } else { format!("{class}: {}", kept.join(", ")) }
        }
        _ => head.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::text;
    use super::*;

    #[test]
    fn what_is_public_is_listed() {
        let source = r#"
import Foundation
fileprivate extension RustBuffer {
    init(bytes: [UInt8]) { x() }
}
private func hidden<T>(_ callback: (Int) -> T) throws -> T { x() }
#if swift(>=5.8)
@_documentation(visibility: private)
#endif
public struct FfiConverterTypeClient: FfiConverter {
    public static func lift(_ handle: UInt64) throws -> Client { x() }
}
public protocol ClientProtocol: AnyObject, Sendable {
    func connect() throws 
}
/** A core. */
open class Client: ClientProtocol, @unchecked Sendable {
    fileprivate let handle: UInt64
#if swift(>=5.8)
    @_documentation(visibility: private)
#endif
    public struct NoHandle {
        public init() {}
    }
#if swift(>=5.8)
    @_documentation(visibility: private)
#endif
    required public init(unsafeFromHandle handle: UInt64) { x() }
public convenience init()throws  {
    x()
}
    deinit { x() }
public static func `open`(config: Config)throws  -> Client  {
    return x()
}
open func connect()throws   {try rustCall {
}
}
open func sendText(text: String, replyTo: Uid?)async throws  -> Uid  {
    return x()
}
}
public protocol KeyVault: AnyObject, Sendable {
    
    /** Loads. */
    func load() throws  -> Data?
    
    func store(key: Data) throws 
    
}
open class KeyVaultImpl: KeyVault, @unchecked Sendable {
    public init() {}
}
public struct Config {
    public let dir: PathBuf
    public init(
        /** A folder. */dir: PathBuf, 
        /** Opens. */sheet: PaymentSheet? = nil) {
        self.dir = dir
    }
    static func hidden() {}
}
#if compiler(>=6)
extension Config: Sendable {}
#endif
public enum Change: Equatable, Hashable {
    case reset
    case chats(at: UInt32, rows: [ChatRow]
    )
}
public 
enum ClientError: Swift.Error, Equatable {
    case Bug(code: String
    )
    public var errorDescription: String? {
        String(reflecting: self)
    }
}
public typealias Amount = Money
public func verifyReceipt(file: Data, merchant: AccountId? = nil)throws  -> ReceiptVerdict  {
    return x()
}
private let initializationResult: InitializationResult = {
    return x()
}()
public func uniffiEnsureComptoirClientInitialized() { x() }
"#;
        let expected = "\
class Client: @unchecked Sendable
    init() throws
    static func open(config: Config) throws -> Client
    func connect() throws
    func sendText(text: String, replyTo: Uid?) async throws -> Uid
protocol KeyVault: AnyObject, Sendable
    func load() throws -> Data?
    func store(key: Data) throws
struct Config
    let dir: PathBuf
    init(dir: PathBuf, sheet: PaymentSheet? = nil)
enum Change: Equatable, Hashable
    case reset
    case chats(at: UInt32, rows: [ChatRow])
enum ClientError: Swift.Error, Equatable
    case Bug(code: String)
    var errorDescription: String?
typealias Amount = Money
func verifyReceipt(file: Data, merchant: AccountId? = nil) throws -> ReceiptVerdict
";
        assert_eq!(text(&items(source)), expected);
    }
}
