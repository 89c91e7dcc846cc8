#!/bin/sh
# Installs orkestr on this host, or changes its version. Safe to repeat: steps that are already done are left alone.
# A release has everything in one file; the parts are in installer/install/.
set -eu

# Filled in by a release (installer/release/installer-text.ts).
RELEASE_VERSION=''
RELEASE_KEY=''
RELEASE_URL=''
# Only in the copy beside the archives: the SHA-256 of their list of checksums.
RELEASE_SUMS_SHA256=''
# Filled in by a hub that serves this file (hub/api/distribution.ts).
HUB_URL=''
HUB_SUMS_SHA256=''

usage() {
  cat <<'END'
Installs orkestr on this host. Run as root:

  curl -fsSL https://HUB/install.sh | sh -s -- --hub https://HUB --token JOIN   an agent host
  sh install.sh --hub-here --domain hub.example.com --email you@example.com     the hub, and this host with it

  --hub URL          the hub that this host joins
  --token TOKEN      join token from `orkestr hosts add NAME`; with -, read from standard input
  --name NAME        name of this host at the hub (default: its host name)
  --hub-here         install the hub on this host too
  --domain NAME      domain of the hub: enables https by ACME; apps get names below it
  --email ADDRESS    for the CA (without it, apps have no https) and for the first user
  --listen ADDR:PORT where the hub listens (default 127.0.0.1:7700)
  --http [ADDR:]PORT   where the proxy listens (default 80), if your own web server forwards visitors to it
  --https [ADDR:]PORT  the same for https (default 443)
  --public-address ADDRESS[,ADDRESS]   public addresses of this host, if it is behind NAT and cannot reach itself
                     there (no hairpin)
  --public-url URL   public address of the hub, if that is not https://DOMAIN; if another machine
                     terminates TLS there, name it in /etc/orkestr/hub.env: ORKESTR_HUB_TRUSTED
  --allow-http       accept a hub without TLS: only for private networks and tests
  --offline FOLDER   take the release from this folder; missing packages still come from the distribution
  --version V        install this version (default: the one that this file belongs to)
  --channel NAME     install the newest version of a channel, e.g. stable
  --dry-run          check this host and print what would change
  --help

Examples:
  sh install.sh --dry-run --hub https://hub.example.com --token -
  sh install.sh --hub-here                                    # then: ssh -L 7700:127.0.0.1:7700 this-host
  sh install.sh --hub-here --offline /root/orkestr-release    # for a host without internet that has Docker
  sh install.sh --email you@example.com                       # later: changes the given settings only
  sh install.sh --http 127.0.0.1:8080 --https 127.0.0.1:8443  # behind your nginx or Caddy, which stays on 80 and 443

To uninstall: orkestr-agent uninstall
END
}

ROOT_FOLDER=/opt/orkestr
CONFIG_FOLDER=/etc/orkestr
STATE_FOLDER=/var/lib/orkestr
RUN_FOLDER=/run/orkestr
UNIT_FOLDER=/etc/systemd/system
PROCESS_FOLDER=/proc
CGROUP_FOLDER=/sys/fs/cgroup
SYSTEMD_FOLDER=/run/systemd
ENGINE_SETTINGS=/etc/docker/daemon.json

hub=$HUB_URL token='' name='' hub_here='' domain='' email='' listen='' http='' https='' public_address='' public_url=''
allow_http='' offline='' version='' channel='' dry_run=''

read_options() {
  while [ $# -gt 0 ]; do
    case $1 in
      --hub-here) hub_here=1 ;;
      --allow-http) allow_http=1 ;;
      --dry-run) dry_run=1 ;;
      --help) usage && exit 0 ;;
      --hub | --token | --name | --domain | --email | --listen | --http | --https | --public-address | --public-url | --offline | --version | --channel)
        [ $# -ge 2 ] || fail "$1 has no value." 'sh install.sh --help shows all options.'
        set_option "$1" "$2"
        shift
        ;;
      *) fail "There is no option $1." 'sh install.sh --help shows all options.' ;;
    esac
    shift
  done
  check_options
}

set_option() {
  case $1 in
    --hub) hub=${2%/} ;;
    --token) token=$2 ;;
    --name) name=$2 ;;
    --domain) domain=$2 ;;
    --email) email=$2 ;;
    --listen) listen=$2 ;;
    --http) http=$2 ;;
    --https) https=$2 ;;
    --public-address) public_address=$2 ;;
    --public-url) public_url=${2%/} ;;
    --offline) offline=$2 ;;
    --version) version=$2 ;;
    --channel) channel=$2 ;;
  esac
}

VERSION_PATTERN='^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$'
EDGE_PATTERN='^(([0-9]+\.){3}[0-9]+:|\[[0-9a-fA-F:]+\]:)?[0-9]{1,5}$|^$'
IP_PATTERN='([0-9]{1,3}\.){3}[0-9]{1,3}|[0-9a-fA-F:]*:[0-9a-fA-F:]+'
URL_PATTERN='^https?://([A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\])(:[0-9]+)?$|^$'

# Validates values before they become part of a path, a URL or a configuration file.
check_options() {
  must_match version "$version" "$VERSION_PATTERN|^\$"
  must_match channel "$channel" '^[a-z0-9-]{0,30}$'
  must_match hub "$hub" "$URL_PATTERN"
  must_match public-url "$public_url" "$URL_PATTERN"
  must_match domain "$domain" '^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]+$|^$'
  must_match email "$email" '^[^[:space:]@"]+@[^[:space:]@"]+$|^$'
  must_match listen "$listen" '^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$|^$'
  must_match http "$http" "$EDGE_PATTERN"
  must_match https "$https" "$EDGE_PATTERN"
  must_match public-address "$public_address" "^($IP_PATTERN)(,($IP_PATTERN))*\$|^\$"
  must_match name "$name" '^[A-Za-z0-9][A-Za-z0-9._ -]{0,59}$|^$'
  [ -n "$name" ] || name=$(uname -n)
  [ -z "$domain" ] || [ -n "$email" ] ||
    fail '--domain needs --email.' 'The CA writes to this address before the certificate expires.'
  if [ -n "$hub_here" ]; then
    hub=$(hub_at "$(listens_at)")
    [ -z "$domain" ] || hub_target | grep -Eq '^[0-9.]+$' ||
      fail "The proxy cannot serve a hub at $(listens_at): it can reach it only by an IPv4 address." 'Give one: --listen 127.0.0.1:7700'
  elif [ -z "$hub" ] && is_damaged; then
    fail "$DAMAGED" "$DAMAGED_MEND On the hub's own host: --hub-here."
  elif [ -z "$hub" ] && ! is_joined; then
    fail 'Give a hub to join (--hub URL), or --hub-here.' 'sh install.sh --help explains both.'
  else
    must_be_safe "$hub"
  fi
  must_be_safe "$public_url"
}

# must_be_safe ADDRESS
must_be_safe() {
  case $1 in
    http://127.0.0.1:* | 'http://[::1]:'* | https://* | '') ;;
    *) [ -n "$allow_http" ] || fail "The hub $1 has no TLS: anyone on the network path could read and change everything." \
      'Give its https address, or add --allow-http in a private network.' ;;
  esac
}

# must_match OPTION VALUE PATTERN: grep matches line by line, so a value must be a single line.
must_match() {
  if [ "$(printf '%s\n' "$2" | wc -l)" -eq 1 ] && printf '%s\n' "$2" | grep -Eq -- "$3"; then return 0; fi
  fail "--$1: \"$2\" is not valid." 'sh install.sh --help explains the option.'
}

# @parts
here=$(dirname -- "$0")/install
for part in say settings checks edge ports packages engine release host hub; do
  # shellcheck source=/dev/null
  . "$here/$part.sh"
done
# @end

# `su` without a hyphen keeps the PATH of a user, which lacks the administrator's programs.
complete_path() {
  for folder in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
    case :${PATH-}: in
      *:$folder:*) ;;
      *) PATH=${PATH:+$PATH:}$folder ;;
    esac
  done
  export PATH
}

main() {
  complete_path
  read_options "$@"
  check_host
  install_packages
  check_hub_late
  check_ports_late
  install_engine
  install_release
  install_host
  [ -z "$hub_here" ] || install_hub
  join_hub
  check_rules
  finish
}

# On the last line, so that a truncated download runs nothing.
main "$@"
