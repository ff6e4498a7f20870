//! What is public in the generated Python.

use super::Item;
use super::braces::{closing, spaced, split};

pub(super) fn items(source: &str) -> Vec<Item> {
    let lines = lines(source);
    let everything = block(&lines, 0).0;
    let exported = everything.iter().find_map(|item| item.line.strip_prefix("__all__ = ")).unwrap_or_default();
    let is_exported = |name: &str| exported.contains(&format!("\"{name}\""));
    let mut items: Vec<Item> = Vec::new();
    for raw in &everything {
        let Some((_, name)) = declared(&raw.line).filter(|(_, name)| is_exported(name)) else { continue };
        let Some(item) = item(raw) else { continue };
        // An error is written twice: as the exception that it is, and as the holder of its kinds.
        match items.iter_mut().find(|item| declared(&item.line).is_some_and(|(_, other)| other == name)) {
            Some(before) => before.inner.extend(item.inner),
            None => items.push(item),
        }
    }
    items
}

/// What kind of thing a line declares, and its name.
fn declared(line: &str) -> Option<(&str, &str)> {
    let mut line = line;
    while let Some((_, decorated)) = line.split_once(' ').filter(|(word, _)| word.starts_with('@')) {
        line = decorated;
    }
    ["class ", "def ", "async def "].into_iter().find_map(|keyword| {
        let rest = line.strip_prefix(keyword)?;
        Some((keyword.trim_end(), &rest[..rest.find(['(', ':', ' ']).unwrap_or(rest.len())]))
    })
}

fn item(raw: &Item) -> Option<Item> {
    let (keyword, name) = declared(&raw.line)?;
    // What every class has from its protocol is shown in the class.
    if name.starts_with('_') || name.ends_with("Impl") || name.ends_with("Protocol") {
        return None;
    }
    let line = raw.line.trim_end_matches(':').replace("typing.", "");
    if keyword != "class" {
        return Some(Item { line, inner: Vec::new() });
    }
    let is_enum = line.ends_with("(enum.Enum)");
    let mut inner = Vec::new();
    for member in &raw.inner {
        if member.line.starts_with("def __init__(") {
            inner.extend(fields(member));
        } else if let Some((name, _)) = member.line.split_once(" = ").filter(|_| is_enum) {
            inner.push(Item { line: name.to_owned(), inner: Vec::new() });
        }
        inner.extend(item(member));
    }
    // It is a data class where its fields are listed, and no more than that for who calls it.
    let line = line.trim_start_matches("@dataclass ").replace("_UniffiTemp", "");
    let line = line.replace(&format!("({name}Protocol)"), "").replace("()", "");
    Some(Item { line, inner })
}

/// What an object is made with, which is what it then has. One that refuses to be made has nothing.
fn fields(init: &Item) -> Vec<Item> {
    let Some(open) = init.line.find('(') else { return Vec::new() };
    let parameters = split(&init.line[open + 1..open + closing(&init.line[open..])], ',');
    let fields: Vec<&str> = parameters.into_iter().filter(|one| !["self", "*", ""].contains(one)).collect();
    if init.inner.first().is_some_and(|first| first.line.starts_with("raise ")) {
        return Vec::new();
    }
    if fields.is_empty() {
        return vec![Item { line: "def __init__(self)".to_owned(), inner: Vec::new() }];
    }
    let spaced = |field: &str| field.replacen(':', ": ", 1).replace(":  ", ": ").replace("typing.", "");
    fields.into_iter().map(|field| Item { line: spaced(field), inner: Vec::new() }).collect()
}

/// Logical lines with their indents: without comments and texts for people, and with a decorator before what it decorates.
fn lines(source: &str) -> Vec<(usize, String)> {
    let mut bare = String::new();
    // Every second part stands between the marks of a text for people.
    for code in source.split("\"\"\"").step_by(2) {
        bare.push_str(code);
    }
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut depth = 0_i32;
    let mut decorated = false;
    for line in bare.lines() {
        let code = line.split("  #").next().unwrap_or_default().trim();
        if code.is_empty() || code.starts_with('#') {
            continue;
        }
        match lines.last_mut() {
            Some((_, last)) if depth > 0 || decorated => {
                last.push(' ');
                last.push_str(code);
            }
            _ => lines.push((line.len() - line.trim_start().len(), code.to_owned())),
        }
        depth += code.matches(['(', '[', '{']).count() as i32 - code.matches([')', ']', '}']).count() as i32;
        decorated = code.starts_with('@');
    }
    lines
}

/// The statements at this indent, each with those below it; and how many lines that was.
fn block(lines: &[(usize, String)], indent: usize) -> (Vec<Item>, usize) {
    let (mut items, mut at) = (Vec::<Item>::new(), 0);
    while let Some((depth, line)) = lines.get(at) {
        if *depth < indent {
            break;
        }
        if *depth == indent {
            let line = spaced(line).replace(", )", ")").replace(',', ", ").replace(",  ", ", ");
            items.push(Item { line, inner: Vec::new() });
            at += 1;
            continue;
        }
        let (inner, read) = block(&lines[at..], *depth);
        if let Some(item) = items.last_mut() {
            item.inner.extend(inner);
        }
        at += read.max(1);
    }
    (items, at)
}

#[cfg(test)]
mod tests {
    use super::super::text;
    use super::*;

    #[test]
    fn what_is_public_is_listed() {
        let source = r#"
import enum
_DEFAULT = object() # type: typing.Any
class _UniffiRustBuffer(ctypes.Structure):
    def x(self): pass
class Part(enum.Enum):
    """
    Parts of a receipt:
        def not_this(self): pass
"""

    LINES = 0

    ORDER_INFO = 1
    """
    What else was asked for.
"""
class _UniffiFfiConverterTypePart(_UniffiConverterRustBuffer):
    @staticmethod
    def read(buf): pass
@dataclass
class Config:
    def __init__(self, *, dir:PathBuf, sheet:typing.Optional[PaymentSheet] = _DEFAULT):
        self.dir = dir
    def __str__(self):
        return "Config(dir={})".format(self.dir)
Amount = Money
# ShellError
class ShellError(Exception):
    pass

_UniffiTempShellError = ShellError
class ShellError:  # type: ignore
    class Failed(_UniffiTempShellError):
        def __init__(self, detail):
            super().__init__(", ".join([
                "detail={!r}".format(detail),
            ]))
            self.detail = detail
        def __repr__(self):
            return "x"
    _UniffiTempShellError.Failed = Failed # type: ignore
ShellError = _UniffiTempShellError # type: ignore
class Change:
    def __init__(self):
        raise RuntimeError("Change cannot be instantiated directly")

    # Each enum variant is a nested class of the enum itself.
    @dataclass
    class CHATS:

        def __init__(self, at:int, rows:typing.List[ChatRow]):
            self.at = at
    def is_CHATS(self) -> bool:
        return isinstance(self, Change.CHATS)
class CancelTokenProtocol(typing.Protocol):
    def cancel(self, ) -> None:
        raise NotImplementedError
class CancelToken(CancelTokenProtocol):
    _handle: ctypes.c_uint64
    def __init__(self, ):
        x = 1
    def cancel(self, ) -> None:
        pass
class Client(ClientProtocol):
    @classmethod
    def open(cls, config: Config) -> Client:
        pass
    def __init__(self, *args, **kwargs):
        raise ValueError("This class has no default constructor")
    @classmethod
    def _uniffi_make_instance(cls, handle):
        pass
    async def block(self, account: AccountId,blocked: bool) -> None:
        pass
def scan_picture(file: bytes) -> typing.List[FoundCode]:
    pass
def uniffi_set_event_loop(eventloop: asyncio.BaseEventLoop):
    pass

__all__ = [
    "Part",
    "ShellError",
    "Change",
    "Config",
    "scan_picture",
    "CancelToken",
    "CancelTokenProtocol",
    "Client",
]
"#;
        let expected = "\
class Part(enum.Enum)
    LINES
    ORDER_INFO
class Config
    dir: PathBuf
    sheet: Optional[PaymentSheet] = _DEFAULT
class ShellError(Exception)
    class Failed(ShellError)
        detail
class Change
    class CHATS
        at: int
        rows: List[ChatRow]
    def is_CHATS(self) -> bool
class CancelToken
    def __init__(self)
    def cancel(self) -> None
class Client
    @classmethod def open(cls, config: Config) -> Client
    async def block(self, account: AccountId, blocked: bool) -> None
def scan_picture(file: bytes) -> List[FoundCode]
";
        assert_eq!(text(&items(source)), expected);
    }
}
