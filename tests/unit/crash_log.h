/* SPDX-License-Identifier: ISC */
/*
 * A log of all that a worker asks of the file system: this program's own
 * pwritev() and so on take the place of the C library's.  The log lies in
 * memory that is shared with forked children.  Of what is stored
 * to a map of a file each call finds what has come since the one before.
 *
 * Every file can be written past the page cache, on the terms of a disk (whole
 * sectors, from memory that is aligned), whatever file system it lies on.
 */
#ifndef MCRELAY_TEST_CRASH_LOG_H
#define MCRELAY_TEST_CRASH_LOG_H

#include <stdint.h>

enum crash_call {
	CRASH_CREATE,
	CRASH_WRITE,
	CRASH_STORE,		/* to a map of the file: `size' bytes of one
				 * page, which may be written in between */
	CRASH_ALLOCATE,		/* zeros, up to `offset' */
	CRASH_TRUNCATE,		/* to `offset' */
	CRASH_SYNC,
	CRASH_SYNC_DIRECTORY,
	CRASH_RENAME,		/* to other_name */
	CRASH_UNLINK,
};

#define CRASH_CALLS_MAX	20000U
#define CRASH_DATA_MAX	(64U << 20)
#define CRASH_NAME	128
#define CRASH_SECTOR	512U
#define CRASH_MAP_MAX	(256U * 1024)

struct crash_entry {
	enum crash_call	call;
	uint64_t	inode;
	uint64_t	offset;
	uint64_t	size;
	uint64_t	data;			/* in crash_log.data */
	int		direct;			/* past the page cache */
	char		name[CRASH_NAME];
	char		other_name[CRASH_NAME];
};

struct crash_log {
	_Atomic int		lock;
	int			on;
	unsigned		count;
	unsigned		ring_writes;	/* of these... */
	unsigned		ring_syncs;	/* ...and */
	unsigned		direct_writes;
	uint64_t		used;
	struct crash_entry	entry[CRASH_CALLS_MAX];
	uint8_t			data[CRASH_DATA_MAX];
};

extern struct crash_log	*crash_log;

void	crash_log_open(void);

#endif /* MCRELAY_TEST_CRASH_LOG_H */
