# Messages, and the one function through which all changes are made.

changed=0

say() { printf '%s\n' "$*"; }
warn() { printf 'warning  %s\n         %s\n' "$1" "$2" >&2; }
fail() {
  printf 'failed   %s\n         %s\n' "$1" "$2" >&2
  exit 1
}

# act WHAT COMMAND…: runs COMMAND, or in a dry run reports that it would.
act() {
  what=$1
  shift
  changed=$((changed + 1))
  if [ -n "$dry_run" ]; then
    say "would    $what"
    return 0
  fi
  say "doing    $what"
  "$@"
}

has() { command -v "$1" >/dev/null 2>&1; }
