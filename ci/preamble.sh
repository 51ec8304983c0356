# Sourced first by every script here: strict mode, the repository's root, the cache, and progress messages.
set -euo pipefail
REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${KAPTURE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kapture}
mkdir -p "$CACHE"

# say TEXT: prints a line of progress on stderr, with the time since the script started.
say() { printf '%4ds  %s\n' "$SECONDS" "$*" >&2; }

# die TEXT: prints the error on stderr and exits with failure.
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# need COMMAND HINT: dies with the hint when the command is missing.
need() { command -v "$1" >/dev/null || die "$1 is missing: $2"; }

# hash_of FILE...: prints a short key for the cache, from the files' content.
hash_of() { cat "$@" | sha256sum | cut -c1-12; }

# debian_packages PACKAGE...: installs the missing ones.
debian_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "these Debian packages are missing, and only root can install them: ${missing[*]}"
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null \
    || die "installing ${missing[*]} failed; run apt-get yourself to see why"
}
