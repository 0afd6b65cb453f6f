#!lua flags=allow-oom
-- prelude
-- PEND. ARGV: 3 transaction · 4... tags. allow-oom: a few bytes, and a cache that is full must not refuse the site's writes.
local tags = arguments_from(4)
for _, tag in ipairs(tags) do redis.call('SADD', prefix .. 'p:' .. tag, ARGV[3]) end
if #tags > 0 then
  local known = redis.call('HGET', prefix .. 'w', ARGV[3])
  redis.call('HSET', prefix .. 'w', ARGV[3], (known and known .. '\n' or '') .. table.concat(tags, '\n'))
end
return 1
