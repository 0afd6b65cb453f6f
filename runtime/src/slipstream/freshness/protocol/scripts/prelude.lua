-- Opens every script after its flags: the current (epoch, seq), begun anew where it was lost or belongs to another server process.
-- ARGV: 1 prefix of all keys · 2 nonce for an epoch that must begin · then the script's own.
-- Keys: e {epoch, run_id, seq} · d daemon's lease · t:<tag> "epoch seq" · p:<tag> set of transactions · w {transaction: tags}
--       v:<key> {b body, t tags, a audience, p, e epoch} · a:<transaction>. Only t, v and a expire; volatile-* evicts nothing else.
local prefix, nonce = ARGV[1], ARGV[2]
-- INFO costs 4 us; the run id notices a restart from a snapshot and a promoted replica, which bring old stamps back with old values.
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')

local function begin_epoch()
  redis.call('HSET', prefix .. 'e', 'epoch', nonce, 'run_id', run_id, 'seq', 0)
  return nonce, 0
end

local epoch, seq
do
  local found = redis.call('HMGET', prefix .. 'e', 'epoch', 'run_id', 'seq')
  epoch, seq = found[1], tonumber(found[3] or '')
  if not epoch or not seq or found[2] ~= run_id then epoch, seq = begin_epoch() end
end

-- A number as text: Lua's own conversion rounds to 14 digits.
local function text(number) return string.format('%.0f', number) end

-- The seq of a tag's stamp in this epoch, or nil where it is missing.
local function stamp_of(tag)
  local found = redis.call('GET', prefix .. 't:' .. tag)
  if not found then return nil end
  local of, at = string.match(found, '^(%S+) (%d+)$')
  return of == epoch and tonumber(at) or nil
end

local function is_valid(tags, p, built_in)
  if built_in ~= epoch or redis.call('EXISTS', prefix .. 'd') == 0 then return false end
  for _, tag in ipairs(tags) do
    local stamp = stamp_of(tag)
    if not stamp or stamp > p or redis.call('EXISTS', prefix .. 'p:' .. tag) == 1 then return false end
  end
  return true
end

local function set_missing_stamps(tags, lifetime_ms)
  for _, tag in ipairs(tags) do
    local key = prefix .. 't:' .. tag
    if stamp_of(tag) then
      redis.call('PEXPIRE', key, lifetime_ms)
    else
      redis.call('SET', key, epoch .. ' ' .. text(seq), 'PX', lifetime_ms)
    end
  end
end

local function arguments_from(first)
  local rest = {}
  for i = first, #ARGV do rest[#rest + 1] = ARGV[i] end
  return rest
end

local function split(joined)
  local parts = {}
  for part in string.gmatch(joined, '[^\n]+') do parts[#parts + 1] = part end
  return parts
end

