# Reads what `swift test --event-stream-output-path` wrote, a JSON record a line. Says which ten tests took longest, and
# how many suites ran that hold our numbers against other programs': those whose names begin with Golden.

# What stands between `mark` and the next quotation mark.
function after(mark,    at, rest) {
    at = index($0, mark)
    if (!at) return ""
    rest = substr($0, at + length(mark))
    gsub(/\\\//, "/", rest)
    return substr(rest, 1, index(rest, "\"") - 1)
}

# Seconds since some moment.
function instant(    at) {
    at = index($0, "\"absolute\":")
    return substr($0, at + 11) + 0
}

!/"testID":"/ { next }

# Target.Suite/test/File.swift:line:column
{
    test = after("\"testID\":\"")
    suite = test
    sub(/\/.*/, "", suite)
    sub(/\/[^\/]*$/, "", test)
    if (suite ~ /\.Golden/) golden[suite]
}

# A test's record begins before its turn has come, those of its cases when they run. Swift 6.3 leaves out the one case
# of a test without arguments, so that such a test's time is known only where one test follows the other.
/"kind":"testCaseStarted"/ { seconds[test] -= instant(); cases[test]; ran[suite] }
/"kind":"testCaseEnded"/ { seconds[test] += instant() }
/"kind":"testStarted"/ && test ~ /\// { whole[test] -= instant(); ran[suite] }
/"kind":"testEnded"/ && test ~ /\// { whole[test] += instant() }
/"kind":"testSkipped"/ { reason[suite] = after("\"_comments\":[\"") }

END {
    if (serial) for (test in whole) if (!(test in cases)) seconds[test] = whole[test]
    others = serial ? "" : ", of those with arguments (ARGS=--no-parallel times every one)"
    print "\ntest: The slowest, in seconds" others ":"
    fflush()
    for (test in seconds) if (seconds[test] >= 0.05) printf "%8.1f  %s\n", seconds[test], test | "sort -rn | head -n 10"
    close("sort -rn | head -n 10")
    print ""
    for (suite in golden) {
        suites++
        if (suite in ran) running++
        else print "fidelity: " suite " did not run: " reason[suite]
    }
    printf "fidelity: %d of %d suites ran\n", running, suites
}
