# Files of settings: made once, and from then on their owner's.

# settings FILE UNIT GIVEN: a file that is not there is made of standard input, with the lines NAME=VALUE of GIVEN in it. In one
# that is there only what was given with this run is set; without options a run changes nothing.
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

# change_for UNIT FILE TEXT: start_units restarts the unit, also in the next run when this one is cut off before. A reboot does as well.
change_for() {
  : >"$RUN_FOLDER/restart-$1"
  replace_text "$2" "$3"
}

is_to_restart() { [ -e "$RUN_FOLDER/restart-$1" ]; }
is_restarted() { rm -f "$RUN_FOLDER/restart-$1"; }

# setting FILE NAME: its value there; nothing when there is none.
setting() {
  [ -r "$1" ] || return 0
  sed -n "s/^[[:space:]]*$2=//p" "$1" | tail -n 1 | sed "s/[[:space:]]*\$//; s/^\"\(.*\)\"\$/\1/; s/^'\(.*\)'\$/\1/"
}

# settings_unlike FILE: the lines NAME=VALUE of standard input that do not hold there already.
settings_unlike() {
  while IFS= read -r line; do
    [ -z "$line" ] || [ "$(setting "$1" "${line%%=*}")" = "${line#*=}" ] || printf '%s\n' "$line"
  done
}

# with_settings LINES: standard input with these in it, each in the place of the last one of its name, which counts, or at the end.
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

# write_private FILE TEXT: a new file, for root alone, whole or not at all.
write_private() {
  (umask 077 && printf '%s\n' "$2" >"$1.new")
  sync -- "$1.new"
  mv -f "$1.new" "$1"
}

# replace_text FILE TEXT: of a file that is there, whole or not at all. Mode and owner stay, and a link leads where it led.
replace_text() {
  target_file=$(readlink -f -- "$1")
  cp --preserve=all -- "$target_file" "$target_file.new"
  printf '%s\n' "$2" >"$target_file.new"
  sync -- "$target_file.new"
  mv -f -- "$target_file.new" "$target_file"
}
