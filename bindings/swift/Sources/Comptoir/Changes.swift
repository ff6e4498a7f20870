/// What a subscription tells, until the stream is let go of or the task that reads it is canceled:
///
///     for await edits in try changes({ try client.watchChat(chat: chat, rows: 50, listener: $0) }) { rows.take(edits) }
///
/// Whoever scrolls keeps the `Subscription` that `watch` makes, and has it `show` more rows. No edit is lost: for a slow
/// reader they queue.
public func changes(_ watch: (ChangeListener) throws -> Subscription) rethrows -> AsyncStream<[Change]> {
    let (stream, continuation) = AsyncStream.makeStream(of: [Change].self)
    let subscription = try watch(Teller(continuation))
    continuation.onTermination = { _ in try? subscription.end() }
    return stream
}

private final class Teller: ChangeListener {
    private let continuation: AsyncStream<[Change]>.Continuation

    init(_ continuation: AsyncStream<[Change]>.Continuation) {
        self.continuation = continuation
    }

    func changed(changes: [Change]) throws {
        continuation.yield(changes)
    }
}

extension Client {
    /// Waits until everything here is at the relay and everything there is here. Canceling the task cancels the wait, which
    /// then throws `CancellationError`; a canceled task does not reach Rust by itself.
    public func sync() async throws {
        let token = try CancelToken()
        do {
            try await withTaskCancellationHandler {
                try await sync(cancel: token)
            } onCancel: {
                try? token.cancel()
            }
        } catch ClientError.TryAgain(code: "call.canceled", detail: _) {
            throw CancellationError()
        }
    }
}
