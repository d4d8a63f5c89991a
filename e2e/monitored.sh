# Sourced: a sidecar and a Prometheus that scrapes it by our own configuration, both on ports of the kernel's choice. Needs
# `out`, a folder, and `binary`; sets STORMGLASS_DIR, `address` (of the sidecar) and `prometheus` (its URL). All that is put
# into `pids` ends with the script.

export STORMGLASS_DIR
STORMGLASS_DIR=$(mktemp -d /dev/shm/stormglass-monitored.XXXXXX)
pids=()
finish() {
    for pid in "${pids[@]}"; do kill -INT "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$STORMGLASS_DIR"
}
trap finish EXIT

start_sidecar() { # ARGUMENTS
    touch "$out/serve.out"
    "$binary" serve --listen 127.0.0.1:0 "$@" >"$out/serve.out" 2>"$out/serve.err" &
    pids+=($!)
    for _ in $(seq 100); do
        address=$(sed -n 's|.*http://\([0-9.:]*\)/.*|\1|p' "$out/serve.out")
        [ -n "$address" ] && return
        sleep 0.05
    done
    echo 'the sidecar printed no address'
    cat "$out/serve.err"
    exit 1
}

start_prometheus() { # SCRAPE-INTERVAL
    # Our own configuration, with what must be changed: where the sidecar is, and how often it is asked.
    cp -r grafana/rules "$out/rules"
    sed "s/sidecar:7070/$address/; s/_interval: 5s/_interval: $1/" grafana/prometheus.yml >"$out/prometheus.yml"
    grep -q "$address" "$out/prometheus.yml"
    promtool check config "$out/prometheus.yml"
    prometheus --config.file="$out/prometheus.yml" --storage.tsdb.path="$out/tsdb" \
        --web.listen-address=127.0.0.1:0 >"$out/prometheus.log" 2>&1 &
    prometheus_pid=$!
    pids+=($!)
    # The port is known to the kernel alone.
    for _ in $(seq 100); do
        inodes=$(find "/proc/$prometheus_pid/fd" -lname 'socket:*' -printf '%l\n' | tr -dc '0-9\n' | paste -sd'|')
        hex=$(awk -v want="^($inodes)$" '$4 == "0A" && $10 ~ want { sub(/.*:/, "", $2); print $2; exit }' /proc/net/tcp)
        if [ -n "$hex" ]; then
            prometheus=http://127.0.0.1:$((16#$hex))
            curl -fsS "$prometheus/-/ready" >/dev/null 2>&1 && return
        fi
        sleep 0.1
    done
    echo 'Prometheus is not ready after 10 s'
    cat "$out/prometheus.log"
    exit 1
}
