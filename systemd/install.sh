#!/usr/bin/env bash
# Makes Hookgate a system service, upgrades it, adds plugins to it, removes it; docs/service.md says where things lie.
# Called by make. DESTDIR=/some/root puts all of it under a scratch root: no user is made and no service is touched.
# Never touches what is the operator's: /etc/hookgate/*, /var/lib/hookgate, /var/log/hookgate, drop-ins.
set -euo pipefail
umask 022
cd "$(dirname "$(readlink -f "$0")")/.."

PYTHON=${PYTHON:-python3}
DESTDIR=${DESTDIR:+$(realpath -m "$DESTDIR")}
CHECK=${CHECK:-yes} # CHECK=no upgrades although the new version refuses the configuration
HOME_DIR=$DESTDIR/opt/hookgate
CONFIG_DIR=$DESTDIR/etc/hookgate
LIB_DIR=$DESTDIR/usr/local/lib
COMMAND=$DESTDIR/usr/local/bin/hookgate

SCRATCH= # a folder for the length of this run
RELEASE= # the release that is being built; what is half made does not stay
trap 'rm -rf ${SCRATCH:+"$SCRATCH"} ${RELEASE:+"$RELEASE"}' EXIT

fail() {
  printf 'error: %s\n' "$@" >&2 # a line for each argument
  exit 1
}

is_live() { # whether there is a service manager to talk to
  [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]
}

need_root() {
  [ -n "$DESTDIR" ] || [ "$(id -u)" = 0 ] || fail "this changes the system: sudo make $1"
}

need_python() {
  local real
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "$PYTHON is not Python 3.11 or newer: install it, or say PYTHON=/usr/bin/python3.12"
  "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || fail "$PYTHON lacks venv: apt install python3-venv, or your system's like"
  real=$("$PYTHON" -c 'import os, sys; print(os.path.realpath(sys.executable))')
  case $real in
    /home/* | /root/* | /tmp/*)
      [ -n "$DESTDIR" ] || fail "the service sees neither home folders nor /tmp, where $real is: say PYTHON=/usr/bin/python3"
      ;;
  esac
}

# --- one release: a whole environment in a folder of its own ------------------------------------------------------------

build_release() { # sets RELEASE
  local version
  SCRATCH=$(mktemp -d)
  echo "building the wheel"
  "$PYTHON" -m venv "$SCRATCH/build"
  "$SCRATCH/build/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt
  "$SCRATCH/build/bin/pip" wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir "$SCRATCH" .
  version=$(basename "$SCRATCH"/hookgate-*.whl | cut -d- -f2)
  RELEASE=$HOME_DIR/releases/$version-$(date -u +%Y%m%d%H%M%S)
  echo "installing $version into ${RELEASE#"$DESTDIR"}"
  mkdir -p "$HOME_DIR/releases"
  "$PYTHON" -m venv "$RELEASE"
  "$RELEASE/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
  "$RELEASE/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-index "$SCRATCH"/hookgate-*.whl
  install -D -m 0644 -t "$RELEASE/share/doc/hookgate" docs/*.md config.example.toml CHANGELOG.md
  if [ -s "$HOME_DIR/plugins.txt" ]; then
    echo "adding the plugins of plugins.txt"
    add_to "$RELEASE" -r "$HOME_DIR/plugins.txt"
  fi
  if [ -n "$DESTDIR" ]; then # programs name their interpreter: let it be the one of the real root
    grep -rlI --exclude-dir=lib --exclude-dir=lib64 -- "$DESTDIR" "$RELEASE" | xargs -r sed -i "s|$DESTDIR/opt/|/opt/|g"
  fi
}

add_to() ( # release, pip arguments: nothing that the release has may be moved; paths count from /opt/hookgate
  cd "$HOME_DIR"
  "$1/bin/python" -m pip freeze --exclude hookgate | grep -v ' @ ' >"$1/pins.txt"
  "$1/bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$1/pins.txt" "${@:2}"
)

check_release() { # the new version must take the configuration that the old one runs on
  local credentials=/run/credentials/hookgate.service told
  [ -z "$DESTDIR" ] && [ -e "$HOME_DIR/current" ] && [ "$CHECK" != no ] || return 0
  [ -d "$credentials" ] || credentials=
  echo "asking the new version about $CONFIG_DIR/config.toml"
  told=$(runuser -u hookgate -- env STATE_DIRECTORY=/var/lib/hookgate RUNTIME_DIRECTORY=/run/hookgate \
    ${credentials:+CREDENTIALS_DIRECTORY="$credentials"} "$RELEASE/bin/hookgate" check --config "$CONFIG_DIR/config.toml" 2>&1) ||
    fail "$told" "the new version refuses the configuration: nothing was changed. Correct it, or: make install CHECK=no"
}

switch() { # one rename: whoever starts the service meets the old release or the new one
  ln -sfn "releases/$(basename "$RELEASE")" "$HOME_DIR/current.new"
  mv -T "$HOME_DIR/current.new" "$HOME_DIR/current"
  NAME=$(basename "$RELEASE")
  RELEASE=
}

forget_old_releases() { # the current one and the one before stay
  find "$HOME_DIR/releases" -mindepth 1 -maxdepth 1 ! -name "$NAME" -printf '%T@ %f\n' | sort -rn | tail -n +2 |
    while read -r _ old; do rm -rf "${HOME_DIR:?}/releases/$old"; done
}

# --- around it: user, folders, units ------------------------------------------------------------------------------------

make_user() {
  [ -z "$DESTDIR" ] || return 0
  getent passwd hookgate >/dev/null && return 0
  if command -v systemd-sysusers >/dev/null; then
    systemd-sysusers "$LIB_DIR/sysusers.d/hookgate.conf"
  else
    useradd --system --user-group --no-create-home --home-dir /var/lib/hookgate --shell /usr/sbin/nologin hookgate
  fi
}

own() { # owner, path: only on the real root
  [ -n "$DESTDIR" ] || chown "$1" "$2"
}

make_folders() {
  install -d -m 0750 "$CONFIG_DIR" "$CONFIG_DIR/plugins" "$DESTDIR/var/log/hookgate"
  install -d -m 0700 "$CONFIG_DIR/secrets" "$DESTDIR/var/lib/hookgate"
  own root:hookgate "$CONFIG_DIR"
  own root:hookgate "$CONFIG_DIR/plugins"
  own hookgate:hookgate "$CONFIG_DIR/secrets"
  own hookgate:hookgate "$DESTDIR/var/lib/hookgate"
  own hookgate:hookgate "$DESTDIR/var/log/hookgate"
  if [ ! -e "$CONFIG_DIR/config.toml" ]; then
    install -m 0640 systemd/config.toml "$CONFIG_DIR/config.toml"
    own root:hookgate "$CONFIG_DIR/config.toml"
  fi
}

install_units() {
  install -d "$LIB_DIR/systemd/system" "$LIB_DIR/sysusers.d" "$LIB_DIR/tmpfiles.d" "$(dirname "$COMMAND")"
  install -m 0644 systemd/*.service systemd/*.socket "$LIB_DIR/systemd/system/"
  install -m 0644 systemd/sysusers.d/hookgate.conf "$LIB_DIR/sysusers.d/"
  install -m 0644 systemd/tmpfiles.d/hookgate.conf "$LIB_DIR/tmpfiles.d/"
  ln -sfn /opt/hookgate/current/bin/hookgate "$COMMAND"
}

restart() { # hookgate.socket goes on holding the listener: who connects meanwhile waits, nobody is refused
  is_live || return 0
  systemctl daemon-reload
  if systemctl is-active --quiet hookgate.service; then
    echo "restarting hookgate.service"
    systemctl restart hookgate.service ||
      fail "the new release does not start: journalctl -u hookgate -n 50; docs/service.md says how to go back"
  fi
}

# --- verbs --------------------------------------------------------------------------------------------------------------

install_all() {
  need_root install
  need_python
  build_release
  check_release
  install_units
  make_user
  make_folders
  switch
  restart
  forget_old_releases
  cat <<TEXT

Hookgate $NAME is installed${DESTDIR:+ under $DESTDIR}. If this is the first time:
  1. write /etc/hookgate/config.toml; put secrets into /etc/hookgate/secrets (owner hookgate, mode 0600)
  2. sudo hookgate check --unit
  3. sudo systemctl enable --now hookgate.socket hookgate.service
TEXT
}

add_plugin() {
  local spec=${PLUGIN:-} wheel
  need_root "plugin PLUGIN=$spec"
  [ -n "$spec" ] || fail "which one? make plugin PLUGIN=plugins/hookgate-flatten, or the name of a package"
  [ -e "$HOME_DIR/current" ] || fail "Hookgate is not installed: sudo make install"
  if [ -e "$spec" ]; then # kept as a wheel, so that the next upgrade finds it
    SCRATCH=$(mktemp -d)
    "$HOME_DIR/current/bin/python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$SCRATCH" "$spec"
    wheel=$(basename "$SCRATCH"/*.whl)
    install -d "$HOME_DIR/plugins"
    rm -f "$HOME_DIR/plugins/${wheel%%-*}"-*.whl
    install -m 0644 "$SCRATCH/$wheel" "$HOME_DIR/plugins/"
    [ ! -e "$HOME_DIR/plugins.txt" ] || sed -i "\|^./plugins/${wheel%%-*}-|d" "$HOME_DIR/plugins.txt"
    spec=./plugins/$wheel
    add_to "$HOME_DIR/current" --force-reinstall --no-deps "$spec" # also if the version is the same
  fi
  add_to "$HOME_DIR/current" "$spec"
  grep -qxF -- "$spec" "$HOME_DIR/plugins.txt" 2>/dev/null || echo "$spec" >>"$HOME_DIR/plugins.txt"
  echo "added. Name it in the configuration, then: hookgate check && sudo systemctl restart hookgate"
}

uninstall_all() {
  need_root uninstall
  local unit
  if is_live; then
    systemctl disable --now hookgate.socket hookgate.service 2>/dev/null || true
    for unit in systemd/hookgate-*.socket; do
      [ ! -e "$unit" ] || systemctl disable --now "$(basename "$unit")" 2>/dev/null || true
    done
  fi
  for unit in systemd/*.service systemd/*.socket; do rm -f "$LIB_DIR/systemd/system/$(basename "$unit")"; done
  rm -f "$LIB_DIR/sysusers.d/hookgate.conf" "$LIB_DIR/tmpfiles.d/hookgate.conf" "$COMMAND"
  rm -rf "${HOME_DIR:?}"
  if is_live; then systemctl daemon-reload; fi
  echo "Hookgate is removed. Left as they are: /etc/hookgate, /var/lib/hookgate, /var/log/hookgate, the user hookgate."
}

case ${1:-} in
  install) install_all ;;
  plugin) add_plugin ;;
  uninstall) uninstall_all ;;
  *) fail "expected install, plugin or uninstall, found '${1:-}'" ;;
esac
