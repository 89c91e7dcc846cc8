# Docker Engine: the one already installed, or the distribution's.

SNAP_UNIT=snap.docker.dockerd.service
# The same as in agent/docker/engine.ts.
LEAST_ENGINE=20.10

check_engine() {
  info=$(engine_info) || info=''
  case $info in
    *'"DockerRootDir":"/var/snap/'*) refuse_snap ;;
    *'"BuildahVersion"'*) refuse_podman ;;
    '')
      if is_podman_docker; then
        refuse_podman
      elif has_unit "$SNAP_UNIT"; then
        refuse_snap
      elif has dockerd; then
        check_engine_version "$(dockerd --version | sed -n 's/^Docker version \([^,]*\),.*/\1/p')"
      elif ! has_engine && ! has apt-get && ! has_moby; then
        problem 'There is no Docker Engine, and this distribution does not provide one.' \
          'Install docker-ce as described at docs.docker.com/engine/install, then run: systemctl enable --now docker'
      fi
      ;;
    *) check_engine_version "$(printf '%s\n' "$info" | sed -n 's/.*"ServerVersion":"\([^"]*\)".*/\1/p')" ;;
  esac
}

# check_engine_version VERSION: accepts an empty VERSION, of an engine that does not report one.
check_engine_version() {
  [ -z "$1" ] || at_least "$1" "$LEAST_ENGINE" ||
    problem "Docker Engine is $1 here; orkestr needs $LEAST_ENGINE." 'Upgrade it as described at docs.docker.com/engine/install.'
}

refuse_snap() {
  problem 'Docker Engine is installed as a snap: it cannot access the files of orkestr, and its updates stop its containers.' \
    "Remove it (snap remove docker; this deletes the data of its containers and volumes). The distribution's Docker Engine is then installed."
}

# Podman answers like Docker Engine but lacks live-restore and has other networks. Its `docker` conflicts with Docker's.
refuse_podman() {
  problem 'Podman replaces Docker Engine here: orkestr needs the real one, which can run alongside Podman.' \
    "Remove the replacement; Podman itself stays: apt-get remove podman-docker (or dnf). The distribution's Docker Engine is then installed."
}

is_podman_docker() { has docker && head -c 512 "$(command -v docker)" | grep -aq podman; }

# Checks the output, because in a chroot systemctl succeeds without looking.
has_unit() { [ -n "$(systemctl cat "$1" 2>/dev/null)" ]; }
has_engine() { has dockerd || has_unit docker.service; }
has_moby() { has dnf && dnf -q list moby-engine >/dev/null 2>&1; }

install_engine() {
  if engine_info >/dev/null; then return 0; fi
  if ! has_engine; then
    add_engine
  fi
  engine_info >/dev/null || act 'start Docker Engine' start_engine
}

start_engine() {
  systemctl enable --quiet --now docker.service ||
    fail 'Docker Engine does not start.' 'journalctl -u docker.service shows why.'
}

add_engine() {
  if has apt-get; then
    add_packages docker.io
    # A separate package since Debian 13. orkestr does not need it, but commands in our messages do.
    [ -n "$dry_run" ] || has docker || add_packages docker-cli
  else
    add_packages moby-engine
  fi
}

# With live-restore, containers outlive the engine. A reload enables it, so nothing that runs is restarted. Needs the
# release: its Node edits the engine's file without losing its other settings.
keep_containers() {
  [ "$(live_restore)" != true ] || return 0
  if is_in_swarm; then
    # The engine would accept the setting, and then refuse to start with it the next time.
    warn 'Docker Engine is in swarm mode, where live-restore is not available: apps stop while the engine restarts.' \
      'If nobody needs the swarm, run docker swarm leave --force, then run the same command again.'
    return 0
  fi
  act 'switch live-restore of Docker Engine on' set_live_restore
  if [ -z "$dry_run" ] && [ "$(live_restore)" != true ]; then
    warn 'Docker Engine did not accept live-restore.' 'Apps stop while it restarts. journalctl -u docker.service shows why.'
  fi
}

# Includes a swarm that the engine has not reached, or that is locked.
is_in_swarm() { engine_info | grep -Eq '"LocalNodeState":"(active|pending|error|locked)"'; }

live_restore() { engine_info | sed -n 's/.*"LiveRestoreEnabled":\([a-z]*\).*/\1/p'; }

# Asks the API and not the program `docker`, which may be missing. In a dry run on a bare host, curl is missing, too.
engine_info() { curl -fsS --max-time 30 --unix-socket /run/docker.sock http://localhost/info 2>/dev/null; }

set_live_restore() {
  if [ -e "$ENGINE_SETTINGS" ]; then
    before=there
  elif [ -d "${ENGINE_SETTINGS%/*}" ]; then
    before=absent
  else
    before=no-folder
  fi
  # What uninstall must revert: the file with its folder, the file, or the one setting. An earlier run may have created
  # the file, so its record stays.
  [ -s "$CONFIG_FOLDER/engine-settings-were" ] || write_private "$CONFIG_FOLDER/engine-settings-were" "$before"
  if [ "$before" = there ]; then
    text=$(with_live_restore) || fail "$ENGINE_SETTINGS is not readable JSON." 'Correct it, then run the same command again.'
    replace_text "$ENGINE_SETTINGS" "$text"
  else
    mkdir -p "${ENGINE_SETTINGS%/*}"
    printf '{\n  "live-restore": true\n}\n' >"$ENGINE_SETTINGS.new"
    mv -f "$ENGINE_SETTINGS.new" "$ENGINE_SETTINGS"
  fi
  systemctl reload docker.service || return 0
  # The engine applies its settings a moment later.
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ "$(live_restore)" != true ] || return 0
    sleep 0.5
  done
}

# The engine treats an empty file like a missing one.
with_live_restore() {
  "$ROOT_FOLDER/current/bin/node" -e '
    const text = require("node:fs").readFileSync(process.argv[1], "utf8");
    const settings = text.trim() === "" ? {} : JSON.parse(text);
    console.log(JSON.stringify({ ...settings, "live-restore": true }, null, 2));
  ' "$ENGINE_SETTINGS"
}
