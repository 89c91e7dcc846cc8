# Words to the person, and the one way in which anything is changed.

changed=0

say() { printf '%s\n' "$*"; }
warn() { printf 'warning  %s\n         %s\n' "$1" "$2" >&2; }
fail() {
  printf 'failed   %s\n         %s\n' "$1" "$2" >&2
  exit 1
}

# act WHAT COMMAND…: changes something, or in a dry run says that it would.
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

# new_settings PATH: writes standard input there, for root alone. A file that is there is its owner's, and stays.
new_settings() {
  text=$(cat)
  [ -f "$1" ] || act "write $1" write_private "$1" "$text"
}

write_private() {
  (umask 077 && printf '%s\n' "$2" >"$1.new")
  mv -f "$1.new" "$1"
}

has() { command -v "$1" >/dev/null 2>&1; }
