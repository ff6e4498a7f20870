// The driver of scenarios in Swift: calls the library as a shell does. What it reads and writes: `tests/src/scenario.rs`.

import Comptoir
import Foundation

typealias Object = [String: Any]

/// One line at a time, from whichever thread.
let saying = NSLock()

func say(_ value: Object) {
    let data = try! JSONSerialization.data(withJSONObject: value, options: [.withoutEscapingSlashes])
    saying.withLock { FileHandle.standardOutput.write(data + Data("\n".utf8)) }
}

/// A key in a file, as a shell without a keystore would keep it.
final class FileVault: KeyVault {
    let path: String

    init(path: String) {
        self.path = path
    }

    func load() throws -> Data? {
        FileManager.default.contents(atPath: path)
    }

    func store(key: Data) throws {
        let only: [FileAttributeKey: Any] = [.posixPermissions: 0o600]
        guard !FileManager.default.fileExists(atPath: path),
            FileManager.default.createFile(atPath: path, contents: key, attributes: only)
        else { throw ShellError.Failed(detail: "another key is there") }
    }
}

/// A bug in a shell, of which nobody was told.
struct Undeclared: Error {}

/// A vault that does not have the key.
final class OddVault: KeyVault {
    let how: String

    init(how: String) {
        self.how = how
    }

    func load() throws -> Data? {
        switch how {
        case "wrong": return Data(repeating: 7, count: 32)
        case "empty": return nil
        case "broken": throw Undeclared()
        default: throw ShellError.Unavailable(detail: "locked")
        }
    }

    func store(key: Data) throws {
        throw ShellError.Canceled
    }
}

/// Tells of a payment sheet instead of opening it.
final class Sheets: PaymentSheet {
    func show(sheet: Sheet) throws {
        say(["event": "sheet", "sheet": of(sheet)])
    }
}

/// Keeps the list that a subscription tells, edit by edit.
final class Rows: ChangeListener, @unchecked Sendable {
    let name: String
    // One call comes after the other.
    private var rows: [String] = []

    init(name: String) {
        self.name = name
    }

    func changed(changes: [Change]) throws {
        for change in changes {
            switch change {
            case .reset: rows = []
            case .chats(let at, let removed, let new): edit(at, removed, new.map(\.preview))
            case .messages(let at, let removed, let new): edit(at, removed, new.map(\.text))
            case .status(let status): rows = [connection(status)]
            }
        }
        say(["event": "changed", "name": name, "rows": rows])
    }

    private func edit(_ at: UInt32, _ removed: UInt32, _ new: [String]) {
        rows.replaceSubrange(Int(at)..<Int(at + removed), with: new)
    }
}

/// `awaitingConsent` as `awaiting_consent`.
func named<State>(_ state: State) -> String {
    "\(state)".reduce(into: "") { name, letter in
        name += letter.isUppercase ? "_\(letter.lowercased())" : String(letter)
    }
}

func orNull(_ value: Any?) -> Any {
    value ?? NSNull()
}

func of(_ me: Identity) -> Object {
    ["account": me.account.text, "device": me.device.text, "link": me.link]
}

func of(_ row: ChatRow) -> Object {
    [
        "chat": row.chat.text, "account": row.peer.account.text, "name": row.peer.name, "preview": row.preview,
        "unread": row.unread, "unresolved": row.unresolved,
    ]
}

func of(_ bubble: Bubble) -> Object {
    [
        "uid": bubble.uid.text, "mine": bubble.mine, "kind": named(bubble.kind), "text": bubble.text,
        "state": named(bubble.state), "why": orNull(bubble.why), "replies": bubble.replies.map(\.title),
        "reply_to": orNull(bubble.replyTo?.text), "bill": orNull(bubble.checkout.map(of)),
    ]
}

func of(_ bill: CheckoutView) -> Object {
    [
        "invoice": bill.invoice.text, "title": bill.title, "state": named(bill.state), "total_minor": bill.total.minor,
        "currency": bill.total.currency, "exponent": bill.total.exponent, "live": bill.live, "providers": bill.providers,
        "not_paid": orNull(bill.notPaid?.reason), "sheet": orNull(bill.sheet.map(of)),
    ]
}

func of(_ sheet: Sheet) -> Object {
    var page = ""
    if case .page(let url) = sheet.handoff { page = url }
    return [
        "order": sheet.order.text, "amount_minor": sheet.amount.minor, "provider": sheet.provider, "url": page,
    ]
}

func of(_ row: ReceiptRow) -> Object {
    [
        "order": row.order.text, "merchant": row.merchant.text, "amount_minor": row.amount.minor,
        "currency": row.amount.currency, "live": row.live,
    ]
}

func of(_ verdict: ReceiptVerdict) -> Object {
    func told(_ name: String, _ proof: ReceiptProof) -> Object {
        [
            "verdict": name, "merchant": proof.merchant.text, "amount_minor": proof.amount.minor,
            "lines": proof.lines.map(\.label), "method": proof.method,
        ]
    }
    switch verdict {
    case .holds(let proof): return told("holds", proof)
    case .dateUnproven(let proof): return told("date_unproven", proof)
    case .refused: return ["verdict": "refused"]
    }
}

func of(_ code: FoundCode) -> Object {
    let (kind, text): (String, String) =
        switch code.scanned {
        case .comptoir(let text): ("comptoir", text)
        case .url(let text): ("url", text)
        case .text(let text): ("text", text)
        case .payment: ("payment", "")
        case .refused(_, let reason, _): ("refused", reason)
        case .unknown: ("unknown", "")
        }
    return ["kind": kind, "text": text, "corners": code.corners.count]
}

func connection(_ status: Status) -> String {
    switch status.connection {
    case .offline: "offline"
    case .online: "online"
    case .refused(let code, _): code
    }
}

func of(_ status: Status) -> Object {
    ["connection": connection(status), "caught_up": status.caughtUp, "unsent": status.unsent]
}

func of(_ error: ClientError) -> Object {
    let (kind, code, detail): (String, String, String) =
        switch error {
        case .TryAgain(let code, let detail): ("TryAgain", code, detail)
        case .SignInAgain(let code, let detail): ("SignInAgain", code, detail)
        case .UpdateApp(let code, let detail): ("UpdateApp", code, detail)
        case .AskUser(let code, let detail): ("AskUser", code, detail)
        case .Locked(let code, let detail): ("Locked", code, detail)
        case .Bug(let code, let detail): ("Bug", code, detail)
        }
    return ["kind": kind, "code": code, "detail": detail]
}

func read(_ path: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: path))
}

func write(_ path: String, _ data: Data) throws {
    try data.write(to: URL(fileURLWithPath: path))
}

/// What a command brings along.
struct Given {
    let object: Object

    func textOr(_ name: String) -> String? {
        object[name] as? String
    }

    func text(_ name: String) -> String {
        guard let text = textOr(name) else { fatalError("the command needs \(name)") }
        return text
    }

    func number(_ name: String) -> UInt32 {
        (object[name] as? NSNumber)?.uint32Value ?? 50
    }

    var chat: ConversationId { ConversationId(text: text("chat")) }
}

actor Driver {
    private var opened: Client?
    private var subscriptions: [String: Subscription] = [:]
    private var tokens: [String: CancelToken] = [:]

    private func token(_ name: String?) throws -> CancelToken? {
        guard let name else { return nil }
        if tokens[name] == nil { tokens[name] = try CancelToken() }
        return tokens[name]
    }

    /// Answers a line with a line.
    func answer(_ line: String) async {
        let command = try! JSONSerialization.jsonObject(with: Data(line.utf8)) as! Object
        let given = Given(object: command["with"] as? Object ?? [:])
        do {
            say(["id": command["id"]!, "ok": orNull(try await act(command["do"] as! String, given))])
        } catch let error as ClientError {
            say(["id": command["id"]!, "error": of(error)])
        } catch {
            fatalError("\(error)")
        }
    }

    private func act(_ what: String, _ at: Given) async throws -> Any? {
        if what == "open" {
            let vault: KeyVault =
                at.text("vault") == "file" ? FileVault(path: at.text("key")) : OddVault(how: at.text("vault"))
            opened = try Client.open(config: Config(dir: at.text("dir"), vault: vault, sheet: Sheets()))
            return nil
        }
        guard let client = opened else { fatalError("open comes first") }
        switch what {
        case "create_account": return of(try await client.createAccount(relay: at.text("relay")))
        case "identity": return try client.identity().map(of)
        case "add_contact": return try await client.addContact(link: at.text("link")).text
        case "chats": return try client.chats(after: nil, limit: at.number("limit")).rows.map(of)
        case "page": return try client.page(chat: at.chat, place: .newest, limit: at.number("limit")).bubbles.map(of)
        case "search":
            return try client.search(query: at.text("query"), limit: 50)
                .map { ["chat": $0.chat.text, "text": $0.bubble.text] }
        case "send_text":
            let replyTo = at.textOr("reply_to").map { Uid(text: $0) }
            return try await client.sendText(chat: at.chat, text: at.text("text"), replyTo: replyTo).text
        case "tap": return try await client.tap(chat: at.chat, on: Uid(text: at.text("on")), title: at.text("title")).text
        case "mark_read": try await client.markRead(chat: at.chat, upto: nil)
        case "block":
            try await client.block(account: AccountId(text: at.text("account")), blocked: at.object["blocked"] as! Bool)
        case "same_ids": return Uid(text: at.text("one")) == Uid(text: at.text("other"))
        case "safety_number": return try client.safetyNumber(account: AccountId(text: at.text("account")))
        case "pay":
            let invoice = InvoiceHash(text: at.text("invoice"))
            return named(try await client.pay(invoice: invoice, choice: PayChoice()))
        case "sheet_closed":
            let hints: [String: SheetHint] = ["done": .done, "canceled": .canceled, "failed": .failed]
            let order = OrderId(text: at.text("order"))
            return named(try await client.sheetClosed(order: order, hint: hints[at.text("hint")]!))
        case "check_payments": try await client.checkPayments()
        case "receipts": return try client.receipts().map(of)
        case "receipt_file":
            let parts: [ReceiptPart]? = at.textOr("parts") == "lines" ? [.lines] : nil
            let file = try client.receiptFile(order: OrderId(text: at.text("order")), parts: parts)
            try write(at.text("path"), file)
            return file.count > 100
        case "verify_receipt":
            let merchant = at.textOr("merchant").map { AccountId(text: $0) }
            return of(try verifyReceipt(file: try read(at.text("path")), merchant: merchant))
        case "draw_code": try write(at.text("path"), try drawCode(text: at.text("text"), pixelsPerModule: 4))
        case "scan_picture": return try scanPicture(file: try read(at.text("path"))).map(of)
        case "scan_frame":
            let (width, height, stride) = (at.number("width"), at.number("height"), at.number("row_stride"))
            let plane = try read(at.text("path"))
            return try scanFrame(luma: plane, width: width, height: height, rowStride: stride).map(of)
        case "link_request": return try await client.linkRequest()
        case "link_device": return try await client.linkDevice(request: at.text("code"))
        case "finish_link": return of(try await client.finishLink(grant: at.text("code")))
        case "status": return of(try client.status())
        case "sync": try await client.sync(cancel: try token(at.textOr("cancel")))
        case "cancel": try token(at.text("token"))?.cancel()
        case "connect": try client.connect()
        case "disconnect": try client.disconnect()
        case "suspend": try client.suspend(deadlineMs: UInt64(at.number("deadline_ms")))
        case "resume": try client.resume()
        case "watch_chats":
            let listener = Rows(name: at.text("name"))
            subscriptions[at.text("name")] = try client.watchChats(rows: at.number("rows"), listener: listener)
        case "watch_chat":
            let listener = Rows(name: at.text("name"))
            subscriptions[at.text("name")] = try client.watchChat(chat: at.chat, rows: at.number("rows"), listener: listener)
        case "watch_connection":
            subscriptions[at.text("name")] = try client.watchConnection(listener: Rows(name: at.text("name")))
        case "unwatch": try subscriptions.removeValue(forKey: at.text("name"))?.end()
        default: fatalError("no such command: \(what)")
        }
        return nil
    }

    func leave() throws {
        for subscription in subscriptions.values { try subscription.end() }
        try opened?.shutdown()
    }
}

@main
struct Main {
    static func main() async throws {
        let driver = Driver()
        // Reading waits; it has a thread of its own, and the commands have the others.
        let lines = AsyncStream<String> { continuation in
            Thread.detachNewThread {
                while let line = readLine() { continuation.yield(line) }
                continuation.finish()
            }
        }
        await withTaskGroup(of: Void.self) { group in
            for await line in lines {
                group.addTask { await driver.answer(line) }
            }
        }
        try await driver.leave()
    }
}
