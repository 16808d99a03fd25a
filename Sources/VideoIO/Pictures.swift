import Foundation

/// Folders of numbered pictures. Each picture is decoded by an ffmpeg of its own (about 60 ms): that way names never
/// become patterns, formats may mix, and a bad picture is known by name.
enum Pictures {
    /// Makes ffmpeg read exactly the named file, also where its name looks like a pattern for many, by what is in it
    /// and not by its ending.
    static func asOneFile(_ path: String) -> [String] {
        let file = FileHandle(forReadingAtPath: path)
        defer { try? file?.close() }
        let start = [UInt8]((try? file?.read(upToCount: 8)) ?? Data())
        let known: [(start: [UInt8], format: String)] = [
            ([0x89, 0x50, 0x4E, 0x47], "png_pipe"), ([0xFF, 0xD8, 0xFF], "jpeg_pipe"),
        ]
        guard let format = known.first(where: { start.starts(with: $0.start) })?.format else {
            return ["-f", "image2", "-pattern_type", "none"]
        }
        return ["-f", format]
    }

    /// Of a written one, counted from 0: "000012.png", as ffmpeg numbers them.
    static func name(_ number: Int) -> String { number.padded(to: 6) + ".png" }

    /// The pictures of a folder in natural order (frame2 before frame10), hidden files left out.
    static func list(folder: String) throws(VideoError) -> [String] {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: folder)
        } catch {
            throw .notAVideo(folder, details: "the folder cannot be read")
        }
        return names.filter { FileNames.isPicture($0) && !$0.hasPrefix(".") }.sorted(by: naturallyBefore)
            .map { (folder as NSString).appendingPathComponent($0) }
    }

    /// What a person should know of the names of a series: numbers that are missing, and more than one series.
    static func notes(_ paths: [String]) -> [String] {
        /// A name without its last number and its ending, and the number.
        func parts(_ path: String) -> (series: String, number: Int?) {
            let name = ((path as NSString).lastPathComponent as NSString).deletingPathExtension
            let all = runs(name)
            guard let place = all.lastIndex(where: { isDigit($0.first) }) else { return (name, nil) }
            return ((all[..<place] + ["#"] + all[(place + 1)...]).joined(), Int(all[place]))
        }
        var order: [String] = []
        var numbers: [String: [Int]] = [:]
        for path in paths {
            let (series, number) = parts(path)
            if numbers[series] == nil { order.append(series) }
            numbers[series, default: []] += number.map { [$0] } ?? []
        }
        // Names without numbers are no series.
        order = order.filter { (numbers[$0] ?? []).count > 1 }
        var notes: [String] = []
        if order.count > 1 {
            let names = order.map { "\($0) (\((numbers[$0] ?? []).count))" }.joined(separator: ", then ")
            notes.append(
                "The folder has \(order.count) series of pictures, which follow each other as one video: \(names).")
        }
        for series in order {
            let present = Set(numbers[series] ?? [])
            guard let first = present.min(), let last = present.max(), last - first < 1 << 24 else { continue }
            let missing = (first...last).filter { !present.contains($0) }
            if missing.isEmpty { continue }
            let some = missing.prefix(5).map(String.init).joined(separator: ", ") + (missing.count > 5 ? " ..." : "")
            notes.append(
                "Numbers are missing in \(series): \(some) (\(missing.count) of \(last - first + 1)); the pictures around a"
                    + " hole follow each other.")
        }
        return notes
    }

    /// Compares runs of digits by their value, everything else by its characters.
    static func naturallyBefore(_ a: String, _ b: String) -> Bool {
        let (left, right) = (runs(a), runs(b))
        for (l, r) in zip(left, right) where l != r {
            guard isDigit(l.first), isDigit(r.first) else { return l < r }
            let (x, y) = (l.drop { $0 == "0" }, r.drop { $0 == "0" })
            if x.count != y.count { return x.count < y.count }
            if x != y { return x < y }
        }
        return left.count != right.count ? left.count < right.count : a < b
    }

    /// "frame10.png" in runs of digits and non-digits: "frame", "10", ".png".
    private static func runs(_ text: String) -> [Substring] {
        var result: [Substring] = []
        var start = text.startIndex
        while start < text.endIndex {
            let kind = isDigit(text[start])
            let end = text[start...].firstIndex { isDigit($0) != kind } ?? text.endIndex
            result.append(text[start..<end])
            start = end
        }
        return result
    }

    private static func isDigit(_ character: Character?) -> Bool {
        character.map { ("0"..."9").contains($0) } ?? false
    }
}

extension Pictures {
    /// Decodes pictures one after the other. All must have the size of the reader's first.
    static func decode(_ paths: [String], of reader: VideoReader, into frames: Handoff<VideoFrame>) async throws {
        for path in paths {
            let frame = try await decode(path, opacity: reader.showsOpacity)
            let info = reader.decodedInfo
            guard frame.width == info.width, frame.height == info.height else {
                throw VideoError.mixedPictureSizes(
                    folder: reader.path, first: "\(info.width)x\(info.height)",
                    other: "\((path as NSString).lastPathComponent) is \(frame.width)x\(frame.height)")
            }
            try await frames.send(frame)
        }
    }

    /// One picture: 16 bits per component from a 16-bit PNG, else 8.
    static func decode(_ path: String, opacity: Bool = false) async throws -> VideoFrame {
        // Without a format, the PPM encoder picks 8 or 16 bits by what the picture stores.
        let filter = (opacity ? "alphaextract," : "") + "scale=in_range=pc:out_range=pc:flags=\(FFmpeg.scalerFlags)"
        let arguments =
            FFmpeg.quietly + ["-xerror"] + asOneFile(path) + ["-i", FFmpeg.url(path)]
            + ["-vf", filter, "-frames:v", "1", "-c:v", "ppm", "-f", "image2pipe", "pipe:1"]
        let (output, messages, succeeded) = try await FFmpeg.collect("ffmpeg", arguments, limit: 4 << 30)
        guard succeeded, messages.isEmpty, let frame = readPPM(output) else {
            throw VideoError.notAVideo(path, details: messages)
        }
        return frame
    }

    /// Binary PPM as ffmpeg writes it: "P6\nWIDTH HEIGHT\nMAXIMUM\n", then the components, high byte first.
    static func readPPM(_ bytes: [UInt8]) -> VideoFrame? {
        let newline = UInt8(ascii: "\n")
        let header = bytes.prefix(64).split(separator: newline, maxSplits: 3, omittingEmptySubsequences: false)
        guard header.count == 4, String(decoding: header[0], as: UTF8.self) == "P6" else { return nil }
        let size = String(decoding: header[1], as: UTF8.self).split(separator: " ").compactMap { Int($0) }
        guard size.count == 2, let count = VideoFrame.componentCount(width: size[0], height: size[1]),
            let maximum = Int(String(decoding: header[2], as: UTF8.self))
        else { return nil }
        let body = header[3].startIndex
        let pixels: VideoFrame.Pixels
        if maximum == 255, bytes.count - body == count {
            pixels = .eightBit(Array(bytes[body...]))
        } else if maximum == 65535, bytes.count - body == count * 2 {
            pixels = .sixteenBit(
                [UInt16](unsafeUninitializedCapacity: count) { target, initialized in
                    bytes.withUnsafeBytes { source in
                        for i in 0..<count {
                            target[i] = UInt16(
                                bigEndian: source.loadUnaligned(fromByteOffset: body + 2 * i, as: UInt16.self))
                        }
                    }
                    initialized = count
                })
        } else {
            return nil
        }
        return try? VideoFrame(width: size[0], height: size[1], pixels: pixels)
    }
}
