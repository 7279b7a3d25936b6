/* SPDX-License-Identifier: ISC */
/*
 * Descriptors that write past the page cache.  Worker, archive thread.
 */
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/compiler.h"
#include "common/util.h"
#include "worker/archive/unbuffered.h"

/* What file systems allocate; to write less of it costs them a read. */
#define UNBUFFERED_ALIGN	4096U

/* Asks the file system: some take the flag and copy all the same. */
uint32_t
unbuffered_alignment(int fd)
{
#ifdef STATX_DIOALIGN
	struct statx st;
	uint32_t align;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) == -1 ||
	    (st.stx_mask & STATX_DIOALIGN) == 0 ||
	    st.stx_dio_offset_align == 0)
		return 0;
	align = MAX_OF(st.stx_dio_offset_align, st.stx_dio_mem_align);
	align = MAX_OF(align, UNBUFFERED_ALIGN);
	return align <= UNBUFFERED_MIN && (align & (align - 1)) == 0 ?
	    align : 0;
#else
	(void)fd;
	return 0;
#endif
}

uint64_t
unbuffered_begin(uint32_t align)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	return MAX_OF(page, (uint64_t)align);
}

int
unbuffered_set(int fd, bool unbuffered)
{
	int flags = fcntl(fd, F_GETFL);

	return flags == -1 ? -1 : fcntl(fd, F_SETFL, unbuffered ?
	    flags | O_DIRECT : flags & ~O_DIRECT);
}
