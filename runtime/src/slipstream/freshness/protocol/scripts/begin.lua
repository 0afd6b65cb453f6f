#!lua flags=allow-oom
-- prelude
-- PAGE's beginning. Answers {epoch, p}.
return {epoch, seq}
