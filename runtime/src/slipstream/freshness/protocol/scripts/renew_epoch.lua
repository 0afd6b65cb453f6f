#!lua flags=allow-oom
-- prelude
-- Answers the new epoch.
return (begin_epoch())
