import Glibc
import Testing

@Test func theLibraryLoads() throws {
    let library = dlopen("/library/libcomptoir.so", RTLD_NOW)
    try #require(library != nil, "\(dlerror().map { String(cString: $0) } ?? "")")
    let symbol = try #require(dlsym(library, "ffi_comptoir_client_uniffi_contract_version"))
    let version = unsafeBitCast(symbol, to: (@convention(c) () -> UInt32).self)
    #expect(version() > 0)
}

@Test func loopbackIsTheMachines() throws {
    let port = try #require(getenv("COMPTOIR_PORT").flatMap { UInt16(String(cString: $0)) })
    let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(connection) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let connected = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(connection, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
    try #require(connected == 0)
    var heard = [UInt8](repeating: 0, count: 5)
    #expect(recv(connection, &heard, heard.count, Int32(MSG_WAITALL)) == 5)
    #expect(String(decoding: heard, as: UTF8.self) == "bread")
}
