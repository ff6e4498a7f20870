package app.comptoir

import java.nio.ByteBuffer
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.awaitClose
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.callbackFlow
import kotlinx.coroutines.flow.flowOn
import kotlinx.coroutines.job
import kotlinx.coroutines.runBlocking

/**
 * What a subscription tells, for as long as it is collected:
 *
 *     changes { listener -> client.watchChat(chat, 50u, listener) }.collect { edits -> rows.take(edits) }
 *
 * Whoever scrolls keeps the [Subscription] that [watch] makes, and has it [show][Subscription.show] more rows. A slow
 * collector gets more edits at once the next time; none is lost. What [watch] throws, the flow throws.
 */
fun changes(watch: (ChangeListener) -> Subscription): Flow<List<Change>> =
    callbackFlow {
        val collecting = coroutineContext.job
        val listener = object : ChangeListener {
            override fun changed(changes: List<Change>) {
                try {
                    // Waits for a slow collector, on the thread of the subscription, and for no longer than it collects.
                    runBlocking(collecting) { send(changes) }
                } catch (_: CancellationException) {
                    // Nobody collects any more.
                }
            }
        }
        val subscription = watch(listener)
        awaitClose { subscription.use { it.end() } }
    }
        .buffer(Channel.RENDEZVOUS)
        // The end of a subscription waits for its listener, so it is not waited for where screens are drawn.
        .flowOn(Dispatchers.IO)

/** Waits until everything here is at the relay and everything there is here. Canceling the coroutine cancels the wait. */
suspend fun Client.sync() = sync(cancel = null)

/** A copy that the core can read in place, as `scanPicture` and `verifyReceipt` want it. Camera planes are so already. */
fun ByteArray.toDirectBuffer(): ByteBuffer = ByteBuffer.allocateDirect(size).put(this).apply { flip() }
