import Foundation

/// A `*.safetensors.index.json`: which shard holds which tensor.
struct ShardIndex {
    /// The shard's file name by the tensor's name.
    let shards: [String: String]

    /// Reads the index and refuses shard names that lead out of its folder.
    init(at url: URL) throws(WeightsError) {
        guard let data = FileManager.default.contents(atPath: url.path) else { throw .noSuchFile(path: url.path) }
        let text = [UInt8](data)
        guard String(validating: text, as: UTF8.self) != nil else {
            throw .badIndex(path: url.path, reason: "it is not UTF-8")
        }
        var shards: [String: String]?
        do {
            var cursor = JSONCursor(text)
            try cursor.object { cursor, key in
                if key == "weight_map" {
                    var map: [String: String] = [:]
                    try cursor.object { cursor, key in map[key] = try cursor.string() }
                    shards = map
                } else {
                    try cursor.skipValue()
                }
            }
            try cursor.end()
        } catch {
            throw .badIndex(path: url.path, reason: "\(error)")
        }
        guard let shards else { throw .badIndex(path: url.path, reason: "it has no weight_map") }
        for shard in Set(shards.values).sorted() where !Self.isPlainName(shard) {
            throw .shardOutsideFolder(index: url.path, shard: shard)
        }
        for shard in Set(shards.values).sorted() where !shard.hasSuffix(".safetensors") {
            throw ComponentWeights.isPickle(shard)
                ? .pickleOnly(path: url.deletingLastPathComponent().appendingPathComponent(shard).path)
                : .badIndex(path: url.path, reason: "\(quoted(shard)) is not a .safetensors file")
        }
        self.shards = shards
    }

    /// Whether `name` is one path component of printable characters. A file of that name may be a link: the hub's cache is made of them.
    private static func isPlainName(_ name: String) -> Bool {
        !name.isEmpty && name != "." && name != ".."
            && name.unicodeScalars.allSatisfy { $0 != "/" && $0 != "\\" && $0.value >= 0x20 }
    }
}
