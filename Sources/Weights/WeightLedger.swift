import Synchronization

/// The record of which tensors a network asked for.
final class WeightLedger: Sendable {
    private struct Record {
        var used: Set<String> = []
        /// With the shape that was asked for, where one was.
        var missing: [String: [Int]?] = [:]
        var misshapen: [String: WeightsError.Misfit.Misshapen] = [:]
    }

    /// Whether a missing or misshapen tensor is noted for later instead of thrown at once.
    let collects: Bool
    private let record = Mutex(Record())

    init(collects: Bool) { self.collects = collects }

    func isUsed(_ key: String) { record.withLock { _ = $0.used.insert(key) } }
    func isMissing(_ key: String, _ shape: [Int]?) { record.withLock { $0.missing[key] = .some(shape) } }
    func isMisshapen(_ key: String, expected: [Int], found: [Int]) {
        record.withLock { $0.misshapen[key] = .init(key: key, expected: expected, found: found) }
    }

    /// The tensors that were missing and had to have a shape.
    var missingShapes: [String: [Int]] { record.withLock { $0.missing.compactMapValues { $0 } } }

    /// Where the record and `keys` disagree.
    func misfit(keys: [String], ignoring ignored: [String]) -> WeightsError.Misfit {
        record.withLock { record in
            .init(
                missing: record.missing.keys.sorted(),
                misshapen: record.misshapen.values.sorted { $0.key < $1.key },
                extra: keys.filter { key in
                    !record.used.contains(key) && !ignored.contains { key == $0 || key.hasPrefix("\($0).") }
                })
        }
    }
}
