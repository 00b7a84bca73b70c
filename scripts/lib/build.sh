# build.sh - configure and build one of the presets of CMakePresets.json
#
# build_preset NAME [TARGET...] configures once and builds (all); quiet unless it fails. build_dir NAME names the directory.
#
# Depends on common.sh.

build_dir() { printf '%s' "$DOCMILL_SOURCE/build/$1"; }

build_preset() {
    local preset=$1 log
    shift
    log=$(mktemp)
    if ! { (cd "$DOCMILL_SOURCE" && { [ -e "$(build_dir "$preset")/build.ninja" ] || cmake --preset "$preset"; } &&
        cmake --build "$(build_dir "$preset")" ${1:+--target "$@"}) >"$log" 2>&1; }; then
        tail -60 "$log" >&2
        die "building preset $preset failed (whole log: $log)"
    fi
    rm -f "$log"
}
