/* SPDX-License-Identifier: ISC */
/*
 * The files of a disk as the calls of a crash_log have made them, up to a power
 * cut.
 */
#ifndef MCRELAY_TEST_CRASH_DISK_H
#define MCRELAY_TEST_CRASH_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/crash_log.h"

#define PAGE		4096U
#define FILE_MAX	(256U * 1024)
#define FILES_MAX	64U

/* What of a page is on the disk. */
enum there {
	THERE_NOT,	/* what was at the last sync, or nothing */
	THERE_HALF,	/* as it was some time since then, or in part */
	THERE_ALL,
};

/* One file as it may be on the disk, and what it must hold. */
struct image {
	uint64_t	inode;
	char		name[CRASH_NAME];	/* "": none */
	uint8_t		data[FILE_MAX];		/* written */
	uint64_t	size;
	uint8_t		disk[FILE_MAX];		/* at the last sync */
	uint64_t	disk_size;
	uint8_t		half[FILE_MAX];		/* some time since then */
	uint64_t	synced;
	uint64_t	reach;			/* all behind it is zero */
	/* Where `data' has changed since the last sync, no more than that. */
	uint64_t	dirty_from, dirty_to;
	bool		finished;		/* it is to have its name */
	enum there	there[FILE_MAX / PAGE];
	/* Is there only if this one is, counted from 1; 0: by itself. */
	uint8_t		with[FILE_MAX / PAGE];
};

extern struct image	crash_image[FILES_MAX];
extern unsigned		crash_files;

/* NULL: none. */
struct image	*crash_file(const char *name);
/* The calls before `end'; names as they were before `names'. */
void	crash_replay(unsigned end, unsigned names);
/* The last call before `end' that makes the names before it sure. */
unsigned	crash_sure_names(unsigned end);
bool	crash_changes_name(enum crash_call call);

bool	crash_is_spare(const char *name);
/* Leaves the recovered file in $MCRELAY_CRASH_OUT, for readers of others: the
 * name says how it was written, and if it was a spare before. */
void	crash_keep(const char *way, const char *name, const uint8_t *data,
	    size_t size);

#endif /* MCRELAY_TEST_CRASH_DISK_H */
