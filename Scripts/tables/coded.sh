#!/usr/bin/env bash
# Frames that were shrunk and coded, enlarged: see enlargement.sh, which makes it.
set -euo pipefail
KIND=coded exec "$(dirname "${BASH_SOURCE[0]}")/enlargement.sh"
