// Ids: values of their own, so that one cannot be passed for another. Equal when their texts are.

/// An account, `acc_…`.
public struct AccountId: Hashable, Sendable, CustomStringConvertible {
    public let text: String
    public init(text: String) { self.text = text }
    public var description: String { text }
}

/// A conversation, `chat_…`.
public struct ConversationId: Hashable, Sendable, CustomStringConvertible {
    public let text: String
    public init(text: String) { self.text = text }
    public var description: String { text }
}

/// A device of an account, `dev_…`.
public struct DeviceId: Hashable, Sendable, CustomStringConvertible {
    public let text: String
    public init(text: String) { self.text = text }
    public var description: String { text }
}

/// Which invoice: the SHA-256 of its signed bytes, `sha256_…`.
public struct InvoiceHash: Hashable, Sendable, CustomStringConvertible {
    public let text: String
    public init(text: String) { self.text = text }
    public var description: String { text }
}

/// An order, `ord_…`.
public struct OrderId: Hashable, Sendable, CustomStringConvertible {
    public let text: String
    public init(text: String) { self.text = text }
    public var description: String { text }
}

/// A message, `msg_…`.
public struct Uid: Hashable, Sendable, CustomStringConvertible {
    public let text: String
    public init(text: String) { self.text = text }
    public var description: String { text }
}
