# Has the node at port $2 of loopback evaluate the Erlang on standard input; $1 is the folder of its cookie.
# Prints what it prints. Exit code 0: it was carried out and printed something; otherwise what it met goes to standard error.
HOME=$1
export HOME
# A name of its own for each call: the node refuses a name whose last connection it has not taken leave of yet, and the random
# names of -r are the same for a whole second. Not more than 1000 names, because the node never forgets one.
answer=$(erl_call -address "localhost:$2" -h "ask$(($$ % 1000))" -timeout "$3" -fetch_stdout -no_result_term -e 2>&1) || {
    printf '%s\n' "$answer" >&2
    exit 1
}
case $answer in
    "") echo "the node did not understand the question" >&2; exit 1 ;;
    failed:*) printf '%s\n' "$answer" >&2; exit 1 ;;
    *) printf '%s\n' "$answer" ;;
esac
