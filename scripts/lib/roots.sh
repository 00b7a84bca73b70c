# roots.sh - roots of the releases of Debian that docmill is packaged for, and throw-away layers over them
#
# roots_build_ensure RELEASE makes (once) a root in DOCMILL_CACHE that has what building docmill's packages needs, and
# sets ROOT_BASE. It is made again when packaging/debian/control names other packages to build with. root_open makes a
# writable layer over ROOT_BASE, so that the cached root never changes, and sets ROOT_DIR (of the layer) and ROOT;
# root_close drops it. root_shell runs a command in ROOT as in a machine of its own, without network; root_chroot runs
# one with the host's network, for apt.
#
# Needs root, debootstrap and systemd-container. Depends on common.sh, packages.sh, private_apt.sh.

ROOTS_BUILD_RECIPE=1 # raise it when what is made below changes: an older root is then made anew
ROOTS_RELEASES="bookworm trixie"
ROOT_BASE=''
ROOT_DIR=''
ROOT=''

roots_pg_major() {
    case $1 in
    bookworm) echo 15 ;;
    trixie) echo 17 ;;
    *) die "no package is made for a Debian called $1" ;;
    esac
}

# The number of a release, for versions: packages of two releases must not have the same.
roots_debian_number() {
    case $1 in
    bookworm) echo 12 ;;
    trixie) echo 13 ;;
    *) die "no package is made for a Debian called $1" ;;
    esac
}

# root_chroot ROOT COMMAND...
root_chroot() {
    local root=$1
    shift
    chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        "$@" </dev/null
}

# roots_bootstrap RELEASE ROOT PACKAGES: a minimal root with the machine's mirror; nothing starts in it.
roots_bootstrap() {
    local release=$1 root=$2 packages=$3
    debootstrap --variant=minbase --include="$packages" "$release" "$root" "$(mirror_uri)"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    if [ "$release" = "$(release_codename)" ] && [ -e /etc/apt/sources.list.d/debian.sources ]; then
        cp /etc/apt/sources.list.d/debian.sources "$root/etc/apt/sources.list.d/"
        : >"$root/etc/apt/sources.list"
    fi
    root_chroot "$root" apt-get -q update
}

# roots_cached ROOT MARK NAME COMMAND...: the root is there and made by this recipe, or is made by the command, which
# gets the path to make it at.
roots_cached() {
    local root=$1 mark=$2 name=$3 log
    shift 3
    [ "$(cat "$root/etc/root-recipe" 2>/dev/null)" = "$mark" ] && return 0
    step "Making $name in $root (once; a few minutes)"
    rm -rf --one-file-system "$root" "$root.new"
    mkdir -p "$DOCMILL_CACHE"
    log=$root.log
    (set -e; "$@" "$root.new") >"$log" 2>&1 || {
        tail -30 "$log" >&2
        die "the root could not be made (whole log: $log)"
    }
    echo "$mark" >"$root.new/etc/root-recipe"
    mv "$root.new" "$root"
}

roots_build_make() {
    local release=$1 root=$2
    roots_bootstrap "$release" "$root" ca-certificates,build-essential,fakeroot,ccache,git
    mkdir -p "$root/root/control/debian" "$root/ccache" "$root/build"
    cp "$DOCMILL_SOURCE/packaging/debian/control" "$DOCMILL_SOURCE/packaging/debian/changelog" "$root/root/control/debian/"
    root_chroot "$root" apt-get -q -y build-dep --no-install-recommends /root/control
    root_chroot "$root" apt-get -q -y install --no-install-recommends lintian rpm rpmlint
    root_chroot "$root" apt-get clean
}

roots_build_ensure() {
    local release=$1 control
    control=$(sed -n '/^Build-Depends:/,/^[A-Z].*: /p' "$DOCMILL_SOURCE/packaging/debian/control" | sha256sum | cut -c1-16)
    ROOT_BASE=$DOCMILL_CACHE/build-$release
    roots_cached "$ROOT_BASE" "$ROOTS_BUILD_RECIPE $control" "a root of Debian ($release) to build in" \
        roots_build_make "$release"
}

root_open() {
    ROOT_DIR=$(mktemp -d "${TMPDIR:-/tmp}/docmill-XXXXXX")
    ROOT=$ROOT_DIR/root
    chmod 0755 "$ROOT_DIR"
    mkdir "$ROOT_DIR/upper" "$ROOT_DIR/work" "$ROOT"
    mount -t overlay docmill-test "$ROOT" \
        -o "lowerdir=$ROOT_BASE,upperdir=$ROOT_DIR/upper,workdir=$ROOT_DIR/work" || die "no overlay could be mounted"
}

# The compiler's cache is the only thing that outlives the layer. Where /run is no file system of its own, nspawn says that
# it does not clean up there; root_close does.
root_shell() {
    local cache
    cache=$DOCMILL_CACHE/ccache-${ROOT_BASE##*/}
    mkdir -p "$cache"
    systemd-nspawn -q -D "$ROOT" --machine="${ROOT_DIR##*/}" --register=no --keep-unit --private-network --pipe --bind="$cache:/ccache" \
        --setenv=CCACHE_DIR=/ccache --setenv=LC_ALL=C.UTF-8 --setenv=DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:-}" \
        --setenv=PATH=/usr/sbin:/usr/bin:/sbin:/bin -- "$@" </dev/null 2> >(grep -v "nspawn/propagate" >&2 || true)
}

root_close() {
    if [ -n "$ROOT_DIR" ]; then
        ! mountpoint -q "$ROOT" || umount "$ROOT" || umount -l "$ROOT"
        rm -rf --one-file-system "$ROOT_DIR" "/run/systemd/nspawn/propagate/${ROOT_DIR##*/}"
        ROOT_DIR=''
    fi
}
