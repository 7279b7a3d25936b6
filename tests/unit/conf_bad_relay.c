/* SPDX-License-Identifier: ISC */
/*
 * Configurations that are wrong, with all that has to be said about each:
 * the relay.
 */
#include <stddef.h>

#include "tests/unit/conf_bad.h"

const struct bad_case bad_relay_cases[] = {
	{ "relay no list",
	    CHANNEL "  relay: {address: 239.1.1.1, port: 6000}\n",
	    "4:10: `relay' has to be a list, not a mapping\n" },
	{ "relay item",
	    CHANNEL "  relay: [239.1.1.1]\n",
	    "4:11: each item of `relay' has to be a mapping, not a value\n" },
	{ "relay no address",
	    CHANNEL "  relay: [{port: 6000}]\n",
	    "4:11: an item of `relay' has no `address'\n" },
	{ "relay no port",
	    CHANNEL "  relay: [{address: 239.1.1.1}]\n",
	    "4:11: an item of `relay' has no `port'\n" },
	{ "relay unknown key",
	    CHANNEL "  relay: [{address: 239.1.1.1, port: 6000, tll: 3}]\n",
	    "4:44: unknown key `tll' in `relay': did you mean `ttl'?\n" },
	{ "relay key with letters swapped",
	    CHANNEL "  relay: [{address: 239.1.1.1, port: 6000, tlt: 3}]\n",
	    "4:44: unknown key `tlt' in `relay': did you mean `ttl'?\n" },
	{ "relay ttl",
	    CHANNEL "  relay: [{address: 239.1.1.1, port: 6000, ttl: 256}]\n",
	    "4:49: `ttl' has to be from 0 to 255, not 256\n" },
	{ "relay unicast ttl 0",
	    CHANNEL "  relay: [{address: 10.0.0.1, port: 6000, ttl: 0}]\n",
	    "4:48: `ttl: 0' is for multicast groups only\n" },
	{ "relay loop",
	    CHANNEL "  relay: [{address: 239.1.1.1, port: 6000, loop: yes}]\n",
	    "4:50: `loop' has to be false or true, not `yes'\n" },
	{ "relay to 224.0.0.5",
	    CHANNEL "  relay: [{address: 224.0.0.5, port: 6000}]\n",
	    "4:21: `address: 224.0.0.5': 224.0.0.0/24 is reserved for "
	    "routing protocols\n" },
	{ "relay to 0.0.0.0",
	    CHANNEL "  relay: [{address: 0.0.0.0, port: 6000}]\n",
	    "4:21: `address: 0.0.0.0': 0.0.0.0/8 is not a destination\n" },
	{ "relay to 255.255.255.255",
	    CHANNEL "  relay: [{address: 255.255.255.255, port: 6000}]\n",
	    "4:21: `address: 255.255.255.255': this is broadcast, and needs "
	    "`broadcast: true'\n" },
	{ "broadcast to a group",
	    CHANNEL "  relay: [{address: 239.1.1.1, port: 6000, "
	    "broadcast: true}]\n",
	    "4:21: `address: 239.1.1.1': `broadcast: true' is for IPv4 "
	    "addresses other than groups\n" },
	{ "relay from a group",
	    CHANNEL "  relay: [{address: 10.0.0.1, port: 6000, "
	    "source_address: 239.1.1.1}]\n",
	    "4:59: `source_address: 239.1.1.1' has to be an address of this "
	    "host, of the family of the `address' sent to\n" },
	{ "relay from the other family",
	    CHANNEL "  relay: [{address: 10.0.0.1, port: 6000, "
	    "source_address: \"fd00::1\", source_port: 0}]\n",
	    "4:59: `source_address: fd00::1' has to be an address of this "
	    "host, of the family of the `address' sent to\n"
	    "4:83: `source_port' has to be from 1 to 65535, not 0\n" },
	{ "dscp",
	    CHANNEL "  relay:\n"
	    "  - {address: 10.0.0.1, port: 6000, dscp: 64}\n"
	    "  - {address: 10.0.0.1, port: 6001, dscp: EF}\n",
	    "5:43: `dscp' has to be from 0 to 63, not 64\n"
	    "6:43: `dscp' has to be a whole number, not `EF'\n" },
	{ "segmentation",
	    CHANNEL "  relay: [{address: 10.0.0.1, port: 6000, "
	    "segmentation: on}]\n",
	    "4:57: `segmentation' has to be auto or off, not `on'\n" },
	{ "relay to 241.0.0.1",
	    CHANNEL "  relay: [{address: 241.0.0.1, port: 6000}]\n",
	    "4:21: `address: 241.0.0.1': 240.0.0.0/4 is reserved\n" },
	{ "relay to ::",
	    CHANNEL "  relay: [{address: \"::\", port: 6000}]\n",
	    "4:21: `address: ::': :: is not a destination\n" },
	{ "relay to ff01::5",
	    CHANNEL "  relay: [{address: \"ff01::5\", port: 6000}]\n",
	    "4:21: `address: ff01::5': groups of scope 1 (ff01::/16) never "
	    "leave this host's interface\n" },
	{ "relay to ff02::1",
	    CHANNEL "  relay: [{address: \"ff02::1\", port: 6000}]\n",
	    "4:21: `address: ff02::1': this link-local group is used by "
	    "the network itself\n" },
	{ "relay to ff02::1:3",
	    CHANNEL "  relay: [{address: \"ff02::1:3\", port: 6000}]\n",
	    "4:21: `address: ff02::1:3': this link-local group is used by "
	    "the network itself\n" },
	{ "relay to ff02::1:ff00:1",
	    CHANNEL "  relay: [{address: \"ff02::1:ff00:1\", port: 6000}]\n",
	    "4:21: `address: ff02::1:ff00:1': this link-local group is "
	    "used by the network itself\n" },
	{ "relay to ff00::1",
	    CHANNEL "  relay: [{address: \"ff00::1\", port: 6000}]\n",
	    "4:21: `address: ff00::1': multicast scopes 0 and f are "
	    "reserved\n" },
	{ "relay to ff02::9:1",
	    CHANNEL "  relay: [{address: \"ff02::9:1\", port: 6000}]\n",
	    "4:21: `address: ff02::9:1' is link-local and needs an "
	    "`interface'\n" },
	{ "relay twice",
	    CHANNEL "  relay:\n"
	    "  - {address: 239.1.1.1, port: 6000}\n"
	    "  - {address: 239.1.1.1, port: 6000, ttl: 4}\n",
	    "6:5: channel `a' sends to 239.1.1.1:6000 already (line 5)\n" },
	{ "17 outputs",
	    CHANNEL "  relay:\n"
	    "  - {address: 239.1.1.0, port: 6000}\n"
	    "  - {address: 239.1.1.1, port: 6000}\n"
	    "  - {address: 239.1.1.2, port: 6000}\n"
	    "  - {address: 239.1.1.3, port: 6000}\n"
	    "  - {address: 239.1.1.4, port: 6000}\n"
	    "  - {address: 239.1.1.5, port: 6000}\n"
	    "  - {address: 239.1.1.6, port: 6000}\n"
	    "  - {address: 239.1.1.7, port: 6000}\n"
	    "  - {address: 239.1.1.8, port: 6000}\n"
	    "  - {address: 239.1.1.9, port: 6000}\n"
	    "  - {address: 239.1.1.10, port: 6000}\n"
	    "  - {address: 239.1.1.11, port: 6000}\n"
	    "  - {address: 239.1.1.12, port: 6000}\n"
	    "  - {address: 239.1.1.13, port: 6000}\n"
	    "  - {address: 239.1.1.14, port: 6000}\n"
	    "  - {address: 239.1.1.15, port: 6000}\n"
	    "  - {address: 239.1.1.16, port: 6000}\n",
	    "5:3: `relay' has 17 items, more than 16\n" },
	{ NULL, NULL, NULL },
};
