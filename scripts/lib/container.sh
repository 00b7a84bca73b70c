# container.sh - a booted Debian with a real systemd, thrown away after use
#
# container_root_ensure RELEASE makes (once) a root in DOCMILL_CACHE with systemd and PostgreSQL with pgvector, and sets
# CONTAINER_BASE. container_open makes a writable layer over it, so that the cached root never changes;
# container_boot starts it without any network, container_run runs a command in it, container_close ends it and drops
# the layer. Packages for it are fetched beforehand, by container_fetch, in the same layer but with the host's network.
#
# Needs root, debootstrap and systemd-container. Depends on common.sh, packages.sh, private_apt.sh, pgvector.sh.

CONTAINER_RECIPE=1 # raise it when what is made below changes: an older root is then made anew
CONTAINER_BASE=''
CONTAINER_DIR=''
CONTAINER_ROOT=''
CONTAINER_PID=''
CONTAINER_LEADER=''

# The sandbox of parsers uses landlock, which systemd-nspawn's own filter refuses unless it is named.
CONTAINER_SYSCALLS="landlock_create_ruleset landlock_add_rule landlock_restrict_self"

# A command in a root that is not booted; nothing starts a service there.
container_chroot() {
    local root=$1
    shift
    chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        "$@" </dev/null
}

container_root_make() {
    local release=$1 root=$2 deb
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates,procps,adduser \
        "$release" "$root" "$(mirror_uri)"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    if [ "$release" = "$(release_codename)" ] && [ -e /etc/apt/sources.list.d/debian.sources ]; then
        cp /etc/apt/sources.list.d/debian.sources "$root/etc/apt/sources.list.d/"
        : >"$root/etc/apt/sources.list"
    fi
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 0755 "$root/usr/sbin/policy-rc.d"
    container_chroot "$root" apt-get -q update
    container_chroot "$root" apt-get -q -y install --no-install-recommends "postgresql-$PG_MAJOR"
    deb=$(pgvector_cached "postgresql-$PG_MAJOR-pgvector")
    cp "$deb" "$root/root/pgvector.deb"
    container_chroot "$root" apt-get -q -y install /root/pgvector.deb
    rm "$root/root/pgvector.deb" "$root/usr/sbin/policy-rc.d"
    container_chroot "$root" apt-get clean
    echo "$CONTAINER_RECIPE" >"$root/etc/container-recipe"
}

container_root_ensure() {
    local release=$1 log
    CONTAINER_BASE=$DOCMILL_CACHE/root-$release
    [ "$(cat "$CONTAINER_BASE/etc/container-recipe" 2>/dev/null)" = "$CONTAINER_RECIPE" ] && return 0
    step "Making a root of Debian ($release) in $CONTAINER_BASE (once; about two minutes)"
    rm -rf "$CONTAINER_BASE" "$CONTAINER_BASE.new"
    mkdir -p "$DOCMILL_CACHE"
    log=$DOCMILL_CACHE/root-$release.log
    (set -e; container_root_make "$release" "$CONTAINER_BASE.new") >"$log" 2>&1 || {
        tail -30 "$log" >&2
        die "the root could not be made (whole log: $log)"
    }
    mv "$CONTAINER_BASE.new" "$CONTAINER_BASE"
}

container_open() {
    CONTAINER_DIR=$(mktemp -d "${TMPDIR:-/tmp}/docmill-container.XXXXXX")
    CONTAINER_ROOT=$CONTAINER_DIR/root
    chmod 0755 "$CONTAINER_DIR"
    mkdir "$CONTAINER_DIR/upper" "$CONTAINER_DIR/work" "$CONTAINER_ROOT"
    mount -t overlay docmill-test "$CONTAINER_ROOT" \
        -o "lowerdir=$CONTAINER_BASE,upperdir=$CONTAINER_DIR/upper,workdir=$CONTAINER_DIR/work" ||
        die "no overlay could be mounted"
}

# Fetches what apt would fetch to install a package, so that the installation itself needs no network.
container_fetch() {
    container_chroot "$CONTAINER_ROOT" apt-get -q update
    container_chroot "$CONTAINER_ROOT" apt-get -q -y install --download-only "$@"
}

container_boot() {
    systemd-nspawn -q -b -D "$CONTAINER_ROOT" --register=no --keep-unit --private-network --console=passive \
        --system-call-filter="$CONTAINER_SYSCALLS" </dev/null >"$CONTAINER_DIR/console.log" 2>&1 &
    CONTAINER_PID=$!
    wait_until 30 container_is_up || {
        tail -20 "$CONTAINER_DIR/console.log" >&2
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
    if [ -n "$CONTAINER_DIR" ]; then
        ! mountpoint -q "$CONTAINER_ROOT" || umount "$CONTAINER_ROOT" || umount -l "$CONTAINER_ROOT"
        rm -rf --one-file-system "$CONTAINER_DIR"
        CONTAINER_DIR=''
    fi
}
