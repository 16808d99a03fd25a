# Reads what `swift test --event-stream-output-path` wrote, a JSON record a line. Says which ten tests took longest, and how many
# suites ran that hold our numbers against other programs': those whose names begin with Golden.

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

# A test begins and ends with all the others that wait for a processor; its cases begin when they run.
/"kind":"testCaseStarted"/ { seconds[test] -= instant(); ran[suite] }
/"kind":"testCaseEnded"/ { seconds[test] += instant() }
/"kind":"testSkipped"/ { reason[suite] = after("\"_comments\":[\"") }

END {
    print "\ntest: The slowest, in seconds, all cases of a test together:"
    fflush()
    for (test in seconds) printf "%8.1f  %s\n", seconds[test], test | "sort -rn | head -n 10"
    close("sort -rn | head -n 10")
    print ""
    for (suite in golden) {
        suites++
        if (suite in ran) running++
        else print "fidelity: " suite " did not run: " reason[suite]
    }
    printf "fidelity: %d of %d suites ran\n", running, suites
}
