import Foundation
import Metrics
import TensorKit
import Testing

@Suite struct VideoScoreTests {
    @Test func infinityIsAStringInJSON() throws {
        let (a, _) = try pictures(1, 12, 12)
        let truth = try Tensor.concatenate([a, a], along: 0)
        let score = try psnr(truth, Tensor.concatenate([a, a + 0.2], along: 0))
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let data = try encoder.encode(score)
        let text = String(decoding: data, as: UTF8.self)
        #expect(text.hasPrefix(#"{"mean":"inf","perFrame":["inf","#))
        #expect((try JSONSerialization.jsonObject(with: data) as? [String: Any])?["mean"] as? String == "inf")
        #expect(try JSONDecoder().decode(VideoScore.self, from: data) == score)
    }

    @Test func numbersComeBack() throws {
        let (a, b) = try pictures(3, 12, 12)
        let score = try ssim(a, b)
        #expect(try JSONDecoder().decode(VideoScore.self, from: JSONEncoder().encode(score)) == score)
        #expect(abs(score.mean - score.perFrame.reduce(0, +) / 3) < 1e-15)
    }

    @Test(arguments: [
        #"{"perFrame":[],"mean":0}"#, #"{"perFrame":["infinite"],"mean":0}"#, #"{"perFrame":[true],"mean":0}"#,
        #"{"mean":1}"#,
    ])
    func nonsenseIsRefused(json: String) {
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(VideoScore.self, from: Data(json.utf8)) }
    }
}
