# Files of settings: created once; from then on they belong to the administrator.

# settings FILE UNIT GIVEN: creates a missing file from standard input, with the lines NAME=VALUE of GIVEN in it. In an
# existing file, sets only what was given with this run; without options, a run changes nothing.
settings() {
  text=$(cat)
  if [ ! -f "$1" ]; then
    act "write $1" write_private "$1" "$(printf '%s\n' "$text" | with_settings "$3")"
    return 0
  fi
  wanted=$(printf '%s\n' "$3" | settings_unlike "$1")
  [ -n "$wanted" ] || return 0
  act "set $(printf '%s\n' "$wanted" | paste -s -d ' ') in $1, for which $2 is restarted" \
    change_for "$2" "$1" "$(with_settings "$wanted" <"$1")"
}

# change_for UNIT FILE TEXT: marks UNIT for a restart by start_units, in this run or, if it is interrupted, in the next.
# A reboot has the same effect.
change_for() {
  : >"$RUN_FOLDER/restart-$1"
  replace_text "$2" "$3"
}

is_to_restart() { [ -e "$RUN_FOLDER/restart-$1" ]; }
is_restarted() { rm -f "$RUN_FOLDER/restart-$1"; }

# setting FILE NAME: prints its value in FILE; nothing if FILE does not set it.
setting() {
  [ -r "$1" ] || return 0
  sed -n "s/^[[:space:]]*$2=//p" "$1" | tail -n 1 | sed "s/[[:space:]]*\$//; s/^\"\(.*\)\"\$/\1/; s/^'\(.*\)'\$/\1/"
}

# settings_unlike FILE: prints the lines NAME=VALUE of standard input that are not yet in effect in FILE.
settings_unlike() {
  while IFS= read -r line; do
    [ -z "$line" ] || [ "$(setting "$1" "${line%%=*}")" = "${line#*=}" ] || printf '%s\n' "$line"
  done
}

# with_settings LINES: prints standard input with LINES set. Each replaces the last line of its name, which is the one
# that counts, or is appended.
with_settings() {
  GIVEN=$1 awk '
    BEGIN {
      count = split(ENVIRON["GIVEN"], given, "\n")
      for (i = 1; i <= count; i++) { name[i] = given[i]; sub(/=.*/, "", name[i]); text[name[i]] = given[i] }
    }
    {
      line[NR] = $0
      key = $0
      sub(/^[ \t]*/, "", key)
      if (sub(/=.*/, "", key) && key in text) at[key] = NR
    }
    END {
      for (key in at) line[at[key]] = text[key]
      for (i = 1; i <= NR; i++) print line[i]
      for (i = 1; i <= count; i++) if (!(name[i] in at)) print given[i]
    }'
}

# write_private FILE TEXT: creates or replaces FILE atomically, readable by root only.
write_private() {
  (umask 077 && printf '%s\n' "$2" >"$1.new")
  sync -- "$1.new"
  mv -f "$1.new" "$1"
}

# replace_text FILE TEXT: replaces an existing file atomically. Keeps its mode and owner, and follows a link.
replace_text() {
  target_file=$(readlink -f -- "$1")
  cp --preserve=all -- "$target_file" "$target_file.new"
  printf '%s\n' "$2" >"$target_file.new"
  sync -- "$target_file.new"
  mv -f -- "$target_file.new" "$target_file"
}
