#!lua
-- prelude
-- CERTIFY. ARGV: 3 p · 4 epoch · 5 stamps' lifetime ms · 6... tags. Answers {1, n} or {0}. No allow-oom: refused, the page is not shared.
local tags = arguments_from(6)
set_missing_stamps(tags, ARGV[5])
if is_valid(tags, tonumber(ARGV[3]), ARGV[4]) then return {1, seq} end
return {0}
