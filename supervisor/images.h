/* SPDX-License-Identifier: ISC */
/*
 * Programs as they were when they were opened, whatever a package manager has
 * put in their place since: those of this version, and those of another for as
 * long as there is a segment that only they can read.  Supervisor only.
 */
#ifndef MCRELAY_IMAGES_H
#define MCRELAY_IMAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

struct supervisor;

/* Our own, that of the version before, and another one that was tried. */
#define IMAGES_MAX	4

enum image_program {
	IMAGE_DAEMON,		/* mcrelayd */
	IMAGE_WORKER,
	IMAGE_DECIMATOR,
	IMAGE_PROGRAMS,
};

struct image {
	uint64_t	layout;	/* segment_layout() of it; 0: no image */
	int		fd[IMAGE_PROGRAMS];	/* -1: none */
	bool		hangs;	/* the daemon's did, and is not asked again */
	bool		answers;	/* it did: no more need be asked */
	/* Its process that serves (account.h). */
	int	server;		/* the socket to it; -1: none */
	int	server_process;	/* -1: not known */
	bool	unserved;	/* there is to be none */
};

/* Where it is ours, the first one is our own. */
struct images {
	struct image	image[IMAGES_MAX];
};

void	images_init(struct images *images) ATTR_NONNULL;
void	images_done(struct images *images) ATTR_NONNULL;
/* Our own ones, of the programs in `directory'. */
void	images_open(struct images *images, const char *directory) ATTR_NONNULL;
/* NULL: there is none. */
struct image	*images_find(struct images *images, uint64_t layout)
		    ATTR_NONNULL;
/* Made if need be; NULL: there are too many. */
struct image	*images_add(struct images *images, uint64_t layout)
		    ATTR_NONNULL;
/* What `from' has of other layouts than ours becomes that of `images'. */
void	images_take(struct images *images, struct images *from) ATTR_NONNULL;
void	image_drop(struct image *image) ATTR_NONNULL;
/* Whatever it does. */
void	image_end_server(struct image *image) ATTR_NONNULL;

/*
 * What a child of ours is to be executed from: -1, its file, or, when that is
 * of another version by now, which may not be able to use what this one has,
 * the descriptor of ours.
 */
int	images_current(const struct supervisor *supervisor,
	    enum image_program program) ATTR_NONNULL;

#endif /* MCRELAY_IMAGES_H */
