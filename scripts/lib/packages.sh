# packages.sh - the Debian packages that docmill needs, and their installation
#
# The lists below are the only place where package names stand. `a|b` means: whichever this release of Debian has.
# packages_ensure LIST... says what is there and what is missing, asks on a terminal, and installs what is missing;
# it never upgrades or removes anything. Without a terminal, or with PACKAGES_YES=1, it does not ask.
#
# Installing PostgreSQL's package would create and start a cluster of its own. create_main_cluster is switched off
# before that and put back afterwards, so no cluster appears and none that exists is touched.
#
# Depends on common.sh. PG_MAJOR is the PostgreSQL version of this release of Debian.

PACKAGES_YES=${PACKAGES_YES:-0}
PACKAGES_CLUSTER_CONF=/etc/postgresql-common/createcluster.conf

release_codename() { (. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}"); }

pg_major() {
    case $(release_codename) in
    bookworm) echo 15 ;;
    trixie) echo 17 ;;
    *) apt-cache show postgresql 2>/dev/null | sed -n 's/^Version: \([0-9]*\)+.*/\1/p' | head -1 | grep . || echo 15 ;;
    esac
}
PG_MAJOR=${PG_MAJOR:-$(pg_major)}
PG_BINDIR=/usr/lib/postgresql/$PG_MAJOR/bin

PACKAGES_build="build-essential cmake ninja-build pkg-config libpq-dev libcurl4-openssl-dev libconfig-dev
    libmsgpack-dev|libmsgpack-c-dev libsystemd-dev libmicrohttpd-dev libjansson-dev libssl-dev libtalloc-dev
    libmagic-dev libseccomp-dev libxml2-dev"
PACKAGES_run="postgresql-$PG_MAJOR poppler-utils pandoc"
PACKAGES_test="libcriterion-dev curl python3 python3-pytest python3-pytest-xdist python3-psycopg qpdf clang-14
    libclang-rt-14-dev zsh bash-completion"
PACKAGES_long="clang-format clang-tidy gcovr spin"
PACKAGES_package="debhelper dpkg-dev fakeroot lintian systemd-dev|systemd"
PACKAGES_systemd="debootstrap systemd-container"
PACKAGES_corpus="python3 pandoc poppler-utils file"
PACKAGES_tokenizer="nodejs npm"
PACKAGES_pgvector_build="postgresql-server-dev-$PG_MAJOR postgresql-server-dev-all debhelper build-essential fakeroot dpkg-dev"

package_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

package_available() {
    local candidate
    candidate=$(apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: //p')
    [ -n "$candidate" ] && [ "$candidate" != "(none)" ]
}

# The names of a list, alternatives resolved, one a line.
packages_names() {
    local list entry name chosen
    for list in "$@"; do
        local variable=PACKAGES_$list
        for entry in ${!variable}; do
            chosen=''
            for name in ${entry//|/ }; do
                if package_installed "$name" || package_available "$name"; then
                    chosen=$name
                    break
                fi
            done
            echo "${chosen:-${entry%%|*}}"
        done
    done | sort -u
}

packages_missing() {
    local name
    for name in $(packages_names "$@"); do
        package_installed "$name" || echo "$name"
    done
}

packages_confirm() {
    [ "$PACKAGES_YES" = 1 ] && return 0
    [ -t 0 ] && [ -t 1 ] || return 0
    local answer
    read -r -p "    Install them now? [Y/n] " answer
    case $answer in
    '' | [yY]*) return 0 ;;
    *) die "nothing was installed" ;;
    esac
}

# Says what was found and what will be installed. Sets PACKAGES_TODO.
packages_report() {
    local all missing
    all=$(packages_names "$@" | wc -l)
    missing=$(packages_missing "$@")
    PACKAGES_TODO=$missing
    say "found   $((all - $(wc -w <<<"$missing"))) of $all packages"
    if [ -n "$missing" ]; then
        say "missing $(wc -w <<<"$missing"), will be installed with apt-get:"
        fold -s -w 100 <<<"$(tr '\n' ' ' <<<"$missing")" | sed 's/^/        /'
    fi
}

apt_quietly() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" </dev/null
}

packages_update_lists() {
    step "Reading the package lists (apt-get update)"
    apt_quietly update >/dev/null || die "apt-get update failed; its message is above"
}

# PostgreSQL's package reads createcluster.conf when it is installed; postgresql-common brings that file.
packages_cluster_off() {
    package_installed "postgresql-$PG_MAJOR" && return 0
    package_installed postgresql-common || apt_quietly install --no-install-recommends postgresql-common >/dev/null
    packages_cluster_restore
    as_root cp -p "$PACKAGES_CLUSTER_CONF" "$PACKAGES_CLUSTER_CONF.docmill-saved"
    # the last setting of a key wins
    as_root sh -c "echo 'create_main_cluster = false' >>$PACKAGES_CLUSTER_CONF"
}

# Also after a run that was killed: the saved file is then still there.
packages_cluster_restore() {
    if [ -e "$PACKAGES_CLUSTER_CONF.docmill-saved" ]; then
        as_root mv "$PACKAGES_CLUSTER_CONF.docmill-saved" "$PACKAGES_CLUSTER_CONF"
    fi
}

packages_install() {
    local log status=0
    log=$(mktemp)
    trap packages_cluster_restore EXIT
    case " $* " in *" postgresql-$PG_MAJOR "*) packages_cluster_off ;; esac
    step "Installing $(wc -w <<<"$*") packages (log: $log)"
    if ! apt_quietly install --no-install-recommends --no-upgrade --no-remove "$@" >"$log" 2>&1; then
        # lists that are older than the mirror name files that are gone
        packages_update_lists
        apt_quietly install --no-install-recommends --no-upgrade --no-remove "$@" >"$log" 2>&1 || status=$?
    fi
    packages_cluster_restore
    trap - EXIT
    if [ $status != 0 ]; then
        tail -20 "$log" >&2
        die "apt-get could not install: $*"
    fi
    packages_record "$@"
    rm -f "$log"
}

# What these scripts installed, so that `demo clean` can list it.
packages_record() {
    local name
    mkdir -p "$DOCMILL_CACHE"
    for name in "$@"; do
        name=${name##*/}
        echo "${name%%_*}"
    done >>"$DOCMILL_CACHE/installed-packages"
    sort -u -o "$DOCMILL_CACHE/installed-packages" "$DOCMILL_CACHE/installed-packages"
}

# Lists that were never read, or are older than the mirror, know no candidate.
packages_refresh_for() {
    local name
    for name in "$@"; do
        package_available "$name" || {
            packages_update_lists
            return 0
        }
    done
}

packages_ensure() {
    packages_report "$@"
    [ -n "$PACKAGES_TODO" ] || return 0
    packages_confirm
    # shellcheck disable=SC2086
    packages_refresh_for $PACKAGES_TODO
    # again: the lists may have told which alternative this release has
    PACKAGES_TODO=$(packages_missing "$@")
    # shellcheck disable=SC2086
    [ -z "$PACKAGES_TODO" ] || packages_install $PACKAGES_TODO
}
