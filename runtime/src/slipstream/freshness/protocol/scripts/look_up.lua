#!lua flags=allow-oom
-- prelude
-- READ. ARGV: 3 key. Answers {1, body, tags, audience, p, epoch} or {0, epoch, p}. allow-oom: without it a full store refuses even reads.
local v = redis.call('HMGET', prefix .. 'v:' .. ARGV[3], 'b', 't', 'a', 'p', 'e')
if v[1] and v[2] and v[3] and v[4] and v[5] and is_valid(split(v[2]), tonumber(v[4]), v[5]) then
  return {1, v[1], v[2], v[3], tonumber(v[4]), v[5]}
end
return {0, epoch, seq}
