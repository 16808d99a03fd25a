#!/usr/bin/env bash
# What the compiler lets pass: the form of the code, imports of targets that Package.swift does not name, and the examples.
# All of it is looked at, then it fails if something was wrong. What is built here is not built again by the tests.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

problems=0
problem() {
    printf 'check: %s\n' "$*" >&2
    problems=$((problems + 1))
}
log="$(mktemp)"
trap 'rm -f "$log"' EXIT

# Hidden folders are left out.
if ! swift format lint --strict --parallel --recursive . >"$log" 2>&1; then
    head -n 20 "$log" >&2
    problem "$(grep -c 'error:' "$log") places are not in the form that .swift-format describes; run \`make format\`, then mend by hand what is still named."
fi

# SwiftPM says it first and builds on.
if ! swift build --build-tests --explicit-target-dependency-import-check error 2>&1 | tee "$log"; then
    grep 'error:' "$log" | sort -u | head -n 20 >&2
    problem "The package does not build, or a target imports what it does not depend on; add that to the target in Package.swift, or leave the import out."
elif [ -f Examples/Package.swift ]; then
    # In the same folder, for what the examples import is built there already.
    if ! swift build --package-path Examples --scratch-path .build; then
        problem "The examples do not build; change them with what they show: \`swift build --package-path Examples --scratch-path .build\`."
    fi
fi

if [ "$problems" -gt 0 ]; then exit 1; fi
printf 'check: Nothing to mend.\n'
