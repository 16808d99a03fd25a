#!/usr/bin/env bash
# Makes tables of the documents again: Benchmarks/tables/NAME.md, and beside it NAME.json with every number, the machine, the date, the
# revision and the command. ONLY=NAME makes one of those that Scripts/tables holds, a script each. They take an evening of a quiet machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for script in Scripts/tables/*.sh; do
    name="$(basename "$script" .sh)"
    if [ -n "${ONLY:-}" ] && [ "$ONLY" != "$name" ]; then continue; fi
    found=yes
    echo "tables: $name" >&2
    "$script"
done
if [ -z "${found:-}" ]; then
    echo "tables: there is no table $ONLY; these are: $(cd Scripts/tables && ls ./*.sh | sed 's|^\./||; s|\.sh$||' | tr '\n' ' ')" >&2
    exit 1
fi
