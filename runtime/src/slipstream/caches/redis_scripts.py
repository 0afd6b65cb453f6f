"""Redis scripts for what must be decided and done in one step: each sees the envelope's header, never the value."""

from __future__ import annotations

from hashlib import sha1

# Is the value at KEYS[1] one of generation ARGV[1] that has not expired at ARGV[2] (Unix milliseconds)?
_IS_CURRENT = """
local function is_current(generation, now)
  local head = redis.call('GETRANGE', KEYS[1], 0, 25)
  if #head < 18 or string.byte(head, 1) ~= 161 or string.sub(head, 3, 10) ~= generation then return false end
  if string.byte(head, 2) < 16 then return true end
  return struct.unpack('>I8', string.sub(head, 19, 26)) > tonumber(now)
end
"""


class Script:
    """A script and the digest it is called by."""

    def __init__(self, source: str) -> None:
        self.source = source.encode()
        self.digest = sha1(self.source).hexdigest().encode()


# KEYS: value, generation. ARGV: generation the caller knows, now, sealed value, milliseconds ("" for no end).
# Answers 1 stored, 0 something is there, or the current generation when the caller's is not it.
ADD = Script(
    _IS_CURRENT
    + """
local generation = redis.call('GET', KEYS[2])
if generation ~= ARGV[1] then return generation or '' end
if is_current(ARGV[1], ARGV[2]) then return 0 end
if ARGV[4] == '' then redis.call('SET', KEYS[1], ARGV[3]) else redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4]) end
return 1
"""
)

# KEYS: value, generation. ARGV: -, now, milliseconds ("" for no end), new expiry of an expiring value, its kept milliseconds.
TOUCH = Script(
    _IS_CURRENT
    + """
local generation = redis.call('GET', KEYS[2])
if not generation or not is_current(generation, ARGV[2]) then return 0 end
if string.byte(redis.call('GETRANGE', KEYS[1], 1, 1), 1) >= 16 then
  if ARGV[3] == '' then
    redis.call('SETRANGE', KEYS[1], 18, string.rep(string.char(0), 2) .. string.rep(string.char(255), 6))
    redis.call('PERSIST', KEYS[1])
  else
    redis.call('SETRANGE', KEYS[1], 18, struct.pack('>I8', tonumber(ARGV[4])))
    redis.call('PEXPIRE', KEYS[1], ARGV[5])
  end
elseif ARGV[3] == '' then redis.call('PERSIST', KEYS[1])
else redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1
"""
)

# KEYS: value, generation. ARGV: -, now, delta, nonce. Answers the new number as text, false when there is none, -1 for no number.
# INCRBY on a scratch key, because Lua's own numbers are exact only up to 2^53.
INCREMENT = Script(
    _IS_CURRENT
    + """
local generation = redis.call('GET', KEYS[2])
if not generation or not is_current(generation, ARGV[2]) then return false end
local raw = redis.call('GET', KEYS[1])
local flags = string.byte(raw, 2)
if flags % 8 ~= 3 then return -1 end
local start = 18
if flags >= 16 then start = 26 end
local scratch = KEYS[1] .. ':increment'
redis.call('SET', scratch, string.sub(raw, start + 1))
local reply = redis.pcall('INCRBY', scratch, ARGV[3])
local number = redis.call('GET', scratch)
redis.call('DEL', scratch)
if type(reply) == 'table' and reply.err then return reply end
local sealed = string.sub(raw, 1, 10) .. ARGV[4] .. struct.pack('>I4', #number) .. string.sub(raw, 19, start) .. number
redis.call('SET', KEYS[1], sealed, 'KEEPTTL')
return number
"""
)

# KEYS: value, claim, generation. ARGV: owner, generation, header seen at the claim, sealed value, milliseconds ("" for no end).
# Stores only if nobody deleted, replaced or invalidated the value since the claim.
FILL = Script(
    """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
if redis.call('GET', KEYS[3]) ~= ARGV[2] or redis.call('GETRANGE', KEYS[1], 0, 17) ~= ARGV[3] then return 0 end
if ARGV[5] == '' then redis.call('SET', KEYS[1], ARGV[4]) else redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5]) end
return 1
"""
)

# KEYS: claim. ARGV: owner, mark left behind ("" for none), its milliseconds.
RELEASE = Script(
    """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
"""
)
