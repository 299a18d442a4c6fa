-- KEYS: audit
-- ARGV: entry, the most that are kept, for how many ms they are kept
-- Returns now, the entry's number
return { now, string.format('%.0f', append(KEYS[1], unpack(ARGV))) }
