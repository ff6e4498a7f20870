package app.comptoir.driver

import com.sun.jna.NativeLibrary
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext

/** Loads the library at the path that is given and says which contract its bindings have to keep. */
fun main(arguments: Array<String>) = runBlocking {
    val library = NativeLibrary.getInstance(arguments.single())
    val contract = withContext(Dispatchers.IO) {
        library.getFunction("ffi_comptoir_client_uniffi_contract_version").invokeInt(emptyArray())
    }
    println("contract $contract")
}
