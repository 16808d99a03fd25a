extension Int {
    /// With zeros in front, at least so many digits: names that are sorted by their letters are sorted by their numbers.
    package func padded(to digits: Int) -> String {
        let text = "\(self)"
        return String(repeating: "0", count: Swift.max(0, digits - text.count)) + text
    }
}
