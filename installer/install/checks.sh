# Requirements for this host. All checks run before the first change; each reports a problem and its fix.

# glibc that Node and the SQLite addon need (installer/release/addon.ts); Debian 11 has 2.31, RHEL 9 has 2.34.
LEAST_GLIBC=2.28
# For cgroup v2 as Docker Engine needs it, and overlayfs; Debian 12 has 6.1, RHEL 9 has 5.14.
LEAST_KERNEL=5.4
LEAST_DISK_MB=2048
WANTED_DISK_MB=10240
LEAST_MEMORY_MB=400
WANTED_MEMORY_MB=900
MOST_SKEW_SECONDS=60

problems=0
hub_checked=''

problem() {
  problems=$((problems + 1))
  printf 'problem  %s\n         %s\n' "$1" "$2" >&2
}

check_host() {
  [ "$(id -u)" = 0 ] || problem 'Not running as root.' 'Run it as root: … | sudo sh -s -- …'
  [ -d "$SYSTEMD_FOLDER/system" ] || problem 'systemd is not running here.' 'orkestr needs a host that was booted with systemd.'
  check_machine
  check_room
  check_packages
  check_engine
  ! has ss || check_ports
  check_certificates
  check_firewalls
  check_ipv4
  check_time
  check_joined
  ! has curl || check_hub
  [ "$problems" = 0 ] || fail "$problems of this host's checks failed; nothing was changed." 'Fix them, then run the same command again.'
}

check_joined() {
  if [ -n "$hub" ] && is_joined && ! is_of_hub; then
    problem "This host has joined another hub than $hub." "If it is the same hub at a new address: orkestr-agent hub $hub. Otherwise leave the other hub first, which removes its apps: orkestr-agent leave"
  elif [ -z "$hub_here$token" ] && is_damaged; then
    problem "$DAMAGED" "$DAMAGED_MEND"
  fi
}

check_machine() {
  case $(uname -m) in
    x86_64) target=linux-x64 ;;
    aarch64) target=linux-arm64 ;;
    *) target='' && problem "This machine is a $(uname -m)." 'There are releases for x86_64 and aarch64.' ;;
  esac
  glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed -n 's/^glibc //p')
  if ! at_least "${glibc:-0}" "$LEAST_GLIBC"; then
    problem "The C library is ${glibc:-not glibc}; orkestr needs glibc $LEAST_GLIBC." 'Use Debian 11, Ubuntu 22.04, RHEL 9 or newer.'
  fi
  kernel=$(uname -r)
  at_least "${kernel%%-*}" "$LEAST_KERNEL" || problem "The kernel is $kernel; orkestr needs $LEAST_KERNEL." 'Upgrade the distribution.'
  if [ ! -f "$CGROUP_FOLDER/cgroup.controllers" ] && [ ! -d "$CGROUP_FOLDER/memory" ]; then
    problem 'The kernel has no control groups for memory.' 'Mount cgroup2 at /sys/fs/cgroup, as systemd does by default.'
  fi
}

# at_least VERSION LEAST
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

check_room() {
  # -m is a GNU extension, which the df of Ubuntu 25.10 and later lacks.
  disk=$(df -Pk /var/lib | awk 'NR == 2 { print int($4 / 1024) }')
  if [ "$disk" -lt "$LEAST_DISK_MB" ]; then
    problem "Only $disk MB are free below /var/lib; orkestr needs $LEAST_DISK_MB." 'Free some space, or mount a larger disk there.'
  elif [ "$disk" -lt "$WANTED_DISK_MB" ]; then
    warn "Only $disk MB are free below /var/lib." "Images need space: $WANTED_DISK_MB MB are a good start."
  fi
  memory=$(awk '/^MemTotal:/ { print int($2 / 1024) }' "$PROCESS_FOLDER/meminfo")
  if [ "$memory" -lt "$LEAST_MEMORY_MB" ]; then
    problem "The machine has $memory MB of memory; orkestr needs $LEAST_MEMORY_MB." 'Use a larger machine.'
  elif [ "$memory" -lt "$WANTED_MEMORY_MB" ]; then
    warn "The machine has only $memory MB of memory." "Builds need more: $WANTED_MEMORY_MB MB are a good start, and swap helps."
  fi
}

# Builds and apps have IPv4 only (docs/isolation.md). A host without any default route, as in an intranet, is fine.
check_ipv4() {
  [ -z "$(default_routes 6)" ] || [ -n "$(default_routes 4)" ] ||
    warn 'This host has a way out by IPv6 and none by IPv4: builds and apps, which have IPv4 only, reach nothing outside.' \
      'Give it an IPv4 address, or CLAT (464XLAT) in a network with NAT64.'
  case $(resolver_text | awk '$1 == "nameserver" && $2 !~ /^(127\.|::1$)/ { print $2 }') in
    '' | *.*) ;;
    *) warn 'All name servers of this host have IPv6 addresses: builds, which have IPv4 only, find no name.' \
      'Name one with an IPv4 address, too, in /etc/resolv.conf or /etc/systemd/resolved.conf.' ;;
  esac
}

# default_routes 4|6: prints them in the format of proc(5). Without IPv6 to the outside, the kernel lists one to lo.
default_routes() {
  case $1 in
    4) awk '$2 == "00000000" && $8 == "00000000"' "$PROCESS_FOLDER/net/route" ;;
    *) awk '$1 ~ /^0+$/ && $2 == "00" && $NF != "lo"' "$PROCESS_FOLDER/net/ipv6_route" ;;
  esac 2>/dev/null || true
}

# Builds use the name servers behind systemd-resolved if the host uses it, so both files count.
resolver_text() { cat /etc/resolv.conf "$SYSTEMD_FOLDER/resolve/resolv.conf" 2>/dev/null; }

check_time() {
  [ "$(timedatectl show --property NTPSynchronized --value 2>/dev/null)" != no ] ||
    warn 'The clock is not synchronized.' 'timedatectl set-ntp true (Debian: apt-get install systemd-timesyncd)'
}

# A host that downloaded this file with wget may have no curl before the packages are installed.
check_hub_late() {
  [ -z "$hub_checked" ] && has curl || return 0
  check_hub
  [ "$problems" = 0 ] || fail 'The hub cannot be joined; nothing but packages was installed.' 'Fix that, then run the same command again.'
}

check_hub() {
  hub_checked=1
  [ -z "$hub_here" ] && [ -n "$hub" ] || return 0
  code=0
  # Connects directly, as the agent will: a proxy from this shell's environment would hide that the agent cannot. The
  # body is checked because many sites respond with 200 to any path, and limited because some respond with far too much.
  answer=$(curl -sS --noproxy '*' --max-time 15 --max-filesize 4096 -i "$hub/healthz" 2>&1) || code=$?
  case $code in
    0 | 63) ;;
    6) problem "The name of the hub $hub does not resolve here." "Check the address, and the DNS of this host.$(not_by_proxy)" && return 0 ;;
    7) problem "Nothing listens at $hub." "Check the address and port, and the firewalls in between.$(not_by_proxy)" && return 0 ;;
    28) problem "The hub $hub did not answer in 15 s." "Check the firewalls in between.$(not_by_proxy)" && return 0 ;;
    51 | 60)
      problem "The certificate of $hub is not trusted here: $(printf '%s\n' "$answer" | head -n 1)" \
        "Give the hub a certificate of a known CA, or trust its CA here: update-ca-certificates. If it is expired or not valid yet, check this host's clock, which says $(date -u +%F)."
      return 0
      ;;
    *) problem "The hub $hub cannot be reached: $answer" "Check the address, and that the hub is running.$(not_by_proxy)" && return 0 ;;
  esac
  case $answer in
    *' 200'*'"status":"ok"'*) check_skew "$answer" ;;
    *) problem "The server at $hub is not a hub." 'Check the address.' ;;
  esac
}

# not_by_proxy: a hint for users whose browser and curl go through a proxy.
not_by_proxy() {
  [ -z "${https_proxy:-${HTTPS_PROXY:-}}" ] ||
    echo " orkestr connects directly, without the proxy of https_proxy: allow this address in the firewall."
}

# Certificates, tokens and leases depend on the clock.
check_skew() {
  told=$(printf '%s\n' "$1" | tr -d '\r' | sed -n 's/^[Dd]ate: //p' | head -n 1)
  # An empty date would mean midnight.
  [ -n "$told" ] && told_seconds=$(date -d "$told" +%s 2>/dev/null) || return 0
  skew=$(($(date +%s) - told_seconds))
  [ "${skew#-}" -le "$MOST_SKEW_SECONDS" ] || problem "The clock here and the hub's are ${skew#-} s apart." 'Run timedatectl set-ntp true on the host with the wrong clock.'
}
