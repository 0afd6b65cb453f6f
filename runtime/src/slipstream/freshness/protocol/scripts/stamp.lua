#!lua flags=allow-oom
-- prelude
-- STAMP. ARGV: 3 transaction · 4... tags. Answers {epoch, n}. allow-oom: it comes after COMMIT and must not fail.
seq = redis.call('HINCRBY', prefix .. 'e', 'seq', 1)
for i = 4, #ARGV do
  redis.call('SET', prefix .. 't:' .. ARGV[i], epoch .. ' ' .. text(seq), 'XX', 'KEEPTTL')
  redis.call('SREM', prefix .. 'p:' .. ARGV[i], ARGV[3])
end
redis.call('HDEL', prefix .. 'w', ARGV[3])
return {epoch, seq}
