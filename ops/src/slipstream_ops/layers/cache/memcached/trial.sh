# Starts Memcached by the script $1 on a socket of its own and stops it when it listens.
# Exit code 0: it started. Otherwise what it said goes to standard error.
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
# With a socket Memcached opens no port; every other option is the one of the real start.
/bin/sh "$1" -s "$folder/trial.sock" >"$folder/said" 2>&1 &
server=$!
trap 'kill -KILL $server 2>/dev/null; rm -rf "$folder"' EXIT
tries=0
while [ $tries -lt 200 ]; do
    if [ -S "$folder/trial.sock" ] && kill -0 $server 2>/dev/null; then exit 0; fi
    if ! kill -0 $server 2>/dev/null; then break; fi
    tries=$((tries + 1))
    sleep 0.05
done
cat "$folder/said" >&2
exit 1
