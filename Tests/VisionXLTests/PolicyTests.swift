import Diffusion
import Foundation
import InverseProblems
import TensorKit
import Testing

@testable import VisionXL

/// Defaults and their reasons.
@Suite struct PolicyTests {
    // MARK: What is chosen

    static let paperLambda = 2.0.squareRoot()

    /// Whether the prior's noise is known to be light, beside a data step that bears new noise.
    @Sendable static func isLight(_ c: Conditions) -> Bool { c.step != .conjugateGradients && c.gain == .light }
    /// Whether what small frames do not tell must be kept.
    @Sendable static func isSmallAndExact(_ c: Conditions) -> Bool {
        c.shrinks && [.none, .ofSixteenBits, .ofEightBits, .small].contains(c.noise)
    }

    /// Whether an autoencoder's mistakes come back, unless the filter takes them.
    @Sendable static func losesDetail(_ c: Conditions) -> Bool { c.step != .conjugateGradients && c.gain == nil }

    static let eta: [Expected<Double>] = [
        Expected(0.2) { $0.step == .conjugateGradients },
        Expected(0.2) { $0.step != .conjugateGradients && $0.gain == nil },
        Expected(0.2) { $0.step != .conjugateGradients && $0.gain == .heavy },
        Expected(1) { isLight($0) && !$0.shrinks },
        Expected(1) { isLight($0) && $0.shrinks && [.hundredth, .large].contains($0.noise) },
        Expected(0.2) { isLight($0) && isSmallAndExact($0) },
    ]

    static let lambda: [Expected<Double>] =
        [
            Expected(0.7) { isLight($0) && !isSmallAndExact($0) },
            Expected(paperLambda) { $0.mixesPixels && (!isLight($0) || isSmallAndExact($0)) },
            Expected(paperLambda) { !$0.mixesPixels && losesDetail($0) },
        ]
        + [
            (Conditions.Noise.none, 1), (.ofSixteenBits, 1.000_000_388), (.ofEightBits, 1.025_310_8),
            (.small, 1.36.squareRoot()),
            (.hundredth, paperLambda), (.large, paperLambda),
        ].map { noise, lambda in
            Expected(lambda) {
                $0.noise == noise && !$0.mixesPixels && !losesDetail($0) && (!isLight($0) || isSmallAndExact($0))
            }
        }

    static let roundedBits: [Expected<Int?>] = [
        Expected(nil) { $0.step == .conjugateGradients },
        Expected(nil) { $0.step != .conjugateGradients && $0.keepsPixelsInBlocks },
        Expected(8) {
            $0.step != .conjugateGradients && !$0.keepsPixelsInBlocks && $0.noise == .ofEightBits && $0.bits == 8
        },
        Expected(16) {
            $0.step != .conjugateGradients && !$0.keepsPixelsInBlocks && $0.noise == .ofSixteenBits && $0.bits == 16
        },
        Expected(nil) {
            $0.step != .conjugateGradients && !$0.keepsPixelsInBlocks
                && !($0.noise == .ofEightBits && $0.bits == 8 || $0.noise == .ofSixteenBits && $0.bits == 16)
        },
    ]

    static let steadiesResult: [Expected<Bool>] = [
        Expected(true) { $0.mixesPixels }, Expected(false) { !$0.mixesPixels },
    ]

    @Test func everyConditionHasItsNumbers() throws {
        #expect(Conditions.all.count == 3 * 3 * 8 * 6 * 3)
        func value<Value>(_ table: [Expected<Value>], _ conditions: Conditions) throws -> Value {
            let rows = table.filter { $0.holds(conditions) }
            try #require(rows.count == 1, "\(conditions)")
            return rows[0].value
        }
        for conditions in Conditions.all {
            let settings = try Policy.settle(conditions.asked, NotedFacts(conditions))
            #expect(try settings.eta == value(Self.eta, conditions), "\(conditions)")
            #expect(try abs(settings.lambda - value(Self.lambda, conditions)) < 1e-6, "\(conditions)")
            #expect(try settings.steadiesResult == value(Self.steadiesResult, conditions), "\(conditions)")
            let bits = try value(Self.roundedBits, conditions)
            #expect(settings.finalSteps.count == 1)
            if conditions.step == .conjugateGradients {
                for step in [settings.dataStep] + settings.finalSteps {
                    #expect((step as? ConjugateGradientStep)?.iterations == 10, "\(conditions)")
                }
            } else {
                #expect(try #require(settings.dataStep as? ProximalStep).roundedBits == bits, "\(conditions)")
                // The bands are gone by then.
                #expect(try #require(settings.finalSteps[0] as? ProximalStep).roundedBits == nil, "\(conditions)")
            }
            // For logs: what was settled, by its options' names.
            #expect(settings.options.eta == settings.eta && settings.options.lowPass == settings.lambda)
            #expect(settings.options.dataStep == conditions.step ?? .proximal)
        }
    }

    /// What depends on nothing.
    @Test func theOtherDefaultsAreAlwaysTheSame() throws {
        for conditions in Conditions.all {
            let settings = try Policy.settle(conditions.asked, NotedFacts(conditions))
            #expect(settings.timesteps == [281, 241, 201, 161, 121, 81, 41, 1])
            #expect(settings.lowPassTaps == .enough && settings.renoising == .shared && settings.seed == 0)
            #expect(
                settings.steadying == Steadying(strength: 1) && !settings.samplesEncoder
                    && settings.exactCodecSteps == 8 && settings.codecResidual == (conditions.gain == nil ? 0.75 : 0))
            #expect(
                settings.start == .sharedInversion && settings.firstEstimate == .smooth
                    && settings.upsampling == .bicubic)
            if let step = settings.dataStep as? ProximalStep { #expect(step.error == 0.4...2) }
        }
    }

    /// Where a network can enlarge, the estimate is its, and a small prior adds nothing to it; what is said about the schedule holds, and the
    /// filter keeps the estimate then.
    @Test func aNetworkThatEnlarges() throws {
        for conditions in Conditions.all where conditions.shrinks && conditions.bits == nil {
            let facts = NotedFacts(conditions, enlarges: true)
            let settings = try Policy.settle(conditions.asked, facts)
            #expect(settings.firstEstimate == .learned && settings.options.firstEstimate == .learned)
            let isShort = conditions.gain != nil
            #expect(settings.start == (isShort ? .everyFrameInversion : .sharedInversion) && settings.lambda == 0.5)
            #expect(settings.options.timesteps == (isShort ? [1] : nil) && (settings.options.steps == nil) == isShort)
            // What is followed, asked for, is followed again.
            #expect(try Policy.settle(settings.options, facts).timesteps == settings.timesteps)
            #expect(settings.timesteps == (isShort ? [1] : [281, 241, 201, 161, 121, 81, 41, 1]), "\(conditions)")
            for say in [{ $0.steps = 25 }, { $0.tau = 0.3 }] as [(inout RestorationOptions) -> Void] {
                var asked = conditions.asked
                say(&asked)
                #expect(try Policy.settle(asked, facts).timesteps.count == 8)
            }
            // A quicker speed is not slower than the default.
            for (speed, count) in [(Speed.best, 8), (.fast, 3)] {
                var asked = conditions.asked
                asked.speed = speed
                #expect(try Policy.settle(asked, facts).timesteps.count == (isShort ? 1 : count))
            }
            // What undoing an average makes of noise is more than one timestep takes away.
            let isClear = [.none, .ofSixteenBits, .ofEightBits].contains(conditions.noise)
            let averaged = NotedFacts(conditions, enlarges: true, averages: true)
            #expect(
                try Policy.settle(conditions.asked, averaged).timesteps.count == (isShort && isClear ? 1 : 8),
                "\(conditions)")
            for estimate in [FirstEstimate.smooth, .measurement] {
                var asked = conditions.asked
                asked.firstEstimate = estimate
                let settings = try Policy.settle(asked, facts)
                #expect(settings.firstEstimate == estimate && settings.timesteps.count == 8)
            }
            // Said, and not possible.
            var asked = conditions.asked
            asked.firstEstimate = .learned
            #expect(try Policy.settle(asked, NotedFacts(conditions)).timesteps.count == 8)
            #expect(try Policy.settle(.paper, facts).firstEstimate == .measurement)
            #expect(try Policy.settle(.paper, facts).timesteps.count == 8)
        }
    }

    /// The paper's listing, whatever is known.
    @Test func thePaperIsThePaper() throws {
        for conditions in Conditions.all where conditions.step == nil {
            let settings = try Policy.settle(.paper, NotedFacts(conditions))
            let step = try #require(settings.dataStep as? ConjugateGradientStep)
            #expect(step.iterations == 10 && !step.solvesFramesAlone)
            #expect(settings.finalSteps.isEmpty && settings.steadying == Steadying(strength: 0))
            #expect(settings.eta == 0.2 && settings.lambda == 2.0.squareRoot())
            #expect(settings.timesteps == [281, 241, 201, 161, 121, 81, 41, 1])
            #expect(settings.start == .firstFrameInversion && settings.firstEstimate == .measurement)
            #expect(settings.upsampling == .nearest && settings.renoising == .shared && settings.lowPassTaps == .enough)
            #expect(!settings.samplesEncoder)
        }
    }

    // MARK: What is asked for

    @Test func aFactIsAskedForOnlyWhereARuleNeedsIt() throws {
        for conditions in Conditions.all {
            let facts = NotedFacts(conditions)
            _ = try Policy.settle(conditions.asked, facts)
            let isProximal = conditions.step != .conjugateGradients
            let blurs = isProximal && !conditions.keepsPixelsInBlocks
            let isLight = Self.isLight(conditions)
            // The gain says whether the codec is linear, too.
            #expect(facts.asked.isSuperset(of: [.schedule, .mixesPixels, .decoderGain]))
            #expect(facts.asked.contains(.keepsPixelsInBlocks) == isProximal, "\(conditions)")
            #expect(facts.asked.contains(.shrinks) == isLight, "\(conditions)")
            // A pass over the measurement: not where the noise alone says that there are no bands.
            let isOfRounding = [.ofEightBits, .ofSixteenBits].contains(conditions.noise)
            #expect(facts.asked.contains(.roundedBits) == (blurs && isOfRounding), "\(conditions)")
            let forLambda =
                !conditions.mixesPixels && !Self.losesDetail(conditions)
                && (!isLight || Self.isSmallAndExact(conditions))
            #expect(
                facts.asked.contains(.noise) == (blurs || isLight && conditions.shrinks || forLambda), "\(conditions)")
        }
        // What was said need not be found out.
        var asked = RestorationOptions()
        (asked.eta, asked.lowPass, asked.codecResidual) = (0.5, 1, 0.5)
        for conditions in Conditions.all where conditions.step == nil {
            let facts = NotedFacts(conditions)
            _ = try Policy.settle(asked, facts)
            #expect(facts.asked.isDisjoint(with: [.decoderGain, .shrinks]), "\(conditions)")
            let paper = NotedFacts(
                conditions, pending: Set(NotedFacts.Name.allCases).subtracting([.schedule, .mixesPixels]))
            _ = try Policy.settle(.paper, paper)
            #expect(paper.asked == [.schedule, .mixesPixels], "\(conditions)")
        }
    }

    /// Before the first frame the noise is unknown: what depends on it waits and says so, the rest has its value.
    @Test func rowsThatNeedWhatIsNotKnownArePending() throws {
        for conditions in Conditions.all {
            let known = try Policy.table(conditions.asked, NotedFacts(conditions))
            let rows = try Policy.table(conditions.asked, NotedFacts(conditions, pending: [.noise]))
            #expect(rows.map(\.name) == known.map(\.name))
            var expected: Set<String> = []
            if conditions.step != .conjugateGradients, !conditions.keepsPixelsInBlocks {
                expected.insert("rounding's bands")
            }
            if Self.isLight(conditions), conditions.shrinks {
                expected.formUnion(["eta", "lambda"])
            } else if !Self.isLight(conditions), !conditions.mixesPixels, !Self.losesDetail(conditions) {
                expected.insert("lambda")
            }
            #expect(Set(rows.filter { $0.value == nil }.map(\.name)) == expected, "\(conditions)")
            for (row, settled) in zip(rows, known) {
                #expect(settled.value != nil, "\(conditions)")
                #expect(row.value == nil || row == settled, "\(conditions)")
                if row.value == nil { #expect(row.reason.contains("the noise") && row.option == settled.option) }
            }
            // All or nothing.
            let facts = NotedFacts(conditions, pending: [.noise])
            if expected.isEmpty {
                #expect(try Policy.settle(conditions.asked, facts).choices == rows)
            } else {
                let error = #expect(throws: PendingFact.self) { try Policy.settle(conditions.asked, facts) }
                #expect(error?.fact == "the noise" && error?.description == "the noise is known after the first frame")
            }
        }
    }

    // MARK: What is said

    @Test func everyRowHasAReasonThatIsASentence() throws {
        var reasons: Set<String> = []
        for conditions in Conditions.all {
            for pending in [[], [.noise], [.noise, .schedule, .decoderGain]] as [Set<NotedFacts.Name>] {
                let enlarges = conditions.shrinks && conditions.bits == nil
                let rows = try Policy.table(
                    conditions.asked, NotedFacts(conditions, pending: pending, enlarges: enlarges))
                #expect(Set(rows.map(\.name)).count == rows.count)
                for row in rows {
                    #expect(isSentence(row.reason), "\(row)")
                    #expect(row.value != "", "\(row)")
                    #expect(
                        row.option.isEmpty || row.option.split(separator: ", ").allSatisfy { $0.hasPrefix("--") },
                        "\(row)")
                    reasons.insert(row.reason)
                }
            }
        }
        for reason in reasons { #expect(reason.split(separator: " ").count <= 20, "\(reason)") }
        #expect(reasons.count > 20)
    }

    /// An option, the row that it stands in, and whether what was asked is what was settled.
    struct Saying: Sendable, CustomTestStringConvertible {
        let row: String
        var value: String
        let say: @Sendable (inout RestorationOptions) -> Void
        let isKept: @Sendable (Settings) -> Bool
        var testDescription: String { "\(row) \(value)" }

        init(
            _ row: String, _ value: String, _ say: @escaping @Sendable (inout RestorationOptions) -> Void,
            _ isKept: @escaping @Sendable (Settings) -> Bool
        ) {
            (self.row, self.value, self.say, self.isKept) = (row, value, say, isKept)
        }
    }

    static let sayings: [Saying] = [
        Saying("timesteps", "281 121 1", { $0.timesteps = [281, 121, 1] }, { $0.timesteps == [281, 121, 1] }),
        Saying("data step", "cg", { $0.dataStep = .conjugateGradients }, { $0.dataStep is ConjugateGradientStep }),
        Saying("data step", "proximal", { $0.dataStep = .proximal }, { $0.dataStep is ProximalStep }),
        Saying("c", "0.5:0.5", { $0.priorError = 0.5...0.5 }, { ($0.dataStep as? ProximalStep)?.error == 0.5...0.5 }),
        Saying(
            "l", "3", { ($0.dataStep, $0.conjugateGradientSteps) = (.conjugateGradients, 3) },
            { ($0.dataStep as? ConjugateGradientStep)?.iterations == 3 }),
        Saying(
            "frames alone", "yes", { ($0.dataStep, $0.solvesFramesAlone) = (.conjugateGradients, true) },
            { ($0.dataStep as? ConjugateGradientStep)?.solvesFramesAlone == true }),
        Saying("final data step", "none", { $0.finalConsistencySteps = 0 }, { $0.finalSteps.isEmpty }),
        Saying(
            "final data step", "4 steps", { ($0.dataStep, $0.finalConsistencySteps) = (.conjugateGradients, 4) },
            { ($0.finalSteps.first as? ConjugateGradientStep)?.iterations == 4 }),
        Saying("eta", "0.5", { $0.eta = 0.5 }, { $0.eta == 0.5 }),
        Saying("eta", "1", { $0.eta = 1 }, { $0.eta == 1 }),
        Saying("lambda", "0", { $0.lowPass = 0 }, { $0.lambda == 0 }),
        Saying("taps", "15", { $0.lowPassTaps = 15 }, { $0.lowPassTaps == .exactly(15) }),
        Saying("steadiness", "0.25", { $0.steadiness = 0.25 }, { $0.steadying == Steadying(strength: 0.25) }),
        Saying("start", "noise", { $0.start = .sharedNoise }, { $0.start == .sharedNoise }),
        Saying(
            "first estimate", "measurement", { $0.firstEstimate = .measurement }, { $0.firstEstimate == .measurement }),
        Saying("enlargement", "nearest", { $0.upsampling = .nearest }, { $0.upsampling == .nearest }),
        Saying("renoising", "independent", { $0.renoising = .independent }, { $0.renoising == .independent }),
        Saying("encoder", "sampled", { $0.samplesEncoder = true }, { $0.samplesEncoder }),
        Saying("full autoencoder", "last 3 timesteps", { $0.exactCodecSteps = 3 }, { $0.exactCodecSteps == 3 }),
        Saying("autoencoder's residual", "0.5", { $0.codecResidual = 0.5 }, { $0.codecResidual == 0.5 }),
        Saying("autoencoder's residual", "0", { $0.codecResidual = 0 }, { $0.codecResidual == 0 }),
        Saying("seed", "7", { $0.seed = 7 }, { $0.seed == 7 }),
    ]

    @Test(arguments: sayings) func whatWasAskedIsNeverChanged(saying: Saying) throws {
        for conditions in Conditions.all where conditions.step == nil {
            var asked = RestorationOptions()
            saying.say(&asked)
            let settings = try Policy.settle(asked, NotedFacts(conditions))
            let row = try #require(settings.choices.first { $0.name == saying.row })
            #expect(row.value == saying.value && row.reason == "As said.", "\(conditions)")
            #expect(saying.isKept(settings), "\(conditions)")
            // Asked once more for what was settled, nothing changes.
            let again = try Policy.settle(settings.options, NotedFacts(conditions))
            #expect(again.options == settings.options)
            saying.say(&asked)
            var said = settings.options
            saying.say(&said)
            #expect(said == settings.options, "\(conditions)")
        }
    }

    /// The two that stand in one row with what follows from them.
    @Test func theTimestepsAreThoseThatWereAskedFor() throws {
        let facts = NotedFacts(Conditions.all[0])
        var asked = RestorationOptions()
        (asked.steps, asked.tau) = (10, 0.5)
        let settings = try Policy.settle(asked, facts)
        #expect(settings.timesteps == [401, 301, 201, 101, 1])
        #expect(settings.options.steps == 10 && settings.options.tau == 0.5)
        let row = try #require(settings.choices.first { $0.name == "timesteps" })
        #expect(row.value == "401 301 201 101 1" && row.reason.contains("10 steps") && row.reason.contains("0.5"))
        // More full passes than there are timesteps are all of them.
        asked.exactCodecSteps = 100
        #expect(try Policy.settle(asked, facts).exactCodecSteps == 5)
    }

    @Test(arguments: [(Speed.best, 8), (.balanced, 4), (.fast, 3)]) func aSpeedIsANumberOfTimesteps(
        speed: Speed, count: Int
    ) throws {
        let facts = NotedFacts(Conditions.all[0])
        var asked = RestorationOptions()
        asked.speed = speed
        #expect(try Policy.settle(asked, facts).timesteps.count == count)
        // What is said in numbers wins.
        asked.steps = 50
        #expect(try Policy.settle(asked, facts).timesteps.count == 15)
    }

    @Test(arguments: [[], [0], [1001], [1, 281], [281, 281, 1], [281, -1]]) func timestepsThatAreNone(timesteps: [Int])
    {
        var asked = RestorationOptions()
        asked.timesteps = timesteps
        #expect(throws: RestorationError.self) { try asked.validate() }
    }

    @Test func twoWaysOfSayingTimestepsAreRefused() {
        for say in [{ $0.steps = 25 }, { $0.tau = 0.3 }, { $0.speed = .fast }] as [(inout RestorationOptions) -> Void] {
            var asked = RestorationOptions()
            asked.timesteps = [281, 1]
            say(&asked)
            #expect(throws: RestorationError.self) { try asked.validate() }
        }
    }

    @Test func numbersOutOfRangeAreRefusedByBoth() {
        var asked = RestorationOptions()
        asked.eta = 2
        let facts = NotedFacts(Conditions.all[0])
        #expect(throws: RestorationError.self) { try Policy.settle(asked, facts) }
        #expect(throws: RestorationError.self) { try Policy.table(asked, facts) }
    }

    @Test func optionsSurviveAFile() throws {
        for options in [RestorationOptions(), .paper] {
            try options.validate()
            #expect(try JSONDecoder().decode(RestorationOptions.self, from: JSONEncoder().encode(options)) == options)
        }
    }

    // MARK: Of real measurements

    /// The paper's low-pass filter, but less of it where pixels are measured one by one and exactly.
    @Test func lambdaFollowsTheMeasurement() throws {
        let (Y, mask) = (try video(2, 16, 24), try Mask.random(ratio: 0.5, seed: 1, height: 16, width: 24))
        func lambda(
            _ A: any LinearOperator, noise: Double = 0, gain: Double? = 10,
            _ options: RestorationOptions = RestorationOptions()
        ) throws -> Double {
            try Solver(prior: BlurPrior(decoderGain: gain), options: options)
                .settle(measured(A.apply(Y), A, noise: noise)).lambda
        }
        for A in try [
            mask, Identity(), TemporalAverage(window: 3), TemporalAverage(window: 3).then(mask), Greyscale(.bt709),
        ] as [any LinearOperator] {
            #expect(try lambda(A) == 1)
            #expect(try lambda(A, noise: 0.005) == 1.25.squareRoot())
            #expect(try lambda(A, noise: 0.05) == 2.0.squareRoot())
            #expect(try lambda(A, .paper) == 2.0.squareRoot())
            // An autoencoder that loses detail.
            #expect(try lambda(A, gain: nil) == 2.0.squareRoot())
        }
        for A in [try GaussianBlur(size: 5, sigma: 1), try AveragePooling(factor: 2).then(Identity())]
            as [any LinearOperator]
        {
            #expect(try lambda(A) == 2.0.squareRoot())
        }
    }

    /// All noise is new where the prior says that its noise is light; the paper's numbers elsewhere, with the paper's
    /// data step, and where asked for.
    @Test func etaFollowsThePrior() throws {
        let Y = try video(2, 16, 24)
        let (mask, blur) = (
            try Mask.random(ratio: 0.5, seed: 1, height: 16, width: 24), try GaussianBlur(size: 5, sigma: 1)
        )
        let pooling = try AveragePooling(factor: 2)
        func settled(
            _ A: any LinearOperator, gain: Double?, noise: Double = 0,
            _ change: (inout RestorationOptions) -> Void = { _ in }
        ) throws -> Settings {
            var solver = Solver(prior: BlurPrior(decoderGain: gain))
            change(&solver.options)
            return try solver.settle(measured(A.apply(Y), A, noise: noise))
        }
        func chosen(
            _ A: any LinearOperator, gain: Double?, noise: Double = 0,
            _ change: (inout RestorationOptions) -> Void = { _ in }
        ) throws -> [Double] {
            let settings = try settled(A, gain: gain, noise: noise, change)
            return [settings.eta, settings.lambda]
        }
        let paper = [0.2, 2.0.squareRoot()]
        for A in [mask, blur] as [any LinearOperator] {
            #expect(try chosen(A, gain: 0.1) == [1, 0.7])
            #expect(try chosen(A, gain: 0.1, noise: 0.05) == [1, 0.7])
            #expect(try chosen(A, gain: 0.1) { $0.dataStep = .conjugateGradients }[0] == 0.2)
            #expect(try chosen(A, gain: 0.1) { $0 = .paper } == paper)
            // One of the two by hand.
            #expect(try chosen(A, gain: 0.1) { $0.eta = 0.5 }[0] == 0.5)
            #expect(try chosen(A, gain: 0.1) { $0.lowPass = 0 } == [1, 0])
        }
        for gain in [nil, 1] as [Double?] { #expect(try chosen(blur, gain: gain, noise: 0.05) == paper) }
        #expect(try chosen(pooling, gain: 0.1) == paper)
        #expect(try chosen(pooling, gain: 0.1) { $0.firstEstimate = .smooth } == paper)
        #expect(try chosen(pooling, gain: 1) == paper)
        #expect(try chosen(pooling, gain: 0.1, noise: 0.05) == [1, 0.7])
        for (A, gain, noise) in [(pooling, 0.1, 0), (pooling, 0.1, 0.05), (pooling, 1, 0), (blur, 0.1, 0)]
            as [(any LinearOperator, Double?, Double)]
        {
            #expect(try settled(A, gain: gain, noise: noise).firstEstimate == .smooth)
        }
        for asked in FirstEstimate.allCases {
            #expect(try settled(pooling, gain: nil, noise: 0.05) { $0.firstEstimate = asked }.firstEstimate == asked)
        }
    }

    /// What the operator's form says, and the bits that the frames show.
    @Test func aMeasurementsFacts() throws {
        let truth = try video(4, 16, 24)
        let mask = try Mask.random(ratio: 0.5, seed: 1, height: 16, width: 24)
        let (blur, pooling) = (try GaussianBlur(size: 5, sigma: 1), try AveragePooling(factor: 2))
        func facts(_ A: any LinearOperator, _ Y: Tensor) throws -> MeasurementFacts {
            try MeasurementFacts(measured(Y, A, noise: 0.01), BlurPrior(decoderGain: 0.3))
        }
        for (A, mixesPixels, keepsPixelsInBlocks, shrinks) in [
            (Identity(), false, true, false), (mask, false, true, false), (Greyscale(.bt601), false, true, false),
            (try TemporalAverage(window: 3, boundary: .valid), false, true, false), (blur, true, false, false),
            (pooling, true, true, true), (blur.then(pooling), true, false, true),
            // What cannot be taken apart is taken for a mixture.
            (mask.then(blur), true, false, false),
        ] as [(any LinearOperator, Bool, Bool, Bool)] {
            let facts = try facts(A, A.apply(truth))
            #expect(facts.mixesPixels() == mixesPixels, "\(A)")
            #expect(facts.keepsPixelsInBlocks() == keepsPixelsInBlocks, "\(A)")
            #expect(facts.shrinks() == shrinks, "\(A)")
            #expect(facts.noise() == 0.01 && facts.decoderGain() == 0.3 && facts.schedule() == DDIMSchedule())
            #expect(try facts.roundedBits() == nil, "\(A)")
        }
        for bits in [8, 10, 16] {
            for A in [Identity(), mask] as [any LinearOperator] {
                #expect(try facts(A, A.apply(truth).rounded(toBits: bits)).roundedBits() == bits)
            }
        }
    }
}
