# Programs that orkestr needs from the distribution.

# program=Debian package=package of RHEL-likes
NEEDED='curl=curl=curl update-ca-certificates=ca-certificates=- update-ca-trust=-=ca-certificates tar=tar=tar cmp=diffutils=diffutils xz=xz-utils=xz git=git=git iptables=iptables=iptables-nft ip=iproute2=iproute ss=iproute2=iproute nsenter=util-linux=util-linux fstrim=util-linux=util-linux mkfs.ext4=e2fsprogs=e2fsprogs openssl=openssl=openssl'

# How long to wait for another package manager: a new machine starts by updating itself.
LOCK_SECONDS=600
LOCK_PAUSE_SECONDS=5
LOCK_PATTERN='Could not get lock|locked by another process'

packages_mended=''

check_packages() {
  missing=$(missing_packages)
  [ -z "$missing" ] || has apt-get || has dnf ||
    problem "Neither apt-get nor dnf is available to install: $missing" 'Install these packages by hand.'
}

install_packages() {
  missing=$(missing_packages)
  [ -z "$missing" ] || add_packages "$missing"
}

missing_packages() {
  for entry in $NEEDED; do
    has "${entry%%=*}" || package_of "$entry"
  done | grep -vx -- - | sort -u | paste -s -d ' '
}

# package_of program=debian=rhel: prints the name of its package; - if no package of that distribution has it.
package_of() {
  names=${1#*=}
  if has apt-get; then echo "${names%=*}"; else echo "${names#*=}"; fi
}

# add_packages "NAME…"
add_packages() {
  mend_packages
  act "install $1" get_packages "$1"
}

# apt installs nothing while an interrupted run has left packages half configured.
mend_packages() {
  if has apt-get && [ -n "$(dpkg --audit)" ] && [ -z "$packages_mended" ]; then
    packages_mended=1
    act 'finish an interrupted run of dpkg: dpkg --configure -a' run_manager 'finish its interrupted run' \
      dpkg --configure -a --force-confdef --force-confold
  fi
}

get_packages() {
  # Split on purpose: a list of names.
  # shellcheck disable=SC2086
  if has apt-get; then
    run_manager 'read its lists' apt-get -q update
    run_manager "install $1" apt-get -q -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
      install --no-install-recommends -- $1
  else
    run_manager "install $1" dnf -q -y install -- $1
  fi
}

# run_manager WHAT COMMAND…: asks nothing, restarts no other services, and reads nothing, because standard input may
# hold the join token.
run_manager() {
  doing=$1
  shift
  log=$(mktemp)
  wait_for_lock env LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l "$@" || {
    tail -n 15 "$log" >&2
    rm -f "$log"
    fail "The package manager could not $doing." 'See its last lines above.'
  }
  rm -f "$log"
}

# apt's DPkg::Lock::Timeout is not enough: it does not cover the lock of the package lists, and it waits silently.
wait_for_lock() {
  waited=0
  until "$@" </dev/null >"$log" 2>&1; do
    held=$(grep -E -m 1 -- "$LOCK_PATTERN" "$log") || return 1
    [ "$waited" -lt "$LOCK_SECONDS" ] || return 1
    [ "$waited" != 0 ] || say "waiting  for another package manager, at most $((LOCK_SECONDS / 60)) minutes: $held"
    sleep "$LOCK_PAUSE_SECONDS"
    waited=$((waited + LOCK_PAUSE_SECONDS))
  done
}
