# corpus.sh - fetch the documentation packages and make the corpus from them
#
# corpus_make DIR makes the files of tests/corpus/manifest.tsv in DIR; a stamp with the manifest's hash says that they
# are complete. The packages come from apt's own sources, verified by apt; they are kept in DOCMILL_CACHE as they came,
# unpacked only while the corpus is made, and never installed.
#
# Depends on common.sh, packages.sh.

CORPUS_PACKAGES=$DOCMILL_CACHE/corpus-packages
CORPUS_WORK=''

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
    corpus_unpack
    corpus_py make "$CORPUS_WORK" "$directory"
    rm -rf "$CORPUS_WORK"
    tell=$(corpus_py check "$directory") || {
        printf '%s\n' "$tell" >&2
        die "the corpus is not what it must be; see above"
    }
    sed 's/^/    /' <<<"$tell"
    corpus_stamp >"$directory/.complete"
}

corpus_choose() {
    corpus_fetch < <(awk -F '\t' 'NR > 1 { print $3 "\t" }' "$DOCMILL_SOURCE/tests/corpus/recipe.tsv" | sort -u)
    rm -rf "$1"
    mkdir -p "$1"
    corpus_unpack
    corpus_py choose "$CORPUS_WORK" "$1"
    rm -rf "$CORPUS_WORK"
}

# Each package in CORPUS_WORK/name, and CORPUS_WORK/versions with name<TAB>version lines.
corpus_unpack() {
    local file name
    CORPUS_WORK=$(mktemp -d)
    for file in "$CORPUS_PACKAGES"/*.deb; do
        name=$(basename "$file" .deb)
        mkdir "$CORPUS_WORK/$name"
        dpkg-deb -x "$file" "$CORPUS_WORK/$name"
        printf '%s\t%s\n' "$name" "$(dpkg-deb -f "$file" Version)" >>"$CORPUS_WORK/versions"
    done
}

# Reads name<TAB>version lines; leaves each package as CORPUS_PACKAGES/name.deb.
corpus_fetch() {
    local name version entry todo=()
    mkdir -p "$CORPUS_PACKAGES"
    while IFS=$'\t' read -r name version; do
        [ -e "$CORPUS_PACKAGES/$name.deb" ] || todo+=("$name=$version")
    done
    [ ${#todo[@]} -gt 0 ] || return 0
    step "Downloading ${#todo[@]} documentation packages (nothing is installed)"
    packages_refresh_for "${todo[@]%%=*}"
    for entry in "${todo[@]}"; do
        corpus_fetch_one "${entry%%=*}" "${entry#*=}"
    done
}

corpus_fetch_one() {
    local name=$1 version=$2 work found
    work=$(mktemp -d "$CORPUS_PACKAGES/.fetch-XXXXXX")
    (
        cd "$work"
        # the manifest's version if the archive still has it, else whatever it has now
        { [ -n "$version" ] && apt_download "$name=$version"; } || apt_download "$name"
    ) || die "could not download $name"
    found=$(dpkg-deb -f "$work"/*.deb Version)
    if [ -n "$version" ] && [ "$found" != "$version" ]; then
        warn "$name is version $found now, the manifest was made from $version"
    fi
    mv "$work"/*.deb "$CORPUS_PACKAGES/$name.deb"
    rmdir "$work"
}

apt_download() { apt-get -q -o APT::Sandbox::User=root download "$1" >/dev/null 2>&1; }
