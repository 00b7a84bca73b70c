# promtool.sh - Prometheus' own checker of metrics, for the tests
#
# promtool_ensure puts it into DOCMILL_CACHE/promtool, once, out of Debian's package prometheus, which is unpacked and not
# installed: installing it would start a server. Without it (no network, no such package) the test that wants it is left out
# and says so. Sets and exports DOCMILL_PROMTOOL if there is one.
#
# Depends on common.sh.

promtool_ensure() {
    local dir=$DOCMILL_CACHE/promtool work
    if [ ! -x "$dir/promtool" ] && command -v promtool >/dev/null; then
        dir=$(dirname "$(command -v promtool)")
    elif [ ! -x "$dir/promtool" ]; then
        work=$(mktemp -d)
        if (cd "$work" && apt-get -q download prometheus && dpkg-deb -x prometheus_*.deb .) >"$work/log" 2>&1; then
            mkdir -p "$dir"
            cp "$work/usr/bin/promtool" "$dir/promtool"
        fi
        rm -rf "$work"
    fi
    [ -x "$dir/promtool" ] || { say "promtool could not be fetched: metrics are not checked by it" && return 0; }
    export DOCMILL_PROMTOOL=$dir/promtool
}
