// What the library costs through Swift. `benches/src/languages.rs` calls it and says what each figure is.

import Comptoir
import Foundation

let began = DispatchTime.now().uptimeNanoseconds

final class Vault: KeyVault {
    let path: String

    init(path: String) {
        self.path = path
    }

    func load() throws -> Data? {
        FileManager.default.contents(atPath: path)
    }

    func store(key: Data) throws {
        throw ShellError.Canceled
    }
}

func micros(_ times: Int, _ work: () throws -> Void) rethrows -> Double {
    let began = DispatchTime.now().uptimeNanoseconds
    for _ in 0..<times { try work() }
    return Double(DispatchTime.now().uptimeNanoseconds - began) / 1e3 / Double(times)
}

let given = CommandLine.arguments
let core = try Client.open(config: Config(dir: given[1], vault: Vault(path: given[2])))
_ = try core.chats(after: nil, limit: 20)
let load = Double(DispatchTime.now().uptimeNanoseconds - began) / 1e6
try core.disconnect()
let chat = ConversationId(text: given[3])
let plane = try Data(contentsOf: URL(fileURLWithPath: given[4]))
let (width, height, times) = (UInt32(given[5])!, UInt32(given[6])!, Int(given[7])!)
let call = try micros(times * 100) { _ = try core.status() }
let page = try micros(times * 10) { _ = try core.page(chat: chat, place: .newest, limit: 50) }
let frame = try micros(times) { _ = try scanFrame(luma: plane, width: width, height: height, rowStride: width) }
let texts = [String](repeating: String(repeating: "x", count: 100), count: 100)
let batches = DispatchTime.now().uptimeNanoseconds
for _ in 0..<times { _ = try await core.sendTexts(chat: chat, texts: texts) }
let batch = Double(times * 100) / (Double(DispatchTime.now().uptimeNanoseconds - batches) / 1e9)
try core.shutdown()
print("{\"load_ms\":\(load),\"call_us\":\(call),\"page_us\":\(page),\"frame_us\":\(frame),\"batch_per_s\":\(batch)}")
