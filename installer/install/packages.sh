# What orkestr needs of the distribution: programs, and a Docker Engine when there is none.

# program=Debian package=package of RHEL-likes
NEEDED='curl=curl=curl xz=xz-utils=xz git=git=git iptables=iptables=iptables-nft ip=iproute2=iproute nsenter=util-linux=util-linux fstrim=util-linux=util-linux mkfs.ext4=e2fsprogs=e2fsprogs openssl=openssl=openssl'

install_packages() {
  missing=''
  for entry in $NEEDED; do
    has "${entry%%=*}" || missing="$missing $(package_of "$entry")"
  done
  [ -z "$missing" ] || act "install$missing" add_packages "$missing"
}

# package_of program=debian=rhel
package_of() {
  names=${1#*=}
  if has apt-get; then echo "${names%=*}"; else echo "${names#*=}"; fi
}

add_packages() {
  log=$(mktemp)
  # Split on purpose: a list of names.
  # shellcheck disable=SC2086
  if has apt-get; then
    { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends -- $1; } >"$log" 2>&1
  elif has dnf; then
    dnf -q -y install -- $1 >"$log" 2>&1
  else
    rm -f "$log"
    fail "There is neither apt-get nor dnf to install:$1" 'Install them by hand and run the same line again.'
  fi || {
    tail -n 15 "$log" >&2
    rm -f "$log"
    fail "The package manager could not install:$1" 'Its last lines say why.'
  }
  rm -f "$log"
}

install_engine() {
  if ! has dockerd; then
    act 'install Docker Engine from the distribution' add_engine
  fi
  engine_info >/dev/null || act 'start Docker Engine' start_engine
}

start_engine() {
  systemctl enable --quiet --now docker.service ||
    fail 'Docker Engine does not start.' 'journalctl -u docker.service says why.'
}

add_engine() {
  if has apt-get; then
    add_packages docker.io
  elif dnf -q list moby-engine >/dev/null 2>&1; then
    add_packages moby-engine
  else
    fail 'This distribution has no Docker Engine of its own.' 'Install docker-ce as docs.docker.com says, then run the same line again.'
  fi
}

# With live-restore containers outlive the engine. It is switched on by a reload: nothing that runs is restarted.
# Needs the release: its Node edits the engine's file without losing what else is in it.
keep_containers() {
  [ "$(live_restore)" != true ] || return 0
  act 'switch live-restore of Docker Engine on' set_live_restore
  if [ -z "$dry_run" ] && [ "$(live_restore)" != true ]; then
    warn 'Docker Engine does not take live-restore.' 'Apps stop while it is restarted. A swarm is one reason: docker swarm leave'
  fi
}

live_restore() { engine_info | sed -n 's/.*"LiveRestoreEnabled":\([a-z]*\).*/\1/p'; }

# Of its API and not of the program `docker`: since Debian 13 that is a package of its own, which nothing of ours needs.
# In a dry run on a bare host there is no curl either.
engine_info() { curl -fsS --max-time 30 --unix-socket /run/docker.sock http://localhost/info 2>/dev/null; }

set_live_restore() {
  [ -e /etc/docker/daemon.json ] && before=there || before=absent
  # What uninstall takes back: the whole file, or the one setting.
  write_private "$CONFIG_FOLDER/engine-settings-were" "$before"
  mkdir -p /etc/docker
  "$ROOT_FOLDER/current/bin/node" -e '
    const fs = require("node:fs");
    const [file] = process.argv.slice(1);
    const settings = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : {};
    fs.writeFileSync(file + ".new", JSON.stringify({ ...settings, "live-restore": true }, null, 2) + "\n");
    fs.renameSync(file + ".new", file);
  ' /etc/docker/daemon.json || fail '/etc/docker/daemon.json is not readable JSON.' 'Correct it and run the same line again.'
  systemctl reload docker.service
  # It reads its settings a moment later.
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ "$(live_restore)" != true ] || return 0
    sleep 0.5
  done
}
