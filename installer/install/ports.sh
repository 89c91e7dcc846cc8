# Ports through which others reach this host: they must be free, and firewalls must let them through.

ports_checked=''

check_ports() {
  ports_checked=1
  for socket in $EDGE_SOCKETS; do
    # An active unit that does not move holds its port itself.
    systemctl is-active --quiet "$socket" 2>/dev/null && ! edge_moves "$socket" && continue
    for address in $(edge_at "$socket"); do
      port=${address##*:}
      holder=$(holder_of "$address" "$port")
      [ -z "$holder" ] || problem "Port $port is held by ${holder% *} (process ${holder##* })." "$(port_mend "$port" "$holder")"
    done
  done
}

# A minimal image has no ss before the packages are installed; without it, every port would look free.
check_ports_late() {
  [ -z "$ports_checked" ] && has ss || return 0
  check_ports
  [ "$problems" = 0 ] || fail 'Ports of the proxy are not free; nothing but packages was installed.' 'Fix that, then run the same command again.'
}

# holder_of [ADDRESS:]PORT PORT: prints "PROGRAM PID" of a listener at that address, or on all addresses.
holder_of() {
  ss -Hltnp "sport = :$2" 2>/dev/null | awk -v wanted="$1" -v port="$2" '
    function is_all(address) { return address == port || address ~ /^(\*|0\.0\.0\.0|\[::\]):/ }
    is_all(wanted) || is_all($4) || $4 == wanted' |
    sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1 \2/p' | head -n 1
}

# port_mend PORT "PROGRAM PID"
port_mend() {
  unit=$(unit_of "${2##* }")
  case $unit in
    docker.service) echo "It belongs to a container: find it with docker ps --filter publish=$1, stop it with docker stop NAME." ;;
    ?*) echo "Stop it: systemctl disable --now $unit$(beside_mend "$1" "${2% *}")" ;;
    *)
      case $2 in
        *' 1') echo 'It belongs to a socket unit: find it with systemctl list-sockets, stop it with systemctl disable --now NAME.socket' ;;
        *) echo "Stop it. To see what it is: ps -f -p ${2##* }" ;;
      esac
      ;;
  esac
}

# beside_mend PORT PROGRAM: suggests keeping a web server, which may already have visitors.
beside_mend() {
  case $1 in 80 | 443) ;; *) return 0 ;; esac
  case $2 in
    nginx | caddy | apache2 | httpd | haproxy | lighttpd)
      echo '. Or keep it, and let it forward visitors to the proxy (docs/beside.md): --http 127.0.0.1:8080 --https 127.0.0.1:8443'
      ;;
  esac
}

# unit_of PID: prints its system service; nothing if it was started in another way.
unit_of() {
  [ -r "$PROCESS_FOLDER/$1/cgroup" ] || return 0
  sed -n 's|^[^/]*/system\.slice/\([^/]*\.service\).*|\1|p' "$PROCESS_FOLDER/$1/cgroup" | head -n 1
}

# The host's firewalls belong to its administrator: they are checked, never changed.
check_firewalls() {
  [ "$(id -u)" = 0 ] || return 0
  if has ufw; then check_ufw; fi
  if has firewall-cmd; then check_firewalld; fi
}

# Prints the ports that must be open: the proxy's own, or 80 and 443 of the web server in front of it. Without a domain,
# the hub is reached at its own port.
open_ports() {
  for socket in $EDGE_SOCKETS; do
    for address in $(edge_at "$socket"); do
      if is_loopback "$address"; then edge_port "$socket"; else echo "${address##*:}"; fi
    done
  done
  [ -n "$hub_here" ] && [ -z "$domain" ] || return 0
  case $(listens_at) in
    127.* | localhost:* | '[::1]:'*) ;;
    *) listens_at | sed 's/.*://' ;;
  esac
}

check_ufw() {
  rules=$(LC_ALL=C ufw status verbose) || return 0
  case $rules in
    *'Default: allow (incoming)'*) return 0 ;;
    'Status: active'*) ;;
    *) return 0 ;;
  esac
  closed=''
  for port in $(open_ports); do
    printf '%s\n' "$rules" | ufw_allows "$port" || closed="$closed,$port"
  done
  [ -z "$closed" ] || warn "The firewall ufw blocks incoming connections to port ${closed#,}." "ufw allow ${closed#,}/tcp"
}

# ufw_allows PORT: whether the first rule about this port and all sources allows it.
ufw_allows() {
  awk -v port="$1" '
    !/ (ALLOW|LIMIT|DENY|REJECT)( IN)? +Anywhere/ || /\(v6\)/ || $1 ~ /\/udp$/ { next }
    {
      allows = / (ALLOW|LIMIT)/
      to = $1
      sub(/\/tcp$/, "", to)
      count = split(to, part, ",")
      for (i = 1; i <= count; i++) {
        last = split(part[i], range, ":")
        if (part[i] == "Anywhere" || (port >= range[1] + 0 && port <= range[last] + 0)) { open = allows; exit }
      }
    }
    END { exit !open }'
}

check_firewalld() {
  [ "$(LC_ALL=C firewall-cmd --state 2>/dev/null)" = running ] || return 0
  zone=$(outer_zone)
  closed='' adds=''
  for port in $(open_ports); do
    case $port in
      80) rule=service=http ;;
      443) rule=service=https ;;
      *) rule=port=$port/tcp ;;
    esac
    if zone_has "$rule" || zone_has "port=$port/tcp"; then continue; fi
    closed="$closed,$port"
    adds="$adds --add-$rule"
  done
  [ -z "$closed" ] || warn "The firewall firewalld blocks incoming connections to port ${closed#,}." \
    "firewall-cmd --permanent${zone:+ --zone=$zone}$adds && firewall-cmd --reload"
  # A zone that accepts everything is safe: orkestr's own rules restrict what builds can reach.
  case $(firewall-cmd --get-zone-of-interface=ob+ 2>&1) in
    *'no zone'*)
      warn 'The firewall firewalld rejects traffic from builds: their network links (ob…) are in no zone that accepts it.' \
        'firewall-cmd --zone=trusted --add-interface=ob+ && firewall-cmd --permanent --zone=trusted --add-interface=ob+'
      ;;
  esac
}

# zone_has RULE
zone_has() { firewall-cmd --quiet ${zone:+"--zone=$zone"} "--query-$1"; }

# outer_zone: prints the zone of the default route's link; nothing if it is in none, which means the default zone.
outer_zone() {
  has ip || return 0
  link=$({ ip route show default && ip -6 route show default; } 2>/dev/null |
    awk '{ for (i = 1; i < NF; i++) if ($i == "dev") { print $(i + 1); exit } }')
  [ -z "$link" ] || firewall-cmd --get-zone-of-interface="$link" 2>/dev/null | grep -vxF 'no zone' || true
}
