extension Tensor {
    /// The singular values of a matrix (M, N), the largest first: min(M, N) of them. Waits for the device.
    public func singularValues() throws(TensorError) -> Tensor {
        try Self.dispatch("aten::linalg_svdvals", "", .tensor(self), .none)
    }

    /// U (M, K), s (K), the largest first, and V' (K, N) with A = U diag(s) V' for a matrix A (M, N), K = min(M, N). Waits for the device.
    public func singularValueDecomposition() throws(TensorError) -> (left: Tensor, values: Tensor, right: Tensor) {
        let parts = try Self.dispatchTriple("aten::linalg_svd", "", .tensor(self), .bool(false), .none)
        return (parts.0, parts.1, parts.2)
    }

    /// The triangular factor R of A = Q R for a matrix A (M, N): (min(M, N), N), with R' R = A' A. Waits for the device.
    public func triangularFactor() throws(TensorError) -> Tensor {
        // With the mode r, Q is an empty tensor.
        try Self.dispatchPair("aten::linalg_qr", "", .tensor(self), .string("r")).1
    }
}
