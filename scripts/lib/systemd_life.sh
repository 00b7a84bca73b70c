# systemd_life.sh - what scripts/test-systemd does with a package: install, configure, start, use, upgrade, remove
#
# Each function is one check: status 0 if it holds. PACKAGE_KIND is deb or rpm, PACKAGE_FILE the package, WORK a directory
# for notes. Depends on common.sh, container.sh.

in_container() { container_run "$@"; }
journal() { container_run journalctl -u docmill --no-pager -o cat "$@"; }
not() { ! "$@"; }

PACKAGE_PATH='' # in the container

# What a package needs is fetched before the container boots, since it has no network.
fetch_package() {
    PACKAGE_PATH=/root/docmill.$PACKAGE_KIND
    cp "$PACKAGE_FILE" "$ROOT$PACKAGE_PATH"
    if [ "$PACKAGE_KIND" = deb ]; then
        container_fetch "$PACKAGE_PATH"
        return
    fi
    # Its requirements name libraries, which only a distribution of .rpm files can resolve.
    # shellcheck disable=SC2046
    container_fetch rpm pandoc poppler-utils $(rpm_libraries)
}

# The packages that the .deb of the same release wants, for an .rpm that was built there.
rpm_libraries() {
    dpkg-deb -f "$PACKAGE_SIBLING" Depends | sed 's/([^)]*)//g; s/|[^,]*//g; s/,/ /g'
}

install_package() {
    if [ "$PACKAGE_KIND" = deb ]; then
        container_run apt-get -q -y install "$PACKAGE_PATH"
    else
        # shellcheck disable=SC2046
        container_run apt-get -q -y install rpm pandoc poppler-utils $(rpm_libraries) &&
            container_run rpm --nodeps -ivh "$PACKAGE_PATH" && container_run rpm -V --nodeps docmill
    fi
}

is_not_started() {
    local enabled=enabled
    [ "$PACKAGE_KIND" = deb ] || enabled=disabled # as each kind of distribution has it
    [ "$(container_run systemctl is-enabled docmill.service)" = $enabled ] &&
        [ "$(container_run systemctl is-enabled docmill.socket)" = disabled ] &&
        [ "$(container_run systemctl is-active docmill)" = inactive ]
}

refuses_without_database() {
    if container_run systemctl start docmill; then
        echo "started although no database is configured"
        return 1
    fi
    journal | grep 'database\.url' && [ "$(container_run systemctl show -P NRestarts docmill)" = 0 ] &&
        [ "$(container_run systemctl is-active docmill)" = failed ]
}

configuration_is_private() {
    [ "$(container_run stat -c '%U:%G %a' /etc/docmill/docmill.conf)" = 'root:docmill 640' ]
}

# As README.Debian says.
configure() {
    container_run_as postgres createuser docmill &&
        container_run_as postgres createdb docmill &&
        container_run sed -i -e 's/^    # \(url = "host=\)/    \1/' -e 's/^    # \(name = "builtin"\)/    \1/' \
            /etc/docmill/docmill.conf &&
        container_run docmilld -t
}

migrate() {
    container_run setpriv --reuid=postgres --regid=docmill --clear-groups \
        env DOCMILL_DATABASE_MIGRATE_URL="host=/run/postgresql dbname=docmill" docmilld migrate up &&
        container_run_as postgres psql -X -v ON_ERROR_STOP=1 -c 'GRANT docmill_worker, docmill_api TO docmill' docmill
}

is_healthy() { container_run docmillctl health; }

# Master, coordinator, api and at least one worker; children name themselves docmill-...
runs_as_docmill() {
    local users
    users=$(container_run ps -e -o comm=,user:20= | grep ^docmill)
    echo "$users"
    [ "$(wc -l <<<"$users")" -ge 4 ] && ! grep -qv ' docmill$' <<<"$users"
}

has_no_capability() {
    local pid
    pid=$(container_run systemctl show -P MainPID docmill)
    container_run grep -E 'CapEff|CapBnd|NoNewPrivs' "/proc/$pid/status"
    [ "$(container_run awk '/^Cap(Eff|Bnd|Prm|Inh|Amb):/ && $2 !~ /^0+$/ || /^NoNewPrivs:/ && $2 != 1' "/proc/$pid/status")" = '' ]
}

upload_and_wait() { # file
    container_run docmillctl upload "$1" && container_run docmillctl wait --timeout 60s
}

finds() { # text, words of the answer
    container_run docmillctl search "$1" | tee /dev/stderr | grep -qi "$2"
}

main_pid() { container_run systemctl show -P MainPID docmill; }

# Another master serves, and every process of the account belongs to it.
is_replaced() { # old pid
    local pid
    pid=$(main_pid)
    [ "$pid" != 0 ] && [ "$pid" != "$1" ] && is_healthy &&
        [ "$(container_run pgrep -u docmill | wc -l)" = $(($(container_run pgrep -P "$pid" | wc -l) + 1)) ]
}

# A package of a higher version with the same content.
make_next_package() {
    local tree=$ROOT/root/next
    if [ "$PACKAGE_KIND" = rpm ]; then
        return 0 # installed over itself
    fi
    rm -rf "$tree"
    root_chroot "$ROOT" dpkg-deb -R "$PACKAGE_PATH" /root/next &&
        sed -i 's/^Version: .*/&+next/' "$tree/DEBIAN/control" &&
        root_chroot "$ROOT" dpkg-deb -b /root/next /root/next.deb
}

# Uploads one document after another until /root/load.stop is there; one that is refused is tried again. Leaves the
# number of those that were taken.
write_load() {
    cat >"$ROOT/root/load" <<-'END'
	#!/bin/bash
	n=0 refused=0
	rm -f /root/load.stop
	mkdir -p /root/load.d
	while [ ! -e /root/load.stop ]; do
	    printf '# Document %d\n\nIt was uploaded during an upgrade.\n' $n >/root/load.d/$n.md
	    until docmillctl upload /root/load.d/$n.md >/dev/null 2>/root/load.error; do
	        refused=$((refused + 1))
	        sleep 0.1
	    done
	    n=$((n + 1))
	    echo $n $refused >/root/load.count
	done
	END
    chmod 0755 "$ROOT/root/load"
}

load_taken() { cut -d' ' -f1 "$ROOT/root/load.count" 2>/dev/null || echo 0; }
load_reached() { [ "$(load_taken)" -ge "$1" ]; }

upgrade_under_load() {
    local pid load taken refused
    make_next_package && write_load || return 1
    pid=$(main_pid)
    container_run /root/load &
    load=$!
    wait_until 30 load_reached 20 || return 1
    taken=$(load_taken)
    if [ "$PACKAGE_KIND" = deb ]; then
        container_run apt-get -q -y install /root/next.deb || return 1
    else
        container_run rpm --nodeps -Uvh --replacepkgs "$PACKAGE_PATH" || return 1
        container_run systemctl try-restart docmill # no %postun runs where nothing older is removed
    fi
    wait_until 30 is_replaced "$pid" && wait_until 30 load_reached $((taken + 20)) || return 1
    touch "$ROOT/root/load.stop"
    wait $load || true
    read -r taken refused <"$ROOT/root/load.count"
    echo "taken $taken, refused $refused"
    container_run docmillctl wait --timeout 60s || return 1
    [ "$(sql "SELECT count(*) FROM upload_pipeline.documents d JOIN upload_pipeline.upload_jobs j ON j.id = d.job_id
              JOIN upload_pipeline.job_states s USING (state) WHERE d.filename ~ '^[0-9]+[.]md$' AND s.name = 'done'")" \
        = "$taken" ]
}

sql() { container_run_as postgres psql -X -A -t -v ON_ERROR_STOP=1 -c "$1" docmill; }

kill_master() {
    local pid
    pid=$(main_pid)
    container_run kill -KILL "$pid" && wait_until 30 is_replaced "$pid"
}

journal_is_clean() {
    # what refuses_to_start_without_a_database provoked is older; an operator's verbs stand out on purpose
    journal --since "$started_at" -p warning | not grep -v "^operator's verb" &&
        journal --since "$started_at" >"$WORK/journal" && not grep -E 'Failed|core dump' "$WORK/journal"
}

# Lines are the journal's own, with fields to ask by.
# Of a child that goes on living: the journal finds no unit for what a process says just before it ends.
journal_has_fields() {
    container_run journalctl --no-pager -o verbose -n 1 DOCMILL_PROC=coordinator _SYSTEMD_UNIT=docmill.service >"$WORK/fields"
    cat "$WORK/fields"
    grep -q ' DOCMILL_MODULE=' "$WORK/fields" && grep -q ' PRIORITY=' "$WORK/fields" &&
        grep -q ' SYSLOG_IDENTIFIER=docmilld' "$WORK/fields"
}

# log.file, turned by logrotate as its package's file says: the daemon goes on in the new one.
log_file_is_rotated() {
    with_conf 's|^    # file = .*|    file = "/var/log/docmill/docmill.log";|'
    container_run systemctl restart docmill && wait_until 30 is_healthy &&
        container_run grep -q 'msg=ready' /var/log/docmill/docmill.log &&
        container_run logrotate -f /etc/logrotate.d/docmill &&
        container_run test -s /var/log/docmill/docmill.log.1 && container_run systemctl kill -s HUP --kill-whom=main docmill &&
        wait_until 10 container_run grep -q reload /var/log/docmill/docmill.log
    local good=$?
    container_run ls -l /var/log/docmill
    without_conf
    container_run systemctl restart docmill && wait_until 30 is_healthy && return $good
}

nothing_left() {
    local left
    left=$(container_run find / -xdev \( -path /proc -o -path /sys -o -path /var/log/journal -o -path /var/cache/apt \
        -o -path /var/lib/postgresql -o -path /root \) -prune -o -iname '*docmill*' -print)
    echo "$left"
    [ -z "$left" ] && not container_run pgrep -u docmill && not container_run pgrep docmill &&
        [ "$(container_run systemctl list-unit-files --no-legend 'docmill*')" = '' ]
}

# A PDF of one page that says $1; the table of offsets is right, so that no parser has to mend it.
write_pdf() {
    local body='' offsets=() object text="BT /F1 18 Tf 72 720 Td ($1) Tj ET" start=9 n=0
    for object in '<</Type/Catalog/Pages 2 0 R>>' '<</Type/Pages/Kids[3 0 R]/Count 1>>' \
        '<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>' \
        "<</Length ${#text}>>stream"$'\n'"$text"$'\n'endstream '<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>'; do
        n=$((n + 1))
        offsets+=($((start + ${#body})))
        body+="$n 0 obj"$'\n'"$object"$'\n'endobj$'\n'
    done
    printf '%%PDF-1.4\n%sxref\n0 %d\n0000000000 65535 f \n' "$body" $((n + 1))
    printf '%010d 00000 n \n' "${offsets[@]}"
    printf 'trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n' $((n + 1)) $((start + ${#body}))
}

write_documents() {
    mkdir -p "$ROOT/root/documents"
    cat >"$ROOT/root/documents/harbour.md" <<-END
	# The harbour

	The lighthouse keeper of Skagen counts the ferries twice a day.

	## Tides

	High water comes fifty minutes later each day.
	END
    printf '<html><body><h1>Orchard</h1><p>Apple trees are pruned in February.</p></body></html>\n' \
        >"$ROOT/root/documents/orchard.html"
    write_pdf 'Swifts sleep on the wing above the town.' >"$ROOT/root/documents/swifts.pdf"
    printf '# Bread\n\nRye dough rests twelve hours in the cold.\n' |
        container_run pandoc -f markdown -o /root/documents/bread.docx
}


remove_package() {
    if [ "$PACKAGE_KIND" = deb ]; then
        container_run apt-get -q -y remove docmill
    else
        container_run rpm -e docmill
    fi
}

# A changed configuration survives: as it was, or as rpm names it.
configuration_is_kept() {
    if [ "$PACKAGE_KIND" = deb ]; then
        container_run test -f /etc/docmill/docmill.conf
    else
        container_run test -f /etc/docmill/docmill.conf.rpmsave
    fi
}

purge() { container_run apt-get -q -y purge docmill; }
