# Fills the tables of time zones from the system's, once: without them dates in any zone but UTC are NULL in queries.
# $1: option file of the client.
ask() { mariadb --defaults-file="$1" --batch --skip-column-names mysql; }
count=$(echo "SELECT COUNT(*) FROM time_zone_name" | ask "$1") || exit 1
[ "$count" -eq 0 ] || exit 0
# It says on standard error which files of the folder are no time zones.
mariadb-tzinfo-to-sql /usr/share/zoneinfo 2>/dev/null | ask "$1"
