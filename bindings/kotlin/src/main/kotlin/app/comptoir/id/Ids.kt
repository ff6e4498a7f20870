/** Ids: values of their own, so that one cannot be passed for another. Equal when their texts are. */
package app.comptoir.id

/** An account, `acc_…`. */
@JvmInline
value class AccountId(val text: String) {
    override fun toString(): String = text
}

/** A conversation, `chat_…`. */
@JvmInline
value class ConversationId(val text: String) {
    override fun toString(): String = text
}

/** A device of an account, `dev_…`. */
@JvmInline
value class DeviceId(val text: String) {
    override fun toString(): String = text
}

/** Which invoice: the SHA-256 of its signed bytes, `sha256_…`. */
@JvmInline
value class InvoiceHash(val text: String) {
    override fun toString(): String = text
}

/** An order, `ord_…`. */
@JvmInline
value class OrderId(val text: String) {
    override fun toString(): String = text
}

/** A message, `msg_…`. */
@JvmInline
value class Uid(val text: String) {
    override fun toString(): String = text
}
