#!lua flags=allow-oom
-- prelude
-- PEND. ARGV: 3 transaction · 4... tags. allow-oom: a few bytes, and a cache that is full must not refuse the site's writes.
local added = {}
for _, tag in ipairs(arguments_from(4)) do
  if redis.call('SADD', prefix .. 'p:' .. tag, ARGV[3]) == 1 then added[#added + 1] = tag end
end
if #added > 0 then
  local known = redis.call('HGET', prefix .. 'w', ARGV[3])
  redis.call('HSET', prefix .. 'w', ARGV[3], (known and known .. '\n' or '') .. table.concat(added, '\n'))
end
return 1
