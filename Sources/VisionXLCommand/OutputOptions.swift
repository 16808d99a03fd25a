import ArgumentParser
import VideoIO
import Workflow

extension VideoEncoding.Codec: ExpressibleByArgument {}

/// How the result is stored, and what it keeps of the input.
struct OutputOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            How frames are stored. (default: .mp4 and .mov h264, or h265 where more than 8 bits came in; .mkv ffv1; a \
            folder png)
            """,
            valueName: "codec"))
    var codec: VideoEncoding.Codec?

    @Option(
        help: ArgumentHelp(
            "The encoder's constant rate factor, 0 is the largest file. (default: h264 16, h265 18, av1 20)",
            valueName: "number"))
    var crf: Int?

    @Option(
        help:
            """
            Bits of each component in the file: 8, 10 or 16. (default: 8, where more came in as many as the codec \
            holds; h265 and av1 10)
            """
    )
    var bits: Int?

    @Option(
        help: ArgumentHelp(
            "What a pixel is stored as, by ffmpeg's name, for example yuv444p10le.", valueName: "format"))
    var pixelFormat: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            """
            Words for ffmpeg in front of the output's name, for what is not foreseen here: "-preset slow". A recipe's \
            own are refused unless they are said here, too.
            """,
            valueName: "words"))
    var ffmpeg: String?

    @Option(
        help: ArgumentHelp(
            "How much of the result there is, the rest being the measurement enlarged: 0 to 1. (default: 1)",
            valueName: "part"))
    var mix: Double?

    @Flag(help: "Put the measurement's noise back: the part of the residual that is no larger than noise.")
    var keepGrain = false

    @Flag(help: "Leave out the sound.")
    var noAudio = false

    @Flag(help: "Leave out the subtitles.")
    var noSubtitles = false

    @Flag(help: "Leave out the chapters.")
    var noChapters = false

    @Flag(help: "Leave out titles, names, dates and other tags of the file.")
    var noMetadata = false

    @Flag(help: "Leave out covers, fonts and other attachments.")
    var noAttachments = false

    @Flag(help: "Leave out the timecode.")
    var noTimecode = false

    @Flag(help: "The frames are whole pictures, whatever the file says of fields.")
    var progressive = false

    @Flag(help: "Restore what there is of a file that breaks off.")
    var incomplete = false

    mutating func validate() throws {
        if let mix, !(0...1).contains(mix) { throw ValidationError("--mix must lie between 0 and 1.") }
        if let bits, ![8, 10, 16].contains(bits) { throw ValidationError("--bits must be 8, 10 or 16.") }
    }

    private var leftOut: [OutputPlan.Part] {
        let said: [(Bool, OutputPlan.Part)] = [
            (noAudio, .audio), (noSubtitles, .subtitles), (noChapters, .chapters), (noMetadata, .metadata),
            (noAttachments, .attachments), (noTimecode, .timecode),
        ]
        return said.filter(\.0).map(\.1)
    }

    func apply(to recipe: inout Recipe) {
        if let codec { recipe.encoding.codec = codec }
        if let crf { recipe.encoding.crf = crf }
        if let bits { recipe.bits = bits }
        if let pixelFormat { recipe.encoding.pixelFormat = pixelFormat }
        if let ffmpeg { recipe.encoding.ffmpeg = ffmpeg }
        for part in leftOut where !recipe.leaveOut.contains(part) { recipe.leaveOut.append(part) }
        if let mix { recipe.finishing.mix = mix }
        if keepGrain { recipe.finishing.grain = 1 }
        if progressive { recipe.isProgressive = true }
        if incomplete { recipe.acceptsIncomplete = true }
    }
}
