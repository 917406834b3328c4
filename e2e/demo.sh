# Sourced: starts a demo on free ports and stops it at the end. What it prints goes to the file $demo_out.
# OMBAK names the program, if it is not the release build.
export OMBAK=${OMBAK:-target/release/ombak}
pb_port=${PB_PORT:-18087}
http_port=${HTTP_PORT:-18098}

start_demo() {
    demo_out=$(mktemp)
    "$OMBAK" demo --pb-port "$pb_port" --http-port "$http_port" "$@" >"$demo_out" 2>&1 &
    demo=$!
    trap 'kill -INT "$demo" 2>/dev/null; wait "$demo" 2>/dev/null || true; rm -f "$demo_out"' EXIT
    until grep -q '^ready' "$demo_out"; do
        kill -0 "$demo" 2>/dev/null || { cat "$demo_out"; echo 'the demo has not become ready'; exit 1; }
        read -r -t 0.1 <> <(:) || true
    done
}
