#!lua flags=allow-oom
-- prelude
-- ARGV: 3 until, ms on this server's clock. An absolute end: a daemon that was paused cannot prolong what it read long ago.
local known = tonumber(redis.call('GET', prefix .. 'd') or '0')
if tonumber(ARGV[3]) > known then redis.call('SET', prefix .. 'd', ARGV[3], 'PXAT', ARGV[3]) end
return 1
