# live_daemon.sh - the docmilld that a real service calls back: fresh, private, gone afterwards
#
# live_daemon_start BUILD SETTINGS makes everything in live_dir, which the calling script sets: programs, PostgreSQL,
# configuration, secrets. SETTINGS are groups of the configuration. The daemon listens on a port of 127.0.0.1, and is
# named in LIVE_DAEMON, LIVE_TOKEN_FILE and LIVE_SECRET_FILE. It asks the service once an hour, so that only a callback
# can be in time; it tries once, and its budget is one page. live_daemon_stop ends both.
#
# Keys stand in files of the account alone, and in no process's environment or arguments.
#
# Depends on common.sh, cluster.sh.

live_free_port() {
    /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

live_random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

live_write_conf() {
    local settings=$1 port=$2 name
    make_private_dir "$live_dir/blobs" "$live_dir/secrets"
    mkdir -p "$live_dir/run"
    live_random >"$live_dir/secrets/token"
    live_random >"$live_dir/secrets/signing"
    printf '%s' "$LLAMA_CLOUD_API_KEY" >"$live_dir/secrets/key"
    cat >"$live_dir/docmill.conf" <<-END
	node = { name = "live"; };
	run_dir = "$live_dir/run";
	database = {
	    url = "$(cluster_url "$live_dir/pg" docmill docmill)";
	    migrate_url = "$(cluster_url "$live_dir/pg" docmill)";
	};
	api = {
	    listen = "127.0.0.1:$port";
	    token_file = "$live_dir/secrets/token";
	    token_user = "live";
	};
	blob = { backend = "fs"; fs = { root = "$live_dir/blobs"; }; };
	embedder = { name = "builtin"; };
	parser = { libexec = "$live_dir/bin"; order = "llamaparse"; };
	queue = { max_attempts = 1; };
	limits = { max_pages = 1; };
	$settings
	llamaparse = {
	    api_key_file = "$live_dir/secrets/key";
	    webhook_secret_file = "$live_dir/secrets/signing";
	    poll_first = "1h";
	    poll_cap = "1h";
	    $live_service
	};
	END
    for name in token signing key; do
        chmod 0600 "$live_dir/secrets/$name"
    done
    ! is_root || chown -R "$(account_name):" "$live_dir/run" "$live_dir/secrets" "$live_dir/docmill.conf"
    chmod 0640 "$live_dir/docmill.conf"
}

live_install_programs() {
    local name
    mkdir -p "$live_dir/bin"
    for name in docmilld docmillctl docmill-sandbox docmill-html; do
        [ -x "$1/src/bin/$name" ] || die "$name is not built in $1"
        install -m 0755 "$1/src/bin/$name" "$live_dir/bin/$name"
    done
}

live_migrate() {
    cluster_sql "$live_dir/pg" postgres -c 'CREATE ROLE docmill LOGIN'
    cluster_sql "$live_dir/pg" postgres -c 'CREATE DATABASE docmill'
    as_account "$live_dir/bin/docmilld" -c "$live_dir/docmill.conf" migrate up >"$live_dir/migrate.log" 2>&1 || {
        tail -20 "$live_dir/migrate.log" >&2
        die "the migration failed"
    }
    cluster_sql "$live_dir/pg" docmill -c 'GRANT docmill_worker, docmill_api TO docmill'
}

live_daemon_ready() { "$live_dir/bin/docmillctl" health --run-dir "$live_dir/run" >/dev/null 2>&1; }
# By its program: a pid alone may be another's by now, or of a child that is dead and that nobody has asked after.
live_daemon_gone() {
    local pid
    pid=$(cat "$live_dir/run/pid" 2>/dev/null) && [ -n "$pid" ] || return 0
    [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" != "$live_dir/bin/docmilld" ]
}

# SETTINGS: the first line belongs to the group llamaparse, the others are groups of their own.
live_daemon_start() {
    local build=$1 settings=$2 port live_service
    port=$(live_free_port)
    live_service=${settings%%$'\n'*}
    live_install_programs "$build"
    live_write_conf "${settings#*$'\n'}" "$port"
    (
        unset OPENAI_API_KEY LLAMA_CLOUD_API_KEY
        cluster_start "$live_dir/pg"
        live_migrate
    )
    # the shell's pid is the daemon's after exec; in a session of its own it hears no Ctrl-C before it is told
    as_account env -u OPENAI_API_KEY -u LLAMA_CLOUD_API_KEY setsid --fork sh -c "echo \$\$ >'$live_dir/run/pid'
        exec '$live_dir/bin/docmilld' -c '$live_dir/docmill.conf'" >"$live_dir/docmilld.log" 2>&1 </dev/null
    wait_until 60 live_daemon_ready || {
        tail -20 "$live_dir/docmilld.log" >&2
        die "docmilld did not become ready"
    }
    LIVE_DAEMON=http://127.0.0.1:$port LIVE_TOKEN_FILE=$live_dir/secrets/token LIVE_SECRET_FILE=$live_dir/secrets/signing
    export LIVE_DAEMON LIVE_TOKEN_FILE LIVE_SECRET_FILE
}

live_daemon_stop() {
    if ! live_daemon_gone; then
        kill -TERM "$(cat "$live_dir/run/pid")"
        wait_until 60 live_daemon_gone || kill -KILL "$(cat "$live_dir/run/pid")"
    fi
    [ ! -d "$live_dir/pg/data" ] || cluster_stop "$live_dir/pg"
}
