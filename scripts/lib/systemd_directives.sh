# systemd_directives.sh - each restriction of docmill.service, tried: what it forbids works without it and fails with it
#
# An attempt runs as a oneshot unit, once without any restriction and once with the lines of that directive as the
# installed unit has them. Where it fails even without, the container itself forbids it or cannot do it, and the
# directive is listed as not shown. A restriction of the unit that the table does not know is a failure.
#
# The table: a directive, who tries (root or another user), and a shell command that succeeds where nothing forbids it; `-` for
# what cannot be tried, with the reason. Depends on common.sh, container.sh.

DIRECTIVES_BEGIN=NoNewPrivileges # the first of the restrictions in the unit; they reach to SystemCallErrorNumber

directives_table() {
    cat <<'END'
NoNewPrivileges         docmill  test "$(/usr/local/bin/suid-id -u)" = 0
CapabilityBoundingSet   root     chown nobody /var/probe/file
AmbientCapabilities     -        the empty set forbids nothing that is not given elsewhere
ProtectSystem           root     touch /usr/probe /etc/probe
ProtectHome             root     test -e /root/probe
ProtectProc             docmill  test -e /proc/1/status
PrivateTmp              root     test -e /tmp/probe
PrivateMounts           root     mount -t tmpfs none /mnt && touch /mnt/probe && nsenter -t 1 -m test -e /mnt/probe
PrivateDevices          root     test -e /dev/probe
DevicePolicy            -        no device controller reaches into a container
ProtectClock            root     date -s "$(date)"
ProtectControlGroups    root     touch /sys/fs/cgroup/cgroup.procs
ProtectHostname         root     hostname probe
ProtectKernelLogs       root     dmesg
ProtectKernelModules    root     test -e /usr/lib/modules/probe
ProtectKernelTunables   root     echo 1 >/proc/sys/net/ipv4/ip_forward
LockPersonality         root     setarch -R true
MemoryDenyWriteExecute  root     perl -e 'exit(syscall(9, 0, 4096, 7, 0x22, -1, 0) == -1)'
KeyringMode             -        which keyring a process begins with forbids nothing by itself
RemoveIPC               games    perl -e 'exit(!defined shmget(7230, 4096, 0600 | 01000))'
RestrictAddressFamilies root     perl -e 'exit(!socket(S, 16, 3, 0))'
RestrictNamespaces      root     unshare -u true
RestrictRealtime        root     chrt -f 1 true
RestrictSUIDSGID        root     chmod 4755 /var/probe/file
SystemCallArchitectures -        there is no program of another architecture here
SystemCallFilter        root     chroot / true
SystemCallErrorNumber   -        told by the errors that SystemCallFilter's attempt gets
END
}

# What is seen afterwards, where a directive cleans up: succeeds if it has not.
directive_after() {
    case $1 in
    RemoveIPC) container_run sh -c 'ipcs -m | grep -q games; r=$?; ipcrm --all=shm; exit $r' ;;
    *) return 0 ;;
    esac
}

directives_prepare() {
    container_run sh -c 'mkdir -p /var/probe /usr/lib/modules/probe && touch /var/probe/file /root/probe /tmp/probe /dev/probe &&
        chmod 0777 /var/probe && install -m 4755 /usr/bin/id /usr/local/bin/suid-id'
}

directives_of_unit() {
    container_run cat /usr/lib/systemd/system/docmill.service |
        sed -n "/^$DIRECTIVES_BEGIN=/,/^SystemCallErrorNumber=/p" | grep '^[A-Z]' || true
}

# attempt WHO COMMAND [LINES]: the command as a unit with these lines.
attempt() {
    local status
    {
        printf '[Service]\nType=oneshot\nExecStart=/bin/sh /var/probe/command\n'
        [ "$1" = root ] || printf 'User=%s\n' "$1"
        [ -z "${3:-}" ] || printf '%s\n' "$3"
    } >"$ROOT/run-probe.service"
    printf '%s\n' "$2" >"$ROOT/var/probe/command"
    container_run sh -c 'cp /run-probe.service /run/systemd/system/probe.service && systemctl daemon-reload && systemctl start probe' \
        >/dev/null 2>&1
    status=$?
    container_run sh -c 'systemctl reset-failed probe; ! mountpoint -q /mnt || umount /mnt' >/dev/null 2>&1 || true
    return $status
}

succeeds() { # directive who command [lines]
    attempt "$2" "$3" "${4:-}" && directive_after "$1"
}

forbids() {
    ! succeeds "$@" || {
        echo "$1 forbids nothing: $3"
        return 1
    }
}

# Runs `check` for each directive of the unit.
check_directives() {
    local name who command lines
    echo "not shown: OOMPolicy: systemd is told of such a death by control groups of version 2 only" >"$WORK/not-shown"
    directives_prepare || return 1
    directives_of_unit >"$WORK/directives"
    cut -d= -f1 "$WORK/directives" | uniq >"$WORK/names"
    [ -s "$WORK/names" ] || return 1
    while read -r name <&7; do
        read -r who command < <(directives_table | awk -v name="$name" '$1 == name { $1 = ""; print }') || true
        lines=$(grep "^$name=" "$WORK/directives")
        if [ -z "$who" ]; then
            check "directive_${name}_is_in_the_table" false
        elif [ "$who" = - ]; then
            echo "not shown: $name: $command" >>"$WORK/not-shown"
        elif ! succeeds "$name" "$who" "$command"; then
            echo "not shown: $name: what it forbids does not work in this container anyway" >>"$WORK/not-shown"
        else
            check "directive_$name" forbids "$name" "$who" "$command" "$lines"
        fi
    done 7<"$WORK/names"
    sed 's/^/    /' "$WORK/not-shown"
}
