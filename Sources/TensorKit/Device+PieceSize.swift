extension Device {
    /// Numbers of a tensor that are worked on at once where it is worked on in pieces: on a CPU those that its cache holds with all that is made
    /// of them, elsewhere so many that launches take no longer than the work.
    package var pieceSize: Int { self == .cpu ? 1 << 20 : 1 << 24 }
}
