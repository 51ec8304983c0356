-- Writes the sales of one partition, if the partition is at the expected position and the blocks are as expected.
-- Everything is compared before anything is written, because a script is not rolled back.
-- KEYS: positions, installation
-- ARGV: field, expected, next, installation, ttl, how long a list may be,
--       blocks, {block key, count key, sales that came, known, sales to look at, offset...}...
--           known: a digit for each offset, 1 for a sale known to be here; empty for none
--       totals, {key, sales, cents}...
--       {list key, entries, entry...}...   the newest last
-- Answers {0, {}} if written, {1, {position}}, {2, {installation}}, or {3, known} with what each known must be.
local installation = redis.call('GET', KEYS[2])
if installation and installation ~= ARGV[4] then
  return {2, {installation}}
end
local position = redis.call('HGET', KEYS[1], ARGV[1]) or '0'
if position ~= ARGV[2] then
  return {1, {position}}
end

local ttl, longest = ARGV[5], tonumber(ARGV[6])
local argument = 7
local function take()
  argument = argument + 1
  return ARGV[argument - 1]
end

local blocks, differ = {}, false
for i = 1, tonumber(take()) do
  local block = {key = take(), counter = take(), came = take(), known = take()}
  local look, set, n = {'BITFIELD_RO', block.key}, {'BITFIELD', block.key}, tonumber(take())
  -- Both begin with two words (command and key). Then sale j adds three words to the one, at 3j and after it, and four to the
  -- other, at 4j-1 and after it.
  for j = 1, n do
    local offset = take()
    look[3 * j], look[3 * j + 1], look[3 * j + 2] = 'GET', 'u1', offset
    set[4 * j - 1], set[4 * j], set[4 * j + 1], set[4 * j + 2] = 'SET', 'u1', offset, '1'
  end
  block.set = set
  block.found = table.concat(redis.call(unpack(look)))
  if block.known == '' then
    block.known = string.rep('0', n)
  end
  differ = differ or block.found ~= block.known
  blocks[i] = block
end
if differ then
  local found = {}
  for i, block in ipairs(blocks) do
    found[i] = block.found
  end
  return {3, found}
end

if not installation then
  redis.call('SET', KEYS[2], ARGV[4])
end
for _, block in ipairs(blocks) do
  redis.call(unpack(block.set))
  redis.call('EXPIRE', block.key, ttl)
  redis.call('INCRBY', block.counter, block.came)
  redis.call('EXPIRE', block.counter, ttl)
end
for _ = 1, tonumber(take()) do
  local key = take()
  redis.call('HINCRBY', key, 'sales', take())
  redis.call('HINCRBY', key, 'cents', take())
end
while argument <= #ARGV do
  local key, n = take(), tonumber(take())
  if redis.call('LPUSH', key, unpack(ARGV, argument, argument + n - 1)) > longest then
    redis.call('LTRIM', key, 0, longest - 1)
  end
  argument = argument + n
  redis.call('EXPIRE', key, ttl)
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return {0, {}}
