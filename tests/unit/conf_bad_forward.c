/* SPDX-License-Identifier: ISC */
/*
 * Configurations that are wrong, with all that has to be said about each:
 * forwarding, hosts.
 */
#include <stddef.h>

#include "tests/unit/conf_bad.h"

#define WHERE	"forward: {servers: [\"nats://h\"]"
#define ARCHIVE	"  archive: {directory: /a}\n  forward: true\n"

const struct bad_case bad_forward_cases[] = {
	{ "forward to nowhere",
	    CHANNEL ARCHIVE,
	    "2:9: channel a has `forward: true', and there is no `forward' at "
	    "the top that says where\n" },
	{ "host with a dot",
	    CHANNEL "host: a.b\n",
	    "4:7: `host: a.b': up to 63 characters, without blanks and any of "
	    ". * > / \\ { }\n" },
	{ "channels of bad hosts",
	    CHANNEL "  hosts: [a.b, a, b, a, {}]\n",
	    "4:11: `hosts: [a.b]': up to 63 characters, without blanks and "
	    "any of . * > / \\ { }\n"
	    "4:22: `hosts' has `a' twice\n"
	    "4:25: each item of `hosts' has to be a text, not a mapping\n" },
	{ "channels of no host",
	    CHANNEL "  hosts: []\n",
	    "4:10: `hosts' is empty: without it, every host has the "
	    "channel\n" },
	{ "one name at two hosts",
	    "host: x\nchannels:\n- {name: a, hosts: [x], listen: {port: 1}}\n"
	    "- {name: a, hosts: [y], listen: {port: 2}}\n",
	    "4:10: there is a channel `a' already (line 3)\n" },
	{ "no forwarders",
	    CHANNEL "forwarders: 0\n",
	    "4:13: `forwarders' has to be from 1 to 16, not 0\n" },
#ifdef HAVE_NATS
	{ "forward what is not there",
	    CHANNEL "  forward: true\n" WHERE "}\n",
	    "2:9: channel a has `forward: true' and no `archive': what is "
	    "forwarded is the archive\n" },
	{ "forward without servers",
	    CHANNEL ARCHIVE "forward: {}\n",
	    "6:10: `forward' has no `servers'\n" },
	{ "forward to bad servers",
	    CHANNEL ARCHIVE "forward: {servers: [\"h:4222\", \"nats://\", {}, "
	    "\"tls://a b\"]}\n",
	    "6:21: `servers: [h:4222]': write nats://HOST:PORT, or tls: for "
	    "nats:\n"
	    "6:31: `servers: [nats://]': write nats://HOST:PORT, or tls: for "
	    "nats:\n"
	    "6:42: each item of `servers' has to be a text, not a mapping\n"
	    "6:46: `servers: [tls://a b]': write nats://HOST:PORT, or tls: for "
	    "nats:\n" },
	{ "forward to bad names",
	    CHANNEL ARCHIVE WHERE ", stream: \"a.{channel}\", "
	    "subject: \"x.{name}\"}\n",
	    "6:42: `stream: a.{channel}': not a name that a NATS server takes "
	    "for a stream, with {host} and {channel} in it\n"
	    "6:66: `subject: x.{name}': not a name that a NATS server takes "
	    "for a subject, with {host} and {channel} in it\n" },
	{ "forward all to one stream",
	    CHANNEL ARCHIVE WHERE ", stream: all}\n",
	    "6:42: `stream: all': without {channel} in it, all channels would "
	    "have the same\n" },
	{ "forward with half of TLS",
	    CHANNEL ARCHIVE WHERE ", tls: {key: k}}\n",
	    "6:39: `certificate' and `key' belong together\n" },
	{ "forward to many replicas",
	    CHANNEL ARCHIVE WHERE ", replicas: 6, limits: {size: 1}}\n",
	    "6:44: `replicas' has to be from 1 to 5, not 6\n"
	    "6:62: `size' has to be from 1MiB to 1048576TiB, not 1\n" },
	{ "keep what is not forwarded",
	    CHANNEL "  archive: {directory: /a, keep_unforwarded: true}\n",
	    "2:9: channel a has `keep_unforwarded: true' and is not forwarded: "
	    "it needs `forward: true', too\n"
	    "2:9: channel a has `keep_unforwarded: true' and no `min_free', "
	    "which bounds what is kept when nobody takes it\n" },
#else
	{ "forward without libnats",
	    CHANNEL ARCHIVE WHERE "}\n",
	    "6:10: `forward' needs libnats, which this mcrelay was built "
	    "without\n" },
#endif
	{ NULL, NULL, NULL },
};
