# Reads the configuration $3 with the schema of the RabbitMQ whose programs are in $1, by the Erlang in $2.
# Exit code 0: it can be used. The same code as in the server's own start, without starting it.
RABBITMQ_SCRIPTS_DIR=$(dirname "$(readlink -f "$1/rabbitmq-env")")
RABBITMQ_CONF_ENV_FILE=/dev/null
unset ERL_LIBS ERL_FLAGS ERL_AFLAGS ERL_ZFLAGS
. "$RABBITMQ_SCRIPTS_DIR/rabbitmq-env"
_rmq_env_set_erl_libs
exec erl -noinput -boot start_clean -conf "$3" -eval "$2"
