import Foundation
import TestSupport
import Testing

@testable import TensorKit

/// The laws of a simulated device, over all operations of a tensor.
@Suite struct SimulatedDeviceTests {
    struct Operation: Sendable, CustomTestStringConvertible {
        /// The function's name in the source.
        let name: String
        let inputs: [Tensor]
        /// Operands that may be on another device in PyTorch, too.
        var crossing: Set<Int> = []
        let body: @Sendable ([Tensor]) throws -> [Tensor]
        var testDescription: String { name }

        init(
            _ name: String, _ inputs: [Tensor], crossing: Set<Int> = [],
            _ body: @escaping @Sendable ([Tensor]) throws -> Tensor
        ) {
            (self.name, self.inputs, self.crossing) = (name, inputs, crossing)
            self.body = { [try body($0)] }
        }

        init(many name: String, _ inputs: [Tensor], _ body: @escaping @Sendable ([Tensor]) throws -> [Tensor]) {
            (self.name, self.inputs, self.body) = (name, inputs, body)
        }
    }

    private static func random(_ shape: [Int], _ stream: UInt64 = 0) throws -> Tensor {
        var generator = RandomGenerator(seed: 7, stream: stream)
        return try generator.normal(shape)
    }

    /// Every public operation that makes a tensor of tensors.
    static func operations() throws -> [Operation] {
        let x = try random([2, 4, 6, 8])
        let y = try random([2, 4, 6, 8], 1)
        let positive = try x.absolute() + 0.5
        let matrix = try random([5, 8], 2)
        let square = try random([8, 3], 3)
        let (weight, bias) = (try random([4, 4, 3, 3], 4), try random([4], 5))
        let rows = try random([6, 8], 6)
        let (clip, kernel) = (try random([1, 2, 3, 5, 5], 7), try random([3, 2, 2, 2, 2], 8))
        let (q, k, v) = (try random([1, 2, 5, 8], 9), try random([1, 2, 7, 8], 10), try random([1, 2, 7, 8], 11))
        let condition = try x.isGreater(than: 0)
        return [
            Operation("adding", [x, y]) { try $0[0].adding($0[1], times: 0.5) },
            Operation("+", [x, y]) { try $0[0] + $0[1] },
            Operation("+", [x]) { try $0[0] + 2 },
            Operation("-", [x, y]) { try $0[0] - $0[1] },
            Operation("-", [x]) { try -$0[0] },
            Operation("*", [x, y]) { try $0[0] * $0[1] },
            Operation("*", [x]) { try $0[0] * 0.1 },
            Operation("/", [x, positive]) { try $0[0] / $0[1] },
            Operation("/", [x]) { try $0[0] / 3 },
            Operation("power", [positive, y]) { try $0[0].power($0[1]) },
            Operation("power", [positive]) { try $0[0].power(1.5) },
            Operation("squared", [x]) { try $0[0].squared() },
            Operation("squareRoot", [positive]) { try $0[0].squareRoot() },
            Operation("absolute", [x]) { try $0[0].absolute() },
            Operation("exponential", [x]) { try $0[0].exponential() },
            Operation("rounded", [x]) { try $0[0].rounded() },
            Operation("clamped", [x]) { try $0[0].clamped(to: -0.5...1e300) },
            Operation("minimum", [x, y]) { try $0[0].minimum($0[1]) },
            Operation("maximum", [x, y]) { try $0[0].maximum($0[1]) },
            Operation("minimum", [x]) { try $0[0].minimum() },
            Operation("maximum", [x]) { try $0[0].maximum() },
            Operation("isGreater", [x, y]) { try $0[0].isGreater(than: $0[1]) },
            Operation("isEqual", [x]) { try $0[0].isEqual(to: 0) },
            Operation("isFinite", [x]) { try $0[0].isFinite() },
            Operation("selected", [x, condition, y]) { try $0[0].selected(where: $0[1], otherwise: $0[2]) },
            Operation("multiply", [x, y]) { inputs in
                var result = try inputs[0].copied()
                try result.multiply(by: inputs[1])
                return result
            },
            Operation("add", [x, y]) { inputs in
                var result = try inputs[0].copied()
                try result.add(inputs[1], times: 0.25)
                return result
            },
            Operation("formSilu", [x]) { inputs in
                var result = try inputs[0].copied()
                try result.formSilu()
                return result
            },
            Operation("formGelu", [x]) { inputs in
                var result = try inputs[0].copied()
                try result.formGelu()
                return result
            },
            Operation("formRelu", [x]) { inputs in
                var result = try inputs[0].copied()
                try result.formRelu()
                return result
            },
            Operation("replace", [x, y], crossing: [1]) { inputs in
                var result = try inputs[0].copied()
                try result.replace(along: 2, from: 1, with: inputs[1].narrow(2, from: 0, count: 2))
                return result
            },
            Operation("replace", [x, y], crossing: [1]) { inputs in
                var result = inputs[0]
                try result.replace(
                    at: [0, 0, 1, 2], with: inputs[1].narrow(2, from: 0, count: 3).narrow(3, from: 0, count: 4))
                return result
            },
            Operation("sum", [x]) { try $0[0].sum() },
            Operation("sum", [x]) { try $0[0].sum(along: [1, 2], keepingDimensions: true) },
            Operation("mean", [x]) { try $0[0].mean() },
            Operation("mean", [x]) { try $0[0].mean(along: [0, 3]) },
            Operation("innerProduct", [x, y]) { try $0[0].innerProduct($0[1]) },
            Operation("reshaped", [x]) { try $0[0].reshaped([8, -1]) },
            Operation("permuted", [x]) { try $0[0].permuted([0, 2, 3, 1]) },
            Operation("transposed", [x]) { try $0[0].transposed(1, 3) },
            Operation("narrow", [x]) { try $0[0].narrow(3, from: 2, count: 4) },
            Operation("rows", [x]) { try $0[0].rows(1..<2) },
            Operation("select", [x]) { try $0[0].select(1, 2) },
            Operation("unsqueezed", [x]) { try $0[0].unsqueezed(0) },
            Operation("squeezed", [x]) { try $0[0].rows(0..<1).squeezed(0) },
            Operation("expanded", [x]) { try $0[0].narrow(1, from: 0, count: 1).expanded([-1, 3, -1, -1]) },
            Operation("repeated", [x]) { try $0[0].repeated([1, 2, 1, 1]) },
            Operation("flipped", [x]) { try $0[0].flipped([2, 3]) },
            Operation("rolled", [x]) { try $0[0].rolled(2, along: 3) },
            Operation("gathered", [x]) { try $0[0].gathered([3, 0, 0], along: 1) },
            Operation("concatenate", [x, y]) { try Tensor.concatenate($0, along: 1) },
            Operation("stack", [x, y]) { try Tensor.stack($0) },
            Operation("padded", [x]) { try $0[0].padded([1, 2, 3, 0], .reflect) },
            Operation("padded", [x]) { try $0[0].padded([1, 1], .constant(4)) },
            Operation("pixelUnshuffled", [x]) { try $0[0].pixelUnshuffled(2) },
            Operation("pixelShuffled", [x]) { try $0[0].pixelShuffled(2) },
            Operation("convolved", [x, weight, bias]) { try $0[0].convolved($0[1], bias: $0[2], padding: 1) },
            Operation("convolved", [x, try random([4, 4, 1, 1], 12)]) { try $0[0].convolved($0[1]) },
            Operation("transposeConvolved", [x, weight, bias]) {
                try $0[0].transposeConvolved($0[1], bias: $0[2], stride: 2, padding: 1)
            },
            Operation("convolved3D", [clip, kernel]) { try $0[0].convolved3D($0[1]) },
            Operation("linear", [x, matrix, try random([5], 13)]) { try $0[0].linear($0[1], bias: $0[2]) },
            Operation("linearGelu", [x, matrix]) { try $0[0].linearGelu($0[1]) },
            Operation("multiplied", [x, square]) { try $0[0].multiplied(by: $0[1]) },
            Operation("groupNormalized", [x, bias, try random([4], 14)]) {
                try $0[0].groupNormalized(groups: 2, weight: $0[1], bias: $0[2], epsilon: 1e-5)
            },
            Operation("layerNormalized", [x, try random([8], 15)]) { try $0[0].layerNormalized(weight: $0[1]) },
            Operation("attention", [q, k, v]) { try $0[0].attention(keys: $0[1], values: $0[2]) },
            Operation("silu", [x]) { try $0[0].silu() },
            Operation("gelu", [x]) { try $0[0].gelu() },
            Operation("relu", [x]) { try $0[0].relu() },
            Operation("tanh", [x]) { try $0[0].tanh() },
            Operation("sigmoid", [x]) { try $0[0].sigmoid() },
            Operation("softmax", [x]) { try $0[0].softmax(along: 1) },
            Operation("upsampledNearest", [x]) { try $0[0].upsampledNearest(height: 12, width: 16) },
            Operation("resizedBicubic", [x]) { try $0[0].resizedBicubic(height: 9, width: 5, antialiased: true) },
            Operation("averagePooled", [x]) { try $0[0].averagePooled(2) },
            Operation("averagePooled", [x]) { try $0[0].averagePooled(toHeight: 4, width: 3) },
            Operation("maxPooled", [x]) { try $0[0].maxPooled(2, stride: 2) },
            Operation("maxPooled3D", [clip]) { try $0[0].maxPooled3D([1, 2, 2], stride: [1, 2, 2]) },
            Operation("singularValues", [rows]) { try $0[0].singularValues() },
            Operation(many: "singularValueDecomposition", [rows]) {
                let (left, values, right) = try $0[0].singularValueDecomposition()
                return [left, values, right]
            },
            Operation("triangularFactor", [rows]) { try $0[0].triangularFactor() },
            Operation("to", [x]) { try $0[0].to(.float16) },
            Operation("contiguous", [x]) { try $0[0].contiguous(.channelsLast) },
            Operation("copied", [x]) { try $0[0].copied() },
        ]
    }

    static let devices = Device.Simulation.allCases.map(Device.simulated)

    /// Results are on the device and hold the CPU's numbers.
    @Test(arguments: devices) func operationsStayOnTheDevice(device: Device) throws {
        for operation in try Self.operations() {
            let expected = try operation.body(operation.inputs)
            let results = try operation.body(operation.inputs.map { try $0.to(device) })
            #expect(results.count == expected.count)
            for (result, expected) in zip(results, expected) {
                #expect(result.device == device, "\(operation.name)")
                #expect(result.shape == expected.shape, "\(operation.name)")
                let (a, b) = (try result.array(of: Double.self), try expected.array(of: Double.self))
                #expect(zip(a, b).allSatisfy { abs($0 - $1) <= 1e-5 * max(1, abs($1)) }, "\(operation.name)")
            }
        }
    }

    /// An operand on the host is refused, whichever it is.
    @Test(arguments: devices) func mixturesAreRefused(device: Device) throws {
        var mixtures = 0
        for operation in try Self.operations() where operation.inputs.count > 1 {
            for host in operation.inputs.indices {
                var inputs = try operation.inputs.map { try $0.to(device) }
                inputs[host] = operation.inputs[host]
                if operation.crossing.contains(host) {
                    let traffic = DeviceTraffic()
                    let result = try traffic.counting { try operation.body(inputs) }
                    #expect(result[0].device == device && traffic.bytes(.up) > 0, "\(operation.name)")
                    continue
                }
                if !operation.crossing.isEmpty { continue }
                mixtures += 1
                #expect {
                    try operation.body(inputs)
                } throws: { error in
                    "\(error)".contains("Expected all tensors to be on the same device, but found at least two devices")
                }
            }
        }
        #expect(mixtures > 40)
    }

    /// No public function of a tensor is missing above.
    @Test func allOperationsAreWalkedOver() throws {
        let folder = projectRoot.appendingPathComponent("Sources/TensorKit")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasPrefix("Tensor") }
        let declaration = try Regex<(Substring, Substring)>("public (?:static |mutating |prefix )*func ([^(<: ]+)")
        var names: Set<String> = []
        for file in files {
            let text = try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
            for match in text.matches(of: declaration) { names.insert(String(match.output.1)) }
        }
        let walked = Set(try Self.operations().map(\.name))
        // Tested below, or about no tensor.
        let others: Set = [
            "size", "operand", "empty", "zeros", "full", "ones", "arange", "scalar", "array", "numbers", "item",
            "withUnsafeBytes",
            "dot", "norm", "all", "fastest",
        ]
        #expect(names.subtracting(walked).subtracting(others) == [])
        #expect(names.count > 70)
    }

    @Test(arguments: devices) func tensorsAreMadeOnTheDevice(device: Device) throws {
        let traffic = DeviceTraffic()
        try traffic.counting {
            for made in [
                try Tensor.empty([2, 3], device: device), try .zeros([2], device: device),
                try .ones([2], device: device),
                try .full([2], 3, device: device),
            ] {
                #expect(made.device == device)
            }
        }
        #expect(traffic.events == [])
        let counted = try traffic.counting { try Tensor([1, 2] as [Float], shape: [2], device: device) }
        #expect(counted.device == device && "\(counted)".contains("simulated:"))
        #expect(traffic.events == [.init(kind: .up, bytes: 8, what: "float32 [2]")])
        #expect(try Tensor.arange(3, device: device).device == device)
        #expect(Device(device.description) == device)
    }

    /// A copy to the device is none of the host's memory, and changing one does not show in the other.
    @Test func crossingCopies() throws {
        let host = try Tensor([1, 2, 3] as [Float], shape: [3])
        var there = try host.to(.simulated(.cuda))
        try there.multiply(by: 2)
        #expect(try host.array() == [1, 2, 3] as [Float])
        #expect(try there.array() == [2, 4, 6] as [Float])
        let strides = try Tensor.zeros([1, 2, 3, 4]).contiguous(.channelsLast)
        #expect(try strides.to(.simulated(.cuda)).strides == strides.strides)
    }

    /// Whatever looks at numbers waits, once for each look.
    @Test func readingIsCounted() throws {
        let x = try Tensor([3, 4] as [Float], shape: [2], device: .simulated(.cuda))
        func check<Result: Equatable>(_ expected: Result, bytes: Int, _ read: () throws -> Result) throws {
            let traffic = DeviceTraffic()
            let result = try traffic.counting(read)
            #expect(result == expected)
            #expect(traffic.events.filter { $0.kind == .down }.map(\.bytes) == [bytes])
        }
        try check([3, 4] as [Float], bytes: 8) { try x.array() }
        try check([3, 4] as [UInt8], bytes: 2) { try x.array() }
        try check([3, 4] as [Double], bytes: 8) { try x.array() }
        try check(4, bytes: 4) { try x.select(0, 1).item() }
        try check(5, bytes: 8) { try x.norm() }
        try check(25, bytes: 8) { try x.dot(x) }
        try check(true, bytes: 1) { try x.isFinite().all() }
        try check(8, bytes: 8) { try x.withUnsafeBytes(\.count) }
        try check([7, 25, 4], bytes: 24) { try Tensor.numbers([x.sum(), x.innerProduct(x), x.maximum()]) }
        #expect(throws: TensorError.self) { try x.dataPointer() }
        let traffic = DeviceTraffic()
        _ = try traffic.counting { try x.reshaped([1, 2]).singularValues() }
        #expect(traffic.events.map(\.kind) == [.operation])
    }

    /// Scopes count what their own task does, on a thread of its own, too.
    @Test func scopesAreApart() async throws {
        let x = try Tensor.ones([4], device: .simulated(.cuda))
        let (outer, inner) = (DeviceTraffic(), DeviceTraffic())
        try await outer.counting {
            _ = try x.sum().item()
            try await inner.counting {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<4 { group.addTask { try await onThread { _ in _ = try x.sum().item() } } }
                    try await group.waitForAll()
                }
            }
        }
        #expect(outer.events.count == 1)
        #expect(inner.events.count == 4)
    }

    /// Numbers without dimensions may be the host's where PyTorch takes them as arguments of a kernel, and nowhere else.
    @Test func numbersOfTheHostAreTaken() throws {
        let device = Device.simulated(.cuda)
        let x = try Tensor.ones([2, 2], device: device)
        let (number, traffic) = (try Tensor.scalar(2), DeviceTraffic())
        let results = try traffic.counting { [try x * number, try number / x, try number - x] }
        #expect(results.map(\.device) == [device, device, device])
        #expect(traffic.events == [])
        #expect(throws: TensorError.self) { try Tensor.stack([number, x.sum()]) }
        // A number of the device's is no number for the host.
        #expect(throws: TensorError.self) { try Tensor.ones([2]) * x.sum() }
        // It is copied first here, which waits.
        try traffic.counting { _ = try x.selected(where: x.isGreater(than: 0), otherwise: .zeros([])) }
        #expect(traffic.events.map(\.kind) == [.up])
    }

    /// Without float64, as Apple's GPUs.
    @Test func metalHasNoFloat64() throws {
        let device = Device.simulated(.mps)
        let x = try Tensor.ones([2, 2], device: device)
        #expect(throws: TensorError.self) { try x.to(.float64) }
        #expect(throws: TensorError.self) { try Tensor([1.0], shape: [1], device: device) }
        #expect(throws: TensorError.self) { try Tensor.zeros([1], dtype: .float64, device: device) }
        #expect(throws: TensorError.self) { try x.sum(along: [0], dtype: .float64) }
        #expect(try x.dot(x) == 4)
        #expect(try (x * 2.5 + 1).array(of: Double.self) == [3.5, 3.5, 3.5, 3.5])
        #expect(try x.array(of: UInt16.self) == [1, 1, 1, 1])
        let integers = try Tensor([1, 1 << 40] as [Int64], shape: [2], device: device)
        #expect(try (integers + integers).array() == [2, 1 << 41] as [Int64])
    }
}
