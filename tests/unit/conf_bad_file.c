/* SPDX-License-Identifier: ISC */
/*
 * Configurations that are wrong, with all that has to be said about each:
 * YAML and the top level.
 */
#include <stddef.h>

#include "tests/unit/conf_bad.h"

const struct bad_case bad_file_cases[] = {
	{ "empty file",
	    "",
	    "1:1: there is nothing in this file\n" },
	{ "only a comment",
	    "# nothing\n",
	    "1:1: there is nothing in this file\n" },
	{ "empty document",
	    "---\n",
	    "2:1: there is nothing in this file\n" },
	{ "a list at the top",
	    "- a\n",
	    "1:1: the file has to be a mapping, not a list\n" },
	{ "a word at the top",
	    "hello\n",
	    "1:1: the file has to be a mapping, not a value\n" },
	{ "two documents",
	    CHANNEL "  ring_size: 1MiB\n"
	    "---\n"
	    "a: 1\n",
	    "5:1: more than one document in the file\n" },
	{ "alias",
	    CHANNEL "  relay: *x\n",
	    "4:10: aliases (`*name') are not supported\n" },
	{ "anchor",
	    CHANNEL "  relay: &x []\n",
	    "4:10: anchors (`&name') are not supported\n" },
	{ "tag",
	    CHANNEL "  stale_after: !!str 1s\n",
	    "4:16: tags (`!name') are not supported\n" },
	{ "tagged mapping",
	    CHANNEL "  archive: !x {directory: /a}\n",
	    "4:12: tags (`!name') are not supported\n" },
	{ "merge key",
	    CHANNEL "  <<: {ring_size: 1MiB}\n",
	    "4:3: unknown key `<<' in `channels'\n" },
	{ "key twice",
	    CHANNEL "  ring_size: 1MiB\n"
	    "  ring_size: 2MiB\n",
	    "5:3: `ring_size' is given twice, first on line 4\n" },
	{ "key twice at the top",
	    CHANNEL "channels: []\n",
	    "4:1: `channels' is given twice, first on line 1\n" },
	{ "list as a key",
	    CHANNEL "  ? [a, b]\n"
	    "  : c\n",
	    "4:5: a key must be a word, not a list\n" },
	{ "tab",
	    CHANNEL "\tring_size: 1MiB\n",
	    "4:1: found character that cannot start any token (a tab? "
	    "indent with spaces)\n" },
	{ "flow not closed",
	    CHANNEL "  relay: [{address: 239.1.1.1, port: 1}\n",
	    "5:1: did not find expected ',' or ']', while parsing a flow "
	    "sequence that begins on line 4\n" },
	{ "quote not closed",
	    CHANNEL "  ring_size: \"1MiB\n",
	    "5:1: found unexpected end of stream, while scanning a quoted "
	    "scalar that begins on line 4\n" },
	{ "wrong indentation",
	    CHANNEL "   ring_size: 1MiB\n",
	    "4:4: did not find expected key, while parsing a block mapping "
	    "that begins on line 2\n" },
	{ "colon missing",
	    CHANNEL "  ring_size 1MiB\n",
	    "5:1: could not find expected ':', while scanning a simple key "
	    "that begins on line 4\n" },
	{ "17 levels",
	    CHANNEL "  payload: [[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]\n",
	    "4:25: nested more than 16 levels deep\n" },
	{ "65 keys",
	    "{k00: 1, k01: 1, k02: 1, k03: 1, k04: 1, k05: 1, k06: 1, k07: "
	    "1, k08: 1, k09: 1, k10: 1, k11: 1, k12: 1, k13: 1, k14: 1, "
	    "k15: 1, k16: 1, k17: 1, k18: 1, k19: 1, k20: 1, k21: 1, k22: "
	    "1, k23: 1, k24: 1, k25: 1, k26: 1, k27: 1, k28: 1, k29: 1, "
	    "k30: 1, k31: 1, k32: 1, k33: 1, k34: 1, k35: 1, k36: 1, k37: "
	    "1, k38: 1, k39: 1, k40: 1, k41: 1, k42: 1, k43: 1, k44: 1, "
	    "k45: 1, k46: 1, k47: 1, k48: 1, k49: 1, k50: 1, k51: 1, k52: "
	    "1, k53: 1, k54: 1, k55: 1, k56: 1, k57: 1, k58: 1, k59: 1, "
	    "k60: 1, k61: 1, k62: 1, k63: 1, k64: 1}\n",
	    "1:514: more than 64 keys in one mapping\n" },
	{ "NUL in a string",
	    CHANNEL "  ring_size: \"1\\0MiB\"\n",
	    "4:14: a control character or line break in a value\n" },
	{ "line break in a string",
	    CHANNEL "run_dir: |\n"
	    "  /run\n"
	    "  x\n",
	    "4:10: a control character or line break in a value\n" },
	{ "control character",
	    CHANNEL "run_dir: /run/\a\n",
	    "4:15: a control character\n" },
	{ "not UTF-8",
	    CHANNEL "# gr\374\337e\n",
	    "4:5: not UTF-8 text\n" },
	{ "overlong UTF-8",
	    CHANNEL "# \300\200\n",
	    "4:3: not UTF-8 text\n" },
	{ "surrogate",
	    CHANNEL "# \355\240\200\n",
	    "4:3: not UTF-8 text\n" },
	{ "UTF-16",
	    "\377\376a\n",
	    "1:1: not UTF-8 text\n" },
	{ "column counts characters",
	    "{\303\251: 1, \"\303\274\": *x}\n",
	    "1:1: there is no `channels'\n"
	    "1:2: unknown key `\303\251'\n"
	    "1:8: unknown key `\303\274'\n"
	    "1:13: aliases (`*name') are not supported\n" },
	{ "CRLF",
	    "channels:\r\n"
	    "- name: a\r\n"
	    "  listen:\r\n"
	    "    port: x\r\n",
	    "4:11: `port' has to be a whole number, not `x'\n" },
	{ "BOM",
	    "\357\273\277chanels: []\n",
	    "1:1: there is no `channels'\n"
	    "1:1: unknown key `chanels': did you mean `channels'?\n" },
	{ "unknown key",
	    CHANNEL "relay_dir: /run\n",
	    "4:1: unknown key `relay_dir'\n" },
	{ "mistyped key",
	    CHANNEL "run_dri: /run\n",
	    "4:1: unknown key `run_dri': did you mean `run_dir'?\n" },
	{ "no channels",
	    "run_dir: /run\n",
	    "1:1: there is no `channels'\n" },
	{ "channels empty",
	    "channels: []\n",
	    "1:11: `channels' is empty\n" },
	{ "channels without value",
	    "channels:\n",
	    "1:10: `channels' has no value\n" },
	{ "channels no list",
	    "channels: {name: a}\n",
	    "1:11: `channels' has to be a list, not a mapping\n" },
	{ "channel no mapping",
	    "channels: [a, [b]]\n",
	    "1:12: each item of `channels' has to be a mapping, not a value\n"
	    "1:15: each item of `channels' has to be a mapping, not a list\n" },
	{ "user",
	    CHANNEL "user: no-such-user-here\n",
	    "4:7: there is no user `no-such-user-here'\n" },
	{ "user for each, missing",
	    CHANNEL "user: no-such-%c-here\n",
	    "4:7: there is no user `no-such-decimator-here' for the "
	    "decimators: make it (useradd --system --user-group "
	    "--no-create-home --shell /usr/sbin/nologin "
	    "no-such-decimator-here)\n"
	    "4:7: there is no user `no-such-a-here' for channel a: make it "
	    "(useradd --system --user-group --no-create-home --shell "
	    "/usr/sbin/nologin no-such-a-here)\n" },
	{ "user, bad pattern",
	    CHANNEL "user: x-%n\n",
	    "4:7: `%' in `user' can only be %c, once, which is the channel's "
	    "name\n" },
	{ "user, two names in a pattern",
	    CHANNEL "user: \"%c-%c\"\n",
	    "4:7: `%' in `user' can only be %c, once, which is the channel's "
	    "name\n" },
	{ "user, a list",
	    CHANNEL "user: [a]\n",
	    "4:7: `user' has to be a single value, not a list\n" },
	{ "user range without base",
	    CHANNEL "user: {count: 5}\n",
	    "4:7: `user' has no `base'\n" },
	{ "user range of the system",
	    CHANNEL "user: {base: 999}\n",
	    "4:14: `base' has to be from 1000 to 4294967294, not "
	    "999\n" },
	{ "user range with nobody's number",
	    CHANNEL "user: {base: 65000}\n",
	    "4:7: the user ids from 65000 to 66001 have 65535 among them, "
	    "which is nobody's\n" },
	{ "user range beyond the end",
	    CHANNEL "user: {base: 4294967294, count: 1}\n",
	    "4:7: the user ids from 4294967294 to 4294967296 have 4294967295 "
	    "among them, which is nobody's\n" },
	{ "user range, unknown key",
	    CHANNEL "user: {base: 64000, cuont: 5}\n",
	    "4:21: unknown key `cuont' in `user': did you mean `count'?\n" },
	{ "user range, too few",
	    CHANNEL "- name: b\n  listen: {port: 5001}\n"
	    "user: {base: 64000, count: 1}\n",
	    "6:7: there are 2 channels, and only 1 user ids for them: raise "
	    "`count'\n" },
	{ "run_dir a list",
	    CHANNEL "run_dir: [/run]\n",
	    "4:10: `run_dir' has to be a single value, not a list\n" },
	{ "run_dir too long",
	    CHANNEL
	    "run_dir: /xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
	    "4:10: `run_dir' is a path of more than 90 bytes\n" },
	{ "log target",
	    CHANNEL "log: {to: file}\n",
	    "4:11: `to' has to be stderr or syslog, not `file'\n" },
	{ "log level",
	    CHANNEL "log: {level: verbose}\n",
	    "4:14: `level' has to be error, warning, info or debug, not "
	    "`verbose'\n" },
	{ "log a word",
	    CHANNEL "log: syslog\n",
	    "4:6: `log' has to be a mapping, not a value\n" },
	{ "log unknown",
	    CHANNEL "log: {lvl: info}\n",
	    "4:7: unknown key `lvl' in `log': did you mean `level'?\n" },
	{ "decimators",
	    CHANNEL "decimators: 65\n",
	    "4:13: `decimators' has to be from 0 to 64, not 65\n" },
	{ "decimators no number",
	    CHANNEL "decimators: many\n",
	    "4:13: `decimators' has to be a whole number, not `many'\n" },
	{ "decimators negative",
	    CHANNEL "decimators: -1\n",
	    "4:13: `decimators' has to be a whole number, not `-1'\n" },
#ifdef HAVE_MICROHTTPD
	{ "web for everybody",
	    CHANNEL "web: {address: 0.0.0.0}\n",
	    "4:16: `address: 0.0.0.0': everybody who gets there could read "
	    "all: say who may, by `users: FILE' or `allow: [NETWORKS]', or "
	    "leave it at 127.0.0.1 with a proxy in front\n" },
	{ "web for everybody, but secretly",
	    CHANNEL "web: {address: \"::\", allow: []}\n",
	    "4:29: `allow' is empty: nobody could connect\n" },
	{ "web at a group",
	    CHANNEL "web: {address: 239.1.2.3, allow: [10.0.0.0/8]}\n",
	    "4:16: `address: 239.1.2.3': nobody can connect to a multicast "
	    "group\n" },
	{ "web link-local",
	    CHANNEL "web: {address: \"fe80::1\", allow: [\"fe80::/10\"]}\n",
	    "4:16: `address: fe80::1': a link-local address is none without "
	    "its interface: another one of the host, or :: with `allow: "
	    "[fe80::/10]'\n" },
	{ "web for bad networks",
	    CHANNEL "web: {allow: [10.0.0.1/8, x, 1.2.3.4/33, {}, 10.0.0.1]}\n",
	    "4:15: `allow: [10.0.0.1/8]': the address has bits beyond the "
	    "length of the network\n"
	    "4:27: `allow: [x]': not an IPv4 or IPv6 address (names are not "
	    "looked up)\n"
	    "4:30: `allow: [1.2.3.4/33]': the length of the network is "
	    "wrong\n"
	    "4:42: each item of `allow' has to be an address or a network, "
	    "not a mapping\n" },
	{ "web at a path for networks",
	    CHANNEL "web: {unix: web.sock, allow: [10.0.0.0/8]}\n",
	    "4:30: `allow' is for addresses: who may connect to a `unix' "
	    "socket its directory says\n" },
#ifdef HAVE_WEB_TLS
	{ "web with half of TLS",
	    CHANNEL "web: {tls: {certificate: cert.pem}}\n",
	    "4:12: `tls' has no `key'\n" },
#else
	{ "web without GnuTLS",
	    CHANNEL "web: {tls: {certificate: cert.pem, key: key.pem}}\n",
	    "4:12: `tls' needs GnuTLS and a libmicrohttpd with it, which this "
	    "mcrelay was built without: put a proxy that speaks TLS in "
	    "front\n" },
#endif
#ifndef HAVE_CRYPT
	{ "web without libcrypt",
	    CHANNEL "web: {users: users}\n",
	    "4:14: `users' needs libcrypt, which this mcrelay was built "
	    "without\n" },
#endif
	{ "web at a name",
	    CHANNEL "web: {address: localhost}\n",
	    "4:16: `address: localhost': not an IPv4 or IPv6 address "
	    "(names are not looked up)\n" },
	{ "web port",
	    CHANNEL "web: {port: 65536}\n",
	    "4:13: `port' has to be from 1 to 65535, not 65536\n" },
	{ "web both ways",
	    CHANNEL "web: {port: 1, unix: web.sock}\n",
	    "4:22: either `unix' or `address' and `port'\n" },
	{ "web unknown",
	    CHANNEL "web: {user: file}\n",
	    "4:7: unknown key `user' in `web': did you mean `users'?\n" },
#else
	{ "web without libmicrohttpd",
	    CHANNEL "web: {port: 1}\n",
	    "4:6: `web' needs libmicrohttpd, which this mcrelay was built "
	    "without\n" },
#endif
	{ NULL, NULL, NULL },
};
