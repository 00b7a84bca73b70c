# container.sh - a booted Debian with a real systemd, thrown away after use
#
# container_root_ensure RELEASE makes (once) a root in DOCMILL_CACHE with systemd and PostgreSQL with pgvector.
# container_open makes a writable layer over it, so that the cached root never changes; container_boot starts it without
# any network, container_run runs a command in it, container_close ends it and drops the layer. Packages for it are
# fetched beforehand, by container_fetch, in the same layer but with the host's network.
#
# Needs root, debootstrap and systemd-container. Depends on common.sh, packages.sh, private_apt.sh, pgvector.sh, roots.sh.

CONTAINER_RECIPE=2 # raise it when what is made below changes: an older root is then made anew
CONTAINER_PID=''
CONTAINER_LEADER=''

# The sandboxes of parsers and roles use landlock, which systemd-nspawn's own filter refuses unless it is named.
CONTAINER_SYSCALLS="landlock_create_ruleset landlock_add_rule landlock_restrict_self"

container_root_make() {
    local release=$1 root=$2 package deb
    package=postgresql-$(roots_pg_major "$release")-pgvector
    roots_bootstrap "$release" "$root" systemd,systemd-sysv,dbus,ca-certificates,procps,adduser
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 0755 "$root/usr/sbin/policy-rc.d"
    root_chroot "$root" apt-get -q -y install --no-install-recommends "${package%-pgvector}" logrotate
    deb=$(pgvector_cached "$package")
    if [ -n "$deb" ]; then
        cp "$deb" "$root/root/pgvector.deb"
        package=/root/pgvector.deb
    fi
    root_chroot "$root" apt-get -q -y install "$package"
    rm -f "$root/root/pgvector.deb" "$root/usr/sbin/policy-rc.d"
    root_chroot "$root" apt-get clean
}

container_root_ensure() {
    local release=$1
    ROOT_BASE=$DOCMILL_CACHE/root-$release
    roots_cached "$ROOT_BASE" "$CONTAINER_RECIPE" "a root of Debian ($release) to boot" container_root_make "$release"
}

container_open() { root_open; }

# Fetches what apt would fetch to install a package, so that the installation itself needs no network.
container_fetch() {
    root_chroot "$ROOT" apt-get -q update
    root_chroot "$ROOT" apt-get -q -y install --download-only "$@"
}

container_boot() {
    systemd-nspawn -q -b -D "$ROOT" --machine="${ROOT_DIR##*/}" --register=no --keep-unit --private-network --console=passive \
        --system-call-filter="$CONTAINER_SYSCALLS" </dev/null >"$ROOT_DIR/console.log" 2>&1 &
    CONTAINER_PID=$!
    wait_until 30 container_is_up || {
        tail -20 "$ROOT_DIR/console.log" >&2
        die "the container did not boot"
    }
}

container_is_up() {
    CONTAINER_LEADER=$(pgrep -P "$CONTAINER_PID") || return 1
    # degraded: some unit of the distribution does not work in a container
    case $(container_run systemctl is-system-running 2>/dev/null) in running | degraded) ;; *) return 1 ;; esac
}

# At most CONTAINER_LIMIT seconds.
container_run() {
    nsenter -t "$CONTAINER_LEADER" -m -u -i -n -p -C -r -w -- \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        timeout -k 5 "${CONTAINER_LIMIT:-120}" "$@"
}

container_run_as() {
    local user=$1
    shift
    container_run setpriv --reuid="$user" --regid="$user" --init-groups -- env -C / "$@"
}

container_is_down() { ! kill -0 "$CONTAINER_PID" 2>/dev/null; }

container_close() {
    if [ -n "$CONTAINER_PID" ]; then
        container_run systemctl --no-block poweroff >/dev/null 2>&1 || true
        wait_until 20 container_is_down || kill -KILL "$CONTAINER_LEADER" "$CONTAINER_PID" 2>/dev/null || true
        wait "$CONTAINER_PID" 2>/dev/null || true
        CONTAINER_PID=''
    fi
    root_close
}
