/* SPDX-License-Identifier: ISC */
/*
 * A directory in which mcrelay-worker writes: each record once, in order,
 * whatever becomes of the worker (tools/common/followed.h).  mcrelay-cat.
 */
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "tools/cat/cat.h"
#include "tools/common/followed.h"
#include "tools/common/listing.h"
#include "tools/common/stop.h"

/* How often is looked for more. */
#define LOOK_NS		(50 * NS_PER_MS)

struct follow {
	struct cat	*cat;
	const char	*directory;
	int		 fd;		/* of it */
	void		*seen;		/* tsearch(): stems */
	uint64_t	 changed_ns;	/* of listing_is_due() */
};

static void
wait_a_while(struct cat *cat)
{
	cat_settle(cat);
	if (out_watched(&cat->out))
		stop_sleep_until(clock_monotonic_ns() + LOOK_NS);
}

/* Shows what there is of it; true: there will not be more. */
static bool
show_more(struct follow *follow, struct followed *file, const char *path)
{
	struct reader_block block;
	enum followed_status status = FOLLOWED_NOTHING;
	const char *why;
	uint64_t skip;

	while (!cat_done(follow->cat)) {
		status = followed_next(file, &block, &skip, &why);
		if (status == FOLLOWED_UNUSABLE)
			cat_partly(follow->cat, "%s: %s", path, why);
		if (status != FOLLOWED_BLOCK)
			break;
		files_damage(follow->cat, path, &block);
		files_block(follow->cat, &block, skip);
	}
	return status != FOLLOWED_NOTHING;
}

/* Waits until it has a whole header; false: there will be none. */
static bool
open_file(struct follow *follow, struct followed *file, const char *stem,
    const char *path)
{
	const char *why;

	while (!cat_done(follow->cat))
		switch (followed_open(file, follow->fd, stem, &why)) {
		case FOLLOWED_BLOCK:
			return true;
		case FOLLOWED_NOTHING:
			wait_a_while(follow->cat);
			break;
		case FOLLOWED_UNUSABLE:
			cat_partly(follow->cat, "%s: %s", path, why);
			return false;
		case FOLLOWED_END:
			return false;
		}
	return false;
}

static void
follow_file(struct follow *follow, const char *stem)
{
	char *path = xasprintf("%s/%s", follow->directory, stem);
	struct followed file;

	if (open_file(follow, &file, stem, path)) {
		if (files_begin(follow->cat, &file.reader, path))
			while (!show_more(follow, &file, path) &&
			    !cat_done(follow->cat))
				wait_a_while(follow->cat);
		followed_close(&file);
	}
	free(path);
}

static int
compare_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* True the first time. */
static bool
note_seen(struct follow *follow, const char *stem)
{
	char *copy;

	if (tfind(stem, &follow->seen, compare_text) != NULL)
		return false;
	copy = xstrdup(stem);
	if (tsearch(copy, &follow->seen, compare_text) == NULL)
		fatalx("out of memory");
	return true;
}

/* Shows the files that were not shown yet; false: there are none. */
static bool
show_new(struct follow *follow)
{
	struct listing listing;
	bool found = false;

	if (!listing_read(&listing, follow->fd, follow->directory)) {
		log_warn("%s", follow->directory);
		follow->cat->failed = true;
		return false;
	}
	for (size_t i = 0; i < listing.files && !cat_done(follow->cat); i++)
		if (note_seen(follow, listing.file[i].stem)) {
			found = true;
			follow_file(follow, listing.file[i].stem);
		}
	listing_free(&listing);
	return found;
}

/* Those before the first one are not shown; false: it is not there. */
static bool
leave_out(struct follow *follow, const char *first)
{
	struct listing listing;
	bool found = false;

	if (!listing_read(&listing, follow->fd, follow->directory))
		return false;
	for (size_t i = 0; i < listing.files && !found; i++) {
		found = strcmp(listing.file[i].stem, first) == 0;
		if (!found)
			note_seen(follow, listing.file[i].stem);
	}
	listing_free(&listing);
	return found;
}

void
follow_directory(struct cat *cat, const char *directory, const char *first)
{
	struct follow follow = {
		.cat = cat,
		.directory = directory,
		.fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.changed_ns = LISTING_NEVER,
	};

	if (follow.fd == -1) {
		log_warn("%s", directory);
		cat->failed = true;
		return;
	}
	if (first != NULL && !leave_out(&follow, first)) {
		log_warnx("%s/%s: not a file of an archive, whose successors "
		    "could be followed", directory, first);
		cat->failed = true;
	}
	while (!cat_done(cat))
		if (!listing_is_due(follow.fd, &follow.changed_ns) ||
		    !show_new(&follow))
			wait_a_while(cat);
	tdestroy(follow.seen, free);
	close(follow.fd);
}
