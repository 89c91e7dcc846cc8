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

# put_file PATH MODE: writes standard input there, unless it is there already.
put_file() {
  text=$(cat)
  if [ -f "$1" ] && [ "$(cat "$1")" = "$text" ]; then return 0; fi
  act "write $1" write_file "$1" "$2" "$text"
}

write_file() {
  mkdir -p "$(dirname "$1")"
  (umask 077 && printf '%s\n' "$3" >"$1.new")
  chmod "$2" "$1.new"
  mv -f "$1.new" "$1"
}

has() { command -v "$1" >/dev/null 2>&1; }
