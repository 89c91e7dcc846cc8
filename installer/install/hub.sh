# The hub on this host: settings, unit, first user, and this host as its first.

TOKEN_FILE=$CONFIG_FOLDER/admin-token

install_hub() {
  new_settings "$CONFIG_FOLDER/hub.env" <<END
# Settings of orkestr-hub: orkestr-hub --help names them all.
ORKESTR_LOG_LEVEL=info
ORKESTR_HUB_LISTEN=$listen
ORKESTR_HUB_RELEASES=$ROOT_FOLDER/served
$(public_addresses)
END
  install_units orkestr-hub.service orkestr-hub-backup.service orkestr-hub-backup.timer
  start_units orkestr-hub.service
  [ -f "$TOKEN_FILE" ] || act 'make the first user' make_first_user
  [ -z "$domain" ] || is_routed || act "serve the hub at https://$domain" route_domain
  is_joined || [ -n "$dry_run" ] || token=$(join_token)
}

public_addresses() {
  [ -z "${public_url:-$domain}" ] || echo "ORKESTR_HUB_URL=${public_url:-https://$domain}"
  echo "ORKESTR_APPS_URL=$([ -n "$domain" ] && echo "https://$domain" || echo http://localhost)"
}

# As the hub's user, since what it makes must be the hub's. Its answer, the token, is shown once: it is kept for root.
make_first_user() {
  answer=$(setpriv --reuid orkestr-hub --regid orkestr-hub --clear-groups --inh-caps=-all \
    "$ROOT_FOLDER/current/bin/orkestr-hub" setup --email "$email" --team "$name" --json) ||
    fail 'The first user could not be made.' "A hub that was never used can begin anew: systemctl stop orkestr-hub; rm -r $STATE_FOLDER/hub"
  (umask 077 && printf '%s\n' "$answer" | sed -n 's/.*"token":"\([^"]*\)".*/\1/p' >"$TOKEN_FILE")
  say "The admin token is in $TOKEN_FILE: orkestr login URL --token - <$TOKEN_FILE"
}

# A host of that name is one that a run before this one has added without joining it.
join_token() {
  { hub_command hosts add "$name" || hub_command hosts join-token "$name"; } 2>/dev/null |
    sed -n 's/.*"joinToken": *"\([^"]*\)".*/\1/p'
}

hub_command() {
  ORKESTR_URL=$hub ORKESTR_TOKEN=$(cat "$TOKEN_FILE") "$ROOT_FOLDER/current/bin/orkestr" "$@" --json
}

# The edge of this host serves its hub like an app: an upstream that no environment has.
HUB_UPSTREAM=00000000-0000-4000-8000-000000000001

proxy_admin() { curl -fsS --max-time 15 --unix-socket "$RUN_FOLDER/proxy.sock" "$@"; }

is_routed() {
  proxy_admin http://proxy/v1/table 2>/dev/null | grep -qF "\"id\":\"$HUB_UPSTREAM\",\"generation\":1,\"routes\":[{\"host\":\"$domain\""
}

route_domain() {
  # One for another domain was there: it goes first, since a flip only replaces an older generation.
  proxy_admin -X DELETE "http://proxy/v1/upstreams/$HUB_UPSTREAM" >/dev/null 2>&1 || true
  entry=$(printf '{"id":"%s","generation":1,"targets":[{"id":"%s","address":"127.0.0.1","port":%s}],"routes":[{"host":"%s"}]}' \
    "$HUB_UPSTREAM" "$HUB_UPSTREAM" "${listen##*:}" "$domain")
  printf '{"expectedGeneration":0,"entry":%s}' "$entry" | proxy_admin --data-binary @- http://proxy/v1/flip >/dev/null ||
    fail "The proxy does not take the route of $domain." 'journalctl -u orkestr-proxy.service says why.'
}
