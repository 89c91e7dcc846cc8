# Users, folders and units of this host; proxy and agent.

units_changed=''

IDENTITY=$STATE_FOLDER/agent/identity.json
# A truncated file fails this test; a complete one passes, in the agent's format or on a single line.
is_joined() { [ -f "$IDENTITY" ] && tail -n 1 "$IDENTITY" | grep -Eq '^(\{.*)?\}$'; }
is_damaged() { [ -f "$IDENTITY" ] && ! is_joined; }
DAMAGED="The identity of this host is damaged: $IDENTITY."
DAMAGED_MEND='Restore it from a backup. Or run orkestr hosts join-token NAME at its hub, and here the command that it prints: the host keeps its id, and its apps keep running.'

# is_of_hub: whether this host has joined the intended hub. A hub on this host may change its address.
is_of_hub() {
  joined=$(sed -n 's/.*"url": "\([^"]*\)".*/\1/p' "$IDENTITY")
  [ "$joined" != "$hub" ] || return 0
  [ -n "$hub_here" ] || return 1
  listened=$(setting "$CONFIG_FOLDER/hub.env" ORKESTR_HUB_LISTEN)
  [ "$joined" = "$(hub_at "$listened")" ] || [ "$joined" = "http://127.0.0.1:${listened##*:}" ]
}

install_host() {
  add_user orkestr-proxy
  [ -z "$hub_here" ] || add_user orkestr-hub
  make_folder "$CONFIG_FOLDER" 711
  make_folder "$CONFIG_FOLDER/certificates" 750 orkestr-proxy
  make_folder "$STATE_FOLDER" 711
  make_folder "$RUN_FOLDER" 711
  keep_containers
  settings "$CONFIG_FOLDER/agent.env" orkestr-agent.service "${channel:+ORKESTR_CHANNEL=$channel}" <<END
# Settings of orkestr-agent: orkestr-agent --help names them all.
ORKESTR_LOG_LEVEL=info
END
  settings "$CONFIG_FOLDER/proxy.env" orkestr-proxy.service "$(acme_settings && edge_settings)" <<END
# Settings of orkestr-proxy: orkestr-proxy --help names them all.
ORKESTR_LOG_LEVEL=info
ORKESTR_PROXY_CERTIFICATES=$CONFIG_FOLDER/certificates
END
  place_edge
  install_units orkestr-proxy.socket orkestr-proxy-tls.socket orkestr-proxy-admin.socket orkestr-proxy.service \
    orkestr-build.slice orkestr-build.service orkestr-upgrade.service orkestr-firewall.service \
    orkestr-agent.service
  start_units orkestr-proxy.socket orkestr-proxy-tls.socket orkestr-proxy-admin.socket orkestr-proxy.service
}

# Requests certificates only if there is an email address for the CA, and not if the owner's web server terminates TLS.
# Keeps a CA that the owner has chosen.
acme_settings() {
  [ -n "$email" ] && ! is_loopback "$(edge_at orkestr-proxy-tls.socket)" || return 0
  [ -n "$(setting "$CONFIG_FOLDER/proxy.env" ORKESTR_PROXY_ACME)" ] ||
    echo "ORKESTR_PROXY_ACME=https://acme-v02.api.letsencrypt.org/directory"
  echo "ORKESTR_PROXY_ACME_EMAIL=$email"
}

add_user() {
  id "$1" >/dev/null 2>&1 || act "add the system user $1" useradd --system --user-group --no-create-home \
    --home-dir /nonexistent --shell /usr/sbin/nologin "$1"
}

# make_folder PATH MODE [GROUP]: follows a link that the owner has put there.
make_folder() {
  [ "$(stat -Lc %a "$1" 2>/dev/null)" = "$2" ] || act "make $1" install -d -m "$2" -g "${3:-root}" "$1"
}

install_units() {
  for unit in "$@"; do
    cmp -s "$ROOT_FOLDER/current/units/$unit" "$UNIT_FOLDER/$unit" && continue
    act "install $unit" install -m 644 "$ROOT_FOLDER/current/units/$unit" "$UNIT_FOLDER/$unit"
    units_changed=1
  done
  [ -z "$units_changed" ] || [ -n "$dry_run" ] || systemctl daemon-reload
}

# The proxy hands over to the new release without a refused connection; other services are restarted. New settings need
# a restart, also of the proxy: its sockets hold new connections meanwhile.
start_units() {
  for unit in "$@"; do
    if ! systemctl is-active --quiet "$unit" || ! systemctl is-enabled --quiet "$unit" 2>/dev/null; then
      act "start $unit" enable_unit "$unit"
    elif is_to_restart "$unit"; then
      act "restart $unit with its new settings" restart_unit "$unit"
    elif [ "${unit%.service}" != "$unit" ] && runs_other_release "$unit"; then
      act "switch $unit to the new release" systemctl reload-or-restart "$unit"
    fi
  done
}

# runs_other_release UNIT: checks the executable of its process, not what this run has changed: an earlier run may have
# been interrupted after it made the new release the current one.
runs_other_release() {
  runs=$(readlink "$PROCESS_FOLDER/$(systemctl show --property=MainPID --value "$1")/exe") || return 1
  releases=$(readlink -f "$ROOT_FOLDER/releases") || return 1
  case $runs in
    "$releases/$version"/*) return 1 ;;
    "$releases"/*) ;;
    *) return 1 ;;
  esac
}

restart_unit() {
  systemctl restart "$1" || fail "$1 does not start with its new settings." "journalctl -u $1 shows why."
  is_restarted "$1"
}

enable_unit() {
  if systemctl enable --quiet "$1" && systemctl start "$1"; then
    is_restarted "$1"
    return 0
  fi
  fail "$1 does not start." "journalctl -u $1 shows why."
}

join_hub() {
  if ! is_joined; then
    [ -n "$token" ] || [ -n "$dry_run" ] || fail 'A join token is missing.' \
      'Create one with orkestr hosts add NAME, or for an existing host with orkestr hosts join-token NAME, and give it as --token TOKEN'
    act "join the hub $hub as $name" join_with_token
  fi
  start_units orkestr-agent.service
}

# Through standard input: every local user can read the arguments of a program.
join_with_token() {
  # A running agent has read the damaged identity.
  ! is_damaged || : >"$RUN_FOLDER/restart-orkestr-agent.service"
  if [ "$token" = - ]; then cat; else printf '%s\n' "$token"; fi |
    "$ROOT_FOLDER/current/bin/orkestr-agent" join --hub "$hub" --token - --name "$name"
}

# The doctor, which comes with the release, checks the owner's firewall rules: ours cannot let through what those drop.
check_rules() {
  [ -z "$dry_run" ] || return 0
  told=$("$ROOT_FOLDER/current/bin/orkestr-agent" doctor nftables legacy-rules 2>&1) || printf '%s\n' "$told" >&2
}

finish() {
  if [ -n "$dry_run" ]; then
    say "$changed things would change; nothing was changed."
  elif [ "$changed" = 0 ]; then
    say "orkestr $version is already installed; nothing to do."
  else
    say "orkestr $version is installed. To see its state: orkestr-agent status"
  fi
}
