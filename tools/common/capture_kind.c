/* SPDX-License-Identifier: ISC */
/*
 * Whether a file is a capture.  Tools, with and without libpcap.
 */
#include <fcntl.h>
#include <unistd.h>

#include "common/util.h"
#include "tools/common/capture.h"
#include "tools/common/regular.h"

bool
capture_is(const char *path)
{
	/* pcap with micro- and nanoseconds, pcapng; in either order. */
	static const uint32_t magics[] = { 0xa1b2c3d4, 0xd4c3b2a1, 0xa1b23c4d,
	    0x4d3cb2a1, 0x0a0d0d0a };
	uint32_t magic = 0;
	const char *why;
	const int fd = regular_open(AT_FDCWD, path, 0, &why);
	ssize_t got;

	if (fd == -1)
		return false;
	got = read(fd, &magic, sizeof(magic));
	close(fd);
	for (size_t i = 0; i < NITEMS(magics); i++)
		if (got == sizeof(magic) && magic == magics[i])
			return true;
	return false;
}
