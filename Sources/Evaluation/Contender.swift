import InverseProblems
import VisionXL

/// A method under evaluation: a restorer with a name, made when its first cell is due.
///
///     Contender(name: "mine", settings: "strength 3") { MyRestorer(strength: 3) }
public struct Contender: Sendable {
    /// What tables, folders and the report call it; unique in a plan.
    public var name: String
    /// Everything its results depend on, in any words: kept with the results, and a cell is computed anew when it has changed.
    public var settings: String
    /// Makes the method ready to run, its networks loaded. Called once; what it throws fails the method's cells, not the evaluation.
    public var make: @Sendable () throws -> any Restorer

    public init(name: String, settings: String, make: @escaping @Sendable () throws -> any Restorer) {
        self.name = name
        self.settings = settings
        self.make = make
    }
}

/// A degradation under the name that tables have for it.
public struct EvaluationTask: Equatable, Sendable {
    public var name: String
    public var problem: Problem

    public init(name: String, problem: Problem) {
        self.name = name
        self.problem = problem
    }

    /// One of the paper's: `sr4`, `deblur`, `inpaint`, `average`, `sr4+`, `deblur+`, `inpaint+`.
    /// - Throws: `ProblemError.unknownTask`.
    public init(preset name: String) throws(ProblemError) {
        self.init(name: name, problem: try Problem(task: name))
    }

    /// The paper's six.
    public static let paper = ["deblur", "sr4", "inpaint", "deblur+", "sr4+", "inpaint+"]

    /// Whether an average over time of `count` frames loses nothing but what rounding takes: a circular average over w frames can be
    /// undone when count and w have no common factor (its discrete Fourier transform has no zero then).
    public func isInvertibleInTime(frames count: Int) -> Bool {
        guard let average = problem.stage(Average.self), average.boundary == .circular else { return false }
        var (a, b) = (count, average.frames)
        while b != 0 { (a, b) = (b, a % b) }
        return a == 1
    }
}
