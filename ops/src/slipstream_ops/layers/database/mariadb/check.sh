# Reads the options in the file $1 as the server does. Exit code 0: it can be used.
# A value out of range or an abbreviated name is only a warning to MariaDB, which then takes another value than the one written.
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
# The folders of the real server need not exist yet.
mariadbd --defaults-file="$1" --datadir="$folder" --secure-file-priv="$folder" --help --verbose >/dev/null 2>"$folder/said"
code=$?
if [ $code -eq 0 ] && grep -Eq "Buffered warning|unique option prefix|ambiguous" "$folder/said"; then code=1; fi
[ $code -eq 0 ] || cat "$folder/said" >&2
exit $code
