# systemd_unit.sh - what scripts/test-systemd checks about docmill.service as a unit: what systemd is told and does
#
# Each function is one check: status 0 if it holds. Depends on common.sh, container.sh, systemd_life.sh.

UNIT_EXPOSURE_MAX=1.2 # of `systemd-analyze security`, from 0 to 10

unit_property() { container_run systemctl show -P "$1" docmill; }

# drop_in TEXT: for docmill.service, until drop_out
drop_in() {
    mkdir -p "$ROOT/etc/systemd/system/docmill.service.d"
    printf '[Service]\n%s\n' "$1" >"$ROOT/etc/systemd/system/docmill.service.d/test.conf"
    container_run systemctl daemon-reload
}

drop_out() {
    rm -rf "$ROOT/etc/systemd/system/docmill.service.d"
    container_run systemctl daemon-reload
}

# 252 would run a type that it does not know as `simple`, and says so in the journal only.
has_the_type_that_systemd_knows() {
    local version want=notify
    version=$(container_run systemctl --version | awk 'NR == 1 { print $2 }')
    [ "$version" -lt 253 ] || want=notify-reload
    unit_property Type
    [ "$(unit_property Type)" = "$want" ] && not container_run journalctl -b --no-pager -g 'docmill.service.*(Failed to parse|Unknown)'
}

says_how_it_is() {
    unit_property StatusText
    unit_property StatusText | grep -q '^running: ready are '
}

exposure_is_low() {
    local exposure
    container_run systemd-analyze security --no-pager docmill.service | grep -v '^✓'
    exposure=$(container_run systemd-analyze security --no-pager docmill.service |
        sed -n 's/^.*Overall exposure level for docmill.service: \([0-9.]*\).*/\1/p')
    [ -n "$exposure" ] && awk -v have="$exposure" -v most="$UNIT_EXPOSURE_MAX" 'BEGIN { exit !(have <= most) }'
}

# The kernel should take a worker rather than the master.
scores_rise_with_the_role() {
    local pid scores
    pid=$(main_pid)
    scores=$(container_run sh -c "for p in $pid \$(pgrep -P $pid); do echo \$(cat /proc/\$p/comm /proc/\$p/oom_score_adj); done")
    echo "$scores"
    awk '$1 == "docmilld" { m = $2 } $1 == "docmill-coordin" { c = $2 } $1 == "docmill-api" { a = $2 }
         $1 == "docmill-worker" { w = $2 } END { exit !(m < c && c < a && a < w) }' <<<"$scores"
}

# systemd hears of such a death from control groups of version 2 only. Where there are none, its policy is only looked up.
the_memory_killer_takes_a_child_only() {
    unit_property OOMPolicy
    [ "$(unit_property OOMPolicy)" = continue ]
}

# Every process has shut itself in, beside what the unit does: a filter of the master's, and one more of each child's.
every_process_is_confined() {
    local pid all
    pid=$(main_pid)
    all=$(container_run sh -c "for p in $pid \$(pgrep -P $pid); do
        echo \$(cat /proc/\$p/comm) \$(awk '/^(NoNewPrivs|Seccomp|Seccomp_filters):/ { print \$2 }' /proc/\$p/status); done")
    echo "$all"
    [ "$(wc -l <<<"$all")" -ge 4 ] &&
        awk 'NR == 1 { master = $4 } $2 != 1 || $3 != 2 || (NR > 1 && $4 != master + 1) { bad = 1 } END { exit bad }' <<<"$all"
}

# with_conf SED_EXPRESSION: the configuration changed, until without_conf
with_conf() {
    cat "$ROOT/etc/docmill/docmill.conf" >"$WORK/conf"
    container_run sed -i -e "$1" /etc/docmill/docmill.conf
}
without_conf() { cat "$WORK/conf" >"$ROOT/etc/docmill/docmill.conf"; }

reload_takes_the_configuration() {
    local pid status
    pid=$(main_pid)
    with_conf 's/^    # exact_limit = .*/    exact_limit = 123;/'
    container_run systemctl reload docmill
    status=$?
    journal -n 10 | grep 'search.exact_limit' || status=1
    without_conf
    container_run systemctl reload docmill || status=1
    [ $status = 0 ] && [ "$(main_pid)" = "$pid" ] && is_healthy
}

# The protocol knows no failure; the exit status of the unit's command does.
reload_that_is_refused_fails() {
    local pid status
    pid=$(main_pid)
    with_conf '$a no_such_key = 1;'
    container_run systemctl reload docmill
    status=$?
    without_conf
    [ $status != 0 ] && [ "$(main_pid)" = "$pid" ] && is_healthy && is_active && container_run systemctl reload docmill
}

stored_sockets() { unit_property NFileDescriptorStore; }

# Asks every 20 ms until told to stop; counts the answers, and the connections that nobody took.
write_asker() {
    cat >"$ROOT/root/ask" <<-'END'
	#!/usr/bin/perl
	use IO::Socket::INET;
	my ($answers, $refused) = (0, 0);
	until (-e "/root/ask.stop") {
	    my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:8000", Timeout => 20);
	    if (!$s) { $refused++; }
	    else {
	        print $s "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	        my $line = <$s>;
	        $answers++ if defined $line && $line =~ / 200 /;
	    }
	    open my $f, ">", "/root/ask.count"; print $f "$answers $refused\n"; close $f;
	    select(undef, undef, undef, 0.02);
	}
	END
    chmod 0755 "$ROOT/root/ask"
    rm -f "$ROOT/root/ask.stop" "$ROOT/root/ask.count"
}

asked() { [ "$(cut -d' ' -f1 "$ROOT/root/ask.count" 2>/dev/null || echo 0)" -ge "$1" ]; }

refuses_nobody_over_a_restart() {
    local asker answers refused
    [ "$(stored_sockets)" -ge 3 ] || return 1
    write_asker
    container_run /root/ask &
    asker=$!
    wait_until 20 asked 5 && container_run systemctl restart docmill && wait_until 30 is_healthy || return 1
    read -r answers refused <"$ROOT/root/ask.count"
    wait_until 20 asked $((answers + 5)) || return 1
    touch "$ROOT/root/ask.stop"
    wait $asker || true
    read -r answers refused <"$ROOT/root/ask.count"
    echo "answers $answers, refused $refused, stored $(stored_sockets)"
    [ "$refused" = 0 ]
}

is_listened_to_by_systemd() { container_run systemctl is-active docmill.socket; }
is_active() { container_run systemctl is-active docmill; }

starts_by_a_connection() {
    local asker
    container_run systemctl stop docmill && container_run systemctl start docmill.socket && not is_active || return 1
    write_asker
    container_run timeout 20 /root/ask &
    asker=$!
    wait_until 20 is_active && wait_until 30 is_healthy && wait_until 20 asked 3 || return 1
    touch "$ROOT/root/ask.stop"
    wait $asker || true
    cat "$ROOT/root/ask.count"
    container_run systemctl stop docmill.socket docmill && container_run systemctl start docmill && wait_until 30 is_healthy
}

watchdog_ends_a_master_that_hangs() {
    local pid since
    drop_in 'WatchdogSec=3s'
    container_run systemctl restart docmill && wait_until 30 is_healthy || return 1
    pid=$(main_pid)
    since=$(container_run date '+%F %T')
    container_run kill -STOP "$pid"
    wait_until 40 is_replaced "$pid"
    container_run journalctl -b --no-pager -u docmill --since "$since" -g 'Watchdog timeout'
}

# The master lives, but no worker or api does for long.
watchdog_is_not_fed_for_dead_pools() {
    local pid since killer
    pid=$(main_pid)
    since=$(container_run date '+%F %T')
    container_run sh -c "while kill -0 $pid; do pkill -KILL -P $pid -f 'child (worker|api)'; sleep 0.02; done" >/dev/null 2>&1 &
    killer=$!
    wait_until 60 is_replaced "$pid"
    wait $killer || true
    drop_out
    container_run journalctl -b --no-pager -u docmill --since "$since" -g 'the watchdog is not fed|Watchdog timeout'
    container_run systemctl restart docmill && wait_until 30 is_healthy
    container_run journalctl -b --no-pager -u docmill --since "$since" -g 'Watchdog timeout'
}

# A drain that lasts longer than TimeoutStopSec: a stopped worker finishes nothing until the drain's limit.
is_given_time_to_drain() {
    local pid begun ended
    drop_in 'TimeoutStopSec=3s'
    with_conf 's/^    # drain_timeout = .*/    drain_timeout = "8s";/'
    container_run systemctl restart docmill && wait_until 30 is_healthy || return 1
    pid=$(main_pid)
    container_run sh -c "kill -STOP \$(pgrep -P $pid -f 'child worker' | head -1)"
    begun=$SECONDS
    container_run systemctl stop docmill
    ended=$SECONDS
    drop_out
    without_conf
    echo "took $((ended - begun)) s, result $(unit_property Result)"
    [ $((ended - begun)) -ge 5 ] && [ "$(unit_property Result)" = success ]
    local good=$?
    container_run systemctl start docmill && wait_until 30 is_healthy && return $good
}
