import Foundation
import InverseProblems

/// What `degrade` writes beside a measurement and `restore` reads: the task, and how exact the numbers in the file are.
struct MeasurementRecord: Codable, Equatable {
    var format = 1
    var degradation: Degradation
    /// Size of the frames before the degradation.
    var height: Int
    var width: Int
    var frameCount: Int
    /// Frames that an average over time sees together; the video is cut into such windows, the last may be shorter.
    var window: Int
    var noise: Noise

    /// Standard deviations in units of the pixel range [-1, 1].
    struct Noise: Codable, Equatable {
        /// Gaussian noise that was added.
        var added: Double
        var seed: UInt64
        /// Bits of each component in the file.
        var bitDepth: Int
        /// Rounding to those bits: a step of 2 / (2^bits - 1), divided by the square root of 12.
        var rounding: Double
        /// Whether the file's coding loses more than that (H.264).
        var isLossy: Bool
    }

    /// `measurement.json` for `measurement.mkv` and for the folder `measurement/`.
    static func path(beside measurement: String) -> String {
        let trimmed = measurement.count > 1 && measurement.hasSuffix("/") ? String(measurement.dropLast()) : measurement
        return (trimmed as NSString).deletingPathExtension + ".json"
    }

    /// The record beside a measurement; nil where there is none.
    static func read(beside measurement: String) throws -> MeasurementRecord? {
        let path = path(beside: measurement)
        guard path != measurement, let data = FileManager.default.contents(atPath: path) else { return nil }
        do {
            let record = try JSONDecoder().decode(MeasurementRecord.self, from: data)
            guard record.format == 1 else { throw CommandError.message("its format is \(record.format), and this program knows 1") }
            guard record.window >= 1 else { throw CommandError.message("its window is \(record.window)") }
            return record
        } catch {
            throw CommandError.message(
                "\(path) is not a record of a degradation (\(describe(error))); say what went wrong with --task, or move the file away.")
        }
    }

    private static func describe(_ error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, _): "it has no '\(key.stringValue)'"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            "'\(context.codingPath.map(\.stringValue).joined(separator: "."))' has another type"
        case DecodingError.dataCorrupted: "it is not valid JSON"
        default: "\(error)"
        }
    }

    func write(to path: String) throws { try JSONFile.write(self, to: path) }
}

enum JSONFile {
    /// Writes beside and moves into place, replacing what is there.
    static func write(_ value: some Encodable, to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        do {
            try (encoder.encode(value) + Data("\n".utf8)).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw CommandError.message("\(path) cannot be written (\(error.localizedDescription)); choose another folder or free some space.")
        }
    }
}
