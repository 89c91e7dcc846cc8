# Where the proxy listens: ports 80 and 443, or behind the owner's web server, by drop-ins for its sockets.

EDGE_SOCKETS='orkestr-proxy.socket orkestr-proxy-tls.socket'

# edge_given SOCKET: prints its address as given with this run.
edge_given() {
  case $1 in
    orkestr-proxy.socket) echo "$http" ;;
    *) echo "$https" ;;
  esac
}

# edge_port SOCKET: prints the port in its unit.
edge_port() {
  case $1 in
    orkestr-proxy.socket) echo 80 ;;
    *) echo 443 ;;
  esac
}

# edge_present SOCKET: prints where it listens by its unit and all drop-ins, one [ADDRESS:]PORT per line.
edge_present() {
  {
    echo "ListenStream=$(edge_port "$1")"
    for file in "$UNIT_FOLDER/$1.d"/*.conf; do
      [ ! -f "$file" ] || cat "$file"
    done
  } | awk '
    sub(/^[ \t]*ListenStream[ \t]*=[ \t]*/, "") {
      sub(/[ \t]+$/, "")
      if ($0 == "") count = 0; else address[++count] = $0
    }
    END { for (i = 1; i <= count; i++) print address[i] }'
}

# edge_at SOCKET: prints where it listens after this run.
edge_at() {
  given=$(edge_given "$1")
  if [ -n "$given" ]; then echo "$given"; else edge_present "$1"; fi
}

# edge_moves SOCKET: whether this run changes where it listens.
edge_moves() { [ "$(edge_at "$1")" != "$(edge_present "$1")" ]; }

is_loopback() {
  case $1 in
    127.* | '[::1]:'*) ;;
    *) return 1 ;;
  esac
}

# A proxy that only this host can reach is behind the owner's web server, which reports the visitor's address.
edge_settings() {
  [ -z "$public_address" ] || echo "ORKESTR_PROXY_PUBLIC=$public_address"
  is_loopback "$http" && [ -z "$(setting "$CONFIG_FOLDER/proxy.env" ORKESTR_PROXY_TRUSTED)" ] || return 0
  echo "ORKESTR_PROXY_TRUSTED=$(printf '%s\n' "${http%:*}" | tr -d '[]')"
}

# While the owner's web server terminated TLS, no CA was needed, and no email address may have been given since.
check_certificates() {
  moved=orkestr-proxy-tls.socket
  is_loopback "$(edge_present $moved)" && ! is_loopback "$(edge_at $moved)" || return 0
  [ -z "$email$(setting "$CONFIG_FOLDER/proxy.env" ORKESTR_PROXY_ACME)" ] || return 0
  warn 'The proxy would terminate TLS itself, but no certificates are requested: apps have no https.' \
    "Run the same command with --email ADDRESS, or put files into $CONFIG_FOLDER/certificates."
}

place_edge() {
  for socket in $EDGE_SOCKETS; do
    ! edge_moves "$socket" || act "have $socket listen on $(edge_given "$socket")" listen_on "$socket" "$(edge_given "$socket")"
    # Also after an interrupted run: systemd must reload the unit.
    ! is_to_restart "$socket" || units_changed=1
  done
}

# listen_on SOCKET ADDRESS: the name of the drop-in sorts after the owner's. uninstall removes it.
listen_on() {
  : >"$RUN_FOLDER/restart-$1"
  mkdir -p "$UNIT_FOLDER/$1.d"
  drop_in=$UNIT_FOLDER/$1.d/zz-listen
  printf '# By install.sh: --http, --https.\n[Socket]\nListenStream=\nListenStream=%s\n' "$2" >"$drop_in.new"
  mv -f "$drop_in.new" "$drop_in.conf"
}
