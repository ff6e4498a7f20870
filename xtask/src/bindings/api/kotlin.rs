//! What is public in the generated Kotlin.

use super::Item;
use super::braces::{self, Preceding, closing, preceding, split};

const MODIFIERS: [&str; 14] = [
    "public",
    "private",
    "internal",
    "protected",
    "open",
    "abstract",
    "override",
    "data",
    "sealed",
    "enum",
    "companion",
    "suspend",
    "inline",
    "const",
];
const HIDDEN: [&str; 3] = ["private", "internal", "protected"];
/// Public so that generated code of several libraries can call each other; no app does.
const PLUMBING: [&str; 9] = [
    "uniffi",
    "Uniffi",
    "UNIFFI",
    "FfiConverter",
    "RustBuffer",
    "ForeignBytes",
    "Disposable",
    "NoHandle",
    "ErrorHandler",
];

pub(super) fn items(source: &str) -> Vec<Item> {
    braces::items(source).iter().filter_map(item).collect()
}

fn item(raw: &Item) -> Option<Item> {
    let line = raw.line.replace('`', "").replace("kotlin.", "");
    let Preceding { words, rest } = preceding(&line, &MODIFIERS);
    if words.iter().any(|word| HIDDEN.contains(word)) {
        return None;
    }
    let is_override = words.contains(&"override");
    let (keyword, declared) = match rest.strip_prefix("constructor(") {
        Some(_) => ("constructor", ""),
        None => rest.split_once(' ').unwrap_or((rest, "")),
    };
    let name = declared.split(|char: char| !char.is_alphanumeric() && char != '_').next().unwrap_or_default();
    if PLUMBING.iter().any(|plumbing| name.starts_with(plumbing)) {
        return None;
    }
    let shown = |line: &str| {
        let words = words.iter().filter(|word| !word.starts_with('@') && !["public", "override"].contains(word));
        words.copied().chain([line]).collect::<Vec<_>>().join(" ")
    };
    let leaf = |line: &str| Some(Item { line: shown(line), inner: Vec::new() });
    match keyword {
        // What every class has from its interface is shown in the class.
        "class" | "interface" if name.ends_with("Impl") || name.ends_with("Interface") => None,
        "class" | "interface" | "object" => {
            let (head, mut inner) = fields(rest);
            let members = raw.inner.iter();
            if words.contains(&"enum") {
                let entries = members.clone().flat_map(|raw| split(&raw.line, ',')).filter(|entry| is_entry(entry));
                inner.extend(entries.map(|entry| Item { line: entry.to_owned(), inner: Vec::new() }));
            }
            inner.extend(members.filter_map(item));
            let is_empty_companion = words.contains(&"companion") && inner.is_empty();
            (!is_empty_companion).then(|| Item { line: shown(&without_plumbing(&head, name)), inner })
        }
        "constructor" if ["withHandle:", "noHandle:"].iter().any(|handle| rest.contains(handle)) => None,
        "constructor" => leaf(&rest[..=closing_of(rest)]),
        "fun" if is_override && ["destroy", "close"].contains(&name) || rest.contains("Disposable") => None,
        "fun" => leaf(split(rest, '=').first()?),
        "val" | "var" if is_override => None,
        "val" | "var" => leaf(split(rest, '=').first()?.split(" get()").next()?),
        "typealias" => leaf(rest),
        _ => None,
    }
}

fn closing_of(text: &str) -> usize {
    text.find('(').map_or(text.len() - 1, |open| open + closing(&text[open..]))
}

/// A class as `data class A(val b: B): C()` declares its fields too: taken out of its line, one by one.
fn fields(line: &str) -> (String, Vec<Item>) {
    let Some(open) = line.find('(').filter(|open| !line[..*open].contains(':')) else {
        return (line.to_owned(), Vec::new());
    };
    let close = closing_of(line);
    let fields = split(&line[open + 1..close], ',');
    let fields = fields.into_iter().filter(|field| field.starts_with("val ") || field.starts_with("var "));
    let fields = fields.map(|field| Item { line: field.to_owned(), inner: Vec::new() }).collect();
    (format!("{}{}", line[..open].trim_end(), &line[close + 1..]), fields)
}

/// `class A: Disposable, AutoCloseable, AInterface` is a `class A: AutoCloseable` for its caller.
fn without_plumbing(head: &str, name: &str) -> String {
    let Some((class, supertypes)) = head.split_once(':') else {
        return head.to_owned();
    };
    let own = format!("{name}Interface");
    let kept: Vec<&str> =
        split(supertypes, ',').into_iter().filter(|one| *one != "Disposable" && *one != own).collect();
    if kept.is_empty() { class.to_owned() } else { format!("{class}: {}", kept.join(", ")) }
}

fn is_entry(text: &str) -> bool {
    let is_of_a_name = |char: char| char.is_ascii_uppercase() || char.is_ascii_digit() || char == '_';
    !text.is_empty() && text.chars().all(is_of_a_name)
}

#[cfg(test)]
mod tests {
    use super::super::text;
    use super::*;

    #[test]
    fn what_is_public_is_listed() {
        let source = r#"
package app.comptoir
import com.sun.jna.Library
open class RustBuffer : Structure() {
    @JvmField var capacity: Long = 0
}
internal object UniffiLib { fun lib() }
inline fun <T : Disposable?, R> T.use(block: (T) -> R) = x()
class InternalException(message: String) : kotlin.Exception(message)
private fun hidden(): Int = 1
public object FfiConverterString: FfiConverter<String, RustBuffer.ByValue> { fun x() }
public interface ClientInterface {
    fun `connect`()
    companion object
}
/** A core. */
open class Client: Disposable, AutoCloseable, ClientInterface
{
    constructor(withHandle: UniffiWithHandle, handle: Long) {
        this.handle = handle
    }
    constructor() :
        this(UniffiWithHandle,
    uniffiRustCall { 1 }
    )
    protected val handle: Long
    val uniffiIsDestroyed: Boolean get() = wasDestroyed.get()
    override fun destroy() { x() }
    @Synchronized
    override fun close() { x() }
    internal inline fun <R> callWithHandle(block: (handle: Long) -> R): R { x() }
    @Throws(ClientException::class)override fun `connect`()
        =
    callWithHandle { it }
    @Throws(ClientException::class)
    @Suppress("X")
    override suspend fun `sync`(`cancel`: CancelToken?, `limit`: kotlin.UInt = 5u): List<Row> {
        return x()
    }
    companion object {
    /** Opens. */
    @Throws(ClientException::class) fun `open`(`config`: Config): Client { return x() }
    }
}
public interface KeyVault {
    fun `load`(): kotlin.ByteArray?
    companion object
}
open class KeyVaultImpl: Disposable, AutoCloseable, KeyVault
{
    fun x() {}
}
data class Config (
    /** A folder. */
    val `dir`: PathBuf
    ,
    val `sheet`: PaymentSheet? = null

): Disposable{
    override fun destroy() { x() }
    companion object
}
enum class Part {

    /** Lines. */
    LINES,
    ORDER_INFO;
    companion object
}
sealed class Change {
    object Reset : Change()
    data class Chats(
        val `at`: kotlin.UInt,
        val `rows`: List<app.comptoir.ChatRow>) : Change()
    {
        companion object
    }
    companion object
}
sealed class ClientException: kotlin.Exception() {
    class Bug(
        val `code`: kotlin.String
        ) : ClientException() {
        override val message
            get() = "code=${ `code` }"
    }
    companion object ErrorHandler : UniffiRustCallStatusErrorHandler<ClientException> {
        override fun lift(error_buf: RustBuffer.ByValue): ClientException = x()
    }
}
public typealias Amount = Money
public typealias FfiConverterTypeAmount = FfiConverterTypeMoney
    @Throws(ClientException::class) fun `drawCode`(`text`: kotlin.String): kotlin.ByteArray {
            return x()
    }
"#;
        let expected = "\
class InternalException: Exception(message)
open class Client: AutoCloseable
    constructor()
    fun connect()
    suspend fun sync(cancel: CancelToken?, limit: UInt = 5u): List<Row>
    companion object
        fun open(config: Config): Client
interface KeyVault
    fun load(): ByteArray?
data class Config
    val dir: PathBuf
    val sheet: PaymentSheet? = null
enum class Part
    LINES
    ORDER_INFO
sealed class Change
    object Reset: Change()
    data class Chats: Change()
        val at: UInt
        val rows: List<app.comptoir.ChatRow>
sealed class ClientException: Exception()
    class Bug: ClientException()
        val code: String
typealias Amount = Money
fun drawCode(text: String): ByteArray
";
        // The interpolated string above holds what the compiler of Kotlin sees, and no declaration.
        assert_eq!(text(&items(source)), expected);
    }
}
