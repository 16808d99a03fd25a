import Diffusion
import Foundation
import Networks
import Testing

@testable import LatentDiffusion

@Suite struct ConfigurationTests {
    static func reader(_ json: String) throws -> ConfigurationReader {
        try ConfigurationReader(data: Data(json.utf8), path: "config.json")
    }

    /// The parts of SDXL's configuration that decide its architecture.
    static let sdxl = """
        "in_channels": 4, "out_channels": 4, "block_out_channels": [320, 640, 1280], "layers_per_block": 2,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"], "mid_block_type": "UNetMidBlock2DCrossAttn",
        "transformer_layers_per_block": [1, 2, 10], "attention_head_dim": [5, 10, 20], "cross_attention_dim": 2048,
        "addition_embed_type": "text_time", "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816,
        "use_linear_projection": true, "act_fn": "silu", "_class_name": "UNet2DConditionModel"
        """

    @Test func sdxlIsUnderstood() throws {
        let c = try UNet2DCondition.Configuration(Self.reader("{\(Self.sdxl)}"))
        #expect(c.blockChannels == [320, 640, 1280])
        #expect(c.transformerLayers == [1, 2, 10])
        #expect(c.heads == [5, 10, 20])
        #expect(c.addition == .init(timeChannels: 256, inputChannels: 2816))
        #expect(c.normGroups == 32 && c.normEpsilon == 1e-5)
    }

    @Test(arguments: [
        (#""resnet_time_scale_shift": "scale_shift""#, "resnet_time_scale_shift"),
        (#""class_embed_type": "timestep""#, "class_embed_type"),
        (#""dual_cross_attention": true"#, "dual_cross_attention"),
        (#""encoder_hid_dim": 768"#, "encoder_hid_dim"),
        (#""act_fn": "gelu""#, "act_fn"),
        (#""a_key_of_the_future": 3"#, "a_key_of_the_future"),
    ]) func valuesThatWouldChangeTheResultAreRefused(addition: String, key: String) throws {
        // The last of two equal keys wins in JSON objects as Foundation reads them; so the changed one is replaced.
        var json = Self.sdxl
        if let range = json.range(of: #""\#(key)": "[a-z]*""#, options: .regularExpression) {
            json.replaceSubrange(range, with: addition)
        } else {
            json += ", " + addition
        }
        #expect {
            try UNet2DCondition.Configuration(Self.reader("{\(json)}"))
        } throws: { error in
            guard case ModelError.unsupported(_, let found, _, _)? = error as? ModelError else { return false }
            return found == key && "\(error)".contains("config.json") && "\(error)".contains(key)
        }
    }

    @Test func switchedOffKeysArePassedOver() throws {
        _ = try UNet2DCondition.Configuration(
            Self.reader(
                #"{\#(Self.sdxl), "class_embed_type": null, "dual_cross_attention": false, "time_cond_proj_dim": null}"#
            ))
    }

    @Test(arguments: [
        #"{"block_out_channels": "many"}"#, #"{"block_out_channels": [32, -1]}"#, #"{"block_out_channels": []}"#, "{}",
        "[1]", "{",
        #"{"block_out_channels": [32], "down_block_types": ["DownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D"]}"#,
    ]) func brokenConfigurationsAreSentences(json: String) {
        #expect(throws: ModelError.self) { try UNet2DCondition.Configuration(Self.reader(json)) }
        #expect(throws: ModelError.self) { try AutoencoderKL.Configuration(Self.reader(json)) }
        #expect(throws: ModelError.self) { try AutoencoderTiny.Configuration(Self.reader(json)) }
        #expect(throws: ModelError.self) { try AutoencoderLinear.Configuration(Self.reader(json)) }
    }

    @Test func aMissingModelFolderIsASentence() {
        #expect {
            try LatentDiffusionModel(at: URL(fileURLWithPath: "/nowhere/model"))
        } throws: { "\($0)".contains("/nowhere/model") && "\($0)".contains("no such model folder") }
    }
}

@Suite struct DDIMScheduleTests {
    @Test func thePapersEightTimesteps() {
        let schedule = DDIMSchedule()
        let steps = schedule.timesteps(25)
        #expect(steps.first == 961 && steps.last == 1 && steps.count == 25)
        #expect(steps.filter { $0 <= 300 } == [281, 241, 201, 161, 121, 81, 41, 1])
    }

    @Test func alphasFallFromOne() {
        let schedule = DDIMSchedule()
        #expect(schedule.alphaBar(0) == 1)
        #expect(abs(schedule.alphaBar(1) - (1 - 0.00085)) < 1e-12)
        for step in 1...1000 { #expect(schedule.alphaBar(step) < schedule.alphaBar(step - 1)) }
        #expect(schedule.alphaBar(1000) > 0)
    }

    @Test func otherSpacings() {
        #expect(DDIMSchedule(spacing: .trailing).timesteps(4) == [999, 749, 499, 249])
        #expect(DDIMSchedule(spacing: .linspace).timesteps(3) == [999, 500, 0])
    }
}
