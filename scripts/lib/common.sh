# common.sh - what every script here shares: where things are, how to speak, how to be another user
#
# Sourced, never run. Sets DOCMILL_SOURCE (the checkout), DOCMILL_CACHE (things that are slow to make again) and
# DOCMILL_ACCOUNT (the ordinary account that runs the database and the daemon: the caller, or `postgres` for root).
# A script that sources this runs under `set -euo pipefail`.
#
# Diagnostics
#   die    one sentence on standard error, exit status 1 (2 for a wrong command line)

set -euo pipefail
export LC_ALL=C.UTF-8 LANG=C.UTF-8 # pandoc writes the language of LANG into its e-books

DOCMILL_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
DOCMILL_CACHE=${DOCMILL_CACHE:-${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/docmill}

if [ -t 1 ]; then
    BOLD=$'\033[1m' PLAIN=$'\033[0m'
else
    BOLD='' PLAIN=''
fi

step() { printf '%s==> %s%s\n' "$BOLD" "$*" "$PLAIN"; }
say() { printf '    %s\n' "$*"; }
warn() { printf '%s: warning: %s\n' "${0##*/}" "$*" >&2; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}
usage_error() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    printf 'Try: %s --help\n' "$0" >&2
    exit 2
}

# The comment at the top of the script is its manual.
print_manual() { sed -n '2,/^[^#]/{/^#/!q;s/^# \{0,1\}//;p}' "$0"; }

is_root() { [ "$(id -u)" = 0 ]; }

as_root() {
    if is_root; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "root is needed to install packages: run this as root, or install sudo"
    fi
}

# The database refuses to run as root, and the daemon should not either.
account_name() {
    if is_root; then
        printf '%s' "${DOCMILL_ACCOUNT:-postgres}"
    else
        id -un
    fi
}

as_account() {
    if is_root; then
        local account home
        account=$(account_name)
        home=$(getent passwd "$account" | cut -d: -f6)
        setpriv --reuid="$account" --regid="$(id -gn "$account")" --init-groups \
            env -C / HOME="$home" USER="$account" LOGNAME="$account" "$@"
    else
        "$@"
    fi
}

# A directory that the account owns and nobody else may enter.
make_private_dir() {
    local dir
    for dir in "$@"; do
        mkdir -p "$dir"
        chmod 0700 "$dir"
        if is_root; then
            chown "$(account_name):" "$dir"
        fi
    done
}

# Waits until a command succeeds: wait_until SECONDS COMMAND...
wait_until() {
    local limit=$1 end
    shift
    end=$((SECONDS + limit))
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}
