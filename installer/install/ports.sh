# The ports that others reach this host by: free, and let through.

check_ports() {
  for unit_port in orkestr-proxy.socket=80 orkestr-proxy-tls.socket=443; do
    port=${unit_port#*=}
    systemctl is-active --quiet "${unit_port%=*}" 2>/dev/null && continue
    holder=$(ss -Hltnp "sport = :$port" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1 \2/p' | head -n 1)
    [ -z "$holder" ] || problem "Port $port is held by ${holder% *} (process ${holder##* })." "$(port_mend "$port" "$holder")"
  done
}

# port_mend PORT "PROGRAM PID"
port_mend() {
  unit=$(unit_of "${2##* }")
  case $unit in
    docker.service) echo "It is for a container: docker ps --filter publish=$1 names it, docker stop NAME frees it." ;;
    ?*) echo "Stop it: systemctl disable --now $unit" ;;
    *)
      case $2 in
        *' 1') echo 'It is for a socket unit: systemctl list-sockets names it; systemctl disable --now NAME.socket' ;;
        *) echo "Stop it; ps -f -p ${2##* } shows what it is." ;;
      esac
      ;;
  esac
}

# unit_of PID: the system service that it belongs to; nothing when it was started in another way.
unit_of() {
  [ -r "$PROCESS_FOLDER/$1/cgroup" ] || return 0
  sed -n 's|^[^/]*/system\.slice/\([^/]*\.service\).*|\1|p' "$PROCESS_FOLDER/$1/cgroup" | head -n 1
}

# Firewalls of the host are their owner's: they are looked at, and never changed.
check_firewalls() {
  [ "$(id -u)" = 0 ] || return 0
  if has ufw; then check_ufw; fi
  if has firewall-cmd; then check_firewalld; fi
}

# Without a domain a hub is reached at its own port, if others are to reach it at all.
open_ports() {
  echo 80 443
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
  [ -z "$closed" ] || warn "The firewall ufw does not let others in at port ${closed#,}." "ufw allow ${closed#,}/tcp"
}

# ufw_allows PORT: whether the first of the rules that is about the port, and about everybody, lets in.
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
  closed='' adds=''
  for port in $(open_ports); do
    case $port in
      80) rule=service=http ;;
      443) rule=service=https ;;
      *) rule=port=$port/tcp ;;
    esac
    if firewall-cmd --quiet "--query-$rule" || firewall-cmd --quiet --query-port="$port/tcp"; then continue; fi
    closed="$closed,$port"
    adds="$adds --add-$rule"
  done
  [ -z "$closed" ] || warn "The firewall firewalld does not let others in at port ${closed#,}." \
    "firewall-cmd --permanent$adds && firewall-cmd --reload"
}
