# build.sh - configure and build one of the presets of CMakePresets.json
#
# build_preset NAME configures once and builds; quiet unless it fails. build_dir NAME names the directory.
#
# Depends on common.sh.

build_dir() { printf '%s' "$DOCMILL_SOURCE/build/$1"; }

build_preset() {
    local preset=$1 log
    log=$(mktemp)
    if ! { (cd "$DOCMILL_SOURCE" && { [ -e "$(build_dir "$preset")/build.ninja" ] || cmake --preset "$preset"; } &&
        cmake --build "$(build_dir "$preset")") >"$log" 2>&1; }; then
        tail -60 "$log" >&2
        die "building preset $preset failed (whole log: $log)"
    fi
    rm -f "$log"
}
