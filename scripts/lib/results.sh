# results.sh - run test programs, keep their JUnit XML, and count honestly
#
# results_open DIR empties DIR. Each run leaves DIR/NAME.xml; a run that leaves none (it died before it could) is
# counted as one failure of that name, and so is every sanitizer report: a leaking criterion test ends with status 0,
# so the reports' files decide. results_close prints `N passed, N failed` alone on a line and returns 0 only if nothing
# failed.
#
# Depends on common.sh.

RESULTS_DIR=''
RESULTS_SANITIZERS=''

results_open() {
    RESULTS_DIR=$1
    RESULTS_SANITIZERS=$RESULTS_DIR/sanitizers
    rm -rf "$RESULTS_DIR"
    mkdir -p "$RESULTS_SANITIZERS"
    # programs of another account write here too
    chmod 1777 "$RESULTS_SANITIZERS"
    export ASAN_OPTIONS=log_path=$RESULTS_SANITIZERS/report:detect_leaks=1
    export LSAN_OPTIONS=log_path=$RESULTS_SANITIZERS/report
    export UBSAN_OPTIONS=log_path=$RESULTS_SANITIZERS/report:print_stacktrace=1
}

xml_escape() { sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g' -e 's/"/\&quot;/g' | tr -d '\000-\010\013\014\016-\037'; }

# results_case NAME passed|failed [FILE with the story]: a result of one test that is no criterion or pytest test
results_case() {
    local name=$1 verdict=$2 story=${3:-/dev/null} failures=0
    [ "$verdict" = passed ] || failures=1
    {
        printf '<?xml version="1.0" encoding="UTF-8"?>\n'
        printf '<testsuite name="%s" tests="1" failures="%s" errors="0" skipped="0">\n' "$name" "$failures"
        printf '  <testcase classname="%s" name="%s">' "$name" "$name"
        if [ "$failures" = 1 ]; then
            printf '<failure message="failed">'
            tail -c 20000 "$story" | xml_escape
            printf '</failure>'
        fi
        printf '</testcase>\n</testsuite>\n'
    } >"$RESULTS_DIR/$name.xml"
    printf '    %-44s %s\n' "$name" "$verdict"
}

# results_command NAME COMMAND...: one test that passes if the command succeeds
results_command() {
    local name=$1 log status=0
    shift
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || status=$?
    if [ $status = 0 ]; then
        results_case "$name" passed
    else
        tail -30 "$log" >&2
        results_case "$name" failed "$log"
    fi
    rm -f "$log"
}

# results_criterion NAME PROGRAM [ARGUMENTS...]: the tests of a criterion program
results_criterion() {
    local name=$1 program=$2 status=0 log reports
    shift 2
    log=$(mktemp)
    # reports of its own, since others run beside it
    reports=$RESULTS_SANITIZERS/$name
    # whose memory it was that leaked through libtalloc, ASAN_OPTIONS=fast_unwind_on_malloc=0 tells, slowly
    ASAN_OPTIONS=log_path=$reports:detect_leaks=1 \
        LSAN_OPTIONS=log_path=$reports:print_suppressions=0:suppressions=$DOCMILL_SOURCE/tests/support/lsan.supp \
        UBSAN_OPTIONS=log_path=$reports:print_stacktrace=1 \
        timeout 240 "$program" --xml="$RESULTS_DIR/$name.xml" "$@" >"$log" 2>&1 </dev/null || status=$?
    reports=$(find "$RESULTS_SANITIZERS" -name "$name.*" | wc -l)
    if [ ! -s "$RESULTS_DIR/$name.xml" ]; then
        tail -30 "$log" >&2
        results_case "$name" failed "$log"
    else
        printf '    %-44s %s\n' "$name" "$(results_count "$RESULTS_DIR/$name.xml")"
        if [ $status != 0 ]; then
            grep -v '^\[\(SKIP\|====\)' "$log" | tail -40 >&2
            # a program that fails as a whole although each of its tests passed
            [ "$(results_sum failed "$RESULTS_DIR/$name.xml")" != 0 ] || results_case "$name.exit" failed "$log"
        fi
    fi
    [ "$reports" = 0 ] || say "$name left $reports sanitizer reports"
    rm -f "$log"
}

results_reports() { find "$RESULTS_SANITIZERS" -type f; }

# results_sum passed|failed FILE...
results_sum() {
    local what=$1
    shift
    cat "$@" /dev/null | awk -v what="$what" '
        # the numbers of each <testsuite>, not those of the enclosing <testsuites>
        BEGIN { RS = "<" }
        /^testsuite / { add($0) }
        function attribute(tag, name,   m) {
            if (!match(tag, " " name "=\"[0-9]+\"")) return 0
            m = substr(tag, RSTART, RLENGTH); gsub(/[^0-9]/, "", m); return m + 0
        }
        # criterion tells those that were not run twice, as skipped and as disabled
        function add(tag,   bad, skipped, disabled) {
            bad = attribute(tag, "failures") + attribute(tag, "errors"); failed += bad
            skipped = attribute(tag, "skipped"); disabled = attribute(tag, "disabled")
            passed += attribute(tag, "tests") - bad - (skipped > disabled ? skipped : disabled)
        }
        END { print (what == "failed" ? failed : passed) + 0 }'
}

results_count() { printf '%s passed, %s failed' "$(results_sum passed "$@")" "$(results_sum failed "$@")"; }

results_close() {
    local report number=0
    while read -r report; do
        number=$((number + 1))
        head -60 "$report" >&2
        results_case "sanitizer-report-$number" failed "$report"
    done < <(results_reports)
    local files=()
    mapfile -t files < <(find "$RESULTS_DIR" -maxdepth 1 -name '*.xml' | sort)
    [ ${#files[@]} -gt 0 ] || die "no test has run"
    echo
    results_count "${files[@]}"
    echo
    [ "$(results_sum failed "${files[@]}")" = 0 ] && [ "$(results_sum passed "${files[@]}")" -gt 0 ]
}
