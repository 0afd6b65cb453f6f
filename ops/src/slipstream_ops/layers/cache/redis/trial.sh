# Starts $1 (redis-server) with the configuration $2 in a folder of its own and stops it when it is ready.
# Exit code 0: it started. Otherwise what it said goes to standard error.
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
# Without the data folder, which need not exist yet; the line stays, so that messages name the right one.
sed 's/^dir .*//' "$2" >"$folder/redis.conf" || exit 1
: >"$folder/said"
"$1" "$folder/redis.conf" --port 0 --unixsocket "$folder/trial.sock" --dir "$folder" --logfile "" >"$folder/said" 2>&1 &
server=$!
trap 'kill -KILL $server 2>/dev/null; rm -rf "$folder"' EXIT
tries=0
while [ $tries -lt 200 ]; do
    grep -q "eady to accept connections" "$folder/said" && exit 0
    if ! kill -0 $server 2>/dev/null; then break; fi
    tries=$((tries + 1))
    sleep 0.05
done
cat "$folder/said" >&2
exit 1
