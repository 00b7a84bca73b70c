# demo_daemon.sh - the demo's docmilld: its programs, its configuration, its life
#
# The calling script sets demo_dir, where what all demos share is (programs, PostgreSQL, documents); demo_home, where
# this one has its configuration, sockets, blobs and log; demo_name and demo_database; and demo_services, the function
# that writes the part of the configuration that says who embeds and parses. The daemon runs as the ordinary account
# (common.sh); its configuration holds no secret but the name of the file with the token.
#
# Depends on common.sh, cluster.sh.

DEMO_PROGRAMS="docmilld docmillctl docmill-sandbox docmill-html"

demo_ctl() { "$demo_dir/bin/docmillctl" "$1" --run-dir "$demo_home/run" "${@:2}"; }
demo_ctl_line() { printf '%s --run-dir %s' "$demo_dir/bin/docmillctl" "$demo_home/run"; }
demo_listen() { sed -n 's/^ *listen = "\(.*\)";/\1/p' "$demo_home/docmill.conf"; }

# Copies what changed beside its place and renames it there. Sets DEMO_CHANGED if a running daemon is now an old one.
demo_install_programs() {
    local name
    DEMO_CHANGED=0
    for name in $DEMO_PROGRAMS; do
        demo_install_program "$demo_dir/build/src/bin/$name" || DEMO_CHANGED=1
    done
}

# Fails if it was not there as it is now.
demo_install_program() {
    local built=$1 name=${1##*/}
    mkdir -p "$demo_dir/bin"
    ! cmp -s "$built" "$demo_dir/bin/$name" || return 0
    install -m 0755 "$built" "$demo_dir/bin/.$name.new"
    mv "$demo_dir/bin/.$name.new" "$demo_dir/bin/$name"
    return 1
}

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Not that of the other demo either, which may be stopped just now.
demo_choose_port() {
    local port
    for port in $(seq 8000 8019); do
        if port_is_free "$port" && ! grep -qs "\"127.0.0.1:$port\"" "$demo_dir"/{,mocks/}docmill.conf; then
            echo "$port"
            return 0
        fi
    done
    die "no port from 8000 to 8019 is free"
}

# Written once; what is changed in it by hand stays.
demo_write_conf() {
    make_private_dir "$demo_home/blobs" "$demo_home/log"
    mkdir -p "$demo_home/run"
    if is_root; then
        chown "$(account_name):" "$demo_home/run"
    fi
    [ ! -e "$demo_home/docmill.conf" ] || return 0
    (umask 077 && od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$demo_home/token")
    cat >"$demo_home/docmill.conf.new" <<-END
	# The demo's configuration; \`docmilld -c FILE -T\` prints every key with its value and where it came from.
	node = { name = "$demo_name"; };
	run_dir = "$demo_home/run";

	database = {
	    url = "$(cluster_url "$demo_dir/pg" "$demo_database" docmill)";
	    # may create roles and tables; only \`docmilld migrate\` uses it
	    migrate_url = "$(cluster_url "$demo_dir/pg" "$demo_database")";
	};

	api = {
	    listen = "127.0.0.1:$(demo_choose_port)";
	    token_file = "$demo_home/token";
	    # whoever calls, over the socket or with the token, is this user
	    token_user = "demo";
	    socket_user = "demo";
	};

	blob = {
	    backend = "fs";
	    fs = { root = "$demo_home/blobs"; };
	};

	$($demo_services)
	END
    if is_root; then
        chown "$(account_name):" "$demo_home/docmill.conf.new" "$demo_home/token"
    fi
    chmod 0640 "$demo_home/docmill.conf.new"
    mv "$demo_home/docmill.conf.new" "$demo_home/docmill.conf"
}

demo_services_builtin() {
    cat <<-END
	# Needs no service and finds by words, not by meaning.
	embedder = { name = "builtin"; };

	parser = { libexec = "$demo_dir/bin"; };
	END
}

# The daemon's own role is no superuser, so row-level security holds for it.
demo_migrate() {
    local pg=$demo_dir/pg
    [ -n "$(cluster_sql "$pg" postgres -c "SELECT 1 FROM pg_roles WHERE rolname = 'docmill'")" ] ||
        cluster_sql "$pg" postgres -c 'CREATE ROLE docmill LOGIN'
    [ -n "$(cluster_sql "$pg" postgres -c "SELECT 1 FROM pg_database WHERE datname = '$demo_database'")" ] ||
        cluster_sql "$pg" postgres -c "CREATE DATABASE $demo_database"
    as_account "$demo_dir/bin/docmilld" -c "$demo_home/docmill.conf" migrate up >"$demo_home/migrate.log" 2>&1 || {
        tail -20 "$demo_home/migrate.log" >&2
        die "the migration failed"
    }
    cluster_sql "$pg" "$demo_database" -c 'SET client_min_messages = warning' -c 'GRANT docmill_worker, docmill_api TO docmill'
}

# Prints the pid of a running program of the demo, such as docmilld; fails if it does not run.
demo_pid() {
    local pid
    pid=$(cat "$demo_home/$1.pid" 2>/dev/null) && [ -n "$pid" ] || return 1
    # A pid alone may be another program's by now. Its exe cannot be read by an ordinary user: docmilld is not dumpable.
    [ "$(tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | head -1)" = "$demo_dir/bin/$1" ] || return 1
    echo "$pid"
}

# demo_launch LOG PROGRAM [ARGUMENTS...]: as the account, for as long as nobody stops it; its pid in demo_home.
demo_launch() {
    local log=$1 name=$2
    shift 2
    rm -f "$demo_home/$name.pid"
    : >"$demo_home/$name.pid"
    ! is_root || chown "$(account_name):" "$demo_home/$name.pid"
    # the shell's pid is the program's after exec; descriptor 8 is this script's lock
    as_account setsid --fork sh -c 'echo $$ >"$1"; log=$2; shift 2; exec "$@" >>"$log" 2>&1 </dev/null 8>&-' sh \
        "$demo_home/$name.pid" "$log" "$demo_dir/bin/$name" "$@"
}

demo_gone() { ! demo_pid "$1" >/dev/null; }

demo_end() {
    local name=$1 pid
    pid=$(demo_pid "$name") || return 0
    as_account kill -TERM "$pid"
    wait_until 60 demo_gone "$name" || {
        warn "$name did not end in a minute; killing it"
        as_account kill -KILL "$pid"
    }
    rm -f "$demo_home/$name.pid"
}

# It was built anew, by this demo or by the other one.
demo_is_old() { [ "$demo_dir/bin/$1" -nt "$demo_home/$1.pid" ]; }

demo_daemon_ready() { demo_ctl health >/dev/null 2>&1; }

demo_start_daemon() {
    local log=$demo_home/log/docmilld.log
    if demo_pid docmilld >/dev/null; then
        [ "$DEMO_CHANGED" = 1 ] || demo_is_old docmilld || { wait_until 30 demo_daemon_ready && return 0; }
        demo_stop_daemon
    fi
    demo_launch "$log" docmilld -c "$demo_home/docmill.conf"
    wait_until 60 demo_daemon_ready || {
        as_account tail -20 "$log" >&2
        die "docmilld did not become ready (log: $log)"
    }
}

demo_stop_daemon() { demo_end docmilld; }
