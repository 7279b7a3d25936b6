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

/* 0, or -1 with errno. */
int		unbuffered_set(int fd, bool unbuffered);

#endif /* MCRELAY_UNBUFFERED_H */
