/* SPDX-License-Identifier: ISC */
/*
 * Configurations that are wrong, with all that has to be said about each:
 * decimated streams, channels together, defaults.
 */
#include <stddef.h>

#include "tests/unit/conf_bad.h"

#define NAME_62	"v1234567890123456789012345678901234567890123456789012345678901"

const struct bad_case bad_output_cases[] = {
	{ "decimate no list",
	    CHANNEL "  decimate: {}\n",
	    "4:13: `decimate' has to be a list, not a mapping\n" },
	{ "decimate nothing",
	    AVRO_CHANNEL "  decimate: [{}]\n",
	    "5:14: an item of `decimate' has no `name'\n"
	    "5:14: an item of `decimate' has no `method'\n"
	    "5:14: an item of `decimate' has no `every'\n"
	    "5:14: an item of `decimate' has no `address'\n"
	    "5:14: an item of `decimate' has no `port'\n" },
	{ "decimate method",
	    AVRO_CHANNEL
	    "  decimate: [{name: v, method: avg, every: 5, address: "
	    "239.1.1.2, port: 7000}]\n",
	    "5:32: `method' has to be pick, mean, minmax, rms, fir, stddev or "
	    "circular, not `avg'\n" },
	{ "decimate raw",
	    CHANNEL "  decimate: [{name: v, method: mean, every: 5, address: "
	    "239.1.1.2, port: 7000}]\n",
	    "4:32: `method: mean' needs `format: avro' or `samples': a raw "
	    "payload has only `pick'\n" },
	{ "decimate name",
	    CHANNEL "  decimate: [{name: V, method: pick, every: 5, address: "
	    "239.1.1.2, port: 7000}]\n",
	    "4:21: the name `V' is not allowed: up to 63 of a-z, 0-9, _ "
	    "and -, a letter or digit first\n" },
	{ "decimate every",
	    CHANNEL "  decimate: [{name: v, method: pick, every: 0, address: "
	    "239.1.1.2, port: 7000}]\n",
	    "4:45: `every' has to be from 1 to 1000000000, not 0\n" },
	{ "decimate both windows",
	    CHANNEL
	    "  decimate: [{name: v, method: pick, every: 5, interval: 20ms, "
	    "address: 239.1.1.2, port: 7000}]\n",
	    "4:58: a window is either `every' so many datums or by "
	    "`interval', not both\n" },
	{ "decimate clock of datums",
	    CHANNEL
	    "  decimate: [{name: v, method: pick, every: 5, clock: receive, "
	    "address: 239.1.1.2, port: 7000}]\n",
	    "4:55: `clock' is for windows by `interval'\n" },
	{ "decimate clock of raw",
	    CHANNEL
	    "  decimate: [{name: v, method: pick, interval: 1s, clock: "
	    "field, address: 239.1.1.2, port: 7000}]\n",
	    "4:59: `clock: field' needs `format: avro': a raw payload has "
	    "no time field\n" },
	{ "decimate interval form",
	    CHANNEL
	    "  decimate: [{name: v, method: pick, interval: 20, address: "
	    "239.1.1.2, port: 7000}]\n",
	    "4:48: `interval' has to be a time (a whole number with ns, "
	    "us, ms, s, m, h or d), not `20'\n" },
	{ "decimate shape of raw",
	    CHANNEL "  decimate:\n"
	    "  - {name: v, every: 5, address: 239.1.1.2, "
	    "port: 7000, shape: summary}\n",
	    "5:64: `shape: summary' needs `format: avro': in a raw payload "
	    "there are no numbers\n" },
	{ "decimate fields",
	    AVRO_CHANNEL "  decimate:\n"
	    "  - {name: v, method: mean, every: 5, address: 239.1.1.2, "
	    "port: 7000,\n"
	    "     fields: {tine: rms, time: avg, 5: mean}}\n",
	    "7:32: the method of `time' has to be pick, mean, minmax, rms, "
	    "stddev or circular\n" },
	{ "decimate circular",
	    AVRO_CHANNEL "  decimate:\n"
	    "  - {name: a, method: circular, every: 5, address: 239.1.1.2, "
	    "port: 7000}\n"
	    "  - {name: b, method: mean, range: 360, every: 5, "
	    "address: 239.1.1.2, port: 7001}\n"
	    "  - {name: c, method: circular, range: 0, every: 5, "
	    "address: 239.1.1.2, port: 7002}\n"
	    "  - {name: d, method: circular, range: 360deg, every: 5, "
	    "address: 239.1.1.2, port: 7003}\n"
	    "  - {name: e, shape: summary, range: 360, every: 5, "
	    "address: 239.1.1.2, port: 7004}\n"
	    "  - {name: f, method: circular, range: inf, every: 5, "
	    "address: 239.1.1.2, port: 7005}\n"
	    "  - {name: g, method: circular, range: [1], every: 5, "
	    "address: 239.1.1.2, port: 7006}\n",
	    "6:23: `method: circular' needs a `range': after how much the "
	    "values go round, 360 for degrees\n"
	    "7:36: `range' is for values that go round: "
	    "`method: circular'\n"
	    "8:40: `range' has to be a number from 1e-100 to 1e+100, not "
	    "`0'\n"
	    "9:40: `range' has to be a number from 1e-100 to 1e+100, not "
	    "`360deg'\n"
	    "10:38: `range' is for values that go round: "
	    "`method: circular'\n"
	    "11:40: `range' has to be a number from 1e-100 to 1e+100, not "
	    "`inf'\n"
	    "12:40: `range' has to be a single value, not a list\n" },
	{ "decimate circular fields",
	    AVRO_CHANNEL "  decimate:\n"
	    "  - {name: v, method: mean, every: 5, address: 239.1.1.2, "
	    "port: 7000,\n"
	    "     fields: {a: circular, b: {method: circular}, c: {range: 1},\n"
	    "       d: {method: rms, range: 1}, e: {method: avg},\n"
	    "       f: {method: circular, range: -1, what: 1}, g: [mean]}}\n",
	    "7:18: the method circular of `a' needs a range, 360 for "
	    "degrees: {method: circular, range: 360}\n"
	    "7:40: `method: circular' needs a `range': after how much the "
	    "values go round, 360 for degrees\n"
	    "7:54: an item of `fields' has no `method'\n"
	    "8:32: `range' is for values that go round: "
	    "`method: circular'\n"
	    "8:48: `method' has to be pick, mean, minmax, rms, stddev or "
	    "circular, not `avg'\n"
	    "9:37: `range' has to be a number from 1e-100 to 1e+100, not "
	    "`-1'\n"
	    "9:41: unknown key `what' in `fields'\n"
	    "9:54: the method of `g' has to be pick, mean, minmax, rms, "
	    "stddev or circular\n" },
	{ "decimate unknown fields",
	    AVRO_CHANNEL "  decimate:\n"
	    "  - {name: v, method: mean, every: 5, address: 239.1.1.2, "
	    "port: 7000,\n"
	    "     fields: {tine: rms}, only: [time, tim, flag]}\n",
	    "7:15: the schema has no field `tine': did you mean `time'?\n"
	    "7:40: the schema has no field `tim': did you mean `time'?\n"
	    "7:45: the schema has no field `flag'\n" },
	{ "decimate fields of a summary",
	    AVRO_CHANNEL "  decimate:\n"
	    "  - {name: v, shape: summary, every: 5, address: 239.1.1.2, "
	    "port: 7000,\n"
	    "     fields: [time], only: [{}]}\n",
	    "7:14: `fields' has to be a mapping, not a list\n"
	    "7:29: each item of `only' has to be the name of a field, not a "
	    "mapping\n" },
	{ "decimate arrays",
	    AVRO_CHANNEL "  decimate:\n"
	    "  - {name: v, method: mean, interval: 5s, address: 239.1.1.2, "
	    "port: 7000,\n"
	    "     arrays: samples}\n",
	    "7:14: `arrays: samples' needs a window of `every' so many "
	    "datums\n" },
	{ "archive of a stream without one of the channel",
	    CHANNEL "  decimate:\n"
	    "  - {name: v, method: pick, every: 5, address: 239.1.1.2, "
	    "port: 7000,\n"
	    "     archive: true}\n",
	    "6:15: `archive: true' needs an `archive' of channel `a', which "
	    "says where and how\n" },
	{ "archive of a stream in the defaults",
	    "defaults:\n"
	    "  archive: {directory: /a}\n"
	    "  decimate:\n"
	    "  - {name: v, method: pick, every: 5, address: 239.1.1.2, "
	    "port: 7000,\n"
	    "     archive: true}\n"
	    CHANNEL "  archive: none\n",
	    "5:15: `archive: true' needs an `archive' of channel `a', which "
	    "says where and how\n" },
	{ "archive of streams whose names do not do",
	    CHANNEL "  archive: {directory: /a}\n"
	    "  decimate:\n"
	    "  - {name: rejected, method: pick, every: 5, "
	    "address: 239.1.1.2, port: 7000,\n"
	    "     archive: true}\n"
	    "  - {name: " NAME_62 ", method: pick, every: 5, "
	    "address: 239.1.1.3, port: 7000,\n"
	    "     archive: true}\n"
	    "- name: a.v\n  listen: {port: 5001}\n",
	    "7:15: the files of a stream `rejected' would have the names of "
	    "those of rejected datagrams\n"
	    "9:15: the names of channel and stream together are too long for "
	    "an archive's: more than 62 characters\n"
	    "10:9: the name `a.v' is not allowed: up to 63 of a-z, 0-9, _ "
	    "and -, a letter or digit first\n" },
	{ "decimate output",
	    AVRO_CHANNEL "  decimate:\n"
	    "  - {name: v, method: mean, every: 5, address: 224.0.0.1, "
	    "port: 7000, ttl: x}\n",
	    "6:48: `address: 224.0.0.1': 224.0.0.0/24 is reserved for "
	    "routing protocols\n"
	    "6:76: `ttl' has to be a whole number, not `x'\n" },
	{ "decimate name twice",
	    CHANNEL "  decimate:\n"
	    "  - {name: v, method: pick, every: 5, address: 239.1.1.2, "
	    "port: 7000}\n"
	    "  - {name: v, method: pick, every: 9, address: 239.1.1.3, "
	    "port: 7000}\n",
	    "6:12: channel `a' has a stream `v' already (line 5)\n" },
	{ "decimated where relayed",
	    CHANNEL "  relay: [{address: 239.1.1.2, port: 7000}]\n"
	    "  decimate:\n"
	    "  - {name: v, method: pick, every: 5, address: 239.1.1.2, "
	    "port: 7000}\n",
	    "6:5: channel `a' sends to 239.1.1.2:7000 already (line 4)\n" },
	{ "decimators off",
	    CHANNEL "  decimate:\n"
	    "  - {name: v, method: pick, every: 5, address: 239.1.1.2, "
	    "port: 7000}\n"
	    "decimators: 0\n",
	    "warning 5:5: `decimators' is 0: no decimated stream is sent\n" },
	{ "port shared",
	    CHANNEL "- name: b\n"
	    "  listen: {port: 5000}\n",
	    "5:18: channel `b' listens on 0.0.0.0:5000, channel `a' (line "
	    "2) on 0.0.0.0:5000: they can share an address and port only if "
	    "both have `sources', by which they are told apart\n" },
	{ "port shared with the wildcard",
	    CHANNEL "- name: b\n"
	    "  listen: {address: 10.0.0.1, port: 5000}\n",
	    "5:37: channel `b' listens on 10.0.0.1:5000, channel `a' (line "
	    "2) on 0.0.0.0:5000: they cannot share an address and port\n" },
	{ "wildcard later",
	    "channels:\n"
	    "- name: b\n"
	    "  listen: {address: 10.0.0.1, port: 5000}\n"
	    "- name: a\n"
	    "  listen: {port: 5000}\n",
	    "5:18: channel `a' listens on 0.0.0.0:5000, channel `b' (line "
	    "2) on 10.0.0.1:5000: they cannot share an address and port\n" },
	{ "group and wildcard",
	    CHANNEL "- name: b\n"
	    "  listen: {address: 239.1.1.1, port: 5000}\n",
	    "5:38: channel `b' listens on 239.1.1.1:5000, channel `a' "
	    "(line 2) on 0.0.0.0:5000: they cannot share an address and "
	    "port\n" },
	{ "group shared",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {address: 239.1.1.1, port: 5000}\n"
	    "- name: b\n"
	    "  listen: {address: 239.1.1.1, port: 5000, interface: lo}\n",
	    "5:38: channel `b' listens on 239.1.1.1:5000, channel `a' "
	    "(line 2) on 239.1.1.1:5000: they can share an address and port "
	    "only if both have `sources', by which they are told apart\n" },
	{ "sources of two",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {port: 1, sources: [10.0.0.7, 10.1.0.0/16]}\n"
	    "- name: b\n"
	    "  listen: {port: 1, sources: [10.0.0.8, 10.1.2.0/24]}\n"
	    "- name: c\n"
	    "  listen: {port: 1, sources: [10.0.0.0/8]}\n",
	    "5:18: channel `b' listens on 0.0.0.0:1, channel `a' (line 2) on "
	    "0.0.0.0:1: they both have 10.1.2.0/24 among their `sources'\n"
	    "7:18: channel `c' listens on 0.0.0.0:1, channel `b' (line 4) on "
	    "0.0.0.0:1: they both have 10.0.0.8 among their `sources'\n" },
	{ "sources of two, IPv6",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {address: \"::\", port: 1, sources: [\"fd00::/16\"]}\n"
	    "- name: b\n"
	    "  listen: {address: \"::\", port: 1, sources: [\"fd00::/33\"]}\n",
	    "5:33: channel `b' listens on [::]:1, channel `a' (line 2) on "
	    "[::]:1: they both have fd00::/33 among their `sources'\n" },
	{ "sources on interfaces",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {port: 1, sources: [10.0.0.7]}\n"
	    "- name: b\n"
	    "  listen: {port: 1, interface: lo, sources: [10.0.0.8]}\n",
	    "5:18: channel `b' listens on 0.0.0.0:1, channel `a' (line 2) on "
	    "0.0.0.0:1: they can share an address and port only without "
	    "`interface', which the kernel does not keep together with telling "
	    "apart who sends: give an address of that interface\n" },
	{ "sources and the wildcard",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {address: 127.0.0.1, port: 1, sources: [10.0.0.7]}\n"
	    "- name: b\n"
	    "  listen: {port: 1, sources: [10.0.0.8]}\n",
	    "5:18: channel `b' listens on 0.0.0.0:1, channel `a' (line 2) on "
	    "127.0.0.1:1: they cannot share an address and port\n" },
	{ "v6 shared",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {address: \"::\", port: 5000}\n"
	    "- name: b\n"
	    "  listen: {address: \"::1\", port: 5000}\n",
	    "5:34: channel `b' listens on [::1]:5000, channel `a' (line 2) "
	    "on [::]:5000: they cannot share an address and port\n" },
	{ "loop to itself",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {address: 239.1.1.1, port: 5000}\n"
	    "  relay: [{address: 239.1.1.1, port: 5000}]\n",
	    "4:11: a loop: what goes to 239.1.1.1:5000 is received by "
	    "channel `a' (line 2)\n" },
	{ "loop through another",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {port: 5000}\n"
	    "  relay: [{address: 239.1.1.1, port: 5001}]\n"
	    "- name: b\n"
	    "  listen: {address: 239.1.1.1, port: 5001}\n",
	    "4:11: a loop: what goes to 239.1.1.1:5001 is received by "
	    "channel `b' (line 5)\n" },
	{ "loop over loopback",
	    CHANNEL "  relay: [{address: 127.9.9.9, port: 5000}]\n",
	    "4:11: a loop: what goes to 127.9.9.9:5000 is received by "
	    "channel `a' (line 2)\n" },
	{ "output from an input's port",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {address: 10.99.0.1, port: 5000}\n"
	    "  relay: [{address: 10.0.0.1, port: 5001, source_port: 5000},\n"
	    "    {address: 10.0.0.1, port: 5002, source_port: 5003},\n"
	    "    {address: \"fd00::1\", port: 5002, source_port: 5000},\n"
	    "    {address: 10.0.0.1, port: 5003, source_port: 5004}]\n"
	    "- name: b\n"
	    "  listen: {address: 239.1.1.1, port: 5004}\n",
	    "4:11: `source_port: 5000': channel `a' (line 2) listens on "
	    "10.99.0.1:5000: what is sent to it would not all be received\n"
	    },
	{ "the sender's address and another",
	    CHANNEL "  relay: [{address: 10.0.0.1, port: 5001, "
	    "source_port: 7,\n      keep_source: true}]\n",
	    "5:20: `keep_source: true' sends from the sender's address and "
	    "port: leave `source_address' and `source_port' out\n" },
	{ "the sender's address in another family",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: [{port: 5000}, {address: \"::1\", port: 5001}]\n"
	    "  relay: [{address: 10.0.0.1, port: 5002, keep_source: true},\n"
	    "    {address: \"fd00::1\", port: 5003, keep_source: true}]\n",
	    "4:11: `keep_source: true': the channel receives by IPv6: an "
	    "output by IPv4 cannot have its senders' addresses\n"
	    "5:5: `keep_source: true': the channel receives by IPv4: an "
	    "output by IPv6 cannot have its senders' addresses\n" },
	{ "loop over v6 loopback",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {address: \"::\", port: 5000}\n"
	    "  relay: [{address: \"::1\", port: 5000}]\n",
	    "4:11: a loop: what goes to [::1]:5000 is received by channel "
	    "`a' (line 2)\n" },
	{ "loop of a decimated stream",
	    CHANNEL "  decimate:\n"
	    "  - {name: v, method: pick, every: 5, address: 127.0.0.1, "
	    "port: 5000}\n",
	    "5:5: a loop: what goes to 127.0.0.1:5000 is received by "
	    "channel `a' (line 2)\n" },
	{ "loop, unicast",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {address: 10.99.0.1, port: 5000}\n"
	    "- name: b\n"
	    "  listen: {port: 5001}\n"
	    "  relay: [{address: 10.99.0.1, port: 5000}]\n",
	    "6:11: a loop: what goes to 10.99.0.1:5000 is received by "
	    "channel `a' (line 2)\n" },
	{ "defaults a list",
	    CHANNEL "defaults: []\n",
	    "4:11: `defaults' has to be a mapping, not a list\n" },
	{ "defaults name",
	    CHANNEL "defaults: {name: x}\n",
	    "4:12: a `name' cannot be a default\n" },
	{ "defaults unknown",
	    CHANNEL "defaults: {ringsize: 1MiB}\n",
	    "4:12: unknown key `ringsize' in `defaults': did you mean "
	    "`ring_size'?\n" },
	{ "defaults reported once",
	    CHANNEL "- name: b\n"
	    "  listen: {port: 5001}\n"
	    "- name: c\n"
	    "  listen: {port: 5002}\n"
	    "defaults:\n"
	    "  ring_size: 3MiB\n"
	    "  archive: {directory: /a, rotate: {size: 1}}\n"
	    "  relay: [{address: 239.1.1, port: 1}]\n",
	    "9:14: `ring_size' has to be a power of two: 3MiB is not, the "
	    "next one is 4MiB\n"
	    "10:43: `size' has to be 0 or from 64KiB to 1024TiB, not 1\n"
	    "11:21: `address: 239.1.1': not an IPv4 or IPv6 address (names "
	    "are not looked up)\n" },
	{ "defaults not used",
	    CHANNEL "  ring_size: 1MiB\n"
	    "defaults:\n"
	    "  ring_size: 1MB\n",
	    "6:14: `ring_size' has to be a size (a whole number, or one "
	    "with KiB, MiB, GiB or TiB), not `1MB'\n" },
	{ "defaults and context",
	    CHANNEL "  ring_size: 1MiB\n"
	    "defaults:\n"
	    "  archive: {directory: /a, block_size: 512KiB}\n",
	    "6:40: `block_size: 512KiB' is more than a quarter of the "
	    "ring: at most 256KiB with a `ring_size' of 1MiB\n" },
	{ "defaults schema",
	    CHANNEL "  payload: {format: avro}\n"
	    "defaults:\n"
	    "  payload: {schema: none.avsc}\n",
	    "6:21: schema DIR/none.avsc: No such file or directory\n" },
	{ "defaults wrong in form, once",
	    CHANNEL "  payload: {format: raw}\n"
	    "  archive: {directory: /a}\n"
	    "defaults:\n"
	    "  payload: {sequence: {offset: 0, type: u31be}}\n"
	    "  archive: {retain: {age: 7}}\n",
	    "7:41: `type' has to be u8, u16le, u16be, u32le, u32be, u64le "
	    "or u64be, not `u31be'\n"
	    "8:27: `age' has to be a time (a whole number with ns, us, ms, "
	    "s, m, h or d), not `7'\n" },
	{ "archive wrong over defaults",
	    CHANNEL "  archive: 7\n"
	    "defaults:\n"
	    "  archive: {directory: /a}\n",
	    "4:12: `archive' has to be a mapping, not a value\n" },
	{ "all at once",
	    "user: no-such-user-here\n"
	    "log: {to: printer}\n"
	    "defaults:\n"
	    "  retain: 1\n"
	    "channels:\n"
	    "- name: One\n"
	    "  listen: {prot: 1}\n"
	    "  relay:\n"
	    "  - {address: nowhere, port: 99999}\n"
	    "  - {address: 224.0.0.1}\n"
	    "- name: two\n"
	    "  listen: {address: 239.1.1.1, port: 2}\n"
	    "  archive: {dir: /a, codec: lzma}\n"
	    "- name: two\n"
	    "  listen: {address: 239.1.1.1, port: 2}\n"
	    "  decimate:\n"
	    "  - {name: v, method: rms, every: x, address: 239.1.1.1, "
	    "port: 2}\n"
	    "colour: red\n",
	    "1:7: there is no user `no-such-user-here'\n"
	    "2:11: `to' has to be stderr or syslog, not `printer'\n"
	    "4:3: unknown key `retain' in `defaults'\n"
	    "6:9: the name `One' is not allowed: up to 63 of a-z, 0-9, _ "
	    "and -, a letter or digit first\n"
	    "7:11: `listen' has no `port'\n"
	    "7:12: unknown key `prot' in `listen': did you mean `port'?\n"
	    "9:15: `address: nowhere': not an IPv4 or IPv6 address (names "
	    "are not looked up)\n"
	    "9:30: `port' has to be from 1 to 65535, not 99999\n"
	    "10:5: an item of `relay' has no `port'\n"
	    "10:15: `address: 224.0.0.1': 224.0.0.0/24 is reserved for "
	    "routing protocols\n"
	    "13:12: `archive' has no `directory'\n"
	    "13:13: unknown key `dir' in `archive'\n"
	    "13:29: `codec' has to be null, deflate, snappy or zstandard, "
	    "not `lzma'\n"
	    "14:9: there is a channel `two' already (line 11)\n"
	    "15:38: channel `two' listens on 239.1.1.1:2, channel `two' "
	    "(line 11) on 239.1.1.1:2: they can share an address and "
	    "port only if both have `sources', by which they are told apart\n"
	    "17:5: a loop: what goes to 239.1.1.1:2 is received by channel "
	    "`two' (line 11)\n"
	    "17:23: `method: rms' needs `format: avro' or `samples': a raw "
	    "payload has only `pick'\n"
	    "17:35: `every' has to be a whole number, not `x'\n"
	    "18:1: unknown key `colour'\n" },
	{ NULL, NULL, NULL },
};
