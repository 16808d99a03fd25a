#!/usr/bin/env bash
# Runs the tests, and says once more at the end which failed: hundreds of lines of other tests lie between. After that,
# which took longest, and how many suites ran that hold our numbers against other programs' (Scripts/test_summary.awk).
# Arguments are for swift test. The whole output stays in .build/test.log.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# As many tests at once as there are processors. Otherwise all begin together, and each takes as long as all of them.
: "${SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH:=$(getconf _NPROCESSORS_ONLN)}"
export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH
serial=0
case " $* " in *" --no-parallel "*) serial=1 ;; esac

mkdir -p .build
rm -f .build/test.jsonl
swift test --explicit-target-dependency-import-check error --event-stream-output-path .build/test.jsonl \
    --event-stream-version 0 "$@" 2>&1 | tee .build/test.log
status="${PIPESTATUS[0]}"
if [ "$status" != 0 ]; then
    printf '\ntest: What failed (the whole of it: .build/test.log):\n' >&2
    grep -E '✘|^↳|error:|[Ff]atal|signal' .build/test.log | cut -c1-600 | tail -n 60 >&2
fi
if [ -s .build/test.jsonl ]; then LC_ALL=C awk -v serial="$serial" -f Scripts/test_summary.awk .build/test.jsonl; fi
exit "$status"
