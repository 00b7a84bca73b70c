# corpus.sh - fetch and unpack the documentation packages, and make the corpus from them
#
# corpus_make DIR makes the files of tests/corpus/manifest.tsv in DIR; a stamp with the manifest's hash says that they
# are complete. The packages come from apt's own sources, verified by apt, and are kept unpacked in DOCMILL_CACHE.
#
# Depends on common.sh, packages.sh.

CORPUS_UNPACKED=$DOCMILL_CACHE/corpus-packages

corpus_py() { /usr/bin/python3 "$DOCMILL_SOURCE/tests/corpus/corpus.py" "$@"; }

corpus_stamp() { sha256sum "$DOCMILL_SOURCE/tests/corpus/manifest.tsv" "$DOCMILL_SOURCE/tests/corpus/corpus.py" | sha256sum; }

corpus_make() {
    local directory=$1 tell
    if [ "$(cat "$directory/.complete" 2>/dev/null)" = "$(corpus_stamp)" ]; then
        say "found   the corpus in $directory"
        return 0
    fi
    corpus_fetch < <(corpus_py packages)
    step "Making the corpus in $directory"
    rm -rf "$directory"
    mkdir -p "$directory"
    corpus_py make "$CORPUS_UNPACKED" "$directory"
    tell=$(corpus_py check "$directory") || {
        printf '%s\n' "$tell" >&2
        die "the corpus is not what it must be; see above"
    }
    say "$(tail -1 <<<"$tell")"
    corpus_stamp >"$directory/.complete"
}

corpus_choose() {
    corpus_fetch < <(awk -F '\t' 'NR > 1 { print $3 "\t" }' "$DOCMILL_SOURCE/tests/corpus/recipe.tsv" | sort -u)
    rm -rf "$1"
    mkdir -p "$1"
    corpus_py choose "$CORPUS_UNPACKED" "$1"
}

# Reads name<TAB>version lines; leaves each package unpacked in CORPUS_UNPACKED/name, all at once or not at all.
corpus_fetch() {
    local name version todo=()
    mkdir -p "$CORPUS_UNPACKED"
    while IFS=$'\t' read -r name version; do
        [ -d "$CORPUS_UNPACKED/$name" ] || todo+=("$name=$version")
    done
    [ ${#todo[@]} -gt 0 ] || return 0
    step "Downloading ${#todo[@]} documentation packages (nothing is installed)"
    local entry
    packages_refresh_for "${todo[@]%%=*}"
    for entry in "${todo[@]}"; do
        corpus_fetch_one "${entry%%=*}" "${entry#*=}"
    done
    corpus_record_versions
}

corpus_fetch_one() {
    local name=$1 version=$2 work
    work=$(mktemp -d "$CORPUS_UNPACKED/.fetch-XXXXXX")
    chmod 0755 "$work"
    (
        cd "$work"
        # the manifest's version if the archive still has it, else whatever it has now
        { [ -n "$version" ] && apt_download "$name=$version"; } || apt_download "$name"
    ) || die "could not download $name"
    if [ -n "$version" ] && ! dpkg-deb -f "$work"/*.deb Version | grep -qxF "$version"; then
        warn "$name is version $(dpkg-deb -f "$work"/*.deb Version) now, the manifest was made from $version"
    fi
    mkdir "$work/tree"
    dpkg-deb -x "$work"/*.deb "$work/tree"
    dpkg-deb -f "$work"/*.deb Version >"$work/tree/.version"
    mv "$work/tree" "$CORPUS_UNPACKED/$name"
    rm -rf "$work"
}

apt_download() { apt-get -q -o APT::Sandbox::User=root download "$1" >/dev/null 2>&1; }

corpus_record_versions() {
    local tree
    for tree in "$CORPUS_UNPACKED"/*/; do
        printf '%s\t%s\n' "$(basename "$tree")" "$(cat "$tree/.version")"
    done >"$CORPUS_UNPACKED/versions"
}
