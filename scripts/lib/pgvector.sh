# pgvector.sh - the extension `vector` for the PostgreSQL of this machine
#
# Nothing happens if PostgreSQL already has it. Where a package exists (Debian 13, the PostgreSQL project's archive) it
# is installed; Debian 12 has none, so Debian 13's source package is fetched through a private apt configuration, built
# for PostgreSQL 15 and installed. The built package is kept in DOCMILL_CACHE and used again.
#
# Depends on common.sh, packages.sh, private_apt.sh.

PGVECTOR_SOURCE_SUITE=trixie

pgvector_present() { [ -e "/usr/share/postgresql/$PG_MAJOR/extension/vector.control" ]; }

# Whether it will have to be built, as far as can be told before anything is installed.
pgvector_needs_build() {
    ! pgvector_present && ! package_available "postgresql-$PG_MAJOR-pgvector" &&
        [ -z "$(pgvector_cached "postgresql-$PG_MAJOR-pgvector")" ]
}

pgvector_ensure() {
    if pgvector_present; then
        say "found   pgvector for PostgreSQL $PG_MAJOR"
        return 0
    fi
    local package=postgresql-$PG_MAJOR-pgvector deb
    if package_available "$package"; then
        packages_install "$package"
        return 0
    fi
    deb=$(pgvector_cached "$package")
    if [ -z "$deb" ]; then
        packages_ensure pgvector_build
        pgvector_build "$package"
        deb=$(pgvector_cached "$package")
        [ -n "$deb" ] || die "building pgvector left no package"
    fi
    pgvector_install "$deb"
    pgvector_present || die "pgvector's package is installed, but vector.control is not where PostgreSQL looks"
}

# The cached package for this architecture, or nothing.
pgvector_cached() {
    find "$DOCMILL_CACHE" -maxdepth 1 -name "$1_*_$(dpkg --print-architecture).deb" 2>/dev/null | sort -V | tail -1
}

pgvector_build() {
    local package=$1 work source
    step "Building pgvector from Debian's source package (once; about a minute)"
    work=$(mktemp -d)
    private_apt_open "$work/apt" "$PGVECTOR_SOURCE_SUITE" deb-src
    (
        cd "$work"
        private_apt apt-get -q source --only-source pgvector
        source=$(find . -maxdepth 1 -type d -name 'pgvector-*' | head -1)
        cd "$source"
        pg_buildext updatecontrol
        # -d: one build dependency has another name in this release; its content is installed above
        DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" dpkg-buildpackage -us -uc -b -d
    ) >"$work/build.log" 2>&1 || {
        tail -30 "$work/build.log" >&2
        die "building pgvector failed (whole log: $work/build.log)"
    }
    mkdir -p "$DOCMILL_CACHE"
    find "$work" -maxdepth 1 -name "${package}_*.deb" -exec cp {} "$DOCMILL_CACHE/" \;
    rm -rf "$work"
}

# From a directory that apt's own account may read.
pgvector_install() {
    local readable
    readable=$(mktemp -d)
    chmod 0755 "$readable"
    cp "$1" "$readable/"
    packages_install "$readable/${1##*/}"
    rm -rf "$readable"
}
