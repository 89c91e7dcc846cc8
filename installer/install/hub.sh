# The hub on this host: settings, unit, first user, and this host as its first host.

TOKEN_FILE=$CONFIG_FOLDER/admin-token

# listens_at: prints where this host's hub listens: as given now, as configured before, or by default.
listens_at() {
  present=${listen:-$(setting "$CONFIG_FOLDER/hub.env" ORKESTR_HUB_LISTEN)}
  echo "${present:-127.0.0.1:7700}"
}

# hub_at ADDRESS:PORT: prints the URL on its own host of a hub that listens there.
hub_at() {
  case ${1%:*} in
    0.0.0.0) echo "http://127.0.0.1:${1##*:}" ;;
    '[::]') echo "http://[::1]:${1##*:}" ;;
    *) echo "http://$1" ;;
  esac
}

install_hub() {
  settings "$CONFIG_FOLDER/hub.env" orkestr-hub.service "$(hub_settings)" <<END
# Settings of orkestr-hub: orkestr-hub --help names them all.
ORKESTR_LOG_LEVEL=info
ORKESTR_HUB_LISTEN=127.0.0.1:7700
ORKESTR_HUB_RELEASES=$ROOT_FOLDER/served
ORKESTR_APPS_URL=http://localhost
END
  install_units orkestr-hub.service orkestr-hub-backup.service orkestr-hub-backup.timer
  start_units orkestr-hub.service
  has_admin_token || act 'create an admin token' make_admin_token
  [ -z "$domain" ] || is_routed || act "serve the hub at https://$domain" route_domain
  if ! is_joined; then
    [ -n "$dry_run" ] || token=$(join_token)
  elif ! grep -qF "\"url\": \"$hub\"" "$IDENTITY"; then
    act "tell the agent that the hub is at $hub" change_for orkestr-agent.service "$IDENTITY" \
      "$(sed "s|\"url\": \"[^\"]*\"|\"url\": \"$hub\"|" "$IDENTITY")"
  fi
}

# Settings given with this run.
hub_settings() {
  [ -z "$listen" ] || echo "ORKESTR_HUB_LISTEN=$listen"
  [ -z "${public_url:-$domain}" ] || echo "ORKESTR_HUB_URL=${public_url:-https://$domain}"
  [ -z "$domain" ] || echo "ORKESTR_APPS_URL=https://$domain"
  [ -z "$email" ] || echo "ORKESTR_HUB_ACME_EMAIL=$email"
}

# has_admin_token: whether there is a token and the hub accepts it: after a restore, it may be another hub's. A hub that
# does not respond does not make it invalid.
has_admin_token() {
  [ -s "$TOKEN_FILE" ] || return 1
  [ -z "$dry_run" ] || return 0
  code=0
  hub_command whoami >/dev/null 2>&1 || code=$?
  [ "$code" != 1 ]
}

# Creates the first user. If there is one already (from an interrupted run or a restored backup), creates another token
# for them. The hub shows a token only once, so it is stored for root.
make_admin_token() {
  answer=$(as_hub setup --email "${email:-root@localhost}" --team "$name" --json 2>&1) || {
    told=$answer
    answer=$(as_hub token --json 2>&1) || fail "The hub did not create an admin token: $answer" "Before that: $told"
  }
  write_private "$TOKEN_FILE" "$(printf '%s\n' "$answer" | sed -n 's/.*"token":"\([^"]*\)".*/\1/p')"
  say "The admin token is in $TOKEN_FILE. To log in: orkestr login URL --token - <$TOKEN_FILE"
}

# Runs as the hub's user, because the files that it creates must belong to the hub.
as_hub() {
  setpriv --reuid orkestr-hub --regid orkestr-hub --clear-groups --inh-caps=-all "$ROOT_FOLDER/current/bin/orkestr-hub" "$@"
}

# A host of this name exists if an earlier run added it without joining.
join_token() {
  added=$(hub_command hosts add "$name" 2>&1) || {
    told=$added
    added=$(hub_command hosts join-token "$name" 2>&1) || fail "The hub did not create a join token for $name: $told" "$added"
  }
  printf '%s\n' "$added" | sed -n 's/.*"joinToken": *"\([^"]*\)".*/\1/p'
}

hub_command() {
  ORKESTR_URL=$hub ORKESTR_TOKEN=$(cat "$TOKEN_FILE") "$ROOT_FOLDER/current/bin/orkestr" "$@" --json
}

# The edge of this host serves its hub like an app: through an upstream that belongs to no environment.
HUB_UPSTREAM=00000000-0000-4000-8000-000000000001

proxy_admin() { curl -fsS --max-time 15 --unix-socket "$RUN_FOLDER/proxy.sock" "$@"; }

# The proxy reaches the hub by IPv4 only; a hub that listens on all IPv6 addresses also accepts IPv4.
hub_target() {
  case $(listens_at) in
    0.0.0.0:* | '[::]:'* | localhost:*) echo 127.0.0.1 ;;
    *) listens_at | sed 's/:[0-9]*$//' ;;
  esac
}

# How long the hub may take to respond, seconds: a push into a full repository waits for git to clean it up (hub/git),
# and deleting a project includes its whole history.
HUB_RESPONSE_SECONDS=900

is_routed() {
  table=$(proxy_admin http://proxy/v1/table 2>/dev/null) || return 1
  # From the hub's upstream up to the next one.
  found=${table#*"\"id\":\"$HUB_UPSTREAM\",\"generation\":1,"}
  [ "$found" != "$table" ] || return 1
  found=${found%%"\"generation\":"*}
  case $found in "\"routes\":[{\"host\":\"$domain\""*) ;; *) return 1 ;; esac
  case $found in *"\"responseSeconds\":$HUB_RESPONSE_SECONDS"[!0-9]*) ;; *) return 1 ;; esac
  case $found in *"\"id\":\"$HUB_UPSTREAM\",\"address\":\"$(hub_target)\",\"port\":${hub##*:}"[!0-9]*) ;; *) return 1 ;; esac
}

route_domain() {
  # Deletes an entry for another domain or of an earlier release first, since a flip replaces only an older generation.
  proxy_admin -X DELETE "http://proxy/v1/upstreams/$HUB_UPSTREAM" >/dev/null 2>&1 || true
  entry=$(printf '{"id":"%s","generation":1,"targets":[{"id":"%s","address":"%s","port":%s}],"routes":[{"host":"%s"}],"edge":{"responseSeconds":%s}}' \
    "$HUB_UPSTREAM" "$HUB_UPSTREAM" "$(hub_target)" "${hub##*:}" "$domain" "$HUB_RESPONSE_SECONDS")
  printf '{"expectedGeneration":0,"entry":%s}' "$entry" | proxy_admin --data-binary @- http://proxy/v1/flip >/dev/null ||
    fail "The proxy did not accept the route of $domain." 'journalctl -u orkestr-proxy.service shows why.'
}
