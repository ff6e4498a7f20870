/** The driver of scenarios in Kotlin: calls the library as a shell does. What it reads and writes: `tests/src/scenario.rs`. */
package app.comptoir.driver

import app.comptoir.*
import java.io.File
import kotlin.system.exitProcess
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.serialization.json.*

fun say(value: JsonElement) = synchronized(System.out) { println(value) }

/** A key in a file, as a shell without a keystore would keep it. */
class FileVault(private val file: File) : KeyVault {
    override fun load(): ByteArray? = if (file.exists()) file.readBytes() else null

    override fun store(key: ByteArray) {
        if (!file.createNewFile()) throw ShellException.Failed("another key is there")
        file.setReadable(false, false)
        file.setReadable(true, true)
        file.writeBytes(key)
    }
}

/** A vault that does not have the key. */
class OddVault(private val how: String) : KeyVault {
    override fun load(): ByteArray? = when (how) {
        "wrong" -> ByteArray(32) { 7 }
        "empty" -> null
        "broken" -> throw IllegalStateException("a bug in a shell")
        else -> throw ShellException.Unavailable("locked")
    }

    override fun store(key: ByteArray) = throw ShellException.Canceled()
}

/** Tells of a payment sheet instead of opening it. */
class Sheets : PaymentSheet {
    override fun show(sheet: Sheet) = say(buildJsonObject {
        put("event", "sheet")
        put("sheet", of(sheet))
    })
}

/** Keeps the list that a subscription tells, edit by edit. */
class Rows(private val name: String) : ChangeListener {
    private val rows = mutableListOf<String>()

    private fun edit(at: UInt, removed: UInt, new: List<String>) {
        rows.subList(at.toInt(), (at + removed).toInt()).clear()
        rows.addAll(at.toInt(), new)
    }

    override fun changed(changes: List<Change>) {
        for (change in changes) {
            when (change) {
                is Change.Reset -> rows.clear()
                is Change.Chats -> edit(change.at, change.removed, change.rows.map { it.preview })
                is Change.Messages -> edit(change.at, change.removed, change.rows.map { it.text })
                is Change.Status -> {
                    rows.clear()
                    rows.add(connection(change.status))
                }
            }
        }
        say(buildJsonObject {
            put("event", "changed")
            put("name", name)
            put("rows", JsonArray(rows.map(::JsonPrimitive)))
        })
    }
}

fun named(state: Enum<*>) = state.name.lowercase()

fun of(me: Identity) = buildJsonObject {
    put("account", me.account.text)
    put("device", me.device.text)
    put("link", me.link)
}

fun of(row: ChatRow) = buildJsonObject {
    put("chat", row.chat.text)
    put("account", row.peer.account.text)
    put("name", row.peer.name)
    put("preview", row.preview)
    put("unread", row.unread.toInt())
    put("unresolved", row.unresolved)
}

fun of(bubble: Bubble) = buildJsonObject {
    put("uid", bubble.uid.text)
    put("mine", bubble.mine)
    put("kind", named(bubble.kind))
    put("text", bubble.text)
    put("state", named(bubble.state))
    put("why", bubble.why)
    put("replies", JsonArray(bubble.replies.map { JsonPrimitive(it.title) }))
    put("reply_to", bubble.replyTo?.text)
    put("bill", bubble.checkout?.let(::of) ?: JsonNull)
}

fun of(bill: CheckoutView) = buildJsonObject {
    put("invoice", bill.invoice.text)
    put("title", bill.title)
    put("state", named(bill.state))
    put("total_minor", bill.total.minor)
    put("currency", bill.total.currency)
    put("exponent", bill.total.exponent.toInt())
    put("live", bill.live)
    put("providers", JsonArray(bill.providers.map(::JsonPrimitive)))
    put("not_paid", bill.notPaid?.reason)
    put("sheet", bill.sheet?.let(::of) ?: JsonNull)
}

fun of(sheet: Sheet) = buildJsonObject {
    put("order", sheet.order.text)
    put("amount_minor", sheet.amount.minor)
    put("provider", sheet.provider)
    put("url", (sheet.handoff as? Handoff.Page)?.url ?: "")
}

fun of(row: ReceiptRow) = buildJsonObject {
    put("order", row.order.text)
    put("merchant", row.merchant.text)
    put("amount_minor", row.amount.minor)
    put("currency", row.amount.currency)
    put("live", row.live)
}

fun of(verdict: ReceiptVerdict): JsonObject {
    val (name, proof) = when (verdict) {
        is ReceiptVerdict.Holds -> "holds" to verdict.proof
        is ReceiptVerdict.DateUnproven -> "date_unproven" to verdict.proof
        is ReceiptVerdict.Refused -> return buildJsonObject { put("verdict", "refused") }
    }
    return buildJsonObject {
        put("verdict", name)
        put("merchant", proof.merchant.text)
        put("amount_minor", proof.amount.minor)
        put("lines", JsonArray(proof.lines.map { JsonPrimitive(it.label) }))
        put("method", proof.method)
    }
}

fun of(code: FoundCode) = buildJsonObject {
    val (kind, text) = when (val scanned = code.scanned) {
        is Scanned.Comptoir -> "comptoir" to scanned.v1
        is Scanned.Payment -> "payment" to ""
        is Scanned.Refused -> "refused" to scanned.reason
        is Scanned.Url -> "url" to scanned.v1
        is Scanned.Text -> "text" to scanned.v1
        is Scanned.Unknown -> "unknown" to ""
    }
    put("kind", kind)
    put("text", text)
    put("corners", code.corners.size)
}

fun connection(status: Status) = when (val connection = status.connection) {
    is Connection.Offline -> "offline"
    is Connection.Online -> "online"
    is Connection.Refused -> connection.code
}

fun of(status: Status) = buildJsonObject {
    put("connection", connection(status))
    put("caught_up", status.caughtUp)
    put("unsent", status.unsent.toInt())
}

fun <T> list(values: List<T>, of: (T) -> JsonElement) = JsonArray(values.map(of))

/** Files and camera planes cross in direct buffers, without a copy. */
fun read(path: String): java.nio.ByteBuffer {
    val bytes = File(path).readBytes()
    return java.nio.ByteBuffer.allocateDirect(bytes.size).put(bytes).apply { flip() }
}

class Driver {
    private var opened: Client? = null
    private val subscriptions = java.util.concurrent.ConcurrentHashMap<String, Subscription>()
    private val tokens = java.util.concurrent.ConcurrentHashMap<String, CancelToken>()

    private val client get() = opened ?: error("open comes first")

    private fun token(name: String?) = name?.let { tokens.computeIfAbsent(it) { CancelToken() } }

    suspend fun act(what: String, at: JsonObject): JsonElement {
        fun textOr(name: String) = at[name]?.takeIf { it != JsonNull }?.jsonPrimitive?.content
        fun text(name: String) = textOr(name) ?: error("$what needs $name")
        fun number(name: String) = at[name]?.jsonPrimitive?.int?.toUInt() ?: 50u
        fun chat() = ConversationId(text("chat"))
        when (what) {
            "open" -> {
                val vault = if (text("vault") == "file") FileVault(File(text("key"))) else OddVault(text("vault"))
                opened = Client.open(Config(text("dir"), vault, Sheets()))
            }
            "create_account" -> return of(client.createAccount(text("relay")))
            "identity" -> return client.identity()?.let(::of) ?: JsonNull
            "add_contact" -> return JsonPrimitive(client.addContact(text("link")).text)
            "chats" -> return list(client.chats(null, number("limit")).rows, ::of)
            "page" -> return list(client.page(chat(), Place.Newest, number("limit")).bubbles, ::of)
            "search" -> return list(client.search(text("query"), 50u)) {
                buildJsonObject {
                    put("chat", it.chat.text)
                    put("text", it.bubble.text)
                }
            }
            "send_text" -> return JsonPrimitive(client.sendText(chat(), text("text"), textOr("reply_to")?.let(::Uid)).text)
            "tap" -> return JsonPrimitive(client.tap(chat(), Uid(text("on")), text("title")).text)
            "mark_read" -> client.markRead(chat(), null)
            "block" -> client.block(AccountId(text("account")), at.getValue("blocked").jsonPrimitive.boolean)
            "same_ids" -> return JsonPrimitive(Uid(text("one")) == Uid(text("other")))
            "safety_number" -> return JsonPrimitive(client.safetyNumber(AccountId(text("account"))))
            "pay" -> return JsonPrimitive(named(client.pay(InvoiceHash(text("invoice")), PayChoice())))
            "sheet_closed" -> {
                val hint = SheetHint.valueOf(text("hint").uppercase())
                return JsonPrimitive(named(client.sheetClosed(OrderId(text("order")), hint)))
            }
            "check_payments" -> client.checkPayments()
            "receipts" -> return list(client.receipts(), ::of)
            "receipt_file" -> {
                val parts = if (textOr("parts") == "lines") listOf(ReceiptPart.LINES) else null
                val file = client.receiptFile(OrderId(text("order")), parts)
                File(text("path")).writeBytes(file)
                return JsonPrimitive(file.size > 100)
            }
            "verify_receipt" -> return of(verifyReceipt(read(text("path")), textOr("merchant")?.let(::AccountId)))
            "draw_code" -> File(text("path")).writeBytes(drawCode(text("text"), 4u))
            "scan_picture" -> return list(scanPicture(read(text("path"))), ::of)
            "scan_frame" ->
                return list(scanFrame(read(text("path")), number("width"), number("height"), number("row_stride")), ::of)
            "link_request" -> return JsonPrimitive(client.linkRequest())
            "link_device" -> return JsonPrimitive(client.linkDevice(text("code")))
            "finish_link" -> return of(client.finishLink(text("code")))
            "status" -> return of(client.status())
            "sync" -> client.sync(token(textOr("cancel")))
            "cancel" -> token(text("token"))?.cancel()
            "connect" -> client.connect()
            "disconnect" -> client.disconnect()
            "suspend" -> client.suspend(at.getValue("deadline_ms").jsonPrimitive.long.toULong())
            "resume" -> client.resume()
            "watch_chats" -> subscriptions[text("name")] = client.watchChats(number("rows"), Rows(text("name")))
            "watch_chat" -> subscriptions[text("name")] = client.watchChat(chat(), number("rows"), Rows(text("name")))
            "watch_connection" -> subscriptions[text("name")] = client.watchConnection(Rows(text("name")))
            "unwatch" -> subscriptions.remove(text("name"))?.end()
            else -> error("no such command: $what")
        }
        return JsonNull
    }

    fun leave() {
        subscriptions.values.forEach { it.end() }
        opened?.shutdown()
    }
}

fun of(error: ClientException): JsonObject {
    val (code, detail) = when (error) {
        is ClientException.TryAgain -> error.code to error.detail
        is ClientException.SignInAgain -> error.code to error.detail
        is ClientException.UpdateApp -> error.code to error.detail
        is ClientException.AskUser -> error.code to error.detail
        is ClientException.Locked -> error.code to error.detail
        is ClientException.Bug -> error.code to error.detail
    }
    return buildJsonObject {
        put("kind", error::class.simpleName)
        put("code", code)
        put("detail", detail)
    }
}

fun main() {
    val driver = Driver()
    runBlocking(Dispatchers.Default) {
        for (line in generateSequence(::readlnOrNull)) {
            val command = Json.parseToJsonElement(line).jsonObject
            val at = command["with"] as? JsonObject ?: JsonObject(emptyMap())
            launch {
                val answer = try {
                    "ok" to driver.act(command.getValue("do").jsonPrimitive.content, at)
                } catch (error: ClientException) {
                    "error" to of(error)
                }
                say(buildJsonObject {
                    put("id", command.getValue("id"))
                    put(answer.first, answer.second)
                })
            }
        }
    }
    driver.leave()
    exitProcess(0)
}
