# Downloads and verifies the release, unpacks it beside earlier ones, and makes it the current one.

version_is_given=''

install_release() {
  choose_version
  keep_newer
  release=$ROOT_FOLDER/releases/$version
  if [ ! -d "$release" ]; then
    act "unpack orkestr $version" unpack_release
  elif [ -n "$hub_here" ] && [ ! -f "$ROOT_FOLDER/served/release.json" ]; then
    # It was installed before this host had a hub.
    act "keep orkestr $version for other hosts" serve_release
  fi
  if [ "$(readlink "$ROOT_FOLDER/current" 2>/dev/null)" != "releases/$version" ]; then
    act "make $version the current release" make_current
  fi
  for program in orkestr orkestr-agent orkestr-hub orkestr-proxy; do
    [ "$(readlink "/usr/local/bin/$program")" = "$ROOT_FOLDER/current/bin/$program" ] ||
      act "link /usr/local/bin/$program" ln -sfn "$ROOT_FOLDER/current/bin/$program" "/usr/local/bin/$program"
  done
}

choose_version() {
  if [ -n "$version" ]; then
    version_is_given=1
  elif [ -n "$channel" ]; then
    version=$(newest_version)
  else
    version=$RELEASE_VERSION
  fi
  [ -n "$version" ] || fail 'This installer does not belong to a release.' 'Use the install.sh of a release or of a hub, or give --version.'
}

newest_version() {
  [ -n "$RELEASE_URL" ] || fail 'This installer does not know where releases are published.' 'Give --version, or use the installer that is published with the releases.'
  list=$RELEASE_URL/channels/$channel
  newest=$(fetch "$list") || fail "$list could not be fetched." 'Check the name of the channel and the network of this host, or give --version.'
  newest=$(printf '%s\n' "$newest" | head -n 1)
  printf '%s\n' "$newest" | grep -Eq -- "$VERSION_PATTERN" || fail "$list does not name a version." 'Give --version.'
  echo "$newest"
}

# An older version may not read what a newer one has written: running an old command again must not downgrade.
keep_newer() {
  present=$(readlink "$ROOT_FOLDER/current" 2>/dev/null) || return 0
  present=${present##*/}
  [ -z "$version_is_given" ] && is_newer "$present" "$version" || return 0
  warn "orkestr $present is already installed, which is newer than $version: keeping it." "To go back to the older version: --version $version"
  version=$present
}

# is_newer VERSION OTHER: by semver.org, 1.0.0-rc.1 precedes 1.0.0. `sort -V` orders ~ like that.
is_newer() {
  [ "$1" != "$2" ] && at_least "$(printf '%s\n' "$1" | sed 's/-/~/')" "$(printf '%s\n' "$2" | sed 's/-/~/')"
}

# fetch URL: from the hub directly, like all our connections to it (check_hub); else with this shell's proxy settings.
fetch() {
  case $1 in
    "$hub"/*) curl -fsSL --noproxy '*' --retry 3 --max-time 600 -- "$1" ;;
    *) curl -fsSL --retry 3 --max-time 600 -- "$1" ;;
  esac
}

# get_file NAME FOLDER
get_file() {
  if [ -n "$offline" ]; then
    cp -- "$offline/$1" "$2/$1" || fail "$offline has no $1." 'Give the folder of a complete release.'
    return 0
  fi
  if [ -z "$hub_here" ] && [ -n "$hub" ] && [ "$version" = "$RELEASE_VERSION" ]; then
    place=$hub/releases
  elif [ -n "$RELEASE_URL" ]; then
    place=$RELEASE_URL/$version
  else
    fail "There is no known source for orkestr $version." 'Give --offline FOLDER with the files of the release.'
  fi
  fetch "$place/$1" >"$2/$1" || fail "$place/$1 could not be fetched." "Check the address, and the network of this host. With 404, it has no $version for $target."
}

unpack_release() {
  fetch_release
  [ -z "$hub_here" ] || keep_served
  # Its files reach the disk before its name: after a power cut, a release folder that exists is taken as complete.
  sync -f "$making"
  mv "$making/orkestr-$version-$target" "$release"
  rm -rf "$making"
}

serve_release() {
  fetch_release
  keep_served
  rm -rf "$making"
}

# Downloads and verifies archive, checksums and signature, and unpacks the archive beside them.
fetch_release() {
  archive=orkestr-$version-$target.tar.xz
  mkdir -p "$ROOT_FOLDER/releases"
  chmod 755 "$ROOT_FOLDER" "$ROOT_FOLDER/releases"
  # Beside its final place, so that an interrupted run leaves no partial release under a final name.
  making=$ROOT_FOLDER/releases/.making
  rm -rf "$making"
  mkdir -m 700 "$making"
  for file in SHA256SUMS SHA256SUMS.sig "$archive"; do get_file "$file" "$making"; done
  check_release "$making" "$archive"
  tar --extract --file "$making/$archive" --directory "$making" --no-same-owner
}

# Verifies the signature of the checksums, then the checksum of the archive, before anything is unpacked.
check_release() {
  check_signature "$1"
  check_sum "$1" "$2"
}

# check_sum FOLDER NAME
check_sum() {
  (cd "$1" && grep -F "  $2" SHA256SUMS | sha256sum --check --status) ||
    fail "$2 does not match the release's list of checksums." 'Download it again. If this persists, do not use it.'
}

# OpenSSL before 3.0 cannot verify ed25519. There, and only there, the checksum of the list that the hub or the release
# has put into this file replaces the signature: whoever could change it could change this script as well.
check_signature() {
  if openssl version | grep -q '^OpenSSL [3-9]'; then
    [ -n "$RELEASE_KEY" ] || fail 'This installer has no key to verify a release.' 'Use the install.sh of a release or of a hub.'
    printf -- '-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n' "$RELEASE_KEY" >"$1/key.pem"
    openssl pkeyutl -verify -pubin -inkey "$1/key.pem" -rawin -in "$1/SHA256SUMS" -sigfile "$1/SHA256SUMS.sig" >/dev/null 2>&1 ||
      fail 'The signature of the release is wrong: it was not made by the publisher of this installer.' 'Do not use the release. Download installer and release again.'
    return 0
  fi
  sums=${HUB_SUMS_SHA256:-$RELEASE_SUMS_SHA256}
  if [ -z "$sums" ] || [ "$version" != "$RELEASE_VERSION" ]; then
    fail "$(openssl version) cannot verify the signature of the release." "Install OpenSSL 3, or use the install.sh that was published with $version."
  fi
  printf '%s  %s\n' "$sums" "$1/SHA256SUMS" | sha256sum --check --status ||
    fail 'The list of checksums is not the one that this installer was made with.' 'Download installer and release again, from the same place.'
}

# The files that a hub on this host serves to others, which may have another processor. Installer and list of files are
# derived from what the signature covers: their published copies are not signed, and other hosts run that installer as
# root.
keep_served() {
  served=$ROOT_FOLDER/served
  unpacked=$making/orkestr-$version-$target
  rm -rf "$served.new"
  mkdir -p "$served.new"
  cp -- "$making/SHA256SUMS" "$making/SHA256SUMS.sig" "$making/$archive" "$unpacked/install.sh" "$served.new/"
  for other in $(other_archives); do
    # A folder for hosts without internet need not have all archives.
    [ -z "$offline" ] || [ -f "$offline/$other" ] || continue
    get_file "$other" "$served.new"
    check_sum "$served.new" "$other"
  done
  list_release "$served.new" >"$making/release.json"
  mv -- "$making/release.json" "$served.new/"
  chmod -R a+rX "$served.new"
  sync -f "$served.new"
  rm -rf "$served"
  mv "$served.new" "$served"
}

# list_release FOLDER: prints release.json for its files, in the format of protocol/release.ts.
list_release() {
  protocol=$(sed -n 's/.*"protocol": *\([0-9][0-9]*\).*/\1/p' "$unpacked/origin.json")
  printf '{"version":"%s","publicKey":"%s","protocol":%s,"files":[' "$version" "$RELEASE_KEY" "${protocol:-1}"
  comma=''
  for path in "$1"/*; do
    sum=$(sha256sum <"$path")
    printf '%s{"name":"%s","bytes":%s,"sha256":"%s"}' "$comma" "${path##*/}" "$(wc -c <"$path")" "${sum%% *}"
    comma=,
  done
  printf ']}\n'
}

other_archives() {
  sed -n 's/^[0-9a-f]*  \(orkestr-[A-Za-z0-9.-]*\.tar\.xz\)$/\1/p' "$making/SHA256SUMS" | grep -vxF -- "$archive" || true
}

make_current() {
  chmod 755 "$release"
  ln -sfn "releases/$version" "$ROOT_FOLDER/current.new"
  mv -Tf "$ROOT_FOLDER/current.new" "$ROOT_FOLDER/current"
  sync "$ROOT_FOLDER"
}
