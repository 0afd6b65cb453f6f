#!lua
-- prelude
-- FILL. ARGV: 3 key · 4 body · 5 tags, a line each · 6 audience · 7 p · 8 epoch · 9 lifetime ms · 10 stamps' lifetime ms. Answers 1 if kept.
-- No allow-oom: a full store refuses the value, and the reader has its rows anyway.
local tags = split(ARGV[5])
set_missing_stamps(tags, ARGV[10])
if not is_valid(tags, tonumber(ARGV[7]), ARGV[8]) then return 0 end
local key = prefix .. 'v:' .. ARGV[3]
redis.call('HSET', key, 'b', ARGV[4], 't', ARGV[5], 'a', ARGV[6], 'p', ARGV[7], 'e', ARGV[8])
redis.call('PEXPIRE', key, ARGV[9])
return 1
