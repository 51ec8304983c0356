-- Drops the positions of one Kafka and records another, unless that was done before. Marks the blocks that are there.
-- KEYS: positions, installation, earlier
-- ARGV: the installation that the positions must belong to, the one that takes its place, pattern of the blocks' keys, ttl
-- Answers 1 if it was done, otherwise 0.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
-- First, because it is refused when memory is full, and a script is not rolled back.
redis.call('SET', KEYS[2], ARGV[2])
redis.call('DEL', KEYS[1])
local cursor = '0'
repeat
  local page = redis.call('SCAN', cursor, 'MATCH', ARGV[3], 'COUNT', 1000)
  cursor = page[1]
  for _, block in ipairs(page[2]) do
    redis.call('SADD', KEYS[3], block)
  end
until cursor == '0'
redis.call('EXPIRE', KEYS[3], ARGV[4])
return 1
