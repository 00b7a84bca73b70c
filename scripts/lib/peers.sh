# peers.sh - servers that nobody here wrote, to be tested against: llama.cpp, s3rver, moto
#
# peer_ensure NAME puts one into DOCMILL_CACHE/peers/NAME, once, and leaves a program there that starts it: `run`. The
# machine itself is left as it is. llama.cpp's server comes from Debian's sid and moto from trixie, by a private apt that
# believes nothing to be installed: so it fetches the package with everything it needs, the C library included, and the
# packages are only unpacked, never installed. The programs start by their own release's dynamic loader. s3rver comes from
# npm by the lock file. None of it needs root.
#
# A failure ends the (sub)shell with one sentence on standard error, as everywhere here.
#
# Depends on common.sh, packages.sh, private_apt.sh.

PEERS_RECIPE=1 # raise it when what is made below changes: what is older is then made anew
PEERS_ALL="llamacpp s3rver moto"

PEER_llamacpp_suite=sid
PEER_llamacpp_packages="llama.cpp-tools"
PEER_moto_suite=trixie
PEER_moto_packages="python3-moto python3-flask-cors python3-yaml python3-multipart python3-pyparsing
    python3-openapi-spec-validator python3-jsonpath-ng python3-jsondiff"

PEER_NODE_LEAST=20

peer_dir() { printf '%s' "$DOCMILL_CACHE/peers/$1"; }
peer_present() { [ "$(cat "$(peer_dir "$1")/recipe" 2>/dev/null)" = "$(peer_recipe "$1")" ]; }

# A lock file that changed makes another s3rver.
peer_recipe() {
    case $1 in
    s3rver) printf '%s %s' "$PEERS_RECIPE" "$(sha256sum <"$DOCMILL_SOURCE/tests/peers/package-lock.json" | cut -d' ' -f1)" ;;
    *) printf '%s' "$PEERS_RECIPE" ;;
    esac
}

peer_ensure() {
    local name=$1 dir
    dir=$(peer_dir "$name")
    peer_present "$name" && return 0
    rm -rf "$dir" "$dir.new"
    mkdir -p "$dir.new"
    case $name in
    s3rver) peer_make_s3rver "$dir.new" ;;
    *) peer_unpack "$name" "$dir.new" ;;
    esac
    "peer_run_$name" "$dir" "$dir.new" >"$dir.new/run"
    chmod 0755 "$dir.new/run"
    peer_recipe "$name" >"$dir.new/recipe"
    mv "$dir.new" "$dir"
}

# What the packages need, unpacked side by side; nothing of them is run here.
peer_unpack() {
    local name=$1 dir=$2 suite=PEER_$1_suite packages=PEER_$1_packages file
    private_apt_open "$dir/apt" "${!suite}" deb
    : >"$dir/apt/status"
    # shellcheck disable=SC2086
    private_apt apt-get -q -y -o Dir::State::status="$dir/apt/status" -o Dir::State::extended_states="$dir/apt/states" \
        --no-install-recommends --download-only install ${!packages} >"$dir/apt/fetch.log" 2>&1 </dev/null || {
        tail -5 "$dir/apt/fetch.log" >&2
        die "the packages of $name could not be fetched from ${!suite}"
    }
    mkdir "$dir/root"
    for file in "$dir"/apt/archives/*.deb; do
        dpkg-deb -x "$file" "$dir/root"
        dpkg-deb -W --showformat '${Package} ${Version}\n' "$file"
    done >"$dir/versions"
    rm -rf "$dir/apt"
}

# Sets `libs` and `loader`: where the libraries below root are, and the program that loads them. Below `final`, where
# things will be, found below `made`, where they are.
peer_loader() {
    local final=$1 made=$2
    libs=$(cd "$made" && echo root/usr/lib/*-linux-gnu*)
    loader=$(cd "$made" && echo "$libs"/ld-linux*.so.*)
    [ -e "$made/$loader" ] || die "the unpacked packages have no dynamic loader where it is looked for"
    libs=$final/$libs loader=$final/$loader
}

# It looks for the code that fits the processor beside its own program, which is the loader here, and in the directory
# that it is started in.
peer_run_llamacpp() {
    local libs loader
    peer_loader "$1" "$2"
    cat <<-END
	#!/bin/sh
	cd "$libs/ggml/backends0" || exit 1
	exec "$loader" --library-path "$libs:$libs/llama" "$1/root/usr/bin/llama-server" "\$@"
	END
}

# A Python that has moto.
peer_run_moto() {
    local libs loader
    peer_loader "$1" "$2"
    cat <<-END
	#!/bin/sh
	PYTHONHOME="$1/root/usr" PYTHONPATH="$1/root/usr/lib/python3/dist-packages"
	export PYTHONHOME PYTHONPATH
	unset PYTHONDONTWRITEBYTECODE
	exec "$loader" --library-path "$libs" "$1/root/usr/bin/python3" "\$@"
	END
}

# A node that has s3rver, whose listings continue by a token in DES: OpenSSL has that in its legacy provider only.
peer_run_s3rver() {
    cat <<-END
	#!/bin/sh
	NODE_PATH="$1/node_modules"
	export NODE_PATH
	exec node --openssl-legacy-provider "\$@"
	END
}

peer_node_major() { node --version 2>/dev/null | sed -n 's/^v\([0-9]*\)\..*/\1/p'; }

peer_make_s3rver() {
    local dir=$1 from=$DOCMILL_SOURCE/tests/peers
    command -v npm >/dev/null && [ "$(peer_node_major)" -ge $PEER_NODE_LEAST ] 2>/dev/null ||
        die "node $PEER_NODE_LEAST or later and npm are needed (in Debian 13: apt-get install nodejs npm)"
    cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$dir/"
    (cd "$dir" && npm ci --no-progress --loglevel=error) >"$dir/npm.log" 2>&1 || {
        tail -5 "$dir/npm.log" >&2
        die "npm could not install s3rver"
    }
}

# What is there, for a person: "llama.cpp-tools 1:0.7.0+dfsg-2".
peer_version() {
    case $1 in
    llamacpp) grep '^llama.cpp-tools ' "$(peer_dir llamacpp)/versions" ;;
    moto) grep '^python3-moto ' "$(peer_dir moto)/versions" ;;
    s3rver) sed -n 's/.*"\(@20minutes\/s3rver\)": *"\([^"]*\)".*/\1 \2/p' "$(peer_dir s3rver)/package.json" ;;
    esac
}
