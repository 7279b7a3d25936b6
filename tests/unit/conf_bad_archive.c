/* SPDX-License-Identifier: ISC */
/*
 * Configurations that are wrong, with all that has to be said about each:
 * the archive.
 */
#include <stddef.h>

#include "tests/unit/conf_bad.h"

const struct bad_case bad_archive_cases[] = {
	{ "archive a word",
	    CHANNEL "  archive: /var/lib\n",
	    "4:12: `archive' has to be a mapping, not a value\n" },
	{ "archive without directory",
	    CHANNEL "  archive: {}\n",
	    "4:12: `archive' has no `directory'\n" },
#ifndef HAVE_ZSTD
	{ "codec",
	    CHANNEL "  archive: {directory: /a, codec: zstandard}\n",
	    "4:35: `codec: zstandard' is missing in this build of mcrelay: it "
	    "needs the Debian package libzstd-dev when it is built\n" },
#endif
	{ "codec unknown",
	    CHANNEL "  archive: {directory: /a, codec: lz4}\n",
	    "4:35: `codec' has to be null, deflate, snappy or zstandard, "
	    "not `lz4'\n" },
	{ "block_size too small",
	    CHANNEL "  archive: {directory: /a, block_size: 1KiB}\n",
	    "4:40: `block_size' has to be from 4KiB to 64MiB, not 1KiB\n" },
	{ "block_size and ring",
	    CHANNEL "  archive: {directory: /a, block_size: 4MiB}\n",
	    "4:40: `block_size: 4MiB' is more than a quarter of the ring: "
	    "at most 2MiB with a `ring_size' of 8MiB\n" },
	{ "flush_interval",
	    CHANNEL "  archive: {directory: /a, flush_interval: 1ms}\n",
	    "4:44: `flush_interval' has to be from 10ms to 1h, not 1ms\n" },
	{ "write",
	    CHANNEL "  archive: {directory: /a, write: async}\n",
	    "4:35: `write' has to be buffered, direct or mmap, not `async'\n" },
	{ "sync",
	    CHANNEL "  archive: {directory: /a, sync: always}\n",
	    "4:34: `sync' has to be none, interval or block, not `always'\n" },
	{ "rotate",
	    CHANNEL
	    "  archive: {directory: /a, rotate: {size: 1KiB, interval: 10}}\n",
	    "4:43: `size' has to be 0 or from 64KiB to 1024TiB, not 1KiB\n"
	    "4:59: `interval' has to be a time (a whole number with ns, "
	    "us, ms, s, m, h or d), not `10'\n" },
	{ "rotate unknown",
	    CHANNEL "  archive: {directory: /a, rotate: {intervall: 1h}}\n",
	    "4:37: unknown key `intervall' in `rotate': did you mean "
	    "`interval'?\n" },
	{ "retain",
	    CHANNEL
	    "  archive: {directory: /a, retain: {age: 1ms, size: 1KiB, "
	    "files: 0, days: 7}}\n",
	    "4:42: `age' has to be from 1s to 36600d, not 1ms\n"
	    "4:53: `size' has to be from 1MiB to 1048576TiB, not 1KiB\n"
	    "4:66: `files' has to be from 1 to 1000000000, not 0\n"
	    "4:69: unknown key `days' in `retain'\n" },
	{ "retain form",
	    CHANNEL "  archive: {directory: /a, retain: {age: 7}}\n",
	    "4:42: `age' has to be a time (a whole number with ns, us, ms, "
	    "s, m, h or d), not `7'\n" },
	{ "min_free form",
	    CHANNEL "  archive: {directory: /a, min_free: 10%}\n",
	    "4:38: `min_free' has to be a size (a whole number, or one "
	    "with KiB, MiB, GiB or TiB), not `10%'\n" },
	{ "recycle_files range",
	    CHANNEL "  archive: {directory: /a, recycle_files: 65}\n",
	    "4:43: `recycle_files' has to be from 1 to 64, not 65\n" },
	{ "recycle without retention",
	    CHANNEL "  archive: {directory: /a, recycle: true, sync: none}\n",
	    "4:37: `recycle' needs `retain' or `min_free': without them no "
	    "file is ever done with\n"
	    "4:37: `recycle' needs `sync: interval' or `block': what was never "
	    "synced could not be told from old data after a power cut\n" },
	{ "mmap without syncs",
	    CHANNEL "  archive: {directory: /a, write: mmap, sync: none}\n",
	    "4:35: `write: mmap' needs `sync: interval' or `block': what was "
	    "never synced could not be told from pages that were half full "
	    "when the power was cut\n" },
	{ "on_overrun",
	    CHANNEL "  archive: {directory: /a, on_overrun: drop}\n",
	    "4:40: `on_overrun' has to be shed or block, not `drop'\n" },
	{ "envelope",
	    CHANNEL "  archive: {directory: /a, envelope: 1}\n",
	    "4:38: `envelope' has to be false or true, not `1'\n" },
	{ NULL, NULL, NULL },
};
