extension Tensor {
    /// The singular values of a matrix (M, N), the largest first: min(M, N) of them. Waits for the device.
    public func singularValues() throws(TensorError) -> Tensor {
        try Self.dispatch("aten::linalg_svdvals", "", .tensor(self), .none)
    }

    /// The triangular factor R of A = Q R for a matrix A (M, N): (min(M, N), N), with R' R = A' A. Waits for the device.
    public func triangularFactor() throws(TensorError) -> Tensor {
        // With the mode r, Q is an empty tensor.
        try Self.dispatchPair("aten::linalg_qr", "", .tensor(self), .string("r")).1
    }
}
