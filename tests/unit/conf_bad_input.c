/* SPDX-License-Identifier: ISC */
/*
 * Configurations that are wrong, with all that has to be said about each:
 * shards, and inputs by AF_XDP.
 */
#include <stddef.h>

#include "tests/unit/conf_bad.h"

const struct bad_case bad_input_cases[] = {
	{ "shards",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {port: 1, shards: 2}\n"
	    "- name: b\n"
	    "  listen: {address: 239.1.1.1, port: 2, shards: 2}\n"
	    "- name: c\n"
	    "  listen: {address: 127.0.0.1, interface: lo, port: 3, "
	    "shards: 2}\n"
	    "- name: d\n"
	    "  listen: {address: 127.0.0.1, port: 4, share: true, "
	    "shards: 2}\n"
	    "- name: e\n"
	    "  listen: {address: 127.0.0.1, port: 5, shards: 17}\n"
	    "- name: f\n"
	    "  listen:\n"
	    "  - {address: 127.0.0.1, port: 6, shards: 2}\n"
	    "  - {address: 127.0.0.1, port: 7}\n",
	    "3:29: channel `a': `shards' needs one `address' of this host: "
	    "what is sent to a broadcast address, each shard would receive\n"
	    "5:49: channel `b': `shards' is not for groups: each shard would "
	    "receive all\n"
	    "7:64: channel `c': `shards' and `interface' the kernel does not "
	    "keep together: give an address of that interface\n"
	    "9:62: channel `d': `shards' and `share' do not go together: "
	    "nobody else can have the port\n"
	    "11:49: `shards' has to be from 1 to 16, not 17\n"
	    "14:43: channel `f': `shards' is for a channel with one input\n" },
	{ "AF_XDP",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {address: 127.0.0.1, port: 1, path: xdp}\n"
	    "- name: b\n"
	    "  listen: {interface: lo, port: 2, path: xdp}\n"
	    "- name: c\n"
	    "  listen:\n"
	    "  - {address: 127.0.0.1, interface: lo, port: 3, path: xdp}\n"
	    "  - {address: 127.0.0.1, interface: lo, port: 4}\n"
	    "- name: d\n"
	    "  worker: w\n"
	    "  listen: {address: 127.0.0.1, interface: lo, port: 5, "
	    "path: xdp}\n"
	    "workers: [{name: w}]\n",
	    "3:47: `path: xdp' needs an `interface', at whose queue it "
	    "receives\n"
	    "5:42: `path: xdp' needs one `address', which its program knows "
	    "datagrams by\n"
	    "8:56: `path: xdp' is for the only input of a channel\n"
	    "12:62: `path: xdp' needs a worker of the channel's own: leave "
	    "`worker' out\n" },
	{ "AF_XDP and others",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {address: 127.0.0.1, interface: lo, port: 6, "
	    "path: xdp}\n"
	    "  relay: [{address: 127.0.0.2, port: 1, path: kernel}]\n"
	    "- name: b\n"
	    "  listen: {address: 127.0.0.1, interface: lo, port: 7, "
	    "share: true, path: xdp}\n"
	    "- name: c\n"
	    "  listen: {address: 127.0.0.1, interface: lo, port: 8, "
	    "shards: 2, path: xdp}\n"
	    "- name: d\n"
	    "  listen: {address: 239.0.0.1, interface: lo, port: 9, "
	    "sources: [10.0.0.1], path: xdp}\n"
	    "- name: e\n"
	    "  listen: {address: 239.0.0.1, interface: lo, port: 9, "
	    "sources: [10.0.0.2]}\n",
	    "3:62: `path: xdp' takes datagrams before a program of "
	    "`path: kernel' sees them: leave one of them out\n"
	    "6:75: `path: xdp' leaves nothing to other programs that have the "
	    "port open: leave `share' out\n"
	    "8:64: channel `c': `shards' and `path: xdp' do not go together: "
	    "its program knows one channel at an address\n"
	    "10:83: `path: xdp' needs an address and port that no other "
	    "channel listens on\n" },
	{ "AF_XDP sockets of a queue",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {address: 127.0.0.1, interface: lo, port: 1, "
	    "path: xdp, queue: 1}\n"
	    "- name: b\n"
	    "  listen: {address: 127.0.0.1, interface: lo, port: 2, "
	    "path: xdp}\n"
	    "- name: c\n"
	    "  listen: {address: 127.0.0.1, interface: lo, port: 3, "
	    "path: xdp, queue: 1}\n",
	    "7:62: `path: xdp': channel `a' (line 2) has queue 1 "
	    "of `lo', and the kernel has one such socket for each: name "
	    "another `queue'\n" },
	{ "AF_XDP without what it takes",
	    LISTEN "    queue: 1\n    fallback: false\n    checksum: trust\n",
	    "5:5: `queue' is for `path: xdp'\n"
	    "6:5: `fallback' is for `path: xdp'\n"
	    "7:5: `checksum' is for `path: xdp'\n" },
	{ "AF_XDP, and values",
	    LISTEN "    address: 127.0.0.1\n    interface: lo\n"
	    "    path: xdp\n    queue: 65536\n    checksum: no\n",
	    "8:12: `queue' has to be from 0 to 65535, not 65536\n"
	    "9:15: `checksum' has to be verify or trust, not `no'\n" },
	{ "AF_XDP or what",
	    LISTEN "    path: dpdk\n",
	    "5:11: `path' has to be socket or xdp, not `dpdk'\n" },
	{ "shards of broadcasts",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {address: 127.255.255.255, port: 1, shards: 2}\n"
	    "- name: b\n"
	    "  listen: {address: 255.255.255.255, port: 2, shards: 2}\n",
	    "3:55: channel `a': `shards' is not for a broadcast address: each "
	    "shard would receive all\n"
	    "5:55: channel `b': `shards' is not for a broadcast address: each "
	    "shard would receive all\n" },
	{ "shards of a port that is shared",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {address: 127.0.0.1, port: 1, shards: 2}\n"
	    "- name: b\n"
	    "  listen: {address: 127.0.0.1, port: 1, sources: [10.0.0.8]}\n",
	    "5:38: channel `b' listens on 127.0.0.1:1, channel `a' (line 2) on "
	    "127.0.0.1:1: they can share an address and port only without "
	    "`shards', which share it out themselves\n" },
	{ "shards with streams",
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {address: 127.0.0.1, port: 1, shards: 2}\n"
	    "  decimate:\n"
	    "  - {name: v, method: pick, every: 5, address: 239.1.1.2, "
	    "port: 7000}\n",
	    "3:49: channel `a': `shards' and `decimate' do not go together: "
	    "each shard would make a stream of its own of what it has\n" },
	{ NULL, NULL, NULL },
};
