extension Device {
    /// Numbers of a video that are worked on at once where the rest can wait: on a CPU those that its cache holds with all that is made of
    /// them, elsewhere so many that launches take no longer than the work.
    package var numbersAtOnce: Int { self == .cpu ? 1 << 20 : 1 << 26 }
}
