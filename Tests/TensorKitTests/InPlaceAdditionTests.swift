import TensorKit
import Testing

@Suite struct InPlaceAdditionTests {
    @Test(arguments: [DType.float32, .float64]) func aBoxIsAddedToAndNothingElse(dtype: DType) throws {
        var x = try Tensor.zeros([2, 3, 4], dtype: dtype)
        try x.add(.ones([1, 2, 2], dtype: dtype), times: 0.5, at: [1, 1, 2])
        var expected = [Double](repeating: 0, count: 24)
        for i in [1, 2] { for j in [2, 3] { expected[12 + 4 * i + j] = 0.5 } }
        #expect(try x.array(of: Double.self) == expected)
        try x.add(.ones([2, 3, 4], dtype: dtype), times: -2)
        #expect(try x.array(of: Double.self) == expected.map { $0 - 2 })
    }

    @Test func whoSharesTheMemoryDoesNotSeeIt() throws {
        var x = try Tensor.zeros([2, 2])
        let copy = x
        let row = try x.rows(0..<1)
        try x.add(.ones([2, 2]))
        #expect(try x.array(of: Float.self) == [1, 1, 1, 1])
        #expect(try copy.array(of: Float.self) == [0, 0, 0, 0])
        #expect(try row.array(of: Float.self) == [0, 0])
    }

    @Test(arguments: [[1, 0], [-1, 0], [0, 2], [0]]) func boxesOutsideAreRefused(start: [Int]) throws {
        var x = try Tensor.zeros([2, 3])
        #expect(throws: TensorError.self) { try x.add(.ones([2, 2]), at: start) }
        #expect(throws: TensorError.self) { try x.add(.ones([2, 2], dtype: .float64)) }
        #expect(throws: TensorError.self) { try x.add(.ones([4])) }
        #expect(try x.absolute().maximum().item() == 0)
    }
}
