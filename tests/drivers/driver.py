"""The driver of scenarios in Python: calls the library as a shell does. What it reads and writes: `tests/src/scenario.rs`."""

import asyncio
import json
import os
import sys
import threading

import comptoir as c

saying = threading.Lock()


def say(value):
    with saying:
        print(json.dumps(value), flush=True)


class FileVault(c.KeyVault):
    """A key in a file, as a shell without a keystore would keep it."""

    def __init__(self, path):
        self.path = path

    def load(self):
        try:
            with open(self.path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def store(self, key):
        with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key)


class OddVault(c.KeyVault):
    """A vault that does not have the key."""

    def __init__(self, how):
        self.how = how

    def load(self):
        if self.how == "wrong":
            return bytes([7] * 32)
        if self.how == "empty":
            return None
        if self.how == "broken":
            raise ValueError("a bug in a shell")
        raise c.ShellError.Unavailable("locked")

    def store(self, key):
        raise c.ShellError.Canceled()


class Sheets(c.PaymentSheet):
    """Tells of a payment sheet instead of opening it."""

    def show(self, sheet):
        say({"event": "sheet", "sheet": sheet_of(sheet)})


class Rows(c.ChangeListener):
    """Keeps the list that a subscription tells, edit by edit."""

    def __init__(self, name):
        self.name = name
        self.rows = []

    def changed(self, changes):
        for change in changes:
            if change.is_RESET():
                self.rows.clear()
            elif change.is_CHATS():
                self.rows[change.at : change.at + change.removed] = [row.preview for row in change.rows]
            elif change.is_MESSAGES():
                self.rows[change.at : change.at + change.removed] = [row.text for row in change.rows]
            else:
                self.rows = [status_of(change.status)["connection"]]
        say({"event": "changed", "name": self.name, "rows": self.rows})


def name_of(state):
    return state.name.lower()


def identity_of(me):
    return me and {"account": me.account.text, "device": me.device.text, "link": me.link}


def chat_of(row):
    return {
        "chat": row.chat.text,
        "account": row.peer.account.text,
        "name": row.peer.name,
        "preview": row.preview,
        "unread": row.unread,
        "unresolved": row.unresolved,
    }


def bubble_of(bubble):
    bill = bubble.checkout
    return {
        "uid": bubble.uid.text,
        "mine": bubble.mine,
        "kind": name_of(bubble.kind),
        "text": bubble.text,
        "state": name_of(bubble.state),
        "why": bubble.why,
        "replies": [reply.title for reply in bubble.replies],
        "reply_to": bubble.reply_to and bubble.reply_to.text,
        "bill": bill
        and {
            "invoice": bill.invoice.text,
            "title": bill.title,
            "state": name_of(bill.state),
            "total_minor": bill.total.minor,
            "currency": bill.total.currency,
            "exponent": bill.total.exponent,
            "live": bill.live,
            "providers": bill.providers,
            "not_paid": bill.not_paid and bill.not_paid.reason,
            "sheet": bill.sheet and sheet_of(bill.sheet),
        },
    }


def sheet_of(sheet):
    return {
        "order": sheet.order.text,
        "amount_minor": sheet.amount.minor,
        "provider": sheet.provider,
        "url": sheet.handoff.url if sheet.handoff.is_PAGE() else "",
    }


def verdict_of(verdict):
    if verdict.is_REFUSED():
        return {"verdict": "refused"}
    proof = verdict.proof
    return {
        "verdict": "holds" if verdict.is_HOLDS() else "date_unproven",
        "merchant": proof.merchant.text,
        "amount_minor": proof.amount.minor,
        "lines": [line.label for line in proof.lines],
        "method": proof.method,
    }


def found_of(code):
    scanned = code.scanned
    kinds = {c.Scanned.COMPTOIR: "comptoir", c.Scanned.PAYMENT: "payment", c.Scanned.REFUSED: "refused",
             c.Scanned.URL: "url", c.Scanned.TEXT: "text", c.Scanned.UNKNOWN: "unknown"}
    kind = kinds[type(scanned)]
    text = {"payment": lambda: "", "unknown": lambda: "", "refused": lambda: scanned.reason}.get(kind, lambda: scanned[0])()
    return {"kind": kind, "text": text, "corners": len(code.corners)}


def status_of(status):
    connection = status.connection
    named = "offline" if connection.is_OFFLINE() else "online" if connection.is_ONLINE() else connection.code
    return {"connection": named, "caught_up": status.caught_up, "unsent": status.unsent}


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


class Driver:
    def __init__(self):
        self.client = None
        self.subscriptions = {}
        self.tokens = {}

    def token(self, name):
        if name is None:
            return None
        if name not in self.tokens:
            self.tokens[name] = c.CancelToken()
        return self.tokens[name]

    async def act(self, what, at):
        client = self.client
        match what:
            case "open":
                vault = FileVault(at["key"]) if at["vault"] == "file" else OddVault(at["vault"])
                self.client = c.Client.open(c.Config(dir=at["dir"], vault=vault, sheet=Sheets()))
            case "create_account":
                return identity_of(await client.create_account(at["relay"]))
            case "identity":
                return identity_of(client.identity())
            case "add_contact":
                return (await client.add_contact(at["link"])).text
            case "chats":
                return [chat_of(row) for row in client.chats(None, at.get("limit", 50)).rows]
            case "page":
                chat = c.ConversationId(at["chat"])
                return [bubble_of(bubble) for bubble in client.page(chat, c.Place.NEWEST(), at.get("limit", 50)).bubbles]
            case "search":
                hits = client.search(at["query"], 50)
                return [{"chat": hit.chat.text, "text": hit.bubble.text} for hit in hits]
            case "send_text":
                reply_to = c.Uid(at["reply_to"]) if "reply_to" in at else None
                return (await client.send_text(c.ConversationId(at["chat"]), at["text"], reply_to)).text
            case "tap":
                return (await client.tap(c.ConversationId(at["chat"]), c.Uid(at["on"]), at["title"])).text
            case "mark_read":
                await client.mark_read(c.ConversationId(at["chat"]), None)
            case "block":
                await client.block(c.AccountId(at["account"]), at["blocked"])
            case "same_ids":
                return c.Uid(at["one"]) == c.Uid(at["other"])
            case "safety_number":
                return client.safety_number(c.AccountId(at["account"]))
            case "pay":
                return name_of(await client.pay(c.InvoiceHash(at["invoice"]), c.PayChoice()))
            case "sheet_closed":
                return name_of(await client.sheet_closed(c.OrderId(at["order"]), c.SheetHint[at["hint"].upper()]))
            case "check_payments":
                await client.check_payments()
            case "receipts":
                return [
                    {
                        "order": row.order.text,
                        "merchant": row.merchant.text,
                        "amount_minor": row.amount.minor,
                        "currency": row.amount.currency,
                        "live": row.live,
                    }
                    for row in client.receipts()
                ]
            case "receipt_file":
                parts = [c.ReceiptPart.LINES] if at.get("parts") == "lines" else None
                file = client.receipt_file(c.OrderId(at["order"]), parts)
                write(at["path"], file)
                return len(file) > 100
            case "verify_receipt":
                merchant = c.AccountId(at["merchant"]) if "merchant" in at else None
                return verdict_of(c.verify_receipt(read(at["path"]), merchant))
            case "draw_code":
                write(at["path"], c.draw_code(at["text"], 4))
            case "scan_picture":
                return [found_of(code) for code in c.scan_picture(read(at["path"]))]
            case "scan_frame":
                plane = read(at["path"])
                return [found_of(code) for code in c.scan_frame(plane, at["width"], at["height"], at["row_stride"])]
            case "link_request":
                return await client.link_request()
            case "link_device":
                return await client.link_device(at["code"])
            case "finish_link":
                return identity_of(await client.finish_link(at["code"]))
            case "status":
                return status_of(client.status())
            case "sync":
                await client.sync(self.token(at.get("cancel")))
            case "cancel":
                self.token(at["token"]).cancel()
            case "connect":
                client.connect()
            case "disconnect":
                client.disconnect()
            case "suspend":
                client.suspend(at["deadline_ms"])
            case "resume":
                client.resume()
            case "watch_chats":
                self.subscriptions[at["name"]] = client.watch_chats(at["rows"], Rows(at["name"]))
            case "watch_chat":
                chat = c.ConversationId(at["chat"])
                self.subscriptions[at["name"]] = client.watch_chat(chat, at["rows"], Rows(at["name"]))
            case "watch_connection":
                self.subscriptions[at["name"]] = client.watch_connection(Rows(at["name"]))
            case "unwatch":
                self.subscriptions.pop(at["name"]).end()
            case _:
                raise RuntimeError(f"no such command: {what}")
        return None

    def leave(self):
        for subscription in self.subscriptions.values():
            subscription.end()
        if self.client:
            self.client.shutdown()


async def main():
    driver = Driver()
    loop = asyncio.get_running_loop()
    tasks = set()

    async def answer(command):
        try:
            say({"id": command["id"], "ok": await driver.act(command["do"], command["with"] or {})})
        except c.ClientError as error:
            refusal = {"kind": type(error).__name__, "code": error.code, "detail": error.detail}
            say({"id": command["id"], "error": refusal})

    while line := await loop.run_in_executor(None, sys.stdin.readline):
        task = asyncio.ensure_future(answer(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    driver.leave()


asyncio.run(main())
