# demo_daemon.sh - the demo's docmilld: its programs, its configuration, its life
#
# Everything is in demo_dir, which the calling script sets. The daemon runs as the ordinary account (common.sh); its
# configuration holds no secret but the name of the file with the token.
#
# Depends on common.sh, cluster.sh.

DEMO_PROGRAMS="docmilld docmillctl docmill-sandbox docmill-html"

demo_ctl() { "$demo_dir/bin/docmillctl" "$1" --run-dir "$demo_dir/run" "${@:2}"; }
demo_ctl_line() { printf '%s --run-dir %s' "$demo_dir/bin/docmillctl" "$demo_dir/run"; }
demo_listen() { sed -n 's/^ *listen = "\(.*\)";/\1/p' "$demo_dir/docmill.conf"; }

# Copies what changed beside its place and renames it there. Sets DEMO_CHANGED if a running daemon is now an old one.
demo_install_programs() {
    local name
    DEMO_CHANGED=0
    mkdir -p "$demo_dir/bin"
    for name in $DEMO_PROGRAMS; do
        if ! cmp -s "$demo_dir/build/src/bin/$name" "$demo_dir/bin/$name"; then
            install -m 0755 "$demo_dir/build/src/bin/$name" "$demo_dir/bin/.$name.new"
            mv "$demo_dir/bin/.$name.new" "$demo_dir/bin/$name"
            DEMO_CHANGED=1
        fi
    done
}

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

demo_choose_port() {
    local port
    for port in $(seq 8000 8019); do
        if port_is_free "$port"; then
            echo "$port"
            return 0
        fi
    done
    die "no port from 8000 to 8019 is free"
}

# Written once; what is changed in it by hand stays.
demo_write_conf() {
    make_private_dir "$demo_dir/blobs" "$demo_dir/log"
    mkdir -p "$demo_dir/run"
    if is_root; then
        chown "$(account_name):" "$demo_dir/run"
    fi
    [ ! -e "$demo_dir/docmill.conf" ] || return 0
    (umask 077 && od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$demo_dir/token")
    cat >"$demo_dir/docmill.conf.new" <<-END
	# The demo's configuration; \`docmilld -c FILE -T\` prints every key with its value and where it came from.
	node = { name = "demo"; };
	run_dir = "$demo_dir/run";

	database = {
	    url = "$(cluster_url "$demo_dir/pg" docmill docmill)";
	    # may create roles and tables; only \`docmilld migrate\` uses it
	    migrate_url = "$(cluster_url "$demo_dir/pg" docmill)";
	};

	api = {
	    listen = "127.0.0.1:$(demo_choose_port)";
	    token_file = "$demo_dir/token";
	    # whoever calls, over the socket or with the token, is this user
	    token_user = "demo";
	    socket_user = "demo";
	};

	blob = {
	    backend = "fs";
	    fs = { root = "$demo_dir/blobs"; };
	};

	# Needs no service and finds by words, not by meaning.
	embedder = { name = "builtin"; };

	parser = { libexec = "$demo_dir/bin"; };
	END
    if is_root; then
        chown "$(account_name):" "$demo_dir/docmill.conf.new" "$demo_dir/token"
    fi
    chmod 0640 "$demo_dir/docmill.conf.new"
    mv "$demo_dir/docmill.conf.new" "$demo_dir/docmill.conf"
}

# The daemon's own role is no superuser, so row-level security holds for it.
demo_migrate() {
    local pg=$demo_dir/pg
    [ -n "$(cluster_sql "$pg" postgres -c "SELECT 1 FROM pg_roles WHERE rolname = 'docmill'")" ] ||
        cluster_sql "$pg" postgres -c 'CREATE ROLE docmill LOGIN'
    [ -n "$(cluster_sql "$pg" postgres -c "SELECT 1 FROM pg_database WHERE datname = 'docmill'")" ] ||
        cluster_sql "$pg" postgres -c 'CREATE DATABASE docmill'
    as_account "$demo_dir/bin/docmilld" -c "$demo_dir/docmill.conf" migrate up >"$demo_dir/migrate.log" 2>&1 || {
        tail -20 "$demo_dir/migrate.log" >&2
        die "the migration failed"
    }
    cluster_sql "$pg" docmill -c 'GRANT docmill_worker, docmill_api TO docmill'
}

# Prints the pid of the running daemon; fails if there is none.
demo_daemon_pid() {
    local pid
    pid=$(cat "$demo_dir/docmilld.pid" 2>/dev/null) && [ -n "$pid" ] || return 1
    # a pid alone may be another program's by now
    case $(readlink "/proc/$pid/exe" 2>/dev/null) in
    "$demo_dir/bin/"*) echo "$pid" ;;
    *) return 1 ;;
    esac
}

demo_daemon_ready() { demo_ctl health >/dev/null 2>&1; }
demo_daemon_gone() { ! demo_daemon_pid >/dev/null; }

demo_start_daemon() {
    local log=$demo_dir/log/docmilld.log
    if demo_daemon_pid >/dev/null; then
        [ "$DEMO_CHANGED" = 1 ] || { wait_until 30 demo_daemon_ready && return 0; }
        demo_stop_daemon
    fi
    rm -f "$demo_dir/docmilld.pid"
    : >"$demo_dir/docmilld.pid"
    ! is_root || chown "$(account_name):" "$demo_dir/docmilld.pid"
    # the shell's pid is the daemon's after exec
    as_account setsid --fork sh -c "echo \$\$ >'$demo_dir/docmilld.pid'
        exec '$demo_dir/bin/docmilld' -c '$demo_dir/docmill.conf' >>'$log' 2>&1 </dev/null 8>&-"
    wait_until 60 demo_daemon_ready || {
        as_account tail -20 "$log" >&2
        die "docmilld did not become ready (log: $log)"
    }
}

demo_stop_daemon() {
    local pid
    pid=$(demo_daemon_pid) || return 0
    as_account kill -TERM "$pid"
    wait_until 60 demo_daemon_gone || {
        warn "docmilld did not end in a minute; killing it"
        as_account kill -KILL "$pid"
    }
    rm -f "$demo_dir/docmilld.pid"
}
