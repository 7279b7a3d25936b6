/* SPDX-License-Identifier: ISC */
/*
 * Descriptors that write past the page cache (O_DIRECT).  Worker, archive
 * thread.
 */
#ifndef MCRELAY_UNBUFFERED_H
#define MCRELAY_UNBUFFERED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Less than this is not worth a write that waits for the disk. */
#define UNBUFFERED_MIN	((size_t)64 << 10)

/* To which memory, sizes and offsets have to be aligned, a power of two, no
 * more than UNBUFFERED_MIN; 0: the file system cannot. */
uint32_t	unbuffered_alignment(int fd);

/* From where on a file may be written so, with that alignment, of which it is a
 * multiple.  What lies before has its header, which somebody else writes to
 * through the page cache (synced.h); that keeps whole pages, and what was in
 * hand of one before is not to be written over what it has now. */
uint64_t	unbuffered_begin(uint32_t align);

/* 0, or -1 with errno. */
int		unbuffered_set(int fd, bool unbuffered);

#endif /* MCRELAY_UNBUFFERED_H */
