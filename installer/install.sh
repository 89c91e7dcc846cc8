#!/bin/sh
# Installs orkestr on this host, or brings it to another version. Safe to repeat: what is done is left as it is.
# A release has all of this in one file; the parts stand in installer/install/.
set -eu

# What a release puts in (installer/release/installer-text.ts).
RELEASE_VERSION=''
RELEASE_KEY=''
RELEASE_URL=''
# What a hub puts in when it serves this file (hub/api/releases.ts).
HUB_URL=''
HUB_SUMS_SHA256=''

usage() {
  cat <<'END'
Installs orkestr on this host. As root:

  curl -fsSL https://HUB/install.sh | sh -s -- --hub https://HUB --token JOIN   an agent host
  sh install.sh --hub-here --domain hub.example.com --email you@example.com     the hub, and this host with it

  --hub URL          the hub that this host joins
  --token TOKEN      join token from `orkestr hosts add NAME`; - reads it from standard input
  --name NAME        what the hub calls this host (default: its host name)
  --hub-here         install the hub on this host, too
  --domain NAME      the hub's domain: https by ACME, apps get names below it
  --email ADDRESS    of the first user, and for the certificates' CA
  --listen ADDR:PORT where the hub listens (default 127.0.0.1:7700)
  --public-url URL   address of the hub for others, where that is not https://DOMAIN
  --allow-http       take a hub without TLS: for a private network or a test only
  --offline FOLDER   take the release from this folder; packages that are missing still come from the distribution
  --version V        this version (default: the one that this file belongs to)
  --channel NAME     the newest version of a channel, e.g. stable
  --dry-run          check this host and print what would change
  --help

Examples:
  sh install.sh --dry-run --hub https://hub.example.com --token -
  sh install.sh --hub-here                                    # then: ssh -L 7700:127.0.0.1:7700 this-host
  sh install.sh --hub-here --offline /root/orkestr-release    # a host without internet that has Docker

Off again: orkestr-agent uninstall
END
}

ROOT_FOLDER=/opt/orkestr
CONFIG_FOLDER=/etc/orkestr
STATE_FOLDER=/var/lib/orkestr
RUN_FOLDER=/run/orkestr
UNIT_FOLDER=/etc/systemd/system

hub=$HUB_URL token='' name='' hub_here='' domain='' email='root@localhost' listen='127.0.0.1:7700' public_url=''
allow_http='' offline='' version=$RELEASE_VERSION channel='' dry_run=''

read_options() {
  while [ $# -gt 0 ]; do
    case $1 in
      --hub-here) hub_here=1 ;;
      --allow-http) allow_http=1 ;;
      --dry-run) dry_run=1 ;;
      --help) usage && exit 0 ;;
      --hub | --token | --name | --domain | --email | --listen | --public-url | --offline | --version | --channel)
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
    --public-url) public_url=${2%/} ;;
    --offline) offline=$2 ;;
    --version) version=$2 ;;
    --channel) channel=$2 ;;
  esac
}

URL_PATTERN='^https?://([A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\])(:[0-9]+)?$|^$'

# What becomes part of a path, a URL or a configuration file is checked before it does.
check_options() {
  must_match version "$version" '^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$|^$'
  must_match channel "$channel" '^[a-z0-9-]{0,30}$'
  must_match hub "$hub" "$URL_PATTERN"
  must_match public-url "$public_url" "$URL_PATTERN"
  must_match domain "$domain" '^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]+$|^$'
  must_match email "$email" '^[^[:space:]@"]+@[^[:space:]@"]+$'
  must_match listen "$listen" '^[A-Za-z0-9.:-]+:[0-9]+$'
  must_match name "$name" '^[A-Za-z0-9][A-Za-z0-9._ -]{0,59}$|^$'
  [ -n "$name" ] || name=$(uname -n)
  [ -z "$domain" ] || [ "$email" != root@localhost ] ||
    fail '--domain needs --email.' 'The CA that gives the certificate writes there before it ends.'
  if [ -n "$hub_here" ]; then
    hub=http://127.0.0.1:${listen##*:}
  elif [ -z "$hub" ] && ! is_joined; then
    fail 'Neither a hub to join nor --hub-here is given.' 'sh install.sh --help shows both.'
  fi
  for address in "$hub" "$public_url"; do
    case $address in
      http://127.0.0.1:* | https://* | '') ;;
      *) [ -n "$allow_http" ] || fail "The hub $address has no TLS: whoever is between could read and change everything." \
        'Give its https address, or --allow-http in a private network.' ;;
    esac
  done
}

# must_match OPTION VALUE PATTERN: grep looks at lines, so a value has to be one.
must_match() {
  if [ "$(printf '%s\n' "$2" | wc -l)" -eq 1 ] && printf '%s\n' "$2" | grep -Eq -- "$3"; then return 0; fi
  fail "--$1: \"$2\" is not valid." 'sh install.sh --help shows what it means.'
}

# @parts
here=$(dirname -- "$0")/install
for part in say checks packages release host hub; do
  # shellcheck source=/dev/null
  . "$here/$part.sh"
done
# @end

main() {
  read_options "$@"
  check_host
  install_packages
  install_engine
  install_release
  install_host
  [ -z "$hub_here" ] || install_hub
  join_hub
  finish
}

# The last line: a download that was cut off runs nothing.
main "$@"
