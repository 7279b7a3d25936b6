/* SPDX-License-Identifier: ISC */
/*
 * How bytes of files come into memory: back ends of the reader.  Tools.
 *
 * `pread' copies when it is asked; `mmap' looks into the kernel's own memory;
 * `io_uring' has the next bytes of each file read while those before are being
 * used, many files' in one system call.  What comes is the same.
 *
 * A struct reading is one thread's, with all its files.
 */
#ifndef MCRELAY_TOOLS_READING_H
#define MCRELAY_TOOLS_READING_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "tools/common/options.h"
#include "tools/common/uncompress.h"

struct reading_ops;

struct reading {
	const struct reading_ops *ops;
	size_t	 room;		/* bytes that a file may keep in memory */
	void	*state;		/* the back end's */
};

struct reading_file {
	struct reading	*reading;
	const struct reading_ops *ops;	/* the reading's, or pread's */
	int		 fd;		/* not owned */
	uint64_t	 size;
	void		*state;		/* the back end's, of this file */
	bool		 cut;		/* it is shorter now: what came of it
					 * can be zeros */
};

struct reading_ops {
	const char	*name;
	/* What view() gives is no copy: it goes with the file. */
	bool	is_file;
	/* Before the first file, and after the last; or NULL.  False with a
	 * reason, malloc'ed: the process cannot have it. */
	bool	(*begin)(struct reading *reading, char **why);
	void	(*end)(struct reading *reading);
	/* False: this file by pread. */
	bool	(*open)(struct reading_file *file);
	void	(*close)(struct reading_file *file);
	/* As reading_view(). */
	const uint8_t	*(*view)(struct reading_file *file, uint64_t offset,
			    size_t least, size_t most, struct buffer *room,
			    size_t *got);
	/* Whether view() would not wait; NULL: nobody knows. */
	bool	(*at_hand)(const struct reading_file *file, uint64_t offset);
	/* What has been asked for is on its way; or NULL. */
	void	(*turn)(struct reading *reading);
};

extern const struct reading_ops	reading_pread, reading_mmap,
				    reading_uring;
/* One more, of a program that compares; or NULL. */
extern const struct reading_ops	*reading_more;

/* --io and its argument, the name of one; false with a message. */
#define READING_OPTION	255	/* beyond the letters */
extern const struct option	reading_option[];
bool	reading_parse(char error[static OPTIONS_ERROR_SIZE],
	    const char *name, const struct reading_ops **ops) ATTR_NONNULL;

/*
 * Where `ops' cannot be had it is pread, after a process's one log line.
 * `room': bytes of each file that may be kept, but that what is asked for in
 * one piece has to be.
 */
void	reading_begin(struct reading *reading, const struct reading_ops *ops,
	    size_t room) ATTR_NONNULL;
/* All its files are closed. */
void	reading_end(struct reading *reading) ATTR_NONNULL;
/* To be called before a wait. */
void	reading_turn(struct reading *reading) ATTR_NONNULL;

void	reading_open(struct reading_file *file, struct reading *reading, int fd,
	    uint64_t size) ATTR_NONNULL;
/* Not the descriptor. */
void	reading_close(struct reading_file *file) ATTR_NONNULL;
/* From now on by pread, so that it keeps nothing. */
void	reading_plainly(struct reading_file *file) ATTR_NONNULL;

/*
 * The bytes at `offset': at least `least' and at most `most' of them, *got,
 * good until the next call; in `room' if they are nowhere else.  NULL with
 * errno: error; EIO and file->cut when the file is shorter now.
 */
const uint8_t	*reading_view(struct reading_file *file, uint64_t offset,
		    size_t least, size_t most, struct buffer *room,
		    size_t *got) ATTR_NONNULL;
bool		 reading_at_hand(const struct reading_file *file,
		    uint64_t offset) ATTR_NONNULL;

/* By pread(), exactly so much; false as reading_view(). */
bool		 reading_copy(struct reading_file *file, void *data,
		    size_t size, uint64_t offset) ATTR_NONNULL;

#endif /* MCRELAY_TOOLS_READING_H */
