# cluster.sh - a private PostgreSQL: own data directory, Unix socket only, run by an ordinary account
#
# cluster_start DIR makes DIR/data and DIR/s on first use and starts the server; it listens on no TCP port, and only
# the account (and root) can enter DIR/s, which is why connections on it are trusted. cluster_stop DIR stops it.
# Nothing outside DIR is read or written, other clusters of the machine least of all.
#
# CLUSTER_OPTIONS, if set, goes to the server's command line.
#
# Depends on common.sh, packages.sh (PG_BINDIR).

CLUSTER_SUPERUSER=postgres

# Where a cluster for tests is fastest: hundreds of databases are made and dropped, which is mostly work of the file
# system. In memory, if there is enough of both.
cluster_scratch_place() {
    local free memory
    free=$(df --output=avail -k /dev/shm 2>/dev/null | tail -1)
    memory=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
    if [ "${free:-0}" -gt 4000000 ] && [ "${memory:-0}" -gt 8000000 ]; then echo /dev/shm; else echo /tmp; fi
}

cluster_running() {
    as_account "$PG_BINDIR/pg_ctl" -D "$1/data" status >/dev/null 2>&1
}

cluster_create() {
    local dir=$1
    make_private_dir "$dir/s"
    as_account "$PG_BINDIR/initdb" -D "$dir/data" -U "$CLUSTER_SUPERUSER" --auth-local=trust --auth-host=reject \
        --encoding=UTF8 --locale=C.UTF-8 --no-instructions >"$dir/initdb.log" 2>&1 || {
        cat "$dir/initdb.log" >&2
        die "initdb failed"
    }
    as_account sh -c "cat >>'$dir/data/postgresql.conf'" <<-END
	listen_addresses = ''
	unix_socket_directories = '$dir/s'
	unix_socket_permissions = 0700
	shared_buffers = 256MB
	max_connections = 200
	log_line_prefix = '%m [%p] %u@%d '
	END
}

# Descriptor 8 is a lock that callers may hold; the server must not inherit it.
cluster_start() {
    local dir=$1
    [ ${#dir} -le 80 ] || die "$dir is too long: a Unix socket's path holds 107 bytes"
    [ -x "$PG_BINDIR/initdb" ] || die "PostgreSQL $PG_MAJOR is not installed ($PG_BINDIR/initdb is missing)"
    [ -d "$dir" ] || make_private_dir "$dir"
    [ -e "$dir/data/PG_VERSION" ] || cluster_create "$dir"
    cluster_running "$dir" && return 0
    as_account "$PG_BINDIR/pg_ctl" -D "$dir/data" -l "$dir/postgres.log" -w -t 60 -s \
        -o "${CLUSTER_OPTIONS:-}" start </dev/null 8>&- || {
        tail -20 "$dir/postgres.log" >&2
        die "PostgreSQL did not start"
    }
}

cluster_stop() {
    local dir=$1
    cluster_running "$dir" || return 0
    as_account "$PG_BINDIR/pg_ctl" -D "$dir/data" -m fast -w -t 60 -s stop
}

# cluster_sql DIR DATABASE [psql arguments...]
cluster_sql() {
    local dir=$1 database=$2
    shift 2
    as_account "$PG_BINDIR/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$dir/s" -U "$CLUSTER_SUPERUSER" -d "$database" "$@"
}

# cluster_url DIR DATABASE [ROLE]
cluster_url() { printf 'postgresql:///%s?host=%s&user=%s' "$2" "$1/s" "${3:-$CLUSTER_SUPERUSER}"; }
