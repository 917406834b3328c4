# Sourced: starts a demo on free ports and stops it at the end.
pb_port=${PB_PORT:-18087}
http_port=${HTTP_PORT:-18098}

start_demo() {
    local out
    out=$(mktemp)
    target/release/ombak demo --pb-port "$pb_port" --http-port "$http_port" "$@" >"$out" 2>&1 &
    demo=$!
    trap 'kill -INT "$demo" 2>/dev/null; wait "$demo" 2>/dev/null || true' EXIT
    until grep -q '^ready' "$out"; do
        kill -0 "$demo" 2>/dev/null || { cat "$out"; echo 'the demo has not become ready'; exit 1; }
        read -r -t 0.1 <> <(:) || true
    done
}
