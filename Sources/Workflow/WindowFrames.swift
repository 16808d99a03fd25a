import Foundation
import VideoIO
import Weights

/// The frames of a finished window, each read when it is wanted.
struct WindowFrames: Sendable {
    private let file: SafetensorsFile
    let count: Int
    private let height: Int
    private let width: Int

    init(_ url: URL) throws {
        file = try SafetensorsFile(at: url)
        guard let entry = file.entries["frames"], entry.dtype == .u16, entry.shape.count == 4, entry.shape[3] == 3
        else {
            throw WorkflowError.message("\(url.path) is no window of this program; begin anew with --restart.")
        }
        (count, height, width) = (entry.shape[0], entry.shape[1], entry.shape[2])
    }

    subscript(index: Int) -> VideoFrame {
        get throws {
            let components = height * width * 3
            let values = try file.withUnsafeBytes(of: "frames") { bytes in
                [UInt16](unsafeUninitializedCapacity: components) { target, initialized in
                    let piece = bytes[index * components * 2..<(index + 1) * components * 2]
                    UnsafeMutableRawBufferPointer(target).copyMemory(from: UnsafeRawBufferPointer(rebasing: piece))
                    initialized = components
                }
            }
            return try VideoFrame(width: width, height: height, pixels: .sixteenBit(values))
        }
    }
}
