/* SPDX-License-Identifier: ISC */
/*
 * Configurations that are wrong, with all that has to be said about each:
 * the channel, its inputs and payload.
 */
#include <stddef.h>

#include "tests/unit/conf_bad.h"

const struct bad_case bad_channel_cases[] = {
	{ "no name",
	    "channels:\n"
	    "- listen: {port: 5000}\n",
	    "2:3: an item of `channels' has no `name'\n" },
	{ "name with a capital",
	    "channels:\n"
	    "- name: Accel\n"
	    "  listen: {port: 5000}\n",
	    "2:9: the name `Accel' is not allowed: up to 63 of a-z, 0-9, _ "
	    "and -, a letter or digit first\n" },
	{ "name with a slash",
	    "channels:\n"
	    "- name: ../a\n"
	    "  listen: {port: 5000}\n",
	    "2:9: the name `../a' is not allowed: up to 63 of a-z, 0-9, _ "
	    "and -, a letter or digit first\n" },
	{ "name with a dash first",
	    "channels:\n"
	    "- name: -a\n"
	    "  listen: {port: 5000}\n",
	    "2:9: the name `-a' is not allowed: up to 63 of a-z, 0-9, _ "
	    "and -, a letter or digit first\n" },
	{ "name too long",
	    "channels:\n"
	    "- name: nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
	    "nnnnnnnnnn\n"
	    "  listen: {port: 5000}\n",
	    "2:9: the name `nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
	    "nnnnnnnnnnnnnnnnn' is not allowed: up to 63 of a-z, 0-9, _ "
	    "and -, a letter or digit first\n" },
	{ "name empty",
	    "channels:\n"
	    "- name: \"\"\n"
	    "  listen: {port: 5000}\n",
	    "2:9: `name' has no value\n" },
	{ "name of the daemon",
	    "channels:\n"
	    "- name: mcrelayd\n"
	    "  listen: {port: 5000}\n",
	    "2:9: a channel cannot be named `mcrelayd': its pid file would "
	    "be the daemon's\n" },
	{ "name twice",
	    CHANNEL "- name: a\n"
	    "  listen: {port: 5001}\n",
	    "4:9: there is a channel `a' already (line 2)\n" },
	{ "unknown channel key",
	    CHANNEL "  ringsize: 1MiB\n",
	    "4:3: unknown key `ringsize' in `channels': did you mean "
	    "`ring_size'?\n" },
	{ "unknown key far from all",
	    CHANNEL "  colour: red\n",
	    "4:3: unknown key `colour' in `channels'\n" },
	{ "ring_size no power",
	    CHANNEL "  ring_size: 5MiB\n",
	    "4:14: `ring_size' has to be a power of two: 5MiB is not, the "
	    "next one is 8MiB\n" },
	{ "ring_size small",
	    CHANNEL "  ring_size: 128KiB\n",
	    "4:14: `ring_size' has to be from 256KiB to 64GiB, not 128KiB\n" },
	{ "ring_size large",
	    CHANNEL "  ring_size: 128GiB\n",
	    "4:14: `ring_size' has to be from 256KiB to 64GiB, not 128GiB\n" },
	{ "ring_size unit",
	    CHANNEL "  ring_size: 8MB\n",
	    "4:14: `ring_size' has to be a size (a whole number, or one "
	    "with KiB, MiB, GiB or TiB), not `8MB'\n" },
	{ "ring_size fraction",
	    CHANNEL "  ring_size: 1.5MiB\n",
	    "4:14: `ring_size' has to be a size (a whole number, or one "
	    "with KiB, MiB, GiB or TiB), not `1.5MiB'\n" },
	{ "ring_size beyond 64 bits",
	    CHANNEL "  ring_size: 99999999999999999999TiB\n",
	    "4:14: `ring_size' has to be from 256KiB to 64GiB, not "
	    "99999999999999999999TiB\n" },
	{ "cpu", CHANNEL "  cpu: 1024\n",
	    "4:8: `cpu' has to be from 0 to 1023, not 1024\n" },
	{ "queue depth", CHANNEL "  io_uring: {queue_depth: 0}\n",
	    "4:27: `queue_depth' has to be from 1 to 4096, not 0\n" },
	{ "queue too deep", CHANNEL "  io_uring: {queue_depth: 4097}\n",
	    "4:27: `queue_depth' has to be from 1 to 4096, not 4097\n" },
	{ "thread without a thread", CHANNEL
	    "  io_uring: {enabled: true, sq_thread_cpu: 0}\n",
	    "4:44: `sq_thread_cpu' needs `use_sqpoll: true': else there is "
	    "no thread that could run there\n" },
	{ "io_uring is no word", CHANNEL "  io_uring: true\n",
	    "4:13: `io_uring' has to be a mapping, not a value\n" },
	{ "priority", CHANNEL "  priority: 21\n",
	    "4:13: `priority' has to be from 0 to 20, not 21\n" },
	{ "merge without sequence",
	    CHANNEL "  merge: sequence\n",
	    "4:10: `merge: sequence' needs `payload.sequence': where the "
	    "sender's number is\n" },
	{ "merge of one input",
	    CHANNEL "  merge: sequence\n"
	    "  payload: {sequence: {offset: 0, type: u8}}\n",
	    "4:10: `merge: sequence' is for several inputs: `listen' has to "
	    "be a list of two or more\n" },
	{ "merge_window too long",
	    CHANNEL "  merge_window: 6s\n",
	    "4:17: `merge_window' has to be from 1ms to 5s, not 6s\n" },
	{ "stale_after without unit",
	    CHANNEL "  stale_after: 10\n",
	    "4:16: `stale_after' has to be a time (a whole number with ns, "
	    "us, ms, s, m, h or d), not `10'\n" },
	{ "stale_after short",
	    CHANNEL "  stale_after: 1ms\n",
	    "4:16: `stale_after' has to be 0 or from 100ms to 366d, "
	    "not 1ms\n" },
	{ "stale_after a mapping",
	    CHANNEL "  stale_after: {s: 1}\n",
	    "4:16: `stale_after' has to be a single value, not a mapping\n" },
	{ "value missing",
	    CHANNEL "  ring_size:\n",
	    "4:13: `ring_size' has no value\n" },
	{ "no listen",
	    "channels:\n"
	    "- name: a\n",
	    "2:3: an item of `channels' has no `listen'\n" },
	{ "listen a word",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: 5000\n",
	    "3:11: `listen' has to be a mapping, not a value\n" },
	{ "listen a list of words",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: [5000, {port: 5000}]\n",
	    "3:12: each item of `listen' has to be a mapping, not a value\n" },
	{ "listen an empty list",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: []\n",
	    "3:11: `listen' is an empty list: a channel has an input\n" },
	{ "an input of several",
	    "channels:\n"
	    "- name: a\n"
	    "  listen:\n"
	    "  - {port: 1}\n"
	    "  - {prot: 2}\n"
	    "  - {port: 3, sources: [fd00::1]}\n",
	    "5:5: an item of `listen' has no `port'\n"
	    "5:6: unknown key `prot' in `listen': did you mean `port'?\n"
	    "6:25: source `fd00::1': not of the family of the `address' "
	    "listened on\n" },
	{ "inputs that share a port",
	    "channels:\n"
	    "- name: a\n"
	    "  listen:\n"
	    "  - {address: 239.1.1.1, port: 1, interface: lo}\n"
	    "  - {address: 239.1.1.1, port: 1}\n",
	    "5:32: channel `a' listens on 239.1.1.1:1 and (line 4) on "
	    "239.1.1.1:1: two inputs cannot share an address and port, unless "
	    "each has an `interface' of its own\n" },
	{ "inputs of which one hears all",
	    "channels:\n"
	    "- name: a\n"
	    "  listen:\n"
	    "  - {port: 1, interface: lo}\n"
	    "  - {port: 1, interface: lo}\n",
	    "5:12: channel `a' listens on 0.0.0.0:1 and (line 4) on "
	    "0.0.0.0:1: two inputs cannot share an address and port, unless "
	    "each has an `interface' of its own\n" },
	{ "inputs of two channels",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: [{port: 1}, {port: 2}]\n"
	    "- name: b\n"
	    "  listen: [{port: 3}, {address: 127.0.0.1, port: 2}]\n"
	    "  relay: [{address: 127.0.0.1, port: 1}]\n",
	    "5:50: channel `b' listens on 127.0.0.1:2, channel `a' (line 2) "
	    "on 0.0.0.0:2: they cannot share an address and port\n"
	    "6:11: a loop: what goes to 127.0.0.1:1 is received by channel "
	    "`a' (line 2)\n" },
	{ "inputs by default",
	    "defaults: {listen: [{port: 1}]}\n"
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {port: 2}\n",
	    "1:20: `listen' has to be a mapping, not a list\n" },
	{ "no port",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {address: 0.0.0.0}\n",
	    "3:11: `listen' has no `port'\n" },
	{ "port 0",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {port: 0}\n",
	    "3:18: `port' has to be from 1 to 65535, not 0\n" },
	{ "port too large",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {port: 65536}\n",
	    "3:18: `port' has to be from 1 to 65535, not 65536\n" },
	{ "port no number",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {port: http}\n",
	    "3:18: `port' has to be a whole number, not `http'\n" },
	{ "port mistyped",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {pork: 5000}\n",
	    "3:11: `listen' has no `port'\n"
	    "3:12: unknown key `pork' in `listen': did you mean `port'?\n" },
	{ "address a name",
	    LISTEN "    address: localhost\n",
	    "5:14: `address: localhost': not an IPv4 or IPv6 address "
	    "(names are not looked up)\n" },
	{ "address with a port",
	    LISTEN "    address: 10.0.0.1:5000\n",
	    "5:14: `address: 10.0.0.1:5000': not an IPv4 or IPv6 address "
	    "(names are not looked up)\n" },
	{ "address v4 mapped",
	    LISTEN "    address: \"::ffff:10.0.0.1\"\n",
	    "5:14: `address: ::ffff:10.0.0.1': write it as an IPv4 address\n" },
	{ "address with a scope",
	    LISTEN "    address: fe80::1%lo\n",
	    "5:14: `address: fe80::1%lo': name the interface with "
	    "`interface', not with `%'\n" },
	{ "address link-local",
	    LISTEN "    address: fe80::1\n",
	    "5:14: `address: fe80::1' is link-local and needs an "
	    "`interface'\n" },
	{ "interface too long",
	    LISTEN "    interface: abcdefghijklmnop\n",
	    "5:16: `abcdefghijklmnop' cannot be the name of an interface\n" },
	{ "interface with a slash",
	    LISTEN "    interface: eth0/1\n",
	    "5:16: `eth0/1' cannot be the name of an interface\n" },
	{ "interface not there",
	    LISTEN "    interface: mcr-none0\n",
	    "warning 5:16: there is no interface `mcr-none0' at present\n" },
	{ "receive_buffer large",
	    LISTEN "    receive_buffer: 2GiB\n",
	    "5:21: `receive_buffer' has to be from 4KiB to 1023MiB, not "
	    "2GiB\n" },
	{ "receive_buffer unit",
	    LISTEN "    receive_buffer: 8M\n",
	    "5:21: `receive_buffer' has to be a size (a whole number, or "
	    "one with KiB, MiB, GiB or TiB), not `8M'\n" },
	{ "coalesce",
	    LISTEN "    coalesce: 11ms\n",
	    "5:15: `coalesce' has to be 0 or from 1us to 10ms, not 11ms\n" },
	{ "busy_poll",
	    LISTEN "    busy_poll: 2ms\n",
	    "5:16: `busy_poll' has to be 0 or from 1us to 1ms, not 2ms\n" },
	{ "coalesce word",
	    LISTEN "    coalesce: never\n",
	    "5:15: `coalesce' has to be a time (a whole number with ns, "
	    "us, ms, s, m, h or d), not `never'\n" },
	{ "sources no list",
	    LISTEN "    sources: 10.0.0.1\n",
	    "5:14: `sources' has to be a list, not a value\n" },
	{ "sources bad",
	    LISTEN "    sources: [10.0.0.0/33, 10.0.0.0/x, 10.0.0.1/8, host, "
	    "239.1.1.1, [1]]\n",
	    "5:15: source `10.0.0.0/33': the length of the network is wrong\n"
	    "5:28: source `10.0.0.0/x': the length of the network is wrong\n"
	    "5:40: source `10.0.0.1/8': the address has bits beyond the "
	    "length of the network\n"
	    "5:52: source `host': not an IPv4 or IPv6 address (names are "
	    "not looked up)\n"
	    "5:58: source `239.1.1.1': a multicast group does not send\n"
	    "5:69: each item of `sources' has to be an address, not a list\n" },
	{ "sources family",
	    LISTEN "    sources: [\"fd00::/8\"]\n",
	    "5:15: source `fd00::/8': not of the family of the `address' "
	    "listened on\n" },
	{ "sources twice",
	    LISTEN "    sources: [10.0.0.1, 10.0.0.1/32]\n",
	    "5:25: source `10.0.0.1/32': listed twice\n" },
	{ "sources too many",
	    LISTEN "    sources: [10.0.0.0, 10.0.0.1, 10.0.0.2, 10.0.0.3, "
	    "10.0.0.4, 10.0.0.5, 10.0.0.6, 10.0.0.7, 10.0.0.8, 10.0.0.9, "
	    "10.0.0.10, 10.0.0.11, 10.0.0.12, 10.0.0.13, 10.0.0.14, "
	    "10.0.0.15, 10.0.0.16, 10.0.0.17, 10.0.0.18, 10.0.0.19, "
	    "10.0.0.20, 10.0.0.21, 10.0.0.22, 10.0.0.23, 10.0.0.24, "
	    "10.0.0.25, 10.0.0.26, 10.0.0.27, 10.0.0.28, 10.0.0.29, "
	    "10.0.0.30, 10.0.0.31, 10.0.0.32]\n",
	    "5:14: `sources' has 33 items, more than 32\n" },
	{ "source-specific group",
	    LISTEN "    address: 232.1.1.1\n"
	    "    sources: [10.0.0.0/8]\n",
	    "warning 5:14: `address: 232.1.1.1' is for source-specific "
	    "joins: list single hosts in `sources'\n" },
	{ "payload a word",
	    CHANNEL "  payload: avro\n",
	    "4:12: `payload' has to be a mapping, not a value\n" },
	{ "format",
	    CHANNEL "  payload: {format: json}\n",
	    "4:21: `format' has to be raw or avro, not `json'\n" },
	{ "avro without a schema",
	    CHANNEL "  payload: {format: avro}\n",
	    "4:12: `payload' has no `schema'\n" },
	{ "schema without avro",
	    CHANNEL "  payload: {schema: accel.avsc, time_field: t}\n",
	    "4:13: `schema' needs `format: avro'\n"
	    "4:33: `time_field' needs `format: avro'\n" },
	{ "schema missing",
	    CHANNEL "  payload: {format: avro, schema: none.avsc}\n",
	    "4:35: schema DIR/none.avsc: No such file or directory\n" },
	{ "schema a directory",
	    CHANNEL "  payload: {format: avro, schema: .}\n",
	    "4:35: schema DIR/.: not a regular file\n" },
	{ "schema with a NUL",
	    CHANNEL "  payload: {format: avro, schema: nul.avsc}\n",
	    "4:35: schema DIR/nul.avsc: a NUL byte: not a text file\n" },
	{ "framing without avro",
	    CHANNEL "  payload: {framing: single-object}\n",
	    "4:13: `framing' needs `format: avro'\n" },
	{ "schema id without avro",
	    CHANNEL "  payload: {framing: none, schema_id: 1}\n",
	    "4:28: `schema_id' needs `format: avro'\n" },
	{ "schema id without confluent",
	    CHANNEL "  payload: {format: avro, schema: accel.avsc,\n"
	    "    framing: single-object, schema_id: 1}\n",
	    "5:29: `schema_id' needs `framing: confluent'\n" },
	{ "confluent without schema id",
	    CHANNEL "  payload: {format: avro, schema: accel.avsc,\n"
	    "    framing: confluent}\n",
	    "4:12: `payload' has no `schema_id'\n" },
	{ "schema id too large",
	    CHANNEL "  payload: {format: avro, schema: accel.avsc,\n"
	    "    framing: confluent, schema_id: 4294967296}\n",
	    "5:36: `schema_id' has to be from 0 to 4294967295, not "
	    "4294967296\n" },
	{ "framing word",
	    CHANNEL "  payload: {framing: lines}\n",
	    "4:22: `framing' has to be none, single-object or confluent, "
	    "not `lines'\n" },
	{ "sequence field of a raw payload",
	    CHANNEL "  payload: {sequence: {field: n, type: u32be}}\n",
	    "4:24: `field' needs `format: avro'\n" },
	{ "sequence offset of avro",
	    CHANNEL "  payload: {format: avro, schema: accel.avsc,\n"
	    "    sequence: {field: time, offset: 0, type: u8}}\n",
	    "5:29: `offset' needs `format: raw'\n"
	    "5:40: `type' needs `format: raw'\n" },
	{ "sequence without a field",
	    CHANNEL "  payload: {format: avro, schema: accel.avsc,\n"
	    "    sequence: {}}\n",
	    "5:15: `sequence' has no `field'\n" },
	{ "sequence field unknown",
	    CHANNEL "  payload: {format: avro, schema: accel.avsc,\n"
	    "    sequence: {field: counter}}\n",
	    "5:23: the schema has no `counter' that is an int or a long, "
	    "never null, once in every datum\n" },
	{ "sequence field mistyped",
	    CHANNEL "  payload: {format: avro, schema: accel.avsc,\n"
	    "    sequence: {field: tmie}}\n",
	    "5:23: the schema has no `tmie' that is an int or a long, "
	    "never null, once in every datum: did you mean `time'?\n" },
	{ "sequence field no integer",
	    CHANNEL "  payload: {format: avro, schema: accel.avsc,\n"
	    "    sequence: {field: x}}\n",
	    "5:23: the schema has no `x' that is an int or a long, "
	    "never null, once in every datum\n" },
	{ "sequence offset too large",
	    CHANNEL "  payload: {sequence: {offset: 65508, type: u8}}\n",
	    "4:32: `offset' has to be from 0 to 65507, not 65508\n" },
	{ "sequence form",
	    CHANNEL "  payload: {sequence: {offset: 0, type: u31be}}\n",
	    "4:41: `type' has to be u8, u16le, u16be, u32le, u32be, u64le "
	    "or u64be, not `u31be'\n" },
	{ "sequence empty",
	    CHANNEL "  payload: {sequence: {}}\n",
	    "4:23: `sequence' has no `type'\n" },
	{ "samples of avro",
	    CHANNEL
	    "  payload: {format: avro, schema: accel.avsc,\n"
	    "    samples: {type: s16le, channels: 2, offset: 16}}\n",
	    "5:5: `samples' needs `format: raw'\n" },
	{ "samples form",
	    CHANNEL "  payload: {samples: {channels: 0}}\n",
	    "4:22: `samples' has no `type'\n"
	    "4:33: `channels' has to be from 1 to 4096, not 0\n" },
	{ NULL, NULL, NULL },
};
