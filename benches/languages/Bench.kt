/** What the library costs through Kotlin. `benches/src/languages.rs` calls it and says what each figure is. */
package app.comptoir.bench

import app.comptoir.*
import java.io.File
import kotlin.system.exitProcess
import kotlinx.coroutines.runBlocking

class Vault(private val file: File) : KeyVault {
    override fun load(): ByteArray? = file.readBytes()

    override fun store(key: ByteArray) = throw ShellException.Canceled()
}

fun micros(times: Int, work: () -> Unit): Double {
    val began = System.nanoTime()
    repeat(times) { work() }
    return (System.nanoTime() - began) / 1e3 / times
}

fun main(args: Array<String>) {
    val began = System.nanoTime()
    val (dir, key, name, frame, size) = args
    val core = Client.open(Config(dir, Vault(File(key))))
    core.chats(null, 20u)
    val load = (System.nanoTime() - began) / 1e6
    core.disconnect()
    val chat = ConversationId(name)
    val (width, height) = listOf(size.toUInt(), args[5].toUInt())
    val times = args[6].toInt()
    val plane = File(frame).readBytes().toDirectBuffer()
    // The first calls are compiled while they run: those of an app that has been open for a moment are measured.
    repeat(2) {
        val call = micros(times * 100) { core.status() }
        val page = micros(times * 10) { core.page(chat, Place.Newest, 50u) }
        val scan = micros(times) { scanFrame(plane, width, height, width) }
        val texts = List(100) { "x".repeat(100) }
        val batches = System.nanoTime()
        runBlocking { repeat(times) { core.sendTexts(chat, texts) } }
        val batch = times * 100 / ((System.nanoTime() - batches) / 1e9)
        if (it == 1) {
            println(
                """{"load_ms":$load,"call_us":$call,"page_us":$page,"frame_us":$scan,"batch_per_s":$batch}"""
            )
        }
    }
    core.shutdown()
    exitProcess(0)
}
