{ok, [[File]]} = init:get_argument(conf),
Schema = cuttlefish_schema:files(filelib:wildcard(filename:join(code:priv_dir(rabbit), "schema/*.schema"))),
Found = case cuttlefish_conf:file(File) of
    {errorlist, _} = Unreadable -> {error, reading, Unreadable};
    Lines -> cuttlefish_generator:map(Schema, Lines)
end,
case Found of
    {error, _, {errorlist, Errors}} ->
        [io:format(standard_error, "~ts~n", [cuttlefish_error:xlate(Error)]) || {error, Error} <- Errors],
        halt(1);
    _ -> halt(0)
end.
