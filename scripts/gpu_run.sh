#!/bin/sh
# Everything that is to be run on a machine with a GPU, in one go of at most eight minutes: whether it is right, how
# fast it is, and how fast others are there. Such a machine needs neither a compiler nor a network.
#
#   scripts/gpu_run.sh OUT [BINARY] [small]
#
# OUT gets check.json, bench.json, peers.json and a log of each; BINARY is heliosdb-gpu-offload as it was built
# elsewhere. With `small` the sizes suit a device that is a CPU (PoCL), and it is taken as a device. Seconds of the three
# parts can be set by CHECK_S, BENCH_S and PEERS_S, and families or operations to be measured by ONLY (`graph,vector.knn`).
# What a part has written stays when it is cut off.
set -u
out=${1:?usage: gpu_run.sh OUT [BINARY] [small]}
binary=${2:-target/dist/heliosdb-gpu-offload}
scale=${3:-full}
check_s=${CHECK_S:-120} bench_s=${BENCH_S:-180} peers_s=${PEERS_S:-100}
here=$(dirname "$0")
mkdir -p "$out"
export HELIOSDB_GPU__STORE__DATA_DIR="$out/data"

few=""
[ "$scale" = small ] && few="--allow-cpu-opencl"
# A log may hold much; the end of it is what is printed as it goes.
part() {
    name=$1 limit=$2
    shift 2
    echo "== $name, at most $limit s"
    timeout -k 5 "$limit" "$@" >"$out/$name.log" 2>&1
    code=$?
    tail -n 12 "$out/$name.log"
    case $code in
    0) said="passed" ;;
    124 | 137) said="CUT OFF after $limit s" ;;
    *) said="FAILED with $code" ;;
    esac
    echo "$name: $said" | tee -a "$out/summary.txt"
}

: >"$out/summary.txt"
nvidia-smi >"$out/nvidia-smi.txt" 2>&1 || echo "nvidia-smi: absent" >>"$out/summary.txt"
# The limits leave the parts time to end by themselves: their budgets are smaller.
part check $((check_s + 20)) "$binary" check --gpu $few --budget-s "$check_s" --json "$out/check.json"
part bench $((bench_s + 15)) "$binary" bench --gpu $few ${ONLY:+--only "$ONLY"} --scale "$scale" --budget-s "$bench_s" --json "$out/bench.json"
if command -v python3 >/dev/null; then
    part peers $((peers_s + 15)) python3 "$here/gpu_peers.py" --works "$out/bench.json" --json "$out/peers.json" \
        --budget-s "$peers_s"
else
    echo "peers: no python3" | tee -a "$out/summary.txt"
fi

echo
echo "== summary"
{
    grep -hE '^(ENDED|STALLED|memory|kernels|limits|[0-9]+ FAILED|[0-9]+ had NO TIME|.* holds$)' "$out"/check.log "$out"/bench.log
    # Operations of which something failed: name, passed, failed.
    awk '/^[a-z]+\.[a-z_]+ +[0-9]+ +[0-9]+/ && $3 > 0 { print "check: " $1 ": " $2 " passed, " $3 " FAILED" }' "$out/check.log"
    command -v python3 >/dev/null &&
        python3 "$here/gpu_peers.py" --works "$out/bench.json" --json "$out/peers.json" --table
} 2>&1 | tee -a "$out/summary.txt"
! grep -qE 'FAILED|CUT OFF|ENDED|STALLED' "$out/summary.txt"
