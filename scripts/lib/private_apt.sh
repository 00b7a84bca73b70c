# private_apt.sh - apt with sources and lists of its own, so that the system's stay as they are
#
# private_apt_open DIR SUITE [deb|deb-src] writes a configuration into DIR that knows only SUITE, on the mirror that
# the system's own sources name, and reads its lists; the archive's signature is checked with Debian's keyring, and a
# source without a good one is refused whatever the system's configuration allows. private_apt TOOL ARGS... then runs
# apt-get or apt-cache with it.
#
# Depends on common.sh, packages.sh.

PRIVATE_APT_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
PRIVATE_APT_DIR=''

# The address of the mirror that serves this release's main suite.
mirror_uri() {
    local uri
    uri=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Identifier: Packages' 2>/dev/null |
        awk -v suite="$(release_codename)" '$2 == suite { print $1; exit }')
    [ -n "$uri" ] || die "apt's sources name no mirror for $(release_codename)"
    echo "$uri"
}

private_apt_open() {
    local dir=$1 suite=$2 type=$3
    mkdir -p "$dir/sources" "$dir/lists/partial" "$dir/archives/partial"
    cat >"$dir/sources/docmill.sources" <<-END
	Types: $type
	URIs: $(mirror_uri)
	Suites: $suite
	Components: main
	Signed-By: $PRIVATE_APT_KEYRING
	END
    PRIVATE_APT_DIR=$dir
    private_apt apt-get -q update -o APT::Update::Error-Mode=any >"$dir/update.log" 2>&1 || {
        cat "$dir/update.log" >&2
        die "the package lists of $suite could not be read, or their signature is not good"
    }
}

# On the command line, so that nothing in the system's configuration comes later and wins.
private_apt() {
    local tool=$1 dir=$PRIVATE_APT_DIR
    shift
    "$tool" -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$dir/sources" \
        -o Dir::State::Lists="$dir/lists" -o Dir::Cache="$dir" -o Dir::Cache::Archives="$dir/archives" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        -o Acquire::AllowInsecureRepositories=false -o Acquire::AllowWeakRepositories=false \
        -o APT::Get::AllowUnauthenticated=false -o APT::Sandbox::User=root "$@"
}
