# demo_mocks.sh - the demo's outside services: stand-ins that misbehave, and the configuration that uses them
#
# Each listens on a port of 127.0.0.1 that was free when it was first started; its faults are in a file of demo_home,
# its counts survive a stop. The keys are made up: the stand-ins take no others, and nobody else takes them.
#
# Depends on common.sh, demo_daemon.sh.

DEMO_MOCKS="llamaparse openai"
DEMO_MOCK_WORST=0.1 # of all requests, for each way to fail

demo_mock_port() { cat "$demo_home/mock-$1.port" 2>/dev/null || echo 0; }
demo_mock_url() { printf 'http://127.0.0.1:%s' "$(demo_mock_port "$1")"; }

# Ways to fail that pass: each strikes every tenth request, all of them at once.
demo_mock_faults() {
    local p=$DEMO_MOCK_WORST more
    case $1 in
    # OpenAI tells its limits in headers
    openai) more='"requests_per_minute": 240, "no_usage": '$p ;;
    # LlamaParse tells nothing; that no more than so many may be submitted in ten seconds is a flag
    llamaparse) more='"delay_more": {"probability": '$p', "ms": 500}' ;;
    esac
    cat <<-END
	{
	    "delay": {"kind": "lognormal", "median_ms": 60, "sigma": 0.7},
	    "failure_rate": $p,
	    "status_codes": {"500": 1, "503": 1},
	    "drop_before": $p,
	    "drop_after": $p,
	    "reset_mid_body": $p,
	    "partial_body": $p,
	    "malformed_body": $p,
	    $more
	}
	END
}

demo_mock_flags() {
    case $1 in
    openai) printf '%s\n' --key "$(demo_mock_key openai)" ;;
    llamaparse) printf '%s\n' --key "$(demo_mock_key llamaparse)" --job-ms 300 --page-ms 2 --upload-limit 30 ;;
    esac
}

demo_mock_key() {
    case $1 in
    openai) echo sk-demo-0123456789abcdef ;;
    llamaparse) echo llx-demo-0123456789abcdef ;;
    esac
}

demo_services_mocks() {
    cat <<-END
	# The stand-ins of this demo. Never so with the real services: prices are the provider's, keys come from files
	# (openai.api_key_file, llamaparse.api_key_file), and addresses of this machine are refused.
	http = { allow_private = "127.0.0.1"; };

	embedder = { name = "openai"; dimension = 512; batch_items = 128; };
	openai = {
	    base_url = "$(demo_mock_url openai)/v1";
	    api_key = "$(demo_mock_key openai)";
	    model = "text-embedding-3-small";
	    price_per_million_tokens = "0.02";
	};

	# Markdown and plain text need no parser.
	parser = { order = "llamaparse"; libexec = "$demo_dir/bin"; };
	llamaparse = {
	    base_url = "$(demo_mock_url llamaparse)";
	    api_key = "$(demo_mock_key llamaparse)";
	    max_jobs = 20;
	    poll_first = "300ms";
	    poll_cap = "2s";
	};

	# Half of all requests fail here, all the time: a demo that would wait a minute after each bad spell is no fun.
	breaker = { open = "500ms"; open_cap = "3s"; };
	queue = { retry_first = "500ms"; retry_cap = "5s"; max_attempts = 10; };
	END
}

demo_mock_is_up() { grep -q '^listening on 127.0.0.1:' "$demo_home/log/mock-$1.log" 2>/dev/null; }

# The port of its first start, so that the configuration stays right.
demo_start_mock() {
    local name=$1 program=docmill-mock-$1 log=$demo_home/log/mock-$1.log port was flags
    demo_install_program "$demo_dir/build/mocks/$name/$program" || true
    if demo_pid "$program" >/dev/null; then
        demo_is_old "$program" || return 0
        demo_end "$program"
    fi
    was=$(demo_mock_port "$name")
    port=$was
    [ "$port" = 0 ] || port_is_free "$port" || port=0
    [ -e "$demo_home/mock-$name.json" ] || demo_mock_faults "$name" >"$demo_home/mock-$name.json"
    mapfile -t flags < <(demo_mock_flags "$name")
    as_account truncate -s 0 "$log"
    demo_launch "$log" "$program" --port "$port" --state "$demo_home/log/mock-$name.state" \
        --faults "@$demo_home/mock-$name.json" "${flags[@]}"
    wait_until 20 demo_mock_is_up "$name" || {
        as_account tail -5 "$log" >&2
        die "$program did not start"
    }
    port=$(sed -n 's/^listening on 127.0.0.1://p' "$log")
    echo "$port" >"$demo_home/mock-$name.port"
    if [ "$was" != 0 ] && [ "$port" != "$was" ] && [ -e "$demo_home/docmill.conf" ]; then
        sed -i "s|\"http://127.0.0.1:$was\([/\"]\)|\"http://127.0.0.1:$port\1|" "$demo_home/docmill.conf"
        DEMO_CHANGED=1
    fi
}

demo_start_mocks() {
    local name
    make_private_dir "$demo_home/log"
    for name in $DEMO_MOCKS; do
        demo_start_mock "$name"
        say "docmill-mock-$name on $(demo_mock_url "$name"), faults in $demo_home/mock-$name.json"
    done
}

demo_stop_mocks() {
    local name
    for name in $DEMO_MOCKS; do
        demo_end "docmill-mock-$name"
    done
}

# What each of them counted, in a line.
demo_mock_counts() {
    local name
    for name in $DEMO_MOCKS; do
        /usr/bin/python3 - "$name" "$(demo_mock_url "$name")/__usage" <<-'END'
			import json, sys, urllib.request
			name, url = sys.argv[1:]
			direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
			count = json.load(direct.open(url, timeout=20))
			shown = lambda c: ", ".join(f"{c[k]} {k.replace('_', ' ')}" for k in
			                            ("jobs", "pages", "requests", "inputs", "tokens", "rate_limited") if k in c)
			print(f"    {name:12}{count['cost_usd']} USD: {shown(count)}")
			if "delivered" in count:
			    part = count["delivered"]
			    print(f"    {'':12}{part['cost_usd']} USD of that in answers that arrived whole: {shown(part)}")
		END
    done
}
