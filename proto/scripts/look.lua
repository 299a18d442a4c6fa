-- ARGV: prints
local prints = {}
for index = 1, #ARGV do prints[index] = 'r:' .. ARGV[index] end
return told(0, prints)
